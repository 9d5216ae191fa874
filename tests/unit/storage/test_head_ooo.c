/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include "model/order.h"

/* Samples out of order: verdicts, the total order, isolation, and a model under restarts, crashes,
 * checkpoints and flushes. */

enum { SAMPLES_MAX = 4096, WINDOW_MS = 4 * HEAD_RANGE_MS };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

static struct append_txn *late_start(struct head_fixture *f, int64_t window_ms)
{
    const struct append_options options = {
        .tenant = SLICE("t"), .origin = APPEND_WRITE, .out_of_order_ms = window_ms};
    struct append_txn *txn = NULL;
    struct err_info info = {{0}};

    check_err_info(ERR_OK, appender_begin(head_appender(f->head), &options, &txn, &info), &info);
    return txn;
}

static struct append_result late_put(struct head_fixture *f, int64_t window_ms, unsigned i,
                                     struct sample sample)
{
    struct append_txn *txn = late_start(f, window_ms);

    assert_int_equal(APPEND_OK, txn_put(f, txn, "t", i, sample));
    return txn_finish(f, txn);
}

static void test_verdicts(void **state)
{
    const double stale = sample_value_from_bits(SAMPLE_STALE_BITS);
    const struct sample want[] = {{t0, 7}, {t0 + 500, 4}, {t0 + 1000, 3}};
    struct sample got[SAMPLES_MAX];
    struct append_result result;
    struct head_fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0 + 1000, 2}).counts[APPEND_OK]);
    /* Without a window as upstream. */
    result = late_put(&f, 0, 1, (struct sample){t0 + 500, 4});
    assert_int_equal(1, result.counts[APPEND_OUT_OF_ORDER]);
    result = late_put(&f, 0, 1, (struct sample){t0 + 1000, 3});
    assert_int_equal(1, result.counts[APPEND_DUPLICATE]);
    /* With one: within, at its edge, outside. */
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0 + 500, 4}).counts[APPEND_OK]);
    result = late_put(&f, 1000, 1, (struct sample){t0 + 500, 4});
    assert_int_equal(1, result.counts[APPEND_DUPLICATE_SAME]);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0, 5}).counts[APPEND_OK]);
    result = late_put(&f, 1000, 1, (struct sample){t0 - 1, 5});
    assert_int_equal(1, result.counts[APPEND_OUT_OF_WINDOW]);
    assert_non_null(strstr(result.texts[APPEND_OUT_OF_WINDOW], "too old sample: t="));
    /* Another value of a time: the greater one stays, whichever came first. */
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0, 7}).counts[APPEND_OK]);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0, 6}).counts[APPEND_OK]);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0, stale}).counts[APPEND_OK]);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0 + 1000, 3}).counts[APPEND_OK]);
    assert_int_equal(1, late_put(&f, 1000, 1, (struct sample){t0 + 1000, 1}).counts[APPEND_OK]);
    check_samples(want, 3, got, read_series(&f, "t", 1, got, SAMPLES_MAX));
    /* Replay judges with the window of then. */
    fixture_crash(&f);
    check_samples(want, 3, got, read_series(&f, "t", 1, got, SAMPLES_MAX));
    /* Out of bounds is no matter within the window, also for a series without samples. */
    assert_int_equal(1,
                     late_put(&f, 0, 2, (struct sample){t0 + HEAD_RANGE_MS, 1}).counts[APPEND_OK]);
    result = late_put(&f, 0, 3, (struct sample){t0, 1});
    assert_int_equal(1, result.counts[APPEND_TOO_OLD]);
    assert_int_equal(1, late_put(&f, HEAD_RANGE_MS, 3, (struct sample){t0, 1}).counts[APPEND_OK]);
    assert_int_equal(1, read_series(&f, "t", 3, got, SAMPLES_MAX));
    fixture_close(&f);
}

