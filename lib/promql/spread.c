/* SPDX-License-Identifier: Apache-2.0 */

/* The aggregations that need all values of a group and step at once: quantile, and count_values,
 * whose very labels come from the values. */

#include <math.h>

#include "base/number.h"
#include "model/histogram_text.h"
#include "promql/quantile.h"
#include "promql/stage.h"

#define NONE UINT32_MAX

/* ---- quantile: group by group ---- */

struct quantile_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    struct promql_stage *child;
    struct promql_scalar_arg param;
    uint32_t *first, *next; /* chains of a group's series */
    uint32_t room;          /* series of the largest group */
    double *values;         /* [steps][room] of the group under way */
    uint32_t *counts;       /* [steps] */
    struct promql_column column;
};

static void take_column(struct quantile_stage *self, uint32_t window)
{
    struct promql_column *column = &self->column;
    const size_t first = (size_t)window * PROMQL_WINDOW;

    if (column->has_histograms) {
        const uint32_t count = promql_column_present_count(column);

        promql_column_drop_histograms(column);
        if (count != promql_column_present_count(column))
            promql_eval_info(self->stage.eval, self->expr,
                             "ignored histogram in quantile aggregation");
    }
    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i))
            self->values[(first + i) * self->room + self->counts[first + i]++] = column->v[i];
    }
}

static enum err read_group(struct quantile_stage *self, uint32_t group)
{
    const uint32_t steps = self->stage.grid->count;
    struct promql_eval *eval = self->stage.eval;

    if (self->values == NULL) {
        const enum err err = promql_eval_hold(eval, (uint64_t)steps * self->room);

        if (err != ERR_OK)
            return err;
        self->values = arena_alloc(eval->arena, (size_t)steps * self->room * sizeof(*self->values));
        self->counts = arena_alloc(eval->arena, (size_t)steps * sizeof(*self->counts));
        if (self->values == NULL || self->counts == NULL)
            return promql_eval_no_room(eval);
    }
    memset(self->counts, 0, (size_t)steps * sizeof(*self->counts));
    for (uint32_t i = self->first[group]; i != NONE; i = self->next[i]) {
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            const enum err err =
                promql_stage_column(self->child, (struct promql_cell){i, w}, &self->column);

            if (err != ERR_OK)
                return err;
            take_column(self, w);
        }
    }
    return ERR_OK;
}

static enum err quantile_column(struct promql_stage *stage, struct promql_cell cell,
                                struct promql_column *out)
{
    struct quantile_stage *self = (struct quantile_stage *)stage;
    const size_t first = (size_t)cell.window * PROMQL_WINDOW;
    enum err err = promql_scalar_arg_load(&self->param, cell.window);

    if (err == ERR_OK && cell.window == 0)
        err = read_group(self, cell.series);
    if (err == ERR_OK)
        err = promql_eval_check(stage->eval);
    if (err != ERR_OK)
        return err;
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    for (uint32_t i = 0; i < out->count; i++) {
        const uint32_t count = self->counts[first + i];
        const double q = self->param.column.v[i];

        out->v[i] = 0;
        if (count != 0)
            promql_column_add(
                out, i, promql_quantile_of(q, self->values + (first + i) * self->room, count));
    }
    return ERR_OK;
}

/* Warns of the least and the greatest parameter, and of NaN, if they are no quantiles. */
static enum err check_param(struct quantile_stage *self)
{
    const struct promql_expr *expr = self->expr->aggregate.param;
    const uint32_t windows = promql_grid_windows(self->stage.grid);
    double least = INFINITY, greatest = -INFINITY;
    bool has_nan = false;

    while (expr->kind == PROMQL_PAREN)
        expr = expr->paren;
    for (uint32_t w = 0; w < windows; w++) {
        const enum err err = promql_scalar_arg_load(&self->param, w);

        if (err != ERR_OK)
            return err;
        for (uint32_t i = 0; i < self->param.column.count; i++) {
            least = fmin(least, self->param.column.v[i]);
            greatest = fmax(greatest, self->param.column.v[i]);
            has_nan |= isnan(self->param.column.v[i]);
        }
    }
    if (has_nan)
        promql_quantile_warn(self->stage.eval, expr, NAN);
    if (greatest > 1)
        promql_quantile_warn(self->stage.eval, expr, greatest);
    if (least < 0)
        promql_quantile_warn(self->stage.eval, expr, least);
    return ERR_OK;
}

static const struct promql_stage_ops quantile_ops = {.column = quantile_column};

static enum err chain_groups(struct quantile_stage *self, const uint32_t *groups)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->child->series_count;
    uint32_t *sizes = ARENA_ARRAY(eval->arena, uint32_t, self->stage.series_count);

    self->first = arena_alloc(eval->arena, self->stage.series_count * sizeof(uint32_t));
    self->next = arena_alloc(eval->arena, count * sizeof(uint32_t));
    if (sizes == NULL || self->first == NULL || self->next == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t g = 0; g < self->stage.series_count; g++)
        self->first[g] = NONE;
    for (uint32_t i = count; i-- > 0;) {
        self->next[i] = self->first[groups[i]];
        self->first[groups[i]] = i;
        if (++sizes[groups[i]] > self->room)
            self->room = sizes[groups[i]];
    }
    return ERR_OK;
}

enum err promql_spread_quantile_new(struct promql_eval *eval, const struct promql_expr *expr,
                                    struct promql_operands operands, struct promql_stage **out)
{
    struct quantile_stage *self = ARENA_NEW(eval->arena, struct quantile_stage);
    struct promql_stage *child = operands.lhs;
    struct promql_index index;
    uint32_t *groups;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    err = promql_aggregate_group(child, expr, &index, &groups);
    if (err != ERR_OK)
        return err;
    self->stage =
        (struct promql_stage){&quantile_ops, eval, child->grid, index.sets, index.count, true};
    self->expr = expr;
    self->child = child;
    promql_scalar_arg_init(&self->param, operands.rhs);
    *out = &self->stage;
    err = check_param(self);
    return err == ERR_OK ? chain_groups(self, groups) : err;
}

