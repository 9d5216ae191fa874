/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The samples that the steps of one window look at, in two arrays, for functions of ranges: edges
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
    bool counts_histograms; /* their number matters, not their values: they are taken as 0 */
    struct promql_series_list list; /* with names */
    struct promql_feed feed;
    /* No stale markers. */
    int64_t *t_ms;
    double *v;
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
