/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The samples that the steps of one window look at, in arrays, for functions of ranges: edges
 * slide over them from step to step.
 *
 * Use: promql_samples_rewind() for each series, then promql_samples_fill() window by window, each
 * followed by promql_samples_slide() for all its steps in order. */

#include "promql/stage.h"

struct promql_samples {
    struct promql_eval *eval;
    const struct promql_expr *call; /* who asks, for refusals */
    const struct promql_grid *grid;
    struct promql_lens lens;
    int64_t range_ms;
    struct promql_series_list list; /* with names */
    struct promql_feed feed;
    /* No stale markers. */
    int64_t *t_ms;
    double *v;
    const struct histogram *
        *histograms; /* a NULL: a float; NULL as long as there was none at all */
    uint32_t count, cap;
};

/* Samples [first, end) are those of a step. */
struct promql_samples_step {
    int64_t open_ms, end_ms; /* the range is open on the left */
    uint32_t first, end;
};

/* stage: whose samples they are; its grid and evaluation count. */
void promql_samples_init(struct promql_samples *samples, const struct promql_stage *stage,
                         const struct promql_expr *call, const struct promql_range_input *input);
void promql_samples_rewind(struct promql_samples *samples, uint32_t series);
/* Loads what the `count` steps of a window need; forgets what they don't. */
enum err promql_samples_fill(struct promql_samples *samples, uint32_t window,
                             uint32_t count) MUST_USE;
/* Moves *step, zeroed before the first, on to a step of the window. */
struct promql_samples_at {
    uint32_t step, window;
};
void promql_samples_slide(const struct promql_samples *samples, struct promql_samples_at at,
                          struct promql_samples_step *step);

/* What a step's samples are. */
enum promql_samples_kind { PROMQL_SAMPLES_FLOATS, PROMQL_SAMPLES_HISTOGRAMS, PROMQL_SAMPLES_MIXED };
enum promql_samples_kind promql_samples_kind_of(const struct promql_samples *samples,
                                                const struct promql_samples_step *step);

/* ---- histograms of a step (range_histogram.c) ---- */

/* A series' samples at a step. */
struct promql_range_histograms {
    const struct promql_samples *samples;
    const struct promql_samples_step *step;
    uint32_t series;
};

/* Notes TEXT "METRIC" where the range stands. */
void promql_range_note(const struct promql_range_histograms *range, bool is_warning,
                       const char *text);
/* sum_over_time and avg_over_time. *out stays NULL if there is no result, which then is noted. */
enum err promql_range_sum(const struct promql_range_histograms *range, bool is_mean,
                          const struct histogram **out) MUST_USE;
/* The increase between the first and the last sample, resets of a counter added up. */
enum err promql_range_increase(const struct promql_range_histograms *range, bool is_counter,
                               const struct histogram **out) MUST_USE;
/* Between the last two samples, both histograms. */
enum err promql_range_instant(const struct promql_range_histograms *range, bool is_rate,
                              const struct histogram **out) MUST_USE;
