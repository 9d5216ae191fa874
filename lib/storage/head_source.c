/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "storage/head_ooo.h"
#include "storage/head_read.h"
#include "storage/merge_internal.h"

/* source.h over the head. A select registers a guard, which its arena's reset ends. */

enum { CHECK_EVERY = 256 }; /* series between two looks at the deadline */

struct head_stream {
    struct series_stream stream; /* first */
    struct head *head;
    struct source_ctx ctx;
    struct head_guard guard;
    struct head_read_list list;
    struct head_read_range range;
    struct merge_pool pool;
    enum source_projection projection;
    uint32_t next, given, limit;
};

static struct head *head_of(struct source *source)
{
    return CONTAINER_OF(source, struct head, source);
}

static bool stream_fail(struct head_stream *stream, enum err err)
{
    stream->stream.err =
        err_set(&stream->stream.info, err, "reading the newest samples: %s", err_text(err));
    return false;
}

static bool stream_next(struct series_stream *base, struct source_series *out)
{
    struct head_stream *stream = CONTAINER_OF(base, struct head_stream, stream);
    struct head *head = stream->head;

    if (base->err != ERR_OK || (stream->limit > 0 && stream->given == stream->limit))
        return false;
    while (stream->next < stream->list.count) {
        const struct head_read_series *series = &stream->list.items[stream->next++];
        struct sample_cursor *cursor;
        enum err err = ERR_OK;

        if (stream->next % CHECK_EVERY == 0)
            err = source_ctx_check(&stream->ctx);
        if (err == ERR_OK)
            err = head_read_open(head, series->slot, &stream->range, &stream->pool, &cursor);
        if (err != ERR_OK)
            return stream_fail(stream, err);
        if (cursor == NULL)
            continue;
        out->labels = head_read_labels(series, stream->ctx.arena);
        if (out->labels.items == NULL)
            return stream_fail(stream, ERR_LIMIT);
        out->hash = head_slab_of(head, series->slot)->cold[head_slab_index(series->slot)].hash;
        out->cursor = stream->projection == SOURCE_SERIES_ONLY ? NULL : cursor;
        stream->given++;
        return true;
    }
    return false;
}

static const struct series_stream_ops stream_ops = {.next = stream_next};

static void on_stream_reset(void *ptr)
{
    struct head_stream *stream = ptr;

    head_guard_leave(stream->head, &stream->guard, HEAD_GUARD_READER);
}

/* A stream of nothing, with its guard taken. NULL: no room. */
static struct head_stream *stream_new(struct head *head, const struct source_ctx *ctx)
{
    struct head_stream *stream = ARENA_NEW(ctx->arena, struct head_stream);

    if (stream == NULL)
        return NULL;
    stream->stream.ops = &stream_ops;
    stream->stream.coverage = (struct source_coverage){1, 1};
    stream->head = head;
    stream->ctx = *ctx;
    stream->pool.arena = ctx->arena;
    head_guard_enter(head, &stream->guard, HEAD_GUARD_READER);
    if (arena_on_reset(ctx->arena, on_stream_reset, stream) == ERR_OK)
        return stream;
    head_guard_leave(head, &stream->guard, HEAD_GUARD_READER);
    return NULL;
}

/* Leaves the slots of the hints' shard. */
static void keep_shard(const struct head *head, const struct source_hints *hints,
                       struct head_slots *slots)
{
    uint32_t kept = 0;

    if (hints == NULL || hints->shard_count == 0)
        return;
    for (uint32_t i = 0; i < slots->count; i++) {
        const uint32_t slot = slots->items[i];
        const struct hash128 hash = head_slab_of(head, slot)->cold[head_slab_index(slot)].hash;

        if (hash.lo % hints->shard_count == hints->shard_index)
            slots->items[kept++] = slot;
    }
    slots->count = kept;
}

