/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_math.h"

#include <math.h>

#include "model/histogram_iter.h"
#include "support/check.h"
#include "support/gen.h"

static struct arena arena;

/* Buckets 0, 1, 3 above zero and 0 below, of schema 0, and a zero bucket. */
static struct histogram *sample_histogram(void)
{
    struct histogram_parts parts;
    struct histogram *h =
        histogram_float_new(&arena,
                            &(struct histogram){.zero_threshold = 0.25,
                                                .sum = 30,
                                                .f = {.count = 16, .zero_count = 2},
                                                .positive_count = 3,
                                                .positive_span_count = 2,
                                                .negative_count = 1,
                                                .negative_span_count = 1},
                            &parts);

    memcpy(parts.positive, (double[]){1, 4, 6}, 3 * sizeof(double));
    parts.positive_spans[0] = (struct histogram_span){0, 2};
    parts.positive_spans[1] = (struct histogram_span){1, 1};
    parts.negative[0] = 3;
    parts.negative_spans[0] = (struct histogram_span){0, 1};
    return h;
}

static struct histogram *custom_histogram(const double *bounds, const double *counts,
                                          uint32_t bound_count)
{
    struct histogram_parts parts;
    struct histogram *h =
        histogram_float_new(&arena,
                            &(struct histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                                .positive_count = bound_count + 1,
                                                .positive_span_count = 1,
                                                .custom_value_count = bound_count},
                            &parts);

    memcpy(parts.custom_values, bounds, bound_count * sizeof(double));
    memcpy(parts.positive, counts, (bound_count + 1) * sizeof(double));
    parts.positive_spans[0] = (struct histogram_span){0, bound_count + 1};
    for (uint32_t i = 0; i <= bound_count; i++)
        h->f.count += counts[i];
    return h;
}

static void check_buckets(const struct histogram *h, bool is_reverse, const double (*want)[3],
                          uint32_t count)
{
    struct histogram_iter it;
    uint32_t at = 0;

    histogram_iter_init(&it, h, is_reverse);
    while (histogram_iter_next(&it)) {
        const struct histogram_bounds bounds = histogram_iter_bounds(&it);
        const double *bucket = want[is_reverse ? count - 1 - at : at];

        assert_true(at < count);
        if (bounds.lower != bucket[0] || bounds.upper != bucket[1] || it.count != bucket[2])
            fail_msg("bucket %u: [%g, %g] %g, expected [%g, %g] %g", at, bounds.lower, bounds.upper,
                     it.count, bucket[0], bucket[1], bucket[2]);
        at++;
    }
    assert_int_equal(at, count);
}

static void test_order_of_buckets(void **state)
{
    static const double want[][3] = {
        {-1, -0.5, 3}, {-0.25, 0.25, 2}, {0.5, 1, 1}, {1, 2, 4}, {4, 8, 6}};
    static const double cut[][3] = {
        {-1, -0.75, 3}, {-0.75, 0.75, 2}, {0.75, 1, 1}, {1, 2, 4}, {4, 8, 6}};
    static const double custom[][3] = {{-INFINITY, 1, 3}, {1, 5, 4}, {5, INFINITY, 5}};
    struct histogram *h = sample_histogram();

    (void)state;
    check_buckets(h, false, want, 5);
    check_buckets(h, true, want, 5);
    h->zero_threshold = 0.75;
    check_buckets(h, false, cut, 5);
    check_buckets(h, true, cut, 5);
    h = custom_histogram((double[]){1, 5}, (double[]){3, 4, 5}, 2);
    check_buckets(h, false, custom, 3);
    check_buckets(h, true, custom, 3);
}

