/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage/block_chunk.h"
#include "storage/block_internal.h"
#include "storage/block_writer.h"
#include "storage/sealed_json.h"

enum err block_corrupt(const struct block *block, struct err_info *info, const char *format, ...)
{
    char text[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(info, ERR_CORRUPT, "block %s: %s", block->name, text);
}

static enum err on_select(struct source *source, struct source_ctx *ctx,
                          struct matcher_list matchers, int64_t t_min, int64_t t_max,
                          const struct source_hints *hints, struct series_stream **stream,
                          struct err_info *info)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max, .hints = hints};

    return block_select(block_of(source), &query, stream, info);
}

static enum err on_label_names(struct source *source, struct source_ctx *ctx,
                               struct matcher_list matchers, int64_t t_min, int64_t t_max,
                               source_text_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};

    return block_label_names(block_of(source), &query, fn, owner);
}

static enum err on_label_values(struct source *source, struct source_ctx *ctx, struct slice name,
                                struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                source_text_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max, .name = name};

    return block_label_values(block_of(source), &query, fn, owner);
}

/* Exemplars and metadata have their keys in the format; nothing writes them yet. */
static enum err on_exemplars(struct source *source, struct source_ctx *ctx,
                             struct matcher_list matchers, int64_t t_min, int64_t t_max,
                             source_exemplar_fn *fn, void *owner)
{
    (void)source, (void)ctx, (void)matchers, (void)t_min, (void)t_max, (void)fn, (void)owner;
    return ERR_OK;
}

static enum err on_metadata(struct source *source, struct source_ctx *ctx, struct slice metric,
                            source_metadata_fn *fn, void *owner)
{
    (void)source, (void)ctx, (void)metric, (void)fn, (void)owner;
    return ERR_OK;
}

static enum err on_estimate(struct source *source, struct source_ctx *ctx,
                            struct matcher_list matchers, int64_t t_min, int64_t t_max,
                            struct source_estimate *estimate)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};

    return block_estimate(block_of(source), &query, estimate);
}

static const struct source_ops block_source_ops = {
    .select = on_select,
    .label_names = on_label_names,
    .label_values = on_label_values,
    .exemplars = on_exemplars,
    .metadata = on_metadata,
    .estimate = on_estimate,
};

static enum err read_meta(struct block *block, struct err_info *info)
{
    char path[BLOCK_PATH_SIZE + 16];
    struct arena arena;
    struct slice text;

    (void)snprintf(path, sizeof(path), "%s/meta.json", block->path);
    arena_init(&arena, NULL, 0);
    enum err err = sealed_json_read_file(block->options.env, path, &arena, &text, info);
    if (err == ERR_OK)
        err = block_meta_parse(text, &block->meta, info);
    arena_fini(&arena);
    return err;
}

static enum err open_tables(struct block *block, struct err_info *info)
{
    char path[BLOCK_PATH_SIZE + 16];
    enum err err;

    (void)snprintf(path, sizeof(path), "%s/index.sst", block->path);
    err = sst_reader_open(block->options.door, path, &block->meta.index, &block->index, info);
    if (err != ERR_OK)
        return err;
    (void)snprintf(path, sizeof(path), "%s/data.sst", block->path);
    return sst_reader_open(block->options.door, path, &block->meta.data, &block->data, info);
}

static void block_free(struct block *block)
{
    sst_reader_close(block->index);
    sst_reader_close(block->data);
    if (atomic_load(&block->is_doomed))
        block_writer_remove_dir(block->options.env, block->path);
    mem_free(block);
}

enum err block_open(const struct block_options *options, struct ulid ulid, struct block **out,
                    struct err_info *info)
{
    struct block *block = mem_zalloc(1, sizeof(*block));
    enum err err = ERR_OK;

    block->source.ops = &block_source_ops;
    block->options = *options;
    block->ref_count = 1;
    ulid_print(ulid, block->name);
    if ((size_t)snprintf(block->path, sizeof(block->path), "%s/%s", options->dir, block->name) >=
        sizeof(block->path))
        err = err_set(info, ERR_BAD_INPUT, "path is too long");
    if (err == ERR_OK)
        err = read_meta(block, info);
    if (err == ERR_OK && ulid_cmp(block->meta.ulid, ulid) != 0)
        err = err_set(info, ERR_CORRUPT, "meta.json: is of another block");
    if (err == ERR_OK)
        err = open_tables(block, info);
    if (err != ERR_OK) {
        err_prefix(info, "block %s", block->name);
        block_free(block);
        return err;
    }
    *out = block;
    return ERR_OK;
}

