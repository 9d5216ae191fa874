/* SPDX-License-Identifier: Apache-2.0 */

/* Exemplars of the present series, and metadata of all tenants: held in memory, sorted, written. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/block_writer_internal.h"

/* ---- exemplars ---- */

enum err block_writer_exemplar(struct block_writer *w, const struct exemplar *exemplar,
                               struct err_info *info)
{
    ASSERT(w->in_series);
    if (exemplar->labels.count > BLOCK_LABELS_MAX)
        return err_set(info, ERR_TOO_LARGE, "an exemplar has too many labels for a block");
    buf_reset(&w->value);
    block_format_put_exemplar(&w->value, exemplar);
    if (w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "an exemplar is too long for a block");
    if (w->exemplar_count == w->exemplar_cap) {
        w->exemplar_cap = w->exemplar_cap == 0 ? 64 : w->exemplar_cap * 2;
        w->exemplars = mem_realloc(w->exemplars, w->exemplar_cap * sizeof(*w->exemplars));
    }
    w->exemplars[w->exemplar_count] =
        (struct writer_exemplar){.t_ms = exemplar->t_ms,
                                 .rank = w->exemplar_count,
                                 .encoded = arena_copy(&w->exemplar_arena, buf_slice(&w->value))};
    w->exemplar_count++;
    return ERR_OK;
}

static int exemplar_order(const void *a, const void *b)
{
    const struct writer_exemplar *x = a;
    const struct writer_exemplar *y = b;

    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->rank < y->rank ? -1 : 1;
}

enum err block_writer_put_exemplars(struct block_writer *w, struct err_info *info)
{
    const uint32_t count = w->exemplar_count;
    int64_t before_ms = 0;

    if (count == 0)
        return ERR_OK;
    qsort(w->exemplars, count, sizeof(*w->exemplars), exemplar_order);
    buf_reset(&w->value);
    block_format_put_uint(&w->value, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct writer_exemplar *exemplar = &w->exemplars[i];
        const uint64_t gap = (uint64_t)exemplar->t_ms - (uint64_t)before_ms;

        block_format_put_uint(&w->value, varint_zigzag((int64_t)gap));
        buf_add_slice(&w->value, exemplar->encoded);
        before_ms = exemplar->t_ms;
    }
    block_key_exemplars(&w->key, buf_slice(&w->tenant), w->next_id);
    if (w->key.err != ERR_OK || w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a series has too many exemplars for a block");
    const enum err err = sst_writer_add(w->data, buf_slice(&w->key), buf_slice(&w->value), info);
    if (err != ERR_OK)
        return err;
    struct block_meta *meta = &w->meta;
    const int64_t first_ms = w->exemplars[0].t_ms;
    if (meta->exemplar_count == 0 || first_ms < meta->exemplar_t_min_ms)
        meta->exemplar_t_min_ms = first_ms;
    if (meta->exemplar_count == 0 || before_ms > meta->exemplar_t_max_ms)
        meta->exemplar_t_max_ms = before_ms;
    meta->exemplar_count += count;
    return ERR_OK;
}

/* ---- metadata ---- */

enum err block_writer_metadata(struct block_writer *w, struct slice tenant,
                               const struct metadata *metadata, struct err_info *info)
{
    buf_reset(&w->value);
    block_format_put_metadata(&w->value, metadata);
    block_key_metadata(&w->key, tenant, metadata->metric);
    if (w->value.err != ERR_OK || w->key.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "metadata of a metric is too long for a block");
    if (w->metadata_count == w->metadata_cap) {
        w->metadata_cap = w->metadata_cap == 0 ? 64 : w->metadata_cap * 2;
        w->metadata = mem_realloc(w->metadata, w->metadata_cap * sizeof(*w->metadata));
    }
    const struct writer_metadata *before =
        w->metadata_count == 0 ? NULL : &w->metadata[w->metadata_count - 1];
    w->metadata[w->metadata_count] =
        (struct writer_metadata){.tenant = before != NULL && slice_eq(before->tenant, tenant)
                                               ? before->tenant
                                               : arena_copy(&w->metadata_arena, tenant),
                                 .metric = arena_copy(&w->metadata_arena, metadata->metric),
                                 .encoded = arena_copy(&w->metadata_arena, buf_slice(&w->value))};
    w->metadata_count++;
    return ERR_OK;
}

static int metric_order(const struct writer_metadata *x, const struct writer_metadata *y)
{
    const int order = slice_cmp(x->tenant, y->tenant);

    return order != 0 ? order : slice_cmp(x->metric, y->metric);
}

static int metadata_order(const void *a, const void *b)
{
    const struct writer_metadata *x = a;
    const struct writer_metadata *y = b;
    const int order = metric_order(x, y);

    return order != 0 ? order : slice_cmp(x->encoded, y->encoded);
}

/* What is said of one metric: each thing once. */
static enum err put_metric(struct block_writer *w, const struct writer_metadata *items,
                           uint32_t count, struct err_info *info)
{
    uint32_t left = 1;

    for (uint32_t i = 1; i < count; i++)
        left += !slice_eq(items[i - 1].encoded, items[i].encoded);
    buf_reset(&w->value);
    block_format_put_uint(&w->value, left);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || !slice_eq(items[i - 1].encoded, items[i].encoded))
            buf_add_slice(&w->value, items[i].encoded);
    block_key_metadata(&w->key, items[0].tenant, items[0].metric);
    if (w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "metadata of a metric is too long for a block");
    return sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
}

enum err block_writer_put_metadata(struct block_writer *w, struct err_info *info)
{
    enum err err = ERR_OK;

    if (w->metadata_count == 0)
        return ERR_OK;
    qsort(w->metadata, w->metadata_count, sizeof(*w->metadata), metadata_order);
    for (uint32_t at = 0; at < w->metadata_count && err == ERR_OK;) {
        uint32_t end = at + 1;

        while (end < w->metadata_count && metric_order(&w->metadata[at], &w->metadata[end]) == 0)
            end++;
        err = put_metric(w, w->metadata + at, end - at, info);
        at = end;
    }
    return err;
}
