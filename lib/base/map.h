/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hash map from a 64-bit hash and a key that the user compares, to a 64-bit value (a number, an
 * index, or a pointer through map_of_ptr). Open addressing, linear probes, removal by shifting
 * back; at most 7/8 full. The map holds hashes and values; keys live where the values point.
 *
 * Use hashes that outsiders cannot steer (base/hash.h) for keys that outsiders choose.
 * Threads: one at a time, or readers only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when the entry with this value has the key asked for. */
typedef bool map_eq_fn(const void *key, uint64_t value, void *owner);

struct map_slot {
    uint64_t hash; /* 0: free; a hash of 0 is stored as 1 */
    uint64_t value;
};

struct map {
    struct map_slot *slots; /* owned */
    size_t count, cap;      /* cap: 0 or a power of two */
    map_eq_fn *eq;          /* NULL: equal hashes are equal keys */
    void *owner;            /* borrowed; passed to eq */
};

void map_init(struct map *map, map_eq_fn *eq, void *owner);
void map_fini(struct map *map);
/* Empty again, memory kept. */
void map_reset(struct map *map);
/* The value's place, borrowed until the next insert or remove; NULL if not there. */
uint64_t *map_find(const struct map *map, uint64_t hash, const void *key);
/* Adds an entry that is not there yet. */
void map_insert(struct map *map, uint64_t hash, uint64_t value);
/* True if it was there; its value goes to *value (may be NULL). */
bool map_remove(struct map *map, uint64_t hash, const void *key, uint64_t *value);
/* Walks the values in no order: start with *pos = 0. No insert or remove meanwhile. */
bool map_next(const struct map *map, size_t *pos, uint64_t *value);

static inline uint64_t map_of_ptr(const void *ptr)
{
    return (uint64_t)(uintptr_t)ptr;
}

static inline void *map_to_ptr(uint64_t value)
{
    return (void *)(uintptr_t)value;
}

static inline size_t map_size_bytes(const struct map *map)
{
    return map->cap * sizeof(struct map_slot);
}
