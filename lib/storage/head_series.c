/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "storage/head_apply.h"
#include "storage/head_ooo.h"

/* The series themselves: stripes, slabs, slots, and how series begin and end.
 *
 *   resolve -> LIVE -> (no samples) mark -> DYING -> (guards have ended) unlink -> limbo
 *               ^---------- resolve ----------'             (guards have ended) -> slot free
 *
 * A transaction that began before the mark may still bring samples; then the series lives on. One
 * that begins after it is refused by the state (UNKNOWN_REF) and resolves, which clears the mark.
 */

enum {
    RECORD_SIZE_MAX = 1 << 20, /* labels of one series, encoded */
    TENANT_NAME_SIZE_MAX = 1024,
};

/* A series record on its way to the log. */
struct series_record {
    struct wal_record record;
    char payload[];
};

static bool series_eq(const void *key, uint64_t value, void *owner)
{
    const struct hash128 *hash = key;
    const uint32_t slot = (uint32_t)value;

    return hash128_eq(*hash, head_slab_of(owner, slot)->cold[head_slab_index(slot)].hash);
}

static struct head_stripe *stripe_of(struct head *head, struct hash128 hash)
{
    return &head->stripes[hash.hi % HEAD_STRIPES];
}

/* ---- tenants ---- */

static bool tenant_eq(const void *key, uint64_t value, void *owner)
{
    const struct slice *name = key;

    return slice_eq(*name, head_tenant_at(owner, (uint32_t)value)->name);
}

static struct head_tenant *tenant_get(struct head *head, struct slice name, uint64_t hash)
{
    const uint64_t *found = map_find(&head->tenant_map, hash, &name);

    return found == NULL ? NULL : head_tenant_at(head, (uint32_t)*found);
}

struct head_tenant *head_tenant_find(struct head *head, struct slice name)
{
    struct head_tenant *tenant;

    pthread_mutex_lock(&head->tenants_lock);
    tenant = tenant_get(head, name, hash64(&head->hash_key, name));
    pthread_mutex_unlock(&head->tenants_lock);
    return tenant;
}

struct head_tenant *head_tenant_make(struct head *head, struct slice name)
{
    const uint64_t hash = hash64(&head->hash_key, name);
    struct head_tenant *tenant;
    uint32_t count;

    if (name.len == 0 || name.len > TENANT_NAME_SIZE_MAX)
        return NULL;
    pthread_mutex_lock(&head->tenants_lock);
    tenant = tenant_get(head, name, hash);
    count = atomic_load(&head->tenant_count);
    if (tenant == NULL && count < head->options.tenant_max) {
        tenant = mem_zalloc(1, sizeof(*tenant));
        tenant->name = slice_of(mem_copy_text(name.data, name.len), name.len);
        tenant->id = count;
        tenant->t_max_ms = tenant->t_max_published_ms = HEAD_T_NONE;
        head_index_init(&tenant->index, &head->hash_key);
        atomic_store_explicit(&head->tenants[count], tenant, memory_order_release);
        atomic_store(&head->tenant_count, count + 1);
        map_insert(&head->tenant_map, hash, count);
    }
    pthread_mutex_unlock(&head->tenants_lock);
    return tenant;
}

/* ---- slots ---- */

static void slab_ensure(struct head *head, uint32_t slot)
{
    const uint32_t number = slot >> HEAD_SLAB_SHIFT;
    struct head_slab *slab;

    if (atomic_load_explicit(&head->slabs[number], memory_order_relaxed) != NULL)
        return;
    slab = mem_alloc_aligned(64, sizeof(*slab));
    memset(slab, 0, sizeof(*slab));
    pthread_mutex_init(&slab->lock, NULL);
    for (unsigned i = 0; i < HEAD_SLAB_SLOTS; i++)
        slab->hot[i].t_ms = HEAD_T_NONE;
    atomic_store_explicit(&head->slabs[number], slab, memory_order_release);
}

/* A free slot and a new generation. False: there are too many. */
static bool slot_take(struct head *head, struct head_ref *ref)
{
    bool taken = true;
    uint32_t end;

    pthread_mutex_lock(&head->slots_lock);
    end = atomic_load_explicit(&head->slot_end, memory_order_relaxed);
    if (head->free_slot_count > 0) {
        ref->slot = head->free_slots[--head->free_slot_count];
        slab_ensure(head, ref->slot);
    } else if (end < (uint32_t)HEAD_SLAB_COUNT_MAX << HEAD_SLAB_SHIFT) {
        ref->slot = end;
        slab_ensure(head, end);
        atomic_store_explicit(&head->slot_end, end + 1, memory_order_release);
    } else {
        taken = false;
    }
    if (taken) {
        head->gen_next = head->gen_next >= HEAD_GEN_MAX ? 1 : head->gen_next + 1;
        ref->gen = head->gen_next;
    }
    pthread_mutex_unlock(&head->slots_lock);
    return taken;
}

