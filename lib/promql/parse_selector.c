/* SPDX-License-Identifier: Apache-2.0 */

/* Selectors and label lists. */

#include "base/utf8.h"
#include "promql/parser_internal.h"

struct matcher_array {
    struct matcher *items;
    uint32_t count, cap;
};

static bool add_matcher(struct promql_parser *parser, struct matcher_array *array,
                        const struct matcher *matcher)
{
    if (array->count == array->cap) {
        const uint32_t cap = array->cap == 0 ? 4 : array->cap * 2;

        array->items = arena_grow(parser->arena, array->items, array->cap * sizeof(*array->items),
                                  cap * sizeof(*array->items));
        if (array->items == NULL) {
            promql_parser_no_room(parser);
            return false;
        }
        array->cap = cap;
    }
    array->items[array->count++] = *matcher;
    return true;
}

static bool make_matcher(struct promql_parser *parser, struct matcher_array *array,
                         const struct matcher_spec *spec, uint32_t offset)
{
    struct matcher matcher;
    struct err_info fault = {0};
    const enum err err = matcher_init(&matcher, parser->arena, spec, &fault);

    if (err == ERR_LIMIT) {
        promql_parser_no_room(parser);
        return false;
    }
    if (err != ERR_OK) {
        promql_parser_fail(parser, offset, "%s", err_message(err, &fault));
        return false;
    }
    return add_matcher(parser, array, &matcher);
}

static bool unquote(struct promql_parser *parser, struct slice quoted, struct slice *out)
{
    if (promql_lexer_unquote(parser->arena, quoted, out) != ERR_OK) {
        promql_parser_no_room(parser);
        return false;
    }
    return true;
}

static bool match_op(const struct promql_token *token, enum matcher_type *type)
{
    if (token->kind == PROMQL_TOKEN_EQUAL)
        *type = MATCHER_EQUAL;
    else if (token->kind == PROMQL_TOKEN_REGEX)
        *type = MATCHER_REGEX;
    else if (token->kind == PROMQL_TOKEN_NOT_REGEX)
        *type = MATCHER_NOT_REGEX;
    else if (token->kind == PROMQL_TOKEN_OP && token->op == PROMQL_OP_NE)
        *type = MATCHER_NOT_EQUAL;
    else
        return false;
    return true;
}

/* name="value", "quoted name"="value", or "metric name" alone. */
static bool parse_matcher(struct promql_parser *parser, struct matcher_array *array)
{
    struct matcher_spec spec = {.name = parser->token.text};
    const uint32_t offset = parser->token.span.start;
    const bool is_quoted = promql_parser_at(parser, PROMQL_TOKEN_STRING);

    if (!is_quoted && !promql_parser_at(parser, PROMQL_TOKEN_IDENTIFIER)) {
        promql_parser_unexpected(parser, "label matching", "identifier or \"}\"");
        return false;
    }
    if (is_quoted && !unquote(parser, spec.name, &spec.name))
        return false;
    promql_parser_advance(parser);
    if (!match_op(&parser->token, &spec.type)) {
        if (!is_quoted) {
            promql_parser_unexpected(parser, "label matching", "label matching operator");
            return false;
        }
        spec.value = spec.name;
        spec.name = SLICE(LABEL_METRIC_NAME);
        spec.type = MATCHER_EQUAL;
        return make_matcher(parser, array, &spec, offset);
    }
    promql_parser_advance(parser);
    if (!promql_parser_at(parser, PROMQL_TOKEN_STRING)) {
        promql_parser_unexpected(parser, "label matching", "string");
        return false;
    }
    if (!unquote(parser, parser->token.text, &spec.value))
        return false;
    promql_parser_advance(parser);
    return make_matcher(parser, array, &spec, offset);
}

/* { ... }: the current token is the left brace. */
static bool parse_matchers(struct promql_parser *parser, struct matcher_array *array)
{
    promql_parser_advance(parser);
    for (;;) {
        if (promql_parser_at(parser, PROMQL_TOKEN_RIGHT_BRACE)) {
            promql_parser_advance(parser);
            return true;
        }
        if (!parse_matcher(parser, array))
            return false;
        if (promql_parser_at(parser, PROMQL_TOKEN_COMMA)) {
            promql_parser_advance(parser);
        } else if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_BRACE)) {
            promql_parser_unexpected(parser, "label matching", "\",\" or \"}\"");
            return false;
        }
    }
}