/* A reader sees what was there when it came, however much is staged, sealed and settled since. */
static void test_isolation(void **state)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    struct sample got[SAMPLES_MAX];
    struct source_series series;
    struct head_fixture f;
    struct arena arenas[3];

    (void)state;
    fixture_open(&f);
    (void)late_put(&f, WINDOW_MS, 1, (struct sample){t0 + 1000000, 1});
    for (int i = 0; i < 100; i++)
        (void)late_put(&f, WINDOW_MS, 1, (struct sample){t0 + i * 1000, i});
    for (int r = 0; r < 3; r++) {
        struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arenas[r]};
        struct series_stream *stream;

        arena_init(&arenas[r], NULL, 0);
        stream = read_select(head_source(f.head), &ctx, (struct matcher_list){0}, &range);
        for (int i = 0; i < 100; i++) { /* greater values of the same times, and times between */
            struct append_txn *txn = late_start(&f, WINDOW_MS);

            (void)txn_put(&f, txn, "t", 1, (struct sample){t0 + i * 1000, i + 1000.0 * (r + 1)});
            (void)txn_put(&f, txn, "t", 1, (struct sample){t0 + i * 1000 + 100 * (r + 1), i});
            assert_int_equal(2, txn_finish(&f, txn).counts[APPEND_OK]);
        }
        assert_true(series_stream_next(stream, &series));
        assert_int_equal(100 * (r + 1) + 1, read_cursor(series.cursor, got, SAMPLES_MAX));
        for (int i = 0; i < 100; i++)
            assert_true(got[i * (r + 1)].v == i + 1000.0 * r);
        assert_false(series_stream_next(stream, &series));
    }
    for (int r = 0; r < 3; r++)
        arena_fini(&arenas[r]);
    assert_int_equal(401, read_series(&f, "t", 1, got, SAMPLES_MAX));
    fixture_close(&f);
}

/* ---- a model ---- */

enum { SERIES = 12, STEPS = 700, STEP_MS = 20000 };

/* The greatest value of each step of time. */
struct values {
    bool has[SERIES][STEPS];
    double v[SERIES][STEPS];
};

struct model {
    struct values all, blocks; /* that was stored; of it, what flushes took */
    int64_t newest_ms[SERIES];
    int64_t t_max_ms;
    struct head_window windows[64];
    size_t window_count;
};

static void values_add(struct values *values, unsigned i, int k, double v)
{
    if (values->has[i][k] && order_floats(values->v[i][k], v) >= 0)
        return;
    values->has[i][k] = true;
    values->v[i][k] = v;
}

static int step_of(int64_t t_ms)
{
    return (int)((t_ms - t0) / STEP_MS);
}

/* Head and blocks together have all, and nothing else. */
static void model_check(struct head_fixture *f, const struct model *model)
{
    static struct sample got[SAMPLES_MAX];
    static struct values values;

    values = model->blocks;
    for (unsigned i = 0; i < SERIES; i++) {
        const size_t count = read_series(f, "t", i, got, SAMPLES_MAX);

        for (size_t k = 0; k < count; k++) {
            assert_true(k == 0 || got[k].t_ms > got[k - 1].t_ms);
            values_add(&values, i, step_of(got[k].t_ms), got[k].v);
        }
        for (int k = 0; k < STEPS; k++) {
            assert_int_equal(model->all.has[i][k], values.has[i][k]);
            assert_true(sample_value_bits(model->all.v[i][k]) == sample_value_bits(values.v[i][k]));
        }
    }
}

static void model_write(struct head_fixture *f, struct model *model, struct gen *gen, int newest)
{
    struct append_txn *txn = late_start(f, WINDOW_MS);
    const uint64_t n = 1 + gen_below(gen, 60);
    const int64_t late_ms = model->t_max_ms == INT64_MIN ? INT64_MIN : model->t_max_ms - WINDOW_MS;
    uint32_t refused = 0;
    struct append_result result;

    for (uint64_t j = 0; j < n; j++) {
        const unsigned i = (unsigned)gen_below(gen, SERIES);
        const int k = gen_chance(gen, 3) ? newest : (int)gen_below(gen, (uint64_t)newest + 1);
        const int64_t t_ms = t0 + (int64_t)k * STEP_MS;
        const double v = gen_chance(gen, 20) ? sample_value_from_bits(SAMPLE_STALE_BITS)
                                             : (double)gen_below(gen, 4);

        assert_int_equal(APPEND_OK, txn_put(f, txn, "t", i, (struct sample){t_ms, v}));
        if (t_ms > model->newest_ms[i] && t_ms >= late_ms) {
            model->newest_ms[i] = t_ms;
        } else if (t_ms < late_ms) {
            refused++;
            continue;
        }
        model->t_max_ms = t_ms > model->t_max_ms ? t_ms : model->t_max_ms;
        values_add(&model->all, i, k, v);
    }
    result = txn_finish(f, txn);
    check_err(ERR_OK, result.err);
    assert_int_equal(refused, result.counts[APPEND_OUT_OF_WINDOW]);
    assert_int_equal(n - refused, result.counts[APPEND_OK] + result.counts[APPEND_DUPLICATE_SAME]);
}

