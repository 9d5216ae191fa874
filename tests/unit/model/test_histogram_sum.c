/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_sum.h"

#include <float.h>
#include <math.h>

#include "model/histogram_iter.h"
#include "model/histogram_math.h"
#include "support/check.h"
#include "support/gen.h"

static struct arena arena;
static struct histogram_scratch scratch;
static struct histogram_sum sum;

enum { GEN_BUCKETS = 40 };

static void gen_side(struct gen *gen, double *counts, struct histogram_span *spans,
                     uint32_t bucket_count)
{
    /* Every bucket a span of its own; some touch. */
    for (uint32_t i = 0; i < bucket_count; i++) {
        spans[i] = (struct histogram_span){(int32_t)gen_below(gen, 3) - (i == 0 ? 20 : 0), 1};
        counts[i] = (double)gen_below(gen, 5);
    }
}

static struct histogram *gen_histogram(struct gen *gen)
{
    const uint32_t positive = (uint32_t)gen_below(gen, GEN_BUCKETS);
    const uint32_t negative = (uint32_t)gen_below(gen, GEN_BUCKETS);
    const struct histogram shape = {.schema = (int32_t)gen_below(gen, 4) - 1,
                                    .positive_count = positive,
                                    .positive_span_count = positive,
                                    .negative_count = negative,
                                    .negative_span_count = negative};
    struct histogram_parts parts;
    struct histogram *h = histogram_float_new(&arena, &shape, &parts);

    gen_side(gen, parts.positive, parts.positive_spans, positive);
    gen_side(gen, parts.negative, parts.negative_spans, negative);
    h->f.zero_count = (double)gen_below(gen, 4);
    h->f.count = h->f.zero_count;
    for (uint32_t i = 0; i < positive; i++)
        h->f.count += parts.positive[i];
    for (uint32_t i = 0; i < negative; i++)
        h->f.count += parts.negative[i];
    h->sum = (double)gen_below(gen, 1000);
    return h;
}

static struct histogram *result_of(const struct histogram *const *items, uint32_t count,
                                   const double *factors)
{
    struct histogram_merge merge = {0};
    struct histogram *result;

    histogram_sum_reset(&sum, &scratch);
    for (uint32_t i = 0; i < count; i++)
        check_err(ERR_OK,
                  histogram_sum_add(&sum, items[i], factors == NULL ? 1 : factors[i], &merge));
    assert_false(merge.is_incompatible);
    result = histogram_sum_result(&sum);
    assert_non_null(result);
    return result;
}

/* How much is in buckets up to a bound that all schemas above -2 have. */
static double below(const struct histogram *h, double bound)
{
    struct histogram_iter it;
    double total = 0;

    histogram_iter_init(&it, h, false);
    while (histogram_iter_next(&it)) {
        if (histogram_iter_bounds(&it).upper <= bound)
            total += it.count;
    }
    return total;
}

/* A sum counts below each bound what its parts count, whatever their schemas; and the order of the
 * parts does not matter. */
static void test_sum_of_schemas(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 3000)
    {
        const struct histogram *items[3] = {gen_histogram(&gen), gen_histogram(&gen),
                                            gen_histogram(&gen)};
        const struct histogram *turned[3] = {items[2], items[0], items[1]};
        const struct histogram *result = result_of(items, 3, NULL);

        for (double bound = 1.0 / 4096; bound < 1e9; bound *= 4) {
            for (int sign = -1; sign <= 1; sign += 2) {
                double want = 0;

                for (int i = 0; i < 3; i++)
                    want += below(items[i], sign * bound);
                if (below(result, sign * bound) != want)
                    fail_msg("up to %g: %g, expected %g", sign * bound, below(result, sign * bound),
                             want);
            }
        }
        assert_true(histogram_eq(result, result_of(turned, 3, NULL)));
        arena_reset(&arena);
        histogram_scratch_init(&scratch, &arena);
        sum = (struct histogram_sum){0};
    }
}

