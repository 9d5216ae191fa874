/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/bucket.h"

#include <math.h>

/* "1" and "1.0" are one bound. */
static void merge_equal_bounds(struct promql_buckets *buckets)
{
    struct promql_bucket *items = buckets->items;
    uint32_t last = 0;

    for (uint32_t i = 1; i < buckets->count; i++) {
        if (items[i].bound == items[last].bound)
            items[last].count += items[i].count;
        else
            items[++last] = items[i];
    }
    buckets->count = last + 1;
}

#define COUNT_TOLERANCE 1e-12

/* Differences that only come from rounding vanish, silently; other falls are lifted. */
static void make_monotonic(struct promql_buckets *buckets)
{
    struct promql_bucket *items = buckets->items;
    double last = items[0].count;

    for (uint32_t i = 1; i < buckets->count; i++) {
        const double count = items[i].count;

        if (count == last)
            continue;
        if (fabs(count - last) / count <= COUNT_TOLERANCE)
            items[i].count = last;
        else
            last = count;
    }
    for (uint32_t i = 1; i < buckets->count; i++) {
        if (items[i].count < items[i - 1].count) {
            items[i].count = items[i - 1].count;
            buckets->was_forced = true;
        }
    }
}

static bool ends_in_inf(const struct promql_buckets *buckets)
{
    const double bound = buckets->items[buckets->count - 1].bound;

    return isinf(bound) && bound > 0;
}

double promql_bucket_quantile(struct promql_buckets *buckets, double q)
{
    struct promql_bucket *items = buckets->items;
    double rank, start = 0, before = 0;
    uint32_t last, at = 0;

    buckets->was_forced = false;
    if (isnan(q))
        return NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (!ends_in_inf(buckets))
        return NAN;
    merge_equal_bounds(buckets);
    make_monotonic(buckets);
    last = buckets->count - 1;
    if (last == 0 || items[last].count == 0) {
        buckets->was_forced = false;
        return NAN;
    }
    rank = q * items[last].count;
    while (at < last && !(items[at].count >= rank))
        at++;
    if (at == last)
        return items[last - 1].bound;
    if (at == 0 && items[0].bound <= 0)
        return items[0].bound;
    if (at > 0) {
        start = items[at - 1].bound;
        before = items[at - 1].count;
    }
    return start + (items[at].bound - start) * ((rank - before) / (items[at].count - before));
}

/* How many observations lie below v, as far as the buckets tell. */
static double count_below(const struct promql_buckets *buckets, double v)
{
    const struct promql_bucket *items = buckets->items;
    const double total = items[buckets->count - 1].count;
    double below = 0;

    for (uint32_t i = 0; i < buckets->count; i++) {
        double start = -INFINITY;

        if (i > 0)
            start = items[i - 1].bound;
        else if (items[0].bound > 0)
            start = 0;
        if (start >= v)
            break;
        if (items[i].bound > v) {
            /* Half-open buckets say nothing of where their values lie. */
            if (isinf(start))
                below = items[i].count;
            else if (!isinf(items[i].bound))
                below += (items[i].count - below) * (v - start) / (items[i].bound - start);
            break;
        }
        below = items[i].count;
    }
    return below > total ? total : below;
}

double promql_bucket_fraction(struct promql_buckets *buckets, double lower, double upper)
{
    double total;

    buckets->was_forced = false;
    if (!ends_in_inf(buckets))
        return NAN;
    merge_equal_bounds(buckets);
    total = buckets->items[buckets->count - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    return (count_below(buckets, upper) - count_below(buckets, lower)) / total;
}
