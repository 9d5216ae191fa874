/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/wide_chunk.h"

#include "base/mem.h"
#include "model/order.h"
#include "support/check.h"
#include "support/gen_histogram.h"

enum { SAMPLES_MAX = 200 };

/* What was appended to one chunk. */
struct want {
    enum wide_kind kind;
    struct arena arena;
    struct wide_sample samples[SAMPLES_MAX];
    uint32_t count;
};

static void want_add(struct want *want, const struct wide_sample *sample)
{
    struct wide_sample *to = &want->samples[want->count++];

    *to = *sample;
    if (want->kind != WIDE_FLOAT)
        to->histogram = histogram_copy(&want->arena, sample->histogram);
}

/* A chunk says what was put in, histograms but for their hint. */
static void check_chunk(const struct want *want, struct slice bytes, enum histogram_reset first)
{
    struct arena layouts, arena;
    struct wide_sample got;
    struct wide_iter it;
    int64_t t_min_ms = 0;

    arena_init(&layouts, NULL, 0);
    arena_init(&arena, NULL, 0);
    wide_iter_init(&it, bytes, &layouts);
    assert_int_equal(want->kind, wide_chunk_kind(bytes));
    assert_int_equal(want->count, wide_chunk_count(bytes));
    assert_true(wide_chunk_t_min(bytes, &t_min_ms));
    assert_int_equal(want->samples[0].t_ms, t_min_ms);
    for (uint32_t i = 0; i < want->count; i++) {
        const struct wide_sample *sample = &want->samples[i];

        assert_true(wide_iter_next(&it, &arena, &got));
        assert_int_equal(sample->t_ms, got.t_ms);
        assert_int_equal(sample->start_t_ms, got.start_t_ms);
        if (want->kind == WIDE_FLOAT) {
            assert_int_equal(sample_value_bits(sample->v), sample_value_bits(got.v));
            continue;
        }
        struct histogram same = *got.histogram;
        if (!histogram_is_stale(&same))
            assert_int_equal(first == HISTOGRAM_GAUGE ? HISTOGRAM_GAUGE
                             : i == 0                 ? first
                                                      : HISTOGRAM_RESET_NO,
                             same.reset);
        same.reset = sample->histogram->reset;
        assert_int_equal(0, order_histograms(sample->histogram, &same));
    }
    assert_false(wide_iter_next(&it, &arena, &got));
    check_err(ERR_OK, it.err);
    arena_fini(&layouts);
    arena_fini(&arena);
}

/* The chunk resumed from its bytes goes on as the first one does. */
static void check_resumes(struct wide_encoder *encoder, const struct histogram *next)
{
    struct wide_encoder *again;
    struct slice a, b;

    check_err(ERR_OK, wide_encoder_resume(wide_encoder_bytes(encoder), &again));
    if (next != NULL)
        assert_int_equal(wide_encoder_turn(encoder, next), wide_encoder_turn(again, next));
    a = wide_encoder_bytes(encoder);
    b = wide_encoder_bytes(again);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    wide_encoder_free(again);
}

static void check_life(struct gen *gen)
{
    struct wide_encoder *encoder = wide_encoder_new();
    struct want *want = mem_zalloc(1, sizeof(*want));
    enum histogram_reset first = HISTOGRAM_RESET_UNKNOWN;
    struct gen_histogram target;
    struct err_info info;
    int64_t t_ms = gen_between(gen, -5000, 5000);

    arena_init(&want->arena, NULL, 0);
    gen_histogram_init(&target, gen);
    for (unsigned i = 0; i < 400; i++) {
        const struct histogram *h = gen_histogram_next(&target);
        const enum wide_kind kind = h->is_float ? WIDE_FLOAT_HISTOGRAM : WIDE_HISTOGRAM;
        const struct wide_sample sample = {
            .t_ms = t_ms,
            .start_t_ms = gen_chance(gen, 3) ? t_ms - gen_between(gen, 0, 100000) : 0,
            .histogram = h};
        enum wide_turn turn = WIDE_CUT;

        t_ms += gen_between(gen, 1, gen_chance(gen, 5) ? 1000000 : 15000);
        if (histogram_check(h, &info) != ERR_OK)
            fail_msg("%s", info.message);
        if (wide_encoder_count(encoder) > 0) {
            turn = wide_encoder_turn(encoder, h);
            if (gen_chance(gen, 20))
                check_resumes(encoder, h);
        }
        if (turn != WIDE_GOES_ON || want->count == SAMPLES_MAX) {
            if (want->count > 0)
                check_chunk(want, wide_encoder_bytes(encoder), first);
            first = turn == WIDE_CUT_RESET        ? HISTOGRAM_RESET_YES
                    : h->reset == HISTOGRAM_GAUGE ? HISTOGRAM_GAUGE
                                                  : HISTOGRAM_RESET_UNKNOWN;
            wide_encoder_start(encoder, kind, first);
            arena_reset(&want->arena);
            want->count = 0;
            want->kind = kind;
        }
        wide_encoder_append(encoder, &sample);
        want_add(want, &sample);
        if (histogram_is_stale(h))
            ((struct histogram *)(uintptr_t)want->samples[want->count - 1].histogram)->is_float =
                want->kind == WIDE_FLOAT_HISTOGRAM;
    }
    check_chunk(want, wide_encoder_bytes(encoder), first);
    arena_fini(&want->arena);
    wide_encoder_free(encoder);
    mem_free(want);
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 200)
    check_life(&gen);
}

