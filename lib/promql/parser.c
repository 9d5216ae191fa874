/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/parser.h"

#include <stdio.h>

#include "promql/function.h"
#include "promql/parser_internal.h"

enum { UNARY_PRECEDENCE = 5, POW_PRECEDENCE = 6 };

void promql_parser_fail(struct promql_parser *parser, uint32_t offset, const char *format, ...)
{
    char what[ERR_MESSAGE_SIZE];
    const struct promql_place place = promql_place_of(parser->text, offset);
    va_list args;

    if (parser->err != ERR_OK)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (parser->text.len == 0)
        parser->err =
            err_set(parser->info, ERR_BAD_INPUT, "unknown position: parse error: %s", what);
    else
        parser->err = err_set(parser->info, ERR_BAD_INPUT, "%u:%u: parse error: %s", place.line,
                              place.column, what);
}

void promql_parser_unexpected(struct promql_parser *parser, const char *context, const char *what)
{
    struct buf name;

    if (parser->token.kind == PROMQL_TOKEN_ERROR) {
        promql_parser_fail(parser, parser->token.span.start, "%.*s", SLICE_ARG(parser->token.text));
        return;
    }
    if (context == NULL && parser->aggregation_count > 0)
        context = "aggregation";
    buf_init(&name, ERR_MESSAGE_SIZE);
    promql_lexer_describe(&parser->token, &name);
    promql_parser_fail(parser, parser->token.span.start, "unexpected %.*s%s%s%s%s",
                       SLICE_ARG(buf_slice(&name)), context != NULL ? " in " : "",
                       context != NULL ? context : "", what != NULL ? ", expected " : "",
                       what != NULL ? what : "");
    buf_fini(&name);
}

void promql_parser_no_room(struct promql_parser *parser)
{
    if (parser->err == ERR_OK)
        parser->err = err_set(parser->info, ERR_LIMIT, "expression needs too much memory to parse");
}

void promql_parser_advance(struct promql_parser *parser)
{
    switch ((int)parser->token.kind) {
    case PROMQL_TOKEN_RIGHT_BRACE:
    case PROMQL_TOKEN_RIGHT_PAREN:
    case PROMQL_TOKEN_RIGHT_BRACKET:
    case PROMQL_TOKEN_DURATION:
    case PROMQL_TOKEN_NUMBER:
        parser->closing_end = parser->token.span.end;
        break;
    default:
        break;
    }
    if (parser->has_ahead) {
        parser->token = parser->ahead;
        parser->has_ahead = false;
    } else {
        parser->token = promql_lexer_next(&parser->lexer);
    }
}

const struct promql_token *promql_parser_peek(struct promql_parser *parser)
{
    if (!parser->has_ahead) {
        parser->ahead = promql_lexer_next(&parser->lexer);
        parser->has_ahead = true;
    }
    return &parser->ahead;
}

struct promql_expr *promql_parser_node(struct promql_parser *parser, enum promql_kind kind,
                                       struct promql_span span, uint32_t children_depth)
{
    struct promql_expr *expr;

    if (children_depth >= PROMQL_DEPTH_MAX) {
        promql_parser_fail(parser, span.start, "expression is nested more than %d levels deep",
                           PROMQL_DEPTH_MAX);
        return NULL;
    }
    expr = ARENA_NEW(parser->arena, struct promql_expr);
    if (expr == NULL) {
        promql_parser_no_room(parser);
        return NULL;
    }
    expr->kind = kind;
    expr->span = span;
    expr->depth = children_depth + 1;
    return expr;
}

bool promql_parser_enter(struct promql_parser *parser)
{
    if (parser->nesting >= PROMQL_DEPTH_MAX) {
        promql_parser_fail(parser, parser->token.span.start,
                           "expression is nested more than %d levels deep", PROMQL_DEPTH_MAX);
        return false;
    }
    parser->nesting++;
    return true;
}

void promql_parser_leave(struct promql_parser *parser)
{
    parser->nesting--;
}