static enum err source_select(struct source *source, struct source_ctx *ctx,
                              struct matcher_list matchers, int64_t t_min, int64_t t_max,
                              const struct source_hints *hints, struct series_stream **out,
                              struct err_info *info)
{
    struct head *head = head_of(source);
    struct head_tenant *tenant = head_tenant_find(head, ctx->tenant);
    struct head_stream *stream = stream_new(head, ctx);
    struct head_slots slots;
    enum err err = stream == NULL ? ERR_LIMIT : ERR_OK;

    if (err == ERR_OK && tenant != NULL) {
        stream->range = (struct head_read_range){.t_min_ms = t_min,
                                                 .t_max_ms = t_max,
                                                 .watermark = stream->guard.watermark,
                                                 .stats = ctx->stats};
        if (hints != NULL) {
            stream->limit = hints->limit;
            stream->projection = hints->projection;
        }
        err = head_index_select(&tenant->index, ctx->arena, matchers, &slots);
        if (err == ERR_OK) {
            keep_shard(head, hints, &slots);
            err = head_read_sort(&tenant->index, head, ctx->arena, &slots, &stream->list);
        }
    }
    if (err != ERR_OK)
        return err_set(info, err, "selecting series in memory: %s", err_text(err));
    *out = &stream->stream;
    return ERR_OK;
}

/* ---- label names and values ---- */

