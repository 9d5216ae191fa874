/* SPDX-License-Identifier: Apache-2.0 */

/* histogram_quantile(), histogram_quantiles() and histogram_fraction(), over classic and native
 * histograms. */

#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "promql/bucket_groups.h"
#include "promql/native.h"
#include "promql/quantile.h"

struct classic_stage {
    struct promql_stage stage;        /* of each group, a series for each quantile */
    const struct promql_expr *vector; /* the argument */
    struct promql_bucket_groups groups;
    struct promql_scalar_arg *params[PROMQL_CLASSIC_PARAMS_MAX];
    uint32_t param_count;
    bool is_fraction;
    /* histogram_quantiles(): all values that its parameters have, each once. */
    double *quantiles;
    uint32_t quantile_count; /* 1 of the others */
};

/* ---- values ---- */

static void inform(struct classic_stage *self, enum promql_native_note note)
{
    static const char *const texts[] = {
        [PROMQL_NATIVE_NAN_RESULT] =
            "input to histogram_quantile has NaN observations, result is NaN",
        [PROMQL_NATIVE_NAN_SKEW] =
            "input to histogram_quantile has NaN observations, result is skewed higher",
        [PROMQL_NATIVE_NANS_LEFT_OUT] = "input to histogram_fraction has NaN observations, which "
                                        "are excluded from all fractions",
    };
    const struct slice name =
        label_set_get(self->groups.labels[self->groups.current], SLICE(LABEL_METRIC_NAME));
    char named[160];

    if (note == PROMQL_NATIVE_FINE)
        return;
    if (name.len == 0) {
        promql_eval_info(self->stage.eval, self->vector, "%s", texts[note]);
        return;
    }
    snprintf(named, sizeof(named), "%s for metric name", texts[note]);
    promql_eval_note_name(self->stage.eval, self->vector,
                          &(struct promql_named_note){false, named, name});
}

static double quantile_of(struct classic_stage *self, struct promql_bucket_step *step, double q)
{
    enum promql_native_note note;
    double result;

    if (step->native != NULL) {
        result = promql_native_quantile(step->native, q, &note);
        inform(self, note);
        return result;
    }
    result = promql_bucket_quantile(&step->classic, q);
    if (step->classic.was_forced)
        promql_eval_info(self->stage.eval, self->vector,
                         "input to histogram_quantile needed to be fixed for monotonicity (see "
                         "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                         "#histogram_quantile)");
    return result;
}

static double fraction_of(struct classic_stage *self, struct promql_bucket_step *step, uint32_t i)
{
    const double lower = self->params[0]->column.v[i], upper = self->params[1]->column.v[i];
    enum promql_native_note note;
    double result;

    if (step->native == NULL)
        return promql_bucket_fraction(&step->classic, lower, upper);
    result = promql_native_fraction(step->native, lower, upper, &note);
    inform(self, note);
    return result;
}

/* ---- several quantiles ---- */

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* How many parameters have a quantile at a step. */
static uint32_t count_params(const struct classic_stage *self, double q, uint32_t step)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->param_count; i++)
        count += is_same(self->params[i]->column.v[step], q);
    return count;
}

static enum err add_quantile(struct classic_stage *self, double q)
{
    const uint32_t count = self->quantile_count;
    double *grown = self->quantiles;

    for (uint32_t i = 0; i < count; i++) {
        if (is_same(grown[i], q))
            return ERR_OK;
    }
    if ((count & (count - 1)) == 0)
        grown = arena_grow(self->stage.eval->arena, grown, count * sizeof(*grown),
                           (count == 0 ? 1 : (size_t)count * 2) * sizeof(*grown));
    if (grown == NULL)
        return promql_eval_no_room(self->stage.eval);
    grown[count] = q;
    self->quantiles = grown;
    self->quantile_count++;
    return ERR_OK;
}

static enum err find_quantiles(struct classic_stage *self)
{
    for (uint32_t p = 0; p < self->param_count; p++) {
        struct promql_scalar_arg *param = self->params[p];

        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            enum err err = promql_scalar_arg_load(param, w);

            for (uint32_t i = 0; i < param->column.count && err == ERR_OK; i++)
                err = add_quantile(self, param->column.v[i]);
            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* "0.5", "1.0": always with a point or an exponent. */
static struct slice quantile_text(struct arena *arena, double q)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t len = number_format_double(text, q, NUMBER_G);
    const bool is_whole =
        isfinite(q) && memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL;

    return arena_printf(arena, "%.*s%s", (int)len, text, is_whole ? ".0" : "");
}

/* A series of each group for each quantile. */
static enum err label_quantiles(struct classic_stage *self, struct slice name,
                                struct label_set **labels)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t group_count = self->groups.count;
    struct label_set *made =
        arena_alloc(eval->arena, (size_t)group_count * self->quantile_count * sizeof(*made));
    uint32_t count = 0;

