/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A float histogram laid out for arithmetic: each populated side as a list of bucket indexes with
 * their counts, each count with the rounding error that a sum of it left behind. For the files of
 * this folder.
 *
 * Ownership: lists live in the arena given and grow there; custom bounds are borrowed from the
 * histograms that went in. ERR_LIMIT: the arena has no room. */

#include <math.h>

#include "model/histogram.h"

struct histogram_flat_side {
    int32_t *indexes;
    double *v, *low; /* a count is v + low */
    uint32_t count, cap;
};

struct histogram_flat {
    int32_t schema;
    double zero_threshold, zero, zero_low;
    struct histogram_flat_side sides[2]; /* positive, negative */
    const double *custom_values;
    uint32_t custom_value_count;
};

/* Makes it h, its counts multiplied; lists are kept for reuse. */
enum err histogram_flat_load(struct histogram_flat *flat, struct arena *arena,
                             const struct histogram *h, double factor) MUST_USE;
enum err histogram_flat_copy(struct histogram_flat *to, struct arena *arena,
                             const struct histogram_flat *from) MUST_USE;
/* Merges buckets to a lower schema. */
void histogram_flat_reduce(struct histogram_flat *flat, int32_t schema);
/* Merges custom buckets to fewer bounds, all of which it has. */
void histogram_flat_rebound(struct histogram_flat *flat, const double *bounds, uint32_t count);
/* Makes the zero bucket wider, at least up to threshold; to the end of a bucket that it would cut.
 */
void histogram_flat_widen(struct histogram_flat *flat, double threshold);
/* Adds other, of the same schema, bounds and zero threshold. */
enum err histogram_flat_add(struct histogram_flat *flat, struct arena *arena,
                            const struct histogram_flat *other) MUST_USE;

/* Adds x to a sum and keeps what rounding lost. */
static inline void histogram_flat_inc(double x, double *sum, double *low)
{
    const double total = *sum + x;

    if (isinf(total))
        *low = 0;
    else if (fabs(*sum) >= fabs(x))
        *low += (*sum - total) + x;
    else
        *low += (x - total) + *sum;
    *sum = total;
}
