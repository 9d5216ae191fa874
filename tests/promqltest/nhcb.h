/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* load_with_nhcb: classic histograms (x_bucket, x_count, x_sum) as native ones with custom buckets,
 * named x, beside them. */

#include "promqltest/series_line.h"
#include "support/mem_source.h"

/* A classic series of the load. */
struct nhcb_series {
    struct label_set base; /* of the native histogram */
    enum nhcb_kind { NHCB_BUCKET, NHCB_COUNT, NHCB_SUM } kind;
    double bound;
    struct series_line line;
};

/* Everything lives in the arena. */
struct nhcb_load {
    struct arena *arena;
    struct nhcb_series *series;
    uint32_t count, cap;
};

void nhcb_load_take(struct nhcb_load *load, const struct series_line *line);
/* Adds the native histograms. False: counts that are none of a histogram. */
bool nhcb_load_finish(struct nhcb_load *load, struct mem_source *source, int64_t step_ms);
