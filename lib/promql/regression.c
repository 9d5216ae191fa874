/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/regression.h"

#include <math.h>
#include <stdbool.h>

#include "promql/sum.h"

struct kept_sum {
    double v, low;
};

static void add(double x, struct kept_sum *sum)
{
    promql_sum_add(x, &sum->v, &sum->low);
}

static double value_of(const struct kept_sum *sum)
{
    return sum->v + sum->low;
}

static bool is_constant(const struct promql_regression_points *points)
{
    for (uint32_t i = 1; i < points->count; i++) {
        if (points->v[i] != points->v[0])
            return false;
    }
    return true;
}

struct promql_regression promql_regression_fit(const struct promql_regression_points *points,
                                               int64_t origin_ms)
{
    struct kept_sum x_sum = {0, 0}, y_sum = {0, 0}, xy_sum = {0, 0}, xx_sum = {0, 0};
    const double n = points->count;
    double x, y, covariance, variance, slope;

    if (is_constant(points)) {
        if (isinf(points->v[0]))
            return (struct promql_regression){NAN, NAN};
        return (struct promql_regression){0, points->v[0]};
    }
    for (uint32_t i = 0; i < points->count; i++) {
        x = (double)(points->t_ms[i] - origin_ms) / 1000;
        y = points->v[i];
        add(x, &x_sum);
        add(y, &y_sum);
        add(x * y, &xy_sum);
        add(x * x, &xx_sum);
    }
    x = value_of(&x_sum);
    y = value_of(&y_sum);
    covariance = value_of(&xy_sum) - x * y / n;
    variance = value_of(&xx_sum) - x * x / n;
    slope = covariance / variance;
    return (struct promql_regression){slope, y / n - slope * x / n};
}
