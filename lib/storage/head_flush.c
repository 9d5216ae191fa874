/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/head_read.h"

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
    struct head_read_list list;
    uint32_t next;
    enum err err;
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
    if (flush->err == ERR_OK)
        flush->err =
            head_read_sort(&flush->tenant->index, flush->head, &flush->arena, &slots, &flush->list);
    return flush->err == ERR_OK;
}

/* Opens a cursor on a series; NULL when it has no sample in the window. */
static struct sample_cursor *flush_open_series(struct head_flush *flush, uint32_t slot)
{
    struct sample_columns columns;
    struct sample_cursor *cursor;

    flush->err = head_read_open(flush->head, slot, &flush->range, &flush->scratch, &cursor);
    if (flush->err != ERR_OK || cursor == NULL || head_read_is_sure(cursor))
        return cursor;
    if (!sample_cursor_next(cursor, &columns))
        return NULL;
    flush->err = head_read_open(flush->head, slot, &flush->range, &flush->scratch, &cursor);
    return cursor;
}

bool head_flush_next(struct head_flush *flush, struct head_flush_series *out)
{
    while (flush->err == ERR_OK && !flush->is_read) {
        const struct head_read_series *series;
        struct sample_cursor *cursor;
        struct label_set labels;

        if (flush->next == flush->list.count) {
            flush->list = (struct head_read_list){0};
            flush->next = 0;
            if (!flush_next_tenant(flush))
                return false;
            continue;
        }
        series = &flush->list.items[flush->next++];
        arena_reset(&flush->scratch);
        cursor = flush_open_series(flush, series->slot);
        if (flush->err != ERR_OK || cursor == NULL)
            continue;
        labels = head_read_labels(series, &flush->scratch);
        *out = (struct head_flush_series){
            .tenant = flush->tenant->name,
            .labels = labels,
            .hash =
                head_slab_of(flush->head, series->slot)->cold[head_slab_index(series->slot)].hash,
            .cursor = cursor};
        return true;
    }
    return false;
}

/* Drops from all slabs, one at a time. Returns the oldest time that is left. */
static int64_t flush_drop_slabs(struct head_flush *flush, struct head_drop *drop, uint64_t *dropped)
{
    struct head *head = flush->head;
    const uint32_t slot_end = atomic_load(&head->slot_end);
    int64_t t_min_ms = INT64_MAX;

    for (uint32_t slot = 0; slot < slot_end; slot += HEAD_SLAB_SLOTS) {
        struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL)
            continue;
        pthread_mutex_lock(&slab->lock);
        for (uint32_t i = 0; i < HEAD_SLAB_SLOTS; i++) {
            struct series_hot *hot = &slab->hot[i];
            int64_t oldest_ms;

            if (!head_chunk_has_samples(hot))
                continue;
            *dropped += head_chunk_drop(head, hot, drop);
            oldest_ms = head_chunk_oldest(hot);
            t_min_ms = oldest_ms < t_min_ms ? oldest_ms : t_min_ms;
        }
        pthread_mutex_unlock(&slab->lock);
    }
    return t_min_ms;
}

enum err head_flush_drop(struct head_flush *flush, uint64_t deadline_ns)
{
    struct head *head = flush->head;
    struct head_drop drop = {.t_min_ms = flush->range.t_min_ms,
                             .t_end_ms = flush->range.t_max_ms + 1,
                             .watermark = flush->range.watermark};
    uint64_t dropped = 0;
    int64_t t_min_ms, newer_ms;
    enum err err;

    ASSERT(flush->is_read);
    ASSERT(flush->err == ERR_OK);
    ASSERT(!flush->is_dropped);
    err = head_guard_wait_readers(head, head_guard_ticket(head), deadline_ns);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&head->gate);
    atomic_store(&head->t_min_next_ms, INT64_MAX);
    pthread_mutex_unlock(&head->gate);
    t_min_ms = flush_drop_slabs(flush, &drop, &dropped);
    pthread_mutex_lock(&head->gate);
    newer_ms = atomic_load(&head->t_min_next_ms);
    atomic_store(&head->t_min_ms, newer_ms < t_min_ms ? newer_ms : t_min_ms);
    pthread_mutex_unlock(&head->gate);
    atomic_fetch_sub(&head->sample_count, dropped);
    metric_add(&head->metrics.flushed_samples, dropped);
    head_series_retire_chunks(head, drop.dead);
    atomic_store(&head->collect_wanted, true);
    flush->is_dropped = true;
    return ERR_OK;
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

bool head_flush_due(struct head *head, const struct head_due_options *options, int64_t *t_min_ms,
                    int64_t *t_end_ms)
{
    const int64_t range_ms = head->options.block_range_ms;
    const int64_t from_ms = atomic_load(&head->t_min_ms);
    const int64_t to_ms = atomic_load(&head->t_max_ms);
    const int64_t rest = from_ms % range_ms;
    int64_t start_ms;

    if (from_ms == INT64_MAX || atomic_load(&head->sample_count) == 0)
        return false;
    start_ms = from_ms - (rest < 0 ? rest + range_ms : rest);
    if (!options->all && to_ms - start_ms < range_ms + range_ms / 2)
        return false;
    *t_min_ms = start_ms;
    *t_end_ms = start_ms + range_ms;
    return true;
}
