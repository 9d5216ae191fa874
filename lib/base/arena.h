/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A region of memory that ends all at once: one per request, query, evaluation or job. Blocks
 * double up to 1 MiB and are drawn from a budget, so that a limit answers with an error and never
 * with a dead process.
 *
 * Ownership: what comes from an arena is borrowed until its reset; it never goes into an object
 * that lives longer. What is not memory (pins, iterators) is released by arena_on_reset hooks, last
 * first. Threads: one at a time; it travels with its job. */

#include <stddef.h>

#include "base/budget.h"
#include "base/err.h"
#include "base/slice.h"

struct arena_block;
struct arena_hook;

struct arena {
    struct arena_block *block; /* owned: the newest block, linked to the older ones */
    struct arena_hook *hooks;  /* inside the blocks; newest first */
    struct budget *budget;     /* borrowed: outlives us; may be NULL */
    size_t taken_bytes;        /* of the budget: sum of the blocks */
    size_t limit_bytes;        /* 0: only the budget limits */
    size_t keep_bytes_max; /* a reset keeps the newest block up to this size; init says 64 KiB */
    enum err err;          /* sticky: ERR_LIMIT once an allocation was refused */
};

typedef void arena_hook_fn(void *ptr);

void arena_init(struct arena *arena, struct budget *budget, size_t limit_bytes);

/* Runs the hooks and frees all blocks but, for reuse, the newest if it is at most keep_bytes_max.
 */
void arena_reset(struct arena *arena);

/* Runs the hooks and keeps the memory: lets go of what was pinned before the arena's end. */
void arena_release(struct arena *arena);

/* arena_reset, and everything given back. */
void arena_fini(struct arena *arena);

/* Memory aligned for any type, uninitialised. NULL when the limit or the budget has no room: then
 * arena->err is ERR_LIMIT until the next reset. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same, zeroed, for count objects; an overflow of the product counts as no room. */
void *arena_zalloc(struct arena *arena, size_t count, size_t size);
/* Grows the array `ptr` (old_size bytes, from this arena; may be NULL) to new_size; in place if it
 * is the newest. */
void *arena_grow(struct arena *arena, void *ptr, size_t old_size, size_t new_size);
/* A copy of s; data is NULL if there was no room and s is not empty. */
struct slice arena_copy(struct arena *arena, struct slice s);
/* A terminated copy of s, or NULL. */
char *arena_copy_cstr(struct arena *arena, struct slice s);
/* A formatted text; data is NULL if there was no room. */
struct slice arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* fn(ptr) runs at the reset, in reverse order of registration. ERR_LIMIT: not registered. */
enum err arena_on_reset(struct arena *arena, arena_hook_fn *fn, void *ptr) MUST_USE;

#define ARENA_NEW(arena, type)          ((type *)arena_zalloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_zalloc((arena), (count), sizeof(type)))
