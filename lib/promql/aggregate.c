/* SPDX-License-Identifier: Apache-2.0 */

/* sum, avg, min, max, count, group, stddev and stdvar: the input is read once, series by series,
 * into groups x steps. Sums are compensated as upstream does it (Kahan, in Neumaier's form), in the
 * order of the input's series; avg divides the sum, and goes over to a running mean at a step where
 * the sum would overflow. */

#include <math.h>

#include "promql/histogram_groups.h"
#include "promql/sum.h"

struct aggregate_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    enum promql_aggregator op;
    struct promql_stage *child;
    uint32_t *groups; /* [child's series] */
    bool is_read;
    /* Cells: [group][step]. A count of 0: nothing there. */
    double *v, *low, *counts;
    bool *is_running;                          /* avg: v is a mean; NULL as long as none is */
    struct promql_histogram_groups histograms; /* of sum and avg */
    struct promql_column column;
};

static void add_sums(struct aggregate_stage *self, size_t cell)
{
    const struct promql_column *column = &self->column;
    double *v = self->v + cell, *low = self->low + cell, *counts = self->counts + cell;

    for (uint32_t i = 0; i < column->count; i++) {
        if (!promql_column_has(column, i))
            continue;
        if (counts[i] == 0) {
            counts[i] = 1;
            v[i] = column->v[i];
        } else {
            promql_sum_add(column->v[i], &v[i], &low[i]);
        }
    }
}

/* Goes over to a running mean of the `count` values summed so far. */
static enum err run_mean(struct aggregate_stage *self, size_t cell)
{
    const double count = self->counts[cell] - 1;

    if (self->is_running == NULL) {
        self->is_running = ARENA_ARRAY(self->stage.eval->arena, bool,
                                       (size_t)self->stage.series_count * self->stage.grid->count);
        if (self->is_running == NULL)
            return promql_eval_no_room(self->stage.eval);
    }
    self->is_running[cell] = true;
    self->v[cell] /= count;
    self->low[cell] /= count;
    return ERR_OK;
}

static enum err add_mean(struct aggregate_stage *self, size_t cell, double x)
{
    double count, share;

    self->counts[cell]++;
    count = self->counts[cell];
    if (count == 1) {
        self->v[cell] = x;
        return ERR_OK;
    }
    if (self->is_running == NULL || !self->is_running[cell]) {
        double sum = self->v[cell], low = self->low[cell];
        enum err err;

        promql_sum_add(x, &sum, &low);
        if (!isinf(sum)) {
            self->v[cell] = sum;
            self->low[cell] = low;
            return ERR_OK;
        }
        err = run_mean(self, cell);
        if (err != ERR_OK)
            return err;
    }
    share = (count - 1) / count;
    self->v[cell] *= share;
    self->low[cell] *= share;
    promql_sum_add(x / count, &self->v[cell], &self->low[cell]);
    return ERR_OK;
}

