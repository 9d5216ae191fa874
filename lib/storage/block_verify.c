/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "storage/block_chunk.h"
#include "storage/block_internal.h"

enum { PROGRESS_BYTES = 256 << 10 }; /* between two calls of on_progress */

struct verify {
    struct block *block;
    const struct block_verify_options *options;
    struct block_verify_report report;
    struct err_info *info; /* takes the first fault */
    struct buf text;
    struct arena arena;
    uint64_t chunk_count, sample_count, exemplar_count; /* as the index says */
    uint64_t bytes_told;
};

/* Notes a fault. Not ERR_OK once there are enough. */
static enum err fault(struct verify *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum err fault(struct verify *v, const char *format, ...)
{
    const struct block_verify_options *options = v->options;
    char text[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (v->report.fault_count++ == 0)
        (void)block_corrupt(v->block, v->info, "%s", text);
    if (options != NULL && options->on_fault != NULL)
        options->on_fault(options->owner, text);
    const uint32_t max = options == NULL || options->fault_max == 0 ? 1 : options->fault_max;
    return v->report.fault_count < max ? ERR_OK : ERR_CORRUPT;
}

static enum err progress(struct verify *v)
{
    const struct block_verify_options *options = v->options;
    const uint64_t bytes = v->report.bytes - v->bytes_told;

    if (bytes < PROGRESS_BYTES)
        return ERR_OK;
    v->bytes_told = v->report.bytes;
    if (options != NULL && options->on_progress != NULL &&
        options->on_progress(options->owner, bytes))
        return err_set(v->info, ERR_CANCELLED, "verifying was cancelled");
    return ERR_OK;
}

static enum err verify_series(struct verify *v, const struct block_index_key *key,
                              struct slice value)
{
    struct block_series series;

    arena_reset(&v->arena);
    if (block_parse_series(value, &v->arena, &series) != ERR_OK)
        return fault(v, "index.sst: tenant \"%.*s\": series %u makes no sense",
                     SLICE_ARG(key->tenant), key->id);
    v->report.series_count++;
    v->chunk_count += series.chunk_count;
    v->exemplar_count += series.exemplar_count;
    for (uint32_t i = 0; i < series.chunk_count; i++)
        v->sample_count += series.chunks[i].count;
    return ERR_OK;
}

static enum err ignore_metadata(void *owner, const struct metadata *metadata)
{
    (void)owner;
    (void)metadata;
    return ERR_OK;
}

static enum err verify_index_entry(struct verify *v, const struct block_index_key *key,
                                   struct slice value)
{
    struct postings *postings;

    switch (key->kind) {
    case BLOCK_INDEX_SERIES:
        return verify_series(v, key, value);
    case BLOCK_INDEX_POSTINGS:
        if (postings_decode(value, UINT32_MAX, &postings) != ERR_OK)
            return fault(v, "index.sst: tenant \"%.*s\": postings of %.*s=\"%.*s\" make no sense",
                         SLICE_ARG(key->tenant), SLICE_ARG(key->name), SLICE_ARG(key->value));
        postings_free(postings);
        return ERR_OK;
    case BLOCK_INDEX_METADATA:
        v->report.metric_count++;
        if (block_walk_metadata(value, key->name, ignore_metadata, NULL) != ERR_OK)
            return fault(v, "index.sst: tenant \"%.*s\": metadata of %.*s makes no sense",
                         SLICE_ARG(key->tenant), SLICE_ARG(key->name));
        return ERR_OK;
    case BLOCK_INDEX_STATS:
        break;
    }
    return ERR_OK;
}

static enum err count_exemplar(void *owner, struct label_set series,
                               const struct exemplar *exemplar)
{
    (void)series;
    (void)exemplar;
    ++*(uint64_t *)owner;
    return ERR_OK;
}

static enum err verify_data_entry(struct verify *v, const struct block_data_key *key,
                                  struct slice value)
{
    struct block_chunk_reader reader;
    struct sample_columns columns;

    if (key->kind == BLOCK_DATA_EXEMPLARS) {
        const struct block_exemplar_walk walk = {.t_min_ms = INT64_MIN,
                                                 .t_max_ms = INT64_MAX,
                                                 .fn = count_exemplar,
                                                 .owner = &v->report.exemplar_count};

        if (block_walk_exemplars(value, &walk, &v->arena) != ERR_OK)
            return fault(v, "data.sst: tenant \"%.*s\": exemplars of series %u make no sense",
                         SLICE_ARG(key->tenant), key->id);
        return ERR_OK;
    }
    block_chunk_open(&reader, value, key->t_ms, &v->arena);
    while (block_chunk_next(&reader, &columns))
        v->report.sample_count += columns.count;
    v->report.chunk_count++;
    if (reader.err != ERR_OK)
        return fault(v, "data.sst: tenant \"%.*s\": the chunk of series %u at %lld makes no sense",
                     SLICE_ARG(key->tenant), key->id, (long long)key->t_ms);
    return ERR_OK;
}

static enum err verify_entry(struct verify *v, bool is_index, const struct sst_iter *iter)
{
    const struct slice key = sst_iter_key(iter);
    const struct slice value = sst_iter_value(iter);
    struct block_index_key index_key;
    struct block_data_key data_key;

    v->report.bytes += key.len + value.len;
    if (is_index)
        return block_key_parse_index(key, &v->text, &index_key)
                   ? verify_index_entry(v, &index_key, value)
                   : fault(v, "index.sst: a key makes no sense");
    return block_key_parse_data(key, &v->text, &data_key)
               ? verify_data_entry(v, &data_key, value)
               : fault(v, "data.sst: a key makes no sense");
}

static enum err verify_table(struct verify *v, struct sst_reader *table)
{
    struct sst_iter *iter = sst_iter_new(table);
    enum err err = ERR_OK;
    bool more = sst_iter_seek(iter, SLICE(""));

    while (more && err == ERR_OK) {
        err = verify_entry(v, table == v->block->index, iter);
        if (err == ERR_OK)
            err = progress(v);
        more = sst_iter_next(iter);
    }
    if (err == ERR_OK)
        err = sst_iter_err(iter, v->info);
    sst_iter_free(iter);
    return err;
}

static enum err verify_sums(struct verify *v)
{
    const struct block_meta *meta = &v->block->meta;
    const struct block_verify_report *found = &v->report;

    if (found->series_count == meta->series_count && v->chunk_count == meta->chunk_count &&
        v->sample_count == meta->sample_count && v->exemplar_count == meta->exemplar_count &&
        found->chunk_count == v->chunk_count && found->sample_count == v->sample_count &&
        found->exemplar_count == v->exemplar_count)
        return ERR_OK;
    return fault(v, "index, data and meta.json count differently");
}

enum err block_verify(struct block *block, const struct block_verify_options *options,
                      struct block_verify_report *report, struct err_info *info)
{
    struct verify v = {.block = block, .options = options, .info = info};
    enum err err = sst_reader_verify(block->index, info);

    if (err == ERR_OK)
        err = sst_reader_verify(block->data, info);
    buf_init(&v.text, BLOCK_KEY_SIZE_MAX);
    arena_init(&v.arena, NULL, 0);
    if (err == ERR_OK)
        err = verify_table(&v, block->index);
    if (err == ERR_OK)
        err = verify_table(&v, block->data);
    if (err == ERR_OK)
        err = verify_sums(&v);
    if (err == ERR_OK && v.report.fault_count > 0)
        err = ERR_CORRUPT;
    if (report != NULL)
        *report = v.report;
    arena_fini(&v.arena);
    buf_fini(&v.text);
    return err;
}
