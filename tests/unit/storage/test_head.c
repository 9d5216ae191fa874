/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

enum { SAMPLES_MAX = 4096 };

static const int64_t t0 = 1700000000000;

/* ---- verdicts ---- */

static void test_verdicts(void **state)
{
    struct head_fixture f;
    struct append_result result;
    struct sample got[SAMPLES_MAX];
    const struct sample want[] = {{t0, 1}, {t0 + 1000, 2}, {t0 + HEAD_RANGE_MS, 5}};

    (void)state;
    fixture_open(&f);
    f.options.future_ms_max = 0;
    result = put_one(&f, "t", 1, want[0]);
    check_err(ERR_OK, result.err);
    assert_int_equal(1, result.stored[APPEND_FLOAT]);
    assert_int_equal(1, result.series_created);
    result = put_one(&f, "t", 1, want[1]);
    assert_int_equal(1, result.counts[APPEND_OK]);
    assert_int_equal(0, result.series_created);
    result = put_one(&f, "t", 1, want[1]);
    assert_int_equal(1, result.counts[APPEND_DUPLICATE_SAME]);
    assert_int_equal(1, result.stored[APPEND_FLOAT]);
    result = put_one(&f, "t", 1, (struct sample){t0 + 1000, 3});
    assert_int_equal(1, result.counts[APPEND_DUPLICATE]);
    assert_int_equal(0, result.stored[APPEND_FLOAT]);
    assert_non_null(strstr(result.texts[APPEND_DUPLICATE], "metric_1{instance=\"i-0\""));
    result = put_one(&f, "t", 1, (struct sample){t0 + 500, 3});
    assert_int_equal(1, result.counts[APPEND_OUT_OF_ORDER]);
    result = put_one(&f, "t", 1, want[2]);
    assert_int_equal(1, result.counts[APPEND_OK]);
    result = put_one(&f, "t", 2, (struct sample){t0 + HEAD_RANGE_MS / 2 - 1, 3});
    assert_int_equal(1, result.counts[APPEND_TOO_OLD]);
    result = put_one(&f, "t", 2, (struct sample){t0 + HEAD_RANGE_MS / 2, 3});
    assert_int_equal(1, result.counts[APPEND_OK]);
    result = put_one(&f, "u", 2, (struct sample){t0, 3}); /* another tenant has its own bound */
    assert_int_equal(1, result.counts[APPEND_OK]);
    result = put_one(&f, "t", 2, (struct sample){env_now_ms(&f.env) + 3600 * 1000, 3});
    assert_int_equal(1, result.counts[APPEND_TOO_NEW]);
    check_samples(want, 3, got, read_series(&f, "t", 1, got, SAMPLES_MAX));
    fixture_restart(&f);
    check_samples(want, 3, got, read_series(&f, "t", 1, got, SAMPLES_MAX));
    result = put_one(&f, "t", 1, (struct sample){t0 + HEAD_RANGE_MS, 6});
    assert_int_equal(1, result.counts[APPEND_DUPLICATE]);
    fixture_close(&f);
}

/* ---- which items are left out ---- */

struct left_out_wait {
    struct env *env;
    struct env_op op;
    struct append_left_out items[8];
    uint32_t count;
};

static void on_left_out(void *owner, const struct append_result *result)
{
    struct left_out_wait *wait = owner;

    wait->count = result->left_out_count;
    for (uint32_t i = 0; i < result->left_out_count && i < COUNT_OF(wait->items); i++)
        wait->items[i] = result->left_out[i];
    env_complete(wait->env, &wait->op, result->err);
}

static void test_left_out_items_are_named(void **state)
{
    struct left_out_wait wait = {0};
    struct append_options options = {.tenant = SLICE("t"), .tells_left_out = true};
    struct append_txn *txn;
    struct head_fixture f;

    (void)state;
    fixture_open(&f);
    wait.env = &f.env;
    (void)put_one(&f, "t", 1, (struct sample){t0 + 1000, 1});
    check_err(ERR_OK, appender_begin(head_appender(f.head), &options, &txn, NULL));
    (void)txn_put(&f, txn, "t", 2, (struct sample){t0 + 1000, 1});
    (void)txn_put(&f, txn, "t", 1, (struct sample){t0 + 1000, 1});
    /* This one add does not take, so it has no number. */
    assert_int_equal(APPEND_TOO_NEW, txn_put(&f, txn, "t", 1,
                                             (struct sample){env_now_ms(&f.env) + 3600 * 1000, 3}));
    (void)txn_put(&f, txn, "t", 2, (struct sample){t0 + 2000, 1});
    (void)txn_put(&f, txn, "t", 1, (struct sample){t0 + 999, 1});
    append_commit(txn, on_left_out, &wait);
    check_err(ERR_OK, env_wait(&f.env, &wait.op, 0));
    assert_int_equal(2, wait.count);
    assert_int_equal(1, wait.items[0].item);
    assert_int_equal(APPEND_DUPLICATE_SAME, wait.items[0].verdict);
    assert_int_equal(3, wait.items[1].item);
    assert_int_equal(APPEND_OUT_OF_ORDER, wait.items[1].verdict);
    /* Not asked for, not told; the memory of the one before is used again. */
    options.tells_left_out = false;
    wait = (struct left_out_wait){.env = &f.env};
    check_err(ERR_OK, appender_begin(head_appender(f.head), &options, &txn, NULL));
    (void)txn_put(&f, txn, "t", 1, (struct sample){t0 + 1000, 1});
    append_commit(txn, on_left_out, &wait);
    check_err(ERR_OK, env_wait(&f.env, &wait.op, 0));
    assert_int_equal(0, wait.count);
    fixture_close(&f);
}