/* Locked. */
static void slot_give(struct head *head, uint32_t slot)
{
    if (head->free_slot_count == head->free_slot_cap) {
        head->free_slot_cap = head->free_slot_cap == 0 ? 256 : head->free_slot_cap * 2;
        head->free_slots =
            mem_realloc(head->free_slots, head->free_slot_cap * sizeof(*head->free_slots));
    }
    head->free_slots[head->free_slot_count++] = slot;
}

void head_series_find_free(struct head *head)
{
    const uint32_t end = atomic_load(&head->slot_end);

    pthread_mutex_lock(&head->slots_lock);
    for (uint32_t slot = end; slot-- > 0;) { /* so that the lowest is taken first */
        const struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL || slab->cold[head_slab_index(slot)].labels == NULL)
            slot_give(head, slot);
    }
    pthread_mutex_unlock(&head->slots_lock);
}

/* ---- beginning ---- */

/* Fills a slot that nobody knows yet. */
static void series_place(struct head *head, const struct head_series_key *key, struct head_ref ref)
{
    struct head_slab *slab = head_slab_of(head, ref.slot);
    const uint32_t i = head_slab_index(ref.slot);
    struct series_cold *cold = &slab->cold[i];
    const size_t ids_size = (key->labels.count + 1) * sizeof(uint32_t);
    uint32_t *ids = mem_alloc(ids_size);

    ASSERT(cold->labels == NULL);
    /* Readers find the slot once it is in the index; checkpoints once it has a state. */
    pthread_mutex_lock(&slab->lock);
    slab->hot[i] = (struct series_hot){.t_ms = HEAD_T_NONE};
    *cold = (struct series_cold){.hash = key->hash,
                                 .labels = ids,
                                 .tenant = key->tenant->id,
                                 .label_count = (uint16_t)key->labels.count};
    pthread_mutex_unlock(&slab->lock);
    head_index_add(&key->tenant->index, key->labels, ref.slot, ids);
    pthread_mutex_lock(&slab->lock);
    atomic_store_explicit(&slab->state[i], ref.gen, memory_order_release);
    pthread_mutex_unlock(&slab->lock);
    atomic_fetch_add(&head->label_bytes, ids_size);
    atomic_fetch_add(&head->series_count, 1);
    atomic_fetch_add(&key->tenant->series_count, 1);
}

/* Queues the log record, before anyone can bring samples for the series. */
static void series_log(struct head *head, const struct head_series_key *key, struct head_ref ref)
{
    struct series_record *series;
    struct buf buf;
    enum err err;

    buf_init(&buf, RECORD_SIZE_MAX * 2);
    head_record_put_series(&buf, ref, key->tenant->name, key->labels);
    ASSERT(buf.err == ERR_OK);
    series = mem_alloc(sizeof(*series) + buf.len);
    memcpy(series->payload, buf.data, buf.len);
    series->record = (struct wal_record){.payload = slice_of(series->payload, buf.len),
                                         .payload_crc = crc32c_slice(buf_slice(&buf)),
                                         .kind = WAL_SERIES,
                                         .keep = true};
    buf_fini(&buf);
    err = wal_append(head->wal, &series->record);
    ASSERT(err == ERR_OK); /* its size was checked, and a kept record is always taken */
}

void head_series_free_record(struct wal_record *record)
{
    mem_free(CONTAINER_OF(record, struct series_record, record));
}

static enum err series_check_limits(const struct head *head, const struct head_series_key *key)
{
    const struct head_options *options = &head->options;
    size_t size = 64;

    if (options->series_max != 0 && atomic_load(&head->series_count) >= options->series_max)
        return ERR_LIMIT;
    if (options->tenant_series_max != 0 &&
        atomic_load(&key->tenant->series_count) >= options->tenant_series_max)
        return ERR_LIMIT;
    if (key->labels.count > HEAD_RECORD_LABELS_MAX)
        return ERR_TOO_LARGE;
    for (uint32_t i = 0; i < key->labels.count; i++)
        size +=
            key->labels.items[i].name.len + key->labels.items[i].value.len + 2 * VARINT_SIZE_MAX;
    return size > RECORD_SIZE_MAX || size > options->wal_segment_size / 2 ? ERR_TOO_LARGE : ERR_OK;
}