static int text_cmp(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Gives sorted texts, each once. */
static enum err texts_give(struct head_texts *texts, source_text_fn *fn, void *owner)
{
    enum err err = ERR_OK;

    if (texts->count > 1)
        qsort(texts->items, texts->count, sizeof(*texts->items), text_cmp);
    for (uint32_t i = 0; i < texts->count && err == ERR_OK; i++)
        if (i == 0 || !slice_eq(texts->items[i - 1], texts->items[i]))
            err = fn(owner, texts->items[i]);
    return err;
}

/* What is asked of the labels of some series. */
struct text_query {
    struct head *head;
    struct head_tenant *tenant;
    struct source_ctx *ctx;
    struct matcher_list matchers;
    const struct slice *name; /* its values; NULL: the names */
};

/* Adds the names, or the one value, of a series. Repeats of the text before are left out, which
 * makes few of many since neighbours are alike. */
static void texts_add_series(const struct text_query *query, uint32_t slot,
                             struct head_texts *texts)
{
    const struct series_cold *cold = &head_slab_of(query->head, slot)->cold[head_slab_index(slot)];
    const struct head_index *index = &query->tenant->index;

    for (uint32_t i = 0; i < cold->label_count; i++) {
        const struct label label = head_pair_label(index->pairs[cold->labels[i]]);
        const struct slice text = query->name != NULL ? label.value : label.name;

        if (query->name != NULL && !slice_eq(*query->name, label.name))
            continue;
        texts->items[texts->count++] = text;
    }
}

/* Sorts and drops repeats. */
static void texts_compact(struct head_texts *texts)
{
    uint32_t kept = 0;

    if (texts->count > 1)
        qsort(texts->items, texts->count, sizeof(*texts->items), text_cmp);
    for (uint32_t i = 0; i < texts->count; i++)
        if (kept == 0 || !slice_eq(texts->items[kept - 1], texts->items[i]))
            texts->items[kept++] = texts->items[i];
    texts->count = kept;
}

/* Names or values of the series that meet the matchers. */
static enum err texts_of_series(const struct text_query *query, struct head_texts *texts)
{
    struct arena *arena = query->ctx->arena;
    struct head_index *index = &query->tenant->index;
    struct head_slots slots;
    uint32_t cap = 1024;
    enum err err = head_index_select(index, arena, query->matchers, &slots);

    *texts = (struct head_texts){0};
    if (err != ERR_OK)
        return err;
    texts->items = ARENA_ARRAY(arena, struct slice, cap);
    if (texts->items == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < slots.count; i++) {
        const uint32_t slot = slots.items[i];
        const uint32_t more =
            head_slab_of(query->head, slot)->cold[head_slab_index(slot)].label_count;

        if (i % CHECK_EVERY == 0) {
            err = source_ctx_check(query->ctx);
            if (err != ERR_OK)
                return err;
        }
        if (texts->count + more > cap) {
            texts_compact(texts);
            while (texts->count + more > cap / 2) {
                texts->items = arena_grow(arena, texts->items, cap * sizeof(*texts->items),
                                          2 * (size_t)cap * sizeof(*texts->items));
                if (texts->items == NULL)
                    return ERR_LIMIT;
                cap *= 2;
            }
        }
        pthread_rwlock_rdlock(&index->lock);
        texts_add_series(query, slot, texts);
        pthread_rwlock_unlock(&index->lock);
    }
    return ERR_OK;
}

static bool range_meets(const struct head *head, int64_t t_min, int64_t t_max)
{
    return t_min <= atomic_load(&head->t_max_ms) && t_max >= head_t_min(head);
}

static enum err texts_query(struct text_query *query, source_text_fn *fn, void *owner)
{
    struct head_index *index;
    struct head_texts texts;
    enum err err;

    query->tenant = head_tenant_find(query->head, query->ctx->tenant);
    if (query->tenant == NULL)
        return ERR_OK;
    if (stream_new(query->head, query->ctx) == NULL) /* for its guard: texts are borrowed */
        return ERR_LIMIT;
    index = &query->tenant->index;
    if (query->matchers.count > 0)
        err = texts_of_series(query, &texts);
    else if (query->name != NULL)
        err = head_index_values(index, query->ctx->arena, *query->name, &texts);
    else
        err = head_index_names(index, query->ctx->arena, &texts);
    return err == ERR_OK ? texts_give(&texts, fn, owner) : err;
}

static enum err source_label_names(struct source *source, struct source_ctx *ctx,
                                   struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                   source_text_fn *fn, void *owner)
{
    struct text_query query = {.head = head_of(source), .ctx = ctx, .matchers = matchers};

    return range_meets(query.head, t_min, t_max) ? texts_query(&query, fn, owner) : ERR_OK;
}

static enum err source_label_values(struct source *source, struct source_ctx *ctx,
                                    struct slice name, struct matcher_list matchers, int64_t t_min,
                                    int64_t t_max, source_text_fn *fn, void *owner)
{
    struct text_query query = {
        .head = head_of(source), .ctx = ctx, .matchers = matchers, .name = &name};

    return range_meets(query.head, t_min, t_max) ? texts_query(&query, fn, owner) : ERR_OK;
}

/* ---- exemplars, metadata, estimates ---- */

/* Exemplars of one series, copied into scratch. */
static enum err series_exemplars(struct head *head, const struct head_read_series *series,
                                 const struct head_exemplar_range *range, struct arena *scratch,
                                 struct head_exemplar_list *list)
{
    const struct head_slab *slab = head_slab_of(head, series->slot);
    const uint32_t state = atomic_load(&slab->state[head_slab_index(series->slot)]);
    const struct head_ref ref = {series->slot, state & ~HEAD_STATE_DYING};

    arena_reset(scratch);
    return head_exemplars_get(head->exemplars, ref, range, scratch, list);
}

static enum err give_exemplars(struct head_stream *stream, const struct head_exemplar_range *range,
                               source_exemplar_fn *fn, void *owner)
{
    struct arena scratch;
    enum err err = ERR_OK;

    arena_init(&scratch, stream->ctx.budget, 0);
    for (uint32_t i = 0; i < stream->list.count && err == ERR_OK; i++) {
        const struct head_read_series *series = &stream->list.items[i];
        struct head_exemplar_list list;
        struct label_set labels;

        if (i % CHECK_EVERY == 0)
            err = source_ctx_check(&stream->ctx);
        if (err == ERR_OK)
            err = series_exemplars(stream->head, series, range, &scratch, &list);
        if (err != ERR_OK || list.count == 0)
            continue;
        labels = head_read_labels(series, &scratch);
        if (labels.items == NULL)
            err = ERR_LIMIT;
        for (uint32_t k = 0; k < list.count && err == ERR_OK; k++)
            err = fn(owner, labels, &list.items[k]);
    }
    arena_fini(&scratch);
    return err;
}

static enum err source_exemplars(struct source *source, struct source_ctx *ctx,
                                 struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                 source_exemplar_fn *fn, void *owner)
{
    struct head *head = head_of(source);
    struct head_tenant *tenant = head_tenant_find(head, ctx->tenant);
    struct head_exemplar_range range = {.t_min_ms = t_min, .t_max_ms = t_max};
    struct head_stream *stream;
    struct head_slots slots;
    enum err err;

    if (tenant == NULL)
        return ERR_OK;
    stream = stream_new(head, ctx);
    if (stream == NULL)
        return ERR_LIMIT;
    range.seq = stream->guard.watermark;
    err = head_index_select(&tenant->index, ctx->arena, matchers, &slots);
    if (err == ERR_OK)
        err = head_read_sort(&tenant->index, head, ctx->arena, &slots, &stream->list);
    return err != ERR_OK ? err : give_exemplars(stream, &range, fn, owner);
}

struct metadata_copies {
    struct arena *arena;
    struct metadata *items;
    uint32_t count, cap;
};

/* Copies, since the walk is under a lock. */
static enum err copy_metadata(void *owner, const struct metadata *said)
{
    struct metadata_copies *copies = owner;
    struct metadata *to;

    if (copies->count == copies->cap) {
        const uint32_t cap = copies->cap == 0 ? 64 : copies->cap * 2;

        copies->items =
            arena_grow(copies->arena, copies->items, copies->cap * sizeof(*to), cap * sizeof(*to));
        copies->cap = cap;
    }
    if (copies->items == NULL)
        return ERR_LIMIT;
    to = &copies->items[copies->count++];
    to->type = said->type;
    to->metric = arena_copy(copies->arena, said->metric);
    to->help = arena_copy(copies->arena, said->help);
    to->unit = arena_copy(copies->arena, said->unit);
    return copies->arena->err;
}

static int metadata_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct metadata *)a)->metric, ((const struct metadata *)b)->metric);
}

