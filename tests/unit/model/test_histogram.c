/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "model/order.h"
#include "support/check.h"

static const struct histogram_span spans[] = {{-2, 2}, {1, 1}};
static const int64_t deltas[] = {1, 2, -1};
static const double counts[] = {1, 3, 2};
static const double bounds[] = {1, 2, 5};

static struct histogram int_histogram(void)
{
    return (struct histogram){.schema = 1,
                              .sum = 12,
                              .i = {.count = 8, .zero_count = 2, .positive_deltas = deltas},
                              .positive_spans = spans,
                              .positive_span_count = 2,
                              .positive_count = 3};
}

static struct histogram float_histogram(void)
{
    struct histogram h = int_histogram();

    h.is_float = true;
    memset(&h.f, 0, sizeof(h.f));
    h.f.count = 8;
    h.f.zero_count = 2;
    h.f.positive_counts = counts;
    return h;
}

static struct histogram custom_histogram(void)
{
    static const struct histogram_span from_zero[] = {{0, 3}};
    struct histogram h = float_histogram();

    h.schema = HISTOGRAM_SCHEMA_CUSTOM;
    h.f.zero_count = 0;
    h.positive_spans = from_zero;
    h.positive_span_count = 1;
    h.custom_values = bounds;
    h.custom_value_count = 3;
    return h;
}

static void check_good(struct histogram h)
{
    struct err_info info = {0};

    check_err_info(ERR_OK, histogram_check(&h, &info), &info);
}

static void check_bad(struct histogram h, const char *part)
{
    struct err_info info = {0};

    check_err(ERR_BAD_INPUT, histogram_check(&h, &info));
    check_message(part, &info);
}

static void test_check(void **state)
{
    static const struct histogram_span negative_gap[] = {{0, 2}, {-1, 1}};
    static const int64_t below_zero[] = {1, -2, 3}, overflow[] = {INT64_MAX, INT64_MAX, 0};
    static const double below[] = {1, -3, 2}, unsorted[] = {1, 1, 5}, open[] = {1, 2, INFINITY};
    struct histogram h;

    (void)state;
    check_good(int_histogram());
    check_good(float_histogram());
    check_good(custom_histogram());
    check_good((struct histogram){.sum = sample_value_from_bits(SAMPLE_STALE_BITS)});
    h = int_histogram();
    h.schema = 9;
    check_bad(h, "unknown histogram schema 9");
    h = int_histogram();
    h.i.count = 9;
    check_bad(h, "8 observations found in buckets, but the count is 9");
    h.sum = NAN;
    check_good(h);
    h.i.count = 7;
    check_bad(h, "8 observations found in buckets, but the count is 7");
    h = int_histogram();
    h.positive_spans = negative_gap;
    check_bad(h, "span number 2 has a negative offset of -1");
    h = int_histogram();
    h.positive_count = 2;
    check_bad(h, "need 3 buckets, have 2 buckets");
    h = int_histogram();
    h.i.positive_deltas = below_zero;
    check_bad(h, "bucket number 2 has a negative count");
    h.i.positive_deltas = overflow;
    check_bad(h, "bucket number 2 has a negative count");
    h = int_histogram();
    h.custom_values = bounds;
    h.custom_value_count = 1;
    check_bad(h, "custom bounds in a histogram of schema 1");
    h = float_histogram();
    h.f.positive_counts = below;
    check_bad(h, "bucket number 2 has a negative count of -3");
    h = float_histogram();
    h.f.zero_count = -1;
    check_bad(h, "zero bucket has a negative count");
    h = custom_histogram();
    h.custom_values = unsorted;
    check_bad(h, "not in strictly increasing order");
    h.custom_values = open;
    check_bad(h, "custom bound number 3 is not finite");
    h = custom_histogram();
    h.custom_value_count = 1;
    check_bad(h, "only 1 custom bounds defined");
    h = custom_histogram();
    h.f.zero_count = 1;
    check_bad(h, "must have zero count of 0");
}

static void test_copy(void **state)
{
    const struct histogram all[] = {int_histogram(), float_histogram(), custom_histogram()};
    struct arena arena, none;

    (void)state;
    arena_init(&arena, NULL, 0);
    arena_init(&none, NULL, 8);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        const struct histogram *copy = histogram_copy(&arena, &all[i]);

        assert_non_null(copy);
        assert_int_equal(0, order_histograms(copy, &all[i]));
        assert_ptr_not_equal(copy->positive_spans, all[i].positive_spans);
    }
    assert_null(histogram_copy(&none, &all[0]));
    arena_fini(&none);
    arena_fini(&arena);
}

static void test_bounds(void **state)
{
    const struct histogram schema_0 = {.schema = 0}, schema_2 = {.schema = -2},
                           fine = {.schema = 8};
    const struct histogram custom = custom_histogram();

    (void)state;
    assert_true(histogram_bound(&schema_0, 0) == 1);
    assert_true(histogram_bound(&schema_0, 3) == 8);
    assert_true(histogram_bound(&schema_0, -2) == 0.25);
    assert_true(histogram_bound(&schema_0, 1024) == DBL_MAX);
    assert_true(histogram_bound(&schema_0, 1025) == INFINITY);
    assert_true(histogram_bound(&schema_2, 1) == 16);
    assert_true(histogram_bound(&schema_2, 256) == DBL_MAX);
    assert_true(histogram_bound(&fine, 256) == 2);
    /* Upstream's bits, not those of sqrt(2). */
    assert_true(histogram_bound(&fine, 128) == 2 * 0.7071067811865475);
    assert_true(histogram_bound(&fine, -256) == 0.5);
    assert_true(histogram_bound(&fine, 1024 * 256) == DBL_MAX);
    assert_true(histogram_bound(&custom, -1) == -INFINITY);
    assert_true(histogram_bound(&custom, 0) == 1);
    assert_true(histogram_bound(&custom, 3) == INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
