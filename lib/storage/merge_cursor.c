/* SPDX-License-Identifier: Apache-2.0 */

/* The union by time of several cursors. Runs of one input that end before all others begin are
 * copied whole, which is the common case: blocks follow one another in time. */

#include <string.h>

#include "model/order.h"
#include "storage/merge_internal.h"

struct merge_part {
    struct sample_cursor *cursor;
    struct series_stream *stream; /* whose message explains the cursor's error; may be NULL */
    struct merge_batch *batch;    /* NULL: to be filled */
    bool ended;
};

struct merge_cursor {
    struct sample_cursor base;
    struct merge_pool *pool;
    struct series_stream *stream;  /* learns of errors; may be NULL */
    int64_t *start_t_ms;           /* of the batch given; NULL until one input knows start times */
    const struct merge_part *last; /* the part of the sample given last; NULL: none yet */
    struct histogram *unhinted;    /* first of the batch, its hint taken; NULL until one needs it */
    uint32_t part_count;
    struct merge_part parts[];
};

static bool cursor_fail(struct merge_cursor *cursor, const struct merge_part *part)
{
    struct series_stream *stream = cursor->stream;

    cursor->base.err = part->cursor->err;
    if (stream == NULL)
        return false;
    if (stream->err == ERR_OK)
        stream->err = part->cursor->err;
    if (part->stream->info.message[0] != '\0')
        (void)err_set(&stream->info, stream->err, "%s", part->stream->info.message);
    return false;
}

static struct merge_batch *batch_take(struct merge_cursor *cursor)
{
    struct merge_pool *pool = cursor->pool;
    struct merge_batch *batch = pool->free;

    if (batch == NULL)
        return arena_alloc(pool->arena, sizeof(*batch));
    pool->free = batch->next_free;
    return batch;
}

static void batch_give(struct merge_cursor *cursor, struct merge_part *part)
{
    part->batch->next_free = cursor->pool->free;
    cursor->pool->free = part->batch;
    part->batch = NULL;
}

/* Gives every part that has not ended a batch with a sample in it. */
static bool fill(struct merge_cursor *cursor)
{
    for (uint32_t i = 0; i < cursor->part_count; i++) {
        struct merge_part *part = &cursor->parts[i];

        if (part->ended || part->batch != NULL)
            continue;
        part->batch = batch_take(cursor);
        if (part->batch == NULL) {
            cursor->base.err = ERR_LIMIT;
            return false;
        }
        part->batch->at = 0;
        if (sample_cursor_next(part->cursor, &part->batch->columns))
            continue;
        batch_give(cursor, part);
        part->ended = true;
        if (part->cursor->err != ERR_OK)
            return cursor_fail(cursor, part);
    }
    return true;
}

static int64_t part_t(const struct merge_part *part)
{
    return part->batch->columns.t_ms[part->batch->at];
}

static struct order_sample part_sample(const struct merge_part *part)
{
    const struct sample_columns *columns = &part->batch->columns;
    struct order_sample sample = {.kind = columns->kind};

    if (columns->kind == SAMPLE_FLOAT)
        sample.v = columns->v[part->batch->at];
    else
        sample.histogram = columns->histograms[part->batch->at];
    return sample;
}

/* The part with the least time; of several the one whose sample wins. *bound is the least time of
 * the parts that come after it, INT64_MAX with *is_last if there are none. */
static struct merge_part *pick(struct merge_cursor *cursor, int64_t *bound, bool *is_last)
{
    struct merge_part *best = NULL;

    *bound = INT64_MAX;
    *is_last = true;
    for (uint32_t i = 0; i < cursor->part_count; i++) {
        struct merge_part *part = &cursor->parts[i];

        if (part->batch == NULL)
            continue;
        if (best == NULL) {
            best = part;
            continue;
        }
        const int64_t t_ms = part_t(part);
        struct merge_part *other = part;
        if (t_ms < part_t(best)) {
            other = best;
            best = part;
        } else if (t_ms == part_t(best)) {
            const struct order_sample a = part_sample(best);
            const struct order_sample b = part_sample(part);

            if (sample_order(&a, &b) < 0) {
                other = best;
                best = part;
            }
        }
        *is_last = false;
        if (part_t(other) < *bound)
            *bound = part_t(other);
    }
    return best;
}

