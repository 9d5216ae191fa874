/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_math.h"

#include <math.h>

#include "model/histogram_iter.h"
#include "model/sample.h"

static void *take(char **end, size_t size)
{
    void *taken = *end;

    *end += size;
    return taken;
}

struct histogram *histogram_float_new(struct arena *arena, const struct histogram *shape,
                                      struct histogram_parts *parts)
{
    const size_t positive_size = shape->positive_count * sizeof(double);
    const size_t negative_size = shape->negative_count * sizeof(double);
    const size_t custom_size = shape->custom_value_count * sizeof(double);
    const size_t positive_spans_size = shape->positive_span_count * sizeof(struct histogram_span);
    const size_t negative_spans_size = shape->negative_span_count * sizeof(struct histogram_span);
    struct histogram *h =
        arena_alloc(arena, sizeof(*h) + positive_size + negative_size + custom_size +
                               positive_spans_size + negative_spans_size);
    char *end;

    if (h == NULL)
        return NULL;
    end = (char *)(h + 1);
    *parts = (struct histogram_parts){
        .positive = take(&end, positive_size),
        .negative = take(&end, negative_size),
        .custom_values = take(&end, custom_size),
        .positive_spans = take(&end, positive_spans_size),
        .negative_spans = take(&end, negative_spans_size),
    };
    *h = *shape;
    h->is_float = true;
    h->f.positive_counts = parts->positive;
    h->f.negative_counts = parts->negative;
    h->positive_spans = parts->positive_spans;
    h->negative_spans = parts->negative_spans;
    h->custom_values = parts->custom_values;
    return h;
}

static void copy_array(void *to, const void *from, size_t size)
{
    if (size != 0)
        memcpy(to, from, size);
}

static void copy_layout(const struct histogram_parts *parts, const struct histogram *h)
{
    copy_array(parts->positive_spans, h->positive_spans,
               h->positive_span_count * sizeof(*h->positive_spans));
    copy_array(parts->negative_spans, h->negative_spans,
               h->negative_span_count * sizeof(*h->negative_spans));
    copy_array(parts->custom_values, h->custom_values,
               h->custom_value_count * sizeof(*h->custom_values));
}

static void add_up(double *counts, const int64_t *deltas, uint32_t count)
{
    uint64_t bucket = 0;

    for (uint32_t i = 0; i < count; i++) {
        bucket += (uint64_t)deltas[i];
        counts[i] = (double)(int64_t)bucket;
    }
}

struct histogram *histogram_to_float(struct arena *arena, const struct histogram *h)
{
    struct histogram_parts parts;
    struct histogram *copy;

    if (h->is_float)
        return histogram_copy(arena, h);
    copy = histogram_float_new(arena, h, &parts);
    if (copy == NULL)
        return NULL;
    copy_layout(&parts, h);
    add_up(parts.positive, h->i.positive_deltas, h->positive_count);
    add_up(parts.negative, h->i.negative_deltas, h->negative_count);
    copy->f.count = (double)h->i.count;
    copy->f.zero_count = (double)h->i.zero_count;
    return copy;
}

struct histogram *histogram_multiplied(struct arena *arena, const struct histogram *h,
                                       double factor)
{
    struct histogram_parts parts;
    struct histogram *copy = histogram_float_new(arena, h, &parts);

    if (copy == NULL)
        return NULL;
    copy_layout(&parts, h);
    for (uint32_t i = 0; i < h->positive_count; i++)
        parts.positive[i] = h->f.positive_counts[i] * factor;
    for (uint32_t i = 0; i < h->negative_count; i++)
        parts.negative[i] = h->f.negative_counts[i] * factor;
    copy->f.count = h->f.count * factor;
    copy->f.zero_count = h->f.zero_count * factor;
    copy->sum = h->sum * factor;
    if (factor < 0)
        copy->reset = HISTOGRAM_GAUGE;
    return copy;
}

struct histogram *histogram_divided(struct arena *arena, const struct histogram *h, double by)
{
    struct histogram shape = *h;
    struct histogram_parts parts;
    struct histogram *copy;

