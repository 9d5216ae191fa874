/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The straight line nearest to samples by least squares, with compensated sums. */

#include <stdint.h>

struct promql_regression_points {
    const int64_t *t_ms;
    const double *v;
    uint32_t count; /* >= 2 */
};

struct promql_regression {
    double slope; /* a second */
    double intercept;
};

/* intercept: at origin_ms. Of equal values the slope is exactly 0, of infinite ones NaN. */
struct promql_regression promql_regression_fit(const struct promql_regression_points *points,
                                               int64_t origin_ms);
