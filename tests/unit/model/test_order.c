/* SPDX-License-Identifier: Apache-2.0 */
#include "model/order.h"

#include <math.h>

#include "support/check.h"
#include "support/gen.h"

static struct order_sample of_float(double v)
{
    return (struct order_sample){.kind = SAMPLE_FLOAT, .v = v};
}

static struct order_sample of_histogram(const struct histogram *h)
{
    return (struct order_sample){.kind = SAMPLE_HISTOGRAM, .histogram = h};
}

static void test_rules(void **state)
{
    const double stale = sample_value_from_bits(SAMPLE_STALE_BITS);
    const struct histogram whole = {.i = {.count = 3}}, real = {.is_float = true},
                           gone = {.sum = stale};
    const struct order_sample low_to_high[] = {
        of_histogram(&gone), of_float(0.0),        of_float(1.0),
        of_float(INFINITY),  of_float(NAN),        of_float(-0.0),
        of_float(-1.0),      of_histogram(&whole), of_histogram(&real),
    };
    const struct order_sample marker = of_float(stale);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(low_to_high); i++) {
        for (size_t j = 0; j < COUNT_OF(low_to_high); j++) {
            const int order = sample_order(&low_to_high[i], &low_to_high[j]);

            if ((order > 0) != (i > j) || (order == 0) != (i == j))
                fail_msg("%zu against %zu: %d", i, j, order);
        }
    }
    for (size_t i = 1; i < COUNT_OF(low_to_high); i++)
        assert_true(sample_order(&marker, &low_to_high[i]) < 0);
}

static struct histogram gen_histogram(struct gen *gen, struct histogram_span *span,
                                      int64_t deltas[2])
{
    span->offset = (int32_t)gen_below(gen, 2);
    span->length = 1 + (uint32_t)gen_below(gen, 2);
    deltas[0] = (int64_t)gen_below(gen, 2);
    deltas[1] = (int64_t)gen_below(gen, 2);
    return (struct histogram){.schema = (int32_t)gen_below(gen, 2),
                              .sum = gen_chance(gen, 4) ? sample_value_from_bits(SAMPLE_STALE_BITS)
                                                        : (double)gen_below(gen, 2),
                              .i = {.count = gen_below(gen, 2), .positive_deltas = deltas},
                              .positive_spans = span,
                              .positive_span_count = 1,
                              .positive_count = span->length};
}

/* It is a total order: antisymmetric, and transitive over any three. */
static void test_total(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20000)
    {
        struct histogram_span spans[3];
        int64_t deltas[3][2];
        struct histogram h[3];
        struct order_sample s[3];

        for (int i = 0; i < 3; i++) {
            h[i] = gen_histogram(&gen, &spans[i], deltas[i]);
            s[i] = gen_chance(&gen, 2) ? of_float(gen_value(&gen)) : of_histogram(&h[i]);
        }
        for (int i = 0; i < 3; i++) {
            const int there = sample_order(&s[i], &s[(i + 1) % 3]);
            const int back = sample_order(&s[(i + 1) % 3], &s[i]);

            assert_true((there < 0 && back > 0) || (there > 0 && back < 0) ||
                        (there == 0 && back == 0));
            assert_int_equal(0, sample_order(&s[i], &s[i]));
        }
        if (sample_order(&s[0], &s[1]) <= 0 && sample_order(&s[1], &s[2]) <= 0)
            assert_true(sample_order(&s[0], &s[2]) <= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_total),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
