/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/head_ooo.h"
#include "storage/head_read.h"
#include "storage/merge_internal.h"

/* A flush reads one tenant after the other, in the order of their names, and keeps its guard until
 * it is closed: so what it has read can be told from what came later when it drops. */

struct head_flush {
    struct head *head;
    struct head_guard guard;
    struct head_read_range range;
    struct head_tenant **tenants; /* owned: by name */
    uint32_t tenant_count, tenant_next;
    struct head_tenant *tenant;
    struct arena arena;   /* the present tenant's list */
    struct arena scratch; /* the present series */
    struct merge_pool pool;
    struct head_read_list list;
    uint32_t next;
    enum err err;
    bool is_late;     /* nothing of the window is in order */
    bool has_samples; /* there is a block */
    bool is_read, is_dropped;
};

static int tenant_cmp(const void *a, const void *b)
{
    return slice_cmp((*(struct head_tenant *const *)a)->name,
                     (*(struct head_tenant *const *)b)->name);
}

enum err head_flush_open(struct head *head, int64_t t_min_ms, int64_t t_end_ms,
                         struct head_flush **out)
{
    struct head_flush *flush = mem_zalloc(1, sizeof(*flush));

    ASSERT(t_min_ms < t_end_ms);
    flush->head = head;
    head_guard_enter(head, &flush->guard, HEAD_GUARD_FLUSH);
    flush->range = (struct head_read_range){
        .t_min_ms = t_min_ms, .t_max_ms = t_end_ms - 1, .watermark = flush->guard.watermark};
    /* A lower bound of all that the watermark shows. */
    flush->is_late = t_end_ms <= atomic_load(&head->t_min_ms);
    flush->tenant_count = atomic_load(&head->tenant_count);
    if (flush->tenant_count > 0)
        flush->tenants = mem_zalloc(flush->tenant_count, sizeof(struct head_tenant *));
    for (uint32_t i = 0; i < flush->tenant_count; i++)
        flush->tenants[i] = head_tenant_at(head, i);
    if (flush->tenant_count > 0)
        qsort((void *)flush->tenants, flush->tenant_count, sizeof(struct head_tenant *),
              tenant_cmp);
    arena_init(&flush->arena, NULL, 0);
    arena_init(&flush->scratch, NULL, 0);
    *out = flush;
    return ERR_OK;
}

uint64_t head_flush_watermark(const struct head_flush *flush)
{
    return flush->guard.watermark;
}

enum err head_flush_err(const struct head_flush *flush)
{
    return flush->err;
}

/* Leaves the slots of series that have samples out of order. */
static void keep_late(const struct head *head, struct head_slots *slots)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < slots->count; i++) {
        const uint32_t slot = slots->items[i];
        struct head_slab *slab = head_slab_of(head, slot);
        bool is_late;

        pthread_mutex_lock(&slab->lock);
        is_late = head_ooo_get(slab, head_slab_index(slot)) != NULL;
        pthread_mutex_unlock(&slab->lock);
        if (is_late)
            slots->items[kept++] = slot;
    }
    slots->count = kept;
}

/* Lists the next tenant's series. False: there is none, or an error. */
static bool flush_next_tenant(struct head_flush *flush)
{
    struct head_slots slots;

    if (flush->tenant_next == flush->tenant_count) {
        flush->is_read = true;
        return false;
    }
    flush->tenant = flush->tenants[flush->tenant_next++];
    flush->next = 0;
    arena_reset(&flush->arena);
    flush->err =
        head_index_select(&flush->tenant->index, &flush->arena, (struct matcher_list){0}, &slots);
    if (flush->err == ERR_OK && flush->is_late)
        keep_late(flush->head, &slots);
    if (flush->err == ERR_OK)
        flush->err =
            head_read_sort(&flush->tenant->index, flush->head, &flush->arena, &slots, &flush->list);
    return flush->err == ERR_OK;
}

/* Opens a cursor on a series; NULL when it has no sample in the window. */
static struct sample_cursor *flush_open_series(struct head_flush *flush, uint32_t slot)
{
    struct merge_pool pool = {.arena = &flush->scratch};
    struct sample_columns columns;
    struct sample_cursor *cursor;

    flush->pool = pool;
    flush->err = head_read_open(flush->head, slot, &flush->range, &flush->pool, &cursor);
    if (flush->err != ERR_OK || cursor == NULL || head_read_is_sure(cursor))
        return cursor;
    if (!sample_cursor_next(cursor, &columns))
        return NULL;
    flush->err = head_read_open(flush->head, slot, &flush->range, &flush->pool, &cursor);
    return cursor;
}

