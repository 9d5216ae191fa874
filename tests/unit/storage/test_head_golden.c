/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <sys/stat.h>

#include "model/order.h"

/* A log and a checkpoint that format version 1 wrote are read for ever. GOLDEN_WRITE=1 writes them
 * anew: with a new version, into a new folder. */

enum { SERIES = 6, WIDE_SERIES = 3, ROUNDS = 20, SAMPLES_MAX = 256, PATH_SIZE = 1024 };

#define GOLDEN_DIR NARTHEX_TEST_DATA "/../golden/storage/wal_v1"

static const char *const files[] = {"checkpoint.0000000002", "0000000002.wal"};

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

static struct sample sample_of(unsigned i, int round)
{
    return (struct sample){t0 + round * 15000 + (int64_t)i,
                           i == 0 ? round : (double)round * 0.25 / (i + 1)};
}

/* Series behind the plain ones: a float with a start time, an integer histogram, a float one. */
static struct histogram histogram_of(unsigned i, int round, int64_t deltas[2], double counts[2])
{
    static const struct histogram_span spans[] = {{-1, 1}, {2, 1}};
    struct histogram h = {.schema = 3,
                          .reset = round % 7 == 0 ? HISTOGRAM_RESET_YES : HISTOGRAM_RESET_UNKNOWN,
                          .is_float = i == 2,
                          .zero_threshold = 0x1p-128,
                          .sum = round * 1.5,
                          .positive_spans = spans,
                          .positive_span_count = 2,
                          .positive_count = 2};

    deltas[0] = round;
    deltas[1] = 1;
    counts[0] = round;
    counts[1] = round + 0.5;
    if (h.is_float) {
        h.f.count = 2 * round + 0.5;
        h.f.positive_counts = counts;
    } else {
        h.i.count = 2 * (uint64_t)round + 1;
        h.i.positive_deltas = deltas;
    }
    return h;
}

static void put_wide(struct head_fixture *f, struct append_txn *txn, unsigned i, int round)
{
    struct append_item item = {
        .kind = APPEND_FLOAT, .t_ms = t0 + round * 15000, .start_t_ms = i == 1 ? 0 : t0 - 250};
    struct test_series s;
    struct series_key key = {.labels = series_make(&s, SERIES + i)};
    struct histogram h;
    int64_t deltas[2];
    double counts[2];

    if (i == 0) {
        item.v = round;
    } else {
        h = histogram_of(i, round, deltas, counts);
        item.kind = APPEND_HISTOGRAM;
        item.histogram = &h;
    }
    key.hash = series_hash(&f->key, SLICE("anonymous"), key.labels);
    assert_int_equal(APPEND_OK, append_add(txn, &key, &item));
}

static unsigned check_wide(const struct source_series *series)
{
    static struct sample_columns columns;
    char text[16] = {0};
    const struct slice number = label_set_get(series->labels, SLICE("series"));
    int round = 0;
    unsigned i;

    memcpy(text, number.data, number.len);
    i = (unsigned)strtoul(text, NULL, 10) - SERIES;
    if (i >= WIDE_SERIES)
        return 0;
    while (sample_cursor_next(series->cursor, &columns))
        for (uint32_t k = 0; k < columns.count; k++, round++) {
            int64_t deltas[2];
            double counts[2];
            struct histogram want = histogram_of(i, round, deltas, counts);

            assert_int_equal(t0 + round * 15000, columns.t_ms[k]);
            assert_int_equal(i == 1 ? 0 : t0 - 250,
                             columns.start_t_ms == NULL ? 0 : columns.start_t_ms[k]);
            assert_int_equal(i == 0 ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM, columns.kind);
            if (i == 0) {
                assert_true(columns.v[k] == round);
                continue;
            }
            want.reset = round % 7 == 0 ? HISTOGRAM_RESET_YES : HISTOGRAM_RESET_NO;
            assert_int_equal(0, order_histograms(&want, columns.histograms[k]));
        }
    check_err(ERR_OK, series->cursor->err);
    assert_int_equal(ROUNDS, round);
    return 1;
}

static void check_all_wide(struct head_fixture *f)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    struct arena arena;
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    struct series_stream *stream;
    struct source_series series;
    unsigned found = 0;

    arena_init(&arena, NULL, 0);
    stream = read_select(head_source(f->head), &ctx, (struct matcher_list){0}, &range);
    while (series_stream_next(stream, &series))
        found += check_wide(&series);
    check_err(ERR_OK, stream->err);
    assert_int_equal(WIDE_SERIES, found);
    arena_fini(&arena);
}

static void write_rounds(struct head_fixture *f, int from, int to)
{
    for (int round = from; round < to; round++) {
        struct append_txn *txn = txn_start(f, "anonymous");

        for (unsigned i = 0; i < SERIES; i++)
            assert_int_equal(APPEND_OK, txn_put(f, txn, "anonymous", i, sample_of(i, round)));
        for (unsigned i = 0; i < WIDE_SERIES; i++)
            put_wide(f, txn, i, round);
        assert_int_equal(SERIES + WIDE_SERIES, txn_finish(f, txn).counts[APPEND_OK]);
    }
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
    char path[PATH_SIZE], bytes[8192];
    FILE *from, *to;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", from_dir, name);
    from = fopen(path, "rb");
    assert_non_null(from);
    (void)snprintf(path, sizeof(path), "%s/%s", to_dir, name);
    to = fopen(path, "wb");
    assert_non_null(to);
    while ((size = fread(bytes, 1, sizeof(bytes), from)) > 0)
        assert_int_equal(size, fwrite(bytes, 1, size, to));
    fclose(from);
    assert_int_equal(0, fclose(to));
}

/* The first segment is in the checkpoint, the second lies behind it. */
static void write_golden(struct head_fixture *f)
{
    write_rounds(f, 0, ROUNDS / 2);
    check_err(ERR_OK, head_checkpoint(f->head, NULL));
    write_rounds(f, ROUNDS / 2, ROUNDS);
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    (void)mkdir(GOLDEN_DIR, 0777);
    for (size_t i = 0; i < COUNT_OF(files); i++)
        copy_file(f->dir.path, GOLDEN_DIR, files[i]);
    fixture_head_open(f);
}

static void fixture_small(struct head_fixture *f)
{
    fixture_open(f);
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    f->options.wal_segment_size = 4096;
}

static void test_version_1(void **state)
{
    static struct sample got[SAMPLES_MAX];
    struct head_fixture f;
    struct head_stats stats;

    (void)state;
    fixture_small(&f);
    if (getenv("GOLDEN_WRITE") != NULL) {
        fixture_head_open(&f);
        write_golden(&f);
        fixture_close(&f);
        fixture_small(&f);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++)
        copy_file(GOLDEN_DIR, f.dir.path, files[i]);
    fixture_head_open(&f);
    head_get_stats(f.head, &stats);
    assert_int_equal(0, stats.replay_corruptions);
    assert_int_equal(SERIES + WIDE_SERIES, stats.series);
    assert_int_equal((SERIES + WIDE_SERIES) * ROUNDS, stats.samples);
    check_all_wide(&f);
    for (unsigned i = 0; i < SERIES; i++) {
        struct sample want[ROUNDS];

        for (int round = 0; round < ROUNDS; round++)
            want[round] = sample_of(i, round);
        check_samples(want, ROUNDS, got, read_series(&f, "anonymous", i, got, SAMPLES_MAX));
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version_1)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
