/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_gunzip.h"

#include <string.h>

#include "net/http_gzip.h"
#include "support/check.h"
#include "support/gen.h"

static void compress(struct buf *out, struct slice text)
{
    struct http_gzip *gzip = http_gzip_new(HTTP_CODING_GZIP);

    http_gzip_write(gzip, text, true, out);
    http_gzip_free(gzip);
}

/* In pieces of a size; whether the bytes are whole and free of faults. */
static bool decompress(struct slice bytes, size_t piece, struct buf *out)
{
    struct http_gunzip *gunzip = http_gunzip_new();
    enum err err = ERR_OK;
    bool is_whole;

    while (err == ERR_OK && bytes.len > 0) {
        const struct slice part = slice_of(bytes.data, piece < bytes.len ? piece : bytes.len);

        err = http_gunzip_write(gunzip, part, out);
        bytes = slice_skip(bytes, part.len);
    }
    is_whole = err == ERR_OK && http_gunzip_is_whole(gunzip);
    http_gunzip_free(gunzip);
    return is_whole;
}

static void fill(struct buf *text)
{
    for (int i = 0; i < 20000; i++)
        buf_printf(text, "metric_%d %d\n", i % 977, i * i);
}

static void test_round_trip(void **unused)
{
    static const size_t pieces[] = {1, 7, 1000, 1 << 20};
    struct buf text, bytes, got;

    (void)unused;
    buf_init(&text, 1 << 20);
    buf_init(&bytes, 1 << 20);
    fill(&text);
    compress(&bytes, buf_slice(&text));
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        buf_init(&got, 1 << 20);
        assert_true(decompress(buf_slice(&bytes), pieces[i], &got));
        assert_true(slice_eq(buf_slice(&text), buf_slice(&got)));
        buf_fini(&got);
    }
    /* A second member follows the first. */
    compress(&bytes, SLICE("more\n"));
    buf_add_cstr(&text, "more\n");
    buf_init(&got, 1 << 20);
    assert_true(decompress(buf_slice(&bytes), 333, &got));
    assert_true(slice_eq(buf_slice(&text), buf_slice(&got)));
    buf_fini(&got);
    buf_fini(&text);
    buf_fini(&bytes);
}

static void test_cut_is_not_whole(void **unused)
{
    struct buf bytes, got;

    (void)unused;
    buf_init(&bytes, 4096);
    compress(&bytes, SLICE("a 1\nb 2\n"));
    for (size_t len = 0; len < bytes.len; len++) {
        buf_init(&got, 4096);
        assert_false(decompress(slice_of(bytes.data, len), 3, &got));
        buf_fini(&got);
    }
    buf_fini(&bytes);
}

static void test_faults(void **unused)
{
    struct http_gunzip *gunzip;
    struct buf text, bytes, got;

    (void)unused;
    buf_init(&text, 1 << 20);
    buf_init(&bytes, 1 << 20);
    fill(&text);
    compress(&bytes, buf_slice(&text));
    buf_init(&got, 1000);
    gunzip = http_gunzip_new();
    check_err(ERR_TOO_LARGE, http_gunzip_write(gunzip, buf_slice(&bytes), &got));
    http_gunzip_free(gunzip);
    buf_fini(&got);
    buf_init(&got, 1 << 20);
    gunzip = http_gunzip_new();
    check_err(ERR_CORRUPT, http_gunzip_write(gunzip, SLICE("a 1\nb 2\n"), &got));
    http_gunzip_free(gunzip);
    buf_add_cstr(&bytes, "rubbish behind it");
    assert_false(decompress(buf_slice(&bytes), 1 << 20, &got));
    buf_fini(&got);
    buf_fini(&text);
    buf_fini(&bytes);
}

/* A flipped bit is found by the checksum at the latest. */
static void test_flipped_bits(void **unused)
{
    struct buf bytes, got;

    (void)unused;
    buf_init(&bytes, 4096);
    compress(&bytes, SLICE("a 1\nb 2\nc 3.25\n"));
    for (size_t bit = 10 * 8; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
        buf_init(&got, 1 << 20);
        assert_false(decompress(buf_slice(&bytes), 5, &got));
        buf_fini(&got);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
    }
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_is_not_whole),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_flipped_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
