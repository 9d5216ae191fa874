/* SPDX-License-Identifier: Apache-2.0 */

/* The operators `</` and `>/`: a histogram without what lies on one side of a limit. Its count is
 * then the sum of what is left, and its sum is estimated from the middles of the buckets. */

#include <math.h>

#include "model/histogram_iter.h"
#include "model/histogram_math.h"

struct trim {
    double limit;
    bool keeps_below, is_custom;
    bool has_positive, has_negative; /* populated buckets */
    bool is_cut;                     /* anything was taken away */
    double count, sum;
};

/* What stays of a bucket, and where its middle is then. */
struct kept {
    double count, middle;
};

double histogram_fraction_below(double lower, double upper, double v, bool is_linear)
{
    double log_lower, log_upper, log_v;

    if (is_linear)
        return (v - lower) / (upper - lower);
    log_lower = log2(fabs(lower));
    log_upper = log2(fabs(upper));
    log_v = log2(fabs(v));
    return v > 0 ? (log_v - log_lower) / (log_upper - log_lower)
                 : 1 - (log_v - log_upper) / (log_lower - log_upper);
}

static double middle_of(struct histogram_bounds bounds, bool is_positive, bool is_linear)
{
    double middle;

    if (isinf(bounds.lower)) {
        if (isinf(bounds.upper))
            return 0;
        return bounds.upper > 0 ? bounds.upper / 2 : bounds.upper;
    }
    if (isinf(bounds.upper))
        return bounds.lower;
    if (is_linear)
        return (bounds.lower + bounds.upper) / 2;
    middle = sqrt(fabs(bounds.lower * bounds.upper));
    return is_positive ? middle : -middle;
}

static double zero_if_inf(double v)
{
    return isinf(v) ? 0 : v;
}

/* The limit is in a bucket without an end: nothing can be interpolated but towards zero. */
static struct kept keep_infinite(const struct trim *trim, struct histogram_bounds bounds,
                                 double count)
{
    const double limit = trim->limit;

    if (bounds.lower != -INFINITY) {
        if (!trim->keeps_below && limit >= bounds.lower)
            return (struct kept){count, limit};
        return (struct kept){0, zero_if_inf(bounds.lower)};
    }
    if (trim->keeps_below) {
        if (limit >= bounds.upper)
            return (struct kept){count, 0};
        if (limit > 0 && bounds.upper > 0 && !isinf(bounds.upper))
            return (struct kept){count * limit / bounds.upper, limit / 2};
        if (bounds.upper <= 0)
            return (struct kept){count, limit};
        return (struct kept){0, zero_if_inf(bounds.upper)};
    }
    if (limit <= bounds.lower)
        return (struct kept){count, 0};
    if (limit >= 0 && bounds.upper > limit && !isinf(bounds.upper))
        return (struct kept){count * (1 - limit / bounds.upper), (limit + bounds.upper) / 2};
    return (struct kept){0, zero_if_inf(bounds.upper)};
}

/* The limit is inside the bucket. */
static struct kept keep_part(const struct trim *trim, struct histogram_bounds bounds, double count,
                             bool is_positive)
{
    double below;

    if (bounds.lower == -INFINITY || bounds.upper == INFINITY)
        return keep_infinite(trim, bounds, count);
    below =
        count * histogram_fraction_below(bounds.lower, bounds.upper, trim->limit, trim->is_custom);
    if (trim->keeps_below) {
        bounds.upper = trim->limit;
        return (struct kept){below, middle_of(bounds, is_positive, trim->is_custom)};
    }
    bounds.lower = trim->limit;
    return (struct kept){count - below, middle_of(bounds, is_positive, trim->is_custom)};
}

static struct kept keep_zero(const struct trim *trim, double threshold, double count)
{
    const double lower = trim->has_positive && !trim->has_negative ? 0 : -threshold;
    const double upper = trim->has_negative && !trim->has_positive ? 0 : threshold;
    const double limit = trim->limit;

    if (trim->keeps_below ? limit <= lower : limit >= upper)
        return (struct kept){0, 0};
    if (trim->keeps_below ? limit >= upper : limit <= lower)
        return (struct kept){count, (lower + upper) / 2};
    if (trim->keeps_below)
        return (struct kept){count * ((limit - lower) / (upper - lower)), (lower + limit) / 2};
    return (struct kept){count * ((upper - limit) / (upper - lower)), (limit + upper) / 2};
}

static void account(struct trim *trim, struct kept kept)
{
    trim->count += kept.count;
    trim->sum += kept.middle * kept.count;
}

/* Writes into counts what stays of one side. */
static void trim_side(struct trim *trim, const struct histogram *h, bool is_negative,
                      double *counts)
{
    const double limit = trim->limit;
    struct histogram_walk walk;

    histogram_walk_init(&walk, h, is_negative);
    while (histogram_walk_next(&walk)) {
        const struct histogram_bounds bounds = histogram_bucket_bounds(h, is_negative, walk.index);
        struct kept kept = {0, 0};

        counts[walk.next - 1] = walk.count;
        if (walk.count == 0)
            continue;
        if (is_negative)
            trim->has_negative = true;
        else
            trim->has_positive = true;
        if (trim->keeps_below ? bounds.upper <= limit : bounds.lower >= limit)
            kept = (struct kept){walk.count, middle_of(bounds, !is_negative, trim->is_custom)};
        else if (trim->keeps_below ? bounds.lower < limit : bounds.upper > limit)
            kept = keep_part(trim, bounds, walk.count, !is_negative);
        account(trim, kept);
        trim->is_cut |= kept.count != walk.count;
        counts[walk.next - 1] = kept.count;
    }
}

struct histogram *histogram_trimmed(struct arena *arena, const struct histogram *h, double limit,
                                    bool keeps_below)
{
    struct trim trim = {
        .limit = limit, .keeps_below = keeps_below, .is_custom = histogram_is_custom(h)};
    struct histogram_parts parts;
    struct histogram *copy = histogram_copy(arena, h);
    struct histogram *cut = histogram_float_new(arena, h, &parts);

    if (copy == NULL || cut == NULL)
        return NULL;
    trim_side(&trim, h, false, parts.positive);
    trim_side(&trim, h, true, parts.negative);
    if (h->f.zero_count > 0) {
        const struct kept kept = keep_zero(&trim, h->zero_threshold, h->f.zero_count);

        trim.is_cut |= kept.count != h->f.zero_count;
        account(&trim, kept);
        cut->f.zero_count = kept.count;
    }
    if (!trim.is_cut)
        return copy;
    cut->positive_spans = h->positive_spans;
    cut->negative_spans = h->negative_spans;
    cut->custom_values = h->custom_values;
    cut->f.count = trim.count;
    cut->sum = trim.sum;
    return histogram_compacted(arena, cut);
}
