/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The syntax tree of a PromQL expression. Nodes lie in one arena and are never changed once the
 * parser has returned them; the planner reads them.
 *
 * Every node knows its bytes in the text (for messages) and its depth, which the parser limits to
 * PROMQL_DEPTH_MAX: whoever walks a tree may recurse.
 * Ownership: all of it lives in the arena given to the parser. Threads: read-only, any. */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "model/matcher.h"

enum {
    PROMQL_DEPTH_MAX = 512,
    PROMQL_TEXT_SIZE_MAX = 1 << 20,
};

enum promql_type { PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };

enum promql_kind {
    PROMQL_NUMBER_LITERAL,
    PROMQL_STRING_LITERAL,
    PROMQL_SELECTOR, /* an instant vector selector */
    PROMQL_RANGE,    /* selector[range] */
    PROMQL_SUBQUERY, /* expr[range:step] */
    PROMQL_CALL,
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_UNARY,
    PROMQL_PAREN,
    PROMQL_DURATION, /* arithmetic inside [ ] or after offset: never outside struct promql_duration
                      */
};

/* Binary operators, unary ones too (ADD and SUB); text, precedence as in PROMQL_OP_LIST. */
#define PROMQL_OP_LIST(XX)                                                                         \
    XX(OR, "or", 1)                                                                                \
    XX(AND, "and", 2)                                                                              \
    XX(UNLESS, "unless", 2)                                                                        \
    XX(EQ, "==", 3)                                                                                \
    XX(NE, "!=", 3)                                                                                \
    XX(LT, "<", 3)                                                                                 \
    XX(LE, "<=", 3)                                                                                \
    XX(GT, ">", 3)                                                                                 \
    XX(GE, ">=", 3)                                                                                \
    XX(TRIM_UPPER, "</", 3)                                                                        \
    XX(TRIM_LOWER, ">/", 3)                                                                        \
    XX(ADD, "+", 4)                                                                                \
    XX(SUB, "-", 4)                                                                                \
    XX(MUL, "*", 5)                                                                                \
    XX(DIV, "/", 5)                                                                                \
    XX(MOD, "%", 5)                                                                                \
    XX(ATAN2, "atan2", 5)                                                                          \
    XX(POW, "^", 6)

enum promql_op {
#define XX(name, text, precedence) PROMQL_OP_##name,
    PROMQL_OP_LIST(XX)
#undef XX
        PROMQL_OP_COUNT
};

#define PROMQL_AGGREGATOR_LIST(XX)                                                                 \
    XX(SUM, "sum", false)                                                                          \
    XX(AVG, "avg", false)                                                                          \
    XX(MIN, "min", false)                                                                          \
    XX(MAX, "max", false)                                                                          \
    XX(COUNT, "count", false)                                                                      \
    XX(GROUP, "group", false)                                                                      \
    XX(STDDEV, "stddev", false)                                                                    \
    XX(STDVAR, "stdvar", false)                                                                    \
    XX(TOPK, "topk", true)                                                                         \
    XX(BOTTOMK, "bottomk", true)                                                                   \
    XX(LIMITK, "limitk", true)                                                                     \
    XX(LIMIT_RATIO, "limit_ratio", true)                                                           \
    XX(COUNT_VALUES, "count_values", true)                                                         \
    XX(QUANTILE, "quantile", true)

enum promql_aggregator {
#define XX(name, text, has_param) PROMQL_##name,
    PROMQL_AGGREGATOR_LIST(XX)
#undef XX
        PROMQL_AGGREGATOR_COUNT
};

struct promql_expr;
struct promql_function;

/* Bytes [start, end) of the text. */
struct promql_span {
    uint32_t start, end;
};

/* A length of time. With `expr` it is computed once the query's step and range are known. */
struct promql_duration {
    int64_t ms;
    const struct promql_expr *expr; /* NULL: ms says it all */
};

enum promql_at { PROMQL_AT_NONE, PROMQL_AT_TIME, PROMQL_AT_START, PROMQL_AT_END };

