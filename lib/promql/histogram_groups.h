/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sums and means of histograms in groups x steps, beside the floats of aggregate.c. */

#include "promql/stage.h"

struct promql_histogram_group;
struct promql_histogram_groups {
    struct promql_eval *eval;
    const struct promql_expr *expr;        /* the aggregation: sum or avg */
    struct promql_histogram_group **cells; /* [group][step]; a NULL: no histogram there */
    size_t cell_count;
};

/* A column of a series, whose first step is in a cell. */
struct promql_histogram_input {
    struct promql_column *column;
    size_t cell;
    const double *float_counts; /* [cell_count] the floats so far */
    struct slice name;          /* of the series' metric */
};

/* Adds the column's histograms and takes them out of it. */
enum err promql_histogram_groups_add(struct promql_histogram_groups *groups,
                                     const struct promql_histogram_input *input) MUST_USE;
/* What a cell with a histogram comes to, put into a step: nothing, if there were floats too. All
 * has been added. */
enum err promql_histogram_groups_get(struct promql_histogram_groups *groups, size_t cell,
                                     bool has_floats, struct promql_column *out,
                                     uint32_t step) MUST_USE;
