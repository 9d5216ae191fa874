/* SPDX-License-Identifier: Apache-2.0 */

/* scalar() and absent(): one series out of any number, of which only matters, at which steps how
 * many have a value. */

#include <math.h>

#include "promql/stage.h"

enum { COUNT_MANY = 2 };

struct collapse_stage {
    struct promql_stage stage;
    struct promql_stage *child;
    bool is_absent;
    bool is_read;
    uint8_t *counts; /* [steps]: 0, 1 or COUNT_MANY */
    double *v;       /* [steps] the only value; scalar() alone */
    struct label_set labels;
    struct promql_column column;
};

static void read_column(struct collapse_stage *self, uint32_t window)
{
    struct promql_column *column = &self->column;
    uint8_t *counts = self->counts + (size_t)window * PROMQL_WINDOW;

    if (!self->is_absent)
        promql_column_drop_histograms(column);
    for (uint32_t i = 0; i < column->count; i++) {
        if (!promql_column_has(column, i))
            continue;
        counts[i] = counts[i] == 0 ? 1 : COUNT_MANY;
        if (!self->is_absent)
            self->v[(size_t)window * PROMQL_WINDOW + i] = column->v[i];
    }
}

static enum err read_child(struct collapse_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->stage.grid->count;
    enum err err = promql_eval_hold(eval, count);

    self->is_read = true;
    if (err != ERR_OK)
        return err;
    self->counts = ARENA_ARRAY(eval->arena, uint8_t, count);
    if (!self->is_absent)
        self->v = ARENA_ARRAY(eval->arena, double, count);
    if (self->counts == NULL || (!self->is_absent && self->v == NULL))
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < self->child->series_count; i++) {
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            err = promql_stage_column(self->child, (struct promql_cell){i, w}, &self->column);
            if (err != ERR_OK)
                return err;
            read_column(self, w);
        }
    }
    return ERR_OK;
}

static enum err collapse_column(struct promql_stage *stage, struct promql_cell cell,
                                struct promql_column *out)
{
    struct collapse_stage *self = (struct collapse_stage *)stage;
    const size_t first = (size_t)cell.window * PROMQL_WINDOW;

    if (!self->is_read) {
        const enum err err = read_child(self);

        if (err != ERR_OK)
            return err;
    }
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    for (uint32_t i = 0; i < out->count; i++) {
        const uint8_t count = self->counts[first + i];

        out->v[i] = 1;
        if (!self->is_absent)
            promql_column_add(out, i, count == 1 ? self->v[first + i] : NAN);
        else if (count == 0)
            promql_column_add(out, i, 1);
    }
    return ERR_OK;
}

static const struct promql_stage_ops collapse_ops = {.column = collapse_column};

static enum err collapse_new(struct promql_stage *child, struct collapse_stage **out)
{
    struct promql_eval *eval = child->eval;
    struct collapse_stage *self = ARENA_NEW(eval->arena, struct collapse_stage);

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage =
        (struct promql_stage){&collapse_ops, eval, child->grid, &self->labels, 1, child->may_fault};
    self->child = child;
    *out = self;
    return ERR_OK;
}

enum err promql_collapse_scalar_new(struct promql_stage *child, struct promql_stage **out)
{
    struct collapse_stage *self = NULL;
    const enum err err = collapse_new(child, &self);

    if (err == ERR_OK)
        *out = &self->stage;
    return err;
}

static bool was_said(const struct promql_selector *selector, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (selector->matchers[i].type == MATCHER_EQUAL &&
            slice_eq(selector->matchers[i].name, selector->matchers[index].name))
            return true;
    }
    return false;
}

/* What a selector says outright of the labels that are missing; what it says again does not count.
 */
static enum err absent_labels(struct promql_eval *eval, const struct promql_selector *selector,
                              struct label_set *out)
{
    struct label_builder builder;

    label_builder_init(&builder, eval->arena, (struct label_set){0});
    for (uint32_t i = 0; i < selector->matcher_count; i++) {
        const struct matcher *matcher = &selector->matchers[i];

        if (slice_eq_cstr(matcher->name, LABEL_METRIC_NAME))
            continue;
        if (matcher->type == MATCHER_EQUAL && !was_said(selector, i))
            label_builder_set(&builder, matcher->name, matcher->value);
        else
            label_builder_del(&builder, matcher->name);
    }
    *out = label_builder_set_view(&builder);
    return builder.err == ERR_OK ? ERR_OK : promql_eval_no_room(eval);
}

enum err promql_collapse_absent_new(struct promql_stage *child, const struct promql_expr *selector,
                                    struct promql_stage **out)
{
    struct collapse_stage *self = NULL;
    enum err err = collapse_new(child, &self);

    if (err != ERR_OK)
        return err;
    self->is_absent = true;
    if (selector != NULL)
        err = absent_labels(child->eval, &selector->selector, &self->labels);
    *out = &self->stage;
    return err;
}
