/* SPDX-License-Identifier: Apache-2.0 */

/* Binary operators step by step, where histograms take part. What has no meaning (a histogram and a
 * float added) gives nothing but a note. */

#include "model/histogram_math.h"
#include "promql/stage.h"

/* One side or the result at a step. */
struct operand {
    const struct histogram *histogram; /* NULL: a float */
    double v;
};

struct application {
    struct promql_eval *eval;
    const struct promql_binop *binop;
    struct operand result;
    bool keep;
};

static const char *kind_of(const struct operand *operand)
{
    return operand->histogram == NULL ? "float" : "histogram";
}

static void inform_types(struct application *self, const struct operand *a, const struct operand *b)
{
    const char *const op = promql_op_text(self->binop->op);

    promql_eval_info(self->eval, self->binop->expr,
                     "incompatible sample types encountered for binary operator \"%s\": %s %s %s",
                     op, kind_of(a), op, kind_of(b));
}

static enum err keep_histogram(struct application *self, const struct histogram *histogram)
{
    if (histogram == NULL)
        return promql_eval_no_room(self->eval);
    self->result.histogram = histogram;
    self->keep = true;
    return ERR_OK;
}

static void apply_floats(struct application *self, const struct operand *a, const struct operand *b)
{
    const struct promql_binop *binop = self->binop;
    const double v = promql_binop_apply(binop->op, a->v, b->v);

    if (promql_op_is_trim(binop->op)) {
        inform_types(self, a, b);
        return;
    }
    self->keep = !promql_op_is_comparison(binop->op) || binop->returns_bool || v != 0;
    self->result.v = v;
    if (promql_op_is_comparison(binop->op) && !binop->returns_bool)
        self->result.v = binop->keeps_rhs ? b->v : a->v;
}

/* A sum or difference. Histograms that surely conflict in their resets give nothing, as in
 * upstream. */
static enum err apply_sum(struct application *self, const struct histogram *a,
                          const struct histogram *b)
{
    const struct promql_expr *expr = self->binop->expr;
    const bool is_sub = self->binop->op == PROMQL_OP_SUB;
    const char *const what = is_sub ? "subtraction" : "addition";
    struct histogram_sum *sum = &self->eval->histogram_sum;
    struct histogram_merge merge = {0};
    enum err err;

    histogram_sum_reset(sum, &self->eval->histogram_scratch);
    err = histogram_sum_add(sum, a, 1, &merge);
    if (err == ERR_OK)
        err = histogram_sum_add(sum, b, is_sub ? -1 : 1, &merge);
    if (err != ERR_OK)
        return promql_eval_no_room(self->eval);
    if (merge.is_incompatible) {
        promql_eval_warn(self->eval, expr,
                         "incompatible bucket layout encountered for binary operator %s",
                         promql_op_text(self->binop->op));
        return ERR_OK;
    }
    if (merge.is_reset_conflict) {
        promql_eval_warn(self->eval, expr, "conflicting counter resets during histogram %s", what);
        return ERR_OK;
    }
    if (merge.is_rebound)
        promql_eval_info(self->eval, expr, "mismatched custom buckets were reconciled during %s",
                         what);
    if (is_sub)
        sum->reset = HISTOGRAM_GAUGE;
    return keep_histogram(self, histogram_sum_result(sum));
}

static enum err apply_histograms(struct application *self, const struct operand *a,
                                 const struct operand *b)
{
    bool is_eq;

    switch ((int)self->binop->op) {
    case PROMQL_OP_ADD:
    case PROMQL_OP_SUB:
        return apply_sum(self, a->histogram, b->histogram);
    case PROMQL_OP_EQ:
    case PROMQL_OP_NE:
        is_eq = histogram_eq(a->histogram, b->histogram) == (self->binop->op == PROMQL_OP_EQ);
        self->keep = is_eq || self->binop->returns_bool;
        self->result = (struct operand){a->histogram, 0};
        if (self->binop->returns_bool)
            self->result = (struct operand){NULL, is_eq};
        return ERR_OK;
    default:
        inform_types(self, a, b);
        return ERR_OK;
    }
}

static enum err apply_scalar(struct application *self, const struct histogram *h, double v)
{
    struct arena *arena = self->eval->arena;
    const struct histogram *result;

    switch ((int)self->binop->op) {
    case PROMQL_OP_MUL:
        result = histogram_multiplied(arena, h, v);
        return keep_histogram(self, result == NULL ? NULL : histogram_compacted(arena, result));
    case PROMQL_OP_DIV:
        result = histogram_divided(arena, h, v);
        return keep_histogram(self, result == NULL ? NULL : histogram_compacted(arena, result));
    default:
        return keep_histogram(
            self, histogram_trimmed(arena, h, v, self->binop->op == PROMQL_OP_TRIM_UPPER));
    }
}

static enum err apply(struct application *self, const struct operand *a, const struct operand *b)
{
    const enum promql_op op = self->binop->op;

    self->keep = false;
    self->result = (struct operand){0};
    if (a->histogram == NULL && b->histogram == NULL) {
        apply_floats(self, a, b);
        return ERR_OK;
    }
    if (a->histogram != NULL && b->histogram != NULL)
        return apply_histograms(self, a, b);
    if (op == PROMQL_OP_MUL && a->histogram == NULL)
        return apply_scalar(self, b->histogram, a->v);
    if (a->histogram != NULL &&
        (op == PROMQL_OP_MUL || op == PROMQL_OP_DIV || promql_op_is_trim(op)))
        return apply_scalar(self, a->histogram, b->v);
    inform_types(self, a, b);
    return ERR_OK;
}

enum err promql_histogram_binop(struct promql_eval *eval, const struct promql_binop *binop,
                                const struct promql_column *a, const struct promql_column *b,
                                struct promql_column *out)
{
    const bool a_has = a->has_histograms, b_has = b->has_histograms;
    struct application self = {.eval = eval, .binop = binop};

    ASSERT(a->count == b->count);
    out->count = a->count;
    if (promql_column_histograms(eval, out) == NULL)
        return promql_eval_no_room(eval);
    /* out may be a or b: each step is read before it is written. */
    for (uint32_t i = 0; i < a->count; i++) {
        const struct operand lhs = {a_has ? a->histograms[i] : NULL, a->v[i]};
        const struct operand rhs = {b_has ? b->histograms[i] : NULL, b->v[i]};
        enum err err;

        if (!promql_column_has(a, i) || !promql_column_has(b, i)) {
            promql_column_remove(out, i);
            out->histograms[i] = NULL;
            out->v[i] = 0;
            continue;
        }
        err = apply(&self, &lhs, &rhs);
        if (err != ERR_OK)
            return err;
        promql_column_add(out, i, self.result.v);
        out->histograms[i] = self.result.histogram;
        if (!self.keep)
            promql_column_remove(out, i);
    }
    if (out->count % 64 != 0)
        out->present[out->count / 64] &= (UINT64_C(1) << (out->count % 64)) - 1;
    return ERR_OK;
}
