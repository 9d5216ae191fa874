/* SPDX-License-Identifier: Apache-2.0 */

/* Exemplars and metadata of a block. */

#include "base/endian.h"
#include "storage/block_internal.h"

/* ---- exemplars ---- */

static enum err take_exemplar(struct slice *rest, int64_t *t_ms, struct arena *arena,
                              struct exemplar *out)
{
    int64_t gap;

    if (!varint_take_i64(rest, &gap) || rest->len < 9 || (uint8_t)rest->data[0] > 1)
        return ERR_CORRUPT;
    *t_ms = (int64_t)((uint64_t)*t_ms + (uint64_t)gap);
    out->t_ms = *t_ms;
    out->has_t = rest->data[0] != 0;
    out->v = sample_value_from_bits(endian_get_u64le(rest->data + 1));
    *rest = slice_skip(*rest, 9);
    return block_parse_labels(rest, arena, &out->labels);
}

enum err block_walk_exemplars(struct slice value, const struct block_exemplar_walk *walk,
                              struct arena *arena)
{
    int64_t t_ms = 0;
    uint64_t count;

    if (!varint_take_u64(&value, &count) || count == 0)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        const int64_t before_ms = t_ms;
        struct exemplar exemplar;

        arena_reset(arena);
        enum err err = take_exemplar(&value, &t_ms, arena, &exemplar);
        if (err == ERR_OK && i > 0 && t_ms < before_ms)
            err = ERR_CORRUPT;
        if (err == ERR_OK && t_ms >= walk->t_min_ms && t_ms <= walk->t_max_ms)
            err = walk->fn(walk->owner, walk->series, &exemplar);
        if (err != ERR_OK)
            return err;
    }
    return value.len == 0 ? ERR_OK : ERR_CORRUPT;
}

static enum err series_exemplars(struct block_tenant *tenant, uint32_t id,
                                 struct block_exemplar_walk *walk, struct arena scratch[2])
{
    struct block_series series;
    struct slice value;

    arena_reset(&scratch[0]);
    enum err err = block_read_series(tenant, id, &value, NULL);
    if (err == ERR_OK)
        err = block_parse_series(value, &scratch[0], &series);
    if (err != ERR_OK || series.exemplar_count == 0)
        return err;
    if (tenant->data == NULL)
        tenant->data = sst_iter_new(tenant->block->data);
    block_key_exemplars(&tenant->key, tenant->tenant, id);
    err = block_seek(tenant->data, buf_slice(&tenant->key), NULL);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    walk->series = series.labels;
    return block_walk_exemplars(sst_iter_value(tenant->data), walk, &scratch[1]);
}

enum err block_exemplars(struct block *block, const struct source_query *query,
                         source_exemplar_fn *fn, void *owner)
{
    const struct block_meta *meta = &block->meta;
    struct block_exemplar_walk walk = {
        .t_min_ms = query->t_min_ms, .t_max_ms = query->t_max_ms, .fn = fn, .owner = owner};
    struct block_tenant *tenant;
    struct arena scratch[2];
    struct postings *ids;
    const uint32_t *list;
    uint32_t count;

    if (meta->exemplar_count == 0 || meta->exemplar_t_min_ms > query->t_max_ms ||
        meta->exemplar_t_max_ms < query->t_min_ms)
        return ERR_OK;
    enum err err = block_tenant_open(block, query->ctx, &tenant, NULL);
    if (err != ERR_OK || tenant->series_count == 0)
        return err;
    err = block_match(tenant, query->matchers, &ids, NULL);
    if (err == ERR_OK)
        err = postings_ids(ids, query->ctx->arena, &list, &count);
    arena_init(&scratch[0], query->ctx->budget, 0);
    arena_init(&scratch[1], query->ctx->budget, 0);
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        err = source_ctx_check(query->ctx);
        if (err == ERR_OK)
            err = series_exemplars(tenant, list[i], &walk, scratch);
    }
    arena_fini(&scratch[0]);
    arena_fini(&scratch[1]);
    return err;
}

struct block_exemplar_iter {
    struct block_tenant *tenant;
    struct label_set labels; /* of the present series */
    uint32_t id, next_id;
    bool has_position;       /* the index iterator is on `id` */
    struct arena scratch[2]; /* the present series; one exemplar */
};

static void exemplar_iter_release(void *ptr)
{
    struct block_exemplar_iter *iter = ptr;

    arena_fini(&iter->scratch[0]);
    arena_fini(&iter->scratch[1]);
}

enum err block_exemplar_iter_open(struct block *block, struct source_ctx *ctx,
                                  struct block_exemplar_iter **out, struct err_info *info)
{
    struct block_exemplar_iter *iter = ARENA_NEW(ctx->arena, struct block_exemplar_iter);

