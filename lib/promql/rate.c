/* SPDX-License-Identifier: Apache-2.0 */

/* rate(), increase() and delta(): a step costs a few operations however long its range is.
 *
 * Counter resets: the value before each of them is added to last - first. A few are added one by
 * one, in upstream's order and so with its bits; many come from a running sum in double-double,
 * which loses nothing that a double could show. */

#include <math.h>

#include "model/histogram_math.h"
#include "promql/function.h"
#include "promql/samples.h"

enum { RESETS_DIRECT_MAX = 32 };

struct rate_stage {
    struct promql_stage stage;
    const struct promql_expr *call;
    bool is_counter, is_rate;
    struct slice informed; /* the last name that a person was told of */
    struct promql_samples samples;
    /* Where v[i] < v[i - 1], and sums of the v[i - 1] before each: [reset_count + 1]. */
    uint32_t reset_cap;
    uint32_t *resets, reset_count;
    double *sum_high, *sum_low;
    bool has_sums;
};

/* The samples of a step and its resets: [reset_first, reset_end). */
struct edges {
    struct promql_samples_step step;
    uint32_t reset_first, reset_end;
};

static enum err reserve_resets(struct rate_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t cap = self->samples.cap;

    if (self->reset_cap >= cap || !self->is_counter)
        return ERR_OK;
    self->resets = arena_alloc(eval->arena, cap * sizeof(uint32_t));
    self->sum_high = arena_alloc(eval->arena, cap * sizeof(double));
    self->sum_low = arena_alloc(eval->arena, cap * sizeof(double));
    if (self->resets == NULL || self->sum_high == NULL || self->sum_low == NULL)
        return promql_eval_no_room(eval);
    self->reset_cap = cap;
    return ERR_OK;
}

static void find_resets(struct rate_stage *self)
{
    const double *v = self->samples.v;
    uint32_t count = 0;

    for (uint32_t i = 1; i < self->samples.count && self->is_counter; i++) {
        self->resets[count] = i;
        count += v[i] < v[i - 1];
    }
    self->reset_count = count;
    self->has_sums = false;
}

/* Running sums, exact to about 106 bits as long as nothing is infinite. */
static void sum_resets(struct rate_stage *self)
{
    double high = 0, low = 0;

    for (uint32_t i = 0; i < self->reset_count; i++) {
        const double x = self->samples.v[self->resets[i] - 1];
        const double sum = high + x;
        const double part = sum - high;

        self->sum_high[i] = high;
        self->sum_low[i] = low;
        low += (high - (sum - part)) + (x - part);
        high = sum;
    }
    /* There is room: a reset needs two samples. */
    self->sum_high[self->reset_count] = high;
    self->sum_low[self->reset_count] = low;
    self->has_sums = true;
}

static double add_resets(struct rate_stage *self, const struct edges *edges, double result)
{
    const uint32_t first = edges->reset_first, end = edges->reset_end;

    if (end - first > RESETS_DIRECT_MAX) {
        if (!self->has_sums)
            sum_resets(self);
        if (isfinite(self->sum_high[end]) && isfinite(self->sum_low[end]))
            return result + ((self->sum_high[end] - self->sum_high[first]) +
                             (self->sum_low[end] - self->sum_low[first]));
    }
    for (uint32_t i = first; i < end; i++)
        result += self->samples.v[self->resets[i] - 1];
    return result;
}

/* The increase that was seen, stretched towards the edges of the range: all the way to an edge that
 * is less than 1.1 average gaps away, else by half a gap, and never below where a counter was zero.
 */
