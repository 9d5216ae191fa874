/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_cache.h"

#include <string.h>

#include "base/mem.h"

/* A cache that grew over twice its last good size and this is cut down: the target's series change
 * in scrapes that fail. */
enum { GROWTH_SLACK = 1000 };

struct key {
    struct slice text;
    enum metric_type type;
};

static bool is_equal(const void *key_ptr, uint64_t value, void *owner)
{
    const struct key *key = key_ptr;
    const struct scrape_series *series = map_to_ptr(value);

    (void)owner;
    return series->type == key->type && series->text_len == key->text.len &&
           memcmp(series->text, key->text.data, key->text.len) == 0;
}

void scrape_cache_init(struct scrape_cache *cache, const struct hash_key *hash_key)
{
    *cache = (struct scrape_cache){.hash_key = hash_key, .iter = 1};
    map_init(&cache->map, is_equal, NULL);
}

void scrape_cache_fini(struct scrape_cache *cache)
{
    for (uint32_t i = 0; i < cache->count; i++)
        mem_free(cache->items[i]);
    mem_free(cache->items);
    map_fini(&cache->map);
}

static uint64_t hash_of(const struct scrape_cache *cache, enum metric_type type, struct slice text)
{
    return hash64(cache->hash_key, text) ^ ((uint64_t)type * UINT64_C(0x9e3779b97f4a7c15));
}

struct scrape_series *scrape_cache_find(struct scrape_cache *cache, enum metric_type type,
                                        struct slice text)
{
    const struct key key = {text, type};
    const uint64_t *value = map_find(&cache->map, hash_of(cache, type, text), &key);

    return value == NULL ? NULL : map_to_ptr(*value);
}

struct scrape_series *scrape_cache_add(struct scrape_cache *cache, enum metric_type type,
                                       struct slice text)
{
    struct scrape_series *series = mem_alloc(sizeof(*series) + text.len);

    ASSERT(text.len <= UINT32_MAX);
    *series = (struct scrape_series){.hash = hash_of(cache, type, text),
                                     .seen_iter = cache->iter,
                                     .text_len = (uint32_t)text.len,
                                     .type = (uint8_t)type};
    memcpy(series->text, text.data, text.len);
    if (cache->count == cache->cap) {
        cache->cap = cache->cap == 0 ? 64 : cache->cap * 2;
        cache->items = mem_realloc(cache->items, cache->cap * sizeof(struct scrape_series *));
    }
    cache->items[cache->count++] = series;
    map_insert(&cache->map, series->hash, map_of_ptr(series));
    return series;
}

void scrape_cache_detach(struct scrape_cache *cache)
{
    uint32_t kept = 0;

    map_reset(&cache->map);
    for (uint32_t i = 0; i < cache->count; i++) {
        struct scrape_series *series = cache->items[i];

        series->is_detached = true;
        if (series->is_tracked)
            cache->items[kept++] = series;
        else
            mem_free(series);
    }
    cache->count = kept;
}

/* ---- stale series ---- */

static bool is_seen(const struct scrape_cache *cache, const struct scrape_series *series)
{
    return series->seen_iter == cache->iter;
}

/* The aliases of all series seen now: one series may come under several texts. */
static void collect_refs(const struct scrape_cache *cache, struct map *refs)
{
    for (uint32_t i = 0; i < cache->count; i++) {
        const struct scrape_series *series = cache->items[i];

        if (series->ref != 0 && is_seen(cache, series) && map_find(refs, series->ref, NULL) == NULL)
            map_insert(refs, series->ref, 1);
    }
}

void scrape_cache_stale(struct scrape_cache *cache, bool is_complete, scrape_cache_stale_fn *fn,
                        void *owner)
{
    bool has_refs = false;
    struct map refs;

    map_init(&refs, NULL, NULL);
    for (uint32_t i = 0; i < cache->count; i++) {
        struct scrape_series *series = cache->items[i];

        if (!series->is_tracked || (is_complete && is_seen(cache, series)))
            continue;
        if (is_complete && !has_refs) {
            collect_refs(cache, &refs);
            has_refs = true;
        }
        if (!is_complete || map_find(&refs, series->ref, NULL) == NULL)
            fn(owner, series);
    }
    map_fini(&refs);
}

/* ---- the end of an iteration ---- */

static void forget(struct scrape_cache *cache, struct scrape_series *series)
{
    const struct key key = {slice_of(series->text, series->text_len),
                            (enum metric_type)series->type};

    if (!series->is_detached)
        map_remove(&cache->map, series->hash, &key, NULL);
    mem_free(series);
}

static void forget_unseen(struct scrape_cache *cache)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < cache->count; i++) {
        struct scrape_series *series = cache->items[i];

        if (is_seen(cache, series) || series->is_tracked)
            cache->items[kept++] = series;
        else
            forget(cache, series);
    }
    cache->count = kept;
}

bool scrape_cache_settle(struct scrape_cache *cache, struct scrape_cache_outcome outcome)
{
    bool was_cut = false;

    for (uint32_t i = 0; outcome.is_stored && i < cache->count; i++) {
        struct scrape_series *series = cache->items[i];

        series->is_tracked = outcome.is_complete && is_seen(cache, series) && series->is_pending;
    }
    if (outcome.is_stored && outcome.is_complete) {
        forget_unseen(cache);
        cache->settled_count = cache->count;
    } else if (cache->count > (uint64_t)cache->settled_count * 2 + GROWTH_SLACK) {
        forget_unseen(cache);
        was_cut = true;
    }
    cache->iter++;
    return was_cut;
}
