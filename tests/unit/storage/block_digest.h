/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A digest of all that a block answers of tenant "t". */

#include "storage/block.h"
#include "support/check.h"

/* A sum of all that a block answers; false if it answers anything with an error. */
struct digest {
    uint64_t sum;
};

static inline void digest_add(struct digest *digest, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        digest->sum = (digest->sum ^ bytes[i]) * UINT64_C(1099511628211);
    digest->sum = (digest->sum ^ size) * UINT64_C(1099511628211);
}

static inline void digest_u64(struct digest *digest, uint64_t v)
{
    digest_add(digest, &v, sizeof(v));
}

static inline enum err digest_text(void *owner, struct slice text)
{
    digest_add(owner, text.data, text.len);
    return ERR_OK;
}

static inline void digest_labels(struct digest *digest, struct label_set labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        (void)digest_text(digest, labels.items[i].name);
        (void)digest_text(digest, labels.items[i].value);
    }
}

static inline void digest_histogram(struct digest *digest, const struct histogram *h)
{
    const uint64_t numbers[] = {(uint64_t)(int64_t)h->schema,
                                (uint64_t)h->reset,
                                h->is_float,
                                sample_value_bits(h->zero_threshold),
                                sample_value_bits(h->sum),
                                h->i.count,
                                h->i.zero_count};

    digest_add(digest, numbers, sizeof(numbers));
    digest_add(digest, h->positive_spans, h->positive_span_count * sizeof(*h->positive_spans));
    digest_add(digest, h->negative_spans, h->negative_span_count * sizeof(*h->negative_spans));
    digest_add(digest, h->i.positive_deltas, h->positive_count * sizeof(int64_t));
    digest_add(digest, h->i.negative_deltas, h->negative_count * sizeof(int64_t));
    digest_add(digest, h->custom_values, h->custom_value_count * sizeof(double));
}

static inline enum err digest_samples(struct digest *digest, struct sample_cursor *cursor)
{
    static struct sample_columns columns;

    while (sample_cursor_next(cursor, &columns))
        for (uint32_t i = 0; i < columns.count; i++) {
            digest_u64(digest, (uint64_t)columns.t_ms[i]);
            if (columns.start_t_ms != NULL)
                digest_u64(digest, (uint64_t)columns.start_t_ms[i]);
            if (columns.kind == SAMPLE_FLOAT)
                digest_u64(digest, sample_value_bits(columns.v[i]));
            else
                digest_histogram(digest, columns.histograms[i]);
        }
    return cursor->err;
}

static inline enum err digest_series(struct digest *digest, struct source *source,
                                     struct source_ctx *ctx)
{
    struct series_stream *stream;
    struct source_series series;
    enum err err = source->ops->select(source, ctx, (struct matcher_list){0}, INT64_MIN, INT64_MAX,
                                       NULL, &stream, NULL);

    while (err == ERR_OK && series_stream_next(stream, &series)) {
        digest_labels(digest, series.labels);
        err = digest_samples(digest, series.cursor);
    }
    return err == ERR_OK ? stream->err : err;
}

static inline enum err digest_exemplar(void *owner, struct label_set series,
                                       const struct exemplar *exemplar)
{
    digest_labels(owner, series);
    digest_labels(owner, exemplar->labels);
    digest_u64(owner, sample_value_bits(exemplar->v));
    digest_u64(owner, (uint64_t)exemplar->t_ms * 2 + exemplar->has_t);
    return ERR_OK;
}

static inline enum err digest_metadata(void *owner, const struct metadata *metadata)
{
    (void)digest_text(owner, metadata->metric);
    (void)digest_text(owner, metadata->help);
    (void)digest_text(owner, metadata->unit);
    digest_u64(owner, metadata->type);
    return ERR_OK;
}

static inline enum err digest_stats(struct digest *digest, struct block *block,
                                    struct source_ctx *ctx)
{
    struct block_stats stats;
    const enum err err = block_get_stats(block, ctx, &stats, NULL);

    if (err != ERR_OK)
        return err;
    digest_u64(digest, stats.series_count ^ stats.chunk_count << 20 ^ stats.sample_count << 40);
    for (uint32_t i = 0; i < stats.name_count; i++) {
        (void)digest_text(digest, stats.names[i].name);
        digest_u64(digest, stats.names[i].value_count ^ stats.names[i].value_bytes << 32);
    }
    for (uint32_t i = 0; i < stats.metric_count; i++)
        (void)digest_text(digest, stats.metrics[i].value);
    for (uint32_t i = 0; i < stats.pair_count; i++) {
        (void)digest_text(digest, stats.pairs[i].value);
        digest_u64(digest, stats.pairs[i].series_count);
    }
    return ERR_OK;
}

static inline bool digest_block(struct block *block, struct digest *digest)
{
    struct source *source = block_source(block);
    const struct matcher_list all = {0};
    struct arena arena;

    arena_init(&arena, NULL, 256 << 20);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    digest->sum = UINT64_C(14695981039346656037);
    enum err err = digest_series(digest, source, &ctx);
    if (err == ERR_OK)
        err =
            source->ops->label_names(source, &ctx, all, INT64_MIN, INT64_MAX, digest_text, digest);
    if (err == ERR_OK)
        err = source->ops->label_values(source, &ctx, SLICE("__name__"), all, INT64_MIN, INT64_MAX,
                                        digest_text, digest);
    if (err == ERR_OK)
        err = source->ops->exemplars(source, &ctx, all, INT64_MIN, INT64_MAX, digest_exemplar,
                                     digest);
    if (err == ERR_OK)
        err = source->ops->metadata(source, &ctx, SLICE(""), digest_metadata, digest);
    if (err == ERR_OK)
        err = digest_stats(digest, block, &ctx);
    arena_fini(&arena);
    return err == ERR_OK;
}
