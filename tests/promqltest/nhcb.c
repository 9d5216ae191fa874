/* SPDX-License-Identifier: Apache-2.0 */
#include "promqltest/nhcb.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "model/histogram_math.h"

#define BUCKET_LABEL "le"

static bool cut_suffix(struct slice *name, const char *suffix)
{
    const struct slice end = slice_from_cstr(suffix);

    if (!slice_has_suffix(*name, end))
        return false;
    name->len -= end.len;
    return true;
}

void nhcb_load_take(struct nhcb_load *load, const struct series_line *line)
{
    struct slice name = label_set_get(line->labels, SLICE(LABEL_METRIC_NAME));
    struct nhcb_series series = {.line = *line, .bound = NAN};
    struct label_builder builder;

    if (cut_suffix(&name, "_bucket"))
        series.kind = NHCB_BUCKET;
    else if (cut_suffix(&name, "_count"))
        series.kind = NHCB_COUNT;
    else if (cut_suffix(&name, "_sum"))
        series.kind = NHCB_SUM;
    else
        return;
    if (series.kind == NHCB_BUCKET &&
        (number_parse_double(label_set_get(line->labels, SLICE(BUCKET_LABEL)), &series.bound) !=
             ERR_OK ||
         isnan(series.bound)))
        return;
    label_builder_init(&builder, load->arena, line->labels);
    label_builder_set(&builder, SLICE(LABEL_METRIC_NAME), name);
    label_builder_set(&builder, SLICE(BUCKET_LABEL), (struct slice){0});
    series.base = label_set_copy(load->arena, label_builder_set_view(&builder));
    if (load->count == load->cap) {
        const uint32_t cap = load->cap == 0 ? 16 : load->cap * 2;

        load->series = arena_grow(load->arena, load->series, load->cap * sizeof(*load->series),
                                  cap * sizeof(*load->series));
        load->cap = cap;
    }
    load->series[load->count++] = series;
}

static int by_base_and_bound(const void *x, const void *y)
{
    const struct nhcb_series *a = x, *b = y;
    const int order = label_set_cmp(a->base, b->base);

    if (order != 0)
        return order;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->bound < b->bound ? -1 : a->bound > b->bound;
}

/* What the series of one histogram say at one step. */
struct nhcb_step {
    double *bounds, *counts; /* counts: up to each bound */
    uint32_t count;
    double total, sum;
    bool has_total, has_any;
};

static void read_step(const struct nhcb_series *series, uint32_t count, uint32_t at,
                      struct nhcb_step *out)
{
    for (uint32_t i = 0; i < count; i++) {
        double v;

        if (at >= series[i].line.count || series[i].line.values[at].is_gap)
            continue;
        v = series[i].line.values[at].v;
        out->has_any = true;
        if (series[i].kind == NHCB_SUM) {
            out->sum = v;
        } else if (series[i].kind == NHCB_COUNT) {
            out->total = v;
            out->has_total = true;
        } else if (out->count == 0 || out->bounds[out->count - 1] != series[i].bound) {
            out->bounds[out->count] = series[i].bound;
            out->counts[out->count++] = v;
        }
    }
    if (!out->has_total && out->count > 0)
        out->total = out->counts[out->count - 1];
    if (out->count == 0 || out->bounds[out->count - 1] != INFINITY) {
        out->bounds[out->count] = INFINITY;
        out->counts[out->count++] = out->total;
    }
}

/* NULL: the counts fall, or do not end with the total. */
static const struct histogram *convert(struct arena *arena, const struct nhcb_step *step)
{
    const struct histogram shape = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                    .is_float = true,
                                    .sum = step->sum,
                                    .f = {.count = step->total},
                                    .positive_count = step->count,
                                    .positive_span_count = 1,
                                    .custom_value_count = step->count - 1};
    struct histogram_parts parts;
    struct histogram *h = histogram_float_new(arena, &shape, &parts);
    double before = 0;

    parts.positive_spans[0] = (struct histogram_span){0, step->count};
    for (uint32_t i = 0; i < step->count; i++) {
        parts.positive[i] = step->counts[i] - before;
        if (parts.positive[i] < 0)
            return NULL;
        before = step->counts[i];
        if (i + 1 < step->count)
            parts.custom_values[i] = step->bounds[i];
    }
    return before == step->total ? histogram_compacted(arena, h) : NULL;
}

static bool add_histogram(struct nhcb_load *load, uint32_t first, uint32_t end,
                          struct mem_source *source, int64_t step_ms)
{
    const struct nhcb_series *series = load->series + first;
    const size_t room = (end - first + 1) * sizeof(double);
    struct nhcb_step step = {.bounds = arena_alloc(load->arena, room),
                             .counts = arena_alloc(load->arena, room)};
    uint32_t steps = 0;

    for (uint32_t i = 0; i < end - first; i++)
        steps = series[i].line.count > steps ? series[i].line.count : steps;
    for (uint32_t at = 0; at < steps; at++) {
        const struct histogram *h;

        step.count = 0;
        step.total = step.sum = 0;
        step.has_total = step.has_any = false;
        read_step(series, end - first, at, &step);
        if (!step.has_any)
            continue;
        h = convert(load->arena, &step);
        if (h == NULL)
            return false;
        mem_source_add_histogram(source, series->base, (int64_t)at * step_ms, h);
    }
    return true;
}

bool nhcb_load_finish(struct nhcb_load *load, struct mem_source *source, int64_t step_ms)
{
    if (load->count != 0)
        qsort(load->series, load->count, sizeof(*load->series), by_base_and_bound);
    for (uint32_t first = 0, end; first < load->count; first = end) {
        for (end = first + 1;
             end < load->count && label_set_eq(load->series[end].base, load->series[first].base);)
            end++;
        if (!add_histogram(load, first, end, source, step_ms))
            return false;
    }
    return true;
}