static void test_floats_with_start(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        struct wide_encoder *encoder = wide_encoder_new();
        struct want *want = mem_zalloc(1, sizeof(*want));
        struct sample samples[SAMPLES_MAX];
        const uint32_t count = 1 + (uint32_t)gen_below(&gen, SAMPLES_MAX);
        int64_t start_ms = 0;

        want->kind = WIDE_FLOAT;
        gen_series(&gen, samples, count);
        wide_encoder_start(encoder, WIDE_FLOAT, HISTOGRAM_RESET_UNKNOWN);
        for (uint32_t i = 0; i < count; i++) {
            if (gen_chance(&gen, 4))
                start_ms = gen_chance(&gen, 5) ? (int64_t)gen_u64(&gen) : samples[i].t_ms - 7;
            const struct wide_sample sample = {
                .t_ms = samples[i].t_ms, .start_t_ms = start_ms, .v = samples[i].v};
            wide_encoder_append(encoder, &sample);
            want_add(want, &sample);
        }
        check_chunk(want, wide_encoder_bytes(encoder), HISTOGRAM_RESET_UNKNOWN);
        check_resumes(encoder, NULL);
        wide_encoder_free(encoder);
        mem_free(want);
    }
}

/* ---- turns ---- */

static const struct histogram_span two_spans[] = {{0, 2}, {1, 1}};
static const struct histogram_span one_span[] = {{0, 2}};
static const struct histogram_span four[] = {{0, 4}};

static struct histogram int_histogram(const struct histogram_span *spans, uint32_t span_count,
                                      const int64_t *deltas, uint32_t count)
{
    struct histogram h = {.schema = 1,
                          .zero_threshold = 0.01,
                          .sum = 1,
                          .positive_spans = spans,
                          .positive_span_count = span_count,
                          .positive_count = count,
                          .i.positive_deltas = deltas,
                          .i.zero_count = 2};
    int64_t bucket = 0;

    h.i.count = 2;
    for (uint32_t i = 0; i < count; i++) {
        bucket += deltas[i];
        h.i.count += (uint64_t)bucket;
    }
    return h;
}

static void check_turn(const struct histogram *before, const struct histogram *now,
                       enum wide_turn want)
{
    struct wide_encoder *encoder = wide_encoder_new();
    const struct wide_sample sample = {.t_ms = 1, .histogram = before};

    wide_encoder_start(encoder, before->is_float ? WIDE_FLOAT_HISTOGRAM : WIDE_HISTOGRAM,
                       before->reset == HISTOGRAM_GAUGE ? HISTOGRAM_GAUGE
                                                        : HISTOGRAM_RESET_UNKNOWN);
    wide_encoder_append(encoder, &sample);
    assert_int_equal(want, wide_encoder_turn(encoder, now));
    wide_encoder_free(encoder);
}

