/* SPDX-License-Identifier: Apache-2.0 */

/* Functions of ranges other than rate and its kin. Most need a step's first and last samples or
 * counts up to them. Sums, minima and maxima slide: the samples of a step are seen as a back part,
 * whose totals up to its end are kept for each of its samples, and a front part, which grows; once
 * the back is used up, the front becomes the new back. So each sample is added twice, whatever the
 * range, and nothing is ever subtracted. Short ranges, and sums that overflow, are added one by one
 * in upstream's order, which gives upstream's bits. */

#include <math.h>
#include <stdlib.h>

#include "model/histogram_math.h"
#include "promql/quantile.h"
#include "promql/regression.h"
#include "promql/samples.h"
#include "promql/sum.h"

enum { DIRECT_MAX = 32, PARAMS_MAX = 2 };

struct over_stage;

/* Sets *result from the samples of a step, of which there is at least one; false: no value. */
typedef bool over_fn(struct over_stage *self, const struct promql_samples_step *step,
                     double *result);

/* What the back part's samples and all behind them come to; low: of a compensated sum. */
struct total {
    double v, low;
};

struct over_function {
    enum promql_function_id id;
    over_fn *fn;
    bool keeps_name, takes_all; /* takes_all: histograms count like floats */
};

struct over_stage {
    struct promql_stage stage;
    const struct promql_expr *call;
    const struct over_function *function;
    struct promql_samples samples;
    struct promql_scalar_arg *params[PARAMS_MAX];
    uint32_t param_count;
    double param[PARAMS_MAX]; /* at the step under way */
    int64_t now_ms;           /* of evaluation */
    /* Sliding. */
    struct total *back; /* [samples.cap]; [back_first, back_end) are known */
    uint32_t back_end, front_end;
    struct total front;
    uint32_t *changes; /* [samples.cap] how many up to there */
    double *scratch;   /* [samples.cap] */
    uint32_t cap;
    double *float_v; /* [float_cap] of a step that has histograms too */
    int64_t *float_t_ms;
    uint32_t float_cap;
    enum err err;
};

static const double *values(const struct over_stage *self, const struct promql_samples_step *step)
{
    return self->samples.v + step->first;
}

static uint32_t count_of(const struct promql_samples_step *step)
{
    return step->end - step->first;
}

static double seconds_of(const struct over_stage *self, uint32_t sample)
{
    return (double)self->samples.t_ms[sample] / 1000;
}

/* ---- one sample, or how many ---- */

static bool over_count(struct over_stage *self, const struct promql_samples_step *step,
                       double *result)
{
    (void)self;
    *result = count_of(step);
    return true;
}

static bool over_present(struct over_stage *self, const struct promql_samples_step *step,
                         double *result)
{
    (void)self;
    (void)step;
    *result = 1;
    return true;
}

static bool over_first(struct over_stage *self, const struct promql_samples_step *step,
                       double *result)
{
    *result = self->samples.v[step->first];
    return true;
}

static bool over_last(struct over_stage *self, const struct promql_samples_step *step,
                      double *result)
{
    *result = self->samples.v[step->end - 1];
    return true;
}

static bool over_ts_of_first(struct over_stage *self, const struct promql_samples_step *step,
                             double *result)
{
    *result = seconds_of(self, step->first);
    return true;
}

static bool over_ts_of_last(struct over_stage *self, const struct promql_samples_step *step,
                            double *result)
{
    *result = seconds_of(self, step->end - 1);
    return true;
}

static bool over_instant(struct over_stage *self, const struct promql_samples_step *step,
                         double *result)
{
    const bool is_rate = self->function->id == PROMQL_FUNCTION_IRATE;
    const double *v = self->samples.v + step->end - 2;
    const int64_t *t_ms = self->samples.t_ms + step->end - 2;

    if (count_of(step) < 2 || t_ms[0] == t_ms[1])
        return false;
    *result = is_rate && v[1] < v[0] ? v[1] : v[1] - v[0];
    if (is_rate)
        *result /= (double)(t_ms[1] - t_ms[0]) / 1000;
    return true;
}

