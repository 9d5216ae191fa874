/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/alias_table.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/mem.h"

enum {
    ALIAS_SLOTS_MIN = 1024,
    ALIAS_STAMP_S = 60,  /* a hit rewrites its entry at most this often */
    ALIAS_PREFETCH = 12, /* look-ups under way: about what a core's fill buffers hold */
};

struct alias_entry {
    struct hash128 hash; /* zero: free */
    uint64_t ref;
    _Atomic uint32_t used_s; /* when it was last asked for, to ALIAS_STAMP_S */
    uint32_t padding;
};

STATIC_ASSERT(sizeof(struct alias_entry) == 32, "two entries a cache line");

struct alias_table {
    pthread_rwlock_t lock;     /* guards everything below but the atomics */
    struct alias_entry *slots; /* owned */
    size_t slot_count, entry_count, entry_count_max;
    uint64_t version, evictions;
    _Atomic uint64_t hits, misses;
};

struct alias_table *alias_table_new(size_t count_max)
{
    struct alias_table *table = mem_zalloc(1, sizeof(*table));

    ASSERT(count_max > 0);
    pthread_rwlock_init(&table->lock, NULL);
    table->slot_count = ALIAS_SLOTS_MIN;
    table->slots = mem_zalloc(table->slot_count, sizeof(*table->slots));
    table->entry_count_max = count_max;
    return table;
}

void alias_table_free(struct alias_table *table)
{
    if (table == NULL)
        return;
    pthread_rwlock_destroy(&table->lock);
    mem_free(table->slots);
    mem_free(table);
}

static bool alias_hash_is_free(struct hash128 hash)
{
    return (hash.lo | hash.hi) == 0;
}

static size_t alias_home(const struct alias_table *table, struct hash128 hash)
{
    return (size_t)hash.lo & (table->slot_count - 1);
}

/* The entry of this hash, or the free one where it belongs. */
static struct alias_entry *alias_probe(const struct alias_table *table, struct hash128 hash)
{
    size_t slot = alias_home(table, hash);

    for (;;) {
        struct alias_entry *entry = &table->slots[slot];

        if (hash128_eq(entry->hash, hash) || alias_hash_is_free(entry->hash))
            return entry;
        slot = (slot + 1) & (table->slot_count - 1);
    }
}

static void alias_stamp(struct alias_entry *entry, uint32_t now_s)
{
    if (now_s - atomic_load_explicit(&entry->used_s, memory_order_relaxed) >= ALIAS_STAMP_S)
        atomic_store_explicit(&entry->used_s, now_s, memory_order_relaxed);
}

void alias_table_find(struct alias_table *table, const struct alias_batch *batch)
{
    uint64_t hits = 0;

    pthread_rwlock_rdlock(&table->lock);
    for (size_t i = 0; i < batch->count && i < ALIAS_PREFETCH; i++)
        __builtin_prefetch(&table->slots[alias_home(table, batch->hashes[i])]);
    for (size_t i = 0; i < batch->count; i++) {
        struct alias_entry *entry;

        if (i + ALIAS_PREFETCH < batch->count)
            __builtin_prefetch(&table->slots[alias_home(table, batch->hashes[i + ALIAS_PREFETCH])]);
        entry = alias_probe(table, batch->hashes[i]);
        batch->refs[i] = entry->ref;
        if (entry->ref == 0)
            continue;
        hits++;
        alias_stamp(entry, batch->now_s);
    }
    pthread_rwlock_unlock(&table->lock);
    atomic_fetch_add_explicit(&table->hits, hits, memory_order_relaxed);
    atomic_fetch_add_explicit(&table->misses, batch->count - hits, memory_order_relaxed);
}

/* Moves what is still in use into a table that it fills to at most 5/16. */
static void alias_rebuild(struct alias_table *table, uint32_t now_s)
{
    struct alias_entry *old = table->slots;
    const size_t old_count = table->slot_count;
    size_t live = 0;

    for (size_t i = 0; i < old_count; i++) {
        if (now_s - old[i].used_s > ALIAS_IDLE_S)
            old[i].ref = 0;
        live += old[i].ref != 0;
    }
    while (table->slot_count * 5 / 16 < live)
        table->slot_count *= 2;
    table->slots = mem_zalloc(table->slot_count, sizeof(*table->slots));
    for (size_t i = 0; i < old_count; i++) {
        struct alias_entry *entry;

        if (old[i].ref == 0)
            continue;
        entry = alias_probe(table, old[i].hash);
        entry->hash = old[i].hash;
        entry->ref = old[i].ref;
        entry->used_s = old[i].used_s;
    }
    table->evictions += table->entry_count - live;
    table->entry_count = live;
    mem_free(old);
}

static void alias_clear(struct alias_table *table)
{
    mem_free(table->slots);
    table->evictions += table->entry_count;
    table->slot_count = ALIAS_SLOTS_MIN;
    table->slots = mem_zalloc(table->slot_count, sizeof(*table->slots));
    table->entry_count = 0;
}

static void alias_add_one(struct alias_table *table, struct hash128 hash, uint64_t ref,
                          uint32_t now_s)
{
    struct alias_entry *entry;

    if (ref == 0 || alias_hash_is_free(hash))
        return;
    if (table->entry_count >= table->slot_count * 5 / 8)
        alias_rebuild(table, now_s);
    if (table->entry_count >= table->entry_count_max)
        alias_clear(table);
    entry = alias_probe(table, hash);
    table->entry_count += entry->ref == 0;
    entry->hash = hash;
    entry->ref = ref;
    entry->used_s = now_s;
}

void alias_table_add(struct alias_table *table, const struct alias_batch *batch, uint64_t version)
{
    pthread_rwlock_wrlock(&table->lock);
    if (table->version == version) {
        for (size_t i = 0; i < batch->count; i++)
            alias_add_one(table, batch->hashes[i], batch->refs[i], batch->now_s);
    }
    pthread_rwlock_unlock(&table->lock);
}

uint64_t alias_table_version(struct alias_table *table)
{
    uint64_t version;

    pthread_rwlock_rdlock(&table->lock);
    version = table->version;
    pthread_rwlock_unlock(&table->lock);
    return version;
}

void alias_table_drop(struct alias_table *table)
{
    pthread_rwlock_wrlock(&table->lock);
    alias_clear(table);
    table->version++;
    pthread_rwlock_unlock(&table->lock);
}

struct alias_stats alias_table_stats(struct alias_table *table)
{
    struct alias_stats stats;

    pthread_rwlock_rdlock(&table->lock);
    stats = (struct alias_stats){
        .entries = table->entry_count,
        .size_bytes = table->slot_count * sizeof(*table->slots),
        .hits = atomic_load_explicit(&table->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&table->misses, memory_order_relaxed),
        .evictions = table->evictions,
    };
    pthread_rwlock_unlock(&table->lock);
    return stats;
}