static uint32_t depth_max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static bool number_value(struct promql_parser *parser, double *v)
{
    const struct promql_token *token = &parser->token;
    struct err_info info = {0};
    const char *fault;

    if (token->kind == PROMQL_TOKEN_DURATION) {
        const enum err err = promql_lexer_duration(token->text, v, &info);

        if (err == ERR_OK)
            return true;
        promql_parser_fail(parser, token->span.start, "%s", err_message(err, &info));
        return false;
    }
    if (promql_lexer_number(token->text, v, &fault))
        return true;
    promql_parser_fail(parser, token->span.start,
                       "error parsing number: strconv.ParseFloat: parsing \"%.*s\": %s",
                       SLICE_ARG(token->text), fault);
    return false;
}

struct promql_expr *promql_parser_number(struct promql_parser *parser)
{
    struct promql_number number = {.is_duration = promql_parser_at(parser, PROMQL_TOKEN_DURATION)};
    struct promql_expr *expr;

    if (!number_value(parser, &number.v))
        return NULL;
    expr = promql_parser_node(parser, PROMQL_NUMBER_LITERAL, parser->token.span, 0);
    if (expr == NULL)
        return NULL;
    promql_parser_advance(parser);
    expr->type = PROMQL_SCALAR;
    expr->number = number;
    return expr;
}

static struct promql_expr *parse_string(struct promql_parser *parser)
{
    struct promql_expr *expr =
        promql_parser_node(parser, PROMQL_STRING_LITERAL, parser->token.span, 0);

    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_STRING;
    if (promql_lexer_unquote(parser->arena, parser->token.text, &expr->string) != ERR_OK) {
        promql_parser_no_room(parser);
        return NULL;
    }
    promql_parser_advance(parser);
    return expr;
}

static struct promql_expr *parse_paren(struct promql_parser *parser)
{
    struct promql_span span = parser->token.span;
    struct promql_expr *inner, *expr;

    promql_parser_advance(parser);
    inner = promql_parser_expr(parser, 0);
    if (inner == NULL)
        return NULL;
    if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
        promql_parser_unexpected(parser, NULL, NULL);
        return NULL;
    }
    span.end = parser->token.span.end;
    promql_parser_advance(parser);
    expr = promql_parser_node(parser, PROMQL_PAREN, span, inner->depth);
    if (expr == NULL)
        return NULL;
    expr->type = inner->type;
    expr->paren = inner;
    return expr;
}

/* Arguments of a call or an aggregation. */
struct arg_list {
    struct promql_expr **items;
    uint32_t count, cap;
    uint32_t depth; /* of the deepest */
};

static bool args_add(struct promql_parser *parser, struct arg_list *args, struct promql_expr *arg)
{
    if (args->count == args->cap) {
        const uint32_t cap = args->cap == 0 ? 4 : args->cap * 2;

        args->items =
            arena_grow(parser->arena, args->items, args->cap * sizeof(struct promql_expr *),
                       cap * sizeof(struct promql_expr *));
        if (args->items == NULL) {
            promql_parser_no_room(parser);
            return false;
        }
        args->cap = cap;
    }
    args->items[args->count++] = arg;
    args->depth = depth_max(args->depth, arg->depth);
    return true;
}

/* ( expr, ... ): the current token is the left parenthesis. */
static bool parse_args(struct promql_parser *parser, struct arg_list *args)
{
    *args = (struct arg_list){0};
    promql_parser_advance(parser);
    if (promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
        promql_parser_advance(parser);
        return true;
    }
    for (;;) {
        struct promql_expr *arg = promql_parser_expr(parser, 0);

        if (arg == NULL || !args_add(parser, args, arg))
            return false;
        if (promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
            promql_parser_advance(parser);
            return true;
        }
        if (!promql_parser_at(parser, PROMQL_TOKEN_COMMA)) {
            promql_parser_unexpected(parser, NULL, NULL);
            return false;
        }
        if (promql_parser_peek(parser)->kind == PROMQL_TOKEN_RIGHT_PAREN) {
            promql_parser_fail(parser, parser->token.span.start,
                               "trailing commas not allowed in function call args");
            return false;
        }
        promql_parser_advance(parser);
    }
}

static struct promql_expr *parse_call(struct promql_parser *parser)
{
    const struct promql_token name = parser->token;
    const struct promql_function *function = promql_function_find(name.text);
    struct arg_list args;
    struct promql_expr *expr;

