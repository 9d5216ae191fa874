/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mem_source.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/histogram_math.h"

struct mem_series {
    struct arena arena;
    struct label_set labels; /* in the arena */
    int64_t *t_ms;
    double *v;
    const struct histogram **histograms; /* in the arena; NULL: a float */
    uint32_t count, cap;
};

struct mem_source {
    struct source source;
    struct mem_series **series; /* sorted by labels */
    uint32_t count, cap;
    uint64_t sample_count;
};

struct mem_cursor {
    struct sample_cursor cursor;
    const struct mem_series *series;
    int64_t t_max;
    uint32_t at;
    struct arena *arena;
    struct histogram *views; /* [SOURCE_BATCH] of the batch given last; made when needed */
};

struct mem_stream {
    struct series_stream stream;
    struct source_ctx *ctx;
    struct mem_source *source;
    struct matcher_list matchers;
    int64_t t_min, t_max;
    uint32_t at;
};

static uint32_t lower_bound(const struct mem_series *series, int64_t t_ms)
{
    uint32_t low = 0, high = series->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (series->t_ms[middle] < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What a storage knows of a counter's reset when it reads sample `at`. */
static enum histogram_reset hint_of(const struct mem_series *series, uint32_t at)
{
    const struct histogram *before = at > 0 ? series->histograms[at - 1] : NULL;
    struct histogram h = *series->histograms[at];

    if (h.reset == HISTOGRAM_GAUGE)
        return HISTOGRAM_GAUGE;
    if (h.reset == HISTOGRAM_RESET_NO)
        h.reset = HISTOGRAM_RESET_UNKNOWN;
    if (before == NULL || before->reset == HISTOGRAM_GAUGE || histogram_is_stale(before) ||
        histogram_is_stale(&h) || before->schema != h.schema ||
        before->zero_threshold != h.zero_threshold || !histogram_bounds_eq(before, &h) ||
        histogram_is_reset(&h, before))
        return HISTOGRAM_RESET_UNKNOWN;
    return HISTOGRAM_RESET_NO;
}

static bool cursor_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct mem_cursor *cursor = (struct mem_cursor *)base;
    const struct mem_series *series = cursor->series;

    columns->count = 0;
    columns->start_t_ms = NULL;
    while (cursor->at < series->count && columns->count < SOURCE_BATCH &&
           series->t_ms[cursor->at] <= cursor->t_max) {
        const struct histogram *h = series->histograms[cursor->at];
        const enum sample_kind kind = h == NULL ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM;

        if (columns->count == 0)
            columns->kind = kind;
        else if (columns->kind != kind)
            break;
        columns->t_ms[columns->count] = series->t_ms[cursor->at];
        if (h == NULL) {
            columns->v[columns->count++] = series->v[cursor->at++];
            continue;
        }
        if (cursor->views == NULL)
            cursor->views = ARENA_ARRAY(cursor->arena, struct histogram, SOURCE_BATCH);
        if (cursor->views == NULL) {
            cursor->cursor.err = ERR_LIMIT;
            return false;
        }
        cursor->views[columns->count] = *h;
        cursor->views[columns->count].reset = hint_of(series, cursor->at++);
        columns->histograms[columns->count] = &cursor->views[columns->count];
        columns->count++;
    }
    return columns->count > 0;
}

static void cursor_seek(struct sample_cursor *base, int64_t t_ms)
{
    struct mem_cursor *cursor = (struct mem_cursor *)base;
    const uint32_t at = lower_bound(cursor->series, t_ms);

    if (at > cursor->at)
        cursor->at = at;
}

static const struct sample_cursor_ops cursor_ops = {.next = cursor_next, .seek = cursor_seek};

static bool stream_next(struct series_stream *base, struct source_series *out)
{
    struct mem_stream *stream = (struct mem_stream *)base;

    while (stream->at < stream->source->count) {
        const struct mem_series *series = stream->source->series[stream->at++];
        const uint32_t first = lower_bound(series, stream->t_min);
        struct mem_cursor *cursor;

        if (first == series->count || series->t_ms[first] > stream->t_max ||
            !matcher_matches_set(stream->matchers.items, stream->matchers.count, series->labels))
            continue;
        cursor = ARENA_NEW(stream->ctx->arena, struct mem_cursor);
        if (cursor == NULL) {
            stream->stream.err = ERR_LIMIT;
            return false;
        }
        cursor->cursor.ops = &cursor_ops;
        cursor->series = series;
        cursor->t_max = stream->t_max;
        cursor->at = first;
        cursor->arena = stream->ctx->arena;
        *out = (struct source_series){.labels = series->labels, .cursor = &cursor->cursor};
        return true;
    }
    return false;
}

static const struct series_stream_ops stream_ops = {.next = stream_next};

static enum err mem_select(struct source *base, struct source_ctx *ctx,
                           struct matcher_list matchers, int64_t t_min, int64_t t_max,
                           const struct source_hints *hints, struct series_stream **out,
                           struct err_info *info)
{
    struct mem_stream *stream = ARENA_NEW(ctx->arena, struct mem_stream);

    (void)hints;
    if (stream == NULL)
        return err_set(info, ERR_LIMIT, "no room for a stream");
    *stream = (struct mem_stream){
        .stream = {.ops = &stream_ops},
        .ctx = ctx,
        .source = (struct mem_source *)base,
        .matchers = matchers,
        .t_min = t_min,
        .t_max = t_max,
    };
    *out = &stream->stream;
    return ERR_OK;
}

static const struct source_ops source_ops = {.select = mem_select};

struct mem_source *mem_source_new(void)
{
    struct mem_source *source = mem_zalloc(1, sizeof(*source));

    source->source.ops = &source_ops;
    return source;
}

void mem_source_clear(struct mem_source *source)
{
    for (uint32_t i = 0; i < source->count; i++) {
        mem_free(source->series[i]->t_ms);
        mem_free(source->series[i]->v);
        mem_free(source->series[i]->histograms);
        arena_fini(&source->series[i]->arena);
        mem_free(source->series[i]);
    }
    source->count = 0;
    source->sample_count = 0;
}

void mem_source_free(struct mem_source *source)
{
    if (source == NULL)
        return;
    mem_source_clear(source);
    mem_free(source->series);
    mem_free(source);
}

/* The place of a label set; *found if it is there. */
static uint32_t find_series(const struct mem_source *source, struct label_set labels, bool *found)
{
    uint32_t low = 0, high = source->count;

    *found = false;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = label_set_cmp(source->series[middle]->labels, labels);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mem_series *get_series(struct mem_source *source, struct label_set labels)
{
    bool found;
    const uint32_t at = find_series(source, labels, &found);
    struct mem_series *series;

    if (found)
        return source->series[at];
    if (source->count == source->cap) {
        source->cap = source->cap == 0 ? 64 : source->cap * 2;
        source->series = mem_realloc(source->series, source->cap * sizeof(struct mem_series *));
    }
    series = mem_zalloc(1, sizeof(*series));
    arena_init(&series->arena, NULL, 0);
    series->labels = label_set_copy(&series->arena, labels);
    memmove(source->series + at + 1, source->series + at,
            (source->count - at) * sizeof(struct mem_series *));
    source->series[at] = series;
    source->count++;
    return series;
}

static void put_sample(struct mem_source *source, struct mem_series *series, int64_t t_ms, double v,
                       const struct histogram *h)
{
    const uint32_t at = lower_bound(series, t_ms);
    const bool is_new = at == series->count || series->t_ms[at] != t_ms;

    if (is_new && series->count == series->cap) {
        series->cap = series->cap == 0 ? 64 : series->cap * 2;
        series->t_ms = mem_realloc(series->t_ms, series->cap * sizeof(*series->t_ms));
        series->v = mem_realloc(series->v, series->cap * sizeof(*series->v));
        series->histograms =
            mem_realloc(series->histograms, series->cap * sizeof(*series->histograms));
    }
    if (is_new) {
        const size_t behind = series->count - at;

        memmove(series->t_ms + at + 1, series->t_ms + at, behind * sizeof(*series->t_ms));
        memmove(series->v + at + 1, series->v + at, behind * sizeof(*series->v));
        memmove(series->histograms + at + 1, series->histograms + at,
                behind * sizeof(*series->histograms));
        series->count++;
        source->sample_count++;
    }
    series->t_ms[at] = t_ms;
    series->v[at] = v;
    series->histograms[at] = h;
}

void mem_source_add(struct mem_source *source, struct label_set labels, int64_t t_ms, double v)
{
    put_sample(source, get_series(source, labels), t_ms, v, NULL);
}

void mem_source_add_histogram(struct mem_source *source, struct label_set labels, int64_t t_ms,
                              const struct histogram *h)
{
    struct mem_series *series = get_series(source, labels);

    put_sample(source, series, t_ms, 0, histogram_to_float(&series->arena, h));
}

struct source *mem_source_source(struct mem_source *source)
{
    return &source->source;
}

uint64_t mem_source_sample_count(const struct mem_source *source)
{
    return source->sample_count;
}
