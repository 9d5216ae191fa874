/* SPDX-License-Identifier: Apache-2.0 */

/* The items stay sorted by name: look-ups are binary, a change moves what lies behind it. */
#include "model/labels.h"

enum { LABEL_BUILDER_ROOM = 8 };

/* Index of name, or where it belongs. */
static uint32_t label_builder_find(const struct label_builder *builder, struct slice name,
                                   bool *found)
{
    uint32_t low = 0, high = builder->count;

    *found = false;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = slice_cmp(builder->items[middle].name, name);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void label_builder_init(struct label_builder *builder, struct arena *arena, struct label_set base)
{
    *builder = (struct label_builder){.arena = arena};
    builder->items = arena_alloc(arena, (base.count + LABEL_BUILDER_ROOM) * sizeof(struct label));
    if (builder->items == NULL) {
        builder->err = ERR_LIMIT;
        return;
    }
    builder->cap = base.count + LABEL_BUILDER_ROOM;
    builder->count = base.count;
    if (base.count != 0)
        memcpy(builder->items, base.items, base.count * sizeof(struct label));
}

static void label_builder_remove(struct label_builder *builder, uint32_t index)
{
    struct label *at = builder->items + index;

    builder->count--;
    memmove(at, at + 1, (builder->count - index) * sizeof(*at));
}

void label_builder_set(struct label_builder *builder, struct slice name, struct slice value)
{
    bool found;
    const uint32_t index = label_builder_find(builder, name, &found);

    if (value.len == 0) {
        if (found)
            label_builder_remove(builder, index);
        return;
    }
    if (found) {
        builder->items[index].value = value;
        return;
    }
    if (builder->count == builder->cap) {
        const uint32_t cap = builder->cap * 2 + LABEL_BUILDER_ROOM;
        struct label *items = arena_grow(builder->arena, builder->items,
                                         builder->cap * sizeof(*items), cap * sizeof(*items));

        if (items == NULL) {
            builder->err = ERR_LIMIT;
            return;
        }
        builder->items = items;
        builder->cap = cap;
    }
    memmove(builder->items + index + 1, builder->items + index,
            (builder->count - index) * sizeof(struct label));
    builder->items[index] = (struct label){name, value};
    builder->count++;
}

void label_builder_del(struct label_builder *builder, struct slice name)
{
    bool found;
    const uint32_t index = label_builder_find(builder, name, &found);

    if (found)
        label_builder_remove(builder, index);
}

struct slice label_builder_get(const struct label_builder *builder, struct slice name)
{
    bool found;
    const uint32_t index = label_builder_find(builder, name, &found);

    return found ? builder->items[index].value : (struct slice){NULL, 0};
}

struct label_set label_builder_set_view(struct label_builder *builder)
{
    return (struct label_set){builder->items, builder->count};
}