    promql_parser_advance(parser);
    if (!parse_args(parser, &args))
        return NULL;
    if (function == NULL) {
        promql_parser_fail(parser, name.span.start, "unknown function with name \"%.*s\"",
                           SLICE_ARG(name.text));
        return NULL;
    }
    if (function->is_experimental && !parser->features.experimental_functions) {
        promql_parser_fail(parser, name.span.start, "function \"%.*s\" is not enabled",
                           SLICE_ARG(name.text));
        return NULL;
    }
    expr =
        promql_parser_node(parser, PROMQL_CALL,
                           (struct promql_span){name.span.start, parser->closing_end}, args.depth);
    if (expr == NULL)
        return NULL;
    expr->type = function->result;
    expr->call = (struct promql_call){
        .function = function,
        .args = (const struct promql_expr *const *)args.items,
        .arg_count = args.count,
    };
    return expr;
}

static bool parse_grouping(struct promql_parser *parser, struct promql_aggregate *aggregate)
{
    aggregate->is_without = promql_parser_at(parser, PROMQL_TOKEN_WITHOUT);
    promql_parser_advance(parser);
    return promql_parser_labels(parser, &aggregate->grouping);
}

static bool at_grouping(const struct promql_parser *parser)
{
    return promql_parser_at(parser, PROMQL_TOKEN_BY) ||
           promql_parser_at(parser, PROMQL_TOKEN_WITHOUT);
}

static struct promql_expr *make_aggregate(struct promql_parser *parser,
                                          const struct promql_token *name,
                                          struct promql_aggregate aggregate,
                                          const struct arg_list *args)
{
    const bool has_param = promql_aggregator_has_param(aggregate.op);
    const struct promql_span span = {name->span.start, parser->closing_end};
    struct promql_expr *expr;

    if (args->count == 0) {
        promql_parser_fail(parser, span.start, "no arguments for aggregate expression provided");
        return NULL;
    }
    if ((aggregate.op == PROMQL_LIMITK || aggregate.op == PROMQL_LIMIT_RATIO) &&
        !parser->features.experimental_functions) {
        promql_parser_fail(parser, span.start,
                           "%s() is experimental and must be enabled with "
                           "--enable-feature=promql-experimental-functions",
                           promql_aggregator_text(aggregate.op));
        return NULL;
    }
    if (args->count != (has_param ? 2 : 1)) {
        promql_parser_fail(parser, span.start,
                           "wrong number of arguments for aggregate expression provided, "
                           "expected %d, got %u",
                           has_param ? 2 : 1, args->count);
        return NULL;
    }
    expr = promql_parser_node(parser, PROMQL_AGGREGATE, span, args->depth);
    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_VECTOR;
    expr->aggregate = aggregate;
    expr->aggregate.param = has_param ? args->items[0] : NULL;
    expr->aggregate.expr = args->items[has_param ? 1 : 0];
    return expr;
}

/* What follows the name of an aggregation, up to its end. */
static bool parse_aggregate_body(struct promql_parser *parser, struct promql_aggregate *aggregate,
                                 struct arg_list *args)
{
    const bool has_grouping = at_grouping(parser);

    if (has_grouping && !parse_grouping(parser, aggregate))
        return false;
    if (!promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN)) {
        promql_parser_unexpected(parser, NULL, NULL);
        return false;
    }
    if (!parse_args(parser, args))
        return false;
    return has_grouping || !at_grouping(parser) || parse_grouping(parser, aggregate);
}

static struct promql_expr *parse_aggregate(struct promql_parser *parser)
{
    const struct promql_token name = parser->token;
    struct promql_aggregate aggregate = {.op = name.aggregator};
    struct arg_list args;
    bool is_whole;

    promql_parser_advance(parser);
    parser->aggregation_count++;
    is_whole = parse_aggregate_body(parser, &aggregate, &args);
    parser->aggregation_count--;
    return is_whole ? make_aggregate(parser, &name, aggregate, &args) : NULL;
}

static struct promql_expr *parse_word(struct promql_parser *parser)
{
    const struct promql_token *next;