/* The exemplars of the window. */
static void flush_get_exemplars(struct head_flush *flush, uint32_t slot,
                                struct head_flush_series *out)
{
    const struct head_slab *slab = head_slab_of(flush->head, slot);
    const uint32_t state = atomic_load(&slab->state[head_slab_index(slot)]);
    const struct head_ref ref = {slot, state & ~HEAD_STATE_DYING};
    const struct head_exemplar_range range = {flush->range.t_min_ms, flush->range.t_max_ms,
                                              flush->range.watermark};
    struct head_exemplar_list list;

    flush->err = head_exemplars_get(flush->head->exemplars, ref, &range, &flush->scratch, &list);
    out->exemplars = list.items;
    out->exemplar_count = list.count;
}

bool head_flush_next(struct head_flush *flush, struct head_flush_series *out)
{
    while (flush->err == ERR_OK && !flush->is_read) {
        const struct head_read_series *series;

        if (flush->next == flush->list.count) {
            flush->list = (struct head_read_list){0};
            flush->next = 0;
            if (!flush_next_tenant(flush))
                return false;
            continue;
        }
        series = &flush->list.items[flush->next++];
        arena_reset(&flush->scratch);
        *out = (struct head_flush_series){.tenant = flush->tenant->name};
        out->cursor = flush_open_series(flush, series->slot);
        if (flush->err == ERR_OK)
            flush_get_exemplars(flush, series->slot, out);
        if (flush->err != ERR_OK || (out->cursor == NULL && out->exemplar_count == 0))
            continue;
        flush->has_samples |= out->cursor != NULL;
        out->labels = head_read_labels(series, &flush->scratch);
        out->hash =
            head_slab_of(flush->head, series->slot)->cold[head_slab_index(series->slot)].hash;
        return true;
    }
    return false;
}

/* The oldest times that are left. */
struct oldest {
    int64_t in_order_ms, late_ms;
};

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static uint64_t drop_late(struct head *head, struct head_slab *slab, struct head_drop *drop,
                          struct oldest *oldest)
{
    uint64_t dropped = 0;

    if (slab->ooo == NULL)
        return 0;
    for (uint32_t i = 0; i < HEAD_SLAB_SLOTS; i++) {
        if (slab->ooo[i] == NULL)
            continue;
        dropped += head_ooo_drop(head, slab, i, drop);
        oldest->late_ms = min_of(head_ooo_oldest(slab->ooo[i], INT64_MIN), oldest->late_ms);
    }
    return dropped;
}

/* Drops from all slabs, one at a time. */
static struct oldest flush_drop_slabs(struct head_flush *flush, struct head_drop *drop,
                                      uint64_t *dropped)
{
    struct head *head = flush->head;
    const uint32_t slot_end = atomic_load(&head->slot_end);
    struct oldest oldest = {INT64_MAX, INT64_MAX};

    for (uint32_t slot = 0; slot < slot_end; slot += HEAD_SLAB_SLOTS) {
        struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL)
            continue;
        pthread_mutex_lock(&slab->lock);
        for (uint32_t i = 0; i < HEAD_SLAB_SLOTS; i++) {
            struct series_hot *hot = &slab->hot[i];

            if (!head_chunk_has_samples(hot))
                continue;
            *dropped += head_chunk_drop(head, hot, drop);
            oldest.in_order_ms = min_of(head_chunk_oldest(hot), oldest.in_order_ms);
        }
        *dropped += drop_late(head, slab, drop, &oldest);
        pthread_mutex_unlock(&slab->lock);
    }
    return oldest;
}

enum err head_flush_drop(struct head_flush *flush, uint64_t deadline_ns)
{
    struct head *head = flush->head;
    struct head_drop drop = {.t_min_ms = flush->range.t_min_ms,
                             .t_end_ms = flush->range.t_max_ms + 1,
                             .watermark = flush->range.watermark};
    uint64_t dropped = 0;
    struct oldest oldest;
    enum err err;

