/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Native histograms: integer and float, exponential schemas and custom buckets.
 * Ownership: arrays are borrowed by the struct. A value type. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { HISTOGRAM_SCHEMA_MIN = -4, HISTOGRAM_SCHEMA_MAX = 8, HISTOGRAM_SCHEMA_CUSTOM = -53 };

enum histogram_reset {
    HISTOGRAM_RESET_UNKNOWN,
    HISTOGRAM_RESET_YES,
    HISTOGRAM_RESET_NO,
    HISTOGRAM_GAUGE
};

struct histogram_span {
    int32_t offset; /* the first: absolute index; then: gap to the one before */
    uint32_t length;
};

struct histogram {
    int32_t schema;
    enum histogram_reset reset;
    bool is_float;
    double zero_threshold, sum; /* sum holds the stale NaN of a stale marker */
    union {
        struct {
            uint64_t count, zero_count;
            const int64_t *positive_deltas, *negative_deltas; /* the first is absolute */
        } i;
        struct {
            double count, zero_count;
            const double *positive_counts, *negative_counts; /* absolute */
        } f;
    };
    const struct histogram_span *positive_spans, *negative_spans;
    const double *custom_values; /* upper bounds of schema -53 */
    uint32_t positive_span_count, negative_span_count, positive_count, negative_count,
        custom_value_count;
};

/* What an append demands of one: known schema, spans that match the buckets, no negative count,
 * count >= sum of buckets, finite and increasing custom bounds. The message names the fault. */
enum err histogram_check(const struct histogram *h, struct err_info *info) MUST_USE;
/* A deep copy, or NULL when the arena has no room. */
struct histogram *histogram_copy(struct arena *arena, const struct histogram *h);
bool histogram_is_stale(const struct histogram *h);
/* Upper bound of the positive bucket `index`, lower bound of the one after it. The last bucket
 * before overflow ends at the largest double. */
double histogram_bound(const struct histogram *h, int32_t index);
