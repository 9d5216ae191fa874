/* SPDX-License-Identifier: Apache-2.0 */

/* Whether a counter histogram was reset between two of its samples. */

#include <math.h>

#include "model/histogram_iter.h"
#include "model/histogram_math.h"

/* A side at a lower resolution, from a value on. */
struct merged_walk {
    struct histogram_walk walk;
    uint32_t shift;
    bool has; /* the walk's bucket is still to be taken */
    int64_t index;
    double count;
};

/* What a bucket's index is in a schema that is `shift` lower. */
static int64_t index_at(int32_t index, uint32_t shift)
{
    return (((int64_t)index - 1) >> shift) + 1;
}

static bool merged_next(struct merged_walk *merged)
{
    if (!merged->has)
        return false;
    merged->index = index_at(merged->walk.index, merged->shift);
    merged->count = 0;
    do {
        merged->count += merged->walk.count;
        merged->has = histogram_walk_next(&merged->walk);
    } while (merged->has && index_at(merged->walk.index, merged->shift) == merged->index);
    return true;
}

static void merged_init(struct merged_walk *merged, const struct histogram *h, bool is_negative,
                        int32_t schema)
{
    histogram_walk_init(&merged->walk, h, is_negative);
    merged->shift = (uint32_t)(h->schema - schema);
    merged->has = histogram_walk_next(&merged->walk);
}

/* Whether a bucket lies inside the zero bucket of h, whose schema it has. */
static bool is_inside_zero(const struct histogram *h, int64_t index)
{
    return !histogram_is_custom(h) && h->zero_threshold != 0 && index <= INT32_MAX &&
           histogram_bound(h, (int32_t)index) <= h->zero_threshold;
}

static bool side_is_reset(const struct histogram *h, const struct histogram *previous,
                          bool is_negative)
{
    struct merged_walk now, before;
    bool has;

    merged_init(&now, h, is_negative, h->schema);
    merged_init(&before, previous, is_negative, h->schema);
    has = merged_next(&now);
    while (merged_next(&before)) {
        if (is_inside_zero(h, before.index))
            continue;
        while (has && now.index < before.index)
            has = merged_next(&now);
        if (has && now.index == before.index ? now.count < before.count : before.count != 0)
            return true;
    }
    return false;
}

/* What the zero bucket would count if it were wider. Grows *threshold to the end of a bucket that
 * it would cut, if anything is in that. */
static double zero_count_at(const struct histogram *h, double *threshold)
{
    double count;
    bool again;

    do {
        count = h->f.zero_count;
        again = false;
        for (int side = 0; side < 2 && *threshold > h->zero_threshold; side++) {
            struct histogram_walk walk;

            histogram_walk_init(&walk, h, side == 1);
            while (histogram_walk_next(&walk)) {
                const struct histogram_bounds bounds =
                    histogram_bucket_bounds(h, false, walk.index);

                if (bounds.lower >= *threshold)
                    break;
                count += walk.count;
                if (bounds.upper > *threshold) {
                    if (walk.count != 0) {
                        *threshold = bounds.upper;
                        again = side == 1;
                    }
                    break;
                }
            }
        }
    } while (again);
    return count;
}

/* The sum of what is left up to a bound. */
static double roll_up(struct histogram_walk *walk, bool *has, const struct histogram *h,
                      double bound)
{
    double sum = 0;

    while (*has && histogram_bound(h, walk->index) <= bound) {
        sum += walk->count;
        *has = histogram_walk_next(walk);
    }
    return sum;
}

static double bound_at(const struct histogram *h, uint32_t i)
{
    return i < h->custom_value_count ? h->custom_values[i] : INFINITY;
}

/* Custom buckets whose bounds differ: compared between the bounds that both have. */
static bool rebound_is_reset(const struct histogram *h, const struct histogram *previous)
{
    struct histogram_walk now, before;
    bool has_now, has_before;
    uint32_t i = 0, k = 0;

    histogram_walk_init(&now, h, false);
    histogram_walk_init(&before, previous, false);
    has_now = histogram_walk_next(&now);
    has_before = histogram_walk_next(&before);
    while (i <= h->custom_value_count && k <= previous->custom_value_count) {
        const double bound = bound_at(h, i), previous_bound = bound_at(previous, k);

        if (bound == previous_bound &&
            roll_up(&now, &has_now, h, bound) < roll_up(&before, &has_before, previous, bound))
            return true;
        i += bound <= previous_bound;
        k += previous_bound <= bound;
    }
    return false;
}

bool histogram_is_reset(const struct histogram *h, const struct histogram *previous)
{
    double threshold = h->zero_threshold, zero_count;

    if (h->reset == HISTOGRAM_RESET_YES || h->reset == HISTOGRAM_RESET_NO)
        return h->reset == HISTOGRAM_RESET_YES;
    if (h->f.count < previous->f.count)
        return true;
    if (histogram_is_custom(h)) {
        if (!histogram_is_custom(previous))
            return true;
        if (!histogram_bounds_eq(h, previous))
            return rebound_is_reset(h, previous);
    }
    if (h->schema > previous->schema || h->zero_threshold < previous->zero_threshold)
        return true;
    zero_count = zero_count_at(previous, &threshold);
    return threshold != h->zero_threshold || h->f.zero_count < zero_count ||
           side_is_reset(h, previous, false) || side_is_reset(h, previous, true);
}
