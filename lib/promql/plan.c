/* SPDX-License-Identifier: Apache-2.0 */

/* Syntax tree to operators: constants are folded, matchers and hints go down to the source, parts
 * that give the same at every step are evaluated at one. What the engine does not evaluate is
 * refused by name. */

#include <math.h>
#include <stdio.h>

#include "promql/plan_internal.h"

/* ---- durations ---- */

static enum err duration_fault(struct promql_eval *eval, const struct promql_expr *expr,
                               const char *what)
{
    return err_set(eval->info, ERR_EXEC, "%u:%u: %s", expr->span.start, expr->span.end, what);
}

static enum err duration_seconds(struct promql_eval *eval, const struct promql_expr *expr,
                                 double *seconds)
{
    const struct promql_duration_expr *duration = &expr->duration;
    const struct query_options *query = eval->query;
    const bool is_instant = query->step_ms == 0;
    double lhs = 0, rhs = 0;
    enum err err = ERR_OK;

    if (expr->kind == PROMQL_NUMBER_LITERAL) {
        *seconds = expr->number.v;
        return ERR_OK;
    }
    if (duration->lhs != NULL)
        err = duration_seconds(eval, duration->lhs, &lhs);
    if (err == ERR_OK && duration->rhs != NULL)
        err = duration_seconds(eval, duration->rhs, &rhs);
    if (err != ERR_OK)
        return err;
    switch (duration->op) {
    case PROMQL_DURATION_STEP:
        *seconds = is_instant ? 0 : (double)query->step_ms / 1000;
        break;
    case PROMQL_DURATION_RANGE:
        *seconds = is_instant ? 0 : (double)promql_time_sub(query->end_ms, query->start_ms) / 1000;
        break;
    case PROMQL_DURATION_MIN_OF:
        *seconds = fmin(lhs, rhs);
        break;
    case PROMQL_DURATION_MAX_OF:
        *seconds = fmax(lhs, rhs);
        break;
    case PROMQL_DURATION_BINARY:
        if (rhs == 0 && duration->binary == PROMQL_OP_DIV)
            return duration_fault(eval, expr, "division by zero");
        if (rhs == 0 && duration->binary == PROMQL_OP_MOD)
            return duration_fault(eval, expr, "modulo by zero");
        *seconds = promql_binop_apply(duration->binary, lhs, rhs);
        break;
    case PROMQL_DURATION_PLUS:
        *seconds = rhs;
        break;
    case PROMQL_DURATION_MINUS:
        *seconds = -rhs;
        break;
    }
    return ERR_OK;
}

#define DURATION_SECONDS_MAX 9223372036.0 /* 2^63 ns */

static enum err duration_ms(struct promql_eval *eval, const struct promql_duration *duration,
                            bool may_be_negative, int64_t *ms)
{
    double seconds = 0;
    enum err err;

    *ms = duration->ms;
    if (duration->expr == NULL)
        return ERR_OK;
    err = duration_seconds(eval, duration->expr, &seconds);
    if (err != ERR_OK)
        return err;
    if (!isfinite(seconds))
        return duration_fault(eval, duration->expr, "duration is NaN or infinite");
    if (fabs(seconds) > DURATION_SECONDS_MAX)
        return duration_fault(eval, duration->expr, "duration is out of range");
    *ms = (int64_t)(seconds * 1000);
    if (!may_be_negative && *ms <= 0)
        return duration_fault(eval, duration->expr, "duration must be greater than 0");
    return ERR_OK;
}

/* ---- selectors ---- */

enum err promql_plan_lens(struct promql_eval *eval, const struct promql_expr *expr,
                          struct promql_lens *lens)
{
    const struct promql_modifiers *modifiers =
        expr->kind == PROMQL_SUBQUERY ? &expr->subquery.modifiers : &expr->selector.modifiers;

    *lens = (struct promql_lens){.is_pinned = modifiers->at != PROMQL_AT_NONE};
    if (modifiers->at == PROMQL_AT_TIME)
        lens->pinned_ms = modifiers->at_ms;
    else if (modifiers->at == PROMQL_AT_START)
        lens->pinned_ms = eval->query->start_ms;
    else if (modifiers->at == PROMQL_AT_END)
        lens->pinned_ms = eval->query->end_ms;
    if (modifiers->is_anchored || modifiers->is_smoothed)
        return promql_eval_unsupported(eval, expr,
                                       modifiers->is_anchored ? "anchored" : "smoothed");
    return duration_ms(eval, &modifiers->offset, true, &lens->offset_ms);
}

enum err promql_plan_select(const struct promql_planner *planner, const struct promql_expr *expr,
                            struct promql_select *select)
{
    *select = (struct promql_select){.selector = expr, .around = planner->around};
    return promql_plan_lens(planner->eval, expr, &select->lens);
}

static enum err plan_selector(const struct promql_planner *planner, const struct promql_expr *expr,
                              struct promql_stage **out)
{
    struct promql_select select;
    const enum err err = promql_plan_select(planner, expr, &select);

