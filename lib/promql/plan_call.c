/* SPDX-License-Identifier: Apache-2.0 */

/* Calls to operators; a function that is not evaluated is refused by its name. */

#include <math.h>
#include <stdio.h>

#include "promql/plan_internal.h"

static enum err refuse_call(struct promql_eval *eval, const struct promql_expr *expr)
{
    char what[80];

    snprintf(what, sizeof(what), "function %s()", expr->call.function->name);
    return promql_eval_unsupported(eval, expr, what);
}

/* Functions with one range vector and maybe scalars among their arguments. */
static enum err plan_range_call(const struct promql_planner *planner,
                                const struct promql_expr *expr, struct promql_stage **out)
{
    const struct promql_call *call = &expr->call;
    struct promql_range_input input;
    struct promql_over_time_args args = {.input = &input};
    const struct promql_expr *range = NULL;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < call->arg_count && err == ERR_OK; i++) {
        const struct promql_expr *arg = promql_plan_unwrap(call->args[i]);

        if (arg->type == PROMQL_MATRIX)
            range = arg;
        else
            err = promql_plan_expr(planner, arg, &args.params[args.param_count++]);
    }
    if (err == ERR_OK)
        err = promql_plan_input(planner, range, slice_from_cstr(call->function->name), &input);
    if (err != ERR_OK)
        return err;
    if (!promql_over_time_has(call->function->id))
        return promql_rate_new(planner->eval, expr, &input, planner->grid, out);
    err = promql_over_time_new(planner->eval, expr, &args, planner->grid, out);
    if (err != ERR_OK || call->function->id != PROMQL_FUNCTION_ABSENT_OVER_TIME)
        return err;
    return promql_collapse_absent_new(
        *out, range->kind == PROMQL_RANGE ? range->range.selector : NULL, out);
}

/* Of a selector, the time of its samples. */
static enum err plan_timestamp(const struct promql_planner *planner,
                               const struct promql_expr *selector, struct promql_stage **out)
{
    struct promql_select select;
    struct promql_stage *child;
    struct label_set *labels;
    enum err err = promql_plan_select(planner, selector, &select);

    select.gives_times = true;
    if (err == ERR_OK)
        err = promql_selector_new(planner->eval, &select, planner->grid, &child);
    if (err == ERR_OK)
        err =
            promql_labels_drop_metadata(planner->eval, child->labels, child->series_count, &labels);
    if (err != ERR_OK)
        return err;
    child->labels = labels;
    return promql_merge_new(planner->eval, child, false, out);
}

enum { MAP_ARGS_MAX = 3 };

/* Functions of one vector and at most two scalars. */
static enum err plan_map(const struct promql_planner *planner, const struct promql_expr *expr,
                         struct promql_stage **out)
{
    const struct promql_call *call = &expr->call;
    struct promql_stage *args[MAP_ARGS_MAX];
    uint32_t count = call->arg_count;
    enum err err = ERR_OK;

    ASSERT(count <= MAP_ARGS_MAX);
    if (count == 0) {
        /* hour() and its like: of the time of evaluation. */
        count = 1;
        err = promql_time_new(planner->eval, planner->grid, &args[0]);
    }
    for (uint32_t i = 0; i < call->arg_count && err == ERR_OK; i++)
        err = promql_plan_expr(planner, call->args[i], &args[i]);
    if (err != ERR_OK)
        return err;
    return promql_map_new(planner->eval, expr, args, count, out);
}

/* Functions of classic and native histograms: a vector, scalars, and the name of a label. */
static enum err plan_classic(const struct promql_planner *planner, const struct promql_expr *expr,
                             struct promql_stage **out)
{
    struct promql_classic_args args = {0};
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < expr->call.arg_count && err == ERR_OK; i++) {
        const struct promql_expr *arg = promql_plan_unwrap(expr->call.args[i]);

        if (arg->type == PROMQL_STRING) {
            args.has_label = true;
            args.label = arg->string;
        } else if (arg->type == PROMQL_VECTOR) {
            args.place = arg;
            err = promql_plan_expr(planner, arg, &args.vector);
        } else {
            ASSERT(args.param_count < PROMQL_CLASSIC_PARAMS_MAX);
            err = promql_plan_expr(planner, arg, &args.params[args.param_count++]);
        }
    }
    if (err != ERR_OK)
        return err;
    if (args.has_label && !label_name_is_valid(args.label, LABEL_SCHEME_UTF8))
        return err_set(planner->eval->info, ERR_EXEC, "invalid label name \"%.*s\"",
                       SLICE_ARG(args.label));
    return promql_classic_new(planner->eval, expr, &args, out);
}

