/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include "model/order.h"
#include "support/gen_histogram.h"

enum { SERIES = 12, SAMPLES_MAX = 4000, WINDOWS_MAX = 64 };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

/* One sample of the model. */
struct want {
    int64_t t_ms, start_t_ms;
    double v;
    const struct histogram *histogram; /* NULL: a float */
    bool falls;                        /* below the one before: a reset that must not be denied */
};

struct series_model {
    struct gen_histogram target;
    struct want samples[SAMPLES_MAX];
    size_t count;
    bool newest_is_histogram, newest_is_float_histogram;
    double count_before;
};

struct model {
    struct arena arena;
    struct series_model series[SERIES];
    int64_t now_ms;
    struct head_window windows[WINDOWS_MAX];
    size_t window_count;
};

static enum append_verdict put_item(struct head_fixture *f, struct append_txn *txn, unsigned i,
                                    const struct append_item *item)
{
    struct test_series s;
    struct series_key key = {.labels = series_make(&s, i)};

    key.hash = series_hash(&f->key, SLICE("t"), key.labels);
    return append_add(txn, &key, item);
}

static struct append_result put_one_item(struct head_fixture *f, unsigned i,
                                         const struct append_item *item)
{
    struct append_txn *txn = txn_start(f, "t");

    (void)put_item(f, txn, i, item);
    return txn_finish(f, txn);
}

/* ---- reading ---- */

static void check_sample(const struct sample_columns *columns, uint32_t i, const struct want *want)
{
    struct histogram got;

    assert_int_equal(want->t_ms, columns->t_ms[i]);
    assert_int_equal(want->start_t_ms, columns->start_t_ms == NULL ? 0 : columns->start_t_ms[i]);
    if (want->histogram == NULL) {
        assert_int_equal(SAMPLE_FLOAT, columns->kind);
        assert_int_equal(sample_value_bits(want->v), sample_value_bits(columns->v[i]));
        return;
    }
    assert_int_equal(SAMPLE_HISTOGRAM, columns->kind);
    got = *columns->histograms[i];
    if (histogram_is_stale(&got))
        assert_int_equal(HISTOGRAM_RESET_UNKNOWN, got.reset);
    else if (want->histogram->reset == HISTOGRAM_GAUGE)
        assert_int_equal(HISTOGRAM_GAUGE, got.reset);
    else if (want->falls)
        assert_true(got.reset == HISTOGRAM_RESET_YES || got.reset == HISTOGRAM_RESET_UNKNOWN);
    else
        assert_int_not_equal(HISTOGRAM_GAUGE, got.reset);
    got.reset = want->histogram->reset;
    assert_int_equal(0, order_histograms(want->histogram, &got));
}

static size_t check_cursor(struct sample_cursor *cursor, const struct want *want, size_t max)
{
    static struct sample_columns columns;
    size_t count = 0;

    while (sample_cursor_next(cursor, &columns)) {
        assert_true(columns.count > 0);
        for (uint32_t i = 0; i < columns.count; i++) {
            assert_true(count < max);
            check_sample(&columns, i, &want[count++]);
        }
    }
    check_err(ERR_OK, cursor->err);
    return count;
}

static unsigned series_number(struct label_set labels)
{
    char text[16] = {0};
    const struct slice value = label_set_get(labels, SLICE("series"));

    memcpy(text, value.data, value.len);
    return (unsigned)strtoul(text, NULL, 10);
}

static void check_all(struct head_fixture *f, const struct model *model, int64_t t_min_ms,
                      int64_t seek_ms)
{
    const struct read_range range = {t_min_ms, INT64_MAX};
    struct arena arena;
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    struct series_stream *stream;
    struct source_series series;
    bool seen[SERIES] = {0};
    const int64_t from_ms = t_min_ms > seek_ms ? t_min_ms : seek_ms;

    arena_init(&arena, NULL, 0);
    stream = read_select(head_source(f->head), &ctx, (struct matcher_list){0}, &range);
    while (series_stream_next(stream, &series)) {
        const unsigned i = series_number(series.labels);
        const struct series_model *m = &model->series[i];
        size_t from = 0;

        while (from < m->count && m->samples[from].t_ms < from_ms)
            from++;
        if (seek_ms > t_min_ms)
            sample_cursor_seek(series.cursor, seek_ms);
        assert_int_equal(m->count - from,
                         check_cursor(series.cursor, m->samples + from, m->count - from));
        seen[i] = true;
    }
    check_err(ERR_OK, stream->err);
    for (unsigned i = 0; i < SERIES; i++)
        if (!seen[i] && model->series[i].count > 0)
            assert_true(model->series[i].samples[model->series[i].count - 1].t_ms < from_ms);
    arena_fini(&arena);
}