/* a + b - b is a, as far as its resolution stays. */
static void test_difference(void **state)
{
    static const double factors[] = {1, 1, -1};
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 3000)
    {
        struct histogram *a = gen_histogram(&gen), *b = gen_histogram(&gen);
        const struct histogram *items[3] = {a, b, b};

        a->schema = b->schema = 1;
        assert_true(histogram_eq(histogram_compacted(&arena, a), result_of(items, 3, factors)));
        arena_reset(&arena);
        histogram_scratch_init(&scratch, &arena);
        sum = (struct histogram_sum){0};
    }
}

/* Zero buckets of different width: nothing is lost and nothing counted twice. */
static void test_zero_buckets(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 3000)
    {
        struct histogram *a = gen_histogram(&gen), *b = gen_histogram(&gen);
        const struct histogram *items[2] = {a, b};
        const struct histogram *result;
        struct histogram_iter it;
        double total = 0;

        a->zero_threshold = ldexp(1 + gen_unit(&gen), (int)gen_below(&gen, 12) - 8);
        a->f.negative_counts = NULL;
        a->f.count = 0;
        a->positive_count = a->positive_span_count = a->negative_count = a->negative_span_count = 0;
        a->f.count = a->f.zero_count;
        result = result_of(items, 2, NULL);
        assert_true(result->zero_threshold >= a->zero_threshold);
        histogram_iter_init(&it, result, false);
        while (histogram_iter_next(&it)) {
            const struct histogram_bounds bounds = histogram_iter_bounds(&it);

            total += it.count;
            if (it.part != HISTOGRAM_PART_ZERO)
                assert_true(bounds.lower >= result->zero_threshold ||
                            bounds.upper <= -result->zero_threshold);
        }
        assert_true(total == result->f.count);
        assert_true(total == a->f.count + b->f.count);
        arena_reset(&arena);
        histogram_scratch_init(&scratch, &arena);
        sum = (struct histogram_sum){0};
    }
}

static struct histogram *custom_histogram(const double *bounds, const double *counts,
                                          uint32_t bound_count)
{
    const struct histogram shape = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                    .positive_count = bound_count + 1,
                                    .positive_span_count = 1,
                                    .custom_value_count = bound_count};
    struct histogram_parts parts;
    struct histogram *h = histogram_float_new(&arena, &shape, &parts);

    if (bound_count != 0)
        memcpy(parts.custom_values, bounds, bound_count * sizeof(double));
    memcpy(parts.positive, counts, (bound_count + 1) * sizeof(double));
    parts.positive_spans[0] = (struct histogram_span){0, bound_count + 1};
    return h;
}

static void test_custom_bounds(void **state)
{
    const struct histogram *a = custom_histogram((double[]){1, 2, 5}, (double[]){1, 2, 3, 4}, 3);
    const struct histogram *b =
        custom_histogram((double[]){2, 3, 5}, (double[]){10, 20, 30, 40}, 3);
    const struct histogram *none = custom_histogram(NULL, (double[]){7}, 0);
    struct histogram_merge merge = {0};
    const struct histogram *result;

    (void)state;
    histogram_sum_reset(&sum, &scratch);
    check_err(ERR_OK, histogram_sum_add(&sum, a, 1, &merge));
    check_err(ERR_OK, histogram_sum_add(&sum, a, 1, &merge));
    assert_false(merge.is_rebound);
    check_err(ERR_OK, histogram_sum_add(&sum, b, 1, &merge));
    assert_true(merge.is_rebound);
    result = histogram_sum_result(&sum);
    assert_int_equal(result->custom_value_count, 2);
    assert_true(result->custom_values[0] == 2 && result->custom_values[1] == 5);
    assert_true(result->f.positive_counts[0] == 16 && result->f.positive_counts[1] == 56 &&
                result->f.positive_counts[2] == 48);
    check_err(ERR_OK, histogram_sum_add(&sum, none, 1, &merge));
    result = histogram_sum_result(&sum);
    assert_int_equal(result->custom_value_count, 0);
    assert_true(result->f.positive_counts[0] == 127);
}