struct promql_expr *promql_parser_selector(struct promql_parser *parser)
{
    struct promql_span span = parser->token.span;
    struct matcher_array matchers = {0};
    struct slice name = {0};
    struct promql_expr *expr;

    if (!promql_parser_at(parser, PROMQL_TOKEN_LEFT_BRACE)) {
        const bool is_name = promql_parser_at(parser, PROMQL_TOKEN_IDENTIFIER) ||
                             promql_parser_at(parser, PROMQL_TOKEN_METRIC_IDENTIFIER) ||
                             parser->token.kind >= PROMQL_TOKEN_OP;

        if (!is_name) {
            promql_parser_unexpected(parser, NULL, NULL);
            return NULL;
        }
        name = parser->token.text;
        promql_parser_advance(parser);
    }
    if (promql_parser_at(parser, PROMQL_TOKEN_LEFT_BRACE)) {
        if (!parse_matchers(parser, &matchers))
            return NULL;
        span.end = parser->closing_end;
    }
    if (name.len != 0) {
        const struct matcher_spec spec = {
            .type = MATCHER_EQUAL, .name = SLICE(LABEL_METRIC_NAME), .value = name};

        if (!make_matcher(parser, &matchers, &spec, span.start))
            return NULL;
    }
    expr = promql_parser_node(parser, PROMQL_SELECTOR, span, 0);
    if (expr == NULL)
        return NULL;
    expr->type = PROMQL_VECTOR;
    expr->selector.name = name;
    expr->selector.matchers = matchers.items;
    expr->selector.matcher_count = matchers.count;
    return expr;
}

static bool parse_label(struct promql_parser *parser, struct slice *name)
{
    const struct promql_token token = parser->token;

    if (token.kind == PROMQL_TOKEN_STRING) {
        if (!unquote(parser, token.text, name))
            return false;
    } else if (token.kind == PROMQL_TOKEN_IDENTIFIER ||
               token.kind == PROMQL_TOKEN_METRIC_IDENTIFIER ||
               (token.kind >= PROMQL_TOKEN_AGGREGATOR && token.kind != PROMQL_TOKEN_WITHOUT) ||
               (token.kind == PROMQL_TOKEN_OP && promql_op_text(token.op)[0] >= 'a')) {
        *name = token.text;
    } else {
        promql_parser_unexpected(parser, "grouping opts", "label");
        return false;
    }
    if (name->len == 0 || !utf8_is_valid(*name)) {
        promql_parser_fail(parser, token.span.start, "invalid label name for grouping: \"%.*s\"",
                           SLICE_ARG(*name));
        return false;
    }
    promql_parser_advance(parser);
    return true;
}

bool promql_parser_labels(struct promql_parser *parser, struct promql_labels *labels)
{
    struct slice *names = NULL;
    uint32_t count = 0, cap = 0;

    if (!promql_parser_at(parser, PROMQL_TOKEN_LEFT_PAREN)) {
        promql_parser_unexpected(parser, "grouping opts", "\"(\"");
        return false;
    }
    promql_parser_advance(parser);
    while (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
        if (count == cap) {
            const uint32_t new_cap = cap == 0 ? 4 : cap * 2;

            names =
                arena_grow(parser->arena, names, cap * sizeof(*names), new_cap * sizeof(*names));
            if (names == NULL) {
                promql_parser_no_room(parser);
                return false;
            }
            cap = new_cap;
        }
        if (!parse_label(parser, &names[count]))
            return false;
        count++;
        if (promql_parser_at(parser, PROMQL_TOKEN_COMMA)) {
            promql_parser_advance(parser);
        } else if (!promql_parser_at(parser, PROMQL_TOKEN_RIGHT_PAREN)) {
            promql_parser_unexpected(parser, "grouping opts", "\",\" or \")\"");
            return false;
        }
    }
    promql_parser_advance(parser);
    *labels = (struct promql_labels){names, count};
    return true;
}
