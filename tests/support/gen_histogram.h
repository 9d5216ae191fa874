/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Histograms of a target as they grow: counters that rise and are now and then reset, new buckets,
 * buckets that go, other schemas, gauges, custom bounds, stale markers.
 * Ownership: what is given borrows the generator until its next call. */

#include "model/histogram.h"
#include "support/gen.h"

enum { GEN_HISTOGRAM_BUCKETS = 24 };

struct gen_histogram {
    struct gen *gen;
    struct histogram histogram;
    uint64_t counts[2][GEN_HISTOGRAM_BUCKETS]; /* by index: positive, negative */
    uint64_t zero_count;
    double sum;
    bool is_gauge, is_float;
    int32_t schema;
    /* what the histogram points at */
    struct histogram_span spans[2][GEN_HISTOGRAM_BUCKETS];
    int64_t deltas[2][GEN_HISTOGRAM_BUCKETS];
    double floats[2][GEN_HISTOGRAM_BUCKETS];
    double bounds[GEN_HISTOGRAM_BUCKETS];
};

void gen_histogram_init(struct gen_histogram *h, struct gen *gen);
/* The next one; meets histogram_check. */
const struct histogram *gen_histogram_next(struct gen_histogram *h);