/* changes() and resets(): counted up to each sample when the window is loaded. */
static bool over_changes(struct over_stage *self, const struct promql_samples_step *step,
                         double *result)
{
    *result = self->changes[step->end - 1] - self->changes[step->first];
    return true;
}

static bool histogram_differs(const struct over_stage *self, uint32_t i, bool only_falls)
{
    const struct histogram *h = self->samples.histograms[i];
    const struct histogram *before = self->samples.histograms[i - 1];

    if (h == NULL || before == NULL)
        return true;
    return only_falls ? histogram_is_reset(h, before) : !histogram_eq(h, before);
}

static bool is_histogram(const struct over_stage *self, uint32_t i)
{
    return self->samples.histograms != NULL && self->samples.histograms[i] != NULL;
}

static void count_changes(struct over_stage *self)
{
    const double *v = self->samples.v;
    const bool only_falls = self->function->id == PROMQL_FUNCTION_RESETS;

    for (uint32_t i = 0; i < self->samples.count; i++) {
        bool differs = false;

        if (i > 0 && (is_histogram(self, i) || is_histogram(self, i - 1)))
            differs = histogram_differs(self, i, only_falls);
        else if (i > 0)
            differs = only_falls ? v[i] < v[i - 1]
                                 : v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
        self->changes[i] = (i > 0 ? self->changes[i - 1] : 0) + differs;
    }
}

/* ---- sliding ---- */

static struct total total_of(double v)
{
    return (struct total){v, 0};
}

/* Of equal ones the earlier stays; NaN gives way to anything. */
static struct total least(struct total a, struct total b)
{
    return a.v > b.v || isnan(a.v) ? b : a;
}

static struct total greatest(struct total a, struct total b)
{
    return a.v < b.v || isnan(a.v) ? b : a;
}

static struct total sum_of(struct total a, struct total b)
{
    promql_sum_add(b.v, &a.v, &a.low);
    if (!isinf(a.v))
        a.low += b.low;
    return a;
}

typedef struct total join_fn(struct total a, struct total b);

static inline struct total slide(struct over_stage *self, const struct promql_samples_step *step,
                                 join_fn *join)
{
    const double *v = self->samples.v;

    if (step->first >= self->back_end) {
        self->back_end = step->end;
        self->front_end = step->end;
        self->back[step->end - 1] = total_of(v[step->end - 1]);
        for (uint32_t i = step->end - 1; i-- > step->first;)
            self->back[i] = join(total_of(v[i]), self->back[i + 1]);
        return self->back[step->first];
    }
    for (; self->front_end < step->end; self->front_end++)
        self->front = self->front_end == self->back_end
                          ? total_of(v[self->front_end])
                          : join(self->front, total_of(v[self->front_end]));
    if (self->front_end == self->back_end)
        return self->back[step->first];
    return join(self->back[step->first], self->front);
}

static bool over_min(struct over_stage *self, const struct promql_samples_step *step,
                     double *result)
{
    *result = slide(self, step, least).v;
    return true;
}

static bool over_max(struct over_stage *self, const struct promql_samples_step *step,
                     double *result)
{
    *result = slide(self, step, greatest).v;
    return true;
}

/* The last of equal ones. */
static bool over_ts_of_extreme(struct over_stage *self, const struct promql_samples_step *step,
                               double *result)
{
    const bool is_min = self->function->id == PROMQL_FUNCTION_TS_OF_MIN_OVER_TIME;
    const double *v = self->samples.v;
    uint32_t best = step->first;

    for (uint32_t i = step->first + 1; i < step->end; i++) {
        if ((is_min ? v[i] <= v[best] : v[i] >= v[best]) || isnan(v[best]))
            best = i;
    }
    *result = seconds_of(self, best);
    return true;
}

