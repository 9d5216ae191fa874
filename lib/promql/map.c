/* SPDX-License-Identifier: Apache-2.0 */

/* Functions of one vector that look at one value at a time, maybe beside a scalar or two; max_of()
 * and min_of() take a scalar for the vector. */

#include <math.h>

#include "promql/calendar.h"
#include "promql/function.h"
#include "promql/native.h"
#include "promql/stage.h"

enum { PARAMS_MAX = 2 };

typedef double map_fn(double v);

struct map_stage {
    struct promql_stage stage;
    struct promql_stage *child;
    enum promql_function_id id;
    map_fn *fn; /* NULL: one with parameters, timestamp, or of histograms alone */
    struct promql_scalar_arg *params[PARAMS_MAX];
    uint32_t param_count;
};

static double map_sgn(double v)
{
    return v > 0 ? 1 : v < 0 ? -1 : v;
}

static double map_deg(double v)
{
    return v * 180 / M_PI;
}

static double map_rad(double v)
{
    return v * M_PI / 180;
}

static double map_round(double v)
{
    return floor(v + 0.5);
}

/* Ties go up. The inverse is what is multiplied by, as upstream has it: 0.1 is not exact. */
static double round_to(double v, double to)
{
    const double inverse = 1 / to;

    return floor(v * inverse + 0.5) / inverse;
}

/* Unlike fmax and fmin, a NaN wins. */
static double max_of(double a, double b)
{
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double min_of(double a, double b)
{
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static map_fn *find_fn(enum promql_function_id id)
{
    static const struct {
        enum promql_function_id id;
        map_fn *fn;
    } fns[] = {
        {PROMQL_FUNCTION_ABS, fabs},
        {PROMQL_FUNCTION_ACOS, acos},
        {PROMQL_FUNCTION_ACOSH, acosh},
        {PROMQL_FUNCTION_ASIN, asin},
        {PROMQL_FUNCTION_ASINH, asinh},
        {PROMQL_FUNCTION_ATAN, atan},
        {PROMQL_FUNCTION_ATANH, atanh},
        {PROMQL_FUNCTION_CEIL, ceil},
        {PROMQL_FUNCTION_COS, cos},
        {PROMQL_FUNCTION_COSH, cosh},
        {PROMQL_FUNCTION_DAY_OF_MONTH, promql_calendar_day_of_month},
        {PROMQL_FUNCTION_DAY_OF_WEEK, promql_calendar_day_of_week},
        {PROMQL_FUNCTION_DAY_OF_YEAR, promql_calendar_day_of_year},
        {PROMQL_FUNCTION_DAYS_IN_MONTH, promql_calendar_days_in_month},
        {PROMQL_FUNCTION_DEG, map_deg},
        {PROMQL_FUNCTION_EXP, exp},
        {PROMQL_FUNCTION_FLOOR, floor},
        {PROMQL_FUNCTION_HOUR, promql_calendar_hour},
        {PROMQL_FUNCTION_LN, log},
        {PROMQL_FUNCTION_LOG10, log10},
        {PROMQL_FUNCTION_LOG2, log2},
        {PROMQL_FUNCTION_MINUTE, promql_calendar_minute},
        {PROMQL_FUNCTION_MONTH, promql_calendar_month},
        {PROMQL_FUNCTION_RAD, map_rad},
        {PROMQL_FUNCTION_ROUND, map_round},
        {PROMQL_FUNCTION_SGN, map_sgn},
        {PROMQL_FUNCTION_SIN, sin},
        {PROMQL_FUNCTION_SINH, sinh},
        {PROMQL_FUNCTION_SQRT, sqrt},
        {PROMQL_FUNCTION_TAN, tan},
        {PROMQL_FUNCTION_TANH, tanh},
        {PROMQL_FUNCTION_YEAR, promql_calendar_year},
    };

    for (size_t i = 0; i < COUNT_OF(fns); i++) {
        if (fns[i].id == id)
            return fns[i].fn;
    }
    return NULL;
}

/* Of native histograms alone. */
static bool passes_over_floats(enum promql_function_id id)
{
    return id == PROMQL_FUNCTION_HISTOGRAM_AVG || id == PROMQL_FUNCTION_HISTOGRAM_COUNT ||
           id == PROMQL_FUNCTION_HISTOGRAM_STDDEV || id == PROMQL_FUNCTION_HISTOGRAM_STDVAR ||
           id == PROMQL_FUNCTION_HISTOGRAM_SUM;
}

bool promql_map_has(enum promql_function_id id)
{
    return find_fn(id) != NULL || passes_over_floats(id) || id == PROMQL_FUNCTION_CLAMP ||
           id == PROMQL_FUNCTION_CLAMP_MAX || id == PROMQL_FUNCTION_CLAMP_MIN ||
           id == PROMQL_FUNCTION_TIMESTAMP || id == PROMQL_FUNCTION_MAX_OF ||
           id == PROMQL_FUNCTION_MIN_OF;
}

static void clamp(struct promql_column *out, const double *low, const double *high)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (low[i] > high[i])
            out->present[i / 64] &= ~(UINT64_C(1) << (i % 64));
        out->v[i] = max_of(low[i], min_of(high[i], out->v[i]));
    }
}

