/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Quantiles of values as they are: linear between the two that are nearest by rank. */

#include "promql/stage.h"

/* Sorts v; NaN counts as smallest. q below 0 gives -Inf, above 1 +Inf; NaN for NaN or no values. */
double promql_quantile_of(double q, double *v, uint32_t count);
bool promql_quantile_is_invalid(double q);
/* "quantile value should be between 0 and 1, got Q". */
void promql_quantile_warn(struct promql_eval *eval, const struct promql_expr *expr, double q);
/* Reads a parameter at all its steps and warns of the values that are none; expr: where it stands.
 */
enum err promql_quantile_check(struct promql_scalar_arg *arg,
                               const struct promql_expr *expr) MUST_USE;
