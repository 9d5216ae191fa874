/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_series.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "remote/remote_log_internal.h"

enum {
    SLAB_SHIFT = 10,
    SLAB_SIZE = 1 << SLAB_SHIFT,
    SLOT_BITS = 28,
    SLAB_COUNT_MAX = 1 << (SLOT_BITS - SLAB_SHIFT),
    SWEEP_COUNT = 16 << 10, /* series looked at in one call: well under a millisecond */
};

/* Marks our references, so that those of the storage behind are told from them. */
#define REF_MARK (UINT64_C(1) << 63)

STATIC_ASSERT(REMOTE_SERIES_ID_MAX == (1 << SLOT_BITS) - 1, "a slot is a series number");

struct remote_series_table {
    _Atomic(struct remote_series *) *slabs; /* owned, as what they point to is */
    pthread_mutex_t lock;                   /* guards what follows, and makes series */
    struct map by_hash;                     /* to slots */
    uint32_t slot_end, free;                /* free: slot + 1 */
    uint32_t sweep_at;
    uint32_t generation;
    _Atomic uint64_t count;
};

static struct remote_series *series_at(const struct remote_series_table *table, uint32_t slot)
{
    struct remote_series *slab =
        atomic_load_explicit(&table->slabs[slot >> SLAB_SHIFT], memory_order_acquire);

    return slab == NULL ? NULL : &slab[slot & (SLAB_SIZE - 1)];
}

static bool hash_eq(const void *key, uint64_t value, void *owner)
{
    const struct hash128 *hash = key;

    return hash128_eq(*hash, series_at(owner, (uint32_t)value)->hash);
}

struct remote_series_table *remote_series_table_new(void)
{
    struct remote_series_table *table = mem_zalloc(1, sizeof(*table));

    table->slabs = mem_zalloc(SLAB_COUNT_MAX, sizeof(*table->slabs));
    pthread_mutex_init(&table->lock, NULL);
    map_init(&table->by_hash, hash_eq, table);
    return table;
}

void remote_series_table_free(struct remote_series_table *table)
{
    if (table == NULL)
        return;
    for (uint32_t slot = 0; slot < table->slot_end; slot++)
        mem_free((void *)series_at(table, slot)->log.labels.data);
    for (uint32_t slot = 0; slot < table->slot_end; slot += SLAB_SIZE)
        mem_free(series_at(table, slot));
    map_fini(&table->by_hash);
    pthread_mutex_destroy(&table->lock);
    mem_free(table->slabs);
    mem_free(table);
}

/* A slot that is free. Locked. NULL: there is none. */
static struct remote_series *take_slot(struct remote_series_table *table)
{
    struct remote_series *series;
    uint32_t slot;

    if (table->free != 0) {
        series = series_at(table, table->free - 1);
        table->free = series->next_free;
        return series;
    }
    if (table->slot_end > REMOTE_SERIES_ID_MAX)
        return NULL;
    slot = table->slot_end++;
    if ((slot & (SLAB_SIZE - 1)) == 0)
        atomic_store_explicit(&table->slabs[slot >> SLAB_SHIFT],
                              mem_zalloc(SLAB_SIZE, sizeof(*series)), memory_order_release);
    series = series_at(table, slot);
    series->log.id = slot;
    return series;
}

static struct remote_series *make_series(struct remote_series_table *table, struct hash128 hash,
                                         struct label_set labels)
{
    struct remote_series *series;
    struct buf bytes;
    size_t len;

    buf_init(&bytes, REMOTE_LOG_ENTRY_SIZE_MAX);
    if (labels.count <= REMOTE_LABEL_COUNT_MAX)
        remote_labels_put(&bytes, labels);
    series = bytes.err != ERR_OK || bytes.len == 0 ? NULL : take_slot(table);
    if (series == NULL) {
        buf_fini(&bytes);
        return NULL;
    }
    len = bytes.len;
    series->log.labels = slice_of(mem_copy_text(bytes.data, len), len);
    series->log.defined_in = 0;
    buf_fini(&bytes);
    series->hash = hash;
    series->has_sample = false;
    atomic_store(&series->inner_ref, 0);
    if (++table->generation == 0)
        table->generation = 1;
    atomic_store_explicit(&series->generation, table->generation, memory_order_release);
    map_insert(&table->by_hash, hash.lo, series->log.id);
    atomic_fetch_add(&table->count, 1);
    return series;
}

struct remote_series *remote_series_resolve(struct remote_series_table *table, struct hash128 hash,
                                            struct label_set labels, uint32_t now_s)
{
    struct remote_series *series;
    const uint64_t *slot;

    pthread_mutex_lock(&table->lock);
    slot = map_find(&table->by_hash, hash.lo, &hash);
    series = slot != NULL ? series_at(table, (uint32_t)*slot) : make_series(table, hash, labels);
    if (series != NULL)
        atomic_store_explicit(&series->used_s, now_s, memory_order_relaxed);
    pthread_mutex_unlock(&table->lock);
    return series;
}

struct remote_series *remote_series_get(const struct remote_series_table *table, uint64_t ref)
{
    struct remote_series *series;

    if ((ref & REF_MARK) == 0)
        return NULL;
    series = series_at(table, (uint32_t)(ref & REMOTE_SERIES_ID_MAX));
    if (series == NULL || atomic_load_explicit(&series->generation, memory_order_acquire) !=
                              (uint32_t)(ref >> SLOT_BITS))
        return NULL;
    return series;
}

uint64_t remote_series_ref(const struct remote_series *series)
{
    return REF_MARK |
           (uint64_t)atomic_load_explicit(&series->generation, memory_order_relaxed) << SLOT_BITS |
           series->log.id;
}

void remote_series_sweep(struct remote_series_table *table, uint32_t before_s)
{
    uint32_t begin, end;

    pthread_mutex_lock(&table->lock);
    begin = table->sweep_at < table->slot_end ? table->sweep_at : 0;
    end = table->slot_end - begin < SWEEP_COUNT ? table->slot_end : begin + SWEEP_COUNT;
    for (uint32_t i = begin; i < end; i++) {
        struct remote_series *series = series_at(table, i);

        if (atomic_load(&series->generation) == 0 ||
            atomic_load_explicit(&series->used_s, memory_order_relaxed) >= before_s)
            continue;
        atomic_store(&series->generation, 0);
        (void)map_remove(&table->by_hash, series->hash.lo, &series->hash, NULL);
        mem_free((void *)series->log.labels.data);
        series->log.labels = (struct slice){0};
        series->next_free = table->free;
        table->free = i + 1;
        atomic_fetch_sub(&table->count, 1);
    }
    table->sweep_at = end;
    pthread_mutex_unlock(&table->lock);
}

uint64_t remote_series_count(const struct remote_series_table *table)
{
    return atomic_load(&table->count);
}
