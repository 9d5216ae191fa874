/* SPDX-License-Identifier: Apache-2.0 */

/* histogram_quantile() and histogram_fraction() over classic histograms: series that differ only in
 * `le` are the buckets of one. One histogram is held at a time, all its steps. */

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/utf8.h"
#include "promql/bucket.h"
#include "promql/quantile.h"
#include "promql/stage.h"

#define BUCKET_LABEL "le"

enum { PARAMS_MAX = 2 };

/* A series that is a bucket. */
struct classic_member {
    uint32_t group, series;
    double bound;
};

struct classic_stage {
    struct promql_stage stage;
    const struct promql_expr *call;
    const struct promql_expr *vector; /* the argument */
    struct promql_stage *child;
    struct promql_scalar_arg *params[PARAMS_MAX];
    bool is_fraction, is_drained;
    /* By group, within it by bound; those of group g begin at first[g]. */
    struct classic_member *members;
    uint32_t member_count;
    uint32_t *first;               /* [series_count + 1] */
    struct classic_member *strays; /* without a bound */
    uint32_t stray_count;
    /* The group under way. */
    uint32_t room;                 /* members of the largest group */
    double *values;                /* [steps][room] */
    bool *is_there;                /* [steps][room] */
    struct promql_bucket *scratch; /* [room] */
    struct promql_column column;
};

static enum err refuse_histograms(struct classic_stage *self)
{
    return promql_eval_unsupported(self->stage.eval, self->call,
                                   self->is_fraction ? "histogram_fraction of native histograms"
                                                     : "histogram_quantile of native histograms");
}

static enum err pull(struct classic_stage *self, struct promql_cell at)
{
    const enum err err = promql_stage_column(self->child, at, &self->column);

    if (err != ERR_OK || !self->column.has_histograms)
        return err;
    for (uint32_t i = 0; i < self->column.count; i++) {
        if (promql_column_has(&self->column, i) && self->column.histograms[i] != NULL)
            return refuse_histograms(self);
    }
    return ERR_OK;
}

/* A series that is no bucket is left out; a person hears of it if it has a value at all. */
static void warn_stray(struct classic_stage *self, uint32_t series)
{
    const struct label_set labels = self->child->labels[series];
    struct buf quoted[2];

    for (int i = 0; i < 2; i++) {
        buf_init(&quoted[i], 900);
        utf8_quote(&quoted[i],
                   label_set_get(labels, i == 0 ? SLICE(BUCKET_LABEL) : SLICE(LABEL_METRIC_NAME)));
    }
    promql_eval_warn(self->stage.eval, self->vector,
                     "bucket label \"" BUCKET_LABEL "\" is missing or has a malformed value of "
                     "%.*s for metric name %.*s",
                     SLICE_ARG(buf_slice(&quoted[0])), SLICE_ARG(buf_slice(&quoted[1])));
    buf_fini(&quoted[0]);
    buf_fini(&quoted[1]);
}

static enum err drain_strays(struct classic_stage *self)
{
    self->is_drained = true;
    for (uint32_t i = 0; i < self->stray_count; i++) {
        bool is_any = false;

        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            const enum err err = pull(self, (struct promql_cell){self->strays[i].series, w});

            if (err != ERR_OK)
                return err;
            is_any |= !promql_column_is_empty(&self->column);
        }
        if (is_any)
            warn_stray(self, self->strays[i].series);
    }
    return ERR_OK;
}

static enum err make_room(struct classic_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const size_t cells = (size_t)self->stage.grid->count * self->room;
    const enum err err = promql_eval_hold(eval, cells);

    if (err != ERR_OK)
        return err;
    self->values = arena_alloc(eval->arena, cells * sizeof(*self->values));
    self->is_there = arena_alloc(eval->arena, cells * sizeof(*self->is_there));
    self->scratch = arena_alloc(eval->arena, self->room * sizeof(*self->scratch));
    if (self->values == NULL || self->is_there == NULL || self->scratch == NULL)
        return promql_eval_no_room(eval);
    return ERR_OK;
}

static enum err read_group(struct classic_stage *self, uint32_t group)
{
    const uint32_t first = self->first[group], end = self->first[group + 1];
    enum err err = ERR_OK;

    if (self->values == NULL)
        err = make_room(self);
    for (uint32_t m = first; m < end && err == ERR_OK; m++) {
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid) && err == ERR_OK; w++) {
            const size_t step = (size_t)w * PROMQL_WINDOW;

            err = pull(self, (struct promql_cell){self->members[m].series, w});
            for (uint32_t i = 0; err == ERR_OK && i < self->column.count; i++) {
                const size_t cell = (step + i) * self->room + (m - first);

                self->values[cell] = self->column.v[i];
                self->is_there[cell] = promql_column_has(&self->column, i);
            }
        }
    }
    return err;
}

