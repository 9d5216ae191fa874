/* SPDX-License-Identifier: Apache-2.0 */

/* What stands behind an expression: ranges, subqueries, offset, @, anchored, smoothed; and the
 * arithmetic of durations in the first three. */

#include <math.h>

#include "promql/parser_internal.h"

#define DURATION_SECONDS_MAX 9223372036.854775807 /* 2^63 ns */

static struct promql_expr *parse_duration(struct promql_parser *parser, int precedence_min);

static struct promql_expr *duration_node(struct promql_parser *parser, struct promql_span span,
                                         struct promql_duration_expr duration)
{
    uint32_t depth = duration.lhs != NULL ? duration.lhs->depth : 0;
    struct promql_expr *expr;

    if (!parser->features.duration_expressions) {
        promql_parser_fail(parser, span.start, "experimental duration expression is not enabled");
        return NULL;
    }
    if (duration.rhs != NULL && duration.rhs->depth > depth)
        depth = duration.rhs->depth;
    expr = promql_parser_node(parser, PROMQL_DURATION, span, depth);
    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_SCALAR;
    expr->duration = duration;
    return expr;
}

static bool expect(struct promql_parser *parser, enum promql_token_kind kind)
{
    if (!promql_parser_at(parser, kind)) {
        promql_parser_unexpected(parser, parser->length_context, parser->length_wants);
        return false;
    }
    promql_parser_advance(parser);
    return true;
}

/* step(), range(), min_of(a, b) or max_of(a, b). */
static struct promql_expr *parse_duration_call(struct promql_parser *parser)
{
    struct promql_duration_expr duration = {0};
    struct promql_span span = parser->token.span;
    const enum promql_token_kind kind = parser->token.kind;

    promql_parser_advance(parser);
    if (!expect(parser, PROMQL_TOKEN_LEFT_PAREN))
        return NULL;
    if (kind == PROMQL_TOKEN_STEP || kind == PROMQL_TOKEN_RANGE) {
        duration.op = kind == PROMQL_TOKEN_STEP ? PROMQL_DURATION_STEP : PROMQL_DURATION_RANGE;
    } else {
        duration.op = kind == PROMQL_TOKEN_MIN_OF ? PROMQL_DURATION_MIN_OF : PROMQL_DURATION_MAX_OF;
        duration.lhs = parse_duration(parser, 0);
        if (duration.lhs == NULL || !expect(parser, PROMQL_TOKEN_COMMA))
            return NULL;
        duration.rhs = parse_duration(parser, 0);
        if (duration.rhs == NULL)
            return NULL;
    }
    if (!expect(parser, PROMQL_TOKEN_RIGHT_PAREN))
        return NULL;
    span.end = parser->closing_end;
    return duration_node(parser, span, duration);
}

static struct promql_expr *parse_duration_number(struct promql_parser *parser)
{
    const uint32_t start = parser->token.span.start;
    struct promql_expr *number = promql_parser_number(parser);

    if (number != NULL && fabs(number->number.v) > DURATION_SECONDS_MAX) {
        promql_parser_fail(parser, start, "duration out of range");
        return NULL;
    }
    return number;
}

static struct promql_expr *parse_duration_paren(struct promql_parser *parser)
{
    struct promql_span span = parser->token.span;
    struct promql_expr *inner;

    promql_parser_advance(parser);
    inner = parse_duration(parser, 0);
    if (inner == NULL || !expect(parser, PROMQL_TOKEN_RIGHT_PAREN))
        return NULL;
    span.end = parser->closing_end;
    if (inner->kind == PROMQL_DURATION && !inner->duration.is_wrapped) {
        inner->duration.is_wrapped = true;
        return inner;
    }
    if (inner->kind == PROMQL_DURATION)
        return inner; /* ((a)) is (a) */
    return duration_node(parser, span,
                         (struct promql_duration_expr){
                             .op = PROMQL_DURATION_PLUS, .rhs = inner, .is_wrapped = true});
}

static struct promql_expr *negate(struct promql_parser *parser, struct promql_expr *expr,
                                  uint32_t start)
{
    if (expr->kind == PROMQL_NUMBER_LITERAL) {
        expr->number.v = -expr->number.v;
        expr->span.start = start;
        return expr;
    }
    return duration_node(parser, (struct promql_span){start, expr->span.end},
                         (struct promql_duration_expr){.op = PROMQL_DURATION_MINUS, .rhs = expr});
}

static bool at_sign(const struct promql_parser *parser)
{
    return promql_parser_at(parser, PROMQL_TOKEN_OP) &&
           (parser->token.op == PROMQL_OP_ADD || parser->token.op == PROMQL_OP_SUB);
}

