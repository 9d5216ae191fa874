/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_postings.h"

#include <string.h>

#include <roaring/roaring.h>

#include "base/assert.h"
#include "base/mem.h"

static bool is_bitmap(const struct head_postings *postings)
{
    return postings->cap == UINT32_MAX;
}

static bool is_inline(const struct head_postings *postings)
{
    return postings->cap <= HEAD_POSTINGS_INLINE;
}

static uint32_t *items_of(struct head_postings *postings)
{
    return is_inline(postings) ? postings->few : postings->items;
}

void head_postings_fini(struct head_postings *postings)
{
    if (is_bitmap(postings))
        roaring_bitmap_free(postings->bitmap);
    else if (!is_inline(postings))
        mem_free(postings->items);
    *postings = (struct head_postings){0};
}

/* Room for one more: more of the same, or the next form. */
static void postings_grow(struct head_postings *postings)
{
    uint32_t *items = items_of(postings);
    const uint32_t cap = postings->cap == 0 ? HEAD_POSTINGS_INLINE : postings->cap * 2;
    uint32_t *grown;

    if (cap > HEAD_POSTINGS_ARRAY_MAX) {
        roaring_bitmap_t *bitmap = roaring_bitmap_of_ptr(postings->count, items);

        ASSERT(bitmap != NULL);
        mem_free(postings->items);
        postings->bitmap = bitmap;
        postings->cap = UINT32_MAX;
        return;
    }
    if (cap > HEAD_POSTINGS_INLINE) {
        grown = mem_alloc(cap * sizeof(*grown));
        memcpy(grown, items, postings->count * sizeof(*grown));
        if (!is_inline(postings))
            mem_free(items);
        postings->items = grown;
    }
    postings->cap = cap;
}

/* Where slot is, or where it belongs. */
static uint32_t postings_place(const uint32_t *items, uint32_t count, uint32_t slot)
{
    uint32_t i = count; /* most come in order */

    while (i > 0 && items[i - 1] >= slot)
        i--;
    return i;
}

void head_postings_add(struct head_postings *postings, uint32_t slot)
{
    uint32_t *items;
    uint32_t i;

    if (postings->count == postings->cap)
        postings_grow(postings);
    if (is_bitmap(postings)) {
        roaring_bitmap_add(postings->bitmap, slot);
        postings->count++;
        return;
    }
    items = items_of(postings);
    i = postings_place(items, postings->count, slot);
    ASSERT(i == postings->count || items[i] != slot);
    memmove(items + i + 1, items + i, (postings->count - i) * sizeof(*items));
    items[i] = slot;
    postings->count++;
}

void head_postings_remove(struct head_postings *postings, uint32_t slot)
{
    uint32_t *items;
    uint32_t i;

    ASSERT(postings->count > 0);
    postings->count--;
    if (is_bitmap(postings)) {
        roaring_bitmap_remove(postings->bitmap, slot);
        return;
    }
    items = items_of(postings);
    i = postings_place(items, postings->count + 1, slot);
    ASSERT(i <= postings->count);
    ASSERT(items[i] == slot);
    memmove(items + i, items + i + 1, (postings->count - i) * sizeof(*items));
}

size_t head_postings_size_bytes(const struct head_postings *postings)
{
    if (is_bitmap(postings))
        return roaring_bitmap_portable_size_in_bytes(postings->bitmap);
    return is_inline(postings) ? 0 : postings->cap * sizeof(uint32_t);
}

void head_postings_set_init(struct head_postings_set *set)
{
    set->bitmap = roaring_bitmap_create();
    ASSERT(set->bitmap != NULL);
}

void head_postings_set_fini(struct head_postings_set *set)
{
    roaring_bitmap_free(set->bitmap);
    set->bitmap = NULL;
}

void head_postings_set_add(struct head_postings_set *set, const struct head_postings *postings)
{
    if (is_bitmap(postings))
        roaring_bitmap_or_inplace(set->bitmap, postings->bitmap);
    else if (postings->count > 0)
        roaring_bitmap_add_many(set->bitmap, postings->count,
                                is_inline(postings) ? postings->few : postings->items);
}

void head_postings_set_add_all(struct head_postings_set *set, const struct head_postings_set *other)
{
    roaring_bitmap_or_inplace(set->bitmap, other->bitmap);
}

void head_postings_set_intersect(struct head_postings_set *set,
                                 const struct head_postings_set *other)
{
    roaring_bitmap_and_inplace(set->bitmap, other->bitmap);
}

void head_postings_set_subtract(struct head_postings_set *set,
                                const struct head_postings_set *other)
{
    roaring_bitmap_andnot_inplace(set->bitmap, other->bitmap);
}

uint32_t head_postings_set_count(const struct head_postings_set *set)
{
    return (uint32_t)roaring_bitmap_get_cardinality(set->bitmap);
}

void head_postings_set_get(const struct head_postings_set *set, uint32_t *items)
{
    roaring_bitmap_to_uint32_array(set->bitmap, items);
}