/* ---- count_values ---- */

struct values_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    struct promql_stage *child;
    struct slice name;      /* of the label that takes the value */
    struct label_set *sets; /* [groups] */
    uint32_t *groups;       /* [child's series] */
    struct promql_index outputs;
    double **counts; /* [outputs][steps] */
    uint32_t counts_cap;
    /* The series under way: the value seen last and its output. */
    uint64_t last_bits;
    uint32_t last_output;
    struct promql_column column;
};

static enum err values_column(struct promql_stage *stage, struct promql_cell cell,
                              struct promql_column *out)
{
    const struct values_stage *self = (struct values_stage *)stage;
    const double *counts = self->counts[cell.series] + (size_t)cell.window * PROMQL_WINDOW;

    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    for (uint32_t i = 0; i < out->count; i++) {
        out->v[i] = 0;
        if (counts[i] != 0)
            promql_column_add(out, i, counts[i]);
    }
    return ERR_OK;
}

static const struct promql_stage_ops values_ops = {.column = values_column};

static enum err add_output(struct values_stage *self, uint32_t output)
{
    struct promql_eval *eval = self->stage.eval;
    const enum err err = promql_eval_hold(eval, self->stage.grid->count);

    if (err != ERR_OK)
        return err;
    if (output == self->counts_cap) {
        const uint32_t cap = self->counts_cap == 0 ? 64 : self->counts_cap * 2;

        self->counts = arena_grow(eval->arena, self->counts, self->counts_cap * sizeof(double *),
                                  cap * sizeof(double *));
        if (self->counts == NULL)
            return promql_eval_no_room(eval);
        self->counts_cap = cap;
    }
    self->counts[output] = ARENA_ARRAY(eval->arena, double, self->stage.grid->count);
    return self->counts[output] == NULL ? promql_eval_no_room(eval) : ERR_OK;
}

/* The output series of a value in a group. */
static enum err find_output(struct values_stage *self, uint32_t group, struct slice value)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->outputs.count;
    struct label_builder builder;
    enum err err;

    value = arena_copy(eval->arena, value);
    if (value.data == NULL)
        return promql_eval_no_room(eval);
    label_builder_init(&builder, eval->arena, self->sets[group]);
    label_builder_set(&builder, self->name, value);
    err = promql_index_add(&self->outputs, label_builder_set_view(&builder), &self->last_output);
    if (err == ERR_OK && builder.err != ERR_OK)
        err = promql_eval_no_room(eval);
    if (err == ERR_OK && self->last_output == count)
        err = add_output(self, count);
    return err;
}

static enum err find_histogram(struct values_stage *self, uint32_t group, const struct histogram *h)
{
    struct buf text;
    enum err err;

    buf_init(&text, 1 << 20);
    histogram_text_print(&text, h);
    err = text.err == ERR_OK ? find_output(self, group, buf_slice(&text)) : text.err;
    buf_fini(&text);
    return err;
}

static enum err count_column(struct values_stage *self, struct promql_cell at)
{
    const struct promql_column *column = &self->column;

    for (uint32_t i = 0; i < column->count; i++) {
        const uint64_t bits = sample_value_bits(column->v[i]);

        if (!promql_column_has(column, i))
            continue;
        if (promql_column_histogram(column, i) != NULL) {
            const enum err err =
                find_histogram(self, self->groups[at.series], column->histograms[i]);

            if (err != ERR_OK)
                return err;
        } else if (self->last_output == NONE || self->last_bits != bits) {
            char text[NUMBER_TEXT_SIZE];
            const size_t len = number_format_double(text, column->v[i], NUMBER_FIXED);
            const enum err err = find_output(self, self->groups[at.series], slice_of(text, len));

            if (err != ERR_OK)
                return err;
            self->last_bits = bits;
        }
        self->counts[self->last_output][(size_t)at.window * PROMQL_WINDOW + i]++;
        if (promql_column_histogram(column, i) != NULL)
            self->last_output = NONE; /* last_bits are no longer its value */
    }
    return ERR_OK;
}

/* Everything is read at once: until then nobody knows which series there are. */
static enum err count_all(struct values_stage *self)
{
    for (uint32_t i = 0; i < self->child->series_count; i++) {
        self->last_output = NONE;
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            const struct promql_cell at = {i, w};
            enum err err = promql_stage_column(self->child, at, &self->column);

            if (err == ERR_OK)
                err = count_column(self, at);
            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

enum err promql_spread_values_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_stage *child, struct promql_stage **out)
{
    struct values_stage *self = ARENA_NEW(eval->arena, struct values_stage);
    const struct promql_expr *param = expr->aggregate.param;
    struct promql_index index;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    while (param->kind == PROMQL_PAREN)
        param = param->paren;
    ASSERT(param->kind == PROMQL_STRING_LITERAL);
    if (!label_name_is_valid(param->string, LABEL_SCHEME_UTF8))
        return err_set(eval->info, ERR_EXEC, "invalid label name \"%.*s\"",
                       SLICE_ARG(param->string));
    err = promql_aggregate_group(child, expr, &index, &self->groups);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){.ops = &values_ops, .eval = eval, .grid = child->grid};
    self->expr = expr;
    self->child = child;
    self->name = param->string;
    self->sets = index.sets;
    promql_index_init(&self->outputs, eval);
    err = count_all(self);
    self->stage.labels = self->outputs.sets;
    self->stage.series_count = self->outputs.count;
    *out = &self->stage;
    return err;
}
