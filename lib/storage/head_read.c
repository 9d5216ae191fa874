/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_read.h"

#include <stdlib.h>

#include "storage/head_ooo.h"
#include "storage/head_wide.h"
#include "storage/merge_internal.h"

/* ---- order ---- */

/* Interned pairs: the same pointer is the same label, so most comparisons read no text. */
static int series_cmp(const void *a, const void *b)
{
    const struct head_read_series *x = a;
    const struct head_read_series *y = b;
    const uint32_t count = x->pair_count < y->pair_count ? x->pair_count : y->pair_count;

    for (uint32_t i = 0; i < count; i++) {
        const struct head_pair *p = x->pairs[i], *q = y->pairs[i];
        int order;

        if (p == q)
            continue;
        if (p->name != q->name) {
            order = slice_cmp(head_pair_label(p).name, head_pair_label(q).name);
            if (order != 0)
                return order;
        }
        order = slice_cmp(head_pair_label(p).value, head_pair_label(q).value);
        if (order != 0)
            return order;
    }
    return x->pair_count < y->pair_count ? -1 : x->pair_count > y->pair_count;
}

enum err head_read_sort(struct head_index *index, const struct head *head, struct arena *arena,
                        const struct head_slots *slots, struct head_read_list *list)
{
    *list = (struct head_read_list){0};
    if (slots->count == 0)
        return ERR_OK;
    list->items = arena_alloc(arena, slots->count * sizeof(*list->items));
    if (list->items == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < slots->count; i++) {
        const uint32_t slot = slots->items[i];
        const struct series_cold *cold = &head_slab_of(head, slot)->cold[head_slab_index(slot)];
        struct head_read_series *series = &list->items[list->count++];

        *series = (struct head_read_series){.slot = slot, .pair_count = cold->label_count};
        series->pairs = arena_alloc(arena, cold->label_count * sizeof(*series->pairs));
        if (series->pairs == NULL)
            return ERR_LIMIT;
        pthread_rwlock_rdlock(&index->lock);
        head_index_get_pairs(index, cold->labels, cold->label_count, series->pairs);
        pthread_rwlock_unlock(&index->lock);
    }
    qsort(list->items, list->count, sizeof(*list->items), series_cmp);
    return ERR_OK;
}

struct label_set head_read_labels(const struct head_read_series *series, struct arena *arena)
{
    struct label *items = arena_alloc(arena, series->pair_count * sizeof(*items));

    if (items != NULL)
        for (uint32_t i = 0; i < series->pair_count; i++)
            items[i] = head_pair_label(series->pairs[i]);
    return (struct label_set){items, series->pair_count};
}

/* ---- samples ---- */

/* What reading wide chunks takes, made with the first one. */
struct cursor_wide {
    struct wide_iter it;
    struct arena layouts; /* of the chunk at hand */
    struct arena batch;   /* histograms given last */
    int64_t start_t_ms[SOURCE_BATCH];
};

struct head_cursor {
    struct sample_cursor cursor; /* first */
    struct xor_iter it;
    struct cursor_wide *wide; /* NULL: no wide chunk yet */
    struct arena *arena;      /* borrowed: the reader's */
    int64_t t_min_ms, t_max_ms;
    struct source_stats *stats;
    uint32_t chunk_index, chunk_count;
    uint32_t left; /* of the chunk under `it` */
    bool is_open;  /* `it`, or wide->it, is on chunk_index */
    bool is_wide;  /* of the chunk under it */
    struct head_read_chunk chunks[];
};

static void on_wide_reset(void *ptr)
{
    struct cursor_wide *wide = ptr;

    arena_fini(&wide->layouts);
    arena_fini(&wide->batch);
}

static enum err cursor_enter_wide(struct head_cursor *cursor, struct slice bytes)
{
    struct cursor_wide *wide = cursor->wide;

    if (wide == NULL) {
        wide = arena_alloc(cursor->arena, sizeof(*wide));
        if (wide == NULL)
            return ERR_LIMIT;
        arena_init(&wide->layouts, cursor->arena->budget, 0);
        arena_init(&wide->batch, cursor->arena->budget, 0);
        if (arena_on_reset(cursor->arena, on_wide_reset, wide) != ERR_OK)
            return ERR_LIMIT;
        cursor->wide = wide;
    }
    arena_reset(&wide->layouts);
    wide_iter_init(&wide->it, bytes, &wide->layouts);
    return wide->it.err;
}

/* Stands on the next chunk that may have samples of the range. */
static bool cursor_enter_chunk(struct head_cursor *cursor)
{
    while (cursor->chunk_index < cursor->chunk_count) {
        const struct head_read_chunk *chunk = &cursor->chunks[cursor->chunk_index];

        if (chunk->t_max_ms >= cursor->t_min_ms) {
            cursor->is_wide = wide_chunk_kind(chunk->bytes) != 0;
            if (cursor->is_wide)
                cursor->cursor.err = cursor_enter_wide(cursor, chunk->bytes);
            else
                xor_iter_init(&cursor->it, chunk->bytes);
            cursor->left = chunk->visible;
            cursor->is_open = true;
            return cursor->cursor.err == ERR_OK;
        }
        cursor->chunk_index++;
    }
    return false;
}