static double add_one_by_one(const double *v, uint32_t count)
{
    double sum = 0, low = 0;

    for (uint32_t i = 0; i < count; i++)
        promql_sum_add(v[i], &sum, &low);
    return isinf(sum) ? sum : sum + low;
}

static bool over_sum(struct over_stage *self, const struct promql_samples_step *step,
                     double *result)
{
    if (count_of(step) > DIRECT_MAX) {
        const struct total sum = slide(self, step, sum_of);

        *result = sum.v + sum.low;
        if (isfinite(*result))
            return true;
    }
    *result = add_one_by_one(values(self, step), count_of(step));
    return true;
}

static bool over_avg(struct over_stage *self, const struct promql_samples_step *step,
                     double *result)
{
    if (count_of(step) > DIRECT_MAX) {
        const struct total sum = slide(self, step, sum_of);

        *result = sum.v / count_of(step) + sum.low / count_of(step);
        if (isfinite(*result))
            return true;
    }
    *result = promql_sum_mean(values(self, step), count_of(step));
    return true;
}

/* ---- all samples of a step at once ---- */

static bool over_variance(struct over_stage *self, const struct promql_samples_step *step,
                          double *result)
{
    const double *v = values(self, step);
    const double count = count_of(step);
    double mean = 0, mean_low = 0, squares = 0, squares_low = 0;

    for (uint32_t i = 0; i < count_of(step); i++) {
        const double delta = v[i] - (mean + mean_low);

        promql_sum_add(delta / (double)(i + 1), &mean, &mean_low);
        promql_sum_add(delta * (v[i] - (mean + mean_low)), &squares, &squares_low);
    }
    *result = (squares + squares_low) / count;
    if (self->function->id == PROMQL_FUNCTION_STDDEV_OVER_TIME)
        *result = sqrt(*result);
    return true;
}

static bool over_quantile(struct over_stage *self, const struct promql_samples_step *step,
                          double *result)
{
    const double q = self->param[0];

    if (promql_quantile_is_invalid(q))
        promql_quantile_warn(self->stage.eval, self->call->call.args[0], q);
    memcpy(self->scratch, values(self, step), count_of(step) * sizeof(double));
    *result = promql_quantile_of(q, self->scratch, count_of(step));
    return true;
}

/* The median distance from the median. */
static bool over_mad(struct over_stage *self, const struct promql_samples_step *step,
                     double *result)
{
    const uint32_t count = count_of(step);
    double median;

    memcpy(self->scratch, values(self, step), count * sizeof(double));
    for (uint32_t i = 0; i < count; i++) {
        *result = NAN;
        if (isnan(self->scratch[i]))
            return true;
    }
    median = promql_quantile_of(0.5, self->scratch, count);
    for (uint32_t i = 0; i < count; i++)
        self->scratch[i] = fabs(self->scratch[i] - median);
    *result = promql_quantile_of(0.5, self->scratch, count);
    return true;
}

static struct promql_regression fit(struct over_stage *self, const struct promql_samples_step *step,
                                    int64_t origin_ms)
{
    const struct promql_regression_points points = {self->samples.t_ms + step->first,
                                                    values(self, step), count_of(step)};

    return promql_regression_fit(&points, origin_ms);
}

static bool over_deriv(struct over_stage *self, const struct promql_samples_step *step,
                       double *result)
{
    if (count_of(step) < 2)
        return false;
    /* Times near zero, so that their squares lose nothing. */
    *result = fit(self, step, self->samples.t_ms[step->first]).slope;
    return true;
}

static bool over_predict(struct over_stage *self, const struct promql_samples_step *step,
                         double *result)
{
    struct promql_regression line;

    if (count_of(step) < 2)
        return false;
    line = fit(self, step, self->now_ms);
    *result = line.slope * self->param[0] + line.intercept;
    return true;
}

