/* SPDX-License-Identifier: Apache-2.0 */

/* Head and blocks as one source: each call pins the head, takes the list of live blocks, and merges
 * those that the time range touches. Pin and list end with the caller's arena, after the streams
 * (hooks run last first). */

#include "storage/db_internal.h"
#include "storage/merge.h"

static void release_pin(void *ptr)
{
    head_pin_free(ptr);
}

static void release_blocks(void *ptr)
{
    db_blocks_unref(ptr);
}

static bool overlaps(const struct db_live *live, const struct source_query *query)
{
    const struct block_meta *meta = block_get_meta(live->block);

    return meta->t_min_ms <= query->t_max_ms && meta->t_max_ms >= query->t_min_ms;
}

/* A warning for each block that the answer should have and that could not be opened. */
static void warn_of_missing(const struct db *db, const struct source_query *query)
{
    for (uint32_t i = 0; query->ctx->annotations != NULL && i < db->missing_count; i++) {
        const struct db_missing *missing = &db->missing[i];

        if (missing->t_min_ms > query->t_max_ms || missing->t_max_ms < query->t_min_ms ||
            (missing->tenant[0] != '\0' &&
             !slice_eq(query->ctx->tenant, slice_from_cstr(missing->tenant))))
            continue;
        annotations_add(query->ctx->annotations, true, slice_from_cstr(missing->text));
    }
}

/* The sources of one call. */
static enum err gather(struct db *db, const struct source_query *query, struct merge_list *list)
{
    struct arena *arena = query->ctx->arena;
    struct head_pin *pin = head_pin_new(db->head);
    enum err err = arena_on_reset(arena, release_pin, pin);

    if (err != ERR_OK) {
        head_pin_free(pin);
        return err;
    }
    struct db_blocks *blocks = db_blocks_get(db);
    err = arena_on_reset(arena, release_blocks, blocks);
    if (err != ERR_OK) {
        db_blocks_unref(blocks);
        return err;
    }
    struct source **sources = ARENA_ARRAY(arena, struct source *, (size_t)blocks->count + 1);
    if (sources == NULL)
        return ERR_LIMIT;
    list->items = sources;
    warn_of_missing(db, query);
    sources[list->count++] = head_source(db->head);
    for (uint32_t i = 0; i < blocks->count; i++) {
        const struct db_live *live = &blocks->items[i];
        const struct tombstone_list tombstones = {live->tombstones, live->tombstone_count};

        if (!overlaps(live, query))
            continue;
        sources[list->count] =
            live->tombstone_count == 0
                ? block_source(live->block)
                : tombstone_source_new(arena, block_source(live->block), tombstones);
        if (sources[list->count++] == NULL)
            return ERR_LIMIT;
    }
    return ERR_OK;
}

static enum err on_select(struct source *source, struct source_ctx *ctx,
                          struct matcher_list matchers, int64_t t_min, int64_t t_max,
                          const struct source_hints *hints, struct series_stream **stream,
                          struct err_info *info)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max, .hints = hints};
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    const enum err err = gather(db, &query, &list);

    if (err != ERR_OK)
        return err_set(info, err, "no memory for the sources of a query");
    return merge_select(list, &query, stream, info);
}

static enum err on_label_names(struct source *source, struct source_ctx *ctx,
                               struct matcher_list matchers, int64_t t_min, int64_t t_max,
                               source_text_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    const enum err err = gather(db, &query, &list);

    return err != ERR_OK ? err : merge_label_names(list, &query, fn, owner);
}

static enum err on_label_values(struct source *source, struct source_ctx *ctx, struct slice name,
                                struct matcher_list matchers, int64_t t_min, int64_t t_max,
                                source_text_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max, .name = name};
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    const enum err err = gather(db, &query, &list);

    return err != ERR_OK ? err : merge_label_values(list, &query, fn, owner);
}

static enum err on_exemplars(struct source *source, struct source_ctx *ctx,
                             struct matcher_list matchers, int64_t t_min, int64_t t_max,
                             source_exemplar_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};
    /* Exemplars may lie outside the times of their block's samples: each block knows. */
    struct source_query anywhere = query;
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    enum err err;

    anywhere.t_min_ms = INT64_MIN;
    anywhere.t_max_ms = INT64_MAX;
    err = gather(db, &anywhere, &list);
    return err != ERR_OK ? err : merge_exemplars(list, &query, fn, owner);
}

static enum err on_metadata(struct source *source, struct source_ctx *ctx, struct slice metric,
                            source_metadata_fn *fn, void *owner)
{
    const struct source_query query = {
        .ctx = ctx, .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX, .name = metric};
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    const enum err err = gather(db, &query, &list);

    return err != ERR_OK ? err : merge_metadata(list, &query, fn, owner);
}

static enum err on_estimate(struct source *source, struct source_ctx *ctx,
                            struct matcher_list matchers, int64_t t_min, int64_t t_max,
                            struct source_estimate *estimate)
{
    const struct source_query query = {
        .ctx = ctx, .matchers = matchers, .t_min_ms = t_min, .t_max_ms = t_max};
    struct db *db = CONTAINER_OF(source, struct db, source);
    struct merge_list list = {0};
    const enum err err = gather(db, &query, &list);

    return err != ERR_OK ? err : merge_estimate(list, &query, estimate);
}

const struct source_ops db_read_ops = {
    .select = on_select,
    .label_names = on_label_names,
    .label_values = on_label_values,
    .exemplars = on_exemplars,
    .metadata = on_metadata,
    .estimate = on_estimate,
};
