/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A set of series slots that changes: up to two inside the struct, up to 64 as a sorted array, more
 * as a CRoaring bitmap.
 * Ownership: a plain value with memory behind it; head_postings_fini frees. Threads: one at a time,
 * or readers only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_POSTINGS_INLINE = 2, HEAD_POSTINGS_ARRAY_MAX = 64 };

struct roaring_bitmap_s;

struct head_postings {
    union {
        uint32_t few[HEAD_POSTINGS_INLINE];
        uint32_t *items;                 /* owned */
        struct roaring_bitmap_s *bitmap; /* owned */
    };
    uint32_t count;
    uint32_t cap; /* HEAD_POSTINGS_INLINE, of items, or UINT32_MAX with a bitmap; 0 when new */
};

void head_postings_fini(struct head_postings *postings);
/* Adds a slot that is not there yet. */
void head_postings_add(struct head_postings *postings, uint32_t slot);
/* Removes a slot that is there. */
void head_postings_remove(struct head_postings *postings, uint32_t slot);
size_t head_postings_size_bytes(const struct head_postings *postings);

/* A set under construction by a query. */
struct head_postings_set {
    struct roaring_bitmap_s *bitmap; /* owned */
};

void head_postings_set_init(struct head_postings_set *set);
void head_postings_set_fini(struct head_postings_set *set);
void head_postings_set_add(struct head_postings_set *set, const struct head_postings *postings);
void head_postings_set_add_all(struct head_postings_set *set,
                               const struct head_postings_set *other);
void head_postings_set_intersect(struct head_postings_set *set,
                                 const struct head_postings_set *other);
void head_postings_set_subtract(struct head_postings_set *set,
                                const struct head_postings_set *other);
uint32_t head_postings_set_count(const struct head_postings_set *set);
/* All of them, rising, into items. */
void head_postings_set_get(const struct head_postings_set *set, uint32_t *items);
