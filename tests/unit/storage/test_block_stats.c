/* SPDX-License-Identifier: Apache-2.0 */
#include "block_model.h"

#include "base/env_real.h"
#include "storage/block.h"
#include "support/temp_dir.h"

enum { SERIES = 500 };

struct fixture {
    struct temp_dir dir;
    struct env env;
    struct sst_door *door;
    struct hash_key hash_key;
    struct model model;
    struct block *block;
};

static void fixture_init(struct fixture *f, struct gen *gen)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1, 2, 3};
    struct block_writer *w;
    struct block_meta meta;

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    f->door = sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    hash_key_init(&f->hash_key, seed);
    model_init(&f->model, gen, SERIES);
    const struct block_writer_options options = {.env = &f->env,
                                                 .door = f->door,
                                                 .hash_key = &f->hash_key,
                                                 .dir = f->dir.path,
                                                 .ulid = ulid_make(&f->env),
                                                 .window_t_min_ms = INT64_MIN,
                                                 .window_t_end_ms = INT64_MAX};
    const struct block_options read = {
        .env = &f->env, .door = f->door, .hash_key = &f->hash_key, .dir = f->dir.path};
    check_err(ERR_OK, block_writer_open(&options, &w, NULL));
    check_err(ERR_OK, model_write(&f->model, w, NULL, NULL, NULL));
    check_err(ERR_OK, block_writer_finish(w, &meta, NULL));
    check_err(ERR_OK, block_open(&read, meta.ulid, &f->block, NULL));
}

static void fixture_fini(struct fixture *f)
{
    block_unref(f->block);
    model_fini(&f->model);
    sst_door_free(f->door);
    temp_dir_fini(&f->dir);
}

/* Series and samples of the tenant with this label pair; any value if that is NULL. */
static uint64_t count_series(const struct model *m, struct slice tenant, struct slice name,
                             const struct slice *value, uint64_t *samples)
{
    uint64_t count = 0;

    *samples = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct model_series *s = &m->series[i];

        if (!slice_eq(s->tenant, tenant) || !label_set_has(s->labels, name) ||
            (value != NULL && !slice_eq(label_set_get(s->labels, name), *value)))
            continue;
        count++;
        *samples += s->count;
    }
    return count;
}

static void check_names(const struct model *m, struct slice tenant, const struct block_stats *stats)
{
    uint64_t samples;

    for (uint32_t i = 0; i < stats->name_count; i++) {
        uint64_t values = 0;
        uint64_t bytes = 0;

        for (size_t j = 0; j < COUNT_OF(model_values); j++) {
            const struct slice value = slice_from_cstr(model_values[j]);

            if (count_series(m, tenant, stats->names[i].name, &value, &samples) == 0)
                continue;
            values++;
            bytes += value.len;
        }
        assert_true(values > 0);
        assert_int_equal(values, stats->names[i].value_count);
        assert_int_equal(bytes, stats->names[i].value_bytes);
    }
}

static void check_stats(struct fixture *f, struct slice tenant)
{
    struct block_stats stats;
    struct arena arena;
    uint64_t samples;
    uint32_t names = 0;

    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = tenant, .arena = &arena};
    check_err(ERR_OK, block_get_stats(f->block, &ctx, &stats, NULL));
    for (size_t i = 0; i < COUNT_OF(model_names); i++)
        names +=
            count_series(&f->model, tenant, slice_from_cstr(model_names[i]), NULL, &samples) > 0;
    assert_int_equal(names, stats.name_count);
    check_names(&f->model, tenant, &stats);
    for (uint32_t i = 0; i < stats.metric_count; i++) {
        const struct block_stats_pair *metric = &stats.metrics[i];

        assert_int_equal(metric->series_count, count_series(&f->model, tenant, SLICE("__name__"),
                                                            &metric->value, &samples));
        assert_int_equal(metric->sample_count, samples);
        assert_true(i == 0 || metric->series_count <= stats.metrics[i - 1].series_count);
    }
    for (uint32_t i = 0; i < stats.pair_count; i++) {
        const struct block_stats_pair *pair = &stats.pairs[i];

        assert_int_equal(pair->series_count,
                         count_series(&f->model, tenant, pair->name, &pair->value, &samples));
        assert_true(i == 0 || pair->series_count <= stats.pairs[i - 1].series_count);
    }
    arena_fini(&arena);
}

