/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/stage.h"

#define NO_WINDOW UINT32_MAX

void promql_scalar_arg_init(struct promql_scalar_arg *arg, struct promql_stage *stage)
{
    arg->stage = stage;
    arg->is_held = false;
    arg->column_window = NO_WINDOW;
}

static enum err hold(struct promql_scalar_arg *arg)
{
    struct promql_stage *stage = arg->stage;
    const uint32_t windows = promql_grid_windows(stage->grid);
    enum err err = promql_held_init(&arg->held, stage->eval, stage->grid);

    for (uint32_t w = 0; w < windows && err == ERR_OK; w++) {
        uint32_t clash;

        err = promql_stage_column(stage, (struct promql_cell){0, w}, &arg->column);
        if (err == ERR_OK)
            err = promql_held_add(&arg->held, stage->eval, w, &arg->column, &clash);
    }
    arg->is_held = true;
    arg->column_window = windows - 1;
    return err;
}

enum err promql_scalar_arg_load(struct promql_scalar_arg *arg, uint32_t window)
{
    enum err err = ERR_OK;

    if (!arg->is_held)
        err = hold(arg);
    if (err == ERR_OK && arg->column_window != window)
        err = promql_held_get(&arg->held, arg->stage->eval, window, &arg->column);
    arg->column_window = window;
    return err;
}