/* Whether a time is in the range; behind it, nothing more is. */
static bool cursor_meets(struct head_cursor *cursor, int64_t t_ms)
{
    if (t_ms <= cursor->t_max_ms)
        return t_ms >= cursor->t_min_ms;
    cursor->is_open = false;
    cursor->chunk_index = cursor->chunk_count;
    return false;
}

static void cursor_leave_chunk(struct head_cursor *cursor, enum err err)
{
    cursor->cursor.err = err;
    cursor->is_open = false;
    cursor->chunk_index++;
}

/* Fills the batch from XOR chunks, up to a wide one. */
static void cursor_read_xor(struct head_cursor *cursor, struct sample_columns *columns)
{
    uint32_t count = 0;

    columns->kind = SAMPLE_FLOAT;
    columns->start_t_ms = NULL;
    while (count < SOURCE_BATCH && cursor->cursor.err == ERR_OK) {
        struct sample sample;

        if (!cursor->is_open && !cursor_enter_chunk(cursor))
            break;
        if (cursor->is_wide)
            break;
        if (cursor->left == 0 || !xor_iter_next(&cursor->it, &sample)) {
            cursor_leave_chunk(cursor, cursor->it.err);
            continue;
        }
        cursor->left--;
        if (!cursor_meets(cursor, sample.t_ms))
            continue;
        columns->t_ms[count] = sample.t_ms;
        columns->v[count++] = sample.v;
    }
    columns->count = count;
}

/* Fills the batch from the wide chunk at hand. Its layouts are borrowed by what was given, so the
 * next chunk waits for the next batch. */
static void cursor_read_wide(struct head_cursor *cursor, struct sample_columns *columns)
{
    struct cursor_wide *wide = cursor->wide;
    const bool is_float = wide->it.state.kind == WIDE_FLOAT;
    uint32_t count = 0;

    arena_reset(&wide->batch);
    columns->kind = is_float ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM;
    columns->start_t_ms = NULL;
    while (count < SOURCE_BATCH && cursor->is_open) {
        struct wide_sample sample;

        if (cursor->left == 0 || !wide_iter_next(&wide->it, &wide->batch, &sample)) {
            cursor_leave_chunk(cursor, wide->it.err);
            break;
        }
        cursor->left--;
        if (!cursor_meets(cursor, sample.t_ms))
            continue;
        columns->t_ms[count] = sample.t_ms;
        wide->start_t_ms[count] = sample.start_t_ms;
        if (sample.start_t_ms != 0)
            columns->start_t_ms = wide->start_t_ms;
        if (is_float)
            columns->v[count++] = sample.v;
        else
            columns->histograms[count++] = sample.histogram;
    }
    columns->count = count;
}

static bool cursor_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct head_cursor *cursor = CONTAINER_OF(base, struct head_cursor, cursor);

    columns->count = 0;
    while (base->err == ERR_OK && columns->count == 0) {
        if (!cursor->is_open && !cursor_enter_chunk(cursor))
            break;
        if (cursor->is_wide)
            cursor_read_wide(cursor, columns);
        else
            cursor_read_xor(cursor, columns);
    }
    if (cursor->stats != NULL)
        cursor->stats->samples += columns->count;
    return columns->count > 0;
}

static void cursor_seek(struct sample_cursor *base, int64_t t_ms)
{
    struct head_cursor *cursor = CONTAINER_OF(base, struct head_cursor, cursor);

    if (t_ms <= cursor->t_min_ms)
        return;
    cursor->t_min_ms = t_ms;
    if (cursor->is_open && cursor->chunks[cursor->chunk_index].t_max_ms < t_ms) {
        cursor->is_open = false;
        cursor->chunk_index++;
    }
}

static const struct sample_cursor_ops cursor_ops = {.next = cursor_next, .seek = cursor_seek};

static bool chunk_meets(const struct head_chunk *chunk, const struct head_read_range *range)
{
    return chunk->t_max_ms >= range->t_min_ms && head_chunk_t_min(chunk) <= range->t_max_ms;
}

/* Fills the cursor from its end, the newest chunk first. */
static void cursor_fill(struct head_cursor *cursor, const struct series_hot *hot,
                        const struct head_read_range *range, void *copy)
{
    uint64_t hidden = head_chunk_hidden(hot, range->watermark);
    uint32_t at = cursor->chunk_count;

    if (hot->count > 0) {
        const uint32_t count = hot->count;
        const uint32_t visible = hidden >= count ? 0 : count - (uint32_t)hidden;

        hidden -= count - visible;
        if (copy != NULL && visible > 0) {
            const struct slice bytes = head_chunk_open_bytes(hot);

            memcpy(copy, bytes.data, bytes.len);
            cursor->chunks[--at] = (struct head_read_chunk){
                .bytes = slice_of(copy, bytes.len), .t_max_ms = hot->t_ms, .visible = visible};
        }
    }
    for (const struct head_chunk *chunk = hot->sealed; chunk != NULL; chunk = chunk->prev) {
        const uint32_t visible = hidden >= chunk->count ? 0 : chunk->count - (uint32_t)hidden;

        hidden -= chunk->count - visible;
        if (visible == 0 || !chunk_meets(chunk, range))
            continue;
        cursor->chunks[--at] = (struct head_read_chunk){
            .bytes = head_chunk_bytes(chunk), .t_max_ms = chunk->t_max_ms, .visible = visible};
    }
    cursor->chunk_index = at;
}

