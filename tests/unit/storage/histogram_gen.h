/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Random native histograms whose spans match their buckets, and their comparison bit by bit. */

#include <string.h>

#include "base/arena.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "support/check.h"
#include "support/gen.h"

enum { HISTOGRAM_GEN_SPANS = 3, HISTOGRAM_GEN_LENGTH = 6 };

static inline uint32_t histogram_gen_spans(struct gen *gen, struct arena *arena,
                                           const struct histogram_span **out, uint32_t *count)
{
    struct histogram_span *spans = ARENA_ARRAY(arena, struct histogram_span, HISTOGRAM_GEN_SPANS);
    uint32_t buckets = 0;

    *count = (uint32_t)gen_below(gen, HISTOGRAM_GEN_SPANS + 1);
    for (uint32_t i = 0; i < *count; i++) {
        spans[i].offset = (int32_t)gen_between(gen, i == 0 ? -50 : 0, 50);
        spans[i].length = (uint32_t)gen_below(gen, HISTOGRAM_GEN_LENGTH);
        buckets += spans[i].length;
    }
    *out = spans;
    return buckets;
}

/* A layout without counts. */
static inline void histogram_gen_layout(struct gen *gen, struct arena *arena, bool is_float,
                                        struct histogram *h)
{
    *h = (struct histogram){.schema = (int32_t)gen_between(gen, -4, 8), .is_float = is_float};
    h->zero_threshold = gen_chance(gen, 2) ? 0x1p-128 : gen_unit(gen);
    h->positive_count =
        histogram_gen_spans(gen, arena, &h->positive_spans, &h->positive_span_count);
    if (gen_chance(gen, 3)) {
        double *bounds = ARENA_ARRAY(arena, double, 40);

        h->schema = HISTOGRAM_SCHEMA_CUSTOM;
        h->custom_value_count = (uint32_t)gen_below(gen, 40);
        for (uint32_t i = 0; i < h->custom_value_count; i++)
            bounds[i] = i + gen_unit(gen);
        h->custom_values = bounds;
        return;
    }
    h->negative_count =
        histogram_gen_spans(gen, arena, &h->negative_spans, &h->negative_span_count);
}

static inline const int64_t *histogram_gen_deltas(struct gen *gen, struct arena *arena,
                                                  uint32_t count)
{
    int64_t *deltas = ARENA_ARRAY(arena, int64_t, count);

    for (uint32_t i = 0; i < count; i++)
        deltas[i] = gen_chance(gen, 50) ? (int64_t)gen_u64(gen) : gen_between(gen, -20, 100);
    return deltas;
}

static inline const double *histogram_gen_counts(struct gen *gen, struct arena *arena,
                                                 uint32_t count)
{
    double *counts = ARENA_ARRAY(arena, double, count);

    for (uint32_t i = 0; i < count; i++)
        counts[i] = gen_value(gen);
    return counts;
}

/* A histogram of the layout; one in 20 is a stale marker. */
static inline const struct histogram *histogram_gen(struct gen *gen, struct arena *arena,
                                                    const struct histogram *layout)
{
    struct histogram *h = ARENA_NEW(arena, struct histogram);

    *h = *layout;
    h->reset = (enum histogram_reset)gen_below(gen, 4);
    h->sum = gen_chance(gen, 20) ? sample_value_from_bits(SAMPLE_STALE_BITS) : gen_value(gen);
    if (h->is_float) {
        h->f.count = gen_value(gen);
        h->f.zero_count = gen_value(gen);
        h->f.positive_counts = histogram_gen_counts(gen, arena, h->positive_count);
        h->f.negative_counts = histogram_gen_counts(gen, arena, h->negative_count);
    } else {
        h->i.count = gen_chance(gen, 20) ? gen_u64(gen) : gen_below(gen, 100000);
        h->i.zero_count = gen_below(gen, 100);
        h->i.positive_deltas = histogram_gen_deltas(gen, arena, h->positive_count);
        h->i.negative_deltas = histogram_gen_deltas(gen, arena, h->negative_count);
    }
    return h;
}

static inline void histogram_check_bytes(const void *a, const void *b, size_t size)
{
    if (size > 0)
        assert_memory_equal(a, b, size);
}

static inline void histogram_check_same(const struct histogram *a, const struct histogram *b)
{
    assert_int_equal(a->schema, b->schema);
    assert_int_equal(a->reset, b->reset);
    assert_int_equal(a->is_float, b->is_float);
    assert_true(sample_value_bits(a->zero_threshold) == sample_value_bits(b->zero_threshold));
    assert_true(sample_value_bits(a->sum) == sample_value_bits(b->sum));
    assert_int_equal(a->positive_span_count, b->positive_span_count);
    assert_int_equal(a->negative_span_count, b->negative_span_count);
    assert_int_equal(a->positive_count, b->positive_count);
    assert_int_equal(a->negative_count, b->negative_count);
    assert_int_equal(a->custom_value_count, b->custom_value_count);
    histogram_check_bytes(a->positive_spans, b->positive_spans,
                          a->positive_span_count * sizeof(*a->positive_spans));
    histogram_check_bytes(a->negative_spans, b->negative_spans,
                          a->negative_span_count * sizeof(*a->negative_spans));
    histogram_check_bytes(a->custom_values, b->custom_values,
                          a->custom_value_count * sizeof(double));
    if (a->is_float) {
        assert_true(sample_value_bits(a->f.count) == sample_value_bits(b->f.count));
        assert_true(sample_value_bits(a->f.zero_count) == sample_value_bits(b->f.zero_count));
        histogram_check_bytes(a->f.positive_counts, b->f.positive_counts, a->positive_count * 8);
        histogram_check_bytes(a->f.negative_counts, b->f.negative_counts, a->negative_count * 8);
    } else {
        assert_true(a->i.count == b->i.count);
        assert_true(a->i.zero_count == b->i.zero_count);
        histogram_check_bytes(a->i.positive_deltas, b->i.positive_deltas, a->positive_count * 8);
        histogram_check_bytes(a->i.negative_deltas, b->i.negative_deltas, a->negative_count * 8);
    }
}
