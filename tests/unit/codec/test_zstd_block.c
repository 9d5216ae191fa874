/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zstd_block.h"

#include "support/check.h"

/* Made by zstd: 3 * "narthex " with its length; the same without the length. */
static const uint8_t with_length[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x18, 0x75, 0x00,
                                      0x00, 0x40, 0x6e, 0x61, 0x72, 0x74, 0x68, 0x65,
                                      0x78, 0x20, 0x01, 0x00, 0x43, 0x0a, 0x17};
static const uint8_t without_length[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x75, 0x00,
                                         0x00, 0x40, 0x6e, 0x61, 0x72, 0x74, 0x68, 0x65,
                                         0x78, 0x20, 0x01, 0x00, 0x43, 0x0a, 0x17};

static enum err decode(const uint8_t *bytes, size_t size, size_t size_max, struct slice *out)
{
    static struct arena arena;
    static bool has_arena;

    if (has_arena)
        arena_fini(&arena);
    arena_init(&arena, NULL, 1 << 20);
    has_arena = true;
    return zstd_block_decode(slice_of(bytes, size), size_max, &arena, out, NULL);
}

static void test_decode(void **state)
{
    struct slice out = {NULL, 0};

    (void)state;
    check_err(ERR_OK, decode(with_length, sizeof(with_length), 24, &out));
    check_slice("narthex narthex narthex ", out);
    check_err(ERR_OK, decode(without_length, sizeof(without_length), 24, &out));
    check_slice("narthex narthex narthex ", out);
    check_err(ERR_TOO_LARGE, decode(with_length, sizeof(with_length), 23, &out));
    check_err(ERR_TOO_LARGE, decode(without_length, sizeof(without_length), 23, &out));
    for (size_t len = 0; len < sizeof(with_length); len++)
        check_err(ERR_BAD_INPUT, decode(with_length, len, 24, &out));
    for (size_t len = 0; len < sizeof(without_length); len++)
        check_err(ERR_BAD_INPUT, decode(without_length, len, 24, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
