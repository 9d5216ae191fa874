/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PromQL text to tokens. Which words are keywords and which characters are legal depends on where
 * they stand: outside, inside { } or inside [ ]; the lexer keeps track of that itself.
 * Ownership: tokens borrow the text. A fault is a token of its own; after it comes only the end. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "promql/ast.h"

enum promql_token_kind {
    PROMQL_TOKEN_END,
    PROMQL_TOKEN_ERROR,
    PROMQL_TOKEN_IDENTIFIER,
    PROMQL_TOKEN_METRIC_IDENTIFIER, /* with a colon */
    PROMQL_TOKEN_STRING,            /* quotes included */
    PROMQL_TOKEN_NUMBER,
    PROMQL_TOKEN_DURATION,
    PROMQL_TOKEN_COMMA,
    PROMQL_TOKEN_COLON,
    PROMQL_TOKEN_LEFT_PAREN,
    PROMQL_TOKEN_RIGHT_PAREN,
    PROMQL_TOKEN_LEFT_BRACE,
    PROMQL_TOKEN_RIGHT_BRACE,
    PROMQL_TOKEN_LEFT_BRACKET,
    PROMQL_TOKEN_RIGHT_BRACKET,
    PROMQL_TOKEN_AT,
    PROMQL_TOKEN_EQUAL,     /* = */
    PROMQL_TOKEN_REGEX,     /* =~ */
    PROMQL_TOKEN_NOT_REGEX, /* !~ */
    PROMQL_TOKEN_OP,        /* a binary operator: see op */
    PROMQL_TOKEN_AGGREGATOR,
    PROMQL_TOKEN_OFFSET,
    PROMQL_TOKEN_BY,
    PROMQL_TOKEN_WITHOUT,
    PROMQL_TOKEN_ON,
    PROMQL_TOKEN_IGNORING,
    PROMQL_TOKEN_GROUP_LEFT,
    PROMQL_TOKEN_GROUP_RIGHT,
    PROMQL_TOKEN_FILL,
    PROMQL_TOKEN_FILL_LEFT,
    PROMQL_TOKEN_FILL_RIGHT,
    PROMQL_TOKEN_BOOL,
    PROMQL_TOKEN_ANCHORED,
    PROMQL_TOKEN_SMOOTHED,
    PROMQL_TOKEN_START,
    PROMQL_TOKEN_STOP, /* the word end */
    PROMQL_TOKEN_STEP,
    PROMQL_TOKEN_RANGE,
    PROMQL_TOKEN_MAX_OF,
    PROMQL_TOKEN_MIN_OF,
};

struct promql_token {
    enum promql_token_kind kind;
    struct promql_span span;
    struct slice text;
    enum promql_op op;                 /* of TOKEN_OP */
    enum promql_aggregator aggregator; /* of TOKEN_AGGREGATOR */
};

struct promql_lexer {
    struct slice text;
    uint32_t at, start; /* offsets: next byte, current token */
    int32_t paren_depth;
    bool in_braces, in_brackets, has_colon, has_duration, is_done;
    char message[160]; /* of the ERROR token */
};

/* Borrows text, of PROMQL_TEXT_SIZE_MAX bytes at most. */
void promql_lexer_init(struct promql_lexer *lexer, struct slice text);
/* Comments are skipped. After the END or ERROR token comes END for ever. */
struct promql_token promql_lexer_next(struct promql_lexer *lexer);
/* As messages name a token: identifier "foo", <op:+>, end of input. */
void promql_lexer_describe(const struct promql_token *token, struct buf *out);

/* The value of a STRING token that the lexer accepted, escapes resolved. ERR_LIMIT: no room. */
enum err promql_lexer_unquote(struct arena *arena, struct slice quoted, struct slice *out) MUST_USE;
/* The value of a NUMBER token; false with a text for the message if it is none. */
bool promql_lexer_number(struct slice text, double *v, const char **fault);
/* Seconds of a DURATION token: units y w d h m s ms, largest first, each once. */
enum err promql_lexer_duration(struct slice text, double *seconds, struct err_info *info) MUST_USE;
