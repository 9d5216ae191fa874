/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/tombstone.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/source_query.h"

struct tombstone {
    _Atomic uint32_t ref_count;
    struct arena arena; /* texts and matchers */
    struct catalog_deletion deletion;
    struct matcher *matchers;
};

/* ---- tombstones ---- */

enum err tombstone_new(const struct catalog_deletion *deletion, struct tombstone **out,
                       struct err_info *info)
{
    struct tombstone *tombstone = mem_zalloc(1, sizeof(*tombstone));
    struct matcher_spec *specs;
    enum err err = ERR_OK;

    tombstone->ref_count = 1;
    arena_init(&tombstone->arena, NULL, 0);
    tombstone->deletion = *deletion;
    tombstone->deletion.tenant = arena_copy(&tombstone->arena, deletion->tenant);
    specs = ARENA_ARRAY(&tombstone->arena, struct matcher_spec, deletion->matcher_count);
    tombstone->matchers = ARENA_ARRAY(&tombstone->arena, struct matcher, deletion->matcher_count);
    for (uint32_t i = 0; i < deletion->matcher_count && err == ERR_OK; i++) {
        struct matcher *matcher = &tombstone->matchers[i];

        err = matcher_init(matcher, &tombstone->arena, &deletion->matchers[i], info);
        if (err == ERR_OK)
            specs[i] = (struct matcher_spec){matcher->type, matcher->name, matcher->value};
    }
    tombstone->deletion.matchers = specs;
    if (err != ERR_OK) {
        tombstone_unref(tombstone);
        return err;
    }
    *out = tombstone;
    return ERR_OK;
}

struct tombstone *tombstone_ref(struct tombstone *tombstone)
{
    atomic_fetch_add_explicit(&tombstone->ref_count, 1, memory_order_relaxed);
    return tombstone;
}