    if (err != ERR_OK)
        return err;
    return promql_selector_new(planner->eval, &select, planner->grid, out);
}

/* ---- ranges ---- */

static enum err plan_subquery(const struct promql_planner *planner, const struct promql_expr *expr,
                              struct promql_range_input *input)
{
    struct promql_eval *eval = planner->eval;
    struct promql_planner below = {.eval = eval};
    struct promql_grid *grid = ARENA_NEW(eval->arena, struct promql_grid);
    struct promql_stage *stage;
    enum err err;

    if (grid == NULL)
        return promql_eval_no_room(eval);
    grid->step_ms = eval->subquery_step_ms;
    err = duration_ms(eval, &expr->subquery.range, false, &input->range_ms);
    if (err == ERR_OK && expr->subquery.has_step)
        err = duration_ms(eval, &expr->subquery.step, false, &grid->step_ms);
    if (err == ERR_OK)
        err = promql_plan_lens(eval, expr, &input->lens);
    if (err == ERR_OK)
        err = promql_subquery_grid(eval, input, planner->grid, grid);
    if (err != ERR_OK || grid->count == 0)
        return err;
    below.grid = grid;
    err = promql_plan_expr(&below, expr->subquery.expr, &stage);
    if (err != ERR_OK)
        return err;
    input->may_fault = stage->may_fault;
    return promql_subquery_list(stage, &input->list);
}

enum err promql_plan_input(const struct promql_planner *planner, const struct promql_expr *range,
                           struct slice function, struct promql_range_input *input)
{
    struct promql_select select = {.function = function, .around = planner->around};
    enum err err;

    *input = (struct promql_range_input){0};
    if (range->kind == PROMQL_SUBQUERY)
        return plan_subquery(planner, range, input);
    ASSERT(range->kind == PROMQL_RANGE);
    select.selector = range->range.selector;
    err = duration_ms(planner->eval, &range->range.range, false, &select.range_ms);
    if (err == ERR_OK)
        err = promql_plan_lens(planner->eval, select.selector, &select.lens);
    if (err != ERR_OK)
        return err;
    input->lens = select.lens;
    input->range_ms = select.range_ms;
    return promql_select_series(planner->eval, &select, planner->grid, &input->list);
}

/* ---- operators ---- */

static enum err plan_aggregate(const struct promql_planner *planner, const struct promql_expr *expr,
                               struct promql_stage **out)
{
    const enum promql_aggregator op = expr->aggregate.op;
    struct promql_planner below = *planner;
    struct promql_operands operands = {0};
    enum err err = ERR_OK;

    below.around = NULL;
    if (promql_aggregator_has_param(op) && op != PROMQL_COUNT_VALUES)
        err = promql_plan_expr(&below, expr->aggregate.param, &operands.rhs);
    below.around = &expr->aggregate;
    if (err == ERR_OK)
        err = promql_plan_expr(&below, expr->aggregate.expr, &operands.lhs);
    if (err != ERR_OK)
        return err;
    if (op == PROMQL_COUNT_VALUES)
        return promql_spread_values_new(planner->eval, expr, operands.lhs, out);
    if (op == PROMQL_QUANTILE)
        return promql_spread_quantile_new(planner->eval, expr, operands, out);
    if (operands.rhs != NULL)
        return promql_pick_new(planner->eval, expr, operands, out);
    return promql_aggregate_new(planner->eval, expr, operands.lhs, out);
}

static enum err plan_binary(const struct promql_planner *planner, const struct promql_expr *expr,
                            struct promql_stage **out)
{
    const struct promql_binary *binary = &expr->binary;
    struct promql_planner below = *planner;
    struct promql_operands operands;
    enum err err;

    if (promql_op_is_trim(binary->op) && expr->type == PROMQL_SCALAR)
        return err_set(planner->eval->info, ERR_EXEC,
                       "operator \"%s\" not allowed for Scalar operations",
                       promql_op_text(binary->op));
    below.around = NULL;
    err = promql_plan_expr(&below, binary->lhs, &operands.lhs);
    if (err == ERR_OK)
        err = promql_plan_expr(&below, binary->rhs, &operands.rhs);
    if (err != ERR_OK)
        return err;
    if (binary->lhs->type == PROMQL_SCALAR || binary->rhs->type == PROMQL_SCALAR)
        return promql_scalar_binary_new(planner->eval, expr, operands, out);
    if (promql_op_is_set(binary->op))
        return promql_set_binary_new(planner->eval, expr, operands, out);
    if (binary->matching.has_fill_left || binary->matching.has_fill_right)
        err = promql_fill_new(planner->eval, &binary->matching, &operands);
    if (err != ERR_OK)
        return err;
    return promql_vector_binary_new(planner->eval, expr, operands, out);
}

static enum err plan_unary(const struct promql_planner *planner, const struct promql_expr *expr,
                           struct promql_stage **out)
{
    struct promql_stage *child;
    const enum err err = promql_plan_expr(planner, expr->unary.expr, &child);

