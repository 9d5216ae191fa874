/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "storage/block_key.h"
#include "support/gen.h"

struct texts {
    char bytes[3][8];
    struct slice tenant, name, value;
};

static struct slice random_text(struct gen *gen, char *bytes)
{
    const size_t len = (size_t)gen_below(gen, 5);
    static const char alphabet[] = {0, 1, 'a', 'b', (char)0xfe, (char)0xff};

    for (size_t i = 0; i < len; i++)
        bytes[i] = alphabet[gen_below(gen, sizeof(alphabet))];
    return slice_of(bytes, len);
}

static void random_texts(struct gen *gen, struct texts *t)
{
    t->tenant = random_text(gen, t->bytes[0]);
    t->name = random_text(gen, t->bytes[1]);
    t->value = random_text(gen, t->bytes[2]);
}

static int sign(int v)
{
    return v < 0 ? -1 : v > 0;
}

/* The order of postings keys is the order of (tenant, name, value). */
static void test_order_property(void **state)
{
    struct buf a_key;
    struct buf b_key;
    struct gen gen;

    (void)state;
    buf_init(&a_key, BLOCK_KEY_SIZE_MAX);
    buf_init(&b_key, BLOCK_KEY_SIZE_MAX);
    GEN_EACH_SEED(&gen, 200)
    {
        for (int i = 0; i < 100; i++) {
            struct texts a;
            struct texts b;
            int want;

            random_texts(&gen, &a);
            random_texts(&gen, &b);
            want = slice_cmp(a.tenant, b.tenant);
            if (want == 0)
                want = slice_cmp(a.name, b.name);
            if (want == 0)
                want = slice_cmp(a.value, b.value);
            block_key_postings(&a_key, a.tenant, a.name, a.value);
            block_key_postings(&b_key, b.tenant, b.name, b.value);
            assert_int_equal(sign(want), sign(slice_cmp(buf_slice(&a_key), buf_slice(&b_key))));
        }
    }
    buf_fini(&a_key);
    buf_fini(&b_key);
}

static void test_chunk_order(void **state)
{
    static const int64_t times[] = {INT64_MIN, -1000, -1, 0, 1, 1000, INT64_MAX};
    struct buf before;
    struct buf key;

    (void)state;
    buf_init(&before, 64);
    buf_init(&key, 64);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct block_data_key parsed;
        struct buf text;

        block_key_chunk(&key, SLICE("t"), 7, times[i]);
        assert_true(i == 0 || slice_cmp(buf_slice(&before), buf_slice(&key)) < 0);
        buf_reset(&before);
        buf_add_slice(&before, buf_slice(&key));
        buf_init(&text, 64);
        assert_true(block_key_parse_data(buf_slice(&key), &text, &parsed));
        assert_int_equal(BLOCK_DATA_CHUNK, parsed.kind);
        assert_int_equal(7, parsed.id);
        assert_true(parsed.t_ms == times[i]);
        check_slice("t", parsed.tenant);
        buf_fini(&text);
    }
    buf_fini(&before);
    buf_fini(&key);
}

static void test_parse_index(void **state)
{
    struct block_index_key parsed;
    struct buf key;
    struct buf text;

    (void)state;
    buf_init(&key, 64);
    buf_init(&text, 64);
    block_key_postings(&key, slice_of("a\0b", 3), SLICE("name"), SLICE(""));
    assert_true(block_key_parse_index(buf_slice(&key), &text, &parsed));
    assert_int_equal(BLOCK_INDEX_POSTINGS, parsed.kind);
    assert_true(slice_eq(slice_of("a\0b", 3), parsed.tenant));
    check_slice("name", parsed.name);
    check_slice("", parsed.value);
    for (size_t len = 0; len < key.len; len++)
        assert_false(block_key_parse_index(slice_of(key.data, len), &text, &parsed));
    block_key_series(&key, SLICE("t"), 0x01020304);
    assert_true(block_key_parse_index(buf_slice(&key), &text, &parsed));
    assert_int_equal(0x01020304, parsed.id);
    block_key_index(&key, SLICE("t"), BLOCK_INDEX_STATS);
    assert_true(block_key_parse_index(buf_slice(&key), &text, &parsed));
    assert_int_equal(BLOCK_INDEX_STATS, parsed.kind);
    buf_add_byte(&key, 0);
    assert_false(block_key_parse_index(buf_slice(&key), &text, &parsed));
    block_key_metadata(&key, SLICE("t"), SLICE("metric"));
    assert_true(block_key_parse_index(buf_slice(&key), &text, &parsed));
    assert_int_equal(BLOCK_INDEX_METADATA, parsed.kind);
    check_slice("t", parsed.tenant);
    check_slice("metric", parsed.name);
    for (size_t len = 0; len < key.len; len++)
        assert_false(block_key_parse_index(slice_of(key.data, len), &text, &parsed));
    block_key_index(&key, SLICE("t"), (enum block_index_kind)1);
    assert_false(block_key_parse_index(buf_slice(&key), &text, &parsed));
    block_key_index(&key, SLICE("t"), (enum block_index_kind)9);
    assert_false(block_key_parse_index(buf_slice(&key), &text, &parsed));
    buf_fini(&key);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_property),
        cmocka_unit_test(test_chunk_order),
        cmocka_unit_test(test_parse_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
