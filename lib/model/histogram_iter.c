/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_iter.h"

/* Indexes wrap as upstream's do: what is read from outside may hold any offset. */
static int32_t index_add(int32_t index, uint32_t by)
{
    return (int32_t)((uint32_t)index + by);
}

void histogram_walk_init(struct histogram_walk *walk, const struct histogram *h, bool is_negative)
{
    ASSERT(h->is_float);
    *walk = (struct histogram_walk){
        .spans = is_negative ? h->negative_spans : h->positive_spans,
        .counts = is_negative ? h->f.negative_counts : h->f.positive_counts,
        .span_count = is_negative ? h->negative_span_count : h->positive_span_count,
        .bucket_count = is_negative ? h->negative_count : h->positive_count,
        .index = -1,
    };
    if (walk->span_count > 0)
        walk->index = index_add(walk->spans[0].offset, UINT32_MAX);
}

bool histogram_walk_next(struct histogram_walk *walk)
{
    while (walk->span < walk->span_count && walk->in_span == walk->spans[walk->span].length) {
        walk->span++;
        walk->in_span = 0;
        if (walk->span < walk->span_count)
            walk->index = index_add(walk->index, (uint32_t)walk->spans[walk->span].offset);
    }
    if (walk->span >= walk->span_count || walk->next >= walk->bucket_count)
        return false;
    walk->index = index_add(walk->index, 1);
    walk->in_span++;
    walk->count = walk->counts[walk->next++];
    return true;
}

/* Puts a walk behind its last bucket, to be walked back. */
static void walk_to_end(struct histogram_walk *walk)
{
    int32_t index = 0;

    for (uint32_t i = 0; i < walk->span_count; i++)
        index = index_add(index, (uint32_t)walk->spans[i].offset + walk->spans[i].length);
    walk->index = index;
    walk->next = walk->bucket_count;
    walk->span = walk->span_count;
    walk->in_span = 0;
}

static bool walk_back(struct histogram_walk *walk)
{
    if (walk->next == 0)
        return false;
    while (walk->in_span == 0) {
        if (walk->span == 0)
            return false;
        if (walk->span < walk->span_count)
            walk->index = index_add(walk->index, -(uint32_t)walk->spans[walk->span].offset);
        walk->span--;
        walk->in_span = walk->spans[walk->span].length;
    }
    walk->index = index_add(walk->index, UINT32_MAX);
    walk->in_span--;
    walk->count = walk->counts[--walk->next];
    return true;
}

struct histogram_bounds histogram_bucket_bounds(const struct histogram *h, bool is_negative,
                                                int32_t index)
{
    const double far = histogram_bound(h, index);
    const double near = histogram_bound(h, index_add(index, UINT32_MAX));

    return is_negative ? (struct histogram_bounds){-far, -near}
                       : (struct histogram_bounds){near, far};
}

void histogram_iter_init(struct histogram_iter *it, const struct histogram *h, bool is_reverse)
{
    *it = (struct histogram_iter){.h = h, .is_reverse = is_reverse, .part = HISTOGRAM_PART_FIRST};
    histogram_walk_init(&it->far, h, !is_reverse);
    walk_to_end(&it->far);
    histogram_walk_init(&it->away, h, is_reverse);
}

bool histogram_iter_next(struct histogram_iter *it)
{
    if (it->part == HISTOGRAM_PART_FIRST) {
        if (walk_back(&it->far)) {
            it->count = it->far.count;
            return true;
        }
        it->part = HISTOGRAM_PART_ZERO;
        if (it->h->f.zero_count > 0) {
            it->count = it->h->f.zero_count;
            return true;
        }
    }
    it->part = HISTOGRAM_PART_LAST;
    if (!histogram_walk_next(&it->away))
        return false;
    it->count = it->away.count;
    return true;
}

struct histogram_bounds histogram_iter_bounds(const struct histogram_iter *it)
{
    const double threshold = it->h->zero_threshold;
    const bool is_first = it->part == HISTOGRAM_PART_FIRST;
    struct histogram_bounds bounds;

    if (it->part == HISTOGRAM_PART_ZERO)
        return (struct histogram_bounds){-threshold, threshold};
    bounds = histogram_bucket_bounds(it->h, is_first != it->is_reverse,
                                     is_first ? it->far.index : it->away.index);
    if (bounds.upper < 0 && bounds.upper > -threshold)
        bounds.upper = -threshold;
    else if (bounds.lower > 0 && bounds.lower < threshold)
        bounds.lower = threshold;
    return bounds;
}