/* ---- writing ---- */

static double count_of(const struct histogram *h)
{
    return h->is_float ? h->f.count : (double)h->i.count;
}

/* Makes the next sample of series i: the first ones are floats, the last ones histograms, those
 * between both. */
static struct append_item next_item(struct model *model, struct gen *gen, unsigned i, int64_t t_ms)
{
    struct series_model *m = &model->series[i];
    struct append_item item = {.kind = APPEND_FLOAT, .t_ms = t_ms};
    struct want *want = &m->samples[m->count++];

    if (i >= SERIES / 3 && !gen_chance(gen, i < 2 * SERIES / 3 ? 3 : 50)) {
        item.kind = APPEND_HISTOGRAM;
        /* A series that has ended meanwhile does not know what it was when it begins anew. */
        do {
            item.histogram = gen_histogram_next(&m->target);
        } while (m->count == 1 && histogram_is_stale(item.histogram));
        if (histogram_is_stale(item.histogram) && m->newest_is_histogram) /* it has their kind */
            m->target.histogram.is_float = m->newest_is_float_histogram;
    } else {
        do {
            item.v = gen_value(gen);
        } while (m->count == 1 && sample_value_is_stale(item.v));
    }
    if (gen_chance(gen, i % 3 == 0 ? 1000 : 2))
        item.start_t_ms = t_ms - gen_between(gen, 0, 1000);
    *want = (struct want){.t_ms = t_ms, .start_t_ms = item.start_t_ms, .v = item.v};
    if (item.kind == APPEND_HISTOGRAM) {
        want->histogram = histogram_copy(&model->arena, item.histogram);
    } else if (sample_value_is_stale(item.v) && m->newest_is_histogram) {
        struct histogram stale = {.sum = item.v, .is_float = m->newest_is_float_histogram};

        want->histogram = histogram_copy(&model->arena, &stale);
    }
    m->newest_is_histogram = want->histogram != NULL;
    if (m->newest_is_histogram) {
        m->newest_is_float_histogram = want->histogram->is_float;
        want->falls = count_of(want->histogram) < m->count_before;
        if (!histogram_is_stale(want->histogram))
            m->count_before = count_of(want->histogram);
    } else {
        m->count_before = 0;
    }
    return item;
}

static void model_write(struct head_fixture *f, struct model *model, struct gen *gen)
{
    struct append_txn *txn = txn_start(f, "t");
    uint32_t want[APPEND_KIND_COUNT] = {0};
    struct append_result result;

    model->now_ms += gen_between(gen, 1, gen_chance(gen, 20) ? HEAD_RANGE_MS / 3 : 30000);
    for (unsigned i = 0; i < SERIES; i++) {
        struct append_item item;

        if (gen_chance(gen, 4) || model->series[i].count == SAMPLES_MAX)
            continue;
        item = next_item(model, gen, i, model->now_ms + (int64_t)i);
        assert_int_equal(APPEND_OK, put_item(f, txn, i, &item));
        want[item.kind]++;
    }
    result = txn_finish(f, txn);
    check_err(ERR_OK, result.err);
    assert_int_equal(want[APPEND_FLOAT] + want[APPEND_HISTOGRAM], result.counts[APPEND_OK]);
    assert_int_equal(want[APPEND_FLOAT], result.stored[APPEND_FLOAT]);
    assert_int_equal(want[APPEND_HISTOGRAM], result.stored[APPEND_HISTOGRAM]);
}