/* Start times of samples that have none are 0. */
static bool add_starts(struct merge_cursor *cursor, struct sample_columns *out,
                       const struct merge_batch *batch, uint32_t count)
{
    if (batch->columns.start_t_ms == NULL && out->start_t_ms == NULL)
        return true;
    if (cursor->start_t_ms == NULL)
        cursor->start_t_ms = ARENA_ARRAY(cursor->pool->arena, int64_t, SOURCE_BATCH);
    if (cursor->start_t_ms == NULL) {
        cursor->base.err = ERR_LIMIT;
        return false;
    }
    int64_t *starts = cursor->start_t_ms;
    if (out->start_t_ms == NULL)
        memset(starts, 0, out->count * sizeof(*starts));
    if (batch->columns.start_t_ms == NULL)
        memset(starts + out->count, 0, count * sizeof(*starts));
    else
        memcpy(starts + out->count, batch->columns.start_t_ms + batch->at, count * sizeof(*starts));
    out->start_t_ms = starts;
    return true;
}

/* Moves `count` samples from the part to the end of *out. */
static bool move_run(struct merge_cursor *cursor, struct merge_part *part,
                     struct sample_columns *out, uint32_t count)
{
    struct merge_batch *batch = part->batch;

    if (!add_starts(cursor, out, batch, count))
        return false;
    memcpy(out->t_ms + out->count, batch->columns.t_ms + batch->at, count * sizeof(out->t_ms[0]));
    if (out->kind == SAMPLE_FLOAT)
        memcpy(out->v + out->count, batch->columns.v + batch->at, count * sizeof(out->v[0]));
    else
        memcpy(out->histograms + out->count, batch->columns.histograms + batch->at,
               count * sizeof(out->histograms[0]));
    out->count += count;
    batch->at += count;
    return true;
}

/* Samples of the part that come before `bound` (all, if it is the last one), at least one. */
static uint32_t run_length(const struct merge_part *part, int64_t bound, bool is_last,
                           uint32_t room)
{
    const struct merge_batch *batch = part->batch;
    const uint32_t left = batch->columns.count - batch->at;
    const uint32_t max = left < room ? left : room;
    uint32_t count = 1;

    if (is_last || batch->columns.t_ms[batch->at + max - 1] < bound)
        return max;
    while (count < max && batch->columns.t_ms[batch->at + count] < bound)
        count++;
    return count;
}

/* Drops samples up to and with t_ms; those of the same time have lost. Batches that are used up go
 * back. True if one did. */
static bool drop_until(struct merge_cursor *cursor, int64_t t_ms)
{
    bool used_up = false;

    for (uint32_t i = 0; i < cursor->part_count; i++) {
        struct merge_part *part = &cursor->parts[i];

        if (part->batch == NULL)
            continue;
        while (part->batch->at < part->batch->columns.count && part_t(part) <= t_ms)
            part->batch->at++;
        if (part->batch->at == part->batch->columns.count) {
            batch_give(cursor, part);
            used_up = true;
        }
    }
    return used_up;
}

/* What a histogram says of resets is about the sample before it in its own input. Behind a sample
 * of another one it says nothing, so the hint goes, but for gauges; as upstream has it. */
static bool take_hint(struct merge_cursor *cursor, struct sample_columns *out)
{
    const struct histogram *h = out->histograms[0];

    if (h->reset != HISTOGRAM_RESET_YES && h->reset != HISTOGRAM_RESET_NO)
        return true;
    if (cursor->unhinted == NULL)
        cursor->unhinted = ARENA_NEW(cursor->pool->arena, struct histogram);
    if (cursor->unhinted == NULL) {
        cursor->base.err = ERR_LIMIT;
        return false;
    }
    *cursor->unhinted = *h;
    cursor->unhinted->reset = HISTOGRAM_RESET_UNKNOWN;
    out->histograms[0] = cursor->unhinted;
    return true;
}