static double evaluate(struct classic_stage *self, struct promql_buckets *buckets, uint32_t step)
{
    const double param = self->params[0]->column.v[step];
    double result;

    if (self->is_fraction)
        return promql_bucket_fraction(buckets, param, self->params[1]->column.v[step]);
    result = promql_bucket_quantile(buckets, param);
    if (buckets->was_forced)
        promql_eval_info(self->stage.eval, self->vector,
                         "input to histogram_quantile needed to be fixed for monotonicity (see "
                         "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                         "#histogram_quantile)");
    return result;
}

static void group_steps(struct classic_stage *self, struct promql_cell cell,
                        struct promql_column *out)
{
    const uint32_t first = self->first[cell.series], end = self->first[cell.series + 1];

    for (uint32_t i = 0; i < out->count; i++) {
        const size_t at = ((size_t)cell.window * PROMQL_WINDOW + i) * self->room;
        struct promql_buckets buckets = {.items = self->scratch};

        out->v[i] = 0;
        for (uint32_t m = first; m < end; m++) {
            if (self->is_there[at + m - first])
                self->scratch[buckets.count++] =
                    (struct promql_bucket){self->members[m].bound, self->values[at + m - first]};
        }
        if (buckets.count != 0)
            promql_column_add(out, i, evaluate(self, &buckets, i));
    }
}

static enum err classic_column(struct promql_stage *stage, struct promql_cell cell,
                               struct promql_column *out)
{
    struct classic_stage *self = (struct classic_stage *)stage;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < PARAMS_MAX && err == ERR_OK && self->params[i] != NULL; i++)
        err = promql_scalar_arg_load(self->params[i], cell.window);
    if (err == ERR_OK && !self->is_drained)
        err = drain_strays(self);
    if (err == ERR_OK && cell.window == 0)
        err = read_group(self, cell.series);
    if (err == ERR_OK)
        err = promql_eval_check(stage->eval);
    if (err != ERR_OK)
        return err;
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    group_steps(self, cell, out);
    return ERR_OK;
}

static const struct promql_stage_ops classic_ops = {.column = classic_column};

/* ---- making the groups ---- */

static int by_group_and_bound(const void *x, const void *y)
{
    const struct classic_member *a = x, *b = y;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->bound != b->bound)
        return a->bound < b->bound ? -1 : 1;
    return a->series < b->series ? -1 : 1;
}

static enum err group_members(struct classic_stage *self, struct promql_index *index)
{
    const struct slice name = SLICE(BUCKET_LABEL);
    const struct promql_projection projection = {.names = {&name, 1}};
    struct promql_stage *child = self->child;

    for (uint32_t i = 0; i < child->series_count; i++) {
        struct classic_member member = {.series = i};
        struct label_set labels;
        enum err err;

        if (number_parse_double(label_set_get(child->labels[i], name), &member.bound) != ERR_OK ||
            isnan(member.bound)) {
            self->strays[self->stray_count++] = member;
            continue;
        }
        err = promql_labels_project(self->stage.eval, &projection, child->labels[i], &labels);
        if (err == ERR_OK)
            err = promql_index_add(index, labels, &member.group);
        if (err != ERR_OK)
            return err;
        self->members[self->member_count++] = member;
    }
    qsort(self->members, self->member_count, sizeof(*self->members), by_group_and_bound);
    return ERR_OK;
}

static enum err find_firsts(struct classic_stage *self, uint32_t group_count)
{
    self->first = ARENA_ARRAY(self->stage.eval->arena, uint32_t, (size_t)group_count + 1);
    if (self->first == NULL)
        return promql_eval_no_room(self->stage.eval);
    for (uint32_t i = 0; i < self->member_count; i++)
        self->first[self->members[i].group + 1]++;
    for (uint32_t g = 0; g < group_count; g++) {
        if (self->first[g + 1] > self->room)
            self->room = self->first[g + 1];
        self->first[g + 1] += self->first[g];
    }
    return ERR_OK;
}

static enum err init_params(struct classic_stage *self, struct promql_stage *const *params)
{
    for (uint32_t i = 0; i < (self->is_fraction ? 2 : 1); i++) {
        self->params[i] = ARENA_NEW(self->stage.eval->arena, struct promql_scalar_arg);
        if (self->params[i] == NULL)
            return promql_eval_no_room(self->stage.eval);
        promql_scalar_arg_init(self->params[i], params[i]);
    }
    return self->is_fraction ? ERR_OK
                             : promql_quantile_check(self->params[0], self->call->call.args[0]);
}

enum err promql_classic_new(struct promql_eval *eval, const struct promql_expr *call,
                            struct promql_stage *const *args, struct promql_stage **out)
{
    struct classic_stage *self = ARENA_NEW(eval->arena, struct classic_stage);
    const uint32_t last = call->call.arg_count - 1;
    struct promql_stage *child = args[last];
    struct label_set *labels;
    struct promql_index index;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){&classic_ops, eval, child->grid, NULL, 0, true};
    self->call = call;
    self->vector = call->call.args[last];
    while (self->vector->kind == PROMQL_PAREN)
        self->vector = self->vector->paren;
    self->child = child;
    self->is_fraction = call->call.function->id == PROMQL_FUNCTION_HISTOGRAM_FRACTION;
    self->members = arena_alloc(eval->arena, child->series_count * sizeof(*self->members));
    self->strays = arena_alloc(eval->arena, child->series_count * sizeof(*self->strays));
    if (self->members == NULL || self->strays == NULL)
        return promql_eval_no_room(eval);
    promql_index_init(&index, eval);
    err = init_params(self, args);
    if (err == ERR_OK)
        err = group_members(self, &index);
    if (err == ERR_OK)
        err = find_firsts(self, index.count);
    if (err == ERR_OK)
        err = promql_labels_drop_metadata(eval, index.sets, index.count, &labels);
    /* With nothing but strays no one will pull. */
    if (err == ERR_OK && index.count == 0)
        err = drain_strays(self);
    if (err != ERR_OK)
        return err;
    self->stage.labels = labels;
    self->stage.series_count = index.count;
    return promql_merge_new(eval, &self->stage, false, out);
}
