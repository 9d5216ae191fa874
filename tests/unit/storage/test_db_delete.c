/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion, snapshots, retention. */
#include "db_fixture.h"

/* ---- deletion ---- */

/* Deletes series [first, last] over the steps given. */
static enum err delete_steps(struct fixture *f, uint32_t first, uint32_t last, uint32_t step_first,
                             uint32_t step_last, struct err_info *info)
{
    struct matcher_spec specs[] = {{MATCHER_EQUAL, SLICE("__name__"), SLICE("m")},
                                   {MATCHER_REGEX, SLICE("i"), {0}}};
    const struct db_selector selector = {specs, 2};
    char text[400] = "none";

    for (uint32_t i = first; i <= last; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "|%u", i);
    specs[1].value = slice_from_cstr(text);
    return db_delete(
        f->db,
        &(struct db_delete_options){.tenant = SLICE("anonymous"),
                                    .selectors = &selector,
                                    .selector_count = 1,
                                    .t_min_ms = START_MS + (int64_t)step_first * STEP_MS,
                                    .t_max_ms = START_MS + (int64_t)step_last * STEP_MS},
        info);
}

enum { STEPS_MAX = 200 };
static bool deleted[SERIES_COUNT][STEPS_MAX];

/* Every series has what was written and not deleted. */
static void check_deleted(struct fixture *f, uint32_t count)
{
    static struct sample_columns columns;
    static bool seen[SERIES_COUNT][STEPS_MAX];
    struct source *source = db_source(f->db);
    struct source_series series;
    struct series_stream *stream;
    struct arena arena;

    memset(seen, 0, sizeof(seen));
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                          INT64_MAX, NULL, &stream, NULL));
    while (series_stream_next(stream, &series)) {
        while (sample_cursor_next(series.cursor, &columns))
            for (uint32_t i = 0; i < columns.count; i++)
                seen[series_of(series.labels)][(columns.t_ms[i] - START_MS) / STEP_MS] = true;
        check_err(ERR_OK, series.cursor->err);
    }
    check_err(ERR_OK, stream->err);
    for (uint32_t i = 0; i < SERIES_COUNT; i++)
        for (uint32_t step = 0; step < count; step++)
            if (seen[i][step] == deleted[i][step])
                fail_msg("series %u step %u is %s", i, step, seen[i][step] ? "there" : "missing");
    arena_fini(&arena);
}

static void note_deleted(uint32_t first, uint32_t last, uint32_t step_first, uint32_t step_last)
{
    for (uint32_t i = first; i <= last; i++)
        for (uint32_t step = step_first; step <= step_last && step < STEPS_MAX; step++)
            deleted[i][step] = true;
}

/* What is deleted is gone at once, from head and blocks, over merges, cleaning and crashes; what is
 * written later is there. */
static void test_delete(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 15)
    {
        struct fixture f;
        struct err_info info = {0};

        memset(deleted, 0, sizeof(deleted));
        fixture_init(&f);
        for (int i = 0; i < 14; i++) {
            write_steps(&f, 1 + (uint32_t)gen_below(&gen, 12));
            if (gen_chance(&gen, 3))
                check_err_info(ERR_OK, flush_all(&f, &info), &info);
            if (gen_chance(&gen, 2)) {
                const uint32_t first = (uint32_t)gen_below(&gen, SERIES_COUNT);
                const uint32_t last = first + (uint32_t)gen_below(&gen, SERIES_COUNT - first);
                const uint32_t step = (uint32_t)gen_below(&gen, f.step_count);
                const uint32_t step_last = step + (uint32_t)gen_below(&gen, f.step_count - step);

                check_err_info(ERR_OK, delete_steps(&f, first, last, step, step_last, &info),
                               &info);
                note_deleted(first, last, step, step_last);
            }
            check_deleted(&f, f.step_count);
            switch (gen_below(&gen, 6)) {
            case 0:
                check_err_info(ERR_OK, compact(&f, &info), &info);
                break;
            case 1:
                check_err_info(ERR_OK, db_clean(f.db, &(struct db_compact_options){0}, &info),
                               &info);
                assert_int_equal(0, stats_of(&f).tombstones);
                break;
            case 2:
                crash_db(&f);
                open_db(&f);
                break;
            case 3:
                stop_db(&f);
                open_db(&f);
                break;
            default:
                break;
            }
            check_deleted(&f, f.step_count);
        }
        fixture_fini(&f);
    }
}