/* The cases of upstream's appendable() and appendableGauge(). */
static void test_turns(void **state)
{
    static const int64_t base[] = {5, -2, 1}, more[] = {5, -1, 1}, fell[] = {6, -3, 2},
                         gone[] = {9, 9}, filled[] = {5, -2, -3, 4}, filled_fell[] = {5, -2, 0, 0};
    const struct histogram before = int_histogram(two_spans, 2, base, 3);
    struct histogram now = int_histogram(two_spans, 2, more, 3);
    const struct histogram stale = {.sum = sample_value_from_bits(SAMPLE_STALE_BITS)};

    (void)state;
    check_turn(&before, &before, WIDE_GOES_ON);
    check_turn(&before, &now, WIDE_GOES_ON);
    check_turn(&now, &before, WIDE_CUT_RESET); /* the count fell */
    now = int_histogram(two_spans, 2, fell, 3);
    now.i.count = before.i.count + 1;
    check_turn(&before, &now, WIDE_GOES_ON);
    check_turn(&now, &before, WIDE_CUT_RESET);
    now = int_histogram(one_span, 1, gone, 2); /* a bucket in use is gone */
    check_turn(&before, &now, WIDE_CUT_RESET);
    now = int_histogram(four, 1, filled, 4); /* a new empty bucket in the gap */
    check_turn(&before, &now, WIDE_GOES_ON);
    check_turn(&now, &before, WIDE_GOES_ON); /* an empty one is gone */
    now = int_histogram(four, 1, filled_fell, 4);
    now.i.count += 5;
    check_turn(&before, &now, WIDE_CUT_RESET);
    now = before;
    now.reset = HISTOGRAM_RESET_YES;
    check_turn(&before, &now, WIDE_CUT_RESET);
    now.reset = HISTOGRAM_GAUGE;
    check_turn(&before, &now, WIDE_CUT);
    check_turn(&now, &before, WIDE_CUT);
    check_turn(&now, &now, WIDE_GOES_ON);
    now = before;
    now.i.zero_count--;
    check_turn(&before, &now, WIDE_CUT_RESET);
    now = before;
    now.schema = 2;
    check_turn(&before, &now, WIDE_CUT);
    now = before;
    now.zero_threshold = 0.02;
    check_turn(&before, &now, WIDE_CUT);
    check_turn(&before, &stale, WIDE_GOES_ON);
    check_turn(&stale, &stale, WIDE_GOES_ON);
    check_turn(&stale, &before, WIDE_CUT);
}

static void test_custom_bounds(void **state)
{
    static const int64_t deltas[] = {1, 1};
    static const double a[] = {1, 2, 3}, b[] = {1, 2, 4};
    struct histogram before = int_histogram(one_span, 1, deltas, 2), now;

    (void)state;
    before.schema = HISTOGRAM_SCHEMA_CUSTOM;
    before.zero_threshold = 0;
    before.i.zero_count = 0;
    before.custom_values = a;
    before.custom_value_count = 3;
    now = before;
    check_turn(&before, &now, WIDE_GOES_ON);
    now.custom_values = b;
    check_turn(&before, &now, WIDE_CUT_RESET);
}

/* Every cut of a chunk is an error, or a shorter chunk; never a crash. */
static void test_cut_bytes(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 50)
    {
        struct wide_encoder *encoder = wide_encoder_new();
        struct gen_histogram target;
        struct arena layouts, arena;
        struct slice bytes;

        gen_histogram_init(&target, &gen);
        for (unsigned i = 0; i < 20; i++) {
            const struct histogram *h = gen_histogram_next(&target);
            const struct wide_sample sample = {.t_ms = i * 1000, .histogram = h};

            if (i == 0)
                wide_encoder_start(encoder, h->is_float ? WIDE_FLOAT_HISTOGRAM : WIDE_HISTOGRAM,
                                   HISTOGRAM_RESET_UNKNOWN);
            else if (h->is_float != (wide_encoder_kind(encoder) == WIDE_FLOAT_HISTOGRAM))
                break;
            wide_encoder_append(encoder, &sample);
        }
        bytes = wide_encoder_bytes(encoder);
        arena_init(&layouts, NULL, 0);
        arena_init(&arena, NULL, 0);
        for (size_t len = 0; len < bytes.len; len++) {
            struct wide_encoder *again;
            struct wide_sample sample;
            struct wide_iter it;

            wide_iter_init(&it, slice_of(bytes.data, len), &layouts);
            while (wide_iter_next(&it, &arena, &sample))
                ;
            check_err(ERR_CORRUPT, it.err);
            check_err(ERR_CORRUPT, wide_encoder_resume(slice_of(bytes.data, len), &again));
            arena_reset(&layouts);
            arena_reset(&arena);
        }
        arena_fini(&layouts);
        arena_fini(&arena);
        wide_encoder_free(encoder);
    }
}

/* A steady histogram costs little: a bit for each bucket that nothing falls into. */
static void test_size(void **state)
{
    static const int64_t deltas[20] = {5};
    static const struct histogram_span spans[] = {{3, 20}};
    struct histogram h = int_histogram(spans, 1, deltas, 20);
    struct wide_encoder *encoder = wide_encoder_new();

    (void)state;
    wide_encoder_start(encoder, WIDE_HISTOGRAM, HISTOGRAM_RESET_UNKNOWN);
    for (int i = 0; i < 120; i++) {
        const struct wide_sample sample = {.t_ms = INT64_C(1700000000000) + i * 15000,
                                           .start_t_ms = 1699999999000,
                                           .histogram = &h};

        wide_encoder_append(encoder, &sample);
    }
    assert_in_range(wide_encoder_bytes(encoder).len, 120 * 3, 120 * 4 + 100);
    wide_encoder_free(encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_floats_with_start),
        cmocka_unit_test(test_turns),      cmocka_unit_test(test_custom_bounds),
        cmocka_unit_test(test_cut_bytes),  cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
