/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/alias_table.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/mem.h"

enum {
    ALIAS_SLOTS_MIN = 32768, /* 1 MiB */
    ALIAS_STAMP_S = 60,      /* a hit rewrites its entry at most this often */
    ALIAS_PREFETCH = 12,     /* look-ups under way: about what a core's fill buffers hold */
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
    _Atomic bool is_growing; /* a long read lock is held: do not wait to write */
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

static void alias_clear(struct alias_table *table)
{
    mem_free(table->slots);
    table->evictions += table->entry_count;
    table->slot_count = ALIAS_SLOTS_MIN;
    table->slots = mem_zalloc(table->slot_count, sizeof(*table->slots));
    table->entry_count = 0;
}

static bool alias_is_idle(const struct alias_entry *entry, uint32_t now_s)
{
    return now_s - atomic_load_explicit(&entry->used_s, memory_order_relaxed) > ALIAS_IDLE_S;
}

/* What is in use, copied into slots of its own, filled to at most 3/8. The read lock is held. */
static struct alias_table alias_copy_live(const struct alias_table *table, uint32_t now_s)
{
    struct alias_table copy = {.slot_count = ALIAS_SLOTS_MIN};

    for (size_t i = 0; i < table->slot_count; i++)
        copy.entry_count += table->slots[i].ref != 0 && !alias_is_idle(&table->slots[i], now_s);
    if (copy.entry_count >= table->entry_count_max)
        copy.entry_count = 0;
    while (copy.slot_count * 3 / 8 < copy.entry_count)
        copy.slot_count *= 2;
    copy.slots = mem_zalloc(copy.slot_count, sizeof(*copy.slots));
    for (size_t i = 0; i < table->slot_count && copy.entry_count > 0; i++) {
        const struct alias_entry *from = &table->slots[i];
        struct alias_entry *to;

        if (from->ref == 0 || alias_is_idle(from, now_s))
            continue;
        to = alias_probe(&copy, from->hash);
        to->hash = from->hash;
        to->ref = from->ref;
        to->used_s = atomic_load_explicit(&from->used_s, memory_order_relaxed);
    }
    return copy;
}

void alias_table_grow(struct alias_table *table, uint32_t now_s)
{
    struct alias_entry *old = NULL;
    struct alias_table copy;
    uint64_t version;

    atomic_store(&table->is_growing, true);
    pthread_rwlock_rdlock(&table->lock);
    copy = alias_copy_live(table, now_s);
    version = table->version;
    pthread_rwlock_unlock(&table->lock);
    pthread_rwlock_wrlock(&table->lock);
    if (table->version == version) {
        old = table->slots;
        table->evictions += table->entry_count - copy.entry_count;
        table->slots = copy.slots;
        table->slot_count = copy.slot_count;
        table->entry_count = copy.entry_count;
    } else {
        old = copy.slots;
    }
    pthread_rwlock_unlock(&table->lock);
    atomic_store(&table->is_growing, false);
    mem_free(old);
}

static void alias_add_one(struct alias_table *table, struct hash128 hash, uint64_t ref,
                          uint32_t now_s)
{
    struct alias_entry *entry;

    if (ref == 0 || alias_hash_is_free(hash))
        return;
    entry = alias_probe(table, hash);
    if (entry->ref == 0) {
        if (table->entry_count >= table->slot_count / 4 * 3)
            return; /* until it has grown */
        table->entry_count++;
    }
    entry->hash = hash;
    entry->ref = ref;
    entry->used_s = now_s;
}

bool alias_table_add(struct alias_table *table, const struct alias_batch *batch, uint64_t version)
{
    bool is_filling;

    if (atomic_load_explicit(&table->is_growing, memory_order_relaxed))
        return false;
    pthread_rwlock_wrlock(&table->lock);
    if (table->version == version) {
        for (size_t i = 0; i < batch->count; i++)
            alias_add_one(table, batch->hashes[i], batch->refs[i], batch->now_s);
    }
    is_filling = table->entry_count >= table->slot_count / 2;
    pthread_rwlock_unlock(&table->lock);
    return is_filling;
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
