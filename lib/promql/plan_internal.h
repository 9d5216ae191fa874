/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between plan.c and plan_call.c. */

#include "promql/function.h"
#include "promql/stage.h"

/* Where in the plan we are. */
struct promql_planner {
    struct promql_eval *eval;
    const struct promql_grid *grid;
    const struct promql_aggregate *around; /* the aggregation right above, through functions */
    bool is_invariant;                     /* inside a part that is evaluated once */
};

/* Any expression of type scalar or instant vector. */
enum err promql_plan_expr(const struct promql_planner *planner, const struct promql_expr *expr,
                          struct promql_stage **out) MUST_USE;
enum err promql_plan_call(const struct promql_planner *planner, const struct promql_expr *expr,
                          struct promql_stage **out) MUST_USE;
/* Whether a call gives the same at every step if its arguments do. */
bool promql_plan_call_is_pure(const struct promql_expr *expr);
/* info(); child: its first argument. */
enum err promql_info_new(const struct promql_planner *planner, const struct promql_expr *call,
                         struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* Where a selector or subquery looks. */
enum err promql_plan_lens(struct promql_eval *eval, const struct promql_expr *expr,
                          struct promql_lens *lens) MUST_USE;
/* Where a selector stands and looks. */
enum err promql_plan_select(const struct promql_planner *planner, const struct promql_expr *expr,
                            struct promql_select *select) MUST_USE;
/* The series of a range selector or subquery; function: its name, for the source. */
enum err promql_plan_input(const struct promql_planner *planner, const struct promql_expr *range,
                           struct slice function, struct promql_range_input *input) MUST_USE;

static inline const struct promql_expr *promql_plan_unwrap(const struct promql_expr *expr)
{
    while (expr->kind == PROMQL_PAREN)
        expr = expr->paren;
    return expr;
}