/* Empty spans and hostile ones end a walk as they should. */
static void test_odd_spans(void **state)
{
    static const struct histogram_span spans[] = {{3, 0}, {2, 1}, {0, 0}, {INT32_MAX, 2}, {0, 7}};
    static const double counts[] = {1, 2, 3};
    const struct histogram h = {.is_float = true,
                                .f = {.positive_counts = counts},
                                .positive_spans = spans,
                                .positive_span_count = 5,
                                .positive_count = 3};
    struct histogram_walk walk;
    struct histogram_iter it;

    (void)state;
    histogram_walk_init(&walk, &h, false);
    assert_true(histogram_walk_next(&walk));
    assert_int_equal(walk.index, 5);
    assert_true(histogram_walk_next(&walk));
    assert_true(histogram_walk_next(&walk));
    assert_true(walk.count == 3);
    assert_false(histogram_walk_next(&walk));
    histogram_iter_init(&it, &h, true);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(histogram_iter_next(&it));
    assert_false(histogram_iter_next(&it));
}

static void test_to_float(void **state)
{
    static const struct histogram_span spans[] = {{-2, 2}, {1, 1}};
    static const int64_t deltas[] = {1, 2, -1};
    const struct histogram h = {.schema = 1,
                                .sum = 12,
                                .reset = HISTOGRAM_RESET_NO,
                                .i = {.count = 8, .zero_count = 2, .positive_deltas = deltas},
                                .positive_spans = spans,
                                .positive_span_count = 2,
                                .positive_count = 3};
    const struct histogram *copy = histogram_to_float(&arena, &h);

    (void)state;
    assert_true(copy->is_float && copy->f.count == 8 && copy->f.zero_count == 2 && copy->sum == 12);
    assert_int_equal(copy->reset, HISTOGRAM_RESET_NO);
    assert_true(copy->f.positive_counts[0] == 1 && copy->f.positive_counts[1] == 3 &&
                copy->f.positive_counts[2] == 2);
    assert_true(histogram_eq(copy, histogram_to_float(&arena, copy)));
}

static void test_scaling(void **state)
{
    const struct histogram *h = sample_histogram();
    const struct histogram *twice = histogram_multiplied(&arena, h, 2);
    const struct histogram *nothing = histogram_divided(&arena, h, 0);

    (void)state;
    assert_true(twice->f.count == 32 && twice->sum == 60 && twice->f.zero_count == 4 &&
                twice->f.positive_counts[2] == 12 && twice->f.negative_counts[0] == 6);
    assert_int_equal(twice->reset, HISTOGRAM_RESET_UNKNOWN);
    assert_true(histogram_eq(h, histogram_divided(&arena, twice, 2)));
    assert_false(histogram_eq(h, twice));
    assert_int_equal(histogram_multiplied(&arena, h, -1)->reset, HISTOGRAM_GAUGE);
    assert_int_equal(histogram_divided(&arena, h, -1)->reset, HISTOGRAM_GAUGE);
    assert_int_equal(nothing->positive_count, 0);
    assert_int_equal(nothing->negative_span_count, 0);
    assert_true(nothing->f.count == INFINITY && nothing->f.zero_count == INFINITY);
}

static void test_compaction(void **state)
{
    static const struct histogram_span spans[] = {{1, 2}, {0, 2}, {4, 0}, {1, 1}};
    static const double counts[] = {0, 5, 6, 0, 7};
    const struct histogram h = {.is_float = true,
                                .f = {.positive_counts = counts},
                                .positive_spans = spans,
                                .positive_span_count = 4,
                                .positive_count = 5};
    const struct histogram *compact = histogram_compacted(&arena, &h);

    (void)state;
    assert_int_equal(compact->positive_count, 3);
    assert_int_equal(compact->positive_span_count, 2);
    assert_int_equal(compact->positive_spans[0].offset, 2);
    assert_int_equal(compact->positive_spans[0].length, 2);
    assert_int_equal(compact->positive_spans[1].offset, 6);
    assert_true(compact->f.positive_counts[2] == 7);
}

static void check_reset(bool want, const struct histogram *h, const struct histogram *previous)
{
    assert_int_equal(want, histogram_is_reset(h, previous));
}

