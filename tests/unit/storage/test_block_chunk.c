/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/mem.h"
#include "histogram_gen.h"
#include "storage/block_chunk.h"
#include "support/gen.h"

static uint32_t decode(struct block_chunk_reader *reader, struct sample *out)
{
    static struct sample_columns columns;
    uint32_t total = 0;

    while (block_chunk_next(reader, &columns)) {
        assert_int_equal(SAMPLE_FLOAT, columns.kind);
        assert_null(columns.start_t_ms);
        assert_true(total + columns.count <= BLOCK_CHUNK_COUNT_MAX);
        for (uint32_t i = 0; i < columns.count; i++)
            out[total++] = (struct sample){columns.t_ms[i], columns.v[i]};
    }
    return total;
}

static void encode(struct buf *out, const struct sample *samples, uint32_t count)
{
    int64_t t_ms[BLOCK_CHUNK_COUNT_MAX];
    double v[BLOCK_CHUNK_COUNT_MAX];

    for (uint32_t i = 0; i < count; i++) {
        t_ms[i] = samples[i].t_ms;
        v[i] = samples[i].v;
    }
    const struct block_chunk_samples columns = {
        .count = count, .kind = SAMPLE_FLOAT, .t_ms = t_ms, .v = v};
    block_chunk_encode(out, &columns);
}

static void check_round_trip(struct buf *out, const struct sample *samples, uint32_t count)
{
    static struct sample got[BLOCK_CHUNK_COUNT_MAX];
    struct block_chunk_reader reader;

    buf_reset(out);
    encode(out, samples, count);
    assert_int_equal(ERR_OK, out->err);
    block_chunk_open(&reader, buf_slice(out), samples[0].t_ms, NULL);
    const uint32_t got_count = decode(&reader, got);
    assert_int_equal(ERR_OK, reader.err);
    check_samples(samples, count, got, got_count);
}

static void test_round_trip(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    GEN_EACH_SEED(&gen, 2000)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_CHUNK_COUNT_MAX);

        gen_series(&gen, samples, count);
        check_round_trip(&out, samples, count);
    }
    buf_fini(&out);
}

static void test_extremes(void **state)
{
    const struct sample far[] = {{INT64_MIN, -0.0},
                                 {-1, 0.0},
                                 {0, 9007199254740992.0},
                                 {1, -9007199254740992.0},
                                 {INT64_MAX, 1e300}};
    struct sample wild[BLOCK_CHUNK_COUNT_MAX];
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    for (uint32_t count = 1; count <= COUNT_OF(far); count++)
        check_round_trip(&out, far, count);
    /* The largest chunk there can be: random bits at steps that change by any amount. */
    gen_init(&gen, 7);
    for (uint32_t i = 0; i < BLOCK_CHUNK_COUNT_MAX; i++) {
        const int64_t step = (int64_t)(i % 2 == 0 ? 1 : gen_below(&gen, UINT64_C(1) << 52));

        wild[i].t_ms = i == 0 ? INT64_MIN : wild[i - 1].t_ms + step + 1;
        wild[i].v = sample_value_from_bits(gen_u64(&gen));
    }
    check_round_trip(&out, wild, BLOCK_CHUNK_COUNT_MAX);
    buf_fini(&out);
}

static void test_golden(void **state)
{
    /* docs/formats/block.md works these bytes out. */
    static const struct sample samples[] = {{1000, 5}, {1015, 7}, {1031, 7}};
    static const uint8_t want[] = {
        0x01, 0x03, 0x00,             /* FLOAT, 3 samples, no common step */
        0x0b,                         /* frame of 11 bytes */
        0x00,                         /* first time + 0 */
        0x02, 0x00, 0x05, 0xe0, 0x7d, /* times: 0 + (0, 15, 31), 5 bits each */
        0x07, 0x01, 0x01, 0x0a, 0x04, /* whole numbers, runs: 5 and step 2; the third repeats */
    };
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    encode(&out, samples, COUNT_OF(samples));
    assert_int_equal(sizeof(want), out.len);
    assert_memory_equal(want, out.data, sizeof(want));
    buf_fini(&out);
}

