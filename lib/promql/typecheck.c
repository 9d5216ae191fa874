/* SPDX-License-Identifier: Apache-2.0 */

/* The type rules of the language, over a whole tree; the first fault in reading order counts. */

#include "base/utf8.h"
#include "promql/function.h"
#include "promql/parser_internal.h"

static bool check_type(struct promql_parser *parser, const struct promql_expr *expr,
                       enum promql_type want, const char *context)
{
    if (!promql_parser_check(parser, expr))
        return false;
    if (expr->type == want)
        return true;
    promql_parser_fail(parser, expr->span.start, "expected type %s in %s, got %s",
                       promql_type_text(want), context, promql_type_text(expr->type));
    return false;
}

static bool check_aggregate(struct promql_parser *parser, const struct promql_aggregate *aggregate)
{
    if (!check_type(parser, aggregate->expr, PROMQL_VECTOR, "aggregation expression"))
        return false;
    if (aggregate->param == NULL)
        return true;
    return check_type(parser, aggregate->param,
                      aggregate->op == PROMQL_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                      "aggregation parameter");
}

/* Where the operator stands: behind lhs and white space. */
static uint32_t operator_offset(const struct promql_parser *parser,
                                const struct promql_binary *binary)
{
    uint32_t at = binary->lhs->span.end;

    while (at < parser->text.len && strchr(" \t\r\n", parser->text.data[at]) != NULL)
        at++;
    return at;
}

static const char *matching_fault(const struct promql_binary *binary, bool both_vectors)
{
    const struct promql_matching *matching = &binary->matching;
    const bool has_fill = matching->has_fill_left || matching->has_fill_right;

    if (!both_vectors) {
        if (matching->labels.count > 0)
            return "vector matching only allowed between instant vectors";
        if (has_fill)
            return "filling in missing series only allowed between instant vectors";
        return NULL;
    }
    if (promql_op_is_set(binary->op) && has_fill && matching->card == PROMQL_MANY_TO_MANY)
        return "filling in missing series not allowed for set operators";
    return NULL;
}

/* False with err set, or with err unset if there is nothing to say against it. */
static void check_clauses(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_binary *binary = &expr->binary;
    const struct promql_matching *matching = &binary->matching;
    const bool both_scalars =
        binary->lhs->type == PROMQL_SCALAR && binary->rhs->type == PROMQL_SCALAR;
    const bool is_comparison = promql_op_is_comparison(binary->op);

    if (binary->returns_bool && !is_comparison)
        promql_parser_fail(parser, operator_offset(parser, binary),
                           "bool modifier can only be used on comparison operators");
    if (is_comparison && !binary->returns_bool && both_scalars)
        promql_parser_fail(parser, operator_offset(parser, binary),
                           "comparisons between scalars must use BOOL modifier");
    for (uint32_t i = 0; matching->is_on && i < matching->labels.count; i++) {
        for (uint32_t k = 0; k < matching->include.count; k++) {
            if (slice_eq(matching->labels.names[i], matching->include.names[k]))
                promql_parser_fail(parser, operator_offset(parser, binary),
                                   "label \"%.*s\" must not occur in ON and GROUP clause at once",
                                   SLICE_ARG(matching->labels.names[i]));
        }
    }
}

static bool is_operand(const struct promql_expr *expr)
{
    return expr->type == PROMQL_SCALAR || expr->type == PROMQL_VECTOR;
}

static bool check_binary(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_binary *binary = &expr->binary;
    const bool both_vectors =
        binary->lhs->type == PROMQL_VECTOR && binary->rhs->type == PROMQL_VECTOR;
    const bool is_set = promql_op_is_set(binary->op);
    const char *fault;

    if (!promql_parser_check(parser, binary->lhs) || !promql_parser_check(parser, binary->rhs))
        return false;
    check_clauses(parser, expr);
    if (!is_operand(binary->lhs) || !is_operand(binary->rhs))
        promql_parser_fail(parser,
                           (is_operand(binary->lhs) ? binary->rhs : binary->lhs)->span.start,
                           "binary expression must contain only scalar and instant vector types");
    fault = matching_fault(binary, both_vectors);
    if (fault != NULL)
        promql_parser_fail(parser, expr->span.start, "%s", fault);
    if (both_vectors && is_set && binary->matching.card != PROMQL_MANY_TO_MANY)
        promql_parser_fail(parser, expr->span.start, "no grouping allowed for \"%s\" operation",
                           promql_op_text(binary->op));
    if (!both_vectors && is_set)
        promql_parser_fail(parser, expr->span.start,
                           "set operator \"%s\" not allowed in binary scalar expression",
                           promql_op_text(binary->op));
    return parser->err == ERR_OK;
}

