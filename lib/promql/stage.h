/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The operators and what plans them: how each is made. Each lives in the arena of its evaluation;
 * how it is pulled is in eval.h. */

#include "promql/eval.h"
#include "promql/function.h"
#include "promql/series_index.h"

enum err promql_selector_new(struct promql_eval *eval, const struct promql_select *select,
                             const struct promql_grid *grid, struct promql_stage **out) MUST_USE;

/* rate(), increase() or delta(). */
enum err promql_rate_new(struct promql_eval *eval, const struct promql_expr *call,
                         const struct promql_range_input *input, const struct promql_grid *grid,
                         struct promql_stage **out) MUST_USE;

/* Other functions of ranges (over_time.c); params: its scalar arguments, at most two. */
bool promql_over_time_has(enum promql_function_id id);
struct promql_over_time_args {
    const struct promql_range_input *input;
    struct promql_stage *params[2];
    uint32_t param_count;
};
enum err promql_over_time_new(struct promql_eval *eval, const struct promql_expr *call,
                              const struct promql_over_time_args *args,
                              const struct promql_grid *grid, struct promql_stage **out) MUST_USE;

enum err promql_constant_new(struct promql_eval *eval, const struct promql_grid *grid, double v,
                             struct promql_stage **out) MUST_USE;
/* Evaluation times in seconds. */
enum err promql_time_new(struct promql_eval *eval, const struct promql_grid *grid,
                         struct promql_stage **out) MUST_USE;
/* child has one step; its value is repeated on all steps of grid. */
enum err promql_invariant_new(struct promql_eval *eval, const struct promql_grid *grid,
                              struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* The sign turned, the name dropped. */
enum err promql_negate_new(struct promql_eval *eval, struct promql_stage *child,
                           struct promql_stage **out) MUST_USE;
/* Series with equal labels made one. They may not have a value at the same step; with is_strict not
 * even both have values. */
enum err promql_merge_new(struct promql_eval *eval, struct promql_stage *child, bool is_strict,
                          struct promql_stage **out) MUST_USE;
enum err promql_aggregate_new(struct promql_eval *eval, const struct promql_expr *expr,
                              struct promql_stage *child, struct promql_stage **out) MUST_USE;

/* The group of each of the child's series under expr, an aggregation, and the groups' labels. */
enum err promql_aggregate_group(const struct promql_stage *child, const struct promql_expr *expr,
                                struct promql_index *index, uint32_t **groups) MUST_USE;

/* A scalar beside a vector, whose series come one after the other: computed once, held. */
struct promql_scalar_arg {
    struct promql_stage *stage;
    struct promql_held held;
    bool is_held;
    uint32_t column_window;
    struct promql_column column; /* the window loaded last */
};
void promql_scalar_arg_init(struct promql_scalar_arg *arg, struct promql_stage *stage);
enum err promql_scalar_arg_load(struct promql_scalar_arg *arg, uint32_t window) MUST_USE;

/* ---- subqueries (subquery.c) ---- */

/* The steps of a subquery that input's range looks at; out->step_ms is set. A count of 0: none. */
enum err promql_subquery_grid(struct promql_eval *eval, const struct promql_range_input *input,
                              const struct promql_grid *outer, struct promql_grid *out) MUST_USE;
/* The series of an operator as if they were stored. */
enum err promql_subquery_list(struct promql_stage *stage, struct promql_series_list *out) MUST_USE;
/* Whether a cursor reads a subquery: then its errors have their text. */
bool promql_subquery_is(const struct sample_cursor *cursor);

/* ---- functions of vectors ---- */

/* A function of one vector, value by value (map.c); args: the vector, then scalars. */
bool promql_map_has(enum promql_function_id id);
enum err promql_map_new(struct promql_eval *eval, const struct promql_expr *call,
                        struct promql_stage *const *args, uint32_t arg_count,
                        struct promql_stage **out) MUST_USE;
enum err promql_collapse_scalar_new(struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* selector: what the child selects; NULL: something else. */
enum err promql_collapse_absent_new(struct promql_stage *child, const struct promql_expr *selector,
                                    struct promql_stage **out) MUST_USE;
/* label_replace() and label_join(). */
enum err promql_relabel_new(struct promql_eval *eval, const struct promql_expr *call,
                            struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* histogram_quantile(), histogram_quantiles() and histogram_fraction(). */
enum { PROMQL_CLASSIC_PARAMS_MAX = 10 };
struct promql_classic_args {
    struct promql_stage *vector;
    const struct promql_expr *place; /* where the vector stands */
    struct promql_stage *params[PROMQL_CLASSIC_PARAMS_MAX];
    uint32_t param_count;
    bool has_label; /* of several quantiles */
    struct slice label;
};
enum err promql_classic_new(struct promql_eval *eval, const struct promql_expr *call,
                            const struct promql_classic_args *args,
                            struct promql_stage **out) MUST_USE;
/* sort() and its like. */
enum err promql_order_new(struct promql_eval *eval, const struct promql_expr *call,
                          struct promql_stage *child, struct promql_stage **out) MUST_USE;

/* ---- binary operators ---- */

struct promql_operands {
    struct promql_stage *lhs, *rhs;
};
/* topk and its like: the vector is lhs, the parameter rhs. */
enum err promql_pick_new(struct promql_eval *eval, const struct promql_expr *expr,
                         struct promql_operands operands, struct promql_stage **out) MUST_USE;
enum err promql_spread_quantile_new(struct promql_eval *eval, const struct promql_expr *expr,
                                    struct promql_operands operands,
                                    struct promql_stage **out) MUST_USE;
enum err promql_spread_values_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_stage *child, struct promql_stage **out) MUST_USE;
/* Puts what the fill modifiers add in between. */
enum err promql_fill_new(struct promql_eval *eval, const struct promql_matching *matching,
                         struct promql_operands *operands) MUST_USE;
/* At least one side is a scalar. */
enum err promql_scalar_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands,
                                  struct promql_stage **out) MUST_USE;
/* Two vectors: arithmetic and comparisons. */
enum err promql_vector_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands,
                                  struct promql_stage **out) MUST_USE;