    switch ((int)parser->token.kind) {
    case PROMQL_TOKEN_IDENTIFIER:
    case PROMQL_TOKEN_START:
    case PROMQL_TOKEN_STOP:
    case PROMQL_TOKEN_STEP:
    case PROMQL_TOKEN_RANGE:
    case PROMQL_TOKEN_MAX_OF:
    case PROMQL_TOKEN_MIN_OF:
        next = promql_parser_peek(parser);
        return next->kind == PROMQL_TOKEN_LEFT_PAREN ? parse_call(parser)
                                                     : promql_parser_selector(parser);
    case PROMQL_TOKEN_AGGREGATOR:
        next = promql_parser_peek(parser);
        return next->kind == PROMQL_TOKEN_LEFT_PAREN || next->kind == PROMQL_TOKEN_BY ||
                       next->kind == PROMQL_TOKEN_WITHOUT
                   ? parse_aggregate(parser)
                   : promql_parser_selector(parser);
    case PROMQL_TOKEN_OP:
        /* and, or, unless as metric names; a sign was seen to before. */
        if (promql_op_is_set(parser->token.op))
            return promql_parser_selector(parser);
        break;
    case PROMQL_TOKEN_METRIC_IDENTIFIER:
    case PROMQL_TOKEN_LEFT_BRACE:
    case PROMQL_TOKEN_BY:
    case PROMQL_TOKEN_WITHOUT:
    case PROMQL_TOKEN_OFFSET:
    case PROMQL_TOKEN_FILL:
    case PROMQL_TOKEN_FILL_LEFT:
    case PROMQL_TOKEN_FILL_RIGHT:
    case PROMQL_TOKEN_ANCHORED:
    case PROMQL_TOKEN_SMOOTHED:
        return promql_parser_selector(parser);
    default:
        break;
    }
    promql_parser_unexpected(parser, NULL, NULL);
    return NULL;
}

static struct promql_expr *parse_primary(struct promql_parser *parser)
{
    switch ((int)parser->token.kind) {
    case PROMQL_TOKEN_NUMBER:
    case PROMQL_TOKEN_DURATION:
        return promql_parser_number(parser);
    case PROMQL_TOKEN_STRING:
        return parse_string(parser);
    case PROMQL_TOKEN_LEFT_PAREN:
        return parse_paren(parser);
    default:
        return parse_word(parser);
    }
}

static bool at_sign(const struct promql_parser *parser)
{
    return promql_parser_at(parser, PROMQL_TOKEN_OP) &&
           (parser->token.op == PROMQL_OP_ADD || parser->token.op == PROMQL_OP_SUB);
}

/* A sign binds like *, looser than ^; before a literal it becomes part of it. */
static struct promql_expr *parse_unary(struct promql_parser *parser)
{
    const struct promql_token sign = parser->token;
    struct promql_expr *inner, *expr;

    if (!at_sign(parser)) {
        expr = parse_primary(parser);
        return expr == NULL ? NULL : promql_parser_postfix(parser, expr);
    }
    promql_parser_advance(parser);
    inner = promql_parser_expr(parser, POW_PRECEDENCE);
    if (inner == NULL)
        return NULL;
    if (inner->kind == PROMQL_NUMBER_LITERAL) {
        if (sign.op == PROMQL_OP_SUB)
            inner->number.v = -inner->number.v;
        inner->span.start = sign.span.start;
        return inner;
    }
    expr = promql_parser_node(parser, PROMQL_UNARY,
                              (struct promql_span){sign.span.start, inner->span.end}, inner->depth);
    if (expr == NULL)
        return NULL;
    expr->type = inner->type;
    expr->unary = (struct promql_unary){.op = sign.op, .expr = inner};
    return expr;
}

/* ( [+-] number ) behind fill, fill_left or fill_right. */
static bool parse_fill_value(struct promql_parser *parser, double *v)
{
    struct promql_expr *number;
    bool is_negative = false;

    promql_parser_advance(parser);
    if (!promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN)) {
        promql_parser_unexpected(parser, NULL, NULL);
        return false;
    }
    promql_parser_advance(parser);
    if (at_sign(parser)) {
        is_negative = parser->token.op == PROMQL_OP_SUB;
        promql_parser_advance(parser);
    }
    if (!promql_parser_at(parser, PROMQL_TOKEN_NUMBER) &&
        !promql_parser_at(parser, PROMQL_TOKEN_DURATION)) {
        promql_parser_unexpected(parser, NULL, NULL);
        return false;
    }
    number = promql_parser_number(parser);
    if (number == NULL)
        return false;
    if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
        promql_parser_unexpected(parser, NULL, NULL);
        return false;
    }
    promql_parser_advance(parser);
    *v = is_negative ? -number->number.v : number->number.v;
    return true;
}

