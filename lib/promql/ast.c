/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/ast.h"

static const char *const op_texts[] = {
#define XX(name, text, precedence) text,
    PROMQL_OP_LIST(XX)
#undef XX
};

static const int op_precedences[] = {
#define XX(name, text, precedence) precedence,
    PROMQL_OP_LIST(XX)
#undef XX
};

static const char *const aggregator_texts[] = {
#define XX(name, text, has_param) text,
    PROMQL_AGGREGATOR_LIST(XX)
#undef XX
};

static const bool aggregator_params[] = {
#define XX(name, text, has_param) has_param,
    PROMQL_AGGREGATOR_LIST(XX)
#undef XX
};

const char *promql_type_text(enum promql_type type)
{
    switch (type) {
    case PROMQL_SCALAR:
        return "scalar";
    case PROMQL_VECTOR:
        return "instant vector";
    case PROMQL_MATRIX:
        return "range vector";
    case PROMQL_STRING:
        return "string";
    }
    return "";
}

const char *promql_op_text(enum promql_op op)
{
    ASSERT(op < PROMQL_OP_COUNT);
    return op_texts[op];
}

int promql_op_precedence(enum promql_op op)
{
    ASSERT(op < PROMQL_OP_COUNT);
    return op_precedences[op];
}

bool promql_op_is_comparison(enum promql_op op)
{
    return op >= PROMQL_OP_EQ && op <= PROMQL_OP_GE;
}

bool promql_op_is_set(enum promql_op op)
{
    return op == PROMQL_OP_AND || op == PROMQL_OP_OR || op == PROMQL_OP_UNLESS;
}

bool promql_op_is_trim(enum promql_op op)
{
    return op == PROMQL_OP_TRIM_UPPER || op == PROMQL_OP_TRIM_LOWER;
}

bool promql_op_is_arithmetic(enum promql_op op)
{
    return !promql_op_is_comparison(op) && !promql_op_is_set(op) && !promql_op_is_trim(op);
}

const char *promql_aggregator_text(enum promql_aggregator op)
{
    ASSERT(op < PROMQL_AGGREGATOR_COUNT);
    return aggregator_texts[op];
}

bool promql_aggregator_has_param(enum promql_aggregator op)
{
    ASSERT(op < PROMQL_AGGREGATOR_COUNT);
    return aggregator_params[op];
}

struct promql_place promql_place_of(struct slice text, uint32_t offset)
{
    struct promql_place place = {1, 1};

    for (uint32_t i = 0; i < offset && i < text.len; i++) {
        place.column++;
        if (text.data[i] == '\n')
            place = (struct promql_place){place.line + 1, 1};
    }
    return place;
}