/* What may follow a selector or a subquery. */
struct promql_modifiers {
    struct promql_duration offset;
    enum promql_at at;
    bool is_anchored, is_smoothed;
    int64_t at_ms; /* of PROMQL_AT_TIME */
};

struct promql_labels {
    const struct slice *names;
    uint32_t count;
};

struct promql_selector {
    struct slice name;              /* as written before the braces; empty if none */
    const struct matcher *matchers; /* the name's too, last */
    uint32_t matcher_count;
    struct promql_modifiers modifiers;
};

struct promql_range {
    struct promql_expr *selector; /* carries the modifiers */
    struct promql_duration range;
};

struct promql_subquery {
    const struct promql_expr *expr;
    struct promql_duration range, step;
    bool has_step;
    struct promql_modifiers modifiers;
};

struct promql_call {
    const struct promql_function *function;
    const struct promql_expr *const *args;
    uint32_t arg_count;
};

struct promql_aggregate {
    enum promql_aggregator op;
    bool is_without;
    struct promql_labels grouping;
    const struct promql_expr *param; /* NULL for those without */
    const struct promql_expr *expr;
};

enum promql_card {
    PROMQL_ONE_TO_ONE,
    PROMQL_MANY_TO_ONE, /* group_left */
    PROMQL_ONE_TO_MANY, /* group_right */
    PROMQL_MANY_TO_MANY,
};

struct promql_matching {
    enum promql_card card;
    bool is_on, is_ignoring; /* neither: no clause was written */
    bool has_fill_left, has_fill_right;
    struct promql_labels labels, include;
    double fill_left, fill_right;
};

struct promql_binary {
    enum promql_op op;
    bool returns_bool;
    const struct promql_expr *lhs, *rhs;
    struct promql_matching matching; /* of vectors */
};

struct promql_unary {
    enum promql_op op; /* ADD or SUB */
    const struct promql_expr *expr;
};

struct promql_number {
    double v;
    bool is_duration; /* written with units: prints so */
};

enum promql_duration_op {
    PROMQL_DURATION_STEP,
    PROMQL_DURATION_RANGE,
    PROMQL_DURATION_MIN_OF,
    PROMQL_DURATION_MAX_OF,
    PROMQL_DURATION_BINARY,
    PROMQL_DURATION_PLUS, /* of rhs alone */
    PROMQL_DURATION_MINUS,
};

struct promql_duration_expr {
    enum promql_duration_op op;
    enum promql_op binary;               /* of BINARY */
    const struct promql_expr *lhs, *rhs; /* as op needs; numbers (seconds) or durations */
    bool is_wrapped;                     /* written in parentheses */
};

struct promql_expr {
    enum promql_kind kind;
    enum promql_type type;
    struct promql_span span;
    uint32_t depth; /* 1 for a leaf */
    union {
        struct promql_number number;
        struct slice string; /* unquoted */
        struct promql_selector selector;
        struct promql_range range;
        struct promql_subquery subquery;
        struct promql_call call;
        struct promql_aggregate aggregate;
        struct promql_binary binary;
        struct promql_unary unary;
        const struct promql_expr *paren;
        struct promql_duration_expr duration;
    };
};

/* "scalar", "instant vector" ... as messages name them. */
const char *promql_type_text(enum promql_type type);
const char *promql_op_text(enum promql_op op);
int promql_op_precedence(enum promql_op op);
bool promql_op_is_comparison(enum promql_op op);
bool promql_op_is_set(enum promql_op op);
/* Histogram trim operators. */
bool promql_op_is_trim(enum promql_op op);
/* None of the others: the name of a metric does not fit its result. */
bool promql_op_is_arithmetic(enum promql_op op);
const char *promql_aggregator_text(enum promql_aggregator op);
bool promql_aggregator_has_param(enum promql_aggregator op);

/* Line and column (both from 1, columns in bytes) of an offset. */
struct promql_place {
    uint32_t line, column;
};
struct promql_place promql_place_of(struct slice text, uint32_t offset);
