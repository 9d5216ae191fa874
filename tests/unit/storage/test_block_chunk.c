/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/mem.h"
#include "storage/block_chunk.h"
#include "support/gen.h"

static uint32_t decode(struct block_chunk_reader *reader, struct sample *out)
{
    int64_t t_ms[BLOCK_FRAME_COUNT_MAX];
    double v[BLOCK_FRAME_COUNT_MAX];
    uint32_t total = 0;
    uint32_t count;

    while (block_chunk_next(reader, t_ms, v, &count)) {
        assert_true(total + count <= BLOCK_CHUNK_COUNT_MAX);
        for (uint32_t i = 0; i < count; i++)
            out[total++] = (struct sample){t_ms[i], v[i]};
    }
    return total;
}

static void check_round_trip(struct buf *out, const struct sample *samples, uint32_t count)
{
    static struct sample got[BLOCK_CHUNK_COUNT_MAX];
    struct block_chunk_reader reader;

    buf_reset(out);
    block_chunk_encode(out, samples, count);
    assert_int_equal(ERR_OK, out->err);
    block_chunk_open(&reader, buf_slice(out), samples[0].t_ms);
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
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
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
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
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
        0x01, 0x03,             /* FLOAT, 3 samples */
        0x08,                   /* frame of 8 bytes */
        0x00,                   /* first time + 0 */
        0x0f, 0x02, 0x80,       /* step 15, dod of 2 bits: zigzag(1) = 2 */
        0x02, 0x0a, 0x03, 0x80, /* INT, 5, 3 bits: zigzag(2) = 4, 0 */
    };
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
    block_chunk_encode(&out, samples, COUNT_OF(samples));
    assert_int_equal(sizeof(want), out.len);
    assert_memory_equal(want, out.data, sizeof(want));
    buf_fini(&out);
}

static void test_size(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
    for (uint32_t i = 0; i < COUNT_OF(samples); i++)
        samples[i] = (struct sample){1000 + (int64_t)i * 15000, 3.5};
    block_chunk_encode(&out, samples, COUNT_OF(samples));
    assert_true(out.len < 160); /* a constant costs a few bytes a frame */
    buf_reset(&out);
    for (uint32_t i = 0; i < COUNT_OF(samples); i++)
        samples[i].v = (double)(i * 7 + i % 3);
    block_chunk_encode(&out, samples, COUNT_OF(samples));
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
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
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
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
    GEN_EACH_SEED(&gen, 300)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_CHUNK_COUNT_MAX);
        struct block_chunk_reader reader;
        int64_t t_ms[BLOCK_FRAME_COUNT_MAX];
        double v[BLOCK_FRAME_COUNT_MAX];
        uint32_t got;

        gen_series(&gen, samples, count);
        buf_reset(&out);
        block_chunk_encode(&out, samples, count);
        const uint32_t at = (uint32_t)gen_below(&gen, count);
        block_chunk_open(&reader, buf_slice(&out), samples[0].t_ms);
        block_chunk_skip(&reader, samples[at].t_ms);
        assert_true(block_chunk_next(&reader, t_ms, v, &got));
        /* The first frame given holds the sample sought. */
        assert_true(t_ms[0] <= samples[at].t_ms);
        assert_true(t_ms[got - 1] >= samples[at].t_ms);
    }
    buf_fini(&out);
}

/* Damage gives an error or other samples in rising order, never a crash or an overrun. */
static void test_damage(void **state)
{
    struct sample samples[BLOCK_CHUNK_COUNT_MAX];
    static struct sample got[BLOCK_CHUNK_COUNT_MAX];
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, BLOCK_CHUNK_SIZE_MAX);
    GEN_EACH_SEED(&gen, 2000)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, 400);
        struct block_chunk_reader reader;

        gen_series(&gen, samples, count);
        buf_reset(&out);
        block_chunk_encode(&out, samples, count);
        const size_t len = gen_chance(&gen, 3) ? (size_t)gen_below(&gen, out.len) : out.len;
        char *copy = mem_alloc(len + 1);
        memcpy(copy, out.data, len);
        for (uint64_t flips = gen_below(&gen, 4); flips > 0 && len > 0; flips--)
            copy[gen_below(&gen, len)] ^= (char)(1 << gen_below(&gen, 8));
        block_chunk_open(&reader, slice_of(copy, len), samples[0].t_ms);
        const uint32_t got_count = decode(&reader, got);
        for (uint32_t i = 1; i < got_count; i++)
            assert_true(got[i].t_ms > got[i - 1].t_ms);
        mem_free(copy);
    }
    buf_fini(&out);
}

static void test_refusals(void **state)
{
    struct block_chunk_reader reader;

    (void)state;
    block_chunk_open(&reader, SLICE(""), 0);
    check_err(ERR_CORRUPT, reader.err);
    block_chunk_open(&reader, slice_of("\x02\x01", 2), 0);
    check_err(ERR_VERSION, reader.err);
    block_chunk_open(&reader, slice_of("\x01\x00", 2), 0);
    check_err(ERR_CORRUPT, reader.err);
    block_chunk_open(&reader, slice_of("\x01\x81\x08", 3), 0); /* 1,025 samples */
    check_err(ERR_CORRUPT, reader.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_size),
        cmocka_unit_test(test_skip),       cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
