/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/quantile.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"

static int nan_first(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;

    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

double promql_quantile_of(double q, double *v, uint32_t count)
{
    double rank, weight, low, high;

    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    qsort(v, count, sizeof(*v), nan_first);
    rank = q * ((double)count - 1);
    low = fmax(0, floor(rank));
    high = fmin((double)count - 1, low + 1);
    weight = rank - floor(rank);
    return v[(uint32_t)low] * (1 - weight) + v[(uint32_t)high] * weight;
}

bool promql_quantile_is_invalid(double q)
{
    return !(q >= 0 && q <= 1);
}

void promql_quantile_warn(struct promql_eval *eval, const struct promql_expr *expr, double q)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t len = number_format_double(text, q, NUMBER_G);

    promql_eval_warn(eval, expr, "quantile value should be between 0 and 1, got %.*s", (int)len,
                     text);
}

enum err promql_quantile_check(struct promql_scalar_arg *arg, const struct promql_expr *expr)
{
    for (uint32_t w = 0; w < promql_grid_windows(arg->stage->grid); w++) {
        const enum err err = promql_scalar_arg_load(arg, w);

        if (err != ERR_OK)
            return err;
        for (uint32_t i = 0; i < arg->column.count; i++) {
            if (promql_quantile_is_invalid(arg->column.v[i]))
                promql_quantile_warn(arg->stage->eval, expr, arg->column.v[i]);
        }
    }
    return ERR_OK;
}
