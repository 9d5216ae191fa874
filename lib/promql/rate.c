/* SPDX-License-Identifier: Apache-2.0 */

/* rate() and increase(): the samples of one window of steps lie in two arrays, over which two edges
 * slide; a step costs a few operations however long its range is.
 *
 * Counter resets: the value before each of them is added to last - first. A few are added one by
 * one, in upstream's order and so with its bits; many come from a running sum in double-double,
 * which loses nothing that a double could show. */

#include <math.h>

#include "base/utf8.h"
#include "promql/function.h"
#include "promql/stage.h"

enum { RESETS_DIRECT_MAX = 32, SAMPLES_CAP_MIN = 256 };

struct rate_stage {
    struct promql_stage stage;
    const struct promql_expr *call;
    struct promql_lens lens;
    int64_t range_ms;
    bool is_rate;
    struct promql_series_list list; /* with names */
    struct slice informed;          /* the last name that a person was told of */
    struct promql_feed feed;
    /* Samples that the steps of the window look at; no stale markers. */
    int64_t *t_ms;
    double *v;
    uint32_t count, cap;
    /* Where v[i] < v[i - 1], and sums of the v[i - 1] before each: [reset_count + 1]. */
    uint32_t *resets, reset_count;
    double *sum_high, *sum_low;
    bool has_sums;
};

/* Two edges over the samples: those of a step are [first, end), its resets [reset_first, end). */
struct edges {
    uint32_t first, end, reset_first, reset_end;
};

static enum err rate_grow(struct rate_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t old = self->cap, cap = old == 0 ? SAMPLES_CAP_MIN : old * 2;
    const size_t size = sizeof(double);
    enum err err = promql_eval_hold(eval, cap - old);

    if (err != ERR_OK)
        return err;
    self->t_ms = arena_grow(eval->arena, self->t_ms, old * sizeof(int64_t), cap * sizeof(int64_t));
    self->v = arena_grow(eval->arena, self->v, old * size, cap * size);
    self->resets =
        arena_grow(eval->arena, self->resets, old * sizeof(uint32_t), cap * sizeof(uint32_t));
    self->sum_high = arena_grow(eval->arena, self->sum_high, old * size, cap * size);
    self->sum_low = arena_grow(eval->arena, self->sum_low, old * size, cap * size);
    if (self->t_ms == NULL || self->v == NULL || self->resets == NULL || self->sum_high == NULL ||
        self->sum_low == NULL)
        return promql_eval_no_room(eval);
    self->cap = cap;
    return ERR_OK;
}

/* Appends samples [from, to) of the feed's batch, stale markers left out. */
static enum err rate_append(struct rate_stage *self, uint32_t from, uint32_t to)
{
    const struct sample_columns *batch = &self->feed.batch;

    if (batch->kind == SAMPLE_HISTOGRAM) {
        for (uint32_t i = from; i < to; i++) {
            if (!histogram_is_stale(batch->histograms[i]))
                return promql_eval_unsupported(self->stage.eval, self->call,
                                               self->is_rate ? "rate over native histograms"
                                                             : "increase over native histograms");
        }
        return ERR_OK;
    }
    while (self->cap - self->count < to - from) {
        const enum err err = rate_grow(self);

        if (err != ERR_OK)
            return err;
    }
    for (uint32_t i = from; i < to; i++) {
        self->t_ms[self->count] = batch->t_ms[i];
        self->v[self->count] = batch->v[i];
        self->count += !sample_value_is_stale(batch->v[i]);
    }
    return ERR_OK;
}

/* Takes in the samples of (open_ms, end_ms]; the feed stands behind all that were asked before. */
static enum err rate_load(struct rate_stage *self, int64_t open_ms, int64_t end_ms)
{
    struct promql_feed *feed = &self->feed;

    if (open_ms == INT64_MAX)
        return ERR_OK;
    while (promql_feed_load(feed, open_ms + 1)) {
        const struct sample_columns *batch = &feed->batch;
        uint32_t from = feed->at, to;
        enum err err;

        while (from < batch->count && batch->t_ms[from] <= open_ms)
            from++;
        to = from;
        while (to < batch->count && batch->t_ms[to] <= end_ms)
            to++;
        feed->at = to;
        err = rate_append(self, from, to);
        if (err != ERR_OK)
            return err;
        if (to < batch->count)
            return ERR_OK;
    }
    return feed->err;
}

/* Forgets samples at or before open_ms. */
static void rate_drop(struct rate_stage *self, int64_t open_ms)
{
    uint32_t first = 0;

    while (first < self->count && self->t_ms[first] <= open_ms)
        first++;
    self->count -= first;
    if (first == 0 || self->count == 0)
        return;
    memmove(self->t_ms, self->t_ms + first, self->count * sizeof(*self->t_ms));
    memmove(self->v, self->v + first, self->count * sizeof(*self->v));
}

static int64_t step_time(const struct rate_stage *self, struct promql_cell cell, uint32_t i)
{
    return promql_lens_time(&self->lens, self->stage.grid, cell.window * PROMQL_WINDOW + i);
}

static enum err rate_fill(struct rate_stage *self, struct promql_cell cell, uint32_t count)
{
    const int64_t first_ms = step_time(self, cell, 0);
    enum err err = ERR_OK;

    rate_drop(self, promql_time_sub(first_ms, self->range_ms));
    if (self->stage.grid->step_ms <= self->range_ms)
        return rate_load(self, promql_time_sub(first_ms, self->range_ms),
                         step_time(self, cell, count - 1));
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        const int64_t t_ms = step_time(self, cell, i);