/* Holt's linear method. */
static bool over_smoothing(struct over_stage *self, const struct promql_samples_step *step,
                           double *result)
{
    const double smoothing = self->param[0], trend = self->param[1];
    const double *v = values(self, step);
    double level = v[0], slope, before = 0;

    if (!(smoothing > 0 && smoothing < 1) || !(trend > 0 && trend < 1)) {
        const bool is_trend = smoothing > 0 && smoothing < 1;

        self->err = err_set(
            self->stage.eval->info, ERR_EXEC, "invalid %s factor. Expected: 0 < %s < 1, got: %f",
            is_trend ? "trend" : "smoothing", is_trend ? "tf" : "sf", is_trend ? trend : smoothing);
        return false;
    }
    if (count_of(step) < 2)
        return false;
    slope = v[1] - v[0];
    for (uint32_t i = 1; i < count_of(step); i++) {
        double next;

        if (i > 1)
            slope = trend * (level - before) + (1 - trend) * slope;
        next = smoothing * v[i] + (1 - smoothing) * (level + slope);
        before = level;
        level = next;
    }
    *result = level;
    return true;
}

/* ---- the operator ---- */

static const struct over_function functions[] = {
    {PROMQL_FUNCTION_ABSENT_OVER_TIME, over_present, false, true},
    {PROMQL_FUNCTION_AVG_OVER_TIME, over_avg, false, false},
    {PROMQL_FUNCTION_CHANGES, over_changes, false, true},
    {PROMQL_FUNCTION_COUNT_OVER_TIME, over_count, false, true},
    {PROMQL_FUNCTION_DERIV, over_deriv, false, false},
    {PROMQL_FUNCTION_DOUBLE_EXPONENTIAL_SMOOTHING, over_smoothing, false, false},
    {PROMQL_FUNCTION_FIRST_OVER_TIME, over_first, true, false},
    {PROMQL_FUNCTION_IDELTA, over_instant, false, false},
    {PROMQL_FUNCTION_IRATE, over_instant, false, false},
    {PROMQL_FUNCTION_LAST_OVER_TIME, over_last, true, false},
    {PROMQL_FUNCTION_MAD_OVER_TIME, over_mad, false, false},
    {PROMQL_FUNCTION_MAX_OVER_TIME, over_max, false, false},
    {PROMQL_FUNCTION_MIN_OVER_TIME, over_min, false, false},
    {PROMQL_FUNCTION_PREDICT_LINEAR, over_predict, false, false},
    {PROMQL_FUNCTION_PRESENT_OVER_TIME, over_present, false, true},
    {PROMQL_FUNCTION_QUANTILE_OVER_TIME, over_quantile, false, false},
    {PROMQL_FUNCTION_RESETS, over_changes, false, true},
    {PROMQL_FUNCTION_STDDEV_OVER_TIME, over_variance, false, false},
    {PROMQL_FUNCTION_STDVAR_OVER_TIME, over_variance, false, false},
    {PROMQL_FUNCTION_SUM_OVER_TIME, over_sum, false, false},
    {PROMQL_FUNCTION_TS_OF_FIRST_OVER_TIME, over_ts_of_first, false, true},
    {PROMQL_FUNCTION_TS_OF_LAST_OVER_TIME, over_ts_of_last, false, true},
    {PROMQL_FUNCTION_TS_OF_MAX_OVER_TIME, over_ts_of_extreme, false, false},
    {PROMQL_FUNCTION_TS_OF_MIN_OVER_TIME, over_ts_of_extreme, false, false},
};

static const struct over_function *find_function(enum promql_function_id id)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        if (functions[i].id == id)
            return &functions[i];
    }
    return NULL;
}

bool promql_over_time_has(enum promql_function_id id)
{
    return find_function(id) != NULL;
}

