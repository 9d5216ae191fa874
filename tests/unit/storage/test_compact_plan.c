/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage/compact_plan.h"
#include "support/gen.h"

#define H INT64_C(3600000)

enum { BLOCKS_MAX = 400 };

struct blocks {
    struct compact_candidate items[BLOCKS_MAX];
    uint32_t count;
};

static void add(struct blocks *blocks, int64_t from_h, int64_t to_h, uint64_t mib)
{
    assert_true(blocks->count < BLOCKS_MAX);
    blocks->items[blocks->count++] = (struct compact_candidate){
        .window_t_min_ms = from_h * H, .window_t_end_ms = to_h * H, .size_bytes = mib << 20};
}

/* The picks as text, "0 2 3", in the order of indexes. */
static void check_plan(const char *want, const struct blocks *blocks, int64_t max_h)
{
    const struct compact_levels levels = {2 * H, max_h * H};
    uint32_t picks[COMPACT_PICKS_MAX];
    const uint32_t count = compact_plan(&levels, blocks->items, blocks->count, picks);
    char text[400] = "";

    for (uint32_t i = 0; i < blocks->count; i++)
        for (uint32_t j = 0; j < count; j++)
            if (picks[j] == i)
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u",
                               text[0] == '\0' ? "" : " ", i);
    assert_string_equal(want, text);
}

static void test_levels(void **state)
{
    struct blocks b = {.count = 0};

    (void)state;
    check_plan("", &b, 744);
    for (int64_t i = 0; i < 5; i++)
        add(&b, 2 * i, 2 * i + 2, 10);
    check_plan("", &b, 744); /* the window of 12 h is not over */
    add(&b, 10, 12, 10);
    check_plan("0 1 2 3 4 5", &b, 744);
    check_plan("", &b, 11); /* would cover more than allowed */
    b.items[3].is_barred = true;
    check_plan("", &b, 744);
    b.count = 0;
    add(&b, 0, 2, 10);
    add(&b, 6, 8, 10); /* gaps do not matter, once there is something behind */
    check_plan("", &b, 744);
    add(&b, 12, 14, 10);
    check_plan("0 1", &b, 744);
    b.count = 0;
    add(&b, 0, 12, 60);
    add(&b, 12, 24, 60);
    check_plan("0 1", &b, 744);
    check_plan("", &b, 23);
    b.count = 0;
    add(&b, -24, 0, 60); /* before 1970 too */
    add(&b, -72, -48, 60);
    check_plan("0 1", &b, 744);
}

static void test_overlaps(void **state)
{
    struct blocks b = {.count = 0};

    (void)state;
    add(&b, 0, 2, 100);
    add(&b, 0, 2, 90);
    check_plan("", &b, 744); /* the newest window: more may come */
    add(&b, 0, 2, 95);
    check_plan("", &b, 744);
    add(&b, 0, 2, 1);
    check_plan("", &b, 744); /* the small one is no company for the large ones yet */
    b.items[3].size_bytes = 40 << 20;
    check_plan("0 1 2 3", &b, 744);
    b.items[1].is_barred = true;
    check_plan("", &b, 744);
    b.count = 0;
    add(&b, 0, 2, 100);
    add(&b, 0, 2, 90);
    add(&b, 2, 4, 10);
    check_plan("0 1", &b, 744);
    b.count = 0;
    add(&b, 0, 12, 800);
    add(&b, 4, 6, 5); /* late: not worth 800 MiB */
    add(&b, 12, 14, 50);
    check_plan("", &b, 744);
    add(&b, 8, 10, 6);
    check_plan("1 3", &b, 744);
    b.items[1].size_bytes = 40 << 20;
    b.items[3].size_bytes = 80 << 20;
    check_plan("0 1 3", &b, 744);
}

/* Whatever is flushed, the plan comes to an end, with few blocks, none too long, and each sample
 * rewritten a few times. */
static void test_end(void **state)
{
    const struct compact_levels levels = {2 * H, 10 * 24 * H};
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 50)
    {
        struct blocks b = {.count = 0};
        uint64_t in_bytes = 0;
        uint64_t out_bytes = 0;

        for (int64_t hour = 0; hour < 24 * 40; hour += 2) {
            const uint32_t flushes = 1 + (gen_chance(&gen, 4) ? (uint32_t)gen_below(&gen, 20) : 0);
            uint32_t picks[COMPACT_PICKS_MAX];
            uint32_t count;

            for (uint32_t i = 0; i < flushes; i++) {
                const int64_t from = hour - (gen_chance(&gen, 5) ? 2 : 0);

                add(&b, from, from + 2, 1 + gen_below(&gen, 50));
                in_bytes += b.items[b.count - 1].size_bytes;
                while ((count = compact_plan(&levels, b.items, b.count, picks)) > 0) {
                    struct compact_candidate merged = b.items[picks[0]];

                    assert_true(count >= 2);
                    for (uint32_t j = 1; j < count; j++) {
                        const struct compact_candidate *one = &b.items[picks[j]];

                        if (one->window_t_min_ms < merged.window_t_min_ms)
                            merged.window_t_min_ms = one->window_t_min_ms;
                        if (one->window_t_end_ms > merged.window_t_end_ms)
                            merged.window_t_end_ms = one->window_t_end_ms;
                        merged.size_bytes += one->size_bytes;
                    }
                    out_bytes += merged.size_bytes;
                    for (uint32_t j = 0; j < count; j++)
                        b.items[picks[j]].size_bytes = 0;
                    uint32_t kept = 0;
                    for (uint32_t j = 0; j < b.count; j++)
                        if (b.items[j].size_bytes > 0)
                            b.items[kept++] = b.items[j];
                    b.items[kept++] = merged;
                    b.count = kept;
                    assert_true(merged.window_t_end_ms - merged.window_t_min_ms <=
                                levels.range_ms_max);
                }
            }
        }
        assert_true(b.count < 60);
        assert_true(out_bytes < 12 * in_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
