/* SPDX-License-Identifier: Apache-2.0 */

/* Binary operators with a scalar on one side or on both. */

#include "promql/stage.h"

struct scalar_binary_stage {
    struct promql_stage stage;
    struct promql_stage *vector; /* the side whose series these are */
    struct promql_scalar_arg scalar;
    bool scalar_is_lhs;
    struct promql_binop binop;
};

static enum err scalar_binary_column(struct promql_stage *stage, struct promql_cell cell,
                                     struct promql_column *out)
{
    struct scalar_binary_stage *self = (struct scalar_binary_stage *)stage;
    const struct promql_column *lhs, *rhs;
    enum err err = promql_scalar_arg_load(&self->scalar, cell.window);

    if (err == ERR_OK)
        err = promql_stage_column(self->vector, cell, out);
    if (err != ERR_OK)
        return err;
    lhs = self->scalar_is_lhs ? &self->scalar.column : out;
    rhs = self->scalar_is_lhs ? out : &self->scalar.column;
    if (promql_binop_needs_histograms(&self->binop, lhs, rhs))
        return promql_histogram_binop(stage->eval, &self->binop, lhs, rhs, out);
    promql_binop_columns(&self->binop, lhs, rhs, out);
    return ERR_OK;
}

static const struct promql_stage_ops scalar_binary_ops = {.column = scalar_binary_column};

enum err promql_scalar_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands, struct promql_stage **out)
{
    const struct promql_binary *binary = &expr->binary;
    const bool scalar_is_lhs = binary->lhs->type == PROMQL_SCALAR;
    const bool drops_name = binary->returns_bool || promql_op_is_arithmetic(binary->op);
    struct scalar_binary_stage *self = ARENA_NEW(eval->arena, struct scalar_binary_stage);
    struct promql_stage *vector = scalar_is_lhs ? operands.rhs : operands.lhs;
    struct label_set *labels = NULL;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){
        &scalar_binary_ops,   eval,
        vector->grid,         vector->labels,
        vector->series_count, operands.lhs->may_fault || operands.rhs->may_fault};
    self->vector = vector;
    promql_scalar_arg_init(&self->scalar, scalar_is_lhs ? operands.lhs : operands.rhs);
    self->scalar_is_lhs = scalar_is_lhs;
    self->binop = (struct promql_binop){
        .op = binary->op,
        .returns_bool = binary->returns_bool,
        .keeps_rhs = scalar_is_lhs,
        .expr = expr,
    };
    *out = &self->stage;
    if (!drops_name || expr->type == PROMQL_SCALAR)
        return ERR_OK;
    err = promql_labels_drop_metadata(eval, vector->labels, vector->series_count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage.labels = labels;
    return promql_merge_new(eval, &self->stage, false, out);
}