void tombstone_unref(struct tombstone *tombstone)
{
    if (tombstone == NULL ||
        atomic_fetch_sub_explicit(&tombstone->ref_count, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&tombstone->arena);
    mem_free(tombstone);
}

const struct catalog_deletion *tombstone_deletion(const struct tombstone *tombstone)
{
    return &tombstone->deletion;
}

struct matcher_list tombstone_matchers(const struct tombstone *tombstone)
{
    return (struct matcher_list){tombstone->matchers, tombstone->deletion.matcher_count};
}

/* ---- the source ---- */

struct range {
    int64_t t_min_ms, t_max_ms;
};

struct tombstone_source {
    struct source base;
    struct source *inner;
    struct tombstone_list tombstones;
};

struct tombstone_stream {
    struct series_stream base;
    struct series_stream *inner;
    struct source_ctx *ctx;
    const struct tombstone_source *source;
    int64_t t_min_ms, t_max_ms;
    uint32_t limit, given;
    bool series_only, one_at_a_time;
    struct arena series_arena; /* of the present series, with one_at_a_time */
};

struct tombstone_cursor {
    struct sample_cursor base;
    struct tombstone_stream *stream;
    struct sample_cursor *inner;
    struct range *ranges; /* deleted; apart from one another, rising */
    uint32_t range_count, range_at;
    int64_t *start_t_ms; /* of the batch given; NULL until one has start times */
};

static struct source_query query_of(struct source_ctx *ctx, int64_t t_min, int64_t t_max)
{
    return (struct source_query){.ctx = ctx, .t_min_ms = t_min, .t_max_ms = t_max};
}

static bool is_about(const struct tombstone *tombstone, const struct source_query *query)
{
    const struct catalog_deletion *deletion = &tombstone->deletion;

    return deletion->t_min_ms <= query->t_max_ms && deletion->t_max_ms >= query->t_min_ms &&
           slice_eq(deletion->tenant, query->ctx->tenant);
}

static bool any_is_about(const struct tombstone_source *source, const struct source_query *query)
{
    for (uint32_t i = 0; i < source->tombstones.count; i++)
        if (is_about(source->tombstones.items[i], query))
            return true;
    return false;
}

static bool meets(const struct tombstone *tombstone, struct label_set labels)
{
    return matcher_matches_set(tombstone->matchers, tombstone->deletion.matcher_count, labels);
}

/* ---- cursor ---- */

static int range_order(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;

    return (x->t_min_ms > y->t_min_ms) - (x->t_min_ms < y->t_min_ms);
}

/* Ranges that touch or overlap become one. */
static uint32_t join_ranges(struct range *ranges, uint32_t count)
{
    uint32_t kept = 0;

    qsort(ranges, count, sizeof(*ranges), range_order);
    for (uint32_t i = 1; i < count; i++) {
        if (ranges[i].t_min_ms > ranges[kept].t_max_ms)
            ranges[++kept] = ranges[i];
        else if (ranges[i].t_max_ms > ranges[kept].t_max_ms)
            ranges[kept].t_max_ms = ranges[i].t_max_ms;
    }
    return kept + 1;
}

static bool is_deleted(struct tombstone_cursor *cursor, int64_t t_ms)
{
    while (cursor->range_at < cursor->range_count &&
           cursor->ranges[cursor->range_at].t_max_ms < t_ms)
        cursor->range_at++;
    return cursor->range_at < cursor->range_count &&
           cursor->ranges[cursor->range_at].t_min_ms <= t_ms;
}

static struct arena *series_arena(struct tombstone_stream *stream)
{
    return stream->one_at_a_time ? &stream->series_arena : stream->ctx->arena;
}

/* Start times are borrowed from below, so those that stay move to memory of ours. */
static bool own_starts(struct tombstone_cursor *cursor, struct sample_columns *columns)
{
    if (columns->start_t_ms == NULL)
        return true;
    if (cursor->start_t_ms == NULL)
        cursor->start_t_ms = ARENA_ARRAY(series_arena(cursor->stream), int64_t, SOURCE_BATCH);
    if (cursor->start_t_ms == NULL)
        return false;
    memcpy(cursor->start_t_ms, columns->start_t_ms, columns->count * sizeof(int64_t));
    columns->start_t_ms = cursor->start_t_ms;
    return true;
}

static bool remove_deleted(struct tombstone_cursor *cursor, struct sample_columns *columns)
{
    uint32_t kept = 0;

    if (!own_starts(cursor, columns))
        return false;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (is_deleted(cursor, columns->t_ms[i]))
            continue;
        columns->t_ms[kept] = columns->t_ms[i];
        if (columns->start_t_ms != NULL)
            cursor->start_t_ms[kept] = cursor->start_t_ms[i];
        if (columns->kind == SAMPLE_FLOAT)
            columns->v[kept] = columns->v[i];
        else
            columns->histograms[kept] = columns->histograms[i];
        kept++;
    }
    columns->count = kept;
    return true;
}

static bool cursor_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct tombstone_cursor *cursor = CONTAINER_OF(base, struct tombstone_cursor, base);

    while (base->err == ERR_OK && sample_cursor_next(cursor->inner, columns)) {
        if (!remove_deleted(cursor, columns))
            base->err = ERR_LIMIT;
        else if (columns->count > 0)
            return true;
    }
    if (base->err == ERR_OK)
        base->err = cursor->inner->err;
    /* What a stream of streams looks for: the words of the one below. */
    if (base->err != ERR_OK && cursor->stream->base.err == ERR_OK) {
        cursor->stream->base.err = base->err;
        cursor->stream->base.info = cursor->stream->inner->info;
    }
    columns->count = 0;
    return false;
}

static void cursor_seek(struct sample_cursor *base, int64_t t_ms)
{
    sample_cursor_seek(CONTAINER_OF(base, struct tombstone_cursor, base)->inner, t_ms);
}

static const struct sample_cursor_ops tombstone_cursor_ops = {cursor_next, cursor_seek};

/* ---- stream ---- */

static bool stream_fail(struct tombstone_stream *stream, enum err err)
{
    if (stream->base.err == ERR_OK)
        stream->base.err = err;
    return false;
}

/* A cursor without what is deleted; *cursor is NULL if nothing of the series is. */
static bool make_cursor(struct tombstone_stream *stream, const struct source_series *series,
                        struct tombstone_cursor **out)
{
    const struct source_query query = query_of(stream->ctx, stream->t_min_ms, stream->t_max_ms);
    const struct tombstone_list *list = &stream->source->tombstones;
    struct tombstone_cursor *cursor;
    struct range *ranges;
    uint32_t count = 0;