static void test_series_limit(void **state)
{
    struct head_fixture f;
    struct append_result result;

    (void)state;
    fixture_open(&f);
    check_err(ERR_OK, head_stop(f.head, 0));
    head_close(f.head);
    f.options.tenant_series_max = 3;
    fixture_head_open(&f);
    for (unsigned i = 0; i < 5; i++) {
        result = put_one(&f, "t", i, (struct sample){t0, 1});
        assert_int_equal(i < 3, result.counts[APPEND_OK]);
        assert_int_equal(i >= 3, result.counts[APPEND_LIMIT]);
    }
    assert_string_equal("limit of 3 series in memory per tenant reached",
                        result.texts[APPEND_LIMIT]);
    result = put_one(&f, "u", 1, (struct sample){t0, 1});
    assert_int_equal(1, result.counts[APPEND_OK]);
    fixture_close(&f);
}

static void put_many(struct head_fixture *f, struct append_txn *txn, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)txn_put(f, txn, "t", 1, (struct sample){t0 + (int64_t)i, (double)i * 0.1});
}

/* What fits no record, or finds no memory, is refused whole: the one for good, the other to be sent
 * again. */
static void test_whole_or_not_at_all(void **state)
{
    struct append_options options = {.tenant = SLICE("t")};
    struct err_info info = {{0}};
    struct append_result result;
    struct append_txn *txn;
    struct head_fixture f;
    struct budget budget;
    struct sample got[4];

    (void)state;
    fixture_open(&f);
    txn = txn_start(&f, "t");
    put_many(&f, txn, 20000);
    result = txn_finish(&f, txn);
    check_err(ERR_TOO_LARGE, result.err);
    assert_false(result.retryable);
    assert_int_equal(0, result.stored[APPEND_FLOAT]);

    budget_init(&budget, NULL, "writes", 6000);
    options.budget = &budget;
    check_err(ERR_OK, appender_begin(head_appender(f.head), &options, &txn, &info));
    put_many(&f, txn, 2000);
    result = txn_finish(&f, txn);
    check_err(ERR_UNAVAILABLE, result.err);
    assert_true(result.retryable);
    assert_int_equal(0, atomic_load(&budget.used_bytes));

    assert_int_equal(0, read_series(&f, "t", 1, got, COUNT_OF(got)));
    assert_int_equal(1, put_one(&f, "t", 1, (struct sample){t0, 1}).counts[APPEND_OK]);
    fixture_close(&f);
}

static void test_stop_refuses(void **state)
{
    const struct append_options options = {.tenant = SLICE("t")};
    struct err_info info = {{0}};
    struct append_txn *txn;
    struct head_fixture f;

    (void)state;
    fixture_open(&f);
    txn = txn_start(&f, "t");
    (void)txn_put(&f, txn, "t", 1, (struct sample){t0, 1});
    check_err(ERR_DEADLINE, head_stop(f.head, 1));
    assert_int_equal(1, txn_finish(&f, txn).counts[APPEND_OK]);
    check_err(ERR_UNAVAILABLE, appender_begin(head_appender(f.head), &options, &txn, &info));
    fixture_close(&f);
}

/* ---- isolation ---- */

static void test_reader_sees_its_watermark(void **state)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    struct sample got[SAMPLES_MAX];
    struct head_fixture f;
    struct arena arenas[3];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 300; i++)
        (void)put_one(&f, "t", 1, (struct sample){t0 + i * 1000, i});
    for (int r = 0; r < 3; r++) {
        struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arenas[r]};
        struct series_stream *stream;
        struct source_series series;
        int n = 300 + r * 130;

        arena_init(&arenas[r], NULL, 0);
        stream = read_select(head_source(f.head), &ctx, (struct matcher_list){0}, &range);
        for (int i = 0; i < 130; i++) /* after the reader came */
            (void)put_one(&f, "t", 1, (struct sample){t0 + (n + i) * 1000, n + i});
        assert_true(series_stream_next(stream, &series));
        assert_int_equal(n, read_cursor(series.cursor, got, SAMPLES_MAX));
        for (int i = 0; i < n; i++)
            assert_true(got[i].v == i);
        assert_false(series_stream_next(stream, &series));
    }
    for (int r = 0; r < 3; r++)
        arena_fini(&arenas[r]);
    fixture_close(&f);
}

