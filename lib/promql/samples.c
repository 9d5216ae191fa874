/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/samples.h"

#include "model/histogram_math.h"

enum { CAP_MIN = 256 };

void promql_samples_init(struct promql_samples *samples, const struct promql_stage *stage,
                         const struct promql_expr *call, const struct promql_range_input *input)
{
    *samples = (struct promql_samples){
        .eval = stage->eval,
        .call = call,
        .grid = stage->grid,
        .lens = input->lens,
        .range_ms = input->range_ms,
        .list = input->list,
    };
}

void promql_samples_rewind(struct promql_samples *samples, uint32_t series)
{
    promql_feed_init(&samples->feed, samples->eval, samples->list.cursors[series]);
    samples->count = 0;
}

static enum err grow(struct promql_samples *samples)
{
    struct promql_eval *eval = samples->eval;
    const uint32_t old = samples->cap, cap = old == 0 ? CAP_MIN : old * 2;
    const enum err err = promql_eval_hold(eval, cap - old);

    if (err != ERR_OK)
        return err;
    samples->t_ms =
        arena_grow(eval->arena, samples->t_ms, old * sizeof(int64_t), cap * sizeof(int64_t));
    samples->v = arena_grow(eval->arena, samples->v, old * sizeof(double), cap * sizeof(double));
    if (samples->histograms != NULL) {
        samples->histograms =
            arena_grow(eval->arena, samples->histograms, old * sizeof(*samples->histograms),
                       cap * sizeof(*samples->histograms));
        if (samples->histograms == NULL)
            return promql_eval_no_room(eval);
    }
    if (samples->t_ms == NULL || samples->v == NULL)
        return promql_eval_no_room(eval);
    samples->cap = cap;
    return ERR_OK;
}

/* Appends histograms [from, to) of the feed's batch, stale markers left out. */
static enum err append_histograms(struct promql_samples *samples, uint32_t from, uint32_t to)
{
    const struct sample_columns *batch = &samples->feed.batch;
    struct arena *arena = samples->eval->arena;

    if (samples->histograms == NULL)
        samples->histograms = ARENA_ARRAY(arena, const struct histogram *, samples->cap);
    if (samples->histograms == NULL)
        return promql_eval_no_room(samples->eval);
    for (uint32_t i = from; i < to; i++) {
        const struct histogram *h;

        if (histogram_is_stale(batch->histograms[i]))
            continue;
        h = histogram_to_float(arena, batch->histograms[i]);
        if (h == NULL)
            return promql_eval_no_room(samples->eval);
        samples->t_ms[samples->count] = batch->t_ms[i];
        samples->v[samples->count] = 0;
        samples->histograms[samples->count++] = h;
    }
    return ERR_OK;
}

/* Appends samples [from, to) of the feed's batch, stale markers left out. */
static enum err append(struct promql_samples *samples, uint32_t from, uint32_t to)
{
    const struct sample_columns *batch = &samples->feed.batch;

    while (samples->cap - samples->count < to - from) {
        const enum err err = grow(samples);

        if (err != ERR_OK)
            return err;
    }
    if (batch->kind != SAMPLE_FLOAT)
        return append_histograms(samples, from, to);
    if (samples->histograms != NULL)
        memset(samples->histograms + samples->count, 0, (to - from) * sizeof(*samples->histograms));
    for (uint32_t i = from; i < to; i++) {
        samples->t_ms[samples->count] = batch->t_ms[i];
        samples->v[samples->count] = batch->v[i];
        samples->count += !sample_value_is_stale(batch->v[i]);
    }
    return ERR_OK;
}

/* Takes in the samples of (open_ms, end_ms]; the feed stands behind all that were asked before. */
static enum err load(struct promql_samples *samples, int64_t open_ms, int64_t end_ms)
{
    struct promql_feed *feed = &samples->feed;

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
        err = append(samples, from, to);
        if (err != ERR_OK)
            return err;
        if (to < batch->count)
            return ERR_OK;
    }
    return feed->err;
}

/* Forgets samples at or before open_ms. */
static void drop(struct promql_samples *samples, int64_t open_ms)
{
    uint32_t first = 0;

    while (first < samples->count && samples->t_ms[first] <= open_ms)
        first++;
    samples->count -= first;
    if (first == 0 || samples->count == 0)
        return;
    memmove(samples->t_ms, samples->t_ms + first, samples->count * sizeof(*samples->t_ms));
    memmove(samples->v, samples->v + first, samples->count * sizeof(*samples->v));
    if (samples->histograms != NULL)
        memmove(samples->histograms, samples->histograms + first,
                samples->count * sizeof(*samples->histograms));
}

static int64_t step_time(const struct promql_samples *samples, uint32_t window, uint32_t i)
{
    return promql_lens_time(&samples->lens, samples->grid, window * PROMQL_WINDOW + i);
}

enum err promql_samples_fill(struct promql_samples *samples, uint32_t window, uint32_t count)
{
    const int64_t first_ms = step_time(samples, window, 0);
    enum err err = ERR_OK;

    drop(samples, promql_time_sub(first_ms, samples->range_ms));
    if (samples->grid->step_ms <= samples->range_ms)
        return load(samples, promql_time_sub(first_ms, samples->range_ms),
                    step_time(samples, window, count - 1));
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        const int64_t t_ms = step_time(samples, window, i);

        err = load(samples, promql_time_sub(t_ms, samples->range_ms), t_ms);
    }
    return err;
}

void promql_samples_slide(const struct promql_samples *samples, struct promql_samples_at at,
                          struct promql_samples_step *step)
{
    step->end_ms = step_time(samples, at.window, at.step);
    step->open_ms = promql_time_sub(step->end_ms, samples->range_ms);
    while (step->end < samples->count && samples->t_ms[step->end] <= step->end_ms)
        step->end++;
    while (step->first < step->end && samples->t_ms[step->first] <= step->open_ms)
        step->first++;
}

enum promql_samples_kind promql_samples_kind_of(const struct promql_samples *samples,
                                                const struct promql_samples_step *step)
{
    uint32_t histograms = 0;

    if (samples->histograms == NULL)
        return PROMQL_SAMPLES_FLOATS;
    for (uint32_t i = step->first; i < step->end; i++)
        histograms += samples->histograms[i] != NULL;
    if (histograms == 0)
        return PROMQL_SAMPLES_FLOATS;
    return histograms == step->end - step->first ? PROMQL_SAMPLES_HISTOGRAMS : PROMQL_SAMPLES_MIXED;
}