    *out = NULL;
    for (uint32_t i = 0; i < list->count; i++)
        count += is_about(list->items[i], &query) && meets(list->items[i], series->labels);
    if (count == 0)
        return true;
    cursor = ARENA_NEW(series_arena(stream), struct tombstone_cursor);
    ranges = ARENA_ARRAY(series_arena(stream), struct range, count);
    if (cursor == NULL || ranges == NULL)
        return stream_fail(stream, ERR_LIMIT);
    count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct catalog_deletion *deletion = &list->items[i]->deletion;

        if (is_about(list->items[i], &query) && meets(list->items[i], series->labels))
            ranges[count++] = (struct range){deletion->t_min_ms, deletion->t_max_ms};
    }
    cursor->base.ops = &tombstone_cursor_ops;
    cursor->stream = stream;
    cursor->inner = series->cursor;
    cursor->ranges = ranges;
    cursor->range_count = join_ranges(ranges, count);
    *out = cursor;
    return true;
}

/* Whether the series has a sample left; for a caller who wants no samples. */
static bool has_sample(struct tombstone_stream *stream, struct tombstone_cursor *cursor)
{
    struct sample_columns columns;

    if (sample_cursor_next(&cursor->base, &columns))
        return true;
    return cursor->base.err == ERR_OK ? false : stream_fail(stream, cursor->base.err);
}

static bool stream_next(struct series_stream *base, struct source_series *out)
{
    struct tombstone_stream *stream = CONTAINER_OF(base, struct tombstone_stream, base);
    struct tombstone_cursor *cursor;

    if (stream->limit != 0 && stream->given >= stream->limit)
        return false;
    while (base->err == ERR_OK && series_stream_next(stream->inner, out)) {
        if (stream->one_at_a_time)
            arena_reset(&stream->series_arena);
        if (!make_cursor(stream, out, &cursor))
            return false;
        if (stream->series_only && cursor != NULL && !has_sample(stream, cursor))
            continue;
        if (stream->series_only)
            out->cursor = NULL;
        else if (cursor != NULL)
            out->cursor = &cursor->base;
        stream->given++;
        return true;
    }
    if (base->err == ERR_OK && stream->inner->err != ERR_OK) {
        base->err = stream->inner->err;
        base->info = stream->inner->info;
    }
    return false;
}

static const struct series_stream_ops tombstone_stream_ops = {stream_next};

static void release_series_arena(void *ptr)
{
    arena_fini(ptr);
}

static enum err on_select(struct source *base, struct source_ctx *ctx, struct matcher_list matchers,
                          int64_t t_min, int64_t t_max, const struct source_hints *hints,
                          struct series_stream **out, struct err_info *info)
{
    const struct tombstone_source *source = CONTAINER_OF(base, struct tombstone_source, base);
    const struct source_query query = query_of(ctx, t_min, t_max);
    struct source_hints inner_hints = hints == NULL ? (struct source_hints){0} : *hints;
    struct tombstone_stream *stream;