static enum err add_means(struct aggregate_stage *self, size_t cell)
{
    const struct promql_column *column = &self->column;

    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i)) {
            const enum err err = add_mean(self, cell + i, column->v[i]);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* A NaN gives way to anything. */
static void add_extremes(struct aggregate_stage *self, size_t cell)
{
    const struct promql_column *column = &self->column;
    double *v = self->v + cell, *counts = self->counts + cell;
    const bool is_min = self->op == PROMQL_MIN;

    for (uint32_t i = 0; i < column->count; i++) {
        const double x = column->v[i];

        if (!promql_column_has(column, i))
            continue;
        if (counts[i] == 0 || (is_min ? v[i] > x : v[i] < x) || isnan(v[i]))
            v[i] = x;
        counts[i] = 1;
    }
}

/* Welford's method: v is the mean, low the sum of squares of distances from it. */
static void add_squares(struct aggregate_stage *self, size_t cell)
{
    const struct promql_column *column = &self->column;

    for (uint32_t i = 0; i < column->count; i++) {
        const double x = column->v[i];
        double *mean = &self->v[cell + i], *count = &self->counts[cell + i];
        double delta;

        if (!promql_column_has(column, i))
            continue;
        (*count)++;
        if (*count == 1) {
            *mean = x;
            self->low[cell + i] = isfinite(x) ? 0 : NAN;
            continue;
        }
        delta = x - *mean;
        *mean += delta / *count;
        self->low[cell + i] += delta * (x - *mean);
    }
}

static void add_counts(struct aggregate_stage *self, size_t cell)
{
    const struct promql_column *column = &self->column;
    double *counts = self->counts + cell;

    for (uint32_t i = 0; i < column->count; i++)
        counts[i] += promql_column_has(column, i);
}

/* Histograms count like any other value; sum and avg take them apart from floats; the others pass
 * over them. */
static enum err see_histograms(struct aggregate_stage *self, struct promql_cell at, size_t cell)
{
    struct promql_column *column = &self->column;
    const uint32_t count = promql_column_present_count(column);
    const struct promql_histogram_input input = {
        .column = column,
        .cell = cell,
        .float_counts = self->counts,
        .name = label_set_get(self->child->labels[at.series], SLICE(LABEL_METRIC_NAME)),
    };

    if (self->op == PROMQL_COUNT || self->op == PROMQL_GROUP)
        return ERR_OK;
    if (self->op == PROMQL_SUM || self->op == PROMQL_AVG)
        return promql_histogram_groups_add(&self->histograms, &input);
    promql_column_drop_histograms(column);
    if (count != promql_column_present_count(column))
        promql_eval_info(self->stage.eval, self->expr->aggregate.expr,
                         "ignored histogram in %s aggregation", promql_aggregator_text(self->op));
    return ERR_OK;
}

static enum err add_column(struct aggregate_stage *self, struct promql_cell at)
{
    const size_t cell = (size_t)self->groups[at.series] * self->stage.grid->count +
                        (size_t)at.window * PROMQL_WINDOW;
    enum err err = promql_stage_column(self->child, at, &self->column);

    if (err == ERR_OK && self->column.has_histograms)
        err = see_histograms(self, at, cell);
    if (err != ERR_OK)
        return err;
    switch ((int)self->op) {
    case PROMQL_SUM:
        add_sums(self, cell);
        return ERR_OK;
    case PROMQL_AVG:
        return add_means(self, cell);
    case PROMQL_STDDEV:
    case PROMQL_STDVAR:
        add_squares(self, cell);
        return ERR_OK;
    case PROMQL_MIN:
    case PROMQL_MAX:
        add_extremes(self, cell);
        return ERR_OK;
    default:
        add_counts(self, cell);
        return ERR_OK;
    }
}

static enum err aggregate_read(struct aggregate_stage *self)
{
    const size_t cells = (size_t)self->stage.series_count * self->stage.grid->count;
    struct arena *arena = self->stage.eval->arena;
    const uint32_t windows = promql_grid_windows(self->stage.grid);
    enum err err = promql_eval_hold(self->stage.eval, cells);

    if (err != ERR_OK)
        return err;
    self->is_read = true;
    self->v = ARENA_ARRAY(arena, double, cells);
    self->low = ARENA_ARRAY(arena, double, cells);
    self->counts = ARENA_ARRAY(arena, double, cells);
    if (self->v == NULL || self->low == NULL || self->counts == NULL)
        return promql_eval_no_room(self->stage.eval);
    for (uint32_t i = 0; i < self->child->series_count; i++) {
        for (uint32_t w = 0; w < windows; w++) {
            err = add_column(self, (struct promql_cell){i, w});
            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

static double cell_value(const struct aggregate_stage *self, size_t cell)
{
    switch ((int)self->op) {
    case PROMQL_COUNT:
        return self->counts[cell];
    case PROMQL_GROUP:
        return 1;
    case PROMQL_SUM:
        return self->v[cell] + self->low[cell];
    case PROMQL_AVG:
        if (self->is_running != NULL && self->is_running[cell])
            return self->v[cell] + self->low[cell];
        return self->v[cell] / self->counts[cell] + self->low[cell] / self->counts[cell];
    case PROMQL_STDVAR:
        return self->low[cell] / self->counts[cell];
    case PROMQL_STDDEV:
        return sqrt(self->low[cell] / self->counts[cell]);
    default:
        return self->v[cell];
    }
}

static enum err put_histograms(struct aggregate_stage *self, size_t cell, struct promql_column *out)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < out->count && err == ERR_OK; i++) {
        if (self->histograms.cells[cell + i] == NULL)
            continue;
        promql_column_remove(out, i);
        err = promql_histogram_groups_get(&self->histograms, cell + i, self->counts[cell + i] != 0,
                                          out, i);
    }
    return err;
}

static enum err aggregate_column(struct promql_stage *stage, struct promql_cell at,
                                 struct promql_column *out)
{
    struct aggregate_stage *self = (struct aggregate_stage *)stage;
    const size_t cell = (size_t)at.series * stage->grid->count + (size_t)at.window * PROMQL_WINDOW;

    if (!self->is_read) {
        const enum err err = aggregate_read(self);

        if (err != ERR_OK)
            return err;
    }
    promql_column_clear(out, promql_grid_window_count(stage->grid, at.window));
    for (uint32_t i = 0; i < out->count; i++) {
        out->v[i] = 0;
        if (self->counts[cell + i] != 0)
            promql_column_add(out, i, cell_value(self, cell + i));
    }
    return self->histograms.cells == NULL ? ERR_OK : put_histograms(self, cell, out);
}

static const struct promql_stage_ops aggregate_ops = {.column = aggregate_column};

enum err promql_aggregate_group(const struct promql_stage *child, const struct promql_expr *expr,
                                struct promql_index *index, uint32_t **groups)
{
    const struct promql_aggregate *aggregate = &expr->aggregate;
    const struct promql_projection projection = {
        .names = aggregate->grouping,
        .is_keep = !aggregate->is_without,
        .drops_name = aggregate->is_without,
    };
    struct promql_eval *eval = child->eval;

    *groups = arena_alloc(eval->arena, child->series_count * sizeof(uint32_t));
    if (*groups == NULL)
        return promql_eval_no_room(eval);
    promql_index_init(index, eval);
    for (uint32_t i = 0; i < child->series_count; i++) {
        struct label_set labels;
        enum err err = promql_labels_project(eval, &projection, child->labels[i], &labels);

        if (err == ERR_OK)
            err = promql_index_add(index, labels, &(*groups)[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err promql_aggregate_new(struct promql_eval *eval, const struct promql_expr *expr,
                              struct promql_stage *child, struct promql_stage **out)
{
    struct aggregate_stage *self = ARENA_NEW(eval->arena, struct aggregate_stage);
    struct promql_index index;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage.eval = eval;
    self->child = child;
    self->expr = expr;
    self->op = expr->aggregate.op;
    err = promql_aggregate_group(child, expr, &index, &self->groups);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){&aggregate_ops, eval,        child->grid,
                                        index.sets,     index.count, child->may_fault};
    self->histograms = (struct promql_histogram_groups){
        .eval = eval, .expr = expr, .cell_count = (size_t)index.count * child->grid->count};
    *out = &self->stage;
    return ERR_OK;
}