    if (made == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t g = 0; g < group_count; g++) {
        for (uint32_t q = 0; q < self->quantile_count; q++) {
            struct label_builder builder;

            label_builder_init(&builder, eval->arena, (*labels)[g]);
            label_builder_set(&builder, name, quantile_text(eval->arena, self->quantiles[q]));
            made[count++] = label_set_copy(eval->arena, label_builder_set_view(&builder));
            if (builder.err != ERR_OK)
                return promql_eval_no_room(eval);
        }
    }
    *labels = made;
    return ERR_OK;
}

/* ---- the operator ---- */

static enum err fail_doubled(struct classic_stage *self)
{
    return err_set(self->stage.eval->info, ERR_EXEC,
                   "vector cannot contain metrics with the same labelset");
}

static enum err group_steps(struct classic_stage *self, struct promql_cell cell,
                            struct promql_column *out)
{
    const double *q =
        self->quantiles == NULL ? NULL : &self->quantiles[cell.series % self->quantile_count];

    for (uint32_t i = 0; i < out->count; i++) {
        const uint32_t params = q == NULL ? 1 : count_params(self, *q, i);
        struct promql_bucket_step step;

        out->v[i] = 0;
        if (params == 0)
            continue;
        promql_bucket_groups_step(&self->groups, cell.window * PROMQL_WINDOW + i, &step);
        if (step.native == NULL && step.classic.count == 0)
            continue;
        if (params > 1)
            return fail_doubled(self);
        promql_column_add(
            out, i,
            self->is_fraction
                ? fraction_of(self, &step, i)
                : quantile_of(self, &step, q != NULL ? *q : self->params[0]->column.v[i]));
    }
    return ERR_OK;
}

static enum err classic_column(struct promql_stage *stage, struct promql_cell cell,
                               struct promql_column *out)
{
    struct classic_stage *self = (struct classic_stage *)stage;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < self->param_count && err == ERR_OK; i++)
        err = promql_scalar_arg_load(self->params[i], cell.window);
    if (err == ERR_OK)
        err = promql_bucket_groups_read(&self->groups, cell.series / self->quantile_count);
    if (err == ERR_OK)
        err = promql_eval_check(stage->eval);
    if (err != ERR_OK)
        return err;
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    return group_steps(self, cell, out);
}

static const struct promql_stage_ops classic_ops = {.column = classic_column};

static enum err init_params(struct classic_stage *self, const struct promql_classic_args *args,
                            const struct promql_expr *call)
{
    const uint32_t first = call->call.arg_count - args->param_count; /* of quantiles */
    enum err err = ERR_OK;

    self->param_count = args->param_count;
    for (uint32_t i = 0; i < args->param_count && err == ERR_OK; i++) {
        self->params[i] = ARENA_NEW(self->stage.eval->arena, struct promql_scalar_arg);
        if (self->params[i] == NULL)
            return promql_eval_no_room(self->stage.eval);
        promql_scalar_arg_init(self->params[i], args->params[i]);
        if (!self->is_fraction)
            err = promql_quantile_check(self->params[i],
                                        call->call.args[args->has_label ? first + i : i]);
    }
    return err;
}

enum err promql_classic_new(struct promql_eval *eval, const struct promql_expr *call,
                            const struct promql_classic_args *args, struct promql_stage **out)
{
    struct classic_stage *self = ARENA_NEW(eval->arena, struct classic_stage);
    struct promql_stage *child = args->vector;
    struct label_set *labels;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){&classic_ops, eval, child->grid, NULL, 0, true};
    self->vector = args->place;
    self->is_fraction = call->call.function->id == PROMQL_FUNCTION_HISTOGRAM_FRACTION;
    err = init_params(self, args, call);
    if (err == ERR_OK)
        err = promql_bucket_groups_init(&self->groups, child, args->place);
    if (err == ERR_OK)
        err = promql_labels_drop_metadata(eval, self->groups.labels, self->groups.count, &labels);
    if (err == ERR_OK && args->has_label)
        err = find_quantiles(self);
    if (err == ERR_OK && args->has_label)
        err = label_quantiles(self, args->label, &labels);
    if (err != ERR_OK)
        return err;
    if (!args->has_label)
        self->quantile_count = 1;
    self->stage.labels = labels;
    self->stage.series_count = self->groups.count * self->quantile_count;
    return promql_merge_new(eval, &self->stage, false, out);
}