    if (!any_is_about(source, &query))
        return source->inner->ops->select(source->inner, ctx, matchers, t_min, t_max, hints, out,
                                          info);
    stream = ARENA_NEW(ctx->arena, struct tombstone_stream);
    if (stream == NULL)
        return err_set(info, ERR_LIMIT, "no memory to read a block with deletions");
    arena_init(&stream->series_arena, ctx->budget, 0);
    if (arena_on_reset(ctx->arena, release_series_arena, &stream->series_arena) != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory to read a block with deletions");
    stream->base.ops = &tombstone_stream_ops;
    stream->ctx = ctx;
    stream->source = source;
    stream->t_min_ms = t_min;
    stream->t_max_ms = t_max;
    stream->limit = inner_hints.limit;
    stream->series_only = inner_hints.projection == SOURCE_SERIES_ONLY;
    stream->one_at_a_time = inner_hints.one_at_a_time;
    /* Whether a series is still one only its samples tell. */
    inner_hints.limit = 0;
    if (stream->series_only)
        inner_hints.projection = SOURCE_HISTOGRAM_STATS;
    const enum err err = source->inner->ops->select(source->inner, ctx, matchers, t_min, t_max,
                                                    &inner_hints, &stream->inner, info);
    if (err != ERR_OK)
        return err;
    stream->base.coverage = stream->inner->coverage;
    *out = &stream->base;
    return ERR_OK;
}

/* ---- the rest of a source ---- */

bool tombstone_list_has(struct tombstone_list tombstones, struct slice tenant,
                        struct label_set labels, int64_t t_ms)
{
    for (uint32_t i = 0; i < tombstones.count; i++) {
        const struct catalog_deletion *deletion = &tombstones.items[i]->deletion;

        if (t_ms >= deletion->t_min_ms && t_ms <= deletion->t_max_ms &&
            slice_eq(deletion->tenant, tenant) && meets(tombstones.items[i], labels))
            return true;
    }
    return false;
}

static enum err on_label_names(struct source *base, struct source_ctx *ctx,
                               struct matcher_list matchers, int64_t t_min, int64_t t_max,
                               source_text_fn *fn, void *owner)
{
    struct source *inner = CONTAINER_OF(base, struct tombstone_source, base)->inner;

    return inner->ops->label_names(inner, ctx, matchers, t_min, t_max, fn, owner);
}

static enum err on_label_values(struct source *base, struct source_ctx *ctx, struct slice name,
                                struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                source_text_fn *fn, void *owner)
{
    struct source *inner = CONTAINER_OF(base, struct tombstone_source, base)->inner;

    return inner->ops->label_values(inner, ctx, name, matchers, t_min, t_max, fn, owner);
}

struct exemplar_filter {
    const struct tombstone_source *source;
    struct slice tenant;
    source_exemplar_fn *fn;
    void *owner;
};

static enum err filter_exemplar(void *owner, struct label_set labels,
                                const struct exemplar *exemplar)
{
    const struct exemplar_filter *filter = owner;

    if (tombstone_list_has(filter->source->tombstones, filter->tenant, labels, exemplar->t_ms))
        return ERR_OK;
    return filter->fn(filter->owner, labels, exemplar);
}

static enum err on_exemplars(struct source *base, struct source_ctx *ctx,
                             struct matcher_list matchers, int64_t t_min, int64_t t_max,
                             source_exemplar_fn *fn, void *owner)
{
    const struct tombstone_source *source = CONTAINER_OF(base, struct tombstone_source, base);
    struct exemplar_filter filter = {source, ctx->tenant, fn, owner};

    return source->inner->ops->exemplars(source->inner, ctx, matchers, t_min, t_max,
                                         filter_exemplar, &filter);
}

static enum err on_metadata(struct source *base, struct source_ctx *ctx, struct slice metric,
                            source_metadata_fn *fn, void *owner)
{
    struct source *inner = CONTAINER_OF(base, struct tombstone_source, base)->inner;

    return inner->ops->metadata(inner, ctx, metric, fn, owner);
}

static enum err on_estimate(struct source *base, struct source_ctx *ctx,
                            struct matcher_list matchers, int64_t t_min, int64_t t_max,
                            struct source_estimate *estimate)
{
    struct source *inner = CONTAINER_OF(base, struct tombstone_source, base)->inner;

    return inner->ops->estimate(inner, ctx, matchers, t_min, t_max, estimate);
}

static const struct source_ops tombstone_source_ops = {
    .select = on_select,
    .label_names = on_label_names,
    .label_values = on_label_values,
    .exemplars = on_exemplars,
    .metadata = on_metadata,
    .estimate = on_estimate,
};

struct source *tombstone_source_new(struct arena *arena, struct source *inner,
                                    struct tombstone_list tombstones)
{
    struct tombstone_source *source = ARENA_NEW(arena, struct tombstone_source);

    if (source == NULL)
        return NULL;
    source->base.ops = &tombstone_source_ops;
    source->inner = inner;
    source->tombstones = tombstones;
    return &source->base;
}
