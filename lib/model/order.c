/* SPDX-License-Identifier: Apache-2.0 */
#include "model/order.h"

static int order_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int order_i64(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int order_bits(double a, double b)
{
    return order_u64(sample_value_bits(a), sample_value_bits(b));
}

int order_floats(double a, double b)
{
    const bool a_stale = sample_value_is_stale(a), b_stale = sample_value_is_stale(b);

    if (a_stale != b_stale)
        return a_stale ? -1 : 1;
    return order_bits(a, b);
}

static int order_doubles(const double *a, uint32_t a_count, const double *b, uint32_t b_count)
{
    if (a_count != b_count)
        return order_u64(a_count, b_count);
    for (uint32_t i = 0; i < a_count; i++) {
        const int order = order_bits(a[i], b[i]);

        if (order != 0)
            return order;
    }
    return 0;
}

static int order_ints(const int64_t *a, uint32_t a_count, const int64_t *b, uint32_t b_count)
{
    if (a_count != b_count)
        return order_u64(a_count, b_count);
    for (uint32_t i = 0; i < a_count; i++) {
        const int order = order_i64(a[i], b[i]);

        if (order != 0)
            return order;
    }
    return 0;
}

static int order_spans(const struct histogram_span *a, uint32_t a_count,
                       const struct histogram_span *b, uint32_t b_count)
{
    if (a_count != b_count)
        return order_u64(a_count, b_count);
    for (uint32_t i = 0; i < a_count; i++) {
        if (a[i].offset != b[i].offset)
            return order_i64(a[i].offset, b[i].offset);
        if (a[i].length != b[i].length)
            return order_u64(a[i].length, b[i].length);
    }
    return 0;
}

static int order_buckets(const struct histogram *a, const struct histogram *b)
{
    int order;

    if (a->is_float) {
        order = order_doubles(a->f.positive_counts, a->positive_count, b->f.positive_counts,
                              b->positive_count);
        return order != 0 ? order
                          : order_doubles(a->f.negative_counts, a->negative_count,
                                          b->f.negative_counts, b->negative_count);
    }
    order = order_ints(a->i.positive_deltas, a->positive_count, b->i.positive_deltas,
                       b->positive_count);
    return order != 0 ? order
                      : order_ints(a->i.negative_deltas, a->negative_count, b->i.negative_deltas,
                                   b->negative_count);
}

static int order_layout(const struct histogram *a, const struct histogram *b)
{
    int order = order_i64(a->schema, b->schema);

    if (order == 0)
        order = order_bits(a->zero_threshold, b->zero_threshold);
    if (order == 0)
        order = order_spans(a->positive_spans, a->positive_span_count, b->positive_spans,
                            b->positive_span_count);
    if (order == 0)
        order = order_spans(a->negative_spans, a->negative_span_count, b->negative_spans,
                            b->negative_span_count);
    if (order == 0)
        order = order_doubles(a->custom_values, a->custom_value_count, b->custom_values,
                              b->custom_value_count);
    return order;
}

int order_histograms(const struct histogram *a, const struct histogram *b)
{
    const bool a_stale = histogram_is_stale(a), b_stale = histogram_is_stale(b);
    int order;

    if (a_stale != b_stale)
        return a_stale ? -1 : 1;
    if (a->is_float != b->is_float)
        return a->is_float ? 1 : -1;
    if (a->is_float) {
        order = order_bits(a->f.count, b->f.count);
        if (order == 0)
            order = order_bits(a->f.zero_count, b->f.zero_count);
    } else {
        order = order_u64(a->i.count, b->i.count);
        if (order == 0)
            order = order_u64(a->i.zero_count, b->i.zero_count);
    }
    if (order == 0)
        order = order_bits(a->sum, b->sum);
    if (order == 0)
        order = order_layout(a, b);
    if (order == 0)
        order = order_buckets(a, b);
    if (order == 0)
        order = order_i64(a->reset, b->reset);
    return order;
}

static bool order_is_stale(const struct order_sample *s)
{
    return s->kind == SAMPLE_FLOAT ? sample_value_is_stale(s->v) : histogram_is_stale(s->histogram);
}

int sample_order(const struct order_sample *a, const struct order_sample *b)
{
    const bool a_stale = order_is_stale(a), b_stale = order_is_stale(b);

    if (a_stale != b_stale)
        return a_stale ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind == SAMPLE_HISTOGRAM ? 1 : -1;
    if (a->kind == SAMPLE_FLOAT)
        return order_floats(a->v, b->v);
    return order_histograms(a->histogram, b->histogram);
}