enum err head_series_resolve(struct head *head, const struct head_series_key *key,
                             struct head_ref *ref, bool *created)
{
    struct head_stripe *stripe = stripe_of(head, key->hash);
    const uint64_t *found;
    enum err err = ERR_OK;

    *created = false;
    pthread_mutex_lock(&stripe->lock);
    found = map_find(&stripe->map, key->hash.lo, &key->hash);
    if (found != NULL) {
        const uint32_t slot = (uint32_t)*found;
        struct head_slab *slab = head_slab_of(head, slot);
        const uint32_t state =
            atomic_fetch_and(&slab->state[head_slab_index(slot)], ~HEAD_STATE_DYING);

        *ref = (struct head_ref){slot, state & ~HEAD_STATE_DYING};
        pthread_mutex_unlock(&stripe->lock);
        return ERR_OK;
    }
    err = series_check_limits(head, key);
    if (err == ERR_OK && !slot_take(head, ref))
        err = ERR_LIMIT;
    if (err == ERR_OK) {
        series_place(head, key, *ref);
        series_log(head, key, *ref);
        map_insert(&stripe->map, key->hash.lo, ref->slot);
        metric_inc(&head->metrics.series_created);
        *created = true;
    }
    pthread_mutex_unlock(&stripe->lock);
    return err;
}

/* ---- ending ---- */

/* Takes the series in a slot out of index and counts. The stripe is locked. */
static struct head_pair *series_unlink(struct head *head, uint32_t slot)
{
    struct head_slab *slab = head_slab_of(head, slot);
    const uint32_t i = head_slab_index(slot);
    const struct series_cold *cold = &slab->cold[i];
    struct head_tenant *tenant = head_tenant_at(head, cold->tenant);
    struct hash128 hash = cold->hash;
    bool removed;

    removed = map_remove(&stripe_of(head, hash)->map, hash.lo, &hash, NULL);
    ASSERT(removed);
    pthread_mutex_lock(&slab->lock);
    atomic_store(&slab->state[i], 0);
    pthread_mutex_unlock(&slab->lock);
    atomic_fetch_sub(&head->series_count, 1);
    atomic_fetch_sub(&tenant->series_count, 1);
    metric_inc(&head->metrics.series_removed);
    return head_index_remove(&tenant->index, cold->labels, cold->label_count, slot);
}

/* Makes an unlinked slot free, when no guard can hold it any more. */
static void series_release(struct head *head, uint32_t slot)
{
    struct head_slab *slab = head_slab_of(head, slot);
    const uint32_t i = head_slab_index(slot);
    struct series_cold *cold = &slab->cold[i];

    pthread_mutex_lock(&slab->lock);
    head_chunk_fini(head, &slab->hot[i]);
    head_ooo_fini(head, slab, i);
    atomic_fetch_sub(&head->label_bytes, (cold->label_count + 1u) * sizeof(uint32_t));
    mem_free(cold->labels);
    *cold = (struct series_cold){0};
    pthread_mutex_unlock(&slab->lock);
}

bool head_series_has_samples(const struct head_slab *slab, uint32_t i)
{
    return head_chunk_has_samples(&slab->hot[i]) || head_ooo_has_samples(head_ooo_get(slab, i));
}

/* At once: nobody else is there. */
static void series_remove(struct head *head, uint32_t slot)
{
    const struct head_slab *slab = head_slab_of(head, slot);
    const struct series_hot *hot = &slab->hot[head_slab_index(slot)];
    uint64_t samples = hot->count, chunks = hot->count > 0;

    for (const struct head_chunk *chunk = hot->sealed; chunk != NULL; chunk = chunk->prev) {
        samples += chunk->count;
        chunks++;
    }
    head_ooo_count(head_ooo_get(slab, head_slab_index(slot)), &samples, &chunks);
    atomic_fetch_sub(&head->sample_count, samples);
    atomic_fetch_sub(&head->chunk_count, chunks);
    head_index_free_pairs(series_unlink(head, slot));
    series_release(head, slot);
}

enum err head_series_restore(struct head *head, const struct head_series_key *key,
                             struct head_ref ref)
{
    struct head_stripe *stripe = stripe_of(head, key->hash);
    const uint64_t *found = map_find(&stripe->map, key->hash.lo, &key->hash);
    struct head_slab *slab;
    uint32_t state;