    if (err != ERR_OK)
        return err;
    *out = child;
    if (expr->unary.op == PROMQL_OP_ADD)
        return ERR_OK;
    return promql_negate_new(planner->eval, child, out);
}

/* ---- folding and invariance ---- */

/* The value of a scalar expression that needs neither data nor time. */
static bool fold(const struct promql_expr *expr, double *v)
{
    double lhs, rhs;

    if (expr->type != PROMQL_SCALAR)
        return false;
    switch ((int)expr->kind) {
    case PROMQL_NUMBER_LITERAL:
        *v = expr->number.v;
        return true;
    case PROMQL_PAREN:
        return fold(expr->paren, v);
    case PROMQL_UNARY:
        if (!fold(expr->unary.expr, v))
            return false;
        *v = expr->unary.op == PROMQL_OP_SUB ? -*v : *v;
        return true;
    case PROMQL_BINARY:
        if (!fold(expr->binary.lhs, &lhs) || !fold(expr->binary.rhs, &rhs) ||
            promql_op_is_trim(expr->binary.op))
            return false;
        *v = promql_binop_apply(expr->binary.op, lhs, rhs);
        return true;
    case PROMQL_CALL:
        *v = M_PI;
        return expr->call.function->id == PROMQL_FUNCTION_PI;
    default:
        return false;
    }
}

/* Whether an expression gives the same at every step because all its selectors have an @. */
static bool is_invariant(const struct promql_expr *expr)
{
    switch (expr->kind) {
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
        return true;
    case PROMQL_SELECTOR:
        return expr->selector.modifiers.at != PROMQL_AT_NONE;
    case PROMQL_RANGE:
        return is_invariant(expr->range.selector);
    case PROMQL_SUBQUERY:
        return expr->subquery.modifiers.at != PROMQL_AT_NONE;
    case PROMQL_CALL:
        if (!promql_plan_call_is_pure(expr))
            return false;
        for (uint32_t i = 0; i < expr->call.arg_count; i++) {
            if (!is_invariant(expr->call.args[i]))
                return false;
        }
        return true;
    case PROMQL_AGGREGATE:
        return is_invariant(expr->aggregate.expr) &&
               (expr->aggregate.param == NULL || is_invariant(expr->aggregate.param));
    case PROMQL_BINARY:
        return is_invariant(expr->binary.lhs) && is_invariant(expr->binary.rhs);
    case PROMQL_UNARY:
        return is_invariant(expr->unary.expr);
    case PROMQL_PAREN:
        return is_invariant(expr->paren);
    case PROMQL_DURATION:
        return false;
    }
    return false;
}

static enum err plan_invariant(const struct promql_planner *planner, const struct promql_expr *expr,
                               struct promql_stage **out)
{
    struct promql_grid *once = ARENA_NEW(planner->eval->arena, struct promql_grid);
    struct promql_planner below = *planner;
    struct promql_stage *child;
    enum err err;

    if (once == NULL)
        return promql_eval_no_room(planner->eval);
    *once = *planner->grid;
    once->count = 1;
    below.grid = once;
    below.is_invariant = true;
    err = promql_plan_expr(&below, expr, &child);
    if (err != ERR_OK)
        return err;
    return promql_invariant_new(planner->eval, planner->grid, child, out);
}

enum err promql_plan_expr(const struct promql_planner *planner, const struct promql_expr *expr,
                          struct promql_stage **out)
{
    double v;

    if (fold(expr, &v))
        return promql_constant_new(planner->eval, planner->grid, v, out);
    if (!planner->is_invariant && planner->grid->count > 1 && is_invariant(expr))
        return plan_invariant(planner, expr, out);
    switch (expr->kind) {
    case PROMQL_SELECTOR:
        return plan_selector(planner, expr, out);
    case PROMQL_CALL:
        return promql_plan_call(planner, expr, out);
    case PROMQL_AGGREGATE:
        return plan_aggregate(planner, expr, out);
    case PROMQL_BINARY:
        return plan_binary(planner, expr, out);
    case PROMQL_UNARY:
        return plan_unary(planner, expr, out);
    case PROMQL_PAREN:
        return promql_plan_expr(planner, expr->paren, out);
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
    case PROMQL_RANGE:
    case PROMQL_SUBQUERY:
    case PROMQL_DURATION:
        break;
    }
    return promql_eval_unsupported(planner->eval, expr, "such an expression");
}

enum err promql_plan(struct promql_eval *eval, const struct promql_expr *expr,
                     struct promql_stage **out)
{
    const struct promql_planner planner = {.eval = eval, .grid = &eval->grid};

    return promql_plan_expr(&planner, expr, out);
}

enum err promql_plan_matrix(struct promql_eval *eval, const struct promql_expr *expr,
                            struct promql_range_input *input)
{
    const struct promql_planner planner = {.eval = eval, .grid = &eval->grid};

    return promql_plan_input(&planner, expr, (struct slice){0}, input);
}