static enum err source_metadata(struct source *source, struct source_ctx *ctx, struct slice metric,
                                source_metadata_fn *fn, void *owner)
{
    struct head *head = head_of(source);
    const struct head_tenant *tenant = head_tenant_find(head, ctx->tenant);
    struct metadata_copies copies = {.arena = ctx->arena};
    enum err err;

    if (tenant == NULL)
        return ERR_OK;
    err = head_metadata_each(head->metadata, tenant->id, metric, copy_metadata, &copies);
    if (copies.count > 1)
        qsort(copies.items, copies.count, sizeof(*copies.items), metadata_cmp);
    for (uint32_t i = 0; i < copies.count && err == ERR_OK; i++)
        err = fn(owner, &copies.items[i]);
    return err;
}

static enum err source_estimate(struct source *source, struct source_ctx *ctx,
                                struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                struct source_estimate *estimate)
{
    const struct head *head = head_of(source);
    struct head_tenant *tenant = head_tenant_find(head_of(source), ctx->tenant);
    const int64_t from = head_t_min(head), to = atomic_load(&head->t_max_ms);
    const uint64_t series_all = atomic_load(&head->series_count);
    struct chunk_pool_stats pool;
    double share;

    *estimate = (struct source_estimate){0};
    if (tenant == NULL || !range_meets(head, t_min, t_max) || series_all == 0)
        return ERR_OK;
    t_min = t_min > from ? t_min : from;
    t_max = t_max < to ? t_max : to;
    chunk_pool_get_stats(head->chunks, &pool);
    estimate->series = head_index_estimate(&tenant->index, matchers);
    share = (double)estimate->series / (double)series_all * ((double)(t_max - t_min) + 1) /
            ((double)(to - from) + 1);
    estimate->samples = (uint64_t)((double)atomic_load(&head->sample_count) * share) + 1;
    estimate->bytes = (uint64_t)((double)pool.used_bytes * share) + 1;
    return ERR_OK;
}

const struct source_ops head_source_ops = {.select = source_select,
                                           .label_names = source_label_names,
                                           .label_values = source_label_values,
                                           .exemplars = source_exemplars,
                                           .metadata = source_metadata,
                                           .estimate = source_estimate};