static bool next_merged(struct merge_cursor *cursor, struct sample_columns *out)
{
    out->count = 0;
    out->start_t_ms = NULL;
    if (!fill(cursor))
        return false;
    while (out->count < SOURCE_BATCH) {
        int64_t bound;
        bool is_last;
        struct merge_part *part = pick(cursor, &bound, &is_last);

        if (part == NULL)
            break;
        if (out->count == 0)
            out->kind = part->batch->columns.kind;
        else if (out->kind != part->batch->columns.kind)
            break;
        const bool is_other = cursor->last != NULL && cursor->last != part;
        if (is_other && out->kind == SAMPLE_HISTOGRAM && out->count > 0)
            break; /* one hint a batch can be taken */
        const uint32_t count = run_length(part, bound, is_last, SOURCE_BATCH - out->count);
        if (!move_run(cursor, part, out, count))
            return false;
        if (is_other && out->kind == SAMPLE_HISTOGRAM && !take_hint(cursor, out))
            return false;
        cursor->last = part;
        const bool used_up = drop_until(cursor, out->t_ms[out->count - 1]);
        /* A histogram is borrowed from its cursor's batch, so that may not move on yet. */
        if (used_up && out->kind != SAMPLE_FLOAT)
            break;
        if (used_up && !fill(cursor))
            return false;
    }
    return out->count > 0;
}

static bool cursor_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct merge_cursor *cursor = CONTAINER_OF(base, struct merge_cursor, base);
    struct merge_part *part = &cursor->parts[0];

    if (base->err != ERR_OK)
        return false;
    if (cursor->part_count > 1)
        return next_merged(cursor, columns);
    if (sample_cursor_next(part->cursor, columns))
        return true;
    return part->cursor->err != ERR_OK ? cursor_fail(cursor, part) : false;
}

static void cursor_seek(struct sample_cursor *base, int64_t t_ms)
{
    struct merge_cursor *cursor = CONTAINER_OF(base, struct merge_cursor, base);

    if (t_ms > INT64_MIN)
        (void)drop_until(cursor, t_ms - 1);
    for (uint32_t i = 0; i < cursor->part_count; i++)
        if (cursor->parts[i].batch == NULL && !cursor->parts[i].ended)
            sample_cursor_seek(cursor->parts[i].cursor, t_ms);
}

static const struct sample_cursor_ops merge_cursor_ops = {cursor_next, cursor_seek};

static struct merge_cursor *cursor_make(struct merge_pool *pool, uint32_t count)
{
    struct merge_cursor *cursor =
        arena_zalloc(pool->arena, 1, sizeof(*cursor) + count * sizeof(struct merge_part));

    if (cursor == NULL)
        return NULL;
    cursor->base.ops = &merge_cursor_ops;
    cursor->pool = pool;
    cursor->part_count = count;
    return cursor;
}

struct sample_cursor *merge_cursors(struct merge_pool *pool, struct sample_cursor *const *cursors,
                                    uint32_t count)
{
    struct merge_cursor *cursor = cursor_make(pool, count);

    if (cursor == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        cursor->parts[i].cursor = cursors[i];
    return &cursor->base;
}

struct sample_cursor *merge_cursor_new(struct merge_stream *stream, uint32_t count)
{
    struct merge_cursor *cursor = cursor_make(&stream->pool, count);

    if (cursor == NULL)
        return NULL;
    cursor->stream = &stream->base;
    for (uint32_t i = 0; i < count; i++) {
        cursor->parts[i].cursor = stream->same[i]->series.cursor;
        cursor->parts[i].stream = stream->same[i]->stream;
    }
    return &cursor->base;
}