    ASSERT(flush->is_read);
    ASSERT(flush->err == ERR_OK);
    ASSERT(!flush->is_dropped);
    err = head_guard_wait_readers(head, head_guard_ticket(head), deadline_ns);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&head->gate);
    atomic_store(&head->t_min_next_ms, INT64_MAX);
    atomic_store(&head->late_min_next_ms, INT64_MAX);
    pthread_mutex_unlock(&head->gate);
    oldest = flush_drop_slabs(flush, &drop, &dropped);
    pthread_mutex_lock(&head->gate);
    atomic_store(&head->t_min_ms, min_of(atomic_load(&head->t_min_next_ms), oldest.in_order_ms));
    atomic_store(&head->late_min_ms, min_of(atomic_load(&head->late_min_next_ms), oldest.late_ms));
    pthread_mutex_unlock(&head->gate);
    atomic_store(&head->late_flushed_ms, atomic_load(&head->t_max_ms));
    atomic_fetch_sub(&head->sample_count, dropped);
    metric_add(&head->metrics.flushed_samples, dropped);
    head_series_retire_chunks(head, drop.dead);
    if (flush->has_samples) {
        const struct head_exemplar_range range = {drop.t_min_ms, drop.t_end_ms - 1, drop.watermark};

        head_exemplars_drop(head->exemplars, &range);
    }
    atomic_store(&head->collect_wanted, true);
    flush->is_dropped = true;
    return ERR_OK;
}

struct metadata_walk {
    struct slice tenant;
    head_flush_metadata_fn *fn;
    void *owner;
};

static enum err on_flush_metadata(void *owner, const struct metadata *metadata)
{
    const struct metadata_walk *walk = owner;

    return walk->fn(walk->owner, walk->tenant, metadata);
}

enum err head_flush_metadata(struct head_flush *flush, head_flush_metadata_fn *fn, void *owner)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < flush->tenant_count && err == ERR_OK; i++) {
        struct metadata_walk walk = {flush->tenants[i]->name, fn, owner};

        err = head_metadata_each(flush->head->metadata, flush->tenants[i]->id, (struct slice){0},
                                 on_flush_metadata, &walk);
    }
    return err;
}

void head_flush_close(struct head_flush *flush)
{
    if (flush == NULL)
        return;
    head_guard_leave(flush->head, &flush->guard, HEAD_GUARD_FLUSH);
    arena_fini(&flush->arena);
    arena_fini(&flush->scratch);
    mem_free((void *)flush->tenants);
    mem_free(flush);
}

static int64_t window_start(const struct head *head, int64_t t_ms)
{
    const int64_t range_ms = head->options.block_range_ms;
    const int64_t rest = t_ms % range_ms;

    return t_ms - (rest < 0 ? rest + range_ms : rest);
}

/* Where the oldest window with samples in order begins; INT64_MAX: there is none. */
static int64_t in_order_start(const struct head *head, const struct head_due_options *options)
{
    const int64_t from_ms = atomic_load(&head->t_min_ms);
    int64_t start_ms;

    if (from_ms == INT64_MAX)
        return INT64_MAX;
    start_ms = window_start(head, from_ms);
    return options->has_after && start_ms < options->after_ms ? INT64_MAX : start_ms;
}

/* The same of samples out of order. */
static int64_t late_start(struct head *head, const struct head_due_options *options)
{
    int64_t from_ms = atomic_load(&head->late_min_ms);

    if (from_ms != INT64_MAX && options->has_after && from_ms < options->after_ms)
        from_ms = head_ooo_oldest_of_all(head, options->after_ms);
    return from_ms == INT64_MAX ? INT64_MAX : window_start(head, from_ms);
}

bool head_flush_due(struct head *head, const struct head_due_options *options, int64_t *t_min_ms,
                    int64_t *t_end_ms)
{
    const int64_t range_ms = head->options.block_range_ms;
    const int64_t to_ms = atomic_load(&head->t_max_ms);
    const int64_t in_order_ms = in_order_start(head, options);
    const int64_t late_ms = late_start(head, options);
    const int64_t start_ms = min_of(in_order_ms, late_ms);
    int64_t flushed_ms = atomic_load(&head->late_flushed_ms);
    bool is_due = options->all;

    if (flushed_ms == INT64_MIN) { /* none was since the open */
        flushed_ms = to_ms;
        atomic_store(&head->late_flushed_ms, to_ms);
    }
    if (start_ms == INT64_MAX || atomic_load(&head->sample_count) == 0)
        return false;
    if (in_order_ms != INT64_MAX && to_ms - in_order_ms >= range_ms + range_ms / 2)
        is_due = true;
    /* Windows that are flushed already get a few samples all the time: once in a block range is
     * enough, and whenever a flush goes on anyway. */
    if (late_ms < in_order_ms && to_ms - late_ms >= range_ms + range_ms / 2 &&
        (options->has_after || to_ms - flushed_ms >= range_ms))
        is_due = true;
    if (!is_due)
        return false;
    *t_min_ms = start_ms;
    *t_end_ms = start_ms + range_ms;
    return true;
}
