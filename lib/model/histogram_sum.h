/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sums, differences and means of float histograms, each count compensated for rounding.
 *
 * What differs is reconciled: of two schemas the lower counts; of two zero buckets the wider, at
 * least as wide as the populated buckets that it would cut; of custom bounds those that both have.
 * Exponential and custom buckets cannot be added.
 *
 * Ownership: everything lives in the scratch's arena; a sum borrows the custom bounds of what was
 * added. Sums of one arena may share a scratch. ERR_LIMIT: the arena has no room. */

#include "model/histogram.h"
#include "model/histogram_flat.h"

struct histogram_scratch {
    struct arena *arena; /* borrowed */
    struct histogram_flat other;
};

struct histogram_sum {
    struct histogram_scratch *scratch; /* borrowed */
    bool is_set;                       /* false: nothing was added yet */
    enum histogram_reset reset;
    double count, count_low, sum, sum_low;
    struct histogram_flat flat;
};

/* What came of an addition. */
struct histogram_merge {
    bool is_incompatible;   /* exponential with custom buckets: nothing was added */
    bool is_reset_conflict; /* one was a counter's reset, the other surely none */
    bool is_rebound;        /* custom bounds differed */
};

static inline void histogram_scratch_init(struct histogram_scratch *scratch, struct arena *arena)
{
    *scratch = (struct histogram_scratch){.arena = arena};
}

/* Empty; room that an earlier sum took stays. A sum is zeroed before the first time. */
void histogram_sum_reset(struct histogram_sum *sum, struct histogram_scratch *scratch);
/* Adds h multiplied by factor: -1 subtracts. Faults are or-ed into *merge. */
enum err histogram_sum_add(struct histogram_sum *sum, const struct histogram *h, double factor,
                           struct histogram_merge *merge) MUST_USE;
/* A lower resolution; does nothing to custom buckets. */
void histogram_sum_reduce(struct histogram_sum *sum, int32_t schema);
void histogram_sum_divide(struct histogram_sum *sum, double by);
/* The sum, compacted. NULL: no room. */
struct histogram *histogram_sum_result(const struct histogram_sum *sum);

/* ---- means ---- */

/* A sum that is divided in the end; from where it would overflow, a running mean. */
struct histogram_mean {
    struct histogram_sum sum, trial;
    uint64_t count;
    bool is_running;
};

void histogram_mean_reset(struct histogram_mean *mean, struct histogram_scratch *scratch);
enum err histogram_mean_add(struct histogram_mean *mean, const struct histogram *h,
                            struct histogram_merge *merge) MUST_USE;
struct histogram *histogram_mean_result(struct histogram_mean *mean);
