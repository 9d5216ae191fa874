/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <string.h>

#include "storage/block_meta.h"
#include "storage/sealed_json.h"
#include "support/gen.h"

static struct block_meta random_meta(struct gen *gen)
{
    struct block_meta meta = {.watermark = gen_u64(gen) >> 1,
                              .series_count = gen_below(gen, 1000000),
                              .chunk_count = gen_below(gen, 1000000),
                              .sample_count = gen_u64(gen) >> 1,
                              .index = {gen_u64(gen) >> 1, (uint32_t)gen_u64(gen), 1},
                              .data = {gen_u64(gen) >> 1, 2, (uint32_t)gen_u64(gen)}};

    gen_bytes(gen, meta.ulid.bytes, sizeof(meta.ulid.bytes));
    meta.window_t_min_ms = gen_between(gen, -1000000, 1000000);
    meta.t_min_ms = meta.window_t_min_ms + (int64_t)gen_below(gen, 1000);
    meta.t_max_ms = meta.t_min_ms + (int64_t)gen_below(gen, 1000);
    meta.window_t_end_ms = meta.t_max_ms + 1 + (int64_t)gen_below(gen, 1000);
    if (gen_chance(gen, 2))
        memcpy(meta.tenant, "team \"a\"", 8);
    return meta;
}

static void test_round_trip(void **state)
{
    struct gen gen;
    struct buf text;

    (void)state;
    buf_init(&text, SEALED_JSON_SIZE_MAX);
    GEN_EACH_SEED(&gen, 300)
    {
        const struct block_meta meta = random_meta(&gen);
        struct err_info info = {0};
        struct block_meta got;

        buf_reset(&text);
        block_meta_print(&meta, &text);
        check_err_info(ERR_OK, block_meta_parse(buf_slice(&text), &got, &info), &info);
        assert_int_equal(0, ulid_cmp(meta.ulid, got.ulid));
        assert_true(meta.window_t_min_ms == got.window_t_min_ms);
        assert_true(meta.window_t_end_ms == got.window_t_end_ms);
        assert_true(meta.t_min_ms == got.t_min_ms);
        assert_true(meta.t_max_ms == got.t_max_ms);
        assert_true(meta.watermark == got.watermark);
        assert_true(meta.series_count == got.series_count);
        assert_true(meta.chunk_count == got.chunk_count);
        assert_true(meta.sample_count == got.sample_count);
        assert_string_equal(meta.tenant, got.tenant);
        assert_true(meta.index.size_bytes == got.index.size_bytes);
        assert_int_equal(meta.index.crc, got.index.crc);
        assert_int_equal(meta.index.tail_crc, got.index.tail_crc);
        assert_true(meta.data.size_bytes == got.data.size_bytes);
        assert_int_equal(meta.data.tail_crc, got.data.tail_crc);
        /* Any byte changed, or cut off, is noticed. */
        const size_t at = (size_t)gen_below(&gen, text.len);
        text.data[at] = (char)(text.data[at] ^ (1 << gen_below(&gen, 8)));
        check_err(ERR_CORRUPT, block_meta_parse(buf_slice(&text), &got, NULL));
        check_err(ERR_CORRUPT, block_meta_parse(slice_of(text.data, at), &got, NULL));
    }
    buf_fini(&text);
}

static void check_refused(enum err want, const char *text, const char *message)
{
    struct block_meta meta;
    struct err_info info = {0};
    struct buf sealed;

    buf_init(&sealed, SEALED_JSON_SIZE_MAX);
    buf_add_cstr(&sealed, text);
    sealed_json_close(&sealed, 0);
    check_err(want, block_meta_parse(buf_slice(&sealed), &meta, &info));
    check_message(message, &info);
    buf_fini(&sealed);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refused(ERR_VERSION, "{\"version\":7,\"more\":[1]}", "version 7");
    check_refused(ERR_CORRUPT, "{\"version\":1}", "tenant");
    check_refused(ERR_CORRUPT, "{\"version\":1,\"tenant\":\"\",\"minTime\":1.5}", "minTime");
    check_refused(ERR_CORRUPT, "{\"version\":1,\"version\":1}", "meta.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