static void model_flush(struct head_fixture *f, struct model *model, struct gen *gen)
{
    const struct head_due_options due = {.all = gen_chance(gen, 2)};
    struct head_flush_series series;
    struct head_window *window = &model->windows[model->window_count];
    struct head_flush *flush;
    size_t froms[SERIES] = {0}, counts[SERIES] = {0};

    if (model->window_count == WINDOWS_MAX ||
        !head_flush_due(f->head, &due, &window->t_min_ms, &window->t_end_ms))
        return;
    check_err(ERR_OK, head_flush_open(f->head, window->t_min_ms, window->t_end_ms, &flush));
    window->watermark = head_flush_watermark(flush);
    for (unsigned i = 0; i < SERIES; i++) {
        const struct series_model *m = &model->series[i];

        while (froms[i] < m->count && m->samples[froms[i]].t_ms < window->t_min_ms)
            froms[i]++;
        while (froms[i] + counts[i] < m->count &&
               m->samples[froms[i] + counts[i]].t_ms < window->t_end_ms)
            counts[i]++;
    }
    for (uint64_t n = gen_below(gen, 3); n > 0; n--) /* life goes on */
        model_write(f, model, gen);
    while (head_flush_next(flush, &series)) {
        const unsigned i = series_number(series.labels);

        assert_int_equal(
            counts[i], check_cursor(series.cursor, model->series[i].samples + froms[i], counts[i]));
    }
    check_err(ERR_OK, head_flush_err(flush));
    if (!gen_chance(gen, 4)) {
        check_err(ERR_OK, head_flush_drop(flush, 0));
        model->window_count++;
        for (unsigned i = 0; i < SERIES; i++) {
            struct series_model *m = &model->series[i];

            m->count -= counts[i];
            memmove(m->samples + froms[i], m->samples + froms[i] + counts[i],
                    (m->count - froms[i]) * sizeof(m->samples[0]));
        }
    }
    head_flush_close(flush);
}

static void model_step(struct head_fixture *f, struct model *model, struct gen *gen)
{
    struct err_info info = {{0}};

    model_write(f, model, gen);
    f->options.window_count = model->window_count;
    if (gen_chance(gen, 20))
        model_flush(f, model, gen);
    f->options.window_count = model->window_count;
    if (gen_chance(gen, 40))
        fixture_restart(f);
    if (gen_chance(gen, 40))
        fixture_crash(f);
    if (gen_chance(gen, 25))
        check_err_info(ERR_OK, head_checkpoint(f->head, &info), &info);
    if (gen_chance(gen, 10))
        head_maintain(f->head);
    if (gen_chance(gen, 20))
        check_all(f, model, model->now_ms - gen_between(gen, 0, 2 * HEAD_RANGE_MS),
                  model->now_ms - gen_between(gen, 0, 2 * HEAD_RANGE_MS));
}

static void test_model(void **state)
{
    static struct model model;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 15)
    {
        struct head_fixture f;

        memset(&model, 0, sizeof(model));
        arena_init(&model.arena, NULL, 0);
        model.now_ms = t0;
        for (unsigned i = 0; i < SERIES; i++)
            gen_histogram_init(&model.series[i].target, &gen);
        fixture_open(&f);
        f.options.windows = model.windows;
        for (int step = 0; step < 250; step++)
            model_step(&f, &model, &gen);
        check_all(&f, &model, INT64_MIN, INT64_MIN);
        fixture_close(&f);
        arena_fini(&model.arena);
    }
}

/* ---- verdicts ---- */

static const struct histogram_span span[] = {{0, 2}};
static const int64_t deltas[] = {3, 1}, other_deltas[] = {3, 2};
static const struct histogram histogram = {.schema = 0,
                                           .zero_threshold = 0x1p-128,
                                           .sum = 9,
                                           .i.count = 8,
                                           .i.zero_count = 1,
                                           .i.positive_deltas = deltas,
                                           .positive_spans = span,
                                           .positive_span_count = 1,
                                           .positive_count = 2};