static void test_hints(void **state)
{
    static const struct {
        enum histogram_reset a, b, want;
        bool is_conflict;
    } cases[] = {
        {HISTOGRAM_RESET_YES, HISTOGRAM_RESET_YES, HISTOGRAM_RESET_YES, false},
        {HISTOGRAM_GAUGE, HISTOGRAM_RESET_YES, HISTOGRAM_GAUGE, false},
        {HISTOGRAM_RESET_NO, HISTOGRAM_GAUGE, HISTOGRAM_GAUGE, false},
        {HISTOGRAM_RESET_UNKNOWN, HISTOGRAM_RESET_NO, HISTOGRAM_RESET_UNKNOWN, false},
        {HISTOGRAM_RESET_YES, HISTOGRAM_RESET_NO, HISTOGRAM_RESET_UNKNOWN, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct histogram a = {.is_float = true, .reset = cases[i].a};
        const struct histogram b = {.is_float = true, .reset = cases[i].b};
        struct histogram_merge merge = {0};

        histogram_sum_reset(&sum, &scratch);
        check_err(ERR_OK, histogram_sum_add(&sum, &a, 1, &merge));
        check_err(ERR_OK, histogram_sum_add(&sum, &b, 1, &merge));
        assert_int_equal(sum.reset, cases[i].want);
        assert_int_equal(merge.is_reset_conflict, cases[i].is_conflict);
    }
}

static void test_incompatible(void **state)
{
    const struct histogram a = {.is_float = true, .f = {.count = 3}};
    const struct histogram b = {.is_float = true, .schema = HISTOGRAM_SCHEMA_CUSTOM};
    struct histogram_merge merge = {0};

    (void)state;
    histogram_sum_reset(&sum, &scratch);
    check_err(ERR_OK, histogram_sum_add(&sum, &a, 1, &merge));
    check_err(ERR_OK, histogram_sum_add(&sum, &b, 1, &merge));
    assert_true(merge.is_incompatible);
    assert_true(histogram_sum_result(&sum)->f.count == 3);
}

/* What rounding loses in one step comes back in the next. */
static void test_compensation(void **state)
{
    const struct histogram big = {.is_float = true, .sum = 1e100, .f = {.count = 1e100}};
    const struct histogram one = {.is_float = true, .sum = 1, .f = {.count = 1}};
    const struct histogram *items[] = {&one, &big, &one, &big};
    const struct histogram *result = result_of(items, 4, (double[]){1, 1, 1, -1});

    (void)state;
    assert_true(result->sum == 2 && result->f.count == 2);
}

static void test_mean(void **state)
{
    static struct histogram_mean mean;
    struct histogram_merge merge = {0};
    const struct histogram three = {.is_float = true, .sum = 9, .f = {.count = 3}};
    const struct histogram five = {.is_float = true, .sum = 11, .f = {.count = 5}};
    const double most = DBL_MAX / 1.25;
    const struct histogram huge = {.is_float = true, .sum = most, .f = {.count = most}};
    const struct histogram *result;

    (void)state;
    histogram_mean_reset(&mean, &scratch);
    check_err(ERR_OK, histogram_mean_add(&mean, &three, &merge));
    check_err(ERR_OK, histogram_mean_add(&mean, &five, &merge));
    result = histogram_mean_result(&mean);
    assert_true(result->f.count == 4 && result->sum == 10);
    histogram_mean_reset(&mean, &scratch);
    for (int i = 0; i < 5; i++)
        check_err(ERR_OK, histogram_mean_add(&mean, &huge, &merge));
    result = histogram_mean_result(&mean);
    assert_true(fabs(result->f.count / most - 1) < 1e-12);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    histogram_scratch_init(&scratch, &arena);
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
        cmocka_unit_test(test_sum_of_schemas), cmocka_unit_test(test_difference),
        cmocka_unit_test(test_zero_buckets),   cmocka_unit_test(test_custom_bounds),
        cmocka_unit_test(test_hints),          cmocka_unit_test(test_incompatible),
        cmocka_unit_test(test_compensation),   cmocka_unit_test(test_mean),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