        err = rate_load(self, promql_time_sub(t_ms, self->range_ms), t_ms);
    }
    return err;
}

static void find_resets(struct rate_stage *self)
{
    uint32_t count = 0;

    for (uint32_t i = 1; i < self->count; i++) {
        self->resets[count] = i;
        count += self->v[i] < self->v[i - 1];
    }
    self->reset_count = count;
    self->has_sums = false;
}

/* Running sums, exact to about 106 bits as long as nothing is infinite. */
static void sum_resets(struct rate_stage *self)
{
    double high = 0, low = 0;

    for (uint32_t i = 0; i < self->reset_count; i++) {
        const double x = self->v[self->resets[i] - 1];
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
        result += self->v[self->resets[i] - 1];
    return result;
}

/* The increase that was seen, stretched towards the edges of the range: all the way to an edge that
 * is less than 1.1 average gaps away, else by half a gap, and never below where a counter was zero.
 */
static double extrapolate(const struct rate_stage *self, const struct edges *edges, int64_t end_ms,
                          double result)
{
    const int64_t first_ms = self->t_ms[edges->first], last_ms = self->t_ms[edges->end - 1];
    const int64_t open_ms = promql_time_sub(end_ms, self->range_ms);
    const double sampled = (double)(last_ms - first_ms) / 1000;
    const double gap = sampled / (double)(edges->end - edges->first - 1);
    const double threshold = gap * 1.1;
    const double first_v = self->v[edges->first];
    double to_start = (double)(first_ms - open_ms) / 1000;
    double to_end = (double)(end_ms - last_ms) / 1000;
    double factor;

    if (to_start >= threshold)
        to_start = gap / 2;
    if (result > 0 && first_v >= 0) {
        const double to_zero = sampled * (first_v / result);

        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = gap / 2;
    factor = (sampled + to_start + to_end) / sampled;
    if (self->is_rate)
        factor /= (double)self->range_ms / 1000;
    return result * factor;
}

static void rate_steps(struct rate_stage *self, struct promql_cell cell, struct promql_column *out)
{
    struct edges edges = {0};

    for (uint32_t i = 0; i < out->count; i++) {
        const int64_t end_ms = step_time(self, cell, i);
        const int64_t open_ms = promql_time_sub(end_ms, self->range_ms);
        double result;

        while (edges.end < self->count && self->t_ms[edges.end] <= end_ms)
            edges.end++;
        while (edges.first < edges.end && self->t_ms[edges.first] <= open_ms)
            edges.first++;
        while (edges.reset_end < self->reset_count && self->resets[edges.reset_end] < edges.end)
            edges.reset_end++;
        while (edges.reset_first < edges.reset_end &&
               self->resets[edges.reset_first] <= edges.first)
            edges.reset_first++;
        out->v[i] = 0;
        if (edges.end - edges.first < 2)
            continue;
        result = self->v[edges.end - 1] - self->v[edges.first];
        result = add_resets(self, &edges, result);
        promql_column_add(out, i, extrapolate(self, &edges, end_ms, result));
    }
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
    const struct slice name = label_set_get(self->list.labels[series], SLICE(LABEL_METRIC_NAME));
    struct buf quoted;

    if (slice_eq(name, self->informed) || is_counter_name(name))
        return;
    self->informed = name;
    buf_init(&quoted, 900);
    utf8_quote(&quoted, name);
    promql_eval_info(self->stage.eval, self->call->call.args[0],
                     "metric might not be a counter, name does not end in "
                     "_total/_sum/_count/_bucket: %.*s",
                     SLICE_ARG(buf_slice(&quoted)));
    buf_fini(&quoted);
}

static enum err rate_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct rate_stage *self = (struct rate_stage *)stage;
    enum err err;

    if (cell.window == 0) {
        promql_feed_init(&self->feed, stage->eval, self->list.cursors[cell.series]);
        self->count = 0;
    }
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    err = rate_fill(self, cell, out->count);
    if (err != ERR_OK)
        return err;
    find_resets(self);
    rate_steps(self, cell, out);
    if (!promql_column_is_empty(out))
        inform(self, cell.series);
    return ERR_OK;
}

static const struct promql_stage_ops rate_ops = {.column = rate_column};

enum err promql_rate_new(struct promql_eval *eval, const struct promql_expr *call,
                         const struct promql_select *select, const struct promql_grid *grid,
                         struct promql_stage **out)
{
    struct rate_stage *self = ARENA_NEW(eval->arena, struct rate_stage);
    struct label_set *labels;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    err = promql_select_series(eval, select, grid, &self->list);
    if (err != ERR_OK)
        return err;
    err = promql_labels_drop_metadata(eval, self->list.labels, self->list.count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        .ops = &rate_ops,
        .eval = eval,
        .grid = grid,
        .labels = labels,
        .series_count = self->list.count,
    };
    for (uint32_t i = 0; i < self->list.count && !self->stage.may_fault; i++)
        self->stage.may_fault =
            !is_counter_name(label_set_get(self->list.labels[i], SLICE(LABEL_METRIC_NAME)));
    self->call = call;
    self->lens = select->lens;
    self->range_ms = select->range_ms;
    self->is_rate = call->call.function->id == PROMQL_FUNCTION_RATE;
    return promql_merge_new(eval, &self->stage, true, out);
}
