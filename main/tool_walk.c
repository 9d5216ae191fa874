/* SPDX-License-Identifier: Apache-2.0 */
#include "main/tool_walk.h"

#include <string.h>

struct texts {
    struct arena *arena; /* borrowed */
    struct slice *items;
    uint32_t count, cap;
};

struct walking {
    const struct tool_walk *walk;
    struct arena names_arena, values_arena, arena;
    struct matcher *matchers; /* of the only selector, then of the names gone through */
    uint32_t matcher_count;
};

static struct source_ctx ctx_of(const struct walking *walking, struct arena *arena)
{
    return (struct source_ctx){.tenant = walking->walk->tenant, .arena = arena};
}

static enum err add_text(void *owner, struct slice text)
{
    struct texts *texts = owner;

    if (texts->count == texts->cap) {
        const uint32_t cap = texts->cap == 0 ? 64 : texts->cap * 2;

        texts->items = arena_grow(texts->arena, texts->items, texts->cap * sizeof(*texts->items),
                                  cap * sizeof(*texts->items));
        texts->cap = cap;
    }
    texts->items[texts->count++] = arena_copy(texts->arena, text);
    return ERR_OK;
}

static bool is_wanted(const struct tool_walk *walk, struct label_set labels)
{
    if (walk->selector_count < 2) /* a single one is among the matchers */
        return true;
    for (uint32_t i = 0; i < walk->selector_count; i++)
        if (matcher_matches_set(walk->selectors[i].items, walk->selectors[i].count, labels))
            return true;
    return false;
}

static enum err walk_stream(struct walking *walking, struct series_stream *stream,
                            struct err_info *info)
{
    const struct tool_walk *walk = walking->walk;
    struct source_series series;

    while (series_stream_next(stream, &series)) {
        if (!is_wanted(walk, series.labels))
            continue;
        const enum err err = walk->fn(walk->owner, series.labels, series.cursor, info);
        if (err != ERR_OK)
            return err;
        if (series.cursor != NULL && series.cursor->err != ERR_OK)
            return err_set(info, series.cursor->err, "%s",
                           err_message(series.cursor->err, &stream->info));
    }
    return stream->err == ERR_OK
               ? ERR_OK
               : err_set(info, stream->err, "%s", err_message(stream->err, &stream->info));
}

static enum err walk_piece(struct walking *walking, uint32_t matcher_count, struct err_info *info)
{
    const struct tool_walk *walk = walking->walk;
    const struct source_hints hints = {.projection =
                                           walk->series_only ? SOURCE_SERIES_ONLY : SOURCE_ALL};
    const struct matcher_list matchers = {walking->matchers, matcher_count};
    struct source_ctx ctx = ctx_of(walking, &walking->arena);
    struct series_stream *stream;

    enum err err = walk->source->ops->select(walk->source, &ctx, matchers, walk->t_min_ms,
                                             walk->t_max_ms, &hints, &stream, info);
    if (err == ERR_OK)
        err = walk_stream(walking, stream, info);
    arena_reset(&walking->arena);
    return err;
}

/* Whether any series has none of the names gone through. */
static enum err has_more(struct walking *walking, bool *more, struct err_info *info)
{
    const struct tool_walk *walk = walking->walk;
    const struct source_hints hints = {.projection = SOURCE_SERIES_ONLY, .limit = 1};
    const struct matcher_list matchers = {walking->matchers, walking->matcher_count};
    struct source_ctx ctx = ctx_of(walking, &walking->arena);
    struct source_series series;
    struct series_stream *stream;

    enum err err = walk->source->ops->select(walk->source, &ctx, matchers, walk->t_min_ms,
                                             walk->t_max_ms, &hints, &stream, info);
    *more = err == ERR_OK && series_stream_next(stream, &series);
    if (err == ERR_OK && stream->err != ERR_OK)
        err = err_set(info, stream->err, "%s", err_message(stream->err, &stream->info));
    arena_reset(&walking->arena);
    return err;
}

static enum err set_equal(struct matcher *matcher, struct arena *arena, struct slice name,
                          struct slice value)
{
    return matcher_init(matcher, arena, &(struct matcher_spec){MATCHER_EQUAL, name, value}, NULL);
}

static enum err walk_name(struct walking *walking, struct slice name, struct err_info *info)
{
    const struct tool_walk *walk = walking->walk;
    const struct matcher_list matchers = {walking->matchers, walking->matcher_count};
    struct matcher *matcher = &walking->matchers[walking->matcher_count];
    struct source_ctx ctx = ctx_of(walking, &walking->arena);
    struct texts values = {.arena = &walking->values_arena};

    enum err err = walk->source->ops->label_values(
        walk->source, &ctx, name, matchers, walk->t_min_ms, walk->t_max_ms, add_text, &values);
    arena_reset(&walking->arena);
    if (err != ERR_OK)
        return err_set(info, err, "reading label values: %s", err_text(err));
    for (uint32_t i = 0; i < values.count && err == ERR_OK; i++) {
        err = set_equal(matcher, &walking->values_arena, name, values.items[i]);
        if (err == ERR_OK)
            err = walk_piece(walking, walking->matcher_count + 1, info);
    }
    arena_reset(&walking->values_arena);
    if (err == ERR_OK)
        err = set_equal(matcher, &walking->names_arena, name, SLICE(""));
    walking->matcher_count++;
    return err;
}

static enum err walk_names(struct walking *walking, struct err_info *info)
{
    const struct tool_walk *walk = walking->walk;
    const struct matcher_list own =
        walk->selector_count == 1 ? walk->selectors[0] : (struct matcher_list){NULL, 0};
    struct source_ctx ctx = ctx_of(walking, &walking->arena);
    struct texts names = {.arena = &walking->names_arena};
    bool more = true;

    enum err err = walk->source->ops->label_names(walk->source, &ctx, own, walk->t_min_ms,
                                                  walk->t_max_ms, add_text, &names);
    arena_reset(&walking->arena);
    if (err != ERR_OK)
        return err_set(info, err, "reading label names: %s", err_text(err));
    walking->matchers =
        ARENA_ARRAY(&walking->names_arena, struct matcher, (size_t)own.count + names.count + 1);
    if (own.count > 0)
        memcpy(walking->matchers, own.items, own.count * sizeof(*own.items));
    walking->matcher_count = own.count;
    for (uint32_t i = 0; i < names.count && more && err == ERR_OK; i++) {
        err = walk_name(walking, names.items[i], info);
        if (err == ERR_OK)
            err = has_more(walking, &more, info);
    }
    return err;
}

enum err tool_walk(const struct tool_walk *walk, struct err_info *info)
{
    struct walking walking = {.walk = walk};

    arena_init(&walking.names_arena, NULL, 0);
    arena_init(&walking.values_arena, NULL, 0);
    arena_init(&walking.arena, NULL, 0);
    const enum err err = walk_names(&walking, info);
    arena_fini(&walking.arena);
    arena_fini(&walking.values_arena);
    arena_fini(&walking.names_arena);
    return err;
}
