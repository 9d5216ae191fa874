/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

enum {
    ARENA_BLOCK_MIN = 4096,
    ARENA_BLOCK_MAX = 1 << 20, /* larger requests get a block of their own size */
    ARENA_KEEP_MAX = 1 << 16,
    ARENA_ALIGN = alignof(max_align_t),
};

struct arena_block {
    struct arena_block *older;
    size_t size, used; /* of bytes[] */
    alignas(max_align_t) char bytes[];
};

struct arena_hook {
    struct arena_hook *older;
    arena_hook_fn *fn;
    void *ptr;
};

void arena_init(struct arena *arena, struct budget *budget, size_t limit_bytes)
{
    *arena = (struct arena){
        .budget = budget, .limit_bytes = limit_bytes, .keep_bytes_max = ARENA_KEEP_MAX};
}

static void arena_drop_block(struct arena *arena, struct arena_block *block)
{
    const size_t size = sizeof(*block) + block->size;

    budget_give(arena->budget, size);
    arena->taken_bytes -= size;
    mem_free(block);
}

void arena_release(struct arena *arena)
{
    while (arena->hooks != NULL) {
        struct arena_hook *hook = arena->hooks;

        arena->hooks = hook->older;
        hook->fn(hook->ptr);
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->block;

    arena_release(arena);
    if (keep != NULL && keep->size > arena->keep_bytes_max)
        keep = NULL;
    for (struct arena_block *block = arena->block, *older; block != NULL; block = older) {
        older = block->older;
        if (block != keep)
            arena_drop_block(arena, block);
    }
    if (keep != NULL) {
        keep->older = NULL;
        keep->used = 0;
    }
    arena->block = keep;
    arena->err = ERR_OK;
}

void arena_fini(struct arena *arena)
{
    arena_reset(arena);
    if (arena->block != NULL)
        arena_drop_block(arena, arena->block);
    arena->block = NULL;
    ASSERT(arena->taken_bytes == 0);
}

static void *arena_alloc_slow(struct arena *arena, size_t size)
{
    size_t block_size = arena->block == NULL ? ARENA_BLOCK_MIN : arena->block->size * 2;
    size_t total;
    struct arena_block *block;

    if (block_size > ARENA_BLOCK_MAX)
        block_size = ARENA_BLOCK_MAX;
    if (block_size < size)
        block_size = size;
    total = sizeof(*block) + block_size;
    if ((arena->limit_bytes != 0 && arena->taken_bytes + total > arena->limit_bytes) ||
        budget_take(arena->budget, total, NULL) != ERR_OK) {
        arena->err = ERR_LIMIT;
        return NULL;
    }
    block = mem_alloc(total);
    block->size = block_size;
    block->used = size;
    block->older = arena->block;
    arena->block = block;
    arena->taken_bytes += total;
    return block->bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->block;

    if (size > SIZE_MAX / 4) {
        arena->err = ERR_LIMIT;
        return NULL;
    }
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (block != NULL && block->size - block->used >= size) {
        void *ptr = block->bytes + block->used;
        block->used += size;
        return ptr;
    }
    return arena_alloc_slow(arena, size);
}

void *arena_zalloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    void *ptr;

    if (__builtin_mul_overflow(count, size, &total)) {
        arena->err = ERR_LIMIT;
        return NULL;
    }
    ptr = arena_alloc(arena, total);
    if (ptr != NULL)
        memset(ptr, 0, total);
    return ptr;
}

void *arena_grow(struct arena *arena, void *ptr, size_t old_size, size_t new_size)
{
    struct arena_block *block = arena->block;
    void *grown;

    ASSERT(new_size >= old_size);
    if (ptr != NULL && block != NULL && new_size <= SIZE_MAX / 4) {
        const size_t old_aligned = (old_size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        const size_t new_aligned = (new_size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);

        if ((char *)ptr + old_aligned == block->bytes + block->used &&
            block->size - block->used >= new_aligned - old_aligned) {
            block->used += new_aligned - old_aligned;
            return ptr;
        }
    }
    grown = arena_alloc(arena, new_size);
    if (grown != NULL && old_size > 0)
        memcpy(grown, ptr, old_size);
    return grown;
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    return (struct slice){arena_copy_cstr(arena, s), s.len};
}

char *arena_copy_cstr(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);

    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct slice arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    int len;
    char *text;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);
    text = arena_alloc(arena, (size_t)len + 1);
    if (text == NULL)
        return (struct slice){NULL, 0};
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (struct slice){text, (size_t)len};
}

enum err arena_on_reset(struct arena *arena, arena_hook_fn *fn, void *ptr)
{
    struct arena_hook *hook = arena_alloc(arena, sizeof(*hook));

    if (hook == NULL)
        return ERR_LIMIT;
    *hook = (struct arena_hook){.older = arena->hooks, .fn = fn, .ptr = ptr};
    arena->hooks = hook;
    return ERR_OK;
}