/* Functions with one vector among their arguments, the first. */
static enum err plan_vector_call(const struct promql_planner *planner,
                                 const struct promql_expr *expr, struct promql_stage **out)
{
    const struct promql_expr *arg = promql_plan_unwrap(expr->call.args[0]);
    struct promql_stage *child;
    const enum err err = promql_plan_expr(planner, arg, &child);

    if (err != ERR_OK)
        return err;
    switch ((int)expr->call.function->id) {
    case PROMQL_FUNCTION_SCALAR:
        return promql_collapse_scalar_new(child, out);
    case PROMQL_FUNCTION_ABSENT:
        return promql_collapse_absent_new(child, arg->kind == PROMQL_SELECTOR ? arg : NULL, out);
    case PROMQL_FUNCTION_LABEL_JOIN:
    case PROMQL_FUNCTION_LABEL_REPLACE:
        return promql_relabel_new(planner->eval, expr, child, out);
    case PROMQL_FUNCTION_INFO:
        return promql_info_new(planner, expr, child, out);
    default:
        if (planner->grid->count > 1)
            promql_eval_warn(planner->eval, expr,
                             "sort is ineffective for range queries since results are always "
                             "ordered by labels");
        return promql_order_new(planner->eval, expr, child, out);
    }
}

/* What the query was asked for: start() and its like. */
static double query_constant(const struct query_options *query, enum promql_function_id id)
{
    switch ((int)id) {
    case PROMQL_FUNCTION_START:
        return (double)query->start_ms / 1000;
    case PROMQL_FUNCTION_END:
        return (double)query->end_ms / 1000;
    case PROMQL_FUNCTION_RANGE:
        return (double)promql_time_sub(query->end_ms, query->start_ms) / 1000;
    default:
        return (double)query->step_ms / 1000;
    }
}

enum err promql_plan_call(const struct promql_planner *planner, const struct promql_expr *expr,
                          struct promql_stage **out)
{
    const enum promql_function_id id = expr->call.function->id;
    struct promql_planner below = *planner;

    switch ((int)id) {
    case PROMQL_FUNCTION_RATE:
    case PROMQL_FUNCTION_INCREASE:
    case PROMQL_FUNCTION_DELTA:
        return plan_range_call(planner, expr, out);
    case PROMQL_FUNCTION_TIME:
        return promql_time_new(planner->eval, planner->grid, out);
    case PROMQL_FUNCTION_VECTOR:
        /* A scalar is a series without labels; only the type is another. */
        return promql_plan_expr(planner, expr->call.args[0], out);
    case PROMQL_FUNCTION_START:
    case PROMQL_FUNCTION_END:
    case PROMQL_FUNCTION_RANGE:
    case PROMQL_FUNCTION_STEP:
        return promql_constant_new(planner->eval, planner->grid,
                                   query_constant(planner->eval->query, id), out);
    case PROMQL_FUNCTION_TIMESTAMP:
        if (promql_plan_unwrap(expr->call.args[0])->kind == PROMQL_SELECTOR)
            return plan_timestamp(planner, promql_plan_unwrap(expr->call.args[0]), out);
        return plan_map(planner, expr, out);
    case PROMQL_FUNCTION_ABSENT:
    case PROMQL_FUNCTION_INFO:
    case PROMQL_FUNCTION_SCALAR:
    case PROMQL_FUNCTION_LABEL_JOIN:
    case PROMQL_FUNCTION_LABEL_REPLACE:
        below.around = NULL; /* a grouping means other labels than the selector's */
        return plan_vector_call(&below, expr, out);
    case PROMQL_FUNCTION_HISTOGRAM_FRACTION:
    case PROMQL_FUNCTION_HISTOGRAM_QUANTILE:
    case PROMQL_FUNCTION_HISTOGRAM_QUANTILES:
        below.around = NULL;
        return plan_classic(&below, expr, out);
    case PROMQL_FUNCTION_SORT:
    case PROMQL_FUNCTION_SORT_BY_LABEL:
    case PROMQL_FUNCTION_SORT_BY_LABEL_DESC:
    case PROMQL_FUNCTION_SORT_DESC:
        return plan_vector_call(planner, expr, out);
    default:
        if (promql_map_has(id))
            return plan_map(planner, expr, out);
        if (promql_over_time_has(id))
            return plan_range_call(planner, expr, out);
        return refuse_call(planner->eval, expr);
    }
}

bool promql_plan_call_is_pure(const struct promql_expr *expr)
{
    switch ((int)expr->call.function->id) {
    case PROMQL_FUNCTION_DAY_OF_MONTH:
    case PROMQL_FUNCTION_DAY_OF_WEEK:
    case PROMQL_FUNCTION_DAY_OF_YEAR:
    case PROMQL_FUNCTION_DAYS_IN_MONTH:
    case PROMQL_FUNCTION_HOUR:
    case PROMQL_FUNCTION_MINUTE:
    case PROMQL_FUNCTION_MONTH:
    case PROMQL_FUNCTION_YEAR:
    case PROMQL_FUNCTION_TIME:
    case PROMQL_FUNCTION_PREDICT_LINEAR:
    case PROMQL_FUNCTION_START:
    case PROMQL_FUNCTION_END:
    case PROMQL_FUNCTION_RANGE:
    case PROMQL_FUNCTION_STEP:
        return false;
    case PROMQL_FUNCTION_TIMESTAMP:
        return promql_plan_unwrap(expr->call.args[0])->kind == PROMQL_SELECTOR;
    default:
        return true;
    }
}