/* A deletion ends with the blocks that it is for, and their bytes with it. */
static void test_clean(void **state)
{
    struct fixture f;
    struct err_info info = {0};

    (void)state;
    memset(deleted, 0, sizeof(deleted));
    fixture_init(&f);
    write_steps(&f, 50);
    check_err(ERR_OK, flush_all(&f, NULL));
    assert_int_equal(3, stats_of(&f).blocks);
    const uint64_t samples = stats_of(&f).block_samples;
    check_err(ERR_OK, delete_steps(&f, 3, 12, 0, 9, NULL)); /* in the first block alone */
    assert_int_equal(1, stats_of(&f).tombstones);
    assert_int_equal(samples, stats_of(&f).block_samples);
    check_err_info(ERR_OK, db_clean(f.db, &(struct db_compact_options){0}, &info), &info);
    assert_int_equal(0, stats_of(&f).tombstones);
    assert_int_equal(samples - 100, stats_of(&f).block_samples);
    assert_int_equal(1, stats_of(&f).compactions);
    /* One that means nothing rewrites nothing. */
    check_err(ERR_OK, delete_steps(&f, 3, 12, 0, 9, NULL));
    check_err_info(ERR_OK, db_clean(f.db, &(struct db_compact_options){0}, &info), &info);
    assert_int_equal(0, stats_of(&f).tombstones);
    assert_int_equal(1, stats_of(&f).compactions);
    /* All of a block, and the block is gone. */
    check_err(ERR_OK, delete_steps(&f, 0, SERIES_COUNT - 1, 20, 39, NULL));
    check_err_info(ERR_OK, db_clean(f.db, &(struct db_compact_options){0}, &info), &info);
    assert_int_equal(2, stats_of(&f).blocks);
    assert_int_equal(2, list_blocks(&f).count);
    note_deleted(3, 12, 0, 9);
    note_deleted(0, SERIES_COUNT - 1, 20, 39);
    check_deleted(&f, f.step_count);
    crash_db(&f);
    open_db(&f);
    check_deleted(&f, f.step_count);
    fixture_fini(&f);
}

/* Every call of a deletion and a cleaning fails in turn: it is done or it is not, never in part,
 * and never said to be done when it is not. */
static void test_delete_faults(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        struct fixture f;
        struct err_info info = {0};

        memset(deleted, 0, sizeof(deleted));
        fixture_init(&f);
        write_steps(&f, 25);
        check_err(ERR_OK, flush_all(&f, NULL));
        write_steps(&f, 5);
        fault_arm("", nth);
        enum err err = delete_steps(&f, 5, 9, 10, 27, &info);
        fired = fault_fired_count() > 0;
        fault_disarm();
        if (err == ERR_OK)
            note_deleted(5, 9, 10, 27);
        else
            assert_true(info.message[0] != '\0');
        check_deleted(&f, f.step_count);
        if (err != ERR_OK) {
            /* The first change of the catalog after it settles what was unsure. */
            check_err(ERR_OK, flush_all(&f, NULL));
            crash_db(&f);
            open_db(&f);
            check_deleted(&f, f.step_count);
            check_err_info(ERR_OK, delete_steps(&f, 5, 9, 10, 27, &info), &info);
            note_deleted(5, 9, 10, 27);
        }
        if (!fired) {
            assert_true(nth > 15);
            fixture_fini(&f);
            break;
        }
        crash_db(&f);
        open_db(&f);
        check_deleted(&f, f.step_count);
        fault_arm("", nth);
        err = db_clean(f.db, &(struct db_compact_options){0}, &info);
        fault_disarm();
        check_deleted(&f, f.step_count);
        if (err != ERR_OK)
            check_err_info(ERR_OK, db_clean(f.db, &(struct db_compact_options){0}, &info), &info);
        crash_db(&f);
        open_db(&f);
        check_deleted(&f, f.step_count);
        assert_int_equal(0, stats_of(&f).tombstones);
        fixture_fini(&f);
    }
}

/* ---- snapshots ---- */

static void path_of(const struct fixture *f, const char *name, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/a/data/%s", f->dir.path, name);
}

/* Puts the snapshot in the place of the data directory. */
static void become_snapshot(struct fixture *f, const char *name)
{
    char command[3 * TEMP_DIR_PATH_SIZE + 200];

    stop_db(f);
    (void)snprintf(command, sizeof(command),
                   "cd '%s/a' && mv data/snapshots/%s new && rm -rf data && mv new data",
                   f->dir.path, name);
    assert_int_equal(0, system(command));
    open_db(f);
}