/* Two vectors: and, or, unless. */
enum err promql_set_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                               struct promql_operands operands, struct promql_stage **out) MUST_USE;

/* ---- arithmetic (binop.c) ---- */

/* Scalars, or the elements of two columns. */
double promql_binop_apply(enum promql_op op, double a, double b);
/* What a binary operator does with two columns of equal count. */
struct promql_binop {
    enum promql_op op;
    bool returns_bool;
    bool keeps_rhs;                 /* a comparison keeps b's values instead of a's */
    const struct promql_expr *expr; /* for annotations */
};
/* out is present where a and b are and the comparison holds. out may be a or b. */
void promql_binop_columns(const struct promql_binop *binop, const struct promql_column *a,
                          const struct promql_column *b, struct promql_column *out);

/* The same where either has histograms, or the operator trims them (histogram_binop.c). */
enum err promql_histogram_binop(struct promql_eval *eval, const struct promql_binop *binop,
                                const struct promql_column *a, const struct promql_column *b,
                                struct promql_column *out) MUST_USE;
static inline bool promql_binop_needs_histograms(const struct promql_binop *binop,
                                                 const struct promql_column *a,
                                                 const struct promql_column *b)
{
    return a->has_histograms || b->has_histograms || promql_op_is_trim(binop->op);
}

/* ---- planning (plan.c) ---- */

/* An operator for an expression of type scalar or instant vector. */
enum err promql_plan(struct promql_eval *eval, const struct promql_expr *expr,
                     struct promql_stage **out) MUST_USE;
/* A range selector or subquery, for a query whose result is its samples. */
enum err promql_plan_matrix(struct promql_eval *eval, const struct promql_expr *expr,
                            struct promql_range_input *input) MUST_USE;