static bool parse_fills(struct promql_parser *parser, struct promql_matching *matching)
{
    if (promql_parser_at(parser, PROMQL_TOKEN_FILL)) {
        matching->has_fill_left = matching->has_fill_right = true;
        if (!parse_fill_value(parser, &matching->fill_left))
            return false;
        matching->fill_right = matching->fill_left;
        return true;
    }
    while ((promql_parser_at(parser, PROMQL_TOKEN_FILL_LEFT) && !matching->has_fill_left) ||
           (promql_parser_at(parser, PROMQL_TOKEN_FILL_RIGHT) && !matching->has_fill_right)) {
        const bool is_left = promql_parser_at(parser, PROMQL_TOKEN_FILL_LEFT);

        if (!parse_fill_value(parser, is_left ? &matching->fill_left : &matching->fill_right))
            return false;
        if (is_left)
            matching->has_fill_left = true;
        else
            matching->has_fill_right = true;
    }
    return true;
}

/* Whether an operand or a fill may begin here: then group_left and group_right have no labels. */
static bool at_operand(const struct promql_parser *parser)
{
    switch ((int)parser->token.kind) {
    case PROMQL_TOKEN_END:
    case PROMQL_TOKEN_ERROR:
    case PROMQL_TOKEN_RIGHT_PAREN:
    case PROMQL_TOKEN_RIGHT_BRACE:
    case PROMQL_TOKEN_LEFT_BRACKET:
    case PROMQL_TOKEN_RIGHT_BRACKET:
    case PROMQL_TOKEN_COMMA:
    case PROMQL_TOKEN_AT:
    case PROMQL_TOKEN_BOOL:
    case PROMQL_TOKEN_ON:
    case PROMQL_TOKEN_IGNORING:
    case PROMQL_TOKEN_GROUP_LEFT:
    case PROMQL_TOKEN_GROUP_RIGHT:
        return false;
    case PROMQL_TOKEN_OP:
        return at_sign(parser) || promql_op_is_set(parser->token.op);
    default:
        return true;
    }
}

static bool parse_matching(struct promql_parser *parser, struct promql_binary *binary)
{
    struct promql_matching *matching = &binary->matching;

    if (promql_parser_at(parser, PROMQL_TOKEN_BOOL)) {
        binary->returns_bool = true;
        promql_parser_advance(parser);
    }
    matching->is_on = promql_parser_at(parser, PROMQL_TOKEN_ON);
    matching->is_ignoring = promql_parser_at(parser, PROMQL_TOKEN_IGNORING);
    if (matching->is_on || matching->is_ignoring) {
        promql_parser_advance(parser);
        if (!promql_parser_labels(parser, &matching->labels))
            return false;
        if (promql_parser_at(parser, PROMQL_TOKEN_GROUP_LEFT) ||
            promql_parser_at(parser, PROMQL_TOKEN_GROUP_RIGHT)) {
            matching->card = promql_parser_at(parser, PROMQL_TOKEN_GROUP_LEFT) ? PROMQL_MANY_TO_ONE
                                                                               : PROMQL_ONE_TO_MANY;
            promql_parser_advance(parser);
            if ((promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN) || !at_operand(parser)) &&
                !promql_parser_labels(parser, &matching->include))
                return false;
        }
    }
    return parse_fills(parser, matching);
}

static struct promql_expr *parse_binary_tail(struct promql_parser *parser, struct promql_expr *lhs)
{
    struct promql_binary binary = {.op = parser->token.op, .lhs = lhs};
    const int precedence = promql_op_precedence(binary.op);
    struct promql_expr *rhs, *expr;

