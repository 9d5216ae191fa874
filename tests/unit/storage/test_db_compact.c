/* SPDX-License-Identifier: Apache-2.0 */
/* Merging of live blocks. */
#include "db_fixture.h"

/* Blocks of many flushes become few; each answer stays what it was, over crashes too. */
static void test_compact(void **state)
{
    struct fixture f;
    struct err_info info = {0};

    (void)state;
    fixture_init(&f);
    for (int i = 0; i < 60; i++) { /* 240 s: twelve windows, five flushes in each */
        write_steps(&f, 4);
        check_err(ERR_OK, flush_all(&f, NULL));
    }
    assert_int_equal(60, stats_of(&f).blocks);
    check_err_info(ERR_OK, compact(&f, &info), &info);
    check_err(ERR_OK, check_all(&f, f.step_count));
    assert_true(stats_of(&f).blocks < 12);
    assert_int_equal(f.step_count * SERIES_COUNT, stats_of(&f).block_samples);
    assert_int_equal(stats_of(&f).blocks, list_blocks(&f).count);
    crash_db(&f);
    open_db(&f);
    assert_int_equal(0, stats_of(&f).head.samples); /* the log's samples are in merged blocks */
    check_err(ERR_OK, check_all(&f, f.step_count));
    assert_int_equal(f.step_count * SERIES_COUNT, stats_of(&f).block_samples);
    const uint64_t blocks = stats_of(&f).blocks;
    check_err(ERR_OK, compact(&f, NULL));
    assert_int_equal(blocks, stats_of(&f).blocks);
    fixture_fini(&f);
}

/* Files that a reader still uses go when it has left. */
static void test_compact_reader(void **state)
{
    struct sample_columns columns;
    struct series_stream *stream;
    struct source_series series;
    struct arena arena;
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (int i = 0; i < 4; i++) {
        write_steps(&f, 4);
        check_err(ERR_OK, flush_all(&f, NULL));
    }
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    struct source *source = db_source(f.db);
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                          INT64_MAX, NULL, &stream, NULL));
    check_err(ERR_OK, compact(&f, NULL));
    assert_int_equal(1, stats_of(&f).blocks);
    assert_int_equal(5, list_blocks(&f).count);
    uint32_t count = 0;
    while (series_stream_next(stream, &series))
        while (sample_cursor_next(series.cursor, &columns))
            count += columns.count;
    check_err(ERR_OK, stream->err);
    assert_int_equal(f.step_count * SERIES_COUNT, count);
    arena_fini(&arena);
    assert_int_equal(1, list_blocks(&f).count);
    fixture_fini(&f);
}

/* Metadata of the metric and an exemplar of its first series, at the last step. */
static void write_about(struct fixture *f)
{
    const int64_t t_ms = START_MS + (int64_t)(f->step_count - 1) * STEP_MS;
    const struct append_options options = {.tenant = SLICE("anonymous"), .origin = APPEND_SCRAPE};
    const struct label labels[] = {{SLICE("__name__"), SLICE("m")}, {SLICE("i"), SLICE("0")}};
    const struct label trace[] = {{SLICE("trace"), SLICE("abc")}};
    const struct exemplar exemplar = {{trace, 1}, (double)f->step_count, t_ms, true};
    const struct metadata metadata = {METRIC_TYPE_GAUGE, SLICE("m"), SLICE("help"), SLICE("unit")};
    const struct append_item items[] = {
        {.kind = APPEND_EXEMPLAR, .t_ms = t_ms, .exemplar = &exemplar},
        {.kind = APPEND_METADATA, .metadata = &metadata},
    };
    struct series_key key = {.labels = {labels, 2}};
    struct commit commit = {.env = &f->env};
    struct append_txn *txn;

    key.hash = series_hash(db_hash_key(f->db), options.tenant, key.labels);
    check_err(ERR_OK, appender_begin(db_appender(f->db), &options, &txn, NULL));
    for (size_t i = 0; i < COUNT_OF(items); i++)
        assert_true(append_verdict_stored(append_add(txn, &key, &items[i])));
    append_commit(txn, on_done, &commit);
    check_err(ERR_OK, env_wait(&f->env, &commit.op, 0));
    check_err(ERR_OK, commit.result.err);
}

static enum err count_exemplar(void *owner, struct label_set series,
                               const struct exemplar *exemplar)
{
    (void)series;
    (void)exemplar;
    ++*(uint32_t *)owner;
    return ERR_OK;
}

static enum err check_metadata(void *owner, const struct metadata *metadata)
{
    check_slice("m", metadata->metric);
    check_slice("help", metadata->help);
    ++*(uint32_t *)owner;
    return ERR_OK;
}

/* What a block holds beside samples comes through a merge. */
static void test_compact_about(void **state)
{
    uint32_t exemplars = 0, metadata = 0;
    struct err_info info = {0};
    struct arena arena;
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (int i = 0; i < 4; i++) {
        write_steps(&f, 4);
        write_about(&f);
        check_err(ERR_OK, flush_all(&f, NULL));
    }
    check_err_info(ERR_OK, compact(&f, &info), &info);
    assert_int_equal(1, stats_of(&f).blocks);
    crash_db(&f);
    open_db(&f);
    check_err(ERR_OK, check_all(&f, f.step_count));
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    struct source *source = db_source(f.db);
    check_err(ERR_OK, source->ops->exemplars(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                             INT64_MAX, count_exemplar, &exemplars));
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE("m"), check_metadata, &metadata));
    arena_fini(&arena);
    assert_int_equal(4, exemplars);
    assert_true(metadata > 0);
    fixture_fini(&f);
}

/* Every call of a merge fails in turn: nothing changes by it, and the next try does it all. */
static void test_compact_faults(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        struct fixture f;
        struct err_info info = {0};

        fixture_init(&f);
        for (int i = 0; i < 4; i++) {
            write_steps(&f, 4);
            check_err(ERR_OK, flush_all(&f, NULL));
        }
        fault_arm("", nth);
        const enum err err = compact(&f, &info);
        fired = fault_fired_count() > 0;
        fault_disarm();
        check_err(ERR_OK, check_all(&f, f.step_count));
        if (err != ERR_OK) {
            assert_true(fired);
            assert_true(info.message[0] != '\0');
            assert_int_equal(4, stats_of(&f).blocks);
            assert_int_equal(1, stats_of(&f).compaction_failures);
            if (nth % 2 == 0) {
                crash_db(&f);
                open_db(&f);
                check_err(ERR_OK, check_all(&f, f.step_count));
            }
            check_err_info(ERR_OK, compact(&f, &info), &info);
        }
        assert_int_equal(1, stats_of(&f).blocks);
        check_err(ERR_OK, check_all(&f, f.step_count));
        stop_db(&f);
        open_db(&f);
        assert_int_equal(1, list_blocks(&f).count);
        check_err(ERR_OK, check_all(&f, f.step_count));
        fixture_fini(&f);
        if (!fired)
            assert_true(nth > 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_compact_reader),
        cmocka_unit_test(test_compact_about),
        cmocka_unit_test(test_compact_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