/* A snapshot is a directory that starts: with what was there, deletions too, and nothing later. */
static void test_snapshot(void **state)
{
    char name[DB_SNAPSHOT_NAME_SIZE];
    struct err_info info = {0};
    struct fixture f;

    (void)state;
    for (int skip_head = 0; skip_head <= 1; skip_head++) {
        memset(deleted, 0, sizeof(deleted));
        fixture_init(&f);
        write_steps(&f, 45);
        check_err(ERR_OK, flush_all(&f, NULL));
        check_err(ERR_OK, delete_steps(&f, 5, 9, 10, 20, NULL));
        note_deleted(5, 9, 10, 20);
        write_steps(&f, 3);
        const uint64_t head_samples = stats_of(&f).head.samples;
        check_err_info(
            ERR_OK,
            db_snapshot(f.db, &(struct db_snapshot_options){.skip_head = skip_head}, name, &info),
            &info);
        assert_int_equal(33, strlen(name)); /* 20260102T150405Z-0123456789abcdef */
        assert_int_equal(head_samples, stats_of(&f).head.samples);
        write_steps(&f, 10);
        check_err(ERR_OK, delete_steps(&f, 0, 39, 0, 60, NULL));
        become_snapshot(&f, name);
        f.step_count = skip_head ? 45 : 48;
        check_deleted(&f, f.step_count);
        assert_int_equal(f.step_count * SERIES_COUNT, stats_of(&f).block_samples);
        /* It lives on, over a crash too: what it says of its blocks is no matter of the new log. */
        write_steps(&f, 12);
        crash_db(&f);
        open_db(&f);
        check_deleted(&f, f.step_count);
        fixture_fini(&f);
    }
}

static void test_snapshot_faults(void **state)
{
    char name[DB_SNAPSHOT_NAME_SIZE];
    bool fired = true;

    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        struct err_info info = {0};
        struct fixture f;
        struct names names = {.count = 0};
        char path[TEMP_DIR_PATH_SIZE + 64];

        fixture_init(&f);
        write_steps(&f, 25);
        check_err(ERR_OK, flush_all(&f, NULL));
        write_steps(&f, 3);
        fault_arm("", nth);
        const enum err err = db_snapshot(f.db, &(struct db_snapshot_options){0}, name, &info);
        fired = fault_fired_count() > 0;
        fault_disarm();
        check_err(ERR_OK, check_all(&f, f.step_count));
        stop_db(&f);
        open_db(&f); /* removes what a failed removal left */
        path_of(&f, "snapshots", path, sizeof(path));
        (void)f.env.fs->list(&f.env, path, add_name, &names);
        assert_int_equal(err == ERR_OK, names.count);
        if (err != ERR_OK) {
            assert_true(info.message[0] != '\0');
        } else {
            become_snapshot(&f, name);
            check_err(ERR_OK, check_all(&f, f.step_count));
        }
        fixture_fini(&f);
        assert_true(fired || nth > 15);
    }
}

/* ---- retention ---- */

static void test_retention(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 200);
    check_err(ERR_OK, flush_all(&f, NULL));
    assert_int_equal(10, stats_of(&f).blocks);
    db_set_retention(f.db, &(struct db_retention){.time_ms = 60000});
    for (uint64_t nth = 1; nth < 4; nth++) {
        fault_arm("db.retain", nth);
        db_maintain(f.db);
        fault_disarm();
        if (nth == 1)
            assert_int_equal(10, stats_of(&f).blocks);
    }
    /* Blocks end 20 s apart: the newest and those that end less than 60 s before it stay. */
    assert_int_equal(3, stats_of(&f).blocks);
    assert_true(stats_of(&f).t_min_ms == START_MS + 140 * STEP_MS);
    const uint64_t size = stats_of(&f).block_bytes;
    db_set_retention(f.db, &(struct db_retention){60000, UINT64_C(1) << 40});
    db_maintain(f.db);
    assert_int_equal(3, stats_of(&f).blocks);
    db_set_retention(f.db, &(struct db_retention){60000, size});
    db_maintain(f.db); /* the log counts too */
    assert_true(stats_of(&f).blocks < 3);
    db_set_retention(f.db, &(struct db_retention){60000, 1});
    db_maintain(f.db);
    assert_int_equal(0, stats_of(&f).blocks);
    assert_int_equal(0, list_blocks(&f).count);
    crash_db(&f);
    open_db(&f);
    assert_int_equal(0, stats_of(&f).blocks);
    assert_int_equal(0, stats_of(&f).head.samples);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delete),          cmocka_unit_test(test_clean),
        cmocka_unit_test(test_delete_faults),   cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_snapshot_faults), cmocka_unit_test(test_retention),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
