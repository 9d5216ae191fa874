/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small blocks of bytes for encoded chunks, of size classes 16 bytes apart and without a header.
 *
 *   region (2 MiB, a huge page) = pages (64 KiB), each of one class: header | block | block | ...
 *
 * A page whose blocks are all free goes back to its region and may change its class; an empty
 * region goes back to the heap. Chunks of one time are dropped together, so pages empty together.
 *
 * Ownership: the caller remembers the size of a block and gives it back with it.
 * Threads: any; one lock inside, last in the lock order. */

#include <stddef.h>
#include <stdint.h>

enum { CHUNK_POOL_SIZE_MAX = 4096, CHUNK_POOL_UNIT = 16 };

struct chunk_pool;

struct chunk_pool *chunk_pool_new(void);
/* Takes pool, and all blocks with it. NULL is fine. */
void chunk_pool_free(struct chunk_pool *pool);

/* 0 < size <= CHUNK_POOL_SIZE_MAX. Aligned to 16 bytes, uninitialised. */
void *chunk_pool_get(struct chunk_pool *pool, size_t size);
/* block came with a size of the same class; NULL is fine. */
void chunk_pool_put(struct chunk_pool *pool, void *block, size_t size);

/* What a block of `size` bytes really has. */
static inline size_t chunk_pool_round(size_t size)
{
    return (size + CHUNK_POOL_UNIT - 1) & ~(size_t)(CHUNK_POOL_UNIT - 1);
}

/* Bytes of regions, and of blocks given out. */
struct chunk_pool_stats {
    uint64_t size_bytes, used_bytes;
};

void chunk_pool_get_stats(struct chunk_pool *pool, struct chunk_pool_stats *stats);