static void check_arg_count(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_function *function = expr->call.function;
    const uint32_t count = expr->call.arg_count;
    const uint32_t least = function->variadic == 0 ? function->arg_count : function->arg_count - 1;

    if (function->variadic == 0 && count != function->arg_count)
        promql_parser_fail(parser, expr->span.start,
                           "expected %u argument(s) in call to \"%s\", got %u", function->arg_count,
                           function->name, count);
    else if (count < least)
        promql_parser_fail(parser, expr->span.start,
                           "expected at least %u argument(s) in call to \"%s\", got %u", least,
                           function->name, count);
    else if (function->variadic > 0 && count > least + (uint32_t)function->variadic)
        promql_parser_fail(parser, expr->span.start,
                           "expected at most %u argument(s) in call to \"%s\", got %u",
                           least + (uint32_t)function->variadic, function->name, count);
}

/* The second argument of info(): braces only, and they may match everything. */
static void check_info_selector(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_expr *const selector = expr->call.args[1];

    if (selector->type != PROMQL_VECTOR)
        promql_parser_fail(parser, expr->span.start,
                           "expected type instant vector in call to function \"info\", got %s",
                           promql_type_text(selector->type));
    else if (selector->kind != PROMQL_SELECTOR)
        promql_parser_fail(parser, selector->span.start, "expected label selectors only");
    else if (selector->selector.name.len != 0)
        promql_parser_fail(parser, selector->span.start,
                           "expected label selectors only, got vector selector instead");
}

static bool check_call(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_function *function = expr->call.function;
    const bool is_info = function->id == PROMQL_FUNCTION_INFO;

    check_arg_count(parser, expr);
    if (is_info && expr->call.arg_count == 2)
        check_info_selector(parser, expr);
    if (parser->err != ERR_OK)
        return false;
    for (uint32_t i = 0; i < expr->call.arg_count; i++) {
        const uint32_t which = i < function->arg_count ? i : function->arg_count - 1;
        const struct promql_expr *arg = expr->call.args[i];

        if (is_info && i == 1)
            continue;
        if (!promql_parser_check(parser, arg))
            return false;
        if (arg->type != function->args[which]) {
            promql_parser_fail(parser, arg->span.start,
                               "expected type %s in call to function \"%s\", got %s",
                               promql_type_text(function->args[which]), function->name,
                               promql_type_text(arg->type));
            return false;
        }
    }
    return true;
}

static void fail_two_names(struct promql_parser *parser, const struct promql_expr *expr,
                           struct slice second)
{
    struct buf names;

    buf_init(&names, ERR_MESSAGE_SIZE);
    utf8_quote(&names, expr->selector.name);
    buf_add_cstr(&names, " or ");
    utf8_quote(&names, second);
    promql_parser_fail(parser, expr->span.start, "metric name must not be set twice: %.*s",
                       SLICE_ARG(buf_slice(&names)));
    buf_fini(&names);
}

static bool check_selector(struct promql_parser *parser, const struct promql_expr *expr)
{
    const struct promql_selector *selector = &expr->selector;

    if (selector->name.len != 0) {
        for (uint32_t i = 0; i + 1 < selector->matcher_count; i++) {
            if (!slice_eq_cstr(selector->matchers[i].name, LABEL_METRIC_NAME))
                continue;
            fail_two_names(parser, expr, selector->matchers[i].value);
            return false;
        }
        return true;
    }
    for (uint32_t i = 0; i < selector->matcher_count; i++) {
        if (!matcher_matches_empty(&selector->matchers[i]))
            return true;
    }
    promql_parser_fail(parser, expr->span.start,
                       "vector selector must contain at least one non-empty matcher");
    return false;
}

static bool check_unary(struct promql_parser *parser, const struct promql_expr *expr)
{
    if (!promql_parser_check(parser, expr->unary.expr))
        return false;
    if (is_operand(expr->unary.expr))
        return true;
    promql_parser_fail(parser, expr->span.start,
                       "unary expression only allowed on expressions of type scalar or instant "
                       "vector, got \"%s\"",
                       promql_type_text(expr->unary.expr->type));
    return false;
}

static bool check_subquery(struct promql_parser *parser, const struct promql_expr *expr)
{
    static const char *const names[] = {"scalar", "vector", "matrix", "string"};
    const struct promql_expr *const inner = expr->subquery.expr;

    if (!promql_parser_check(parser, inner))
        return false;
    if (inner->type == PROMQL_VECTOR)
        return true;
    promql_parser_fail(parser, expr->span.start,
                       "subquery is only allowed on instant vector, got %s instead",
                       names[inner->type]);
    return false;
}

bool promql_parser_check(struct promql_parser *parser, const struct promql_expr *expr)
{
    switch (expr->kind) {
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
    case PROMQL_DURATION:
        return true;
    case PROMQL_SELECTOR:
        return check_selector(parser, expr);
    case PROMQL_RANGE:
        return promql_parser_check(parser, expr->range.selector);
    case PROMQL_SUBQUERY:
        return check_subquery(parser, expr);
    case PROMQL_CALL:
        return check_call(parser, expr);
    case PROMQL_AGGREGATE:
        return check_aggregate(parser, &expr->aggregate);
    case PROMQL_BINARY:
        return check_binary(parser, expr);
    case PROMQL_UNARY:
        return check_unary(parser, expr);
    case PROMQL_PAREN:
        return promql_parser_check(parser, expr->paren);
    }
    return true;
}
