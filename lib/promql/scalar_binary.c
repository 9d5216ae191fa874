/* SPDX-License-Identifier: Apache-2.0 */

/* Binary operators with a scalar on one side or on both. */

#include "promql/stage.h"

struct scalar_binary_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    struct promql_stage *vector; /* the side whose series these are */
    struct promql_stage *scalar;
    bool scalar_is_lhs;
    struct promql_binop binop;
    struct promql_held held; /* the scalar at all steps, once asked */
    bool is_held;
    struct promql_column column; /* the scalar's window */
    uint32_t column_window;
};

#define NO_WINDOW UINT32_MAX

/* The vector's series come one after the other; the scalar is computed once for all of them. */
static enum err hold_scalar(struct scalar_binary_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t windows = promql_grid_windows(self->stage.grid);
    enum err err = promql_held_init(&self->held, eval, self->stage.grid);

    for (uint32_t w = 0; w < windows && err == ERR_OK; w++) {
        uint32_t clash;

        err = promql_stage_column(self->scalar, (struct promql_cell){0, w}, &self->column);
        if (err == ERR_OK)
            err = promql_held_add(&self->held, eval, w, &self->column, &clash);
    }
    self->is_held = true;
    self->column_window = windows - 1;
    return err;
}

static enum err scalar_window(struct scalar_binary_stage *self, uint32_t window)
{
    enum err err = ERR_OK;

    if (!self->is_held)
        err = hold_scalar(self);
    if (err == ERR_OK && self->column_window != window)
        err = promql_held_get(&self->held, self->stage.eval, window, &self->column);
    self->column_window = window;
    return err;
}

static enum err scalar_binary_column(struct promql_stage *stage, struct promql_cell cell,
                                     struct promql_column *out)
{
    struct scalar_binary_stage *self = (struct scalar_binary_stage *)stage;
    enum err err = scalar_window(self, cell.window);

    if (err == ERR_OK)
        err = promql_stage_column(self->vector, cell, out);
    if (err != ERR_OK)
        return err;
    if (out->has_histograms)
        return promql_eval_unsupported(stage->eval, self->expr,
                                       "a binary operator over native histograms");
    if (self->scalar_is_lhs)
        promql_binop_columns(&self->binop, &self->column, out, out);
    else
        promql_binop_columns(&self->binop, out, &self->column, out);
    return ERR_OK;
}

static const struct promql_stage_ops scalar_binary_ops = {.column = scalar_binary_column};

enum err promql_scalar_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands, struct promql_stage **out)
{
    const struct promql_binary *binary = &expr->binary;
    const bool scalar_is_lhs = binary->lhs->type == PROMQL_SCALAR;
    const bool drops_name = binary->returns_bool || !promql_op_is_comparison(binary->op);
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
    self->expr = expr;
    self->vector = vector;
    self->scalar = scalar_is_lhs ? operands.lhs : operands.rhs;
    self->scalar_is_lhs = scalar_is_lhs;
    self->column_window = NO_WINDOW;
    self->binop = (struct promql_binop){
        .op = binary->op,
        .returns_bool = binary->returns_bool,
        .keeps_rhs = scalar_is_lhs,
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
