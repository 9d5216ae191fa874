/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "storage/block_internal.h"

static void tenant_release(void *ptr)
{
    struct block_tenant *tenant = ptr;

    sst_iter_free(tenant->data);
    sst_iter_free(tenant->index);
    buf_fini(&tenant->key);
    buf_fini(&tenant->text);
    block_unref(tenant->block);
}

enum err block_tenant_iter_err(struct block_tenant *tenant, struct err_info *info)
{
    const enum err err = sst_iter_err(tenant->index, info);

    if (err != ERR_OK)
        err_prefix(info, "block %s", tenant->block->name);
    return err;
}

/* Puts the index iterator on the tenant's statistics. False: it has none, or an error. */
static bool seek_stats(struct block_tenant *tenant, enum err *err, struct err_info *info)
{
    *err = ERR_OK;
    block_key_index(&tenant->key, tenant->tenant, BLOCK_INDEX_STATS);
    if (tenant->key.err != ERR_OK)
        return false; /* longer than any tenant of a block */
    if (!sst_iter_seek(tenant->index, buf_slice(&tenant->key))) {
        *err = block_tenant_iter_err(tenant, info);
        return false;
    }
    return slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key));
}

static enum err stats_fail(struct block_tenant *tenant, enum err err, struct err_info *info)
{
    if (err == ERR_LIMIT)
        return err_set(info, err, "no memory for label names");
    return err_set(info, err, "block %s: statistics %s", tenant->block->name,
                   err == ERR_VERSION ? "of an unknown version" : "make no sense");
}

static enum err read_stats(struct block_tenant *tenant, struct err_info *info)
{
    struct block_stats_head head;
    enum err err;

    if (!seek_stats(tenant, &err, info))
        return err;
    err = block_stats_parse_head(sst_iter_value(tenant->index), &head);
    if (err != ERR_OK)
        return stats_fail(tenant, err, info);
    tenant->stats = arena_copy(tenant->ctx->arena, head.names);
    if (tenant->stats.data == NULL && head.names.len > 0)
        return stats_fail(tenant, ERR_LIMIT, info);
    tenant->series_count = (uint32_t)head.series_count;
    tenant->name_count = head.name_count;
    tenant->chunk_count = head.chunk_count;
    tenant->sample_count = head.sample_count;
    tenant->chunk_bytes = head.chunk_bytes;
    return ERR_OK;
}

enum err block_tenant_stats(struct block_tenant *tenant, struct block_stats *stats,
                            struct err_info *info)
{
    enum err err;

    *stats = (struct block_stats){0};
    if (!seek_stats(tenant, &err, info))
        return err;
    err = block_stats_parse(sst_iter_value(tenant->index), tenant->ctx->arena, stats);
    return err == ERR_OK ? ERR_OK : stats_fail(tenant, err, info);
}

enum err block_get_stats(struct block *block, struct source_ctx *ctx, struct block_stats *stats,
                         struct err_info *info)
{
    struct block_tenant *tenant;

    *stats = (struct block_stats){0};
    const enum err err = block_tenant_open(block, ctx, &tenant, info);
    return err == ERR_OK && tenant->series_count > 0 ? block_tenant_stats(tenant, stats, info)
                                                     : err;
}

enum err block_tenant_open(struct block *block, struct source_ctx *ctx, struct block_tenant **out,
                           struct err_info *info)
{
    struct block_tenant *tenant = ARENA_NEW(ctx->arena, struct block_tenant);

    if (tenant == NULL || arena_on_reset(ctx->arena, tenant_release, tenant) != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory to read a block");
    tenant->block = block_ref(block);
    tenant->ctx = ctx;
    tenant->tenant = ctx->tenant;
    tenant->index = sst_iter_new(block->index);
    buf_init(&tenant->key, BLOCK_KEY_SIZE_MAX);
    buf_init(&tenant->text, BLOCK_KEY_SIZE_MAX);
    *out = tenant;
    return read_stats(tenant, info);
}

struct block_name_iter block_name_iter_start(const struct block_tenant *tenant)
{
    return (struct block_name_iter){.rest = tenant->stats, .left = tenant->name_count};
}

bool block_name_iter_next(struct block_name_iter *iter, struct slice *name, uint64_t *value_count)
{
    struct block_stats_name next;

    if (iter->left == 0) {
        iter->is_bad = iter->rest.len != 0;
        return false;
    }
    iter->left--;
    if (!block_stats_take_name(&iter->rest, &next)) {
        iter->left = 0;
        iter->is_bad = true;
        return false;
    }
    *name = next.name;
    *value_count = next.value_count;
    return true;
}

enum err block_next_tenant(struct block *block, struct slice after, struct buf *tenant,
                           struct err_info *info)
{
    struct sst_iter *iter = sst_iter_new(block->index);
    struct block_index_key parsed;
    struct buf key, text;
    enum err err = ERR_END;

