/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/native.h"

#include <math.h>

#include "model/histogram_iter.h"
#include "model/histogram_math.h"
#include "promql/sum.h"

/* The zero bucket is one-sided if observations are on one side only. */
static struct histogram_bounds narrow_zero(const struct histogram *h,
                                           struct histogram_bounds bounds)
{
    if (h->negative_count == 0 && h->positive_count > 0)
        bounds.lower = 0;
    else if (h->positive_count == 0 && h->negative_count > 0)
        bounds.upper = 0;
    return bounds;
}

/* ---- quantiles ---- */

/* The value at a share of a bucket: linear where the bucket is or touches zero, else by logarithm.
 */
static double interpolate(const struct histogram *h, struct histogram_bounds bounds,
                          double fraction)
{
    double log_lower, log_upper;

    if (histogram_is_custom(h) || (bounds.lower <= 0 && bounds.upper >= 0))
        return bounds.lower + (bounds.upper - bounds.lower) * fraction;
    log_lower = log2(fabs(bounds.lower));
    log_upper = log2(fabs(bounds.upper));
    if (bounds.lower > 0)
        return exp2(log_lower + (log_upper - log_lower) * fraction);
    return -exp2(log_upper + (log_lower - log_upper) * (1 - fraction));
}

static bool has_all_observations(struct histogram_iter *it, double count)
{
    while (histogram_iter_next(it))
        count += it->count;
    return count >= it->h->f.count;
}

/* Custom buckets without an end are answered by the one that they have. */
static bool quantile_of_open_end(struct histogram_bounds *bounds, double *result)
{
    if (bounds->lower == -INFINITY && bounds->upper > 0) {
        bounds->lower = 0;
        return false;
    }
    *result = bounds->lower == -INFINITY ? bounds->upper : bounds->lower;
    return bounds->lower == -INFINITY || bounds->upper == INFINITY;
}

/* Without any bucket, upstream's is from 0 to 0. */
static struct histogram_bounds last_bounds(const struct histogram *h, bool is_reverse)
{
    struct histogram_bounds bounds = {0, 0};
    struct histogram_iter it;

    histogram_iter_init(&it, h, is_reverse);
    while (histogram_iter_next(&it))
        bounds = histogram_iter_bounds(&it);
    return bounds;
}

double promql_native_quantile(const struct histogram *h, double q, enum promql_native_note *note)
{
    const bool has_nans = isnan(h->sum), is_forward = has_nans || q < 0.5;
    struct histogram_bounds bounds;
    struct histogram_iter it;
    double count = 0, rank, in_bucket = 0, result;
    bool is_found = false;

    *note = PROMQL_NATIVE_FINE;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (h->f.count == 0 || isnan(q))
        return NAN;
    rank = (is_forward ? q : 1 - q) * h->f.count;
    histogram_iter_init(&it, h, !is_forward);
    while (!is_found && histogram_iter_next(&it)) {
        in_bucket = it.count;
        count += it.count;
        is_found = it.count != 0 && count >= rank;
    }
    bounds = is_found ? histogram_iter_bounds(&it) : last_bounds(h, !is_forward);
    if (histogram_is_custom(h)) {
        if (quantile_of_open_end(&bounds, &result))
            return result;
    } else if (bounds.lower < 0 && bounds.upper > 0) {
        bounds = narrow_zero(h, bounds);
    }
    count = count > h->f.count ? h->f.count : count;
    if (count < rank) {
        *note = has_nans ? PROMQL_NATIVE_NAN_RESULT : PROMQL_NATIVE_FINE;
        return has_nans ? NAN : bounds.upper;
    }
    rank = is_forward ? rank - (count - in_bucket) : count - rank;
    if (has_nans && !has_all_observations(&it, count))
        *note = PROMQL_NATIVE_NAN_SKEW;
    return interpolate(h, bounds, rank / in_bucket);
}

/* ---- fractions ---- */

/* The rank of a value, found while walking up the buckets. */
struct rank {
    double value, rank;
    bool is_set;
};

static void look_for(struct rank *rank, const struct histogram *h, struct histogram_bounds bounds,
                     double below, double count)
{
    const bool is_linear = histogram_is_custom(h) || (bounds.lower <= 0 && bounds.upper >= 0);

    if (rank->is_set || (bounds.upper <= rank->value && bounds.lower < rank->value))
        return;
    rank->is_set = true;
    if (bounds.lower >= rank->value)
        rank->rank = below;
    else if (is_linear && bounds.lower == -INFINITY)
        rank->rank = count;
    else
        rank->rank = below + count * histogram_fraction_below(bounds.lower, bounds.upper,
                                                              rank->value, is_linear);
}

double promql_native_fraction(const struct histogram *h, double lower, double upper,
                              enum promql_native_note *note)
{
    struct rank ranks[2] = {{.value = lower}, {.value = upper}};
    struct histogram_iter it;
    double below = 0, count = 0;

    *note = PROMQL_NATIVE_FINE;
    if (h->f.count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    histogram_iter_init(&it, h, false);
    while (!(ranks[0].is_set && ranks[1].is_set) && histogram_iter_next(&it)) {
        struct histogram_bounds bounds = histogram_iter_bounds(&it);

        count += it.count;
        if (bounds.lower <= 0 && bounds.upper >= 0)
            bounds = narrow_zero(h, bounds);
        look_for(&ranks[0], h, bounds, below, it.count);
        look_for(&ranks[1], h, bounds, below, it.count);
        below += it.count;
    }
    if (isnan(h->sum)) {
        while (histogram_iter_next(&it))
            count += it.count;
        if (count < h->f.count)
            *note = PROMQL_NATIVE_NANS_LEFT_OUT;
    } else {
        count = h->f.count;
    }
    for (int i = 0; i < 2; i++) {
        if (!ranks[i].is_set || ranks[i].rank > count)
            ranks[i].rank = count;
    }
    return (ranks[1].rank - ranks[0].rank) / h->f.count;
}

/* ---- variance ---- */

double promql_native_variance(const struct histogram *h)
{
    const double mean = h->sum / h->f.count;
    double squares = 0, low = 0;
    struct histogram_iter it;

    histogram_iter_init(&it, h, false);
    while (histogram_iter_next(&it)) {
        const struct histogram_bounds bounds = histogram_iter_bounds(&it);
        double middle;

        if (it.count == 0)
            continue;
        if (histogram_is_custom(h)) {
            middle = (bounds.upper + bounds.lower) / 2;
        } else if (bounds.lower <= 0 && bounds.upper >= 0) {
            middle = 0;
        } else {
            middle = sqrt(bounds.upper * bounds.lower);
            middle = bounds.upper < 0 ? -middle : middle;
        }
        promql_sum_add(it.count * (middle - mean) * (middle - mean), &squares, &low);
    }
    return (squares + low) / h->f.count;
}
