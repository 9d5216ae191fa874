/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "model/order.h"
#include "storage/head_ooo.h"
#include "storage/head_read.h"
#include "storage/merge_internal.h"

/* Reading what came out of order. Sealed chunks may overlap, so they are dealt out to lanes in each
 * of which they follow one another; mostly one lane takes all. Lanes, staged samples and the
 * samples in order are then merged under the total order. */

static bool chunk_meets(const struct head_chunk *chunk, const struct head_read_range *range)
{
    return chunk->t_max_ms >= range->t_min_ms && head_chunk_t_min(chunk) <= range->t_max_ms;
}

static bool sample_meets(const struct head_ooo_sample *sample, const struct head_read_range *range)
{
    return sample->seq <= range->watermark && sample->t_ms >= range->t_min_ms &&
           sample->t_ms <= range->t_max_ms;
}

static enum err look_at_samples(const struct head_ooo *ooo, const struct head_read_range *range,
                                struct arena *arena, struct head_ooo_view *view)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ooo->count; i++)
        count += sample_meets(&ooo->staged[i], range);
    if (count == 0)
        return ERR_OK;
    view->samples = ARENA_ARRAY(arena, struct head_ooo_sample, count);
    if (view->samples == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < ooo->count; i++) {
        const struct head_ooo_sample *sample = &ooo->staged[i];
        const bool is_again =
            view->sample_count > 0 && view->samples[view->sample_count - 1].t_ms == sample->t_ms;

        if (sample_meets(sample, range)) /* of one time the later ones are the greater */
            view->samples[is_again ? view->sample_count - 1 : view->sample_count++] = *sample;
    }
    return ERR_OK;
}

enum err head_ooo_look(const struct head_ooo *ooo, const struct head_read_range *range,
                       struct arena *arena, struct head_ooo_view *view)
{
    uint32_t count = 0;

    *view = (struct head_ooo_view){0};
    if (ooo == NULL)
        return ERR_OK;
    for (const struct head_chunk *chunk = ooo->sealed; chunk != NULL; chunk = chunk->prev)
        count += chunk_meets(chunk, range);
    if (count > 0) {
        view->chunks = ARENA_ARRAY(arena, const struct head_chunk *, count);
        if (view->chunks == NULL)
            return ERR_LIMIT;
        for (const struct head_chunk *chunk = ooo->sealed; chunk != NULL; chunk = chunk->prev)
            if (chunk_meets(chunk, range))
                view->chunks[view->chunk_count++] = chunk;
    }
    return look_at_samples(ooo, range, arena, view);
}

/* ---- staged samples ---- */

struct staged_cursor {
    struct sample_cursor base;
    const struct head_ooo_sample *samples;
    uint32_t count, at;
    struct source_stats *stats;
};

static bool staged_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct staged_cursor *cursor = CONTAINER_OF(base, struct staged_cursor, base);
    uint32_t count = 0;

    while (cursor->at < cursor->count && count < SOURCE_BATCH) {
        const struct head_ooo_sample *sample = &cursor->samples[cursor->at++];

        columns->t_ms[count] = sample->t_ms;
        columns->v[count++] = sample_value_from_bits(sample->v_bits);
    }
    columns->count = count;
    columns->kind = SAMPLE_FLOAT;
    columns->start_t_ms = NULL;
    if (cursor->stats != NULL)
        cursor->stats->samples += count;
    return count > 0;
}

static void staged_seek(struct sample_cursor *base, int64_t t_ms)
{
    struct staged_cursor *cursor = CONTAINER_OF(base, struct staged_cursor, base);

    while (cursor->at < cursor->count && cursor->samples[cursor->at].t_ms < t_ms)
        cursor->at++;
}

static const struct sample_cursor_ops staged_ops = {.next = staged_next, .seek = staged_seek};

static struct sample_cursor *staged_new(const struct head_ooo_view *view,
                                        const struct head_read_range *range, struct arena *arena)
{
    struct staged_cursor *cursor = ARENA_NEW(arena, struct staged_cursor);

    if (cursor == NULL)
        return NULL;
    cursor->base.ops = &staged_ops;
    cursor->samples = view->samples;
    cursor->count = view->sample_count;
    cursor->stats = range->stats;
    return &cursor->base;
}

/* ---- lanes ---- */

static int chunk_cmp(const void *a, const void *b)
{
    const struct head_chunk *x = *(const struct head_chunk *const *)a;
    const struct head_chunk *y = *(const struct head_chunk *const *)b;
    const int64_t t_x = head_chunk_t_min(x), t_y = head_chunk_t_min(y);

    return t_x < t_y ? -1 : t_x > t_y;
}

/* Takes from the chunks, which are sorted, those that follow one another, and leaves the others.
 * Returns how many it took. */
static uint32_t lane_take(const struct head_chunk **chunks, uint32_t *count,
                          struct head_read_chunk *lane)
{
    uint32_t taken = 0, left = 0;

    for (uint32_t i = 0; i < *count; i++) {
        const struct head_chunk *chunk = chunks[i];

        if (taken > 0 && head_chunk_t_min(chunk) <= lane[taken - 1].t_max_ms)
            chunks[left++] = chunk;
        else
            lane[taken++] = (struct head_read_chunk){.bytes = head_chunk_bytes(chunk),
                                                     .t_max_ms = chunk->t_max_ms,
                                                     .visible = chunk->count};
    }
    *count = left;
    return taken;
}

/* Cursors over all chunks; how many in *count. NULL: no room. */
static struct sample_cursor **lanes_make(const struct head_ooo_view *view,
                                         const struct head_read_range *range, struct arena *arena,
                                         uint32_t *count)
{
    /* One more for the staged samples, one for those in order. */
    struct sample_cursor **cursors =
        ARENA_ARRAY(arena, struct sample_cursor *, (size_t)view->chunk_count + 2);
    struct head_read_chunk *lane = ARENA_ARRAY(arena, struct head_read_chunk, view->chunk_count);
    uint32_t left = view->chunk_count;

    *count = 0;
    if (cursors == NULL || lane == NULL)
        return NULL;
    if (left > 1)
        qsort((void *)view->chunks, left, sizeof(view->chunks[0]), chunk_cmp);
    while (left > 0) {
        const uint32_t taken = lane_take(view->chunks, &left, lane);

        cursors[*count] = head_read_chunks(lane, taken, range, arena);
        if (cursors[*count] == NULL)
            return NULL;
        ++*count;
    }
    return cursors;
}

enum err head_ooo_merge(const struct head_ooo_view *view, const struct head_read_range *range,
                        struct merge_pool *pool, struct sample_cursor *in_order,
                        struct sample_cursor **out)
{
    uint32_t count;
    struct sample_cursor **cursors = lanes_make(view, range, pool->arena, &count);

    if (cursors == NULL)
        return ERR_LIMIT;
    if (view->sample_count > 0) {
        cursors[count] = staged_new(view, range, pool->arena);
        if (cursors[count++] == NULL)
            return ERR_LIMIT;
    }
    if (in_order != NULL)
        cursors[count++] = in_order;
    *out = count == 1 ? cursors[0] : merge_cursors(pool, cursors, count);
    return *out == NULL ? ERR_LIMIT : ERR_OK;
}
