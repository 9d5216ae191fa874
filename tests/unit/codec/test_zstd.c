/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zstd.h"

#include <string.h>

#include "support/check.h"
#include "support/gen.h"

static enum err decode(struct slice in, size_t size_max, struct arena *arena, struct slice *out,
                       struct err_info *info)
{
    struct zstd_decoder *decoder = zstd_decoder_new(size_max);
    const enum err err = zstd_decode(decoder, in, arena, out, info);

    zstd_decoder_free(decoder);
    return err;
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 300)
    {
        char data[5000];
        const size_t len = gen_below(&gen, sizeof(data));
        struct arena arena;
        struct buf buf;
        struct slice out;

        for (size_t i = 0; i < len; i++)
            data[i] = (char)gen_below(&gen, gen.seed % 2 == 0 ? 4 : 256);
        arena_init(&arena, NULL, 0);
        buf_init(&buf, 1 << 20);
        zstd_encode(&buf, slice_of(data, len));
        check_err(ERR_OK, decode(buf_slice(&buf), len, &arena, &out, NULL));
        assert_true(slice_eq(slice_of(data, len), out));
        if (len > 0)
            check_err(ERR_TOO_LARGE, decode(buf_slice(&buf), len - 1, &arena, &out, NULL));
        for (size_t cut = 0; cut + 1 < buf.len; cut += 1 + buf.len / 20)
            assert_int_not_equal(ERR_OK, decode(slice_of(buf.data, cut), len, &arena, &out, NULL));
        buf_fini(&buf);
        arena_fini(&arena);
    }
}

/* A frame by hand: magic, a descriptor without checksum and content size, a window, blocks that
 * repeat one byte. */
static void put_frame(struct buf *buf, uint8_t window, uint32_t blocks, uint32_t block_size)
{
    buf_add(buf, "\x28\xb5\x2f\xfd\x00", 5);
    buf_add_byte(buf, (char)window);
    for (uint32_t i = 0; i < blocks; i++) {
        const uint32_t head = block_size << 3 | 1 << 1 | (i + 1 == blocks);
        const char bytes[] = {(char)head, (char)(head >> 8), (char)(head >> 16), 'x'};

        buf_add(buf, bytes, sizeof(bytes));
    }
}

/* What does not say its length grows until the limit, and no further. */
static void test_undeclared_length(void **state)
{
    struct err_info info = {0};
    struct arena arena;
    struct buf buf;
    struct slice out;

    (void)state;
    arena_init(&arena, NULL, 16 << 20);
    buf_init(&buf, 1 << 20);
    put_frame(&buf, 10 << 3, 20, 128 << 10);
    check_err(ERR_OK, decode(buf_slice(&buf), 4 << 20, &arena, &out, NULL));
    assert_int_equal(20 * (128 << 10), out.len);
    assert_int_equal('x', out.data[out.len - 1]);
    check_err(ERR_TOO_LARGE, decode(buf_slice(&buf), 1 << 20, &arena, &out, &info));
    check_message("exceeds the limit of 1048576", &info);
    buf_fini(&buf);
    arena_fini(&arena);
}

/* A window of 2 GiB and more is asked for by two bytes: none is made. */
static void test_window_takes_no_memory(void **state)
{
    struct arena arena;
    struct buf buf;
    struct slice out;

    (void)state;
    arena_init(&arena, NULL, 1 << 20);
    buf_init(&buf, 1 << 20);
    put_frame(&buf, 21 << 3, 1, 100);
    check_err(ERR_OK, decode(buf_slice(&buf), 1 << 20, &arena, &out, NULL));
    assert_int_equal(100, out.len);
    buf_fini(&buf);
    arena_fini(&arena);
}

static void test_refusals(void **state)
{
    /* A declared length of 1 GiB, one of 2^60, and then nothing. */
    static const char large[] = "\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x40\x01\x00\x00";
    static const char huge[] = "\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x10\x01\x00\x00";
    struct err_info info = {0};
    struct arena arena;
    struct slice out;

    (void)state;
    arena_init(&arena, NULL, 1 << 20);
    check_err(ERR_BAD_INPUT, decode(slice_of("", 0), 1000, &arena, &out, &info));
    check_message("empty input", &info);
    info.message[0] = '\0';
    check_err(ERR_BAD_INPUT, decode(SLICE("snappy?"), 1000, &arena, &out, &info));
    check_message("no frame", &info);
    info.message[0] = '\0';
    check_err(ERR_TOO_LARGE, decode(slice_of(large, 12), 32 << 20, &arena, &out, &info));
    check_message("decoded length 1073741824 exceeds the limit", &info);
    check_err(ERR_TOO_LARGE, decode(slice_of(huge, 16), 32 << 20, &arena, &out, NULL));
    check_err(ERR_LIMIT, decode(slice_of(large, 12), (size_t)2 << 30, &arena, &out, NULL));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_undeclared_length),
        cmocka_unit_test(test_window_takes_no_memory),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
