/* SPDX-License-Identifier: Apache-2.0 */

/* Selectors: asking the source for series, and the operator of an instant selector. */

#include "model/histogram_math.h"
#include "promql/stage.h"

struct selector_stage {
    struct promql_stage stage;
    struct promql_lens lens;
    bool gives_times;
    const char *floats_only;
    struct sample_cursor **cursors;
    struct promql_feed feed;
    /* The newest sample at or before the last step looked at. */
    bool has_last;
    int64_t last_t_ms;
    double last_v;
    const struct histogram *last_histogram; /* copied when a step needs it */
    bool last_is_copied;
};

static void fill_hints(const struct promql_select *select, const struct promql_grid *grid,
                       struct source_hints *hints)
{
    hints->step_ms = grid->count > 1 ? grid->step_ms : 0;
    hints->range_ms = select->range_ms;
    hints->function = select->function;
    if (select->around != NULL) {
        hints->grouping = select->around->grouping.names;
        hints->grouping_count = select->around->grouping.count;
        hints->grouping_by = !select->around->is_without;
    }
}

/* The list grows by doubling; the source need not know its length beforehand. */
static enum err list_add(struct promql_eval *eval, struct promql_series_list *list, uint32_t *cap,
                         const struct source_series *series)
{
    struct label_set *labels = (struct label_set *)list->labels;

    if (list->count == *cap) {
        const uint32_t grown = *cap == 0 ? 64 : *cap * 2;

        labels = arena_grow(eval->arena, labels, *cap * sizeof(*labels), grown * sizeof(*labels));
        list->cursors = arena_grow(eval->arena, list->cursors, *cap * sizeof(*list->cursors),
                                   grown * sizeof(*list->cursors));
        if (labels == NULL || list->cursors == NULL)
            return promql_eval_no_room(eval);
        list->labels = labels;
        *cap = grown;
    }
    labels[list->count] = series->labels;
    list->cursors[list->count++] = series->cursor;
    return ERR_OK;
}

static enum err read_stream(struct promql_eval *eval, struct series_stream *stream,
                            struct promql_series_list *out)
{
    struct source_series series;
    uint32_t cap = 0;
    enum err err;

    while (series_stream_next(stream, &series)) {
        if (out->count % 1024 == 0) {
            err = promql_eval_check(eval);
            if (err != ERR_OK)
                return err;
        }
        if (out->count == UINT32_MAX / 2)
            return err_set(eval->info, ERR_LIMIT, "too many series");
        err = list_add(eval, out, &cap, &series);
        if (err != ERR_OK)
            return err;
    }
    if (stream->err != ERR_OK)
        return err_set(eval->info, stream->err, "%s", err_message(stream->err, &stream->info));
    return ERR_OK;
}

enum err promql_select_series(struct promql_eval *eval, const struct promql_select *select,
                              const struct promql_grid *grid, struct promql_series_list *out)
{
    const struct promql_selector *selector = &select->selector->selector;
    const struct matcher_list matchers = {selector->matchers, selector->matcher_count};
    const int64_t back_ms = select->range_ms != 0 ? select->range_ms : eval->lookback_ms;
    const int64_t first_ms = promql_lens_time(&select->lens, grid, 0);
    /* Lookback and ranges are open on the left. */
    const int64_t t_min = promql_time_sub(first_ms, back_ms - 1);
    const int64_t t_max = promql_lens_time(&select->lens, grid, grid->count - 1);
    struct source *source = eval->options->source;
    struct series_stream *stream = NULL;
    struct source_hints hints = {0};
    struct source_ctx *ctx = ARENA_NEW(eval->arena, struct source_ctx);
    enum err err;

    if (ctx == NULL)
        return promql_eval_no_room(eval);
    *ctx = eval->ctx;
    *out = (struct promql_series_list){0};
    fill_hints(select, grid, &hints);
    err = source->ops->select(source, ctx, matchers, t_min, t_max, &hints, &stream, eval->info);
    if (err != ERR_OK)
        return err;
    return read_stream(eval, stream, out);
}

static enum err store_histogram(struct selector_stage *self, uint32_t step,
                                struct promql_column *out)
{
    struct promql_eval *eval = self->stage.eval;

    if (!self->last_is_copied) {
        self->last_histogram = histogram_to_float(eval->arena, self->last_histogram);
        if (self->last_histogram == NULL)
            return promql_eval_no_room(eval);
        self->last_is_copied = true;
    }
    return promql_column_add_histogram(eval, out, step, self->last_histogram);
}

