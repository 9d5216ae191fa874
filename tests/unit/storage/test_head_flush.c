/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <time.h>

/* Flushes against a model: they give exactly what was visible in the window, drop exactly that, and
 * a restart does not bring it back. */

enum { SERIES = 30, SAMPLES_MAX = 4096, WINDOWS_MAX = 256 };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

struct model {
    struct sample samples[SERIES][SAMPLES_MAX]; /* in the head */
    size_t counts[SERIES];
    struct sample newest[SERIES];
    bool is_begun[SERIES];
    int64_t t_max_ms;
    struct head_window windows[WINDOWS_MAX];
    size_t window_count;
};

static const char *tenant_of(unsigned i)
{
    return i % 3 == 0 ? "b" : i % 3 == 1 ? "a" : "ab";
}

static void model_check(struct head_fixture *f, const struct model *model)
{
    static struct sample got[SAMPLES_MAX];

    for (unsigned i = 0; i < SERIES; i++)
        check_samples(model->samples[i], model->counts[i], got,
                      read_series(f, tenant_of(i), i, got, SAMPLES_MAX));
}

/* One transaction to each tenant, times rising. */
static void model_write(struct head_fixture *f, struct model *model, struct gen *gen)
{
    const int64_t now_ms = model->t_max_ms + gen_between(gen, 1, 120000);

    for (unsigned t = 0; t < 3; t++) {
        struct append_txn *txn = txn_start(f, tenant_of(t));
        struct append_result result;
        uint32_t want = 0;

        for (unsigned i = t; i < SERIES; i += 3) {
            struct sample sample = {now_ms - gen_between(gen, 0, 50000), gen_value(gen)};

            if (gen_chance(gen, 3))
                continue;
            if (model->is_begun[i] && sample.t_ms <= model->newest[i].t_ms)
                continue;
            assert_int_equal(APPEND_OK, txn_put(f, txn, tenant_of(t), i, sample));
            model->samples[i][model->counts[i]++] = sample;
            model->newest[i] = sample;
            model->is_begun[i] = true;
            want++;
        }
        result = txn_finish(f, txn);
        check_err(ERR_OK, result.err);
        assert_int_equal(want, result.counts[APPEND_OK]);
    }
    model->t_max_ms = now_ms;
}

static int series_order(const struct head_flush_series *a, struct slice tenant,
                        struct label_set labels)
{
    const int order = slice_cmp(a->tenant, tenant);

    return order != 0 ? order : label_set_cmp(a->labels, labels);
}

/* Reads the flush; counts[i] becomes how many samples of series i it has. */
static void flush_read(struct head_flush *flush, const struct model *model,
                       const struct head_window *window, size_t *counts)
{
    static struct sample got[SAMPLES_MAX];
    struct head_flush_series series;
    struct arena arena;
    struct slice tenant = {0};
    struct label_set labels = {0};

    arena_init(&arena, NULL, 0);
    memset(counts, 0, SERIES * sizeof(*counts));
    while (head_flush_next(flush, &series)) {
        const size_t count = read_cursor(series.cursor, got, SAMPLES_MAX);
        const struct slice text = label_set_get(series.labels, SLICE("series"));
        const unsigned i = (unsigned)strtoul(arena_copy_cstr(&arena, text), NULL, 10);
        size_t from = 0;

        assert_true(count > 0);
        assert_true(tenant.len == 0 || series_order(&series, tenant, labels) > 0);
        tenant = arena_copy(&arena, series.tenant);
        labels = label_set_copy(&arena, series.labels);
        assert_true(slice_eq_cstr(tenant, tenant_of(i)));
        while (model->samples[i][from].t_ms < window->t_min_ms)
            from++;
        check_samples(&model->samples[i][from], count, got, count);
        assert_true(got[count - 1].t_ms < window->t_end_ms);
        counts[i] = count;
    }
    check_err(ERR_OK, head_flush_err(flush));
    arena_fini(&arena);
}

/* How many samples of series i lie in the window. */
static size_t window_count(const struct model *model, const struct head_window *window, unsigned i)
{
    size_t count = 0;

    for (size_t k = 0; k < model->counts[i]; k++)
        count += model->samples[i][k].t_ms >= window->t_min_ms &&
                 model->samples[i][k].t_ms < window->t_end_ms;
    return count;
}

static void model_remove(struct model *model, const struct head_window *window, unsigned i,
                         size_t count)
{
    size_t from = 0;

    if (count == 0)
        return;
    while (model->samples[i][from].t_ms < window->t_min_ms)
        from++;
    model->counts[i] -= count;
    memmove(&model->samples[i][from], &model->samples[i][from + count],
            (model->counts[i] - from) * sizeof(struct sample));
}

static void model_flush(struct head_fixture *f, struct model *model, struct gen *gen)
{
    const struct head_due_options due = {.all = gen_chance(gen, 2)};
    struct head_flush *flush;
    struct head_window window;
    size_t want[SERIES], got[SERIES];

    if (!head_flush_due(f->head, &due, &window.t_min_ms, &window.t_end_ms))
        return;
    assert_int_equal(0, window.t_min_ms % HEAD_RANGE_MS);
    check_err(ERR_OK, head_flush_open(f->head, window.t_min_ms, window.t_end_ms, &flush));
    window.watermark = head_flush_watermark(flush);
    for (unsigned i = 0; i < SERIES; i++)
        want[i] = window_count(model, &window, i);
    for (uint64_t n = gen_below(gen, 4); n > 0; n--) /* life goes on */
        model_write(f, model, gen);
    flush_read(flush, model, &window, got);
    for (unsigned i = 0; i < SERIES; i++)
        assert_int_equal(want[i], got[i]);
    for (uint64_t n = gen_below(gen, 4); n > 0; n--)
        model_write(f, model, gen);
    if (!gen_chance(gen, 4)) {
        check_err(ERR_OK, head_flush_drop(flush, 0));
        model->windows[model->window_count++] = window;
        for (unsigned i = 0; i < SERIES; i++)
            model_remove(model, &window, i, got[i]);
    }
    head_flush_close(flush);
}

