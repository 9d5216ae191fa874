/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Arithmetic on float histograms, as PromQL has it. Sums and differences are in histogram_sum.h.
 *
 * Ownership: results live in the arena and share nothing with their arguments; NULL: the arena has
 * no room. All arguments but histogram_to_float's are float histograms. */

#include "model/histogram.h"

/* The arrays of a histogram being made. */
struct histogram_parts {
    double *positive, *negative, *custom_values;
    struct histogram_span *positive_spans, *negative_spans;
};

/* A float histogram with arrays of the sizes that *shape has; all its other members are shape's. */
struct histogram *histogram_float_new(struct arena *arena, const struct histogram *shape,
                                      struct histogram_parts *parts);

/* A copy with float counts. */
struct histogram *histogram_to_float(struct arena *arena, const struct histogram *h);

/* Empty buckets stay. A negative factor makes a gauge. */
struct histogram *histogram_multiplied(struct arena *arena, const struct histogram *h,
                                       double factor);
/* Division by zero leaves no bucket but the zero bucket. */
struct histogram *histogram_divided(struct arena *arena, const struct histogram *h, double by);
/* Without empty buckets and with as few spans as can be. */
struct histogram *histogram_compacted(struct arena *arena, const struct histogram *h);

/* Bit by bit, and by the layout of buckets; empty spans and reset hints do not count. */
bool histogram_eq(const struct histogram *a, const struct histogram *b);
bool histogram_bounds_eq(const struct histogram *a, const struct histogram *b);

/* Whether a counter was reset between previous and h, by the hint or by what fell. */
bool histogram_is_reset(const struct histogram *h, const struct histogram *previous);

/* What remains below (`</`) or above (`>/`) the limit; the bucket that it is in is split. */
struct histogram *histogram_trimmed(struct arena *arena, const struct histogram *h, double limit,
                                    bool keeps_below);

/* How much of a bucket is below v, its observations spread evenly or evenly by logarithm. */
double histogram_fraction_below(double lower, double upper, double v, bool is_linear);

static inline bool histogram_is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}