/* An estimate of one metric over all time is exact for the largest metrics. */
static void check_estimates(struct fixture *f, struct slice tenant)
{
    struct source *source = block_source(f->block);

    for (size_t i = 0; i < COUNT_OF(model_values); i++) {
        const struct slice value = slice_from_cstr(model_values[i]);
        struct source_estimate estimate;
        struct matcher matcher;
        struct arena arena;
        uint64_t samples;
        const uint64_t series =
            count_series(&f->model, tenant, SLICE("__name__"), &value, &samples);

        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.tenant = tenant, .arena = &arena};
        const struct matcher_spec spec = {MATCHER_EQUAL, SLICE("__name__"), value};
        check_err(ERR_OK, matcher_init(&matcher, &arena, &spec, NULL));
        check_err(ERR_OK, source->ops->estimate(source, &ctx, (struct matcher_list){&matcher, 1},
                                                INT64_MIN, INT64_MAX, &estimate));
        assert_int_equal(series, estimate.series);
        assert_true(estimate.samples + 1 >= samples);
        assert_true(estimate.samples <= samples + 1);
        assert_true(series == 0 || estimate.bytes > 0);
        arena_fini(&arena);
    }
}

static void test_against_model(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 15)
    {
        struct fixture f;

        fixture_init(&f, &gen);
        check_stats(&f, SLICE("anonymous"));
        check_stats(&f, SLICE("t2"));
        check_stats(&f, SLICE("nobody"));
        check_estimates(&f, SLICE("anonymous"));
        fixture_fini(&f);
    }
}

/* The largest of many, and none but them. */
static void test_top(void **state)
{
    static struct block_stats_top top;
    struct block_stats_pair *place;
    char text[8];
    struct arena arena;
    struct gen gen;

    (void)state;
    gen_init(&gen, 1);
    arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        /* 617 and 1000 have no divisor in common: each count from 0 to 999 once. */
        (void)snprintf(text, sizeof(text), "v%03u", i * 617 % 1000);
        const struct block_stats_pair pair = {SLICE("n"), arena_copy(&arena, slice_from_cstr(text)),
                                              i * 617 % 1000 / 2, 0};
        (void)block_stats_top_add(&top, &pair, &place);
    }
    assert_int_equal(BLOCK_STATS_TOP, top.count);
    for (uint32_t i = 0; i < top.count; i++) {
        (void)snprintf(text, sizeof(text), "v%03u", 998 - i / 2 * 2 + i % 2);
        assert_int_equal(499 - i / 2, top.items[i].series_count);
        assert_true(slice_eq_cstr(top.items[i].value, text));
    }
    arena_fini(&arena);
}

static void test_damage(void **state)
{
    static struct block_stats_top top;
    struct block_stats_pair *place;
    struct block_stats_name names[3] = {
        {SLICE("a"), 1, 2}, {SLICE("b"), 3, 4}, {SLICE("c"), 500, 600}};
    struct block_stats stats = {.names = names, .name_count = 3};
    struct arena arena;
    struct buf out;
    struct gen gen;

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        const struct block_stats_pair pair = {SLICE("name"), SLICE("value"), i, 0};

        (void)block_stats_top_add(&top, &pair, &place);
    }
    stats.metrics = stats.pairs = top.items;
    stats.metric_count = stats.pair_count = top.count;
    buf_init(&out, 4096);
    block_stats_put(&out, &stats);
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, block_stats_parse(buf_slice(&out), &arena, &stats));
    assert_int_equal(5, stats.pair_count);
    assert_int_equal(600, stats.names[2].value_bytes);
    for (size_t len = 0; len < out.len; len++)
        assert_int_not_equal(ERR_OK, block_stats_parse(slice_of(out.data, len), &arena, &stats));
    GEN_EACH_SEED(&gen, 2000)
    {
        const size_t at = (size_t)gen_below(&gen, out.len);
        const char before = out.data[at];

        out.data[at] = (char)(before ^ (1 << gen_below(&gen, 8)));
        const enum err err = block_stats_parse(buf_slice(&out), &arena, &stats);
        assert_true(err == ERR_OK || err == ERR_CORRUPT || err == ERR_VERSION);
        out.data[at] = before;
        arena_reset(&arena);
    }
    arena_fini(&arena);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