static void apply_params(const struct map_stage *self, struct promql_column *out)
{
    const double *param = self->params[0]->column.v;

    switch ((int)self->id) {
    case PROMQL_FUNCTION_CLAMP:
        clamp(out, param, self->params[1]->column.v);
        break;
    case PROMQL_FUNCTION_CLAMP_MIN:
    case PROMQL_FUNCTION_MAX_OF:
        for (uint32_t i = 0; i < out->count; i++)
            out->v[i] = max_of(param[i], out->v[i]);
        break;
    case PROMQL_FUNCTION_CLAMP_MAX:
    case PROMQL_FUNCTION_MIN_OF:
        for (uint32_t i = 0; i < out->count; i++)
            out->v[i] = min_of(param[i], out->v[i]);
        break;
    default:
        ASSERT(self->id == PROMQL_FUNCTION_ROUND);
        for (uint32_t i = 0; i < out->count; i++)
            out->v[i] = round_to(out->v[i], param[i]);
        break;
    }
}

/* What a vector's element is evaluated at, whatever its value is. */
static void set_times(const struct map_stage *self, uint32_t window, struct promql_column *out)
{
    out->has_histograms = false;
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = (double)promql_grid_time(self->stage.grid, window * PROMQL_WINDOW + i) / 1000;
}

static double of_histogram(enum promql_function_id id, const struct histogram *h)
{
    switch ((int)id) {
    case PROMQL_FUNCTION_HISTOGRAM_AVG:
        return h->sum / h->f.count;
    case PROMQL_FUNCTION_HISTOGRAM_COUNT:
        return h->f.count;
    case PROMQL_FUNCTION_HISTOGRAM_STDDEV:
        return sqrt(promql_native_variance(h));
    case PROMQL_FUNCTION_HISTOGRAM_STDVAR:
        return promql_native_variance(h);
    default:
        ASSERT(id == PROMQL_FUNCTION_HISTOGRAM_SUM);
        return h->sum;
    }
}

static void map_histograms(const struct map_stage *self, struct promql_column *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        const struct histogram *h = promql_column_histogram(out, i);

        out->v[i] = 0;
        if (!promql_column_has(out, i) || h == NULL)
            promql_column_remove(out, i);
        else
            out->v[i] = of_histogram(self->id, h);
    }
    out->has_histograms = false;
}

static enum err map_column(struct promql_stage *stage, struct promql_cell cell,
                           struct promql_column *out)
{
    struct map_stage *self = (struct map_stage *)stage;
    enum err err = promql_stage_column(self->child, cell, out);

    for (uint32_t i = 0; i < self->param_count && err == ERR_OK; i++)
        err = promql_scalar_arg_load(self->params[i], cell.window);
    if (err != ERR_OK)
        return err;
    if (self->id == PROMQL_FUNCTION_TIMESTAMP) {
        set_times(self, cell.window, out);
        return ERR_OK;
    }
    if (passes_over_floats(self->id)) {
        map_histograms(self, out);
        return ERR_OK;
    }
    promql_column_drop_histograms(out);
    if (self->param_count != 0) {
        apply_params(self, out);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = self->fn(out->v[i]);
    return ERR_OK;
}

static const struct promql_stage_ops map_ops = {.column = map_column};

enum err promql_map_new(struct promql_eval *eval, const struct promql_expr *call,
                        struct promql_stage *const *args, uint32_t arg_count,
                        struct promql_stage **out)
{
    struct map_stage *self = ARENA_NEW(eval->arena, struct map_stage);
    struct promql_stage *child = args[0];
    struct label_set *labels;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    ASSERT(arg_count >= 1 && arg_count <= 1 + PARAMS_MAX);
    err = promql_labels_drop_metadata(eval, child->labels, child->series_count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        &map_ops, eval, child->grid, labels, child->series_count, child->may_fault};
    self->child = child;
    self->id = call->call.function->id;
    self->fn = find_fn(self->id);
    self->param_count = arg_count - 1;
    for (uint32_t i = 0; i < self->param_count; i++) {
        self->params[i] = ARENA_NEW(eval->arena, struct promql_scalar_arg);
        if (self->params[i] == NULL)
            return promql_eval_no_room(eval);
        promql_scalar_arg_init(self->params[i], args[i + 1]);
        self->stage.may_fault |= args[i + 1]->may_fault;
    }
    return promql_merge_new(eval, &self->stage, false, out);
}