static void test_verdicts(void **state)
{
    struct head_fixture f;
    struct histogram same = histogram, other = histogram, bad = histogram;
    struct append_item item = {.kind = APPEND_HISTOGRAM, .t_ms = t0, .histogram = &histogram};
    struct append_result result;

    (void)state;
    fixture_open(&f);
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_OK]);
    same.reset = HISTOGRAM_RESET_NO; /* a hint is not content */
    item.histogram = &same;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_DUPLICATE_SAME]);
    other.i.count++;
    other.i.positive_deltas = other_deltas;
    item.histogram = &other;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_DUPLICATE]);
    item.t_ms--;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_OUT_OF_ORDER]);
    item.t_ms = t0 - 2 * HEAD_RANGE_MS;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_TOO_OLD]);
    assert_int_equal(1, put_one(&f, "t", 1, (struct sample){t0, 9}).counts[APPEND_DUPLICATE]);
    bad.i.count = 3;
    item = (struct append_item){.kind = APPEND_HISTOGRAM, .t_ms = t0 + 1, .histogram = &bad};
    result = put_one_item(&f, 1, &item);
    assert_int_equal(1, result.counts[APPEND_BAD_HISTOGRAM]);
    assert_string_equal("invalid native histogram: 8 observations found in buckets, but the count "
                        "is 3: t=1699999200001 metric_1{instance=\"i-0\", job=\"b\", series=\"1\"}",
                        result.texts[APPEND_BAD_HISTOGRAM]);
    bad = histogram;
    bad.positive_span_count = 1 << 20;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_BAD_HISTOGRAM]);
    fixture_restart(&f); /* what repeats is known from the log, too */
    item = (struct append_item){.kind = APPEND_HISTOGRAM, .t_ms = t0, .histogram = &histogram};
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_DUPLICATE_SAME]);
    check_err(ERR_OK, head_checkpoint(f.head, NULL));
    fixture_crash(&f);
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_DUPLICATE_SAME]);
    item.histogram = &other;
    assert_int_equal(1, put_one_item(&f, 1, &item).counts[APPEND_DUPLICATE]);
    fixture_close(&f);
}

/* A series of plain floats keeps its XOR chunk: what is not in it, costs nothing. */
static void test_floats_pay_nothing(void **state)
{
    struct head_fixture f;
    struct head_stats before, after;
    struct append_item item = {.kind = APPEND_FLOAT};

    (void)state;
    fixture_open(&f);
    for (int k = 0; k < 100; k++)
        (void)put_one(&f, "t", 1, (struct sample){t0 + k * 15000, k});
    head_get_stats(f.head, &before);
    for (int k = 0; k < 100; k++) {
        item.t_ms = t0 + k * 15000;
        item.v = k;
        item.start_t_ms = t0 - 5;
        assert_int_equal(1, put_one_item(&f, 2, &item).counts[APPEND_OK]);
    }
    head_get_stats(f.head, &after);
    assert_int_equal(200, after.samples);
    assert_true(after.chunk_bytes > before.chunk_bytes); /* it is counted */
    fixture_close(&f);
}

/* ---- exemplars ---- */

enum { EXEMPLARS_MAX = 500 };

struct got_exemplars {
    struct arena arena;
    struct exemplar items[EXEMPLARS_MAX];
    unsigned series[EXEMPLARS_MAX];
    size_t count;
};

static enum err on_exemplar(void *owner, struct label_set series, const struct exemplar *exemplar)
{
    struct got_exemplars *got = owner;

    assert_true(got->count < EXEMPLARS_MAX);
    got->items[got->count] = *exemplar;
    got->items[got->count].labels = label_set_copy(&got->arena, exemplar->labels);
    got->series[got->count++] = series_number(series);
    return ERR_OK;
}

static void get_exemplars(struct head_fixture *f, struct got_exemplars *got)
{
    struct source *source = head_source(f->head);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &got->arena};

    arena_init(&got->arena, NULL, 0);
    got->count = 0;
    check_err(ERR_OK, source->ops->exemplars(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                             INT64_MAX, on_exemplar, got));
}

static struct append_result put_exemplar(struct head_fixture *f, unsigned i, int64_t t_ms, double v,
                                         const char *trace)
{
    struct label labels[] = {{SLICE("empty"), SLICE("")}, {SLICE("trace"), slice_from_cstr(trace)}};
    const struct exemplar exemplar = {.labels = {labels, 2}, .v = v, .t_ms = t_ms, .has_t = true};
    const struct append_item item = {.kind = APPEND_EXEMPLAR, .t_ms = t_ms, .exemplar = &exemplar};

    return put_one_item(f, i, &item);
}

static void check_exemplars(struct head_fixture *f, size_t count, const double *values)
{
    static struct got_exemplars got;

    get_exemplars(f, &got);
    assert_int_equal(count, got.count);
    for (size_t i = 0; i < count; i++) {
        assert_true(values[i] == got.items[i].v);
        assert_int_equal(1, got.items[i].labels.count); /* without the empty one */
    }
    arena_fini(&got.arena);
}