    if (by == 0)
        shape.positive_count = shape.negative_count = shape.positive_span_count =
            shape.negative_span_count = 0;
    copy = histogram_float_new(arena, &shape, &parts);
    if (copy == NULL)
        return NULL;
    copy_layout(&parts, &shape);
    for (uint32_t i = 0; i < shape.positive_count; i++)
        parts.positive[i] = h->f.positive_counts[i] / by;
    for (uint32_t i = 0; i < shape.negative_count; i++)
        parts.negative[i] = h->f.negative_counts[i] / by;
    copy->f.count = h->f.count / by;
    copy->f.zero_count = h->f.zero_count / by;
    copy->sum = h->sum / by;
    if (by < 0)
        copy->reset = HISTOGRAM_GAUGE;
    return copy;
}

/* ---- compaction ---- */

/* Counts the buckets and spans of a side that has no empty ones; writes them if counts is there. */
static void compact_side(const struct histogram *h, bool is_negative, double *counts,
                         struct histogram_span *spans, uint32_t sizes[2])
{
    struct histogram_walk walk;
    int64_t last = 0;

    sizes[0] = sizes[1] = 0;
    histogram_walk_init(&walk, h, is_negative);
    while (histogram_walk_next(&walk)) {
        const bool begins = sizes[0] == 0 || walk.index != last + 1;

        if (walk.count == 0)
            continue;
        if (begins && spans != NULL)
            spans[sizes[1]] = (struct histogram_span){
                sizes[1] == 0 ? walk.index : (int32_t)(walk.index - last - 1), 0};
        sizes[1] += begins;
        if (spans != NULL) {
            spans[sizes[1] - 1].length++;
            counts[sizes[0]] = walk.count;
        }
        sizes[0]++;
        last = walk.index;
    }
}

struct histogram *histogram_compacted(struct arena *arena, const struct histogram *h)
{
    struct histogram shape = *h;
    struct histogram_parts parts;
    struct histogram *copy;
    uint32_t positive[2], negative[2];

    compact_side(h, false, NULL, NULL, positive);
    compact_side(h, true, NULL, NULL, negative);
    shape.positive_count = positive[0];
    shape.positive_span_count = positive[1];
    shape.negative_count = negative[0];
    shape.negative_span_count = negative[1];
    copy = histogram_float_new(arena, &shape, &parts);
    if (copy == NULL)
        return NULL;
    copy_array(parts.custom_values, h->custom_values,
               h->custom_value_count * sizeof(*h->custom_values));
    compact_side(h, false, parts.positive, parts.positive_spans, positive);
    compact_side(h, true, parts.negative, parts.negative_spans, negative);
    return copy;
}

/* ---- comparison ---- */

static bool bits_eq(double a, double b)
{
    return sample_value_bits(a) == sample_value_bits(b);
}

static bool side_eq(const struct histogram *a, const struct histogram *b, bool is_negative)
{
    struct histogram_walk walk_a, walk_b;

    histogram_walk_init(&walk_a, a, is_negative);
    histogram_walk_init(&walk_b, b, is_negative);
    if (walk_a.bucket_count != walk_b.bucket_count)
        return false;
    while (histogram_walk_next(&walk_a)) {
        if (!histogram_walk_next(&walk_b) || walk_a.index != walk_b.index ||
            !bits_eq(walk_a.count, walk_b.count))
            return false;
    }
    return true;
}

bool histogram_bounds_eq(const struct histogram *a, const struct histogram *b)
{
    if (a->custom_value_count != b->custom_value_count)
        return false;
    for (uint32_t i = 0; i < a->custom_value_count; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return true;
}

bool histogram_eq(const struct histogram *a, const struct histogram *b)
{
    return a->schema == b->schema && bits_eq(a->f.count, b->f.count) && bits_eq(a->sum, b->sum) &&
           a->zero_threshold == b->zero_threshold && bits_eq(a->f.zero_count, b->f.zero_count) &&
           (!histogram_is_custom(a) || histogram_bounds_eq(a, b)) && side_eq(a, b, true) &&
           side_eq(a, b, false);
}
