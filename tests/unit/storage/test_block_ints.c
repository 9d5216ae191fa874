/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/varint.h"
#include "storage/block_floats.h"
#include "storage/block_ints.h"
#include "storage/block_unpack.h"
#include "support/gen.h"

/* Each way of packing appears: flat, steady, around a value, rising, accelerating, with outliers.
 */
static void fill(struct gen *gen, uint64_t *values, uint32_t count)
{
    const unsigned width = (unsigned)gen_below(gen, 65);
    const uint64_t mask = width == 0 ? 0 : UINT64_MAX >> (64 - width);
    const uint64_t base = gen_chance(gen, 2) ? gen_u64(gen) : gen_below(gen, 1000);
    const uint64_t shape = gen_below(gen, 4);
    const bool is_signed = gen_chance(gen, 2);
    uint64_t step = 0;
    uint64_t v = base;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t noise = gen_u64(gen) & mask;

        if (is_signed)
            noise = (noise >> 1) ^ -(noise & 1);
        if (gen_chance(gen, 60))
            noise = gen_u64(gen);
        step = shape == 3 ? step + noise : noise;
        v = shape == 0 ? base : shape == 1 ? base + noise : v + step;
        values[i] = v;
    }
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20000)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_INTS_COUNT_MAX);
        uint64_t values[BLOCK_INTS_COUNT_MAX];
        uint64_t got[BLOCK_INTS_COUNT_MAX];
        uint8_t bytes[BLOCK_INTS_SIZE_MAX];

        fill(&gen, values, count);
        const size_t size = block_ints_put(bytes, values, count);
        assert_true(size <= sizeof(bytes));
        struct slice rest = slice_of(bytes, size);
        assert_true(block_ints_take(&rest, got, count));
        assert_int_equal(0, rest.len);
        assert_memory_equal(values, got, count * sizeof(*values));
        /* Every cut is noticed. */
        rest = slice_of(bytes, (size_t)gen_below(&gen, size));
        assert_false(block_ints_take(&rest, got, count));
    }
}

static void check_bytes(const uint64_t *values, uint32_t count, const void *want, size_t size)
{
    uint8_t bytes[BLOCK_INTS_SIZE_MAX];

    assert_int_equal(size, block_ints_put(bytes, values, count));
    assert_memory_equal(want, bytes, size);
}

static void check_floats(const double *values, uint32_t count, const void *want, size_t size)
{
    uint8_t bytes[BLOCK_FLOATS_SIZE_MAX];

    assert_int_equal(size, block_floats_put(bytes, values, count));
    assert_memory_equal(want, bytes, size);
}

#define CHECK_INTS(values, want)   check_bytes(values, COUNT_OF(values), want, sizeof(want) - 1)
#define CHECK_FLOATS(values, want) check_floats(values, COUNT_OF(values), want, sizeof(want) - 1)

/* docs/formats/block.md has these bytes. */
static void test_golden(void **state)
{
    static const uint64_t flat[] = {7, 7, 7};
    static const uint64_t steady[] = {0, 15000, 30000, 45000};
    static const uint64_t near[] = {100, 103, 101, 102, 100};
    static const uint64_t rising[] = {10, 11, 13, 14, 16, 17};
    static const uint64_t line[] = {0, 15002, 30001, 45003, 60000, 75001, 90003, 105001};
    static const uint64_t pages[] = {8192, 4096, 16384, 12288, 4096};
    static const uint64_t jumps[] = {5, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9, 6, 6, 6, 6, 6};
    static const double decimals[] = {0.25, 0.5, 0.26};
    static const double stale[] = {1, 2, 1, 3, 1, 2, 3, 1, 1, 0};
    static const double wild[] = {0x1.23456789abcdp-3, 0x1.23456789abcep-3};
    double mixed[COUNT_OF(stale)];

    (void)state;
    CHECK_INTS(flat, "\x00\x0e");
    CHECK_INTS(steady, "\x01\x00\xb0\xea\x01");
    CHECK_INTS(near, "\x02\xc8\x01\x02\x9c\x00");
    CHECK_INTS(rising, "\x03\x14\x02\x01\x0a");
    CHECK_INTS(line, "\x05\xb0\xea\x01\x00\x02\xd8\x74");
    CHECK_INTS(pages, "\x06\x80\x80\x01\x80\x20\x0a\x03\x08\x15");
    CHECK_INTS(jumps, "\x07\x10\x04\x0b\x0a\x04\x58");
    CHECK_FLOATS(decimals, "\x22\x02\x32\x05\x20\x07");
    CHECK_FLOATS(wild, "\x61\xa0\xf3\xd5\x89\xcf\x95\x9a\xc2\x7f\x20");
    memcpy(mixed, stale, sizeof(mixed));
    mixed[9] = sample_value_from_bits(SAMPLE_STALE_BITS);
    CHECK_FLOATS(mixed, "\x42\x00\x01\x09\x02\0\0\0\0\0\xf0\x7f\x02\x02\x84\x24\x00");
}

