/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

enum { MAP_CAP_MIN = 16 };

void map_init(struct map *map, map_eq_fn *eq, void *owner)
{
    *map = (struct map){.eq = eq, .owner = owner};
}

void map_fini(struct map *map)
{
    mem_free(map->slots);
    *map = (struct map){.eq = map->eq, .owner = map->owner};
}

void map_reset(struct map *map)
{
    if (map->cap > 0)
        memset(map->slots, 0, map->cap * sizeof(*map->slots));
    map->count = 0;
}

static uint64_t map_stored_hash(uint64_t hash)
{
    return hash == 0 ? 1 : hash;
}

/* The slot of the key, or the free one where the search ended. cap > 0. */
static size_t map_probe(const struct map *map, uint64_t hash, const void *key)
{
    size_t at = hash & (map->cap - 1);

    while (map->slots[at].hash != 0) {
        if (map->slots[at].hash == hash &&
            (map->eq == NULL || map->eq(key, map->slots[at].value, map->owner)))
            break;
        at = (at + 1) & (map->cap - 1);
    }
    return at;
}

static void map_put(struct map *map, struct map_slot slot)
{
    size_t at = slot.hash & (map->cap - 1);

    while (map->slots[at].hash != 0)
        at = (at + 1) & (map->cap - 1);
    map->slots[at] = slot;
}

static void map_expand(struct map *map)
{
    struct map_slot *old = map->slots;
    const size_t old_cap = map->cap;

    map->cap = old_cap == 0 ? MAP_CAP_MIN : old_cap * 2;
    map->slots = mem_zalloc(map->cap, sizeof(*map->slots));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].hash != 0)
            map_put(map, old[i]);
    }
    mem_free(old);
}

uint64_t *map_find(const struct map *map, uint64_t hash, const void *key)
{
    size_t at;

    if (map->count == 0)
        return NULL;
    at = map_probe(map, map_stored_hash(hash), key);
    return map->slots[at].hash == 0 ? NULL : &map->slots[at].value;
}

void map_insert(struct map *map, uint64_t hash, uint64_t value)
{
    if (map->count + 1 > map->cap - map->cap / 8)
        map_expand(map);
    map_put(map, (struct map_slot){map_stored_hash(hash), value});
    map->count++;
}

/* Closes the gap at `hole`: entries behind it that may move nearer to their home do. */
static void map_close_gap(struct map *map, size_t hole)
{
    const size_t mask = map->cap - 1;

    for (size_t at = (hole + 1) & mask; map->slots[at].hash != 0; at = (at + 1) & mask) {
        const size_t home = map->slots[at].hash & mask;

        /* Cyclic: home lies outside (hole, at]. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){0, 0};
}

bool map_remove(struct map *map, uint64_t hash, const void *key, uint64_t *value)
{
    size_t at;

    if (map->count == 0)
        return false;
    at = map_probe(map, map_stored_hash(hash), key);
    if (map->slots[at].hash == 0)
        return false;
    if (value != NULL)
        *value = map->slots[at].value;
    map_close_gap(map, at);
    map->count--;
    return true;
}

bool map_next(const struct map *map, size_t *pos, uint64_t *value)
{
    for (; *pos < map->cap; (*pos)++) {
        if (map->slots[*pos].hash != 0) {
            *value = map->slots[(*pos)++].value;
            return true;
        }
    }
    return false;
}
