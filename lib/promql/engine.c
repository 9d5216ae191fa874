/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/engine.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/histogram_math.h"
#include "promql/stage.h"

enum { LOOKBACK_MS = 5 * 60 * 1000, SUBQUERY_STEP_MS = 60 * 1000, SAMPLES_MAX = 50000000 };

struct promql_engine {
    struct query_engine query;
    struct promql_engine_options options;
    struct hash_key key;
    _Atomic int64_t subquery_step_ms;
};

/* A result under construction. */
struct output {
    struct promql_eval *eval;
    struct query_series *series;
    uint32_t count;
};

/* A series whose points come in pieces. */
struct points {
    struct query_series series;
    uint32_t cap;
};

static enum err eval_init(struct promql_eval *eval, const struct query_options *query,
                          struct query_result *result)
{
    const int64_t span_ms = promql_time_sub(query->end_ms, query->start_ms);
    const struct promql_engine_options *options = eval->options;

    if (query->end_ms < query->start_ms)
        return err_set(eval->info, ERR_BAD_INPUT, "end timestamp must not be before start time");
    if (query->step_ms < 0 || (query->step_ms == 0 && span_ms != 0))
        return err_set(eval->info, ERR_BAD_INPUT, "the step of a range query must be positive");
    if (query->step_ms > 0 && span_ms / query->step_ms >= PROMQL_STEPS_MAX)
        return err_set(eval->info, ERR_BAD_INPUT, "query of more than %d steps", PROMQL_STEPS_MAX);
    eval->query = query;
    eval->arena = query->arena;
    histogram_scratch_init(&eval->histogram_scratch, query->arena);
    eval->grid = (struct promql_grid){
        .start_ms = query->start_ms,
        .step_ms = query->step_ms > 0 ? query->step_ms : 1,
        .count = query->step_ms > 0 ? (uint32_t)(span_ms / query->step_ms) + 1 : 1,
    };
    eval->lookback_ms = query->lookback_ms > 0 ? query->lookback_ms : options->lookback_ms;
    eval->samples_max = options->samples_max;
    result->annotations.arena = query->arena;
    eval->ctx = (struct source_ctx){
        .tenant = query->tenant,
        .deadline_ns = query->deadline_ns,
        .cancelled = query->cancelled,
        .budget = query->budget,
        .arena = query->arena,
        .stats = &result->stats.read,
        .annotations = &result->annotations,
        .mono_ns = options->mono_ns,
        .mono_owner = options->mono_owner,
    };
    if (query->deadline_ns == 0 && options->timeout_ns != 0 && options->mono_ns != NULL)
        eval->ctx.deadline_ns = options->mono_ns(options->mono_owner) + options->timeout_ns;
    return promql_eval_check(eval);
}

/* ---- results ---- */

static int compare_series(const void *a, const void *b)
{
    return label_set_cmp(((const struct query_series *)a)->labels,
                         ((const struct query_series *)b)->labels);
}

static void sort_series(struct query_series *series, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (label_set_cmp(series[i - 1].labels, series[i].labels) > 0) {
            qsort(series, count, sizeof(*series), compare_series);
            return;
        }
    }
}

/* Makes room for `more` points, NULL if there is none. Other things are allocated between the
 * pieces, so that each growth may copy: by doubling, all copies together are no longer than the
 * result. */
static struct query_point *points_reserve(struct promql_eval *eval, struct points *points,
                                          uint32_t more)
{
    const size_t size = sizeof(struct query_point);
    const size_t need = (size_t)points->series.point_count + more;
    const size_t cap = need > 2 * (size_t)points->cap ? need : 2 * (size_t)points->cap;
    struct query_point *grown = (struct query_point *)(uintptr_t)points->series.points;

    if (need <= points->cap)
        return grown;
    grown = cap > UINT32_MAX
                ? NULL
                : arena_grow(eval->arena, (void *)grown, points->cap * size, cap * size);
    if (grown == NULL)
        return NULL;
    points->series.points = grown;
    points->cap = (uint32_t)cap;
    return grown;
}

/* Appends the present steps of a window to a series' points. */
static enum err add_points(struct output *output, const struct promql_column *column,
                           uint32_t window, struct points *out)
{
    struct promql_eval *eval = output->eval;
    const uint32_t more = promql_column_present_count(column);
    struct query_series *series = &out->series;
    struct query_point *points;
    enum err err;

    if (more == 0)
        return ERR_OK;
    err = promql_eval_hold(eval, more);
    if (err != ERR_OK)
        return err;
    points = points_reserve(eval, out, more);
    if (points == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < column->count; i++) {
        const bool is_histogram = column->has_histograms && column->histograms[i] != NULL;

        if (!promql_column_has(column, i))
            continue;
        points[series->point_count++] = (struct query_point){
            .t_ms = promql_grid_time(&eval->grid, window * PROMQL_WINDOW + i),
            .v = is_histogram ? 0 : column->v[i],
            .histogram = is_histogram ? column->histograms[i] : NULL,
        };
    }
    return ERR_OK;
}

