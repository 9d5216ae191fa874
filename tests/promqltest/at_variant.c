/* SPDX-License-Identifier: Apache-2.0 */

/* The same question asked with every time pinned: `@ T` is put behind each selector and outermost
 * subquery that has none, and the printed text of that is what is run. It then answers the same
 * whenever it is evaluated, unless a function looks at the evaluation time itself. */

#include "promql/function.h"
#include "promql/parser.h"
#include "promql/printer.h"
#include "promqltest/script_internal.h"

static bool looks_at_time(enum promql_function_id id)
{
    switch ((int)id) {
    case PROMQL_FUNCTION_DAY_OF_MONTH:
    case PROMQL_FUNCTION_DAY_OF_WEEK:
    case PROMQL_FUNCTION_DAY_OF_YEAR:
    case PROMQL_FUNCTION_DAYS_IN_MONTH:
    case PROMQL_FUNCTION_HOUR:
    case PROMQL_FUNCTION_MINUTE:
    case PROMQL_FUNCTION_MONTH:
    case PROMQL_FUNCTION_YEAR:
    case PROMQL_FUNCTION_TIME:
    case PROMQL_FUNCTION_TIMESTAMP:
    case PROMQL_FUNCTION_PREDICT_LINEAR:
    case PROMQL_FUNCTION_START:
    case PROMQL_FUNCTION_END:
    case PROMQL_FUNCTION_RANGE:
    case PROMQL_FUNCTION_STEP:
        return true;
    default:
        return false;
    }
}

static void pin(struct promql_modifiers *modifiers, int64_t t_ms)
{
    if (modifiers->at != PROMQL_AT_NONE)
        return;
    modifiers->at = PROMQL_AT_TIME;
    modifiers->at_ms = t_ms;
}

/* The tree is our own, fresh from the parser: it may be changed. False: it looks at the time. */
static bool pin_all(const struct promql_expr *tree, int64_t t_ms)
{
    struct promql_expr *expr = (struct promql_expr *)(uintptr_t)tree;
    bool ok = true;

    switch (expr->kind) {
    case PROMQL_SELECTOR:
        pin(&expr->selector.modifiers, t_ms);
        return true;
    case PROMQL_RANGE:
        return pin_all(expr->range.selector, t_ms);
    case PROMQL_SUBQUERY:
        pin(&expr->subquery.modifiers, t_ms);
        return true;
    case PROMQL_CALL:
        for (uint32_t i = 0; i < expr->call.arg_count; i++)
            ok &= pin_all(expr->call.args[i], t_ms);
        return ok && !looks_at_time(expr->call.function->id);
    case PROMQL_AGGREGATE:
        if (expr->aggregate.param != NULL)
            ok = pin_all(expr->aggregate.param, t_ms);
        return pin_all(expr->aggregate.expr, t_ms) && ok;
    case PROMQL_BINARY:
        ok = pin_all(expr->binary.lhs, t_ms);
        return pin_all(expr->binary.rhs, t_ms) && ok;
    case PROMQL_UNARY:
        return pin_all(expr->unary.expr, t_ms);
    case PROMQL_PAREN:
        return pin_all(expr->paren, t_ms);
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
    case PROMQL_DURATION:
        return true;
    }
    return true;
}

bool at_variant(struct arena *arena, struct slice text, int64_t t_ms, struct slice *out)
{
    static const struct promql_features all = {true, true, true, true};
    struct promql_expr *expr;
    struct buf printed;

    if (promql_parse(arena, text, &all, &expr, NULL) != ERR_OK || !pin_all(expr, t_ms))
        return false;
    buf_init(&printed, 1 << 20);
    promql_print(&printed, expr);
    *out = arena_copy(arena, buf_slice(&printed));
    buf_fini(&printed);
    return true;
}
