/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "storage/tombstone.h"
#include "support/gen.h"
#include "support/mem_source.h"

enum { SERIES_COUNT = 8, T_COUNT = 400, TOMBSTONES_MAX = 6 };

struct deletion {
    uint32_t series_first, series_last; /* both included */
    int64_t t_min_ms, t_max_ms;
    bool other_tenant;
};

static bool is_deleted(const struct deletion *deletions, uint32_t count, uint32_t series,
                       int64_t t_ms)
{
    for (uint32_t i = 0; i < count; i++)
        if (!deletions[i].other_tenant && series >= deletions[i].series_first &&
            series <= deletions[i].series_last && t_ms >= deletions[i].t_min_ms &&
            t_ms <= deletions[i].t_max_ms)
            return true;
    return false;
}

static struct tombstone *make(const struct deletion *from, uint64_t version)
{
    struct matcher_spec specs[2] = {{MATCHER_EQUAL, SLICE("__name__"), SLICE("m")},
                                    {MATCHER_REGEX, SLICE("i"), {0}}};
    struct catalog_deletion deletion = {.version = version,
                                        .tenant = from->other_tenant ? SLICE("other") : SLICE("me"),
                                        .t_min_ms = from->t_min_ms,
                                        .t_max_ms = from->t_max_ms,
                                        .matchers = specs,
                                        .matcher_count = 2};
    struct tombstone *tombstone;
    char text[32];

    (void)snprintf(text, sizeof(text), "[%u-%u]", from->series_first, from->series_last);
    specs[1].value = slice_from_cstr(text);
    check_err(ERR_OK, tombstone_new(&deletion, &tombstone, NULL));
    return tombstone;
}

static struct label_set labels_of(uint32_t series, struct label labels[2], char text[8])
{
    (void)snprintf(text, 8, "%u", series);
    labels[0] = (struct label){SLICE("__name__"), SLICE("m")};
    labels[1] = (struct label){SLICE("i"), slice_from_cstr(text)};
    return (struct label_set){labels, 2};
}

struct seen {
    bool samples[SERIES_COUNT][T_COUNT];
    bool series[SERIES_COUNT];
};

static void read_all(struct source *source, const struct source_hints *hints, int64_t t_min,
                     int64_t t_max, struct seen *seen)
{
    static struct sample_columns columns;
    struct series_stream *stream;
    struct source_series series;
    struct arena arena;

    memset(seen, 0, sizeof(*seen));
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("me"), .arena = &arena};
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, t_min, t_max,
                                          hints, &stream, NULL));
    while (series_stream_next(stream, &series)) {
        uint64_t number = 0;

        check_err(ERR_OK, number_parse_uint64(label_set_get(series.labels, SLICE("i")), &number));
        seen->series[number] = true;
        if (hints->projection == SOURCE_SERIES_ONLY)
            continue;
        while (sample_cursor_next(series.cursor, &columns)) {
            assert_true(columns.count > 0);
            for (uint32_t i = 0; i < columns.count; i++) {
                assert_true(columns.v[i] == (double)(number * 1000) + (double)columns.t_ms[i]);
                seen->samples[number][columns.t_ms[i]] = true;
            }
        }
        check_err(ERR_OK, series.cursor->err);
    }
    check_err(ERR_OK, stream->err);
    arena_fini(&arena);
}

/* What a source gives through tombstones is what it gives but for what they delete; with memory
 * reused or not, with samples or labels only. */
static void test_filter(void **state)
{
    static struct seen seen;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 200)
    {
        struct mem_source *mem = mem_source_new();
        struct deletion deletions[TOMBSTONES_MAX];
        struct tombstone *tombstones[TOMBSTONES_MAX];
        const uint32_t count = 1 + (uint32_t)gen_below(&gen, TOMBSTONES_MAX);
        struct arena arena;

        for (uint32_t i = 0; i < SERIES_COUNT; i++)
            for (int64_t t = 0; t < T_COUNT; t++) {
                struct label labels[2];
                char text[8];

                mem_source_add(mem, labels_of(i, labels, text), t, (double)(i * 1000) + (double)t);
            }
        for (uint32_t i = 0; i < count; i++) {
            struct deletion *d = &deletions[i];

            d->series_first = (uint32_t)gen_below(&gen, SERIES_COUNT);
            d->series_last =
                d->series_first + (uint32_t)gen_below(&gen, SERIES_COUNT - d->series_first);
            d->t_min_ms = gen_chance(&gen, 4) ? INT64_MIN : (int64_t)gen_below(&gen, T_COUNT);
            d->t_max_ms = gen_chance(&gen, 4) ? INT64_MAX
                                              : (d->t_min_ms < 0 ? 0 : d->t_min_ms) +
                                                    (int64_t)gen_below(&gen, T_COUNT);
            d->other_tenant = gen_chance(&gen, 6);
            tombstones[i] = make(d, i + 1);
        }
        const int64_t t_min = (int64_t)gen_below(&gen, T_COUNT);
        const int64_t t_max = t_min + (int64_t)gen_below(&gen, (uint64_t)(T_COUNT - t_min));
        const struct source_hints hints = {.projection = gen_chance(&gen, 3) ? SOURCE_SERIES_ONLY
                                                                             : SOURCE_ALL,
                                           .one_at_a_time = gen_chance(&gen, 2)};
        arena_init(&arena, NULL, 0);
        struct source *source = tombstone_source_new(&arena, mem_source_source(mem),
                                                     (struct tombstone_list){tombstones, count});
        read_all(source, &hints, t_min, t_max, &seen);
        for (uint32_t i = 0; i < SERIES_COUNT; i++) {
            bool has = false;

            for (int64_t t = 0; t < T_COUNT; t++) {
                const bool want = t >= t_min && t <= t_max && !is_deleted(deletions, count, i, t);

                has |= want;
                if (hints.projection == SOURCE_ALL)
                    assert_int_equal(want, seen.samples[i][t]);
            }
            if (hints.projection == SOURCE_SERIES_ONLY)
                assert_int_equal(has, seen.series[i]);
        }
        arena_fini(&arena);
        for (uint32_t i = 0; i < count; i++)
            tombstone_unref(tombstones[i]);
        mem_source_free(mem);
    }
}

static void test_bad(void **state)
{
    const struct matcher_spec spec = {MATCHER_REGEX, SLICE("a"), SLICE("(")};
    const struct catalog_deletion deletion = {.matchers = &spec, .matcher_count = 1};
    struct err_info info = {0};
    struct tombstone *tombstone;

    (void)state;
    check_err(ERR_BAD_INPUT, tombstone_new(&deletion, &tombstone, &info));
    check_message("", &info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_filter), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