/* Takes in the samples up to t_ms, of which those before wanted_ms do not matter. */
static enum err advance(struct selector_stage *self, int64_t wanted_ms, int64_t t_ms)
{
    struct promql_feed *feed = &self->feed;
    const struct sample_columns *batch = &feed->batch;

    while (promql_feed_load(feed, wanted_ms)) {
        uint32_t at = feed->at;

        while (at < batch->count && batch->t_ms[at] <= t_ms)
            at++;
        if (at > feed->at) {
            const bool is_float = batch->kind == SAMPLE_FLOAT;

            self->has_last = true;
            self->last_t_ms = batch->t_ms[at - 1];
            self->last_v = is_float ? batch->v[at - 1] : 0;
            self->last_histogram = is_float ? NULL : batch->histograms[at - 1];
            self->last_is_copied = false;
        }
        feed->at = at;
        if (at < batch->count)
            break;
        /* The next batch may take the histogram's memory. */
        if (self->has_last && self->last_histogram != NULL && !self->last_is_copied) {
            self->last_histogram =
                histogram_to_float(self->stage.eval->arena, self->last_histogram);
            if (self->last_histogram == NULL)
                return promql_eval_no_room(self->stage.eval);
            self->last_is_copied = true;
        }
    }
    return feed->err;
}

/* How many steps from one at t_ms on have no value, given that this one has none: the next sample
 * decides. So a long quiet grid costs its samples, not its steps. */
static uint32_t quiet_steps(const struct selector_stage *self, int64_t t_ms, uint32_t steps_left)
{
    const struct promql_feed *feed = &self->feed;
    int64_t gap_ms, steps;

    if (self->lens.is_pinned || feed->at == feed->batch.count)
        return steps_left;
    gap_ms = promql_time_sub(feed->batch.t_ms[feed->at], t_ms);
    ASSERT(gap_ms > 0);
    steps = (gap_ms - 1) / self->stage.grid->step_ms + 1;
    return steps < steps_left ? (uint32_t)steps : steps_left;
}

/* The newest sample as the value of a step. False in *has if it is none. */
static enum err take_last(struct selector_stage *self, uint32_t step, struct promql_column *out,
                          bool *has)
{
    const bool is_histogram = self->last_histogram != NULL;

    *has = is_histogram ? !histogram_is_stale(self->last_histogram)
                        : !sample_value_is_stale(self->last_v);
    if (!*has)
        return ERR_OK;
    if (is_histogram && self->floats_only != NULL)
        return err_set(self->stage.eval->info, ERR_EXEC, "%s should be float", self->floats_only);
    if (is_histogram && !self->gives_times)
        return store_histogram(self, step, out);
    promql_column_add(out, step, self->gives_times ? (double)self->last_t_ms / 1000 : self->last_v);
    return ERR_OK;
}

static enum err selector_column(struct promql_stage *stage, struct promql_cell cell,
                                struct promql_column *out)
{
    struct selector_stage *self = (struct selector_stage *)stage;
    const uint32_t first = cell.window * PROMQL_WINDOW;

    if (cell.window == 0) {
        promql_feed_init(&self->feed, stage->eval, self->cursors[cell.series]);
        self->has_last = false;
    }
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    memset(out->v, 0, out->count * sizeof(*out->v));
    for (uint32_t i = 0; i < out->count;) {
        const int64_t t_ms = promql_lens_time(&self->lens, stage->grid, first + i);
        const int64_t open_ms = promql_time_sub(t_ms, stage->eval->lookback_ms);
        enum err err = advance(self, open_ms, t_ms);
        bool has = false;

        if (err == ERR_OK && self->has_last && self->last_t_ms > open_ms)
            err = take_last(self, i, out, &has);
        if (err != ERR_OK)
            return err;
        i += has ? 1 : quiet_steps(self, t_ms, out->count - i);
    }
    return ERR_OK;
}

static const struct promql_stage_ops selector_ops = {.column = selector_column};

enum err promql_selector_new(struct promql_eval *eval, const struct promql_select *select,
                             const struct promql_grid *grid, struct promql_stage **out)
{
    struct promql_series_list list;
    struct selector_stage *self = ARENA_NEW(eval->arena, struct selector_stage);
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    err = promql_select_series(eval, select, grid, &list);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        .ops = &selector_ops,
        .eval = eval,
        .grid = grid,
        .labels = list.labels,
        .series_count = list.count,
    };
    self->lens = select->lens;
    self->gives_times = select->gives_times;
    self->floats_only = select->floats_only;
    self->cursors = list.cursors;
    *out = &self->stage;
    return ERR_OK;
}