static void test_size(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    for (uint32_t i = 0; i < COUNT_OF(samples); i++)
        samples[i] = (struct sample){1000 + (int64_t)i * 15000, 3.5};
    encode(&out, samples, COUNT_OF(samples));
    assert_true(out.len < 160); /* a constant costs a few bytes a frame */
    buf_reset(&out);
    for (uint32_t i = 0; i < COUNT_OF(samples); i++)
        samples[i].v = (double)(i * 7 + i % 3);
    encode(&out, samples, COUNT_OF(samples));
    assert_true(out.len < COUNT_OF(samples) * 6 / 8 + 160);
    buf_fini(&out);
}

/* Decimals, the values most gauges have, and what is nearly one. */
static void test_decimals(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    GEN_EACH_SEED(&gen, 500)
    {
        static const double scales[] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 3};
        const double scale = scales[gen_below(&gen, COUNT_OF(scales))];

        for (uint32_t i = 0; i < COUNT_OF(samples); i++) {
            samples[i].t_ms = (int64_t)i * 15000;
            samples[i].v = (double)gen_between(&gen, -5000, 5000) / scale;
            if (gen_chance(&gen, 400))
                samples[i].v = gen_value(&gen);
            if (gen_chance(&gen, 400))
                samples[i].v += 1e-13;
        }
        check_round_trip(&out, samples, COUNT_OF(samples));
    }
    for (uint32_t i = 0; i < COUNT_OF(samples); i++)
        samples[i].v = (double)(i * 7919 % 1000) / 100;
    check_round_trip(&out, samples, COUNT_OF(samples));
    assert_true(out.len < COUNT_OF(samples) * 12 / 8 + 160);
    buf_fini(&out);
}

static void test_skip(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    GEN_EACH_SEED(&gen, 300)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_CHUNK_COUNT_MAX);
        struct block_chunk_reader reader;
        static struct sample_columns got;

        gen_series(&gen, samples, count);
        buf_reset(&out);
        encode(&out, samples, count);
        const uint32_t at = (uint32_t)gen_below(&gen, count);
        block_chunk_open(&reader, buf_slice(&out), samples[0].t_ms, NULL);
        block_chunk_skip(&reader, samples[at].t_ms);
        assert_true(block_chunk_next(&reader, &got));
        /* The first frame given holds the sample sought. */
        assert_true(got.t_ms[0] <= samples[at].t_ms);
        assert_true(got.t_ms[got.count - 1] >= samples[at].t_ms);
    }
    buf_fini(&out);
}

/* ---- histograms and start times ---- */

static const int64_t *random_starts(struct gen *gen, struct arena *arena, const int64_t *t_ms,
                                    uint32_t count)
{
    int64_t *starts = ARENA_ARRAY(arena, int64_t, count);
    const uint64_t shape = gen_below(gen, 4);

    for (uint32_t i = 0; i < count; i++) {
        starts[i] = shape == 0 ? t_ms[0] - 5000 : i == 0 ? 0 : t_ms[i - 1];
        if (shape == 2 && gen_chance(gen, 10))
            starts[i] = 0;
        if (shape == 3)
            starts[i] = (int64_t)gen_u64(gen);
    }
    return starts;
}

/* A random chunk of either kind, in the arena. */
static struct block_chunk_samples random_chunk(struct gen *gen, struct arena *arena)
{
    struct block_chunk_samples chunk = {.count = (uint32_t)gen_between(gen, 1, 400)};
    struct sample *samples = ARENA_ARRAY(arena, struct sample, chunk.count);
    int64_t *t_ms = ARENA_ARRAY(arena, int64_t, chunk.count);