static bool at_duration_call(const struct promql_parser *parser)
{
    return parser->token.kind >= PROMQL_TOKEN_STEP && parser->token.kind <= PROMQL_TOKEN_MIN_OF;
}

static struct promql_expr *parse_duration_primary(struct promql_parser *parser)
{
    if (at_sign(parser)) {
        const struct promql_token sign = parser->token;
        struct promql_expr *inner;

        promql_parser_advance(parser);
        inner = parse_duration(parser, promql_op_precedence(PROMQL_OP_POW));
        if (inner == NULL || sign.op == PROMQL_OP_ADD)
            return inner;
        return negate(parser, inner, sign.span.start);
    }
    if (at_duration_call(parser))
        return parse_duration_call(parser);
    if (promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN))
        return parse_duration_paren(parser);
    if (promql_parser_at(parser, PROMQL_TOKEN_NUMBER) ||
        promql_parser_at(parser, PROMQL_TOKEN_DURATION))
        return parse_duration_number(parser);
    promql_parser_unexpected(parser, parser->length_context, parser->length_wants);
    return NULL;
}

static bool at_duration_op(const struct promql_parser *parser, int precedence_min)
{
    const enum promql_op op = parser->token.op;

    return promql_parser_at(parser, PROMQL_TOKEN_OP) && op >= PROMQL_OP_ADD &&
           op != PROMQL_OP_ATAN2 && promql_op_precedence(op) >= precedence_min;
}

static struct promql_expr *parse_duration_tail(struct promql_parser *parser,
                                               struct promql_expr *lhs)
{
    const struct promql_token op = parser->token;
    const int precedence = promql_op_precedence(op.op);
    struct promql_expr *rhs;

    promql_parser_advance(parser);
    rhs = parse_duration(parser, op.op == PROMQL_OP_POW ? precedence : precedence + 1);
    if (rhs == NULL)
        return NULL;
    if ((op.op == PROMQL_OP_DIV || op.op == PROMQL_OP_MOD) && rhs->kind == PROMQL_NUMBER_LITERAL &&
        rhs->number.v == 0) {
        promql_parser_fail(parser, op.span.start,
                           op.op == PROMQL_OP_DIV ? "division by zero" : "modulo by zero");
        return NULL;
    }
    return duration_node(
        parser, (struct promql_span){lhs->span.start, rhs->span.end},
        (struct promql_duration_expr){
            .op = PROMQL_DURATION_BINARY, .binary = op.op, .lhs = lhs, .rhs = rhs});
}

static struct promql_expr *parse_duration(struct promql_parser *parser, int precedence_min)
{
    struct promql_expr *expr;

    if (!promql_parser_enter(parser))
        return NULL;
    expr = parse_duration_primary(parser);
    while (expr != NULL && at_duration_op(parser, precedence_min))
        expr = parse_duration_tail(parser, expr);
    promql_parser_leave(parser);
    return expr;
}

static struct promql_duration duration_of(const struct promql_expr *expr)
{
    if (expr->kind == PROMQL_NUMBER_LITERAL)
        return (struct promql_duration){.ms = llround(expr->number.v * 1000)};
    return (struct promql_duration){.expr = expr};
}

/* A length between brackets: a literal must be greater than zero. */
static bool parse_length(struct promql_parser *parser, struct promql_duration *duration)
{
    const uint32_t start = parser->token.span.start;
    struct promql_expr *expr = parse_duration(parser, 0);

    if (expr == NULL)
        return false;
    /* Times are whole milliseconds here. */
    if (expr->kind == PROMQL_NUMBER_LITERAL && !(expr->number.v >= 0.0005)) {
        promql_parser_fail(parser, start, "duration must be greater than 0");
        return false;
    }
    *duration = duration_of(expr);
    return true;
}

static struct promql_expr *make_range(struct promql_parser *parser, struct promql_expr *inner,
                                      struct promql_duration range, uint32_t bracket)
{
    const struct promql_modifiers *modifiers = &inner->selector.modifiers;
    struct promql_expr *expr;
    const char *fault = NULL;

    if (inner->kind != PROMQL_SELECTOR)
        fault = "ranges only allowed for vector selectors";
    else if (modifiers->offset.ms != 0 || modifiers->offset.expr != NULL)
        fault = "no offset modifiers allowed before range";
    else if (modifiers->at != PROMQL_AT_NONE)
        fault = "no @ modifiers allowed before range";
    if (fault != NULL) {
        promql_parser_fail(parser, bracket, "%s", fault);
        return NULL;
    }
    expr = promql_parser_node(parser, PROMQL_RANGE,
                              (struct promql_span){inner->span.start, parser->closing_end},
                              inner->depth);
    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_MATRIX;
    expr->range = (struct promql_range){.selector = inner, .range = range};
    return expr;
}