    buf_init(&key, BLOCK_KEY_SIZE_MAX);
    buf_init(&text, BLOCK_KEY_SIZE_MAX);
    if (after.data != NULL) {
        /* No kind is as high, so this lies behind all keys of the tenant. */
        block_key_put_text(&key, after);
        buf_add_byte(&key, (char)0xff);
    }
    if (!sst_iter_seek(iter, buf_slice(&key))) {
        const enum err iter_err = sst_iter_err(iter, info);

        if (iter_err != ERR_OK) {
            err_prefix(info, "block %s", block->name);
            err = iter_err;
        }
    } else if (block_key_parse_index(sst_iter_key(iter), &text, &parsed)) {
        /* Metadata lies behind all tenants and begins again with the first. */
        if (parsed.kind != BLOCK_INDEX_METADATA) {
            buf_reset(tenant);
            buf_add_slice(tenant, parsed.tenant);
            err = tenant->err;
        }
    } else {
        err = block_corrupt(block, info, "a key of the index makes no sense");
    }
    buf_fini(&text);
    buf_fini(&key);
    sst_iter_free(iter);
    return err;
}

/* ---- series records ---- */

enum err block_parse_labels(struct slice *rest, struct arena *arena, struct label_set *out)
{
    const struct slice all = *rest;
    struct label *items;
    uint64_t count;

    if (!varint_take_u64(rest, &count) || count > BLOCK_LABELS_MAX || count > rest->len)
        return ERR_CORRUPT;
    items = ARENA_ARRAY(arena, struct label, count);
    if (items == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++)
        if (!block_format_take_text(rest, &items[i].name) ||
            !block_format_take_text(rest, &items[i].value))
            return ERR_CORRUPT;
    /* One copy for all texts, then the slices moved over to it. */
    const struct slice copy = arena_copy(arena, slice_of(all.data, all.len - rest->len));
    if (copy.data == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        items[i].name.data = copy.data + (items[i].name.data - all.data);
        items[i].value.data = copy.data + (items[i].value.data - all.data);
    }
    *out = (struct label_set){items, (uint32_t)count};
    return ERR_OK;
}

static bool is_series_set(struct label_set labels)
{
    for (uint32_t i = 0; i < labels.count; i++)
        if (labels.items[i].name.len == 0 || labels.items[i].value.len == 0 ||
            (i > 0 && slice_cmp(labels.items[i - 1].name, labels.items[i].name) >= 0))
            return false;
    return true;
}

enum err block_parse_series(struct slice value, struct arena *arena, struct block_series *series)
{
    struct block_chunk_ref *chunks;
    int64_t t_before_ms = 0;
    uint64_t count;
    const enum err err = block_parse_labels(&value, arena, &series->labels);

    if (err != ERR_OK)
        return err;
    /* A chunk takes at least four bytes. */
    if (!is_series_set(series->labels) || !varint_take_u64(&value, &count) || count > value.len / 4)
        return ERR_CORRUPT;
    chunks = ARENA_ARRAY(arena, struct block_chunk_ref, count);
    if (chunks == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        if (!block_format_take_chunk(&value, &chunks[i], &t_before_ms) ||
            (i > 0 && chunks[i].t_min_ms <= chunks[i - 1].t_max_ms))
            return ERR_CORRUPT;
    }
    series->exemplar_count = 0;
    if (value.len != 0 &&
        (!varint_take_u64(&value, &series->exemplar_count) || series->exemplar_count == 0))
        return ERR_CORRUPT;
    if (value.len != 0 || (count == 0 && series->exemplar_count == 0))
        return ERR_CORRUPT;
    series->chunks = chunks;
    series->chunk_count = (uint32_t)count;
    return ERR_OK;
}

enum err block_read_series(struct block_tenant *tenant, uint32_t id, struct slice *value,
                           struct err_info *info)
{
    block_key_series(&tenant->key, tenant->tenant, id);
    if (!sst_iter_seek(tenant->index, buf_slice(&tenant->key))) {
        const enum err err = block_tenant_iter_err(tenant, info);

        return err != ERR_OK ? err : block_corrupt(tenant->block, info, "series %u is missing", id);
    }
    if (!slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key)))
        return block_corrupt(tenant->block, info, "series %u is missing", id);
    *value = sst_iter_value(tenant->index);
    return ERR_OK;
}
