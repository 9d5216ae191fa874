/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/compact_plan.h"

#include <stdlib.h>

#include "base/mem.h"

/* Each level's range is this many times the one below. */
static const int64_t level_factors[] = {6, 2, 3, 3, 3};

enum { LEVEL_COUNT = sizeof(level_factors) / sizeof(level_factors[0]) };

struct item {
    const struct compact_candidate *candidate;
    uint32_t index;
};

static int time_order(const void *a, const void *b)
{
    const struct compact_candidate *x = ((const struct item *)a)->candidate;
    const struct compact_candidate *y = ((const struct item *)b)->candidate;

    if (x->window_t_min_ms != y->window_t_min_ms)
        return x->window_t_min_ms < y->window_t_min_ms ? -1 : 1;
    return (x->window_t_end_ms > y->window_t_end_ms) - (x->window_t_end_ms < y->window_t_end_ms);
}

static int size_order(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;

    if (x->candidate->size_bytes != y->candidate->size_bytes)
        return x->candidate->size_bytes < y->candidate->size_bytes ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int64_t newest_end(const struct item *items, uint32_t count)
{
    int64_t t_end_ms = INT64_MIN;

    for (uint32_t i = 0; i < count; i++)
        if (items[i].candidate->window_t_end_ms > t_end_ms)
            t_end_ms = items[i].candidate->window_t_end_ms;
    return t_end_ms;
}

static uint32_t give(const struct item *items, uint32_t count, uint32_t *picks)
{
    const uint32_t given = count < COMPACT_PICKS_MAX ? count : COMPACT_PICKS_MAX;

    for (uint32_t i = 0; i < given; i++)
        picks[i] = items[i].index;
    return given;
}

/* ---- overlaps ---- */

/* The small ones of blocks that overlap, as many as are worth a merge. Reorders the group. */
static uint32_t pick_small(struct item *group, uint32_t count, uint32_t count_min, uint32_t *picks)
{
    uint32_t usable = 0;
    uint32_t end = 0;
    uint64_t size_bytes = 0;

    for (uint32_t i = 0; i < count; i++)
        if (!group[i].candidate->is_barred)
            group[usable++] = group[i];
    qsort(group, usable, sizeof(*group), size_order);
    for (; end < usable; end++) {
        const uint64_t next_bytes = group[end].candidate->size_bytes;

        if (end > 0 && next_bytes > COMPACT_SMALL_BYTES && next_bytes / COMPACT_RATIO > size_bytes)
            break;
        size_bytes += next_bytes;
    }
    return end < count_min ? 0 : give(group, end, picks);
}

static uint32_t plan_overlaps(struct item *items, uint32_t count, uint32_t *picks)
{
    const int64_t t_high_ms = newest_end(items, count);

    for (uint32_t start = 0, end; start < count; start = end) {
        int64_t t_end_ms = items[start].candidate->window_t_end_ms;

        for (end = start + 1; end < count; end++) {
            if (items[end].candidate->window_t_min_ms >= t_end_ms)
                break;
            if (items[end].candidate->window_t_end_ms > t_end_ms)
                t_end_ms = items[end].candidate->window_t_end_ms;
        }
        /* The copy is reordered, and the list is still needed as it is. */
        const uint32_t group_count = end - start;
        if (group_count < 2)
            continue;
        struct item *group = mem_alloc(group_count * sizeof(*group));
        for (uint32_t i = 0; i < group_count; i++)
            group[i] = items[start + i];
        const uint32_t count_min = t_end_ms < t_high_ms ? 2 : COMPACT_NEWEST_MIN;
        const uint32_t picked = pick_small(group, group_count, count_min, picks);
        mem_free(group);
        if (picked > 0)
            return picked;
    }
    return 0;
}

/* ---- levels ---- */

static int64_t floor_to(int64_t t_ms, int64_t range_ms)
{
    const int64_t rest = t_ms % range_ms;

    return t_ms - (rest < 0 ? rest + range_ms : rest);
}

/* Blocks that lie in one window of the level and do not fill it by themselves. */
static uint32_t plan_level(const struct item *items, uint32_t count, int64_t range_ms,
                           uint32_t *picks)
{
    const int64_t t_high_ms = newest_end(items, count);
    struct item *part = mem_alloc(count * sizeof(*part));
    uint32_t picked = 0;

    for (uint32_t start = 0, end; start < count && picked == 0; start = end) {
        const int64_t t_min_ms = floor_to(items[start].candidate->window_t_min_ms, range_ms);
        int64_t t_end_ms = INT64_MIN;
        uint32_t part_count = 0;
        bool is_barred = false;

        for (end = start; end < count; end++) {
            const struct compact_candidate *candidate = items[end].candidate;

            if (candidate->window_t_min_ms >= t_min_ms + range_ms)
                break;
            if (candidate->window_t_end_ms > t_min_ms + range_ms ||
                candidate->window_t_end_ms - candidate->window_t_min_ms >= range_ms)
                continue;
            is_barred |= candidate->is_barred;
            if (candidate->window_t_end_ms > t_end_ms)
                t_end_ms = candidate->window_t_end_ms;
            part[part_count++] = items[end];
        }
        const bool is_over = t_end_ms == t_min_ms + range_ms || t_min_ms + range_ms <= t_high_ms;
        if (part_count >= 2 && is_over && !is_barred)
            picked = give(part, part_count, picks);
    }
    mem_free(part);
    return picked;
}

uint32_t compact_plan(const struct compact_levels *levels,
                      const struct compact_candidate *candidates, uint32_t count, uint32_t *picks)
{
    struct item *items;
    int64_t range_ms = levels->range_ms;
    uint32_t picked;

    if (count < 2)
        return 0;
    items = mem_alloc(count * sizeof(*items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct item){&candidates[i], i};
    qsort(items, count, sizeof(*items), time_order);
    picked = plan_overlaps(items, count, picks);
    for (uint32_t level = 0; level < LEVEL_COUNT && picked == 0; level++) {
        if (range_ms > levels->range_ms_max / level_factors[level])
            break;
        range_ms *= level_factors[level];
        picked = plan_level(items, count, range_ms, picks);
    }
    mem_free(items);
    return picked;
}
