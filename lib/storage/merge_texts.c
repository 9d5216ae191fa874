/* SPDX-License-Identifier: Apache-2.0 */

/* Sorted lists of texts as one: each source's list is merged into what the ones before gave, while
 * it streams by. Two arrays take turns; texts are copied once, when they first appear. */

#include "storage/merge_internal.h"

struct text_array {
    struct arena arena;
    struct slice *items;
    size_t count, cap;
};

struct text_union {
    struct arena texts;
    struct text_array arrays[2];
    struct text_array *have, *next;
    size_t have_at; /* the first of `have` not yet in `next` */
};

static enum err array_push(struct text_array *array, struct slice text)
{
    if (array->count == array->cap) {
        const size_t cap = array->cap == 0 ? 64 : array->cap * 2;
        struct slice *items = arena_grow(&array->arena, array->items, array->cap * sizeof(*items),
                                         cap * sizeof(*items));

        if (items == NULL)
            return ERR_LIMIT;
        array->items = items;
        array->cap = cap;
    }
    array->items[array->count++] = text;
    return ERR_OK;
}

static enum err union_add(void *owner, struct slice text)
{
    struct text_union *u = owner;

    while (u->have_at < u->have->count) {
        const struct slice have = u->have->items[u->have_at];
        const int order = slice_cmp(have, text);

        if (order > 0)
            break;
        const enum err err = array_push(u->next, have);
        if (err != ERR_OK)
            return err;
        u->have_at++;
        if (order == 0)
            return ERR_OK;
    }
    const struct slice copy = arena_copy(&u->texts, text);
    if (copy.data == NULL && text.len > 0)
        return ERR_LIMIT;
    return array_push(u->next, copy);
}

/* The rest of `have`, then the arrays change places. */
static enum err union_turn(struct text_union *u)
{
    struct text_array *old = u->have;

    while (u->have_at < u->have->count) {
        const enum err err = array_push(u->next, u->have->items[u->have_at++]);

        if (err != ERR_OK)
            return err;
    }
    u->have = u->next;
    u->next = old;
    u->have_at = 0;
    arena_reset(&old->arena);
    old->items = NULL;
    old->count = old->cap = 0;
    return ERR_OK;
}

typedef enum err text_list_fn(struct source *source, const struct source_query *query,
                              source_text_fn *fn, void *owner);

static enum err list_names(struct source *source, const struct source_query *query,
                           source_text_fn *fn, void *owner)
{
    return source->ops->label_names(source, query->ctx, query->matchers, query->t_min_ms,
                                    query->t_max_ms, fn, owner);
}

static enum err list_values(struct source *source, const struct source_query *query,
                            source_text_fn *fn, void *owner)
{
    return source->ops->label_values(source, query->ctx, query->name, query->matchers,
                                     query->t_min_ms, query->t_max_ms, fn, owner);
}

static enum err union_gather(struct text_union *u, struct merge_list sources,
                             const struct source_query *query, text_list_fn *list)
{
    for (uint32_t i = 0; i < sources.count; i++) {
        enum err err = list(sources.items[i], query, union_add, u);

        if (err == ERR_OK)
            err = union_turn(u);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err merge_texts(struct merge_list sources, const struct source_query *query,
                            text_list_fn *list, source_text_fn *fn, void *owner)
{
    struct budget *budget = query->ctx->budget;
    struct text_union u = {0};
    enum err err;

    if (sources.count == 1)
        return list(sources.items[0], query, fn, owner);
    arena_init(&u.texts, budget, 0);
    arena_init(&u.arrays[0].arena, budget, 0);
    arena_init(&u.arrays[1].arena, budget, 0);
    u.have = &u.arrays[0];
    u.next = &u.arrays[1];
    err = union_gather(&u, sources, query, list);
    for (size_t i = 0; i < u.have->count && err == ERR_OK; i++)
        err = fn(owner, u.have->items[i]);
    arena_fini(&u.texts);
    arena_fini(&u.arrays[0].arena);
    arena_fini(&u.arrays[1].arena);
    return err;
}

enum err merge_label_names(struct merge_list sources, const struct source_query *query,
                           source_text_fn *fn, void *owner)
{
    return merge_texts(sources, query, list_names, fn, owner);
}

enum err merge_label_values(struct merge_list sources, const struct source_query *query,
                            source_text_fn *fn, void *owner)
{
    return merge_texts(sources, query, list_values, fn, owner);
}