static struct promql_expr *parse_subquery(struct promql_parser *parser, struct promql_expr *inner,
                                          struct promql_duration range)
{
    struct promql_subquery subquery = {.expr = inner, .range = range};
    struct promql_expr *expr;

    promql_parser_advance(parser);
    if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_BRACKET)) {
        subquery.has_step = true;
        parser->length_context = "subquery selector";
        parser->length_wants = "number, duration, step(), range(), or \"]\"";
        if (!parse_length(parser, &subquery.step))
            return NULL;
    }
    if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_BRACKET)) {
        promql_parser_unexpected(parser, "subquery selector", "\"]\"");
        return NULL;
    }
    promql_parser_advance(parser);
    expr = promql_parser_node(parser, PROMQL_SUBQUERY,
                              (struct promql_span){inner->span.start, parser->closing_end},
                              inner->depth);
    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_MATRIX;
    expr->subquery = subquery;
    return expr;
}

static struct promql_expr *parse_bracket(struct promql_parser *parser, struct promql_expr *inner)
{
    const uint32_t bracket = parser->token.span.start;
    struct promql_duration range;

    promql_parser_advance(parser);
    parser->length_context = "subquery or range selector";
    parser->length_wants = "number, duration, step(), or range()";
    if (!parse_length(parser, &range))
        return NULL;
    if (promql_parser_at(parser, PROMQL_TOKEN_COLON))
        return parse_subquery(parser, inner, range);
    if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_BRACKET)) {
        promql_parser_unexpected(parser, "subquery or range", "\":\" or \"]\"");
        return NULL;
    }
    promql_parser_advance(parser);
    return make_range(parser, inner, range, bracket);
}

/* Where the modifiers of an expression are kept; NULL if it takes none. */
static struct promql_modifiers *modifiers_of(struct promql_expr *expr)
{
    switch ((int)expr->kind) {
    case PROMQL_SELECTOR:
        return &expr->selector.modifiers;
    case PROMQL_RANGE:
        return &expr->range.selector->selector.modifiers;
    case PROMQL_SUBQUERY:
        return &expr->subquery.modifiers;
    default:
        return NULL;
    }
}

/* A literal, step() and the like bind tightly here (foo offset -2 ^ 2 is (foo offset -2) ^ 2); only
 * a parenthesis without a sign opens a whole expression. */
static struct promql_expr *parse_offset_length(struct promql_parser *parser)
{
    const struct promql_token sign = parser->token;
    const bool is_signed = at_sign(parser);
    struct promql_expr *expr;

    if (!is_signed && promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN))
        return parse_duration(parser, 0);
    if (is_signed)
        promql_parser_advance(parser);
    if (at_duration_call(parser)) {
        expr = parse_duration_call(parser);
    } else if (promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN)) {
        expr = parse_duration_paren(parser);
    } else if (promql_parser_at(parser, PROMQL_TOKEN_NUMBER) ||
               promql_parser_at(parser, PROMQL_TOKEN_DURATION)) {
        expr = parse_duration_number(parser);
    } else {
        promql_parser_unexpected(parser, parser->length_context, parser->length_wants);
        return NULL;
    }
    if (expr == NULL || !is_signed || sign.op == PROMQL_OP_ADD)
        return expr;
    return negate(parser, expr, sign.span.start);
}

static bool parse_offset(struct promql_parser *parser, struct promql_expr *expr)
{
    struct promql_modifiers *modifiers = modifiers_of(expr);
    struct promql_expr *length;

    promql_parser_advance(parser);
    parser->length_context = "offset";
    parser->length_wants = "number, duration, step(), or range()";
    length = parse_offset_length(parser);
    if (length == NULL)
        return false;
    if (modifiers == NULL) {
        promql_parser_fail(parser, expr->span.start,
                           "offset modifier must be preceded by an instant vector selector or "
                           "range vector selector or a subquery");
        return false;
    }
    if (modifiers->offset.ms != 0 || modifiers->offset.expr != NULL) {
        promql_parser_fail(parser, expr->span.start, "offset may not be set multiple times");
        return false;
    }
    modifiers->offset = duration_of(length);
    expr->span.end = parser->closing_end;
    return true;
}