    gen_series(gen, samples, chunk.count);
    for (uint32_t i = 0; i < chunk.count; i++)
        t_ms[i] = samples[i].t_ms;
    chunk.t_ms = t_ms;
    if (gen_chance(gen, 2))
        chunk.start_t_ms = random_starts(gen, arena, t_ms, chunk.count);
    if (gen_chance(gen, 3)) {
        double *v = ARENA_ARRAY(arena, double, chunk.count);

        for (uint32_t i = 0; i < chunk.count; i++)
            v[i] = samples[i].v;
        chunk.kind = SAMPLE_FLOAT;
        chunk.v = v;
        return chunk;
    }
    const struct histogram **list = ARENA_ARRAY(arena, const struct histogram *, chunk.count);
    const bool is_float = gen_chance(gen, 2);
    struct histogram layout;
    for (uint32_t i = 0; i < chunk.count; i++) {
        if (i == 0 || gen_chance(gen, 40))
            histogram_gen_layout(gen, arena, is_float, &layout);
        list[i] = histogram_gen(gen, arena, &layout);
    }
    chunk.kind = SAMPLE_HISTOGRAM;
    chunk.histograms = list;
    return chunk;
}

static void check_columns(const struct block_chunk_samples *want, uint32_t at,
                          const struct sample_columns *got)
{
    assert_int_equal(want->kind, got->kind);
    for (uint32_t i = 0; i < got->count; i++) {
        assert_true(want->t_ms[at + i] == got->t_ms[i]);
        if (want->start_t_ms != NULL && got->start_t_ms != NULL)
            assert_true(want->start_t_ms[at + i] == got->start_t_ms[i]);
        else if (want->start_t_ms != NULL)
            assert_true(want->start_t_ms[at + i] == 0);
        else
            assert_null(got->start_t_ms);
        if (want->kind == SAMPLE_FLOAT)
            assert_true(sample_value_bits(want->v[at + i]) == sample_value_bits(got->v[i]));
        else
            histogram_check_same(want->histograms[at + i], got->histograms[i]);
    }
}

static void test_kinds(void **state)
{
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, 64 << 20);
    GEN_EACH_SEED(&gen, 1500)
    {
        static struct sample_columns columns;
        struct block_chunk_reader reader;
        struct arena arenas[2];
        uint32_t at = 0;

        arena_init(&arenas[0], NULL, 0);
        arena_init(&arenas[1], NULL, 0);
        const struct block_chunk_samples chunk = random_chunk(&gen, &arenas[0]);
        buf_reset(&out);
        block_chunk_encode(&out, &chunk);
        assert_int_equal(block_chunk_encoding_of(&chunk), (uint8_t)out.data[0]);
        block_chunk_open(&reader, buf_slice(&out), chunk.t_ms[0], &arenas[1]);
        if (gen_chance(&gen, 3)) {
            const uint32_t sought = (uint32_t)gen_below(&gen, chunk.count);

            block_chunk_skip(&reader, chunk.t_ms[sought]);
            at = reader.read_count;
            assert_true(at <= sought);
        }
        for (; block_chunk_next(&reader, &columns); at += columns.count)
            check_columns(&chunk, at, &columns);
        assert_int_equal(ERR_OK, reader.err);
        assert_int_equal(chunk.count, at);
        arena_fini(&arenas[0]);
        arena_fini(&arenas[1]);
    }
    buf_fini(&out);
}

/* Damage gives an error or other samples, never a crash, an overrun or memory without bound. */
static void test_damaged_kinds(void **state)
{
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, 64 << 20);
    GEN_EACH_SEED(&gen, 1000)
    {
        static struct sample_columns columns;
        struct block_chunk_reader reader;
        struct arena arenas[2];

        arena_init(&arenas[0], NULL, 0);
        arena_init(&arenas[1], NULL, 64 << 20);
        const struct block_chunk_samples chunk = random_chunk(&gen, &arenas[0]);
        buf_reset(&out);
        block_chunk_encode(&out, &chunk);
        for (uint64_t flips = 1 + gen_below(&gen, 3); flips > 0; flips--)
            out.data[1 + gen_below(&gen, out.len - 1)] ^= (char)(1 << gen_below(&gen, 8));
        const size_t len = gen_chance(&gen, 3) ? (size_t)gen_below(&gen, out.len) : out.len;
        block_chunk_open(&reader, slice_of(out.data, len), chunk.t_ms[0], &arenas[1]);
        while (block_chunk_next(&reader, &columns)) {
            for (uint32_t i = 1; i < columns.count; i++)
                assert_true(columns.t_ms[i] > columns.t_ms[i - 1]);
            for (uint32_t i = 0; columns.kind == SAMPLE_HISTOGRAM && i < columns.count; i++)
                assert_non_null(histogram_copy(&arenas[0], columns.histograms[i]));
        }
        arena_fini(&arenas[0]);
        arena_fini(&arenas[1]);
    }
    buf_fini(&out);
}