    if (ref.slot >= (uint32_t)HEAD_SLAB_COUNT_MAX << HEAD_SLAB_SHIFT)
        return ERR_CORRUPT;
    slab_ensure(head, ref.slot);
    slab = head_slab_of(head, ref.slot);
    state = atomic_load(&slab->state[head_slab_index(ref.slot)]);
    if (found != NULL && *found == ref.slot && state == ref.gen)
        return ERR_OK; /* the checkpoint had it */
    if (found != NULL)
        series_remove(head, (uint32_t)*found);
    if (atomic_load(&slab->state[head_slab_index(ref.slot)]) != 0)
        series_remove(head, ref.slot);
    series_place(head, key, ref);
    map_insert(&stripe->map, key->hash.lo, ref.slot);
    if (ref.slot >= atomic_load(&head->slot_end))
        atomic_store(&head->slot_end, ref.slot + 1);
    if (ref.gen > head->gen_next)
        head->gen_next = ref.gen;
    return ERR_OK;
}

/* ---- collection ---- */

static void limbo_push(struct head *head, struct head_limbo *limbo)
{
    limbo->next = NULL;
    limbo->ticket = head_guard_ticket(head);
    pthread_mutex_lock(&head->limbo_lock);
    if (head->limbo_last != NULL)
        head->limbo_last->next = limbo;
    else
        head->limbo = limbo;
    head->limbo_last = limbo;
    pthread_mutex_unlock(&head->limbo_lock);
}

void head_series_retire_chunks(struct head *head, struct head_chunk *chunks)
{
    struct head_limbo *limbo;

    if (chunks == NULL)
        return;
    limbo = mem_zalloc(1, sizeof(*limbo));
    limbo->chunks = chunks;
    limbo_push(head, limbo);
}

static void limbo_free(struct head *head, struct head_limbo *limbo)
{
    while (limbo->chunks != NULL) {
        struct head_chunk *prev = limbo->chunks->prev;

        head_chunk_free(head, limbo->chunks);
        limbo->chunks = prev;
    }
    head_index_free_pairs(limbo->pairs);
    for (size_t i = 0; i < limbo->slot_count; i++)
        series_release(head, limbo->slots[i]);
    pthread_mutex_lock(&head->slots_lock);
    for (size_t i = limbo->slot_count; i-- > 0;)
        slot_give(head, limbo->slots[i]);
    pthread_mutex_unlock(&head->slots_lock);
    mem_free(limbo->slots);
    mem_free(limbo);
}

/* One collector at a time. */
static void limbo_collect(struct head *head)
{
    for (;;) {
        struct head_limbo *limbo;

        pthread_mutex_lock(&head->limbo_lock);
        limbo = head->limbo;
        pthread_mutex_unlock(&head->limbo_lock);
        if (limbo == NULL || !head_guard_passed(head, limbo->ticket))
            return;
        pthread_mutex_lock(&head->limbo_lock);
        head->limbo = limbo->next;
        if (head->limbo == NULL)
            head->limbo_last = NULL;
        pthread_mutex_unlock(&head->limbo_lock);
        limbo_free(head, limbo);
    }
}

/* Unlinks a series that is still dying and without samples; its pairs go to the limbo. */
static bool series_end(struct head *head, uint32_t slot, struct head_limbo *limbo)
{
    struct head_slab *slab = head_slab_of(head, slot);
    const uint32_t i = head_slab_index(slot);
    struct head_stripe *stripe = stripe_of(head, slab->cold[i].hash);
    struct head_pair *pairs;
    bool ends, has_samples;

    pthread_mutex_lock(&stripe->lock);
    pthread_mutex_lock(&slab->lock);
    has_samples = head_series_has_samples(slab, i);
    ends = (atomic_load(&slab->state[i]) & HEAD_STATE_DYING) != 0 && !has_samples;
    if (has_samples)
        atomic_fetch_and(&slab->state[i], ~HEAD_STATE_DYING);
    pthread_mutex_unlock(&slab->lock);
    pairs = ends ? series_unlink(head, slot) : NULL;
    pthread_mutex_unlock(&stripe->lock);
    while (pairs != NULL) {
        struct head_pair *next = pairs->next_dead;

        pairs->next_dead = limbo->pairs;
        limbo->pairs = pairs;
        pairs = next;
    }
    return ends;
}

static void dying_collect(struct head *head)
{
    struct head_limbo *dying = head->dying;
    size_t kept = 0;

    if (dying == NULL || !head_guard_passed(head, dying->ticket))
        return;
    head->dying = NULL;
    for (size_t i = 0; i < dying->slot_count; i++)
        if (series_end(head, dying->slots[i], dying))
            dying->slots[kept++] = dying->slots[i];
    dying->slot_count = kept;
    limbo_push(head, dying);
}