static enum err pull_series(struct output *output, struct promql_stage *root, uint32_t index,
                            struct promql_column *column)
{
    struct points out = {.series = {.labels = root->labels[index]}};

    for (uint32_t w = 0; w < promql_grid_windows(root->grid); w++) {
        enum err err = promql_stage_column(root, (struct promql_cell){index, w}, column);

        if (err == ERR_OK)
            err = add_points(output, column, w, &out);
        if (err != ERR_OK)
            return err;
    }
    if (out.series.point_count > 0)
        output->series[output->count++] = out.series;
    return ERR_OK;
}

static enum err output_init(struct output *output, struct promql_eval *eval, uint32_t series_count)
{
    *output = (struct output){
        .eval = eval,
        .series = arena_alloc(eval->arena, series_count * sizeof(struct query_series)),
    };
    return output->series == NULL ? promql_eval_no_room(eval) : ERR_OK;
}

static void output_finish(struct output *output, bool is_sorted, struct query_result *result)
{
    const uint32_t limit = output->eval->query->limit;

    if (is_sorted)
        sort_series(output->series, output->count);
    result->series = output->series;
    result->series_count = output->count;
    if (limit != 0 && output->count > limit) {
        result->series_count = limit;
        result->is_truncated = true;
    }
}

/* ---- kinds of queries ---- */

static enum err eval_vector(struct promql_eval *eval, const struct promql_expr *expr,
                            struct query_result *result)
{
    const bool is_instant = eval->query->step_ms == 0;
    struct promql_column *column = ARENA_NEW(eval->arena, struct promql_column);
    struct promql_stage *root = NULL;
    struct output output;
    enum err err;

    if (column == NULL)
        return promql_eval_no_room(eval);
    err = promql_plan(eval, expr, &root);
    if (err == ERR_OK)
        err = output_init(&output, eval, root->series_count);
    for (uint32_t i = 0; err == ERR_OK && i < root->series_count; i++) {
        if (i % 256 == 0)
            err = promql_eval_check(eval);
        if (err == ERR_OK)
            err = pull_series(&output, root, i, column);
    }
    if (err != ERR_OK)
        return err;
    if (is_instant && expr->type == PROMQL_SCALAR) {
        ASSERT(output.count == 1);
        result->value = QUERY_SCALAR;
        result->scalar = output.series[0].points[0];
        return ERR_OK;
    }
    result->value = is_instant ? QUERY_VECTOR : QUERY_MATRIX;
    output_finish(&output, !is_instant, result);
    return ERR_OK;
}

/* The samples of [from, to) of a batch, as points. */
static enum err add_samples(struct promql_eval *eval, const struct promql_feed *feed, uint32_t to,
                            struct points *out)
{
    const struct sample_columns *batch = &feed->batch;
    struct query_series *series = &out->series;
    const uint32_t more = to - feed->at;
    struct query_point *points;
    enum err err = promql_eval_hold(eval, more);

    if (err != ERR_OK || more == 0)
        return err;
    points = points_reserve(eval, out, more);
    if (points == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = feed->at; i < to; i++) {
        struct query_point point = {.t_ms = batch->t_ms[i]};

        if (batch->kind == SAMPLE_FLOAT) {
            point.v = batch->v[i];
            if (sample_value_is_stale(point.v))
                continue;
        } else {
            if (histogram_is_stale(batch->histograms[i]))
                continue;
            point.histogram = histogram_to_float(eval->arena, batch->histograms[i]);
            if (point.histogram == NULL)
                return promql_eval_no_room(eval);
        }
        points[series->point_count++] = point;
    }
    return ERR_OK;
}

static enum err read_range(struct promql_eval *eval, const struct promql_range_input *input,
                           struct promql_feed *feed, struct points *out)
{
    const int64_t end_ms = promql_lens_time(&input->lens, &eval->grid, 0);
    const int64_t open_ms = promql_time_sub(end_ms, input->range_ms);
    const struct sample_columns *batch = &feed->batch;

    while (promql_feed_load(feed, open_ms)) {
        uint32_t to;
        enum err err;

        while (feed->at < batch->count && batch->t_ms[feed->at] <= open_ms)
            feed->at++;
        to = feed->at;
        while (to < batch->count && batch->t_ms[to] <= end_ms)
            to++;
        err = add_samples(eval, feed, to, out);
        if (err != ERR_OK)
            return err;
        feed->at = to;
        if (to < batch->count)
            break;
    }
    return feed->err;
}

