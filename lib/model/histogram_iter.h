/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The buckets of a float histogram, one after the other.
 * Ownership: iterators borrow the histogram. */

#include "model/histogram.h"

/* One side, by rising index. */
struct histogram_walk {
    const struct histogram_span *spans;
    const double *counts;
    uint32_t span_count, bucket_count;
    uint32_t span, in_span, next; /* what comes */
    int32_t index;                /* of the bucket under way ... */
    double count;                 /* ... and how much is in it */
};

void histogram_walk_init(struct histogram_walk *walk, const struct histogram *h, bool is_negative);
bool histogram_walk_next(struct histogram_walk *walk);

/* What a bucket covers: (lower, upper] if it is above zero, [lower, upper) below, and both ends at
 * zero. */
struct histogram_bounds {
    double lower, upper;
};

/* The bounds of the bucket `index` of one side. */
struct histogram_bounds histogram_bucket_bounds(const struct histogram *h, bool is_negative,
                                                int32_t index);

enum histogram_part { HISTOGRAM_PART_FIRST, HISTOGRAM_PART_ZERO, HISTOGRAM_PART_LAST };

/* All buckets from the lowest to the highest or back, the zero bucket between the sides if anything
 * is in it. */
struct histogram_iter {
    const struct histogram *h;
    bool is_reverse;
    enum histogram_part part;   /* the bucket under way: of the side walked towards zero, ... */
    struct histogram_walk far;  /* from its end: towards zero */
    struct histogram_walk away; /* the side behind zero */
    double count;               /* of the bucket under way */
};

void histogram_iter_init(struct histogram_iter *it, const struct histogram *h, bool is_reverse);
bool histogram_iter_next(struct histogram_iter *it);
/* Of the bucket under way, cut where the zero bucket begins. */
struct histogram_bounds histogram_iter_bounds(const struct histogram_iter *it);