/* Takes the oldest window out of the head, as a block would. */
static void model_flush(struct head_fixture *f, struct model *model)
{
    const struct head_due_options due = {.all = true};
    static struct sample got[SAMPLES_MAX];
    struct head_flush_series series;
    struct head_flush *flush;
    int64_t t_min_ms, t_end_ms;

    if (!head_flush_due(f->head, &due, &t_min_ms, &t_end_ms))
        return;
    check_err(ERR_OK, head_flush_open(f->head, t_min_ms, t_end_ms, &flush));
    while (head_flush_next(flush, &series)) {
        const struct slice text = label_set_get(series.labels, SLICE("series"));
        const unsigned i = (unsigned)strtoul(text.data, NULL, 10);
        const size_t count = read_cursor(series.cursor, got, SAMPLES_MAX);

        assert_true(count > 0);
        for (size_t k = 0; k < count; k++) {
            assert_true(got[k].t_ms >= t_min_ms && got[k].t_ms < t_end_ms);
            values_add(&model->blocks, i, step_of(got[k].t_ms), got[k].v);
        }
    }
    check_err(ERR_OK, head_flush_err(flush));
    check_err(ERR_OK, head_flush_drop(flush, 0));
    assert_true(model->window_count < COUNT_OF(model->windows));
    model->windows[model->window_count++] =
        (struct head_window){t_min_ms, t_end_ms, head_flush_watermark(flush)};
    f->options.windows = model->windows;
    f->options.window_count = model->window_count;
    head_flush_close(flush);
}

static struct head_stats stats_of(struct head_fixture *f)
{
    struct head_stats stats;

    head_get_stats(f->head, &stats);
    return stats;
}

static void test_model(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 30)
    {
        static struct model model;
        struct head_fixture f;

        fixture_open(&f);
        memset(&model, 0, sizeof(model));
        model.t_max_ms = INT64_MIN;
        for (unsigned i = 0; i < SERIES; i++)
            model.newest_ms[i] = INT64_MIN;
        for (int newest = 0; newest < STEPS; newest += 1 + (int)gen_below(&gen, 8)) {
            model_write(&f, &model, &gen, newest);
            switch (gen_below(&gen, 40)) {
            case 0:
                fixture_restart(&f);
                break;
            case 1:
                fixture_crash(&f);
                break;
            case 2:
                check_err(ERR_OK, head_checkpoint(f.head, NULL));
                break;
            case 3:
            case 4:
                model_flush(&f, &model);
                break;
            case 5:
                head_maintain(f.head);
                break;
            default:
                continue;
            }
            model_check(&f, &model);
        }
        model_check(&f, &model);
        while (model.window_count < COUNT_OF(model.windows)) {
            const size_t before = model.window_count;

            model_flush(&f, &model);
            if (model.window_count == before)
                break;
        }
        assert_int_equal(0, stats_of(&f).samples);
        fixture_crash(&f);
        model_check(&f, &model);
        assert_int_equal(0, stats_of(&f).samples);
        fixture_close(&f);
    }
}

/* Late windows wait for others or for a block range to pass; windows in order do not wait for them.
 */
static void test_due(void **state)
{
    struct head_due_options due = {0};
    int64_t t_min_ms, t_end_ms;
    struct head_fixture f;

    (void)state;
    fixture_open(&f);
    (void)late_put(&f, WINDOW_MS, 0, (struct sample){t0 + 3 * (int64_t)HEAD_RANGE_MS, 1});
    assert_false(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    (void)late_put(&f, WINDOW_MS, 0, (struct sample){t0, 1});
    (void)late_put(&f, WINDOW_MS, 0, (struct sample){t0 + HEAD_RANGE_MS, 1});
    assert_false(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    (void)late_put(&f, WINDOW_MS, 0, (struct sample){t0 + 4 * (int64_t)HEAD_RANGE_MS, 1});
    assert_true(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    assert_true(t_min_ms == t0);
    due.has_after = true;
    due.after_ms = t_end_ms;
    assert_true(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    assert_true(t_min_ms == t0 + HEAD_RANGE_MS);
    due.after_ms = t_end_ms;
    assert_false(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    due.has_after = false;
    (void)late_put(&f, WINDOW_MS, 0,
                   (struct sample){t0 + 4 * (int64_t)HEAD_RANGE_MS + HEAD_RANGE_MS / 2, 1});
    due.after_ms = t0 + 2 * (int64_t)HEAD_RANGE_MS; /* late samples of before are done */
    due.has_after = true;
    assert_true(head_flush_due(f.head, &due, &t_min_ms, &t_end_ms));
    assert_true(t_min_ms == t0 + 3 * (int64_t)HEAD_RANGE_MS);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