static void test_exemplars(void **state)
{
    static const double two[] = {1, 2}, three[] = {1, 2, 3};
    const char *long_text = "0123456789012345678901234567890123456789012345678901234567890123"
                            "01234567890123456789012345678901234567890123456789012345678901";
    struct head_fixture f;
    struct append_result result;

    (void)state;
    fixture_open(&f);
    (void)put_one(&f, "t", 1, (struct sample){t0, 1});
    result = put_exemplar(&f, 1, t0, 1, "a");
    assert_int_equal(1, result.counts[APPEND_OK]);
    assert_int_equal(1, result.stored[APPEND_EXEMPLAR]);
    assert_int_equal(1, put_exemplar(&f, 1, t0, 1, "a").counts[APPEND_DUPLICATE_SAME]);
    assert_int_equal(1, put_exemplar(&f, 1, t0 - 1, 1, "a").counts[APPEND_LATE_EXEMPLAR]);
    assert_int_equal(1, put_exemplar(&f, 1, t0, 0, "a").counts[APPEND_LATE_EXEMPLAR]);
    assert_int_equal(1, put_exemplar(&f, 1, t0, 1, "A").counts[APPEND_LATE_EXEMPLAR]);
    assert_int_equal(1, put_exemplar(&f, 1, t0, 2, "a").counts[APPEND_OK]);
    result = put_exemplar(&f, 1, t0 + 1, 2, long_text);
    assert_int_equal(1, result.counts[APPEND_BAD_EXEMPLAR]);
    assert_non_null(strstr(result.texts[APPEND_BAD_EXEMPLAR],
                           "label length for exemplar exceeds maximum of 128 UTF-8 characters"));
    check_exemplars(&f, 2, two);
    fixture_crash(&f);
    check_exemplars(&f, 2, two);
    check_err(ERR_OK, head_checkpoint(f.head, NULL));
    assert_int_equal(1, put_exemplar(&f, 1, t0 + 5, 3, "a").counts[APPEND_OK]);
    fixture_crash(&f);
    check_exemplars(&f, 3, three);
    head_set_exemplar_max(f.head, 1);
    check_exemplars(&f, 1, three + 2);
    head_set_exemplar_max(f.head, 0);
    assert_int_equal(1, put_exemplar(&f, 1, t0 + 9, 3, "a").counts[APPEND_EXEMPLARS_OFF]);
    check_exemplars(&f, 0, NULL);
    fixture_close(&f);
}

/* The ring keeps the newest whatever their series, and a series sees its own. */
static void test_exemplar_ring(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20)
    {
        static struct got_exemplars got;
        struct head_fixture f;
        unsigned series[EXEMPLARS_MAX];
        size_t count = 0;
        const size_t max = 1 + gen_below(&gen, 100);

        fixture_open(&f);
        head_set_exemplar_max(f.head, (uint32_t)max);
        for (int k = 0; k < 200; k++) {
            const unsigned i = (unsigned)gen_below(&gen, 7);

            series[count] = i;
            (void)put_exemplar(&f, i, t0 + k, (double)count++, "x");
        }
        get_exemplars(&f, &got);
        assert_int_equal(max, got.count);
        for (size_t k = 0; k < got.count; k++) {
            const size_t number = (size_t)got.items[k].v;

            assert_true(number >= count - max);
            assert_int_equal(series[number], got.series[k]);
            if (k > 0 && got.series[k - 1] == got.series[k])
                assert_true(got.items[k - 1].v < got.items[k].v);
        }
        arena_fini(&got.arena);
        fixture_close(&f);
    }
}

