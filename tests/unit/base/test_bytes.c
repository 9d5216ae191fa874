/* SPDX-License-Identifier: Apache-2.0 */
/* The small tools for bytes: varints, bit streams, byte order, checksums, digests, keyed hashes. */
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/endian.h"
#include "base/hash.h"
#include "base/varint.h"
#include "support/check.h"
#include "support/gen.h"

static void test_varint(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 2000)
    {
        const uint64_t v = gen_u64(&gen) >> gen_below(&gen, 64);
        uint8_t bytes[VARINT_SIZE_MAX];
        const size_t size = varint_put_u64(bytes, v);
        struct slice s = slice_of(bytes, size);
        uint64_t back = 0;
        int64_t signed_back = 0;

        assert_int_equal(size, varint_size(v));
        assert_true(varint_take_u64(&s, &back));
        assert_true(back == v);
        assert_int_equal(s.len, 0);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(0, varint_get_u64(bytes, bytes + cut, &back));
        assert_true(varint_put_i64(bytes, (int64_t)v) > 0);
        assert_true(varint_get_i64(bytes, bytes + VARINT_SIZE_MAX, &signed_back) > 0);
        assert_true(signed_back == (int64_t)v);
    }
}

static void test_varint_too_long(void **state)
{
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    static const uint8_t above[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    static const uint8_t top[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    struct slice empty = {NULL, 0};
    uint64_t v = 7;

    (void)state;
    assert_int_equal(0, varint_get_u64(eleven, eleven + sizeof(eleven), &v));
    assert_int_equal(0, varint_get_u64(above, above + sizeof(above), &v));
    assert_false(varint_take_u64(&empty, &v));
    assert_int_equal(v, 7);
    assert_int_equal(10, varint_get_u64(top, top + sizeof(top), &v));
    assert_true(v == UINT64_MAX);
}

static uint64_t low_bits(uint64_t v, unsigned width)
{
    return width == 64 ? v : v & ((UINT64_C(1) << width) - 1);
}

static void test_bits(void **state)
{
    enum { FIELDS = 60 };
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        uint64_t values[FIELDS];
        unsigned widths[FIELDS];
        uint8_t bytes[FIELDS * 8];
        struct bit_writer w = {.bytes = bytes, .bit_max = sizeof(bytes) * 8};
        struct bit_reader r = {.bytes = bytes};

        gen_bytes(&gen, bytes, sizeof(bytes)); /* the writer needs no zeroed memory */
        for (int i = 0; i < FIELDS; i++) {
            widths[i] = (unsigned)gen_below(&gen, 65);
            values[i] = gen_u64(&gen);
            bit_writer_put(&w, values[i], widths[i]);
        }
        r.bit_count = w.bit;
        for (int i = 0; i < FIELDS; i++)
            assert_true(bit_reader_get(&r, widths[i]) == low_bits(values[i], widths[i]));
        assert_false(r.overrun);
        assert_int_equal(0, bit_reader_get(&r, 1));
        assert_true(r.overrun);
    }
}

static void test_endian(void **state)
{
    uint8_t bytes[8];

    (void)state;
    endian_put_u32be(bytes, 0x01020304);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(0x01020304, endian_get_u32be(bytes));
    endian_put_u64le(bytes, UINT64_C(0x0102030405060708));
    assert_int_equal(bytes[0], 8);
    assert_true(endian_get_u64le(bytes) == UINT64_C(0x0102030405060708));
    assert_int_equal(0x0807, endian_get_u16be(bytes));
    assert_int_equal(0x0708, endian_get_u16le(bytes));
}

static void test_crc32c(void **state)
{
    struct gen gen;

    (void)state;
    assert_int_equal(0xe3069283, crc32c_slice(SLICE("123456789")));
    assert_int_equal(0xe3069283, crc32c_portable(0, "123456789", 9));
    assert_int_equal(0, crc32c(0, "", 0));
    GEN_EACH_SEED(&gen, 500)
    {
        char data[300];
        const size_t len = gen_below(&gen, sizeof(data));
        const size_t cut = gen_below(&gen, len + 1);

        gen_bytes(&gen, data, len);
        assert_int_equal(crc32c(0, data, len), crc32c_portable(0, data, len));
        assert_int_equal(crc32c(0, data, len), crc32c(crc32c(0, data, cut), data + cut, len - cut));
    }
}

static void test_digest(void **state)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];

    (void)state;
    /* md5("abc") = 900150983cd24fb0 d6963f7d28e17f72 */
    assert_true(digest_md5_tail(SLICE("abc")) == UINT64_C(0xd6963f7d28e17f72));
    digest_sha256(sum, SLICE("abc"));
    digest_hex(hex, sum, sizeof(sum));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_hash(void **state)
{
    uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    struct hash_key key, same, other;

    (void)state;
    hash_key_init(&key, seed);
    hash_key_init(&same, seed);
    seed[31] = 1;
    hash_key_init(&other, seed);
    assert_true(hash64(&key, SLICE("a")) == hash64(&same, SLICE("a")));
    assert_true(hash64(&key, SLICE("a")) != hash64(&other, SLICE("a")));
    assert_true(hash128_eq(hash128(&key, SLICE("a")), hash128(&same, SLICE("a"))));
    assert_false(hash128_eq(hash128(&key, SLICE("a")), hash128(&key, SLICE("b"))));
    assert_false(hash128_eq(hash128(&key, SLICE("a")), hash128(&other, SLICE("a"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint), cmocka_unit_test(test_varint_too_long),
        cmocka_unit_test(test_bits),   cmocka_unit_test(test_endian),
        cmocka_unit_test(test_crc32c), cmocka_unit_test(test_digest),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