/* Room beside the samples. */
static enum err reserve(struct over_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t cap = self->samples.cap;

    if (self->cap >= cap)
        return ERR_OK;
    self->back = arena_alloc(eval->arena, cap * sizeof(*self->back));
    self->changes = arena_alloc(eval->arena, cap * sizeof(*self->changes));
    self->scratch = arena_alloc(eval->arena, cap * sizeof(*self->scratch));
    if (self->back == NULL || self->changes == NULL || self->scratch == NULL)
        return promql_eval_no_room(eval);
    self->cap = cap;
    return ERR_OK;
}

static enum err load(struct over_stage *self, struct promql_cell cell, uint32_t count)
{
    const enum promql_function_id id = self->function->id;
    enum err err;

    if (cell.window == 0)
        promql_samples_rewind(&self->samples, cell.series);
    err = promql_samples_fill(&self->samples, cell.window, count);
    if (err == ERR_OK)
        err = reserve(self);
    for (uint32_t i = 0; i < self->param_count && err == ERR_OK; i++)
        err = promql_scalar_arg_load(self->params[i], cell.window);
    if (err == ERR_OK && (id == PROMQL_FUNCTION_CHANGES || id == PROMQL_FUNCTION_RESETS))
        count_changes(self);
    self->back_end = 0;
    self->front_end = 0;
    return err;
}

/* ---- steps with histograms ---- */

/* The floats of a step alone, for a function that knows nothing else. */
static bool over_floats(struct over_stage *self, const struct promql_samples_step *step,
                        double *result)
{
    struct promql_samples *samples = &self->samples;
    double *v = samples->v;
    int64_t *t_ms = samples->t_ms;
    struct promql_samples_step floats = *step;
    bool has;

    samples->v = self->float_v;
    samples->t_ms = self->float_t_ms;
    floats.first = floats.end = 0;
    for (uint32_t i = step->first; i < step->end; i++) {
        if (samples->histograms[i] != NULL)
            continue;
        samples->v[floats.end] = v[i];
        samples->t_ms[floats.end++] = t_ms[i];
    }
    self->back_end = self->front_end = 0;
    has = self->function->fn(self, &floats, result);
    self->back_end = self->front_end = 0;
    samples->v = v;
    samples->t_ms = t_ms;
    return has;
}

static enum err reserve_floats(struct over_stage *self)
{
    struct promql_eval *eval = self->stage.eval;

    if (self->float_cap >= self->cap)
        return ERR_OK;
    self->float_v = arena_alloc(eval->arena, self->cap * sizeof(*self->float_v));
    self->float_t_ms = arena_alloc(eval->arena, self->cap * sizeof(*self->float_t_ms));
    if (self->float_v == NULL || self->float_t_ms == NULL)
        return promql_eval_no_room(eval);
    self->float_cap = self->cap;
    return ERR_OK;
}

/* Functions of floats look at the floats of a mixed range, and say so. */
static enum err over_mixed(struct over_stage *self, const struct promql_range_histograms *range,
                           struct promql_column *out, uint32_t i)
{
    const enum err err = reserve_floats(self);
    double result;

    if (err != ERR_OK ||
        promql_samples_kind_of(range->samples, range->step) != PROMQL_SAMPLES_MIXED)
        return err;
    promql_range_note(range, false,
                      "ignored histograms in a range containing both floats and histograms for "
                      "metric name");
    if (over_floats(self, range->step, &result))
        promql_column_add(out, i, result);
    return self->err;
}

static enum err over_histograms(struct over_stage *self,
                                const struct promql_range_histograms *range,
                                struct promql_column *out, uint32_t i)
{
    const struct promql_samples_step *step = range->step;
    const enum promql_function_id id = self->function->id;
    const bool is_rate = id == PROMQL_FUNCTION_IRATE;
    const struct histogram *h = NULL;
    enum err err = ERR_OK;