static double factor_of(const struct rate_stage *self, const struct promql_samples_step *step,
                        double first_v, double result)
{
    const int64_t first_ms = self->samples.t_ms[step->first];
    const int64_t last_ms = self->samples.t_ms[step->end - 1];
    const double sampled = (double)(last_ms - first_ms) / 1000;
    const double gap = sampled / (double)(step->end - step->first - 1);
    const double threshold = gap * 1.1;
    double to_start = (double)(first_ms - step->open_ms) / 1000;
    double to_end = (double)(step->end_ms - last_ms) / 1000;
    double factor;

    if (to_start >= threshold)
        to_start = gap / 2;
    if (self->is_counter && result > 0 && first_v >= 0) {
        const double to_zero = sampled * (first_v / result);

        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = gap / 2;
    factor = (sampled + to_start + to_end) / sampled;
    if (self->is_rate)
        factor /= (double)self->samples.range_ms / 1000;
    return factor;
}

static double extrapolate(const struct rate_stage *self, const struct promql_samples_step *step,
                          double result)
{
    return result * factor_of(self, step, self->samples.v[step->first], result);
}

/* A step with histograms among its samples. */
static enum err rate_histograms(struct rate_stage *self, const struct promql_samples_step *step,
                                uint32_t series, struct promql_column *out, uint32_t i)
{
    const struct promql_range_histograms range = {&self->samples, step, series};
    const struct histogram *result;
    double factor;
    enum err err;

    if (promql_samples_kind_of(&self->samples, step) == PROMQL_SAMPLES_MIXED) {
        promql_range_note(&range, true,
                          "encountered a mix of histograms and floats for metric name");
        return ERR_OK;
    }
    err = promql_range_increase(&range, self->is_counter, &result);
    if (err != ERR_OK || result == NULL)
        return err;
    factor = factor_of(self, step, self->samples.histograms[step->first]->f.count, result->f.count);
    return promql_column_add_histogram(
        self->stage.eval, out, i, histogram_multiplied(self->stage.eval->arena, result, factor));
}

static void slide_resets(const struct rate_stage *self, struct edges *edges)
{
    while (edges->reset_end < self->reset_count && self->resets[edges->reset_end] < edges->step.end)
        edges->reset_end++;
    while (edges->reset_first < edges->reset_end &&
           self->resets[edges->reset_first] <= edges->step.first)
        edges->reset_first++;
}

static enum err rate_steps(struct rate_stage *self, struct promql_cell cell,
                           struct promql_column *out, bool *has_floats)
{
    struct edges edges = {0};

    for (uint32_t i = 0; i < out->count; i++) {
        double result;

        promql_samples_slide(&self->samples, (struct promql_samples_at){i, cell.window},
                             &edges.step);
        slide_resets(self, &edges);
        out->v[i] = 0;
        if (edges.step.end - edges.step.first < 2)
            continue;
        if (promql_samples_kind_of(&self->samples, &edges.step) != PROMQL_SAMPLES_FLOATS) {
            const enum err err = rate_histograms(self, &edges.step, cell.series, out, i);

            if (err != ERR_OK)
                return err;
            continue;
        }
        *has_floats = true;
        result = self->samples.v[edges.step.end - 1] - self->samples.v[edges.step.first];
        if (self->is_counter)
            result = add_resets(self, &edges, result);
        promql_column_add(out, i, extrapolate(self, &edges.step, result));
    }
    return ERR_OK;
}

static bool is_counter_name(struct slice name)
{
    static const char *const suffixes[] = {"_total", "_sum", "_count", "_bucket"};

    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (slice_has_suffix(name, slice_from_cstr(suffixes[i])))
            return true;
    }
    return name.len == 0;
}

/* Tells a person, once a name, that it does not look like a counter's. */
static void inform(struct rate_stage *self, uint32_t series)
{
    const struct slice name =
        label_set_get(self->samples.list.labels[series], SLICE(LABEL_METRIC_NAME));
    static const struct promql_expr nowhere = {0}; /* upstream forgets where a subquery stands */
    const struct promql_expr *arg = self->call->call.args[0];

    while (arg->kind == PROMQL_PAREN)
        arg = arg->paren;
    if (slice_eq(name, self->informed) || is_counter_name(name))
        return;
    self->informed = name;
    promql_eval_note_name(
        self->stage.eval, arg->kind == PROMQL_SUBQUERY ? &nowhere : arg,
        &(struct promql_named_note){false,
                                    "metric might not be a counter, name does not end in "
                                    "_total/_sum/_count/_bucket:",
                                    name});
}

static enum err rate_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct rate_stage *self = (struct rate_stage *)stage;
    bool has_floats = false;
    enum err err;

    if (cell.window == 0)
        promql_samples_rewind(&self->samples, cell.series);
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    err = promql_samples_fill(&self->samples, cell.window, out->count);
    if (err == ERR_OK)
        err = reserve_resets(self);
    if (err != ERR_OK)
        return err;
    find_resets(self);
    err = rate_steps(self, cell, out, &has_floats);
    if (err == ERR_OK && self->is_counter && has_floats)
        inform(self, cell.series);
    return err;
}

static const struct promql_stage_ops rate_ops = {.column = rate_column};

enum err promql_rate_new(struct promql_eval *eval, const struct promql_expr *call,
                         const struct promql_range_input *input, const struct promql_grid *grid,
                         struct promql_stage **out)
{
    struct rate_stage *self = ARENA_NEW(eval->arena, struct rate_stage);
    const struct promql_series_list *list = &input->list;
    struct label_set *labels;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    err = promql_labels_drop_metadata(eval, list->labels, list->count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        .ops = &rate_ops,
        .eval = eval,
        .grid = grid,
        .labels = labels,
        .series_count = list->count,
        .may_fault = input->may_fault,
    };
    self->call = call;
    self->is_rate = call->call.function->id == PROMQL_FUNCTION_RATE;
    self->is_counter = call->call.function->id != PROMQL_FUNCTION_DELTA;
    for (uint32_t i = 0; i < list->count && self->is_counter && !self->stage.may_fault; i++)
        self->stage.may_fault =
            !is_counter_name(label_set_get(list->labels[i], SLICE(LABEL_METRIC_NAME)));
    promql_samples_init(&self->samples, &self->stage, call, input);
    return promql_merge_new(eval, &self->stage, true, out);
}