/* [+-] seconds; *ms is rounded. */
static bool parse_at_time(struct promql_parser *parser, struct promql_expr *expr, int64_t *ms)
{
    struct promql_expr *number;
    bool is_negative = false;
    double seconds;

    if (at_sign(parser)) {
        is_negative = parser->token.op == PROMQL_OP_SUB;
        promql_parser_advance(parser);
    }
    if (!promql_parser_at(parser, PROMQL_TOKEN_NUMBER) &&
        !promql_parser_at(parser, PROMQL_TOKEN_DURATION)) {
        promql_parser_unexpected(parser, "@", "timestamp");
        return false;
    }
    number = promql_parser_number(parser);
    if (number == NULL)
        return false;
    seconds = is_negative ? -number->number.v : number->number.v;
    if (!(seconds * 1000 < 9.2e18 && seconds * 1000 > -9.2e18)) {
        if (isfinite(seconds))
            promql_parser_fail(parser, expr->span.start,
                               "timestamp out of bounds for @ modifier: %f", seconds);
        else
            promql_parser_fail(parser, expr->span.start,
                               "timestamp out of bounds for @ modifier: %s",
                               isnan(seconds) ? "NaN" : (seconds > 0 ? "+Inf" : "-Inf"));
        return false;
    }
    *ms = llround(seconds * 1000);
    return true;
}

static bool parse_at(struct promql_parser *parser, struct promql_expr *expr)
{
    struct promql_modifiers *modifiers = modifiers_of(expr);
    enum promql_at at = PROMQL_AT_TIME;
    int64_t ms = 0;

    promql_parser_advance(parser);
    if (promql_parser_at(parser, PROMQL_TOKEN_START) ||
        promql_parser_at(parser, PROMQL_TOKEN_STOP)) {
        at = promql_parser_at(parser, PROMQL_TOKEN_START) ? PROMQL_AT_START : PROMQL_AT_END;
        promql_parser_advance(parser);
        parser->length_context = "@";
        parser->length_wants = "timestamp";
        if (!expect(parser, PROMQL_TOKEN_LEFT_PAREN) || !expect(parser, PROMQL_TOKEN_RIGHT_PAREN))
            return false;
    } else if (!parse_at_time(parser, expr, &ms)) {
        return false;
    }
    if (modifiers == NULL) {
        promql_parser_fail(parser, expr->span.start,
                           "@ modifier must be preceded by an instant vector selector or range "
                           "vector selector or a subquery");
        return false;
    }
    if (modifiers->at != PROMQL_AT_NONE) {
        promql_parser_fail(parser, expr->span.start, "@ <timestamp> may not be set multiple times");
        return false;
    }
    modifiers->at = at;
    modifiers->at_ms = ms;
    expr->span.end = parser->closing_end;
    return true;
}

static bool parse_extension(struct promql_parser *parser, struct promql_expr *expr)
{
    const bool is_anchored = promql_parser_at(parser, PROMQL_TOKEN_ANCHORED);
    const char *const name = is_anchored ? "anchored" : "smoothed";
    struct promql_modifiers *modifiers = modifiers_of(expr);

    promql_parser_advance(parser);
    if (!parser->features.extended_range_selectors) {
        promql_parser_fail(parser, expr->span.start, "%s modifier is experimental and not enabled",
                           name);
        return false;
    }
    if (modifiers == NULL || expr->kind == PROMQL_SUBQUERY) {
        promql_parser_fail(parser, expr->span.start,
                           modifiers == NULL ? "%s modifier not implemented"
                                             : "%s modifier is not supported for subqueries",
                           name);
        return false;
    }
    if (is_anchored)
        modifiers->is_anchored = true;
    else
        modifiers->is_smoothed = true;
    if (modifiers->is_anchored && modifiers->is_smoothed) {
        promql_parser_fail(parser, expr->span.start,
                           "anchored and smoothed modifiers cannot be used together");
        return false;
    }
    return true;
}

struct promql_expr *promql_parser_postfix(struct promql_parser *parser, struct promql_expr *expr)
{
    while (expr != NULL) {
        bool ok;

        switch ((int)parser->token.kind) {
        case PROMQL_TOKEN_LEFT_BRACKET:
            expr = parse_bracket(parser, expr);
            continue;
        case PROMQL_TOKEN_OFFSET:
            ok = parse_offset(parser, expr);
            break;
        case PROMQL_TOKEN_AT:
            ok = parse_at(parser, expr);
            break;
        case PROMQL_TOKEN_ANCHORED:
        case PROMQL_TOKEN_SMOOTHED:
            ok = parse_extension(parser, expr);
            break;
        default:
            return expr;
        }
        if (!ok)
            return NULL;
    }
    return NULL;
}
