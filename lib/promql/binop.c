/* SPDX-License-Identifier: Apache-2.0 */

/* Arithmetic and comparisons, over scalars and over columns: the operator is chosen outside the
 * loops, and steps that are not present are computed along, so that the loops have no branches. */

#include <math.h>

#include "promql/stage.h"

double promql_binop_apply(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_OP_ADD:
        return a + b;
    case PROMQL_OP_SUB:
        return a - b;
    case PROMQL_OP_MUL:
        return a * b;
    case PROMQL_OP_DIV:
        return a / b;
    case PROMQL_OP_MOD:
        return fmod(a, b);
    case PROMQL_OP_POW:
        return pow(a, b);
    case PROMQL_OP_ATAN2:
        return atan2(a, b);
    case PROMQL_OP_EQ:
        return a == b;
    case PROMQL_OP_NE:
        return a != b;
    case PROMQL_OP_LT:
        return a < b;
    case PROMQL_OP_LE:
        return a <= b;
    case PROMQL_OP_GT:
        return a > b;
    case PROMQL_OP_GE:
        return a >= b;
    case PROMQL_OP_AND:
    case PROMQL_OP_OR:
    case PROMQL_OP_UNLESS:
    case PROMQL_OP_TRIM_UPPER:
    case PROMQL_OP_TRIM_LOWER:
    case PROMQL_OP_COUNT:
        break;
    }
    return NAN; /* these have no value: the planner keeps them away */
}

static void arithmetic(enum promql_op op, const struct promql_column *a,
                       const struct promql_column *b, struct promql_column *out)
{
    const uint32_t count = a->count;

    switch ((int)op) {
    case PROMQL_OP_ADD:
        for (uint32_t i = 0; i < count; i++)
            out->v[i] = a->v[i] + b->v[i];
        break;
    case PROMQL_OP_SUB:
        for (uint32_t i = 0; i < count; i++)
            out->v[i] = a->v[i] - b->v[i];
        break;
    case PROMQL_OP_MUL:
        for (uint32_t i = 0; i < count; i++)
            out->v[i] = a->v[i] * b->v[i];
        break;
    case PROMQL_OP_DIV:
        for (uint32_t i = 0; i < count; i++)
            out->v[i] = a->v[i] / b->v[i];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            out->v[i] = promql_binop_apply(op, a->v[i], b->v[i]);
        break;
    }
}

#define COMPARE(operator)                                                                          \
    for (uint32_t i = 0; i < a->count; i++)                                                        \
        holds[i / 64] |= (uint64_t)(a->v[i] operator b->v[i]) << (i % 64);                         \
    break

static void compare(enum promql_op op, const struct promql_column *a, const struct promql_column *b,
                    uint64_t holds[PROMQL_WINDOW_WORDS])
{
    switch ((int)op) {
    case PROMQL_OP_EQ:
        COMPARE(==);
    case PROMQL_OP_NE:
        COMPARE(!=);
    case PROMQL_OP_LT:
        COMPARE(<);
    case PROMQL_OP_LE:
        COMPARE(<=);
    case PROMQL_OP_GT:
        COMPARE(>);
    case PROMQL_OP_GE:
        COMPARE(>=);
    default:
        break;
    }
}

void promql_binop_columns(const struct promql_binop *binop, const struct promql_column *a,
                          const struct promql_column *b, struct promql_column *out)
{
    uint64_t holds[PROMQL_WINDOW_WORDS] = {0};
    const double *kept = binop->keeps_rhs ? b->v : a->v;
    const uint32_t words = promql_column_words(a);

    ASSERT(a->count == b->count);
    out->count = a->count;
    out->has_histograms = false;
    if (!promql_op_is_comparison(binop->op)) {
        arithmetic(binop->op, a, b, out);
        for (uint32_t i = 0; i < words; i++)
            out->present[i] = a->present[i] & b->present[i];
        return;
    }
    compare(binop->op, a, b, holds);
    for (uint32_t i = 0; i < words; i++)
        out->present[i] =
            a->present[i] & b->present[i] & (binop->returns_bool ? UINT64_MAX : holds[i]);
    if (binop->returns_bool) {
        for (uint32_t i = 0; i < a->count; i++)
            out->v[i] = (double)(holds[i / 64] >> (i % 64) & 1);
    } else if (kept != out->v) {
        memcpy(out->v, kept, a->count * sizeof(*kept));
    }
}