/* A flush has the exemplars of its window and drops them; replay does not bring them back. */
static void test_exemplars_are_flushed(void **state)
{
    static const double left[] = {2};
    struct head_fixture f;
    struct head_flush_series series;
    struct head_flush *flush;
    struct head_window window = {t0, t0 + HEAD_RANGE_MS, 0};
    unsigned with_samples = 0, alone = 0;

    (void)state;
    fixture_open(&f);
    (void)put_one(&f, "t", 1, (struct sample){t0, 1});
    (void)put_exemplar(&f, 1, t0, 1, "a");
    (void)put_exemplar(&f, 2, t0 + 1, 1, "b");
    (void)put_one(&f, "t", 2, (struct sample){t0 + HEAD_RANGE_MS, 1});
    (void)put_exemplar(&f, 2, t0 + HEAD_RANGE_MS, 2, "b");
    check_err(ERR_OK, head_flush_open(f.head, window.t_min_ms, window.t_end_ms, &flush));
    window.watermark = head_flush_watermark(flush);
    while (head_flush_next(flush, &series)) {
        assert_int_equal(1, series.exemplar_count);
        with_samples += series.cursor != NULL;
        alone += series.cursor == NULL;
    }
    check_err(ERR_OK, head_flush_err(flush));
    assert_int_equal(1, with_samples);
    assert_int_equal(1, alone);
    check_err(ERR_OK, head_flush_drop(flush, 0));
    head_flush_close(flush);
    check_exemplars(&f, 1, left);
    f.options.windows = &window;
    f.options.window_count = 1;
    fixture_crash(&f);
    check_exemplars(&f, 1, left);
    fixture_close(&f);
}

/* ---- metadata ---- */

static struct append_result put_metadata(struct head_fixture *f, const struct metadata *metadata)
{
    const struct append_item item = {.kind = APPEND_METADATA, .metadata = metadata};
    const struct series_key key = {0};
    struct append_txn *txn = txn_start(f, "t");

    (void)append_add(txn, &key, &item);
    return txn_finish(f, txn);
}

struct got_metadata {
    char text[1024];
};

static enum err on_metadata(void *owner, const struct metadata *said)
{
    struct got_metadata *got = owner;
    const size_t len = strlen(got->text);

    (void)snprintf(got->text + len, sizeof(got->text) - len, "%.*s:%d:%.*s:%.*s;",
                   SLICE_ARG(said->metric), (int)said->type, SLICE_ARG(said->unit),
                   SLICE_ARG(said->help));
    return ERR_OK;
}

static void check_metadata(struct head_fixture *f, const char *metric, const char *want)
{
    struct source *source = head_source(f->head);
    struct arena arena;
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    struct got_metadata got = {{0}};

    arena_init(&arena, NULL, 0);
    check_err(ERR_OK,
              source->ops->metadata(source, &ctx, slice_from_cstr(metric), on_metadata, &got));
    assert_string_equal(want, got.text);
    arena_fini(&arena);
}

static void test_metadata(void **state)
{
    const struct metadata up = {
        .type = METRIC_TYPE_GAUGE, .metric = SLICE("up"), .help = SLICE("Is it?")};
    const struct metadata other = {.type = METRIC_TYPE_COUNTER,
                                   .metric = SLICE("up"),
                                   .help = SLICE("Was it?"),
                                   .unit = SLICE("s")};
    const struct metadata down = {.metric = SLICE("down")};
    const struct metadata nameless = {.help = SLICE("x")};
    struct head_fixture f;
    struct append_result result;

    (void)state;
    fixture_open(&f);
    result = put_metadata(&f, &up);
    assert_int_equal(1, result.counts[APPEND_OK]);
    assert_int_equal(1, result.stored[APPEND_METADATA]);
    assert_int_equal(1, put_metadata(&f, &up).counts[APPEND_DUPLICATE_SAME]);
    assert_int_equal(1, put_metadata(&f, &other).counts[APPEND_OK]);
    assert_int_equal(1, put_metadata(&f, &down).counts[APPEND_OK]);
    result = put_metadata(&f, &nameless);
    assert_int_equal(1, result.counts[APPEND_BAD_METADATA]);
    assert_string_equal("metadata of \"\": it names no metric", result.texts[APPEND_BAD_METADATA]);
    check_metadata(&f, "", "down:0::;up:2::Is it?;up:1:s:Was it?;");
    fixture_crash(&f);
    check_metadata(&f, "up", "up:2::Is it?;up:1:s:Was it?;");
    check_err(ERR_OK, head_checkpoint(f.head, NULL));
    fixture_crash(&f);
    check_metadata(&f, "", "down:0::;up:2::Is it?;up:1:s:Was it?;");
    fixture_restart(&f);
    check_metadata(&f, "none", "");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_floats_pay_nothing),
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_exemplar_ring),
        cmocka_unit_test(test_exemplars_are_flushed),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
