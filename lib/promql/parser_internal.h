/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the parser share: its state and the steps between them. A step that fails
 * returns NULL or false and has set parser->err; the first fault counts. */

#include "base/arena.h"
#include "promql/lexer.h"
#include "promql/parser.h"

struct promql_parser {
    struct arena *arena; /* borrowed */
    struct slice text;
    struct promql_features features;
    struct promql_lexer lexer;
    struct promql_token token, ahead; /* the current one, and one after it if has_ahead */
    bool has_ahead;
    uint32_t closing_end; /* end of the last bracket, number or duration passed */
    uint32_t nesting;
    uint32_t aggregation_count;                /* aggregations around the current token */
    const char *length_context, *length_wants; /* for faults within a duration expression */
    enum err err;
    struct err_info *info; /* may be NULL */
};

/* Sets "line:col: parse error: ..." for the byte at an offset. */
void promql_parser_fail(struct promql_parser *parser, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The current token stands where it may not: "unexpected X in CONTEXT, expected WHAT"; both texts
 * may be NULL. Without a context, the aggregation around it is one. A lexer's fault is told instead
 * if there is one. */
void promql_parser_unexpected(struct promql_parser *parser, const char *context, const char *what);
/* Sets err to LIMIT because the arena has no room. */
void promql_parser_no_room(struct promql_parser *parser);

void promql_parser_advance(struct promql_parser *parser);
/* The token after the current one. */
const struct promql_token *promql_parser_peek(struct promql_parser *parser);
static inline bool promql_parser_at(const struct promql_parser *parser, enum promql_token_kind kind)
{
    return parser->token.kind == kind;
}

/* A zeroed node. children_depth is the greatest depth among its children. */
struct promql_expr *promql_parser_node(struct promql_parser *parser, enum promql_kind kind,
                                       struct promql_span span, uint32_t children_depth);
/* Counts a level of recursion; false if there are too many. Pairs with leave. */
bool promql_parser_enter(struct promql_parser *parser);
void promql_parser_leave(struct promql_parser *parser);

struct promql_expr *promql_parser_expr(struct promql_parser *parser, int precedence_min);
struct promql_expr *promql_parser_number(struct promql_parser *parser);

/* name{...} or {...}; no modifiers. */
struct promql_expr *promql_parser_selector(struct promql_parser *parser);
/* (a, b, "c",): the current token should be the parenthesis. */
bool promql_parser_labels(struct promql_parser *parser, struct promql_labels *labels);

/* All [..], offset, @, anchored and smoothed behind an expression. */
struct promql_expr *promql_parser_postfix(struct promql_parser *parser, struct promql_expr *expr);

/* Type errors of a whole tree. */
bool promql_parser_check(struct promql_parser *parser, const struct promql_expr *expr);
