/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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

static enum err on_exemplars(struct source *source, struct source_ctx *ctx,
                             struct matcher_list matchers, int64_t t_min, int64_t t_max,
                             source_exemplar_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};

    return block_exemplars(block_of(source), &query, fn, owner);
}

static enum err on_metadata(struct source *source, struct source_ctx *ctx, struct slice metric,
                            source_metadata_fn *fn, void *owner)
{
    const struct source_query query = {.ctx = ctx, .name = metric};

    return block_metadata(block_of(source), &query, fn, owner);
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

enum err block_seek(struct sst_iter *iter, struct slice key, struct err_info *info)
{
    if (sst_iter_seek(iter, key))
        return slice_eq(sst_iter_key(iter), key) ? ERR_OK : ERR_NOT_FOUND;
    const enum err err = sst_iter_err(iter, info);
    return err == ERR_OK ? ERR_NOT_FOUND : err;
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