/* Marks all series without samples. */
static void dying_mark(struct head *head)
{
    const uint32_t slot_end = atomic_load(&head->slot_end);
    struct head_limbo *dying = mem_zalloc(1, sizeof(*dying));
    size_t cap = 0;

    for (uint32_t slot = 0; slot < slot_end; slot += HEAD_SLAB_SLOTS) {
        struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL)
            continue;
        pthread_mutex_lock(&slab->lock);
        for (uint32_t i = 0; i < HEAD_SLAB_SLOTS; i++) {
            if (atomic_load_explicit(&slab->state[i], memory_order_relaxed) == 0 ||
                head_series_has_samples(slab, i))
                continue;
            atomic_fetch_or(&slab->state[i], HEAD_STATE_DYING);
            if (dying->slot_count == cap) {
                cap = cap == 0 ? 64 : cap * 2;
                dying->slots = mem_realloc(dying->slots, cap * sizeof(*dying->slots));
            }
            dying->slots[dying->slot_count++] = slot + i;
        }
        pthread_mutex_unlock(&slab->lock);
    }
    if (dying->slot_count == 0) {
        mem_free(dying);
        return;
    }
    dying->ticket = head_guard_ticket(head);
    head->dying = dying;
}

void head_series_collect(struct head *head, const struct head_collect_options *options)
{
    limbo_collect(head);
    dying_collect(head);
    if (options->mark && head->dying == NULL)
        dying_mark(head);
}

enum err head_series_labels(struct head *head, uint32_t slot, struct arena *arena,
                            struct label_set *labels)
{
    const struct series_cold *cold = &head_slab_of(head, slot)->cold[head_slab_index(slot)];
    struct head_index *index = &head_tenant_at(head, cold->tenant)->index;
    struct label *items = ARENA_ARRAY(arena, struct label, cold->label_count);

    if (items == NULL)
        return ERR_LIMIT;
    pthread_rwlock_rdlock(&index->lock);
    for (uint32_t i = 0; i < cold->label_count; i++)
        items[i] = head_pair_label(index->pairs[cold->labels[i]]);
    pthread_rwlock_unlock(&index->lock);
    *labels = (struct label_set){items, cold->label_count};
    return ERR_OK;
}

void head_series_init(struct head *head)
{
    for (unsigned i = 0; i < HEAD_STRIPES; i++) {
        pthread_mutex_init(&head->stripes[i].lock, NULL);
        map_init(&head->stripes[i].map, series_eq, head);
    }
    map_init(&head->tenant_map, tenant_eq, head);
    head->slabs = mem_zalloc(HEAD_SLAB_COUNT_MAX, sizeof(*head->slabs));
    head->tenants = mem_zalloc(head->options.tenant_max, sizeof(*head->tenants));
}

static void slab_free(struct head *head, struct head_slab *slab)
{
    for (unsigned i = 0; i < HEAD_SLAB_SLOTS; i++) {
        if (slab->cold[i].labels == NULL)
            continue;
        head_chunk_fini(head, &slab->hot[i]);
        head_ooo_fini(head, slab, i);
        mem_free(slab->cold[i].labels);
    }
    mem_free((void *)slab->ooo);
    pthread_mutex_destroy(&slab->lock);
    mem_free(slab);
}

void head_series_fini(struct head *head)
{
    while (head->limbo != NULL) {
        struct head_limbo *limbo = head->limbo;

        head->limbo = limbo->next;
        limbo_free(head, limbo);
    }
    if (head->dying != NULL)
        mem_free(head->dying->slots);
    mem_free(head->dying);
    for (uint32_t i = 0; i < HEAD_SLAB_COUNT_MAX; i++)
        if (head->slabs[i] != NULL)
            slab_free(head, head->slabs[i]);
    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++) {
        struct head_tenant *tenant = head_tenant_at(head, i);

        head_index_fini(&tenant->index);
        mem_free((void *)(uintptr_t)tenant->name.data);
        mem_free(tenant);
    }
    for (unsigned i = 0; i < HEAD_STRIPES; i++) {
        map_fini(&head->stripes[i].map);
        pthread_mutex_destroy(&head->stripes[i].lock);
    }
    map_fini(&head->tenant_map);
    mem_free(head->slabs);
    mem_free((void *)head->tenants);
    mem_free(head->free_slots);
}
