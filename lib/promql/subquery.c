/* SPDX-License-Identifier: Apache-2.0 */

/* Subqueries: an operator evaluated on a grid of its own, read through cursors as if its values
 * were stored samples. So whatever takes a range takes a subquery.
 *
 * The cursors of one subquery share a column: like those of a source, they are read one at a time,
 * each from its beginning. */

#include "promql/stage.h"

struct subquery {
    struct promql_stage *stage;
    struct promql_column column;
};

struct subquery_cursor {
    struct sample_cursor cursor;
    struct subquery *subquery;
    uint32_t series, window, at; /* the next step: of the window */
    bool is_loaded;              /* the column holds the window */
    int64_t wanted_ms;
};

static bool load_window(struct subquery_cursor *self)
{
    struct subquery *subquery = self->subquery;

    if (self->window == promql_grid_windows(subquery->stage->grid))
        return false;
    self->cursor.err = promql_stage_column(
        subquery->stage, (struct promql_cell){self->series, self->window}, &subquery->column);
    self->is_loaded = self->cursor.err == ERR_OK;
    self->at = 0;
    return self->is_loaded;
}

/* What is between two steps is unknown, and so is whether a counter was reset there. */
static const struct histogram *without_hint(struct promql_eval *eval, const struct histogram *h)
{
    struct histogram *copy;

    if (h->reset != HISTOGRAM_RESET_YES && h->reset != HISTOGRAM_RESET_NO)
        return h;
    copy = ARENA_NEW(eval->arena, struct histogram);
    if (copy == NULL)
        return h; /* the arena's error ends the query */
    *copy = *h;
    copy->reset = HISTOGRAM_RESET_UNKNOWN;
    return copy;
}

/* Takes steps of the window until the batch is full or the next value is of another kind. */
static void take_steps(struct subquery_cursor *self, struct sample_columns *out)
{
    const struct promql_grid *grid = self->subquery->stage->grid;
    const struct promql_column *column = &self->subquery->column;

    for (; self->at < column->count && out->count < SOURCE_BATCH; self->at++) {
        const int64_t t_ms = promql_grid_time(grid, self->window * PROMQL_WINDOW + self->at);
        const struct histogram *histogram =
            column->has_histograms ? column->histograms[self->at] : NULL;
        const enum sample_kind kind = histogram == NULL ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM;

        if (!promql_column_has(column, self->at) || t_ms < self->wanted_ms)
            continue;
        if (out->count == 0)
            out->kind = kind;
        else if (out->kind != kind)
            return;
        out->t_ms[out->count] = t_ms;
        if (histogram == NULL)
            out->v[out->count++] = column->v[self->at];
        else
            out->histograms[out->count++] = without_hint(self->subquery->stage->eval, histogram);
    }
}

static bool subquery_next(struct sample_cursor *cursor, struct sample_columns *out)
{
    struct subquery_cursor *self = (struct subquery_cursor *)cursor;

    out->count = 0;
    out->start_t_ms = NULL;
    while (self->is_loaded || load_window(self)) {
        take_steps(self, out);
        if (self->at == self->subquery->column.count) {
            self->is_loaded = false;
            self->window++;
        }
        if (out->count != 0)
            return true;
    }
    return false;
}

/* Operators are pulled window by window, so a jump only leaves values out. */
static void subquery_seek(struct sample_cursor *cursor, int64_t t_ms)
{
    ((struct subquery_cursor *)cursor)->wanted_ms = t_ms;
}

static const struct sample_cursor_ops subquery_ops = {subquery_next, subquery_seek};

bool promql_subquery_is(const struct sample_cursor *cursor)
{
    return cursor->ops == &subquery_ops;
}

enum err promql_subquery_list(struct promql_stage *stage, struct promql_series_list *out)
{
    struct promql_eval *eval = stage->eval;
    struct subquery *subquery = ARENA_NEW(eval->arena, struct subquery);
    struct subquery_cursor *cursors =
        ARENA_ARRAY(eval->arena, struct subquery_cursor, stage->series_count);

    *out = (struct promql_series_list){
        .labels = stage->labels,
        .cursors = ARENA_ARRAY(eval->arena, struct sample_cursor *, stage->series_count),
        .count = stage->series_count,
    };
    if (subquery == NULL || cursors == NULL || out->cursors == NULL)
        return promql_eval_no_room(eval);
    subquery->stage = stage;
    for (uint32_t i = 0; i < stage->series_count; i++) {
        cursors[i] = (struct subquery_cursor){
            .cursor = {.ops = &subquery_ops},
            .subquery = subquery,
            .series = i,
            .wanted_ms = INT64_MIN,
        };
        out->cursors[i] = &cursors[i].cursor;
    }
    return ERR_OK;
}

/* The first multiple of step after t_ms. */
static int64_t first_after(int64_t t_ms, int64_t step_ms)
{
    const int64_t below = t_ms - (t_ms % step_ms + step_ms) % step_ms;

    return below + step_ms;
}

enum err promql_subquery_grid(struct promql_eval *eval, const struct promql_range_input *input,
                              const struct promql_grid *outer, struct promql_grid *out)
{
    const int64_t first_ms = promql_lens_time(&input->lens, outer, 0);
    const int64_t end_ms = promql_lens_time(&input->lens, outer, outer->count - 1);
    const int64_t open_ms = promql_time_sub(first_ms, input->range_ms);
    int64_t steps;

    /* Far from where any sample can be, so that no time below can overflow. */
    if (open_ms < INT64_MIN / 4 || end_ms > INT64_MAX / 4 || out->step_ms > INT64_MAX / 4) {
        out->count = 0;
        return ERR_OK;
    }
    out->start_ms = first_after(open_ms, out->step_ms);
    steps = end_ms < out->start_ms ? 0 : (end_ms - out->start_ms) / out->step_ms + 1;
    if (steps > INT32_MAX)
        return err_set(eval->info, ERR_LIMIT, "a subquery of more than %d steps", INT32_MAX);
    out->count = (uint32_t)steps;
    return ERR_OK;
}