/* selector[range] or a subquery as an instant query: the samples themselves. */
static enum err eval_range(struct promql_eval *eval, const struct promql_expr *expr,
                           struct query_result *result)
{
    struct promql_feed *feed = ARENA_NEW(eval->arena, struct promql_feed);
    struct promql_range_input input;
    struct output output;
    enum err err = feed == NULL ? promql_eval_no_room(eval) : ERR_OK;

    if (err == ERR_OK)
        err = promql_plan_matrix(eval, expr, &input);
    if (err == ERR_OK)
        err = output_init(&output, eval, input.list.count);
    for (uint32_t i = 0; err == ERR_OK && i < input.list.count; i++) {
        struct points out = {.series = {.labels = input.list.labels[i]}};

        promql_feed_init(feed, eval, input.list.cursors[i]);
        err = read_range(eval, &input, feed, &out);
        if (out.series.point_count > 0)
            output.series[output.count++] = out.series;
    }
    if (err != ERR_OK)
        return err;
    result->value = QUERY_MATRIX;
    output_finish(&output, true, result);
    return ERR_OK;
}

static enum err eval_expr(struct promql_eval *eval, const struct promql_expr *expr,
                          struct query_result *result)
{
    while (expr->kind == PROMQL_PAREN && expr->type != PROMQL_SCALAR)
        expr = expr->paren;
    if (eval->query->step_ms != 0 && expr->type != PROMQL_SCALAR && expr->type != PROMQL_VECTOR)
        return err_set(eval->info, ERR_BAD_INPUT,
                       "invalid expression type \"%s\" for range query, must be Scalar or instant "
                       "Vector",
                       promql_type_text(expr->type));
    if (expr->type == PROMQL_STRING) {
        ASSERT(expr->kind == PROMQL_STRING_LITERAL);
        result->value = QUERY_STRING;
        result->scalar.t_ms = eval->query->start_ms;
        result->string = arena_copy(eval->arena, expr->string);
        return result->string.data == NULL && expr->string.len != 0 ? promql_eval_no_room(eval)
                                                                    : ERR_OK;
    }
    return expr->type == PROMQL_MATRIX ? eval_range(eval, expr, result)
                                       : eval_vector(eval, expr, result);
}

static enum err engine_eval(struct query_engine *query_engine, const struct query_options *query,
                            struct query_result *result, struct err_info *info)
{
    struct promql_engine *engine = CONTAINER_OF(query_engine, struct promql_engine, query);
    const struct promql_engine_options *options = &engine->options;
    struct promql_eval eval = {
        .options = options,
        .info = info,
        .key = engine->key,
        .subquery_step_ms = atomic_load_explicit(&engine->subquery_step_ms, memory_order_relaxed),
    };
    struct query_result made = {0};
    struct promql_expr *expr;
    uint64_t start_ns = 0;
    enum err err;

    ASSERT(query->arena != NULL);
    if (options->mono_ns != NULL)
        start_ns = options->mono_ns(options->mono_owner);
    err = promql_parse(query->arena, query->expr, &options->features, &expr, info);
    if (err == ERR_OK)
        err = eval_init(&eval, query, &made);
    if (err == ERR_OK)
        err = eval_expr(&eval, expr, &made);
    if (err == ERR_OK)
        promql_eval_annotate(&eval);
    if (err == ERR_OK && query->arena->err != ERR_OK)
        err = promql_eval_no_room(&eval);
    if (err != ERR_OK)
        return err;
    made.stats.peak_bytes = query->arena->taken_bytes;
    if (options->mono_ns != NULL)
        made.stats.eval_ns = options->mono_ns(options->mono_owner) - start_ns;
    *result = made;
    return ERR_OK;
}

static const struct query_engine_ops engine_ops = {.eval = engine_eval};

struct promql_engine *promql_engine_new(const struct promql_engine_options *options)
{
    struct promql_engine *engine = mem_zalloc(1, sizeof(*engine));

    ASSERT(options->source != NULL);
    engine->query.ops = &engine_ops;
    engine->options = *options;
    if (engine->options.lookback_ms == 0)
        engine->options.lookback_ms = LOOKBACK_MS;
    if (engine->options.samples_max == 0)
        engine->options.samples_max = SAMPLES_MAX;
    hash_key_init(&engine->key, options->hash_seed);
    promql_engine_set_subquery_step(
        engine, options->subquery_step_ms == 0 ? SUBQUERY_STEP_MS : options->subquery_step_ms);
    return engine;
}

void promql_engine_free(struct promql_engine *engine)
{
    mem_free(engine);
}

struct query_engine *promql_engine_query(struct promql_engine *engine)
{
    return &engine->query;
}

void promql_engine_set_subquery_step(struct promql_engine *engine, int64_t step_ms)
{
    ASSERT(step_ms > 0);
    atomic_store_explicit(&engine->subquery_step_ms, step_ms, memory_order_relaxed);
}