static void test_resets(void **state)
{
    struct histogram *a = sample_histogram(), *b = sample_histogram();
    const struct histogram *narrow =
        custom_histogram((double[]){1, 2, 5}, (double[]){1, 2, 3, 4}, 3);

    (void)state;
    check_reset(false, a, b);
    check_reset(false, histogram_multiplied(&arena, a, 2), b);
    check_reset(true, a, histogram_multiplied(&arena, b, 2));
    a->reset = HISTOGRAM_RESET_YES;
    check_reset(true, a, b);
    a->reset = HISTOGRAM_RESET_NO;
    check_reset(false, a, histogram_multiplied(&arena, b, 2));
    a->reset = HISTOGRAM_RESET_UNKNOWN;
    b->f.zero_count = 3;
    check_reset(true, a, b);
    b->f.zero_count = 2;
    ((double *)(uintptr_t)b->f.negative_counts)[0] = 4;
    check_reset(true, a, b);
    ((double *)(uintptr_t)b->f.negative_counts)[0] = 3;
    a->schema = 1;
    check_reset(true, a, b);
    a->schema = 0;
    a->zero_threshold = 0.125;
    check_reset(true, a, b);
    /* Wider, but it cuts the buckets up to 1. */
    a->zero_threshold = 0.75;
    check_reset(true, a, b);
    /* Up to 1 it takes in 1 + 3. */
    a->zero_threshold = 1;
    a->f.zero_count = 6;
    check_reset(false, a, b);
    a->f.zero_count = 5;
    check_reset(true, a, b);
    check_reset(true, narrow, b);
    check_reset(true, b, narrow);
    check_reset(false, custom_histogram((double[]){2, 5}, (double[]){3, 3, 4}, 2), narrow);
    check_reset(true, custom_histogram((double[]){2, 5}, (double[]){2, 4, 4}, 2), narrow);
}

/* A histogram of a lower resolution that counts no less is no reset. */
static void test_reset_of_resolution(void **state)
{
    struct histogram *fine = sample_histogram(), *coarse = sample_histogram();

    (void)state;
    coarse->schema = -1;
    memcpy((double *)(uintptr_t)coarse->f.positive_counts, (double[]){1, 4, 6}, 3 * sizeof(double));
    /* Fine: (0.5, 1] 1, (1, 2] 4, (4, 8] 6; in fours: (0.25, 1] 1, (1, 4] 4, (4, 16] 6. */
    ((struct histogram_span *)(uintptr_t)coarse->positive_spans)[0] = (struct histogram_span){0, 3};
    coarse->positive_span_count = 1;
    check_reset(false, coarse, fine);
    ((double *)(uintptr_t)coarse->f.positive_counts)[2] = 5;
    check_reset(true, coarse, fine);
}

static void test_trim(void **state)
{
    const struct histogram *h = sample_histogram();
    const struct histogram *below = histogram_trimmed(&arena, h, 2, true);
    const struct histogram *above = histogram_trimmed(&arena, h, 2, false);
    const struct histogram *half = histogram_trimmed(&arena, h, 4 * sqrt(2), true);

    (void)state;
    assert_true(histogram_eq(h, histogram_trimmed(&arena, h, INFINITY, true)));
    assert_true(histogram_eq(h, histogram_trimmed(&arena, h, -INFINITY, false)));
    assert_true(below->f.count == 10 && below->f.zero_count == 2);
    assert_int_equal(below->positive_count, 2);
    assert_true(above->f.count == 6 && above->f.zero_count == 0);
    assert_true(fabs(above->sum - 6 * sqrt(32)) < 1e-9);
    assert_int_equal(above->negative_count, 0);
    assert_true(fabs(half->f.count - 13) < 1e-9);
    h = custom_histogram((double[]){1, 5}, (double[]){3, 4, 5}, 2);
    assert_true(histogram_trimmed(&arena, h, 3, true)->f.count == 5);
    assert_true(histogram_trimmed(&arena, h, 3, false)->f.count == 7);
    assert_true(histogram_trimmed(&arena, h, 6, false)->f.count == 5);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_buckets),
        cmocka_unit_test(test_odd_spans),
        cmocka_unit_test(test_to_float),
        cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_compaction),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_reset_of_resolution),
        cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
