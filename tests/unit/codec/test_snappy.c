/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/snappy.h"

#include <string.h>

#include "support/check.h"
#include "support/gen.h"

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
        snappy_block_encode(&buf, slice_of(data, len));
        check_err(ERR_OK, snappy_block_decode(buf_slice(&buf), len, &arena, &out, NULL));
        assert_true(slice_eq(slice_of(data, len), out));
        if (len > 0)
            check_err(ERR_TOO_LARGE,
                      snappy_block_decode(buf_slice(&buf), len - 1, &arena, &out, NULL));
        for (size_t cut = 0; cut + 1 < buf.len; cut += 1 + buf.len / 20)
            assert_int_not_equal(
                ERR_OK, snappy_block_decode(slice_of(buf.data, cut), len, &arena, &out, NULL));
        buf_fini(&buf);
        arena_fini(&arena);
    }
}

/* A length that the bytes cannot hold is refused before memory is asked for. */
static void test_declared_length(void **state)
{
    static const char bomb[] = "\x80\x80\x80\x0f\x00";
    struct err_info info = {0};
    struct arena arena;
    struct slice out;

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_BAD_INPUT, snappy_block_decode(slice_of(bomb, 5), 32 << 20, &arena, &out, &info));
    check_message("declared length 31457280 in 5 bytes", &info);
    memset(&info, 0, sizeof(info));
    check_err(ERR_BAD_INPUT, snappy_block_decode(slice_of("", 0), 1, &arena, &out, &info));
    check_message("empty input", &info);
    memset(&info, 0, sizeof(info));
    check_err(ERR_BAD_INPUT,
              snappy_block_decode(slice_of("\x03zzzz", 5), 100, &arena, &out, &info));
    check_message("corrupt input", &info);
    assert_int_equal(0, arena.limit_bytes);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_declared_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
