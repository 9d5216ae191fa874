/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Classic histograms: cumulative counts by upper bound. */

#include <stdbool.h>
#include <stdint.h>

struct promql_bucket {
    double bound, count; /* observations up to bound */
};

/* Sorted by bound, bounds not NaN; at least one. Changed in place. */
struct promql_buckets {
    struct promql_bucket *items;
    uint32_t count;
    bool was_forced; /* a count fell where it must not, and was lifted */
};

/* Linear within a bucket; NaN unless the last bound is +Inf and something was observed. */
double promql_bucket_quantile(struct promql_buckets *buckets, double q);
/* The share of observations between two values. */
double promql_bucket_fraction(struct promql_buckets *buckets, double lower, double upper);