    if (iter == NULL)
        return err_set(info, ERR_LIMIT, "no memory for exemplars");
    arena_init(&iter->scratch[0], ctx->budget, 0);
    arena_init(&iter->scratch[1], ctx->budget, 0);
    if (arena_on_reset(ctx->arena, exemplar_iter_release, iter) != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory for exemplars");
    *out = iter;
    return block_tenant_open(block, ctx, &iter->tenant, info);
}

/* The record of the next series: a step further in the table, as a rule. */
static enum err exemplar_iter_read(struct block_exemplar_iter *iter, struct slice *value,
                                   struct err_info *info)
{
    struct block_tenant *tenant = iter->tenant;

    if (iter->has_position && sst_iter_next(tenant->index)) {
        block_key_series(&tenant->key, tenant->tenant, iter->id);
        if (slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key))) {
            *value = sst_iter_value(tenant->index);
            return ERR_OK;
        }
    }
    return block_read_series(tenant, iter->id, value, info);
}

enum err block_exemplar_iter_next(struct block_exemplar_iter *iter, struct label_set *labels,
                                  struct err_info *info)
{
    struct block_tenant *tenant = iter->tenant;

    if (tenant->block->meta.exemplar_count == 0)
        return ERR_END;
    while (iter->next_id < tenant->series_count) {
        struct block_series series;
        struct slice value;

        iter->id = iter->next_id++;
        enum err err = exemplar_iter_read(iter, &value, info);
        if (err != ERR_OK)
            return err;
        iter->has_position = true;
        arena_reset(&iter->scratch[0]);
        err = block_parse_series(value, &iter->scratch[0], &series);
        if (err == ERR_CORRUPT)
            return block_corrupt(tenant->block, info, "series %u makes no sense", iter->id);
        if (err != ERR_OK)
            return err;
        if (series.exemplar_count == 0)
            continue;
        iter->labels = *labels = series.labels;
        return ERR_OK;
    }
    return ERR_END;
}

enum err block_exemplar_iter_walk(struct block_exemplar_iter *iter, source_exemplar_fn *fn,
                                  void *owner)
{
    struct block_tenant *tenant = iter->tenant;
    const struct block_exemplar_walk walk = {.series = iter->labels,
                                             .t_min_ms = INT64_MIN,
                                             .t_max_ms = INT64_MAX,
                                             .fn = fn,
                                             .owner = owner};

    if (tenant->data == NULL)
        tenant->data = sst_iter_new(tenant->block->data);
    block_key_exemplars(&tenant->key, tenant->tenant, iter->id);
    const enum err err = block_seek(tenant->data, buf_slice(&tenant->key), NULL);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    return block_walk_exemplars(sst_iter_value(tenant->data), &walk, &iter->scratch[1]);
}

/* ---- metadata ---- */

enum err block_walk_metadata(struct slice value, struct slice metric, source_metadata_fn *fn,
                             void *owner)
{
    uint64_t count;

    if (!varint_take_u64(&value, &count) || count == 0)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        struct metadata metadata = {.metric = metric};

        if (value.len == 0 || (uint8_t)value.data[0] > METRIC_TYPE_STATESET)
            return ERR_CORRUPT;
        metadata.type = (enum metric_type)value.data[0];
        value = slice_skip(value, 1);
        if (!block_format_take_text(&value, &metadata.unit) ||
            !block_format_take_text(&value, &metadata.help))
            return ERR_CORRUPT;
        const enum err err = fn(owner, &metadata);
        if (err != ERR_OK)
            return err;
    }
    return value.len == 0 ? ERR_OK : ERR_CORRUPT;
}

static enum err walk_metrics(struct block *block, struct sst_iter *iter, struct slice prefix,
                             source_metadata_fn *fn, void *owner)
{
    struct block_index_key key;
    enum err err = ERR_OK;
    struct buf text;

    buf_init(&text, BLOCK_KEY_SIZE_MAX);
    bool more = sst_iter_seek(iter, prefix);
    while (more && err == ERR_OK && slice_has_prefix(sst_iter_key(iter), prefix)) {
        if (!block_key_parse_index(sst_iter_key(iter), &text, &key))
            err = block_corrupt(block, NULL, "a key of the index makes no sense");
        else
            err = block_walk_metadata(sst_iter_value(iter), key.name, fn, owner);
        if (err == ERR_OK)
            more = sst_iter_next(iter);
    }
    buf_fini(&text);
    return err == ERR_OK && !more ? sst_iter_err(iter, NULL) : err;
}

enum err block_metadata(struct block *block, const struct source_query *query,
                        source_metadata_fn *fn, void *owner)
{
    struct sst_iter *iter = sst_iter_new(block->index);
    struct buf key;
    enum err err;

    buf_init(&key, BLOCK_KEY_SIZE_MAX);
    block_key_metadata_tenant(&key, query->ctx->tenant);
    if (query->name.len > 0)
        block_key_put_text(&key, query->name);
    err = key.err != ERR_OK ? ERR_OK /* longer than any of a block */
                            : walk_metrics(block, iter, buf_slice(&key), fn, owner);
    buf_fini(&key);
    sst_iter_free(iter);
    return err;
}