static void test_model(void **state)
{
    static struct model model;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20)
    {
        struct head_fixture f;
        struct err_info info = {{0}};

        memset(&model, 0, sizeof(model));
        model.t_max_ms = t0;
        fixture_open(&f);
        f.options.windows = model.windows;
        for (int step = 0; step < 200; step++) {
            f.options.window_count = model.window_count;
            model_write(&f, &model, &gen);
            if (gen_chance(&gen, 15) && model.window_count < WINDOWS_MAX)
                model_flush(&f, &model, &gen);
            f.options.window_count = model.window_count;
            if (gen_chance(&gen, 40))
                fixture_restart(&f);
            if (gen_chance(&gen, 40))
                fixture_crash(&f);
            if (gen_chance(&gen, 25))
                check_err_info(ERR_OK, head_checkpoint(f.head, &info), &info);
            if (gen_chance(&gen, 10))
                head_maintain(f.head);
            if (gen_chance(&gen, 20))
                model_check(&f, &model);
        }
        model_check(&f, &model);
        fixture_close(&f);
    }
}

/* A reader that was there before keeps what is dropped; the drop waits for it. */
static void test_drop_waits_for_readers(void **state)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    struct sample got[SAMPLES_MAX];
    struct source_series series;
    struct series_stream *stream;
    struct head_flush_series flushed;
    struct head_flush *flush;
    struct head_fixture f;
    struct arena arena;
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 250; i++)
        (void)put_one(&f, "t", 1, (struct sample){t0 + i * 1000, i});
    check_err(ERR_OK, head_flush_open(f.head, t0, t0 + HEAD_RANGE_MS, &flush));
    while (head_flush_next(flush, &flushed))
        assert_int_equal(250, read_cursor(flushed.cursor, got, SAMPLES_MAX));
    arena_init(&arena, NULL, 0);
    stream = read_select(head_source(f.head), &ctx, (struct matcher_list){0}, &range);
    assert_true(series_stream_next(stream, &series));
    check_err(ERR_DEADLINE, head_flush_drop(flush, env_mono_ns(&f.env) + 1000000));
    assert_int_equal(250, read_cursor(series.cursor, got, SAMPLES_MAX));
    arena_fini(&arena);
    check_err(ERR_OK, head_flush_drop(flush, env_mono_ns(&f.env) + 10000000000u));
    head_flush_close(flush);
    assert_int_equal(0, read_series(&f, "t", 1, got, SAMPLES_MAX));
    fixture_close(&f);
}

/* A series without samples ends, and a reference to it is refused until it is resolved again. */
static void test_series_end(void **state)
{
    const struct append_item item = {.kind = APPEND_FLOAT, .t_ms = t0 + 5000, .v = 1};
    struct head_flush_series flushed;
    struct series_key key = {0};
    struct head_stats stats;
    struct append_txn *txn;
    struct head_flush *flush;
    struct head_fixture f;
    struct test_series s;
    struct sample got[SAMPLES_MAX];
    struct hash128 hash;

    (void)state;
    fixture_open(&f);
    for (unsigned i = 0; i < 20; i++)
        (void)put_one(&f, "t", i, (struct sample){t0, i});
    hash = series_hash(&f.key, SLICE("t"), series_make(&s, 3));
    txn = txn_start(&f, "t");
    assert_int_equal(APPEND_OK, append_resolve(txn, hash, s.set, &key.ref));
    append_abort(txn);
    check_err(ERR_OK, head_flush_open(f.head, t0, t0 + HEAD_RANGE_MS, &flush));
    while (head_flush_next(flush, &flushed)) {
    }
    check_err(ERR_OK, head_flush_drop(flush, 0));
    head_flush_close(flush);
    head_maintain(f.head); /* marks */
    txn = txn_start(&f, "t");
    assert_int_equal(APPEND_UNKNOWN_REF, append_add(txn, &key, &item));
    assert_int_equal(APPEND_OK, append_resolve(txn, hash, s.set, &key.ref));
    assert_int_equal(APPEND_OK, append_add(txn, &key, &item));
    assert_int_equal(1, txn_finish(&f, txn).counts[APPEND_OK]);
    stats.label_pairs = 0;
    for (int i = 0; i < 10000 && stats.label_pairs != 4; i++) { /* unlinks, then frees */
        const struct timespec pause = {.tv_nsec = 1000000};

        nanosleep(&pause, NULL); /* the last transaction ends soon after its answer */
        head_maintain(f.head);
        head_get_stats(f.head, &stats);
    }
    assert_int_equal(1, stats.series);
    assert_int_equal(4, stats.label_pairs);
    for (unsigned i = 0; i < 25; i++)
        (void)put_one(&f, "t", i, (struct sample){t0 + 6000, i});
    assert_int_equal(2, read_series(&f, "t", 3, got, SAMPLES_MAX));
    fixture_crash(&f);
    assert_int_equal(1, read_series(&f, "t", 7, got, SAMPLES_MAX));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_waits_for_readers),
        cmocka_unit_test(test_series_end),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