    promql_parser_advance(parser);
    if (!parse_matching(parser, &binary))
        return NULL;
    rhs = promql_parser_expr(parser, binary.op == PROMQL_OP_POW ? precedence : precedence + 1);
    if (rhs == NULL)
        return NULL;
    binary.rhs = rhs;
    if ((binary.matching.has_fill_left || binary.matching.has_fill_right) &&
        !parser->features.binop_fill_modifiers) {
        promql_parser_fail(parser, lhs->span.start,
                           "binop fill modifiers are experimental and not enabled");
        return NULL;
    }
    if (promql_op_is_set(binary.op) && binary.matching.card == PROMQL_ONE_TO_ONE)
        binary.matching.card = PROMQL_MANY_TO_MANY;
    expr = promql_parser_node(parser, PROMQL_BINARY,
                              (struct promql_span){lhs->span.start, rhs->span.end},
                              depth_max(lhs->depth, rhs->depth));
    if (expr == NULL)
        return NULL;
    expr->type =
        lhs->type == PROMQL_SCALAR && rhs->type == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    expr->binary = binary;
    return expr;
}

/* Operators of at least that precedence; a chain of left-associative ones is a loop. */
struct promql_expr *promql_parser_expr(struct promql_parser *parser, int precedence_min)
{
    struct promql_expr *expr;

    if (!promql_parser_enter(parser))
        return NULL;
    expr = parse_unary(parser);
    while (expr != NULL && promql_parser_at(parser, PROMQL_TOKEN_OP) &&
           promql_op_precedence(parser->token.op) >= precedence_min)
        expr = parse_binary_tail(parser, expr);
    promql_parser_leave(parser);
    return expr;
}

static enum err parser_init(struct promql_parser *parser, struct slice text)
{
    parser->text = text;
    if (text.len > PROMQL_TEXT_SIZE_MAX)
        return err_set(parser->info, ERR_BAD_INPUT,
                       "expression of %zu bytes is longer than the limit of %d", text.len,
                       PROMQL_TEXT_SIZE_MAX);
    promql_lexer_init(&parser->lexer, text);
    promql_parser_advance(parser);
    return ERR_OK;
}

enum err promql_parse(struct arena *arena, struct slice text,
                      const struct promql_features *features, struct promql_expr **expr,
                      struct err_info *info)
{
    struct promql_parser parser = {.arena = arena, .info = info};
    struct promql_expr *root;
    enum err err;

    if (features != NULL)
        parser.features = *features;
    err = parser_init(&parser, text);
    if (err != ERR_OK)
        return err;
    if (promql_parser_at(&parser, PROMQL_TOKEN_END)) {
        promql_parser_fail(&parser, 0, "no expression found in input");
        return parser.err;
    }
    root = promql_parser_expr(&parser, 0);
    if (root != NULL && !promql_parser_at(&parser, PROMQL_TOKEN_END))
        promql_parser_unexpected(&parser, NULL, NULL);
    if (parser.err == ERR_OK)
        promql_parser_check(&parser, root);
    if (parser.err != ERR_OK)
        return parser.err;
    *expr = root;
    return ERR_OK;
}

enum err promql_parse_selector(struct arena *arena, struct slice text, struct matcher_list *list,
                               struct err_info *info)
{
    struct promql_parser parser = {.arena = arena, .info = info};
    struct promql_expr *expr;
    enum err err = parser_init(&parser, text);

    if (err != ERR_OK)
        return err;
    if (promql_parser_at(&parser, PROMQL_TOKEN_END))
        return err_set(info, ERR_BAD_INPUT,
                       "unknown position: parse error: unexpected end of input");
    expr = promql_parser_selector(&parser);
    if (expr != NULL && !promql_parser_at(&parser, PROMQL_TOKEN_END))
        promql_parser_unexpected(&parser, NULL, NULL);
    if (parser.err == ERR_OK && expr->selector.name.len == 0) {
        bool has_non_empty = false;

        for (uint32_t i = 0; i < expr->selector.matcher_count; i++)
            has_non_empty |= !matcher_matches_empty(&expr->selector.matchers[i]);
        if (!has_non_empty)
            return err_set(info, ERR_BAD_INPUT,
                           "match[] must contain at least one non-empty matcher");
    } else if (parser.err == ERR_OK) {
        promql_parser_check(&parser, expr);
    }
    if (parser.err != ERR_OK)
        return parser.err;
    list->items = expr->selector.matchers;
    list->count = expr->selector.matcher_count;
    return ERR_OK;
}
