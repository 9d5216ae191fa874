/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The operators and what plans them: how each is made. Each lives in the arena of its evaluation;
 * how it is pulled is in eval.h. */

#include "promql/eval.h"

enum err promql_selector_new(struct promql_eval *eval, const struct promql_select *select,
                             const struct promql_grid *grid, struct promql_stage **out) MUST_USE;

/* rate() or increase() of expr's only argument. */
enum err promql_rate_new(struct promql_eval *eval, const struct promql_expr *call,
                         const struct promql_select *select, const struct promql_grid *grid,
                         struct promql_stage **out) MUST_USE;

enum err promql_constant_new(struct promql_eval *eval, const struct promql_grid *grid, double v,
                             struct promql_stage **out) MUST_USE;
/* Evaluation times in seconds. */
enum err promql_time_new(struct promql_eval *eval, const struct promql_grid *grid,
                         struct promql_stage **out) MUST_USE;
/* child has one step; its value is repeated on all steps of grid. */
enum err promql_invariant_new(struct promql_eval *eval, const struct promql_grid *grid,
                              struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* The sign turned, the name dropped. */
enum err promql_negate_new(struct promql_eval *eval, const struct promql_expr *expr,
                           struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* Series with equal labels made one. They may not have a value at the same step; with is_strict not
 * even both have values. */
enum err promql_merge_new(struct promql_eval *eval, struct promql_stage *child, bool is_strict,
                          struct promql_stage **out) MUST_USE;
enum err promql_aggregate_new(struct promql_eval *eval, const struct promql_expr *expr,
                              struct promql_stage *child, struct promql_stage **out) MUST_USE;

struct promql_operands {
    struct promql_stage *lhs, *rhs;
};
/* At least one side is a scalar. */
enum err promql_scalar_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands,
                                  struct promql_stage **out) MUST_USE;
/* Two vectors: arithmetic and comparisons. */
enum err promql_vector_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands,
                                  struct promql_stage **out) MUST_USE;

/* ---- arithmetic (binop.c) ---- */

/* Scalars, or the elements of two columns. */
double promql_binop_apply(enum promql_op op, double a, double b);
/* What a binary operator does with two columns of equal count. */
struct promql_binop {
    enum promql_op op;
    bool returns_bool;
    bool keeps_rhs; /* a comparison keeps b's values instead of a's */
};
/* out is present where a and b are and the comparison holds. out may be a or b. */
void promql_binop_columns(const struct promql_binop *binop, const struct promql_column *a,
                          const struct promql_column *b, struct promql_column *out);

/* ---- planning (plan.c) ---- */

/* An operator for an expression of type scalar or instant vector. */
enum err promql_plan(struct promql_eval *eval, const struct promql_expr *expr,
                     struct promql_stage **out) MUST_USE;
/* Range and offset of a range selector, for a query whose result is its samples. */
enum err promql_plan_range(struct promql_eval *eval, const struct promql_expr *range,
                           struct promql_select *select) MUST_USE;