    switch ((int)id) {
    case PROMQL_FUNCTION_FIRST_OVER_TIME:
    case PROMQL_FUNCTION_LAST_OVER_TIME:
        h = self->samples
                .histograms[id == PROMQL_FUNCTION_FIRST_OVER_TIME ? step->first : step->end - 1];
        break;
    case PROMQL_FUNCTION_SUM_OVER_TIME:
    case PROMQL_FUNCTION_AVG_OVER_TIME:
        err = promql_range_sum(range, id == PROMQL_FUNCTION_AVG_OVER_TIME, &h);
        if (err != ERR_OK || h == NULL)
            return err;
        break;
    case PROMQL_FUNCTION_IRATE:
    case PROMQL_FUNCTION_IDELTA:
        if (count_of(step) < 2)
            return ERR_OK;
        if (!is_histogram(self, step->end - 1) && !is_histogram(self, step->end - 2))
            break;
        err = promql_range_instant(range, is_rate, &h);
        if (err != ERR_OK || h == NULL)
            return err;
        break;
    default:
        return over_mixed(self, range, out, i);
    }
    if (h != NULL)
        return promql_column_add_histogram(self->stage.eval, out, i, h);
    /* The samples that matter are floats. */
    if (self->function->fn(self, step, &out->v[i]))
        promql_column_add(out, i, out->v[i]);
    return ERR_OK;
}

enum { STEPS_PER_CHECK = 256 };

static enum err over_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct over_stage *self = (struct over_stage *)stage;
    struct promql_samples_step step = {0};
    enum err err;

    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    err = load(self, cell, out->count);
    for (uint32_t i = 0; i < out->count && err == ERR_OK; i++) {
        double result;

        promql_samples_slide(&self->samples, (struct promql_samples_at){i, cell.window}, &step);
        out->v[i] = 0;
        if (step.first == step.end)
            continue;
        for (uint32_t p = 0; p < self->param_count; p++)
            self->param[p] = self->params[p]->column.v[i];
        self->now_ms = promql_grid_time(stage->grid, cell.window * PROMQL_WINDOW + i);
        if (!self->function->takes_all &&
            promql_samples_kind_of(&self->samples, &step) != PROMQL_SAMPLES_FLOATS)
            err = over_histograms(
                self, &(struct promql_range_histograms){&self->samples, &step, cell.series}, out,
                i);
        else if (self->function->fn(self, &step, &result))
            promql_column_add(out, i, result);
        err = err == ERR_OK ? self->err : err;
        if (err == ERR_OK && i % STEPS_PER_CHECK == STEPS_PER_CHECK - 1)
            err = promql_eval_check(stage->eval);
    }
    return err;
}

static const struct promql_stage_ops over_ops = {.column = over_column};

enum err promql_over_time_new(struct promql_eval *eval, const struct promql_expr *call,
                              const struct promql_over_time_args *args,
                              const struct promql_grid *grid, struct promql_stage **out)
{
    struct over_stage *self = ARENA_NEW(eval->arena, struct over_stage);
    const struct promql_series_list *list = &args->input->list;
    const struct over_function *function = find_function(call->call.function->id);
    struct label_set *labels = (struct label_set *)list->labels;
    enum err err = ERR_OK;

    if (self == NULL)
        return promql_eval_no_room(eval);
    if (!function->keeps_name)
        err = promql_labels_drop_metadata(eval, list->labels, list->count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        &over_ops, eval,        grid,
        labels,    list->count, args->input->may_fault || args->param_count != 0,
    };
    self->call = call;
    self->function = function;
    promql_samples_init(&self->samples, &self->stage, call, args->input);
    self->param_count = args->param_count;
    for (uint32_t i = 0; i < args->param_count; i++) {
        self->params[i] = ARENA_NEW(eval->arena, struct promql_scalar_arg);
        if (self->params[i] == NULL)
            return promql_eval_no_room(eval);
        promql_scalar_arg_init(self->params[i], args->params[i]);
    }
    *out = &self->stage;
    if (function->id == PROMQL_FUNCTION_ABSENT_OVER_TIME)
        return ERR_OK; /* of all series at once: equal labels do not matter */
    return promql_merge_new(eval, &self->stage, true, out);
}