static void test_floats(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20000)
    {
        static const double scales[] = {1, 10, 1e3, 1e6, 1e9, 1e12, 1e15, 1e22, 3, 4096};
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_FLOATS_COUNT_MAX);
        const double scale = scales[gen_below(&gen, COUNT_OF(scales))];
        const uint64_t wild = gen_chance(&gen, 3) ? 30 : 1000; /* one in so many is no decimal */
        double values[BLOCK_FLOATS_COUNT_MAX];
        double got[BLOCK_FLOATS_COUNT_MAX];
        uint8_t bytes[BLOCK_FLOATS_SIZE_MAX];
        uint64_t ints[BLOCK_FLOATS_COUNT_MAX];

        fill(&gen, ints, count);
        for (uint32_t i = 0; i < count; i++) {
            values[i] = (double)(int64_t)(ints[i] >> 12) / scale;
            if (gen_chance(&gen, wild))
                values[i] = gen_value(&gen);
        }
        const size_t size = block_floats_put(bytes, values, count);
        assert_true(size <= sizeof(bytes));
        struct slice rest = slice_of(bytes, size);
        assert_true(block_floats_take(&rest, got, count));
        assert_int_equal(0, rest.len);
        for (uint32_t i = 0; i < count; i++)
            assert_true(sample_value_bits(values[i]) == sample_value_bits(got[i]));
        rest = slice_of(bytes, (size_t)gen_below(&gen, size));
        assert_false(block_floats_take(&rest, got, count));
    }
}

/* A stale marker at a series' end, or a few values with all digits, leave the rest decimals. */
static void test_mixed_size(void **state)
{
    double values[BLOCK_FLOATS_COUNT_MAX];
    uint8_t bytes[BLOCK_FLOATS_SIZE_MAX];
    struct gen gen;

    (void)state;
    gen_init(&gen, 4);
    for (uint32_t i = 0; i < COUNT_OF(values); i++)
        values[i] = (double)gen_between(&gen, 0, 1000) / 100;
    const size_t size = block_floats_put(bytes, values, COUNT_OF(values));
    values[60] = 3.14159265358979312;
    values[127] = sample_value_from_bits(SAMPLE_STALE_BITS);
    assert_true(block_floats_put(bytes, values, COUNT_OF(values)) <= size + 2 + 2 * 9);
}

/* A few outliers do not widen the rest. */
static void test_patches(void **state)
{
    uint64_t values[BLOCK_INTS_COUNT_MAX];
    uint8_t bytes[BLOCK_INTS_SIZE_MAX];
    struct gen gen;

    (void)state;
    gen_init(&gen, 3);
    for (uint32_t i = 0; i < COUNT_OF(values); i++)
        values[i] = gen_below(&gen, 8);
    const size_t size = block_ints_put(bytes, values, COUNT_OF(values));
    values[17] = UINT64_C(1) << 40;
    values[90] = UINT64_C(1) << 30;
    assert_true(block_ints_put(bytes, values, COUNT_OF(values)) <= size + 2 + 2 * 6);
}

static void test_unpack(void **state)
{
    struct gen gen;

    (void)state;
    gen_init(&gen, 9);
    for (unsigned width = 0; width <= 64; width++) {
        uint64_t words[129];
        uint64_t got[128];

        gen_bytes(&gen, words, sizeof(words));
        block_unpack(words, got, 128, width);
        for (unsigned i = 0; i < 128; i++) {
            uint64_t want = 0;

            for (unsigned bit = 0; bit < width; bit++) {
                const unsigned at = i * width + bit;

                want |= (words[at / 64] >> at % 64 & 1) << bit;
            }
            assert_true(want == got[i]);
        }
    }
}

static void test_damage(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 5000)
    {
        const uint32_t count = (uint32_t)gen_between(&gen, 1, BLOCK_INTS_COUNT_MAX);
        uint64_t values[BLOCK_INTS_COUNT_MAX];
        double floats[BLOCK_FLOATS_COUNT_MAX];
        uint8_t bytes[BLOCK_FLOATS_SIZE_MAX];

        fill(&gen, values, count);
        size_t size = block_ints_put(bytes, values, count);
        bytes[gen_below(&gen, size)] ^= (uint8_t)(1 << gen_below(&gen, 8));
        struct slice rest = slice_of(bytes, size);
        (void)block_ints_take(&rest, values, count);
        for (uint32_t i = 0; i < count; i++)
            floats[i] = gen_value(&gen);
        size = block_floats_put(bytes, floats, count);
        bytes[gen_below(&gen, size)] ^= (uint8_t)(1 << gen_below(&gen, 8));
        rest = slice_of(bytes, size);
        (void)block_floats_take(&rest, floats, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_golden),
        cmocka_unit_test(test_patches),    cmocka_unit_test(test_unpack),
        cmocka_unit_test(test_floats),     cmocka_unit_test(test_mixed_size),
        cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