/* ---- a model ---- */

enum { MODEL_SERIES = 40, MODEL_SAMPLES = 800 };

struct model {
    struct sample samples[MODEL_SERIES][MODEL_SAMPLES];
    size_t counts[MODEL_SERIES];
    int64_t newest_ms[MODEL_SERIES];
    int64_t t_max_ms;
};

static void model_check(struct head_fixture *f, const struct model *model)
{
    static struct sample got[SAMPLES_MAX];
    uint64_t total = 0;
    struct head_stats stats;

    for (unsigned i = 0; i < MODEL_SERIES; i++) {
        const size_t count = read_series(f, "t", i, got, SAMPLES_MAX);

        check_samples(model->samples[i], model->counts[i], got, count);
        total += count;
    }
    head_get_stats(f->head, &stats);
    assert_int_equal(total, stats.samples);
}

static enum append_verdict model_judge(const struct model *model, unsigned i, struct sample sample,
                                       int64_t bound_ms)
{
    const size_t count = model->counts[i];

    if (sample.t_ms < bound_ms)
        return APPEND_TOO_OLD;
    if (sample.t_ms > model->newest_ms[i])
        return APPEND_OK;
    if (sample.t_ms < model->newest_ms[i])
        return APPEND_OUT_OF_ORDER;
    return sample_value_bits(model->samples[i][count - 1].v) == sample_value_bits(sample.v)
               ? APPEND_DUPLICATE_SAME
               : APPEND_DUPLICATE;
}

/* A transaction of random samples, checked verdict by verdict. */
static void model_write(struct head_fixture *f, struct model *model, struct gen *gen)
{
    struct append_txn *txn = txn_start(f, "t");
    const int64_t bound_ms =
        model->t_max_ms == INT64_MIN ? INT64_MIN : model->t_max_ms - HEAD_RANGE_MS / 2;
    uint32_t want[APPEND_VERDICT_COUNT] = {0};
    struct append_result result;
    const uint64_t n = 1 + gen_below(gen, 60);

    for (uint64_t k = 0; k < n; k++) {
        const unsigned i = (unsigned)gen_below(gen, MODEL_SERIES);
        const int64_t base_ms = model->newest_ms[i] == INT64_MIN ? t0 : model->newest_ms[i];
        struct sample sample = {base_ms + gen_between(gen, 1, 60000), gen_value(gen)};
        enum append_verdict verdict;

        if (gen_chance(gen, 10))
            sample.t_ms = base_ms - gen_between(gen, 0, 3000);
        if (gen_chance(gen, 40))
            sample.t_ms = base_ms - HEAD_RANGE_MS;
        if (gen_chance(gen, 10) && model->counts[i] > 0)
            sample = model->samples[i][model->counts[i] - 1];
        assert_int_equal(APPEND_OK, txn_put(f, txn, "t", i, sample));
        verdict = model_judge(model, i, sample, bound_ms);
        want[verdict]++;
        if (verdict != APPEND_OK || model->counts[i] == MODEL_SAMPLES) {
            assert_true(model->counts[i] < MODEL_SAMPLES);
            continue;
        }
        model->samples[i][model->counts[i]++] = sample;
        model->newest_ms[i] = sample.t_ms;
        if (sample.t_ms > model->t_max_ms)
            model->t_max_ms = sample.t_ms;
    }
    result = txn_finish(f, txn);
    check_err(ERR_OK, result.err);
    for (int v = 0; v < APPEND_VERDICT_COUNT; v++)
        assert_int_equal(want[v], result.counts[v]);
}

/* Whatever is written, restarted, crashed and saved: the head has what the model has. */
static void test_model(void **state)
{
    static struct model model;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 12)
    {
        struct head_fixture f;
        struct err_info info = {{0}};

        memset(&model, 0, sizeof(model));
        model.t_max_ms = INT64_MIN;
        for (int i = 0; i < MODEL_SERIES; i++)
            model.newest_ms[i] = INT64_MIN;
        fixture_open(&f);
        for (int step = 0; step < 150; step++) {
            model_write(&f, &model, &gen);
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
        fixture_crash(&f);
        model_check(&f, &model);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),     cmocka_unit_test(test_left_out_items_are_named),
        cmocka_unit_test(test_series_limit), cmocka_unit_test(test_whole_or_not_at_all),
        cmocka_unit_test(test_stop_refuses), cmocka_unit_test(test_reader_sees_its_watermark),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