struct block *block_ref(struct block *block)
{
    const uint32_t before = atomic_fetch_add_explicit(&block->ref_count, 1, memory_order_relaxed);

    ASSERT(before > 0);
    return block;
}

void block_unref(struct block *block)
{
    if (block == NULL)
        return;
    if (atomic_fetch_sub_explicit(&block->ref_count, 1, memory_order_acq_rel) == 1)
        block_free(block);
}

void block_doom(struct block *block)
{
    atomic_store(&block->is_doomed, true);
}

const struct block_meta *block_get_meta(const struct block *block)
{
    return &block->meta;
}

struct source *block_source(struct block *block)
{
    return &block->source;
}

/* ---- verify ---- */

struct verify {
    struct block *block;
    struct buf text;
    struct arena arena;
    uint64_t series_count, chunk_count, sample_count; /* by the chunk lists */
    uint64_t data_chunks, data_samples;               /* by the chunks */
};

static enum err verify_index_entry(struct verify *v, const struct block_index_key *key,
                                   struct slice value, struct err_info *info)
{
    struct block_series series;
    struct postings *postings;

    if (key->kind == BLOCK_INDEX_SERIES) {
        arena_reset(&v->arena);
        if (block_parse_series(value, &v->arena, &series) != ERR_OK)
            return block_corrupt(v->block, info, "series %u makes no sense", key->id);
        v->series_count++;
        v->chunk_count += series.chunk_count;
        for (uint32_t i = 0; i < series.chunk_count; i++)
            v->sample_count += series.chunks[i].count;
    } else if (key->kind == BLOCK_INDEX_POSTINGS) {
        if (postings_decode(value, UINT32_MAX, &postings) != ERR_OK)
            return block_corrupt(v->block, info, "postings of label %.*s make no sense",
                                 SLICE_ARG(key->name));
        postings_free(postings);
    }
    return ERR_OK;
}

static enum err verify_chunk(struct verify *v, const struct block_data_key *key, struct slice value,
                             struct err_info *info)
{
    struct block_chunk_reader reader;
    int64_t t_ms[BLOCK_FRAME_COUNT_MAX];
    double values[BLOCK_FRAME_COUNT_MAX];
    uint32_t count;

    if (key->kind != BLOCK_DATA_CHUNK)
        return ERR_OK;
    block_chunk_open(&reader, value, key->t_ms);
    while (block_chunk_next(&reader, t_ms, values, &count))
        v->data_samples += count;
    v->data_chunks++;
    if (reader.err != ERR_OK)
        return block_corrupt(v->block, info, "a chunk of series %u makes no sense", key->id);
    return ERR_OK;
}

static enum err verify_table(struct verify *v, struct sst_reader *table, struct err_info *info)
{
    struct sst_iter *iter = sst_iter_new(table);
    enum err err = ERR_OK;
    bool more = sst_iter_seek(iter, SLICE(""));

    while (more && err == ERR_OK) {
        struct block_index_key index_key;
        struct block_data_key data_key;

        if (table == v->block->index) {
            err = block_key_parse_index(sst_iter_key(iter), &v->text, &index_key)
                      ? verify_index_entry(v, &index_key, sst_iter_value(iter), info)
                      : block_corrupt(v->block, info, "a key of the index makes no sense");
        } else {
            err = block_key_parse_data(sst_iter_key(iter), &v->text, &data_key)
                      ? verify_chunk(v, &data_key, sst_iter_value(iter), info)
                      : block_corrupt(v->block, info, "a key of the data makes no sense");
        }
        more = sst_iter_next(iter);
    }
    if (err == ERR_OK)
        err = sst_iter_err(iter, info);
    sst_iter_free(iter);
    return err;
}

enum err block_verify(struct block *block, struct err_info *info)
{
    struct verify v = {.block = block};
    enum err err = sst_reader_verify(block->index, info);

    if (err == ERR_OK)
        err = sst_reader_verify(block->data, info);
    buf_init(&v.text, BLOCK_KEY_SIZE_MAX);
    arena_init(&v.arena, NULL, 0);
    if (err == ERR_OK)
        err = verify_table(&v, block->index, info);
    if (err == ERR_OK)
        err = verify_table(&v, block->data, info);
    if (err == ERR_OK &&
        (v.series_count != block->meta.series_count || v.chunk_count != block->meta.chunk_count ||
         v.sample_count != block->meta.sample_count || v.data_chunks != v.chunk_count ||
         v.data_samples != v.sample_count))
        err = block_corrupt(block, info, "index, data and meta.json count differently");
    arena_fini(&v.arena);
    buf_fini(&v.text);
    return err;
}