/* docs/formats/block.md works these bytes out. */
static void test_golden_histogram(void **state)
{
    static const struct histogram_span span = {2, 2};
    static const int64_t deltas[3][2] = {{1, 1}, {2, 0}, {2, 1}};
    static const int64_t t_ms[] = {1000, 2000, 3000};
    static const int64_t start_t_ms[] = {500, 500, 500};
    static const uint8_t want[] = {
        0x82, 0x03,                   /* integer histograms, with start times; 3 of them */
        0xe8, 0x07,                   /* steps of 1000 */
        0x28, 0x02,                   /* a frame of 40 bytes, 3 samples */
        0x01, 0xe8, 0x07, 0xd0, 0x0f, /* t - start: 500 and steps of 1000 */
        0x06, 0,    0,    0,    0,    0, 0, 0, 0, /* schema 3, zero threshold 0 */
        0x01, 0x04, 0x02, 0x00, 0x00, /* a positive span (2, 2), no negative, no bounds */
        0x02, 0x02, 0x01, 0x06,       /* hints 1, 2, 2: 1 + (0, 1, 1) */
        0x20, 0x01, 0x0a,             /* sums: 5 over 10^1 */
        0x01, 0x06, 0x02,             /* counts: 3 and steps of 1 */
        0x00, 0x00,                   /* zero counts: 0 */
        0x02, 0x02, 0x01, 0x06,       /* first bucket: 1, 2, 2 */
        0x02, 0x04, 0x01, 0x04,       /* second bucket: 2, 2, 3 */
    };
    const struct histogram *list[3];
    struct histogram items[3];
    struct buf out;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        items[i] = (struct histogram){.schema = 3,
                                      .reset = i == 0 ? HISTOGRAM_RESET_YES : HISTOGRAM_RESET_NO,
                                      .sum = 0.5,
                                      .positive_spans = &span,
                                      .positive_span_count = 1,
                                      .positive_count = 2};
        items[i].i.count = 3 + i;
        items[i].i.positive_deltas = deltas[i];
        list[i] = &items[i];
    }
    const struct block_chunk_samples chunk = {.count = 3,
                                              .kind = SAMPLE_HISTOGRAM,
                                              .t_ms = t_ms,
                                              .start_t_ms = start_t_ms,
                                              .histograms = list};
    buf_init(&out, 4096);
    block_chunk_encode(&out, &chunk);
    assert_int_equal(sizeof(want), out.len);
    assert_memory_equal(want, out.data, sizeof(want));
    buf_fini(&out);
}

static void test_refusals(void **state)
{
    struct block_chunk_reader reader;

    (void)state;
    block_chunk_open(&reader, SLICE(""), 0, NULL);
    check_err(ERR_CORRUPT, reader.err);
    block_chunk_open(&reader, slice_of("\x04\x01", 2), 0, NULL);
    check_err(ERR_VERSION, reader.err);
    block_chunk_open(&reader, slice_of("\x01\x00\x01", 3), 0, NULL);
    check_err(ERR_CORRUPT, reader.err);
    block_chunk_open(&reader, slice_of("\x01\x81\x08\x00", 4), 0, NULL); /* 1,025 samples */
    check_err(ERR_CORRUPT, reader.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_size),
        cmocka_unit_test(test_skip),          cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_damaged_kinds), cmocka_unit_test(test_golden_histogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