static struct head_cursor *cursor_new(uint32_t count, const struct head_read_range *range,
                                      struct arena *arena)
{
    struct head_cursor *cursor =
        arena_alloc(arena, sizeof(*cursor) + count * sizeof(cursor->chunks[0]));

    if (cursor != NULL)
        *cursor = (struct head_cursor){.cursor.ops = &cursor_ops,
                                       .arena = arena,
                                       .t_min_ms = range->t_min_ms,
                                       .t_max_ms = range->t_max_ms,
                                       .stats = range->stats,
                                       .chunk_count = count};
    return cursor;
}

/* Adds what the cursor will read to the statistics. */
static void cursor_count(const struct head_cursor *cursor)
{
    struct source_stats *stats = cursor->stats;

    if (stats == NULL)
        return;
    stats->chunks += cursor->chunk_count - cursor->chunk_index;
    for (uint32_t i = cursor->chunk_index; i < cursor->chunk_count; i++)
        stats->bytes += cursor->chunks[i].bytes.len;
}

/* The slab is locked. */
static enum err open_in_order(const struct series_hot *hot, const struct head_read_range *range,
                              struct arena *arena, struct sample_cursor **out)
{
    struct head_cursor *cursor;
    uint32_t count = 0;
    size_t open_size = 0;
    void *copy = NULL;

    if (hot->count > 0 && hot->t_ms >= range->t_min_ms &&
        head_chunk_open_t_min(hot) <= range->t_max_ms) {
        open_size = head_chunk_open_bytes(hot).len;
        count++;
    }
    for (const struct head_chunk *chunk = hot->sealed; chunk != NULL; chunk = chunk->prev)
        count += chunk_meets(chunk, range);
    *out = NULL;
    if (count == 0)
        return ERR_OK;
    cursor = cursor_new(count, range, arena);
    if (open_size > 0)
        copy = arena_alloc(arena, open_size);
    if (cursor == NULL || (open_size > 0 && copy == NULL))
        return ERR_LIMIT;
    cursor_fill(cursor, hot, range, copy);
    if (cursor->chunk_index == cursor->chunk_count)
        return ERR_OK; /* all of it is too new for this reader */
    cursor_count(cursor);
    *out = &cursor->cursor;
    return ERR_OK;
}

struct sample_cursor *head_read_chunks(const struct head_read_chunk *chunks, uint32_t count,
                                       const struct head_read_range *range, struct arena *arena)
{
    struct head_cursor *cursor = cursor_new(count, range, arena);

    if (cursor == NULL)
        return NULL;
    memcpy(cursor->chunks, chunks, count * sizeof(*chunks));
    cursor_count(cursor);
    return &cursor->cursor;
}

bool head_read_is_sure(const struct sample_cursor *base)
{
    const struct head_cursor *cursor = CONTAINER_OF(base, struct head_cursor, cursor);
    struct slice bytes;
    int64_t t_ms;

    if (base->ops != &cursor_ops)
        return false;
    bytes = cursor->chunks[cursor->chunk_index].bytes;
    /* A chunk behind another one begins in the range, or it would not be there. */
    if (cursor->chunk_count - cursor->chunk_index > 1)
        return true;
    if (wide_chunk_kind(bytes) != 0)
        return wide_chunk_t_min(bytes, &t_ms) && t_ms >= cursor->t_min_ms;
    return bytes.len > 2 && varint_get_i64(bytes.data + 2, bytes.data + bytes.len, &t_ms) > 0 &&
           t_ms >= cursor->t_min_ms;
}

enum err head_read_open(struct head *head, uint32_t slot, const struct head_read_range *range,
                        struct merge_pool *pool, struct sample_cursor **cursor)
{
    const uint32_t i = head_slab_index(slot);
    struct head_slab *slab = head_slab_of(head, slot);
    struct head_ooo_view view;
    enum err err;

    pthread_mutex_lock(&slab->lock);
    err = open_in_order(&slab->hot[i], range, pool->arena, cursor);
    if (err == ERR_OK)
        err = head_ooo_look(head_ooo_get(slab, i), range, pool->arena, &view);
    pthread_mutex_unlock(&slab->lock);
    if (err == ERR_OK && !head_ooo_view_is_empty(&view))
        err = head_ooo_merge(&view, range, pool, *cursor, cursor);
    if (err == ERR_OK && *cursor != NULL && range->stats != NULL)
        range->stats->series++;
    return err;
}
