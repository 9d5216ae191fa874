/* SPDX-License-Identifier: Apache-2.0 */
#include "db_fixture.h"

/* ---- tests ---- */

/* Whatever is flushed, stopped, reopened: the answer is what was written. */
static void test_life(void **state)
{
    struct fixture f;
    struct gen gen;

    (void)state;
    gen_init(&gen, 9);
    fixture_init(&f);
    check_err(ERR_OK, check_all(&f, 0));
    for (int i = 0; i < 12; i++) {
        struct err_info info = {0};

        write_steps(&f, (uint32_t)gen_below(&gen, 25));
        check_err(ERR_OK, check_all(&f, f.step_count));
        if (gen_chance(&gen, 2)) {
            check_err_info(ERR_OK, flush_all(&f, &info), &info);
            assert_int_equal(0, stats_of(&f).head.samples);
        } else {
            db_maintain(f.db);
        }
        check_err(ERR_OK, check_all(&f, f.step_count));
        if (gen_chance(&gen, 3)) {
            if (gen_chance(&gen, 2))
                stop_db(&f);
            else
                crash_db(&f);
            open_db(&f);
            check_err(ERR_OK, check_all(&f, f.step_count));
        }
    }
    assert_true(stats_of(&f).blocks > 3);
    assert_int_equal(f.step_count * SERIES_COUNT,
                     stats_of(&f).block_samples + stats_of(&f).head.samples);
    assert_true(stats_of(&f).t_min_ms == START_MS);
    fixture_fini(&f);
}

static void test_due(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 29); /* 1,000,000 to 1,028,000: the window's end is 1,020,000 */
    db_maintain(f.db);
    assert_int_equal(0, stats_of(&f).blocks);
    write_steps(&f, 2);
    db_maintain(f.db);
    assert_int_equal(1, stats_of(&f).blocks);
    assert_int_equal(20 * SERIES_COUNT, stats_of(&f).block_samples);
    assert_int_equal(11 * SERIES_COUNT, stats_of(&f).head.samples);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

static void test_lock(void **state)
{
    char path[TEMP_DIR_PATH_SIZE + 16];
    struct err_info info = {0};
    struct fixture f;
    struct db *second;

    (void)state;
    fixture_init(&f);
    (void)snprintf(path, sizeof(path), "%s/a/data", f.dir.path);
    const struct db_options options = {.env = &f.env, .path = path};
    check_err(ERR_EXISTS, db_open(&options, &second, &info));
    check_message("in use", &info);
    check_message(path, &info);
    fixture_fini(&f);
}

/* A bad block is put aside; the others answer. */
/* Warnings of a read of [t_min, t_max]; each names the block. */
static uint32_t count_warnings(struct fixture *f, int64_t t_min, int64_t t_max, const char *name)
{
    struct source *source = db_source(f->db);
    struct annotations annotations = {0};
    struct series_stream *stream;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    annotations.arena = &arena;
    struct source_ctx ctx = {
        .tenant = SLICE("anonymous"), .arena = &arena, .annotations = &annotations};
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, t_min, t_max,
                                          NULL, &stream, NULL));
    for (const struct annotation *one = annotations.first; one != NULL; one = one->next)
        assert_non_null(memmem(one->text.data, one->text.len, name, strlen(name)));
    const uint32_t count = annotations.warning_count;
    arena_fini(&arena);
    return count;
}

static void test_bad_block(void **state)
{
    static const char *const files[] = {"index.sst", "data.sst", "meta.json"};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[TEMP_DIR_PATH_SIZE + 128];
        char name[128];

        fixture_init(&f);
        write_steps(&f, 50);
        check_err(ERR_OK, flush_all(&f, NULL));
        const uint64_t blocks = stats_of(&f).blocks;
        assert_int_equal(3, blocks);
        struct names names = list_blocks(&f);
        stop_db(&f);
        (void)snprintf(name, sizeof(name), "%s/%s", names.items[0], files[i]);
        blocks_path(&f, name, path, sizeof(path));
        flip_byte(path, 20);
        open_db(&f);
        assert_int_equal(blocks - 1, stats_of(&f).blocks);
        assert_int_equal(1, stats_of(&f).quarantined);
        assert_int_equal(1, count_warnings(&f, INT64_MIN, INT64_MAX, names.items[0]));
        assert_int_equal(0, count_warnings(&f, INT64_MIN, START_MS - 1, names.items[0]));
        (void)snprintf(name, sizeof(name), "%s.bad", names.items[0]);
        names = list_blocks(&f);
        bool found = false;
        for (uint32_t j = 0; j < names.count; j++)
            found |= strcmp(name, names.items[j]) == 0;
        assert_true(found);
        /* The next start knows nothing of it. */
        stop_db(&f);
        open_db(&f);
        assert_int_equal(0, stats_of(&f).quarantined);
        assert_int_equal(blocks - 1, stats_of(&f).blocks);
        fixture_fini(&f);
    }
}

/* A bad block that cannot be put aside keeps its name and its place in the catalog, start after
 * start, until it can: it is never taken for a leftover. */
static void test_bad_block_stays(void **state)
{
    struct fixture f;
    char path[TEMP_DIR_PATH_SIZE + 128];
    char name[128];

    (void)state;
    fixture_init(&f);
    write_steps(&f, 50);
    check_err(ERR_OK, flush_all(&f, NULL));
    const uint64_t blocks = stats_of(&f).blocks;
    const struct names names = list_blocks(&f);
    stop_db(&f);
    (void)snprintf(name, sizeof(name), "%s/index.sst", names.items[0]);
    blocks_path(&f, name, path, sizeof(path));
    flip_byte(path, 20);
    for (int start = 0; start < 2; start++) {
        fault_arm("db.put_aside", 1);
        open_db(&f);
        fault_disarm();
        assert_int_equal(blocks - 1, stats_of(&f).blocks);
        stop_db(&f);
    }
    flip_byte(path, 20); /* whole again: nothing of it was lost */
    open_db(&f);
    assert_int_equal(blocks, stats_of(&f).blocks);
    fixture_fini(&f);
}

static void test_leftovers(void **state)
{
    char text[ULID_TEXT_LEN + 1];
    char name[64];
    char path[TEMP_DIR_PATH_SIZE + 128];
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 5);
    check_err(ERR_OK, flush_all(&f, NULL));
    stop_db(&f);
    ulid_print(ulid_make(&f.env), text);
    (void)snprintf(name, sizeof(name), "%s.tmp", text);
    blocks_path(&f, name, path, sizeof(path));
    check_err(ERR_OK, f.env.fs->mkdir(&f.env, path));
    blocks_path(&f, text, path, sizeof(path));
    check_err(ERR_OK, f.env.fs->mkdir(&f.env, path));
    blocks_path(&f, "notes", path, sizeof(path));
    check_err(ERR_OK, f.env.fs->mkdir(&f.env, path));
    open_db(&f);
    assert_int_equal(2, list_blocks(&f).count); /* the block and what is not ours */
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

static void test_missing_files(void **state)
{
    static const char *const files[] = {"identity", "catalog"};
    char path[TEMP_DIR_PATH_SIZE + 64];
    char dir[TEMP_DIR_PATH_SIZE + 16];
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct err_info info = {0};
        struct db *db;

        fixture_init(&f);
        write_steps(&f, 5);
        check_err(ERR_OK, flush_all(&f, NULL));
        stop_db(&f);
        (void)snprintf(dir, sizeof(dir), "%s/a/data", f.dir.path);
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        check_err(ERR_OK, f.env.fs->unlink(&f.env, path));
        const struct db_options options = {.env = &f.env, .path = dir};
        check_err(ERR_CORRUPT, db_open(&options, &db, &info));
        check_message(files[i], &info);
        assert_int_equal(1, list_blocks(&f).count);
        fixture_fini(&f);
    }
}

/* A torn catalog whose last line was a block's: the block is listed again. */
static void test_torn_catalog(void **state)
{
    char path[TEMP_DIR_PATH_SIZE + 64];
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 15);
    check_err(ERR_OK, flush_all(&f, NULL));
    stop_db(&f);
    (void)snprintf(path, sizeof(path), "%s/a/data/catalog", f.dir.path);
    flip_byte(path, 3);
    open_db(&f);
    assert_int_equal(1, stats_of(&f).blocks);
    check_err(ERR_OK, check_all(&f, f.step_count));
    stop_db(&f);
    open_db(&f);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

/* Whatever call fails in a flush: no answer changes, no file is left, and a later one succeeds. */
static void test_flush_faults(void **state)
{
    static const char *const points[] = {"sst.", "block.", "catalog."};
    struct fixture f;
    uint64_t fired = 0;

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        for (uint64_t nth = 1;; nth++) {
            write_steps(&f, 3);
            fault_arm(points[i], nth);
            const enum err err = flush_all(&f, NULL);
            const bool has_fired = fault_fired_count() > 0;
            fault_disarm();
            check_err(ERR_OK, check_all(&f, f.step_count));
            if (!has_fired) {
                check_err(ERR_OK, err);
                break;
            }
            fired++;
            if (nth % 5 == 0) {
                crash_db(&f);
                open_db(&f);
                check_err(ERR_OK, check_all(&f, f.step_count));
            }
        }
        check_err(ERR_OK, flush_all(&f, NULL));
        check_err(ERR_OK, check_all(&f, f.step_count));
        assert_int_equal(stats_of(&f).blocks, list_blocks(&f).count);
    }
    assert_true(fired > 10);
    fixture_fini(&f);
}

/* The catalog cannot be written at all: nobody knows whether the block is listed, so it is neither
 * used nor removed; once the catalog is sure again, it goes. */
static void test_unsure_catalog(void **state)
{
    struct fixture f;

    (void)state;
    for (int crashes = 0; crashes < 2; crashes++) {
        struct err_info info = {0};

        fixture_init(&f);
        write_steps(&f, 10);
        fault_arm_random("catalog.", 1000, 1);
        check_err(ERR_IO, flush_all(&f, NULL));
        assert_int_equal(1, list_blocks(&f).count);
        check_err(ERR_IO, flush_all(&f, &info));
        check_message("catalog", &info);
        fault_disarm();
        assert_int_equal(1, list_blocks(&f).count);
        assert_int_equal(0, stats_of(&f).blocks);
        assert_int_equal(2, stats_of(&f).flush_failures);
        check_err(ERR_OK, check_all(&f, f.step_count));
        if (crashes) {
            crash_db(&f);
            open_db(&f);
            check_err(ERR_OK, check_all(&f, f.step_count));
        }
        check_err(ERR_OK, flush_all(&f, NULL));
        assert_int_equal(stats_of(&f).blocks, list_blocks(&f).count);
        check_err(ERR_OK, check_all(&f, f.step_count));
        fixture_fini(&f);
    }
}

static void test_cancel(void **state)
{
    _Atomic bool cancelled = true;
    const struct db_flush_options options = {.all = true, .cancelled = &cancelled};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 10);
    check_err(ERR_CANCELLED, db_flush(f.db, &options, NULL));
    assert_int_equal(0, list_blocks(&f).count);
    assert_int_equal(0, stats_of(&f).flush_failures);
    check_err(ERR_OK, check_all(&f, f.step_count));
    check_err(ERR_OK, db_stop(f.db, 0));
    check_err(ERR_OK, db_stop(f.db, 0)); /* may be said twice */
    atomic_store(&cancelled, false);
    check_err(ERR_CLOSED, db_flush(f.db, &options, NULL));
    check_err(ERR_OK, check_all(&f, f.step_count)); /* reads go on until the close */
    db_close(f.db);
    open_db(&f);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

/* After a stop there is no log to replay, after a kill all of it. */
static void test_stop_checkpoint(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    write_steps(&f, 200);
    crash_db(&f);
    open_db(&f);
    assert_true(stats_of(&f).head.replay_records >= 200);
    check_err(ERR_OK, check_all(&f, f.step_count));
    stop_db(&f);
    open_db(&f);
    assert_int_equal(0, stats_of(&f).head.replay_records);
    check_err(ERR_OK, check_all(&f, f.step_count));
    stop_db(&f); /* nothing new: as it is */
    open_db(&f);
    assert_int_equal(0, stats_of(&f).head.replay_records);
    write_steps(&f, 1);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

/* A data directory that version 1 wrote is read as it was. NARTHEX_GOLDEN_UPDATE=1 writes it anew,
 * which only a new version of a format justifies. */
static void test_golden(void **state)
{
    const char *golden = NARTHEX_TEST_DATA "/../golden/storage/v1";
    char command[2 * TEMP_DIR_PATH_SIZE + 512];
    struct fixture f;

    (void)state;
    fixture_init(&f);
    if (getenv("NARTHEX_GOLDEN_UPDATE") != NULL) {
        write_steps(&f, 25);
        check_err(ERR_OK, flush_all(&f, NULL));
        stop_db(&f);
        (void)snprintf(command, sizeof(command),
                       "rm -rf '%s' && mkdir -p '%s' && cd '%s/a/data' && "
                       "cp -r identity catalog blocks '%s'",
                       golden, golden, f.dir.path, golden);
        assert_int_equal(0, system(command));
    } else {
        stop_db(&f);
    }
    (void)snprintf(command, sizeof(command), "rm -rf '%s/a/data' && cp -r '%s' '%s/a/data'",
                   f.dir.path, golden, f.dir.path);
    assert_int_equal(0, system(command));
    open_db(&f);
    f.step_count = 25;
    check_err(ERR_OK, check_all(&f, f.step_count));
    assert_int_equal(25 * SERIES_COUNT, stats_of(&f).block_samples);
    assert_int_equal(0, stats_of(&f).quarantined);
    fixture_fini(&f);
}

/* Only with NARTHEX_SMALL_DISK, a directory on a disk of some ten megabytes: it is filled by
 * somebody else; writes and flushes are refused, reads go on, and with space back everything works
 * again. */
static enum err fill_one(void *owner, struct block_writer *writer, struct err_info *info)
{
    const struct label label = {SLICE("__name__"), SLICE("from_elsewhere")};
    struct sample_columns columns = {
        .count = *(const uint32_t *)owner, .kind = SAMPLE_FLOAT, .t_ms = {5000}, .v = {7}};
    enum err err = block_writer_series(writer, SLICE("t"), (struct label_set){&label, 1}, info);

    if (err == ERR_OK && columns.count > 0)
        err = block_writer_columns(writer, &columns, info);
    return err;
}

static enum err fill_failing(void *owner, struct block_writer *writer, struct err_info *info)
{
    const enum err err = fill_one(owner, writer, info);

    return err == ERR_OK ? ERR_IO : err;
}

/* A block that comes from elsewhere is there at once and after a start, and only once. */
static void test_add_block(void **state)
{
    uint32_t count = 1, none = 0;
    struct db_new_block block = {.name = "01HF84E400QJZS5V809BCJ3TJX",
                                 .t_min_ms = 0,
                                 .t_end_ms = 10000,
                                 .fill = fill_one,
                                 .owner = &count};
    struct db_new_block empty = {.name = "01HF84E400QJZS5V809BCJ3TJY",
                                 .t_min_ms = 0,
                                 .t_end_ms = 10000,
                                 .fill = fill_one,
                                 .owner = &none};
    struct err_info info = {0};
    struct db_stats stats;
    struct fixture f;

    (void)state;
    fixture_init(&f);
    check_err(ERR_END, db_add_block(f.db, &empty, NULL, NULL));
    block.fill = fill_failing; /* leaves nothing, and may be tried again */
    check_err(ERR_IO, db_add_block(f.db, &block, NULL, NULL));
    block.fill = fill_one;
    check_err_info(ERR_OK, db_add_block(f.db, &block, NULL, &info), &info);
    check_err(ERR_EXISTS, db_add_block(f.db, &block, NULL, NULL));
    block.name = "no ulid";
    check_err(ERR_BAD_INPUT, db_add_block(f.db, &block, NULL, NULL));
    for (unsigned i = 0; i < 2; i++) {
        db_get_stats(f.db, &stats);
        assert_int_equal(1, stats.blocks);
        assert_int_equal(1, stats.block_samples);
        crash_db(&f);
        open_db(&f);
    }
    fixture_fini(&f);
}

static void test_full_disk(void **state)
{
    const char *dir = getenv("NARTHEX_SMALL_DISK");
    static char noise[1 << 16];
    char path[TEMP_DIR_PATH_SIZE + 16];
    struct fixture f;
    enum err err = ERR_OK;

    (void)state;
    if (dir == NULL)
        skip();
    assert_int_equal(0, setenv("TMPDIR", dir, 1));
    fixture_init(&f);
    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    write_steps(&f, 40);
    FILE *filler = fopen(path, "wb");
    assert_non_null(filler);
    setvbuf(filler, NULL, _IONBF, 0);
    while (fwrite(noise, 1, sizeof(noise), filler) == sizeof(noise))
        ;
    check_err(ERR_NO_SPACE, flush_all(&f, NULL));
    check_err(ERR_OK, check_all(&f, f.step_count));
    for (int i = 0; i < 100000 && err == ERR_OK; i++) {
        err = write_step(&f, f.step_count);
        f.step_count += err == ERR_OK;
    }
    check_err(ERR_NO_SPACE, err);
    check_err(ERR_OK, check_all(&f, f.step_count));
    check_err(ERR_NO_SPACE, flush_all(&f, NULL));
    assert_int_equal(0, list_blocks(&f).count);
    (void)fclose(filler);
    assert_int_equal(0, remove(path));
    for (int i = 0; i < 100 && err != ERR_OK; i++) {
        db_maintain(f.db); /* the log mends itself on a job of its own */
        (void)usleep(20000);
        err = write_step(&f, f.step_count);
        f.step_count += err == ERR_OK;
    }
    check_err(ERR_OK, err);
    write_steps(&f, 40);
    check_err(ERR_OK, flush_all(&f, NULL));
    check_err(ERR_OK, check_all(&f, f.step_count));
    crash_db(&f);
    open_db(&f);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
    assert_int_equal(0, unsetenv("TMPDIR"));
}

/* ---- all at once ---- */

struct crowd {
    struct fixture *f;
    _Atomic uint32_t steps_done;
    _Atomic bool is_over;
};

static void *write_thread(void *arg)
{
    struct crowd *crowd = arg;

    for (uint32_t step = 0; step < 300; step++) {
        const enum err err = write_step(crowd->f, step);
        ASSERT(err == ERR_OK);
        atomic_store(&crowd->steps_done, step + 1);
    }
    atomic_store(&crowd->is_over, true);
    return NULL;
}

static void *read_thread(void *arg)
{
    struct crowd *crowd = arg;

    while (!atomic_load(&crowd->is_over)) {
        const enum err err = check_all(crowd->f, atomic_load(&crowd->steps_done));
        ASSERT(err == ERR_OK);
    }
    return NULL;
}

static void *flush_thread(void *arg)
{
    struct crowd *crowd = arg;
    uint32_t turn = 0;

    while (!atomic_load(&crowd->is_over)) {
        const struct db_flush_options options = {.all = turn++ % 3 == 0};

        const enum err err = db_flush(crowd->f->db, &options, NULL);
        ASSERT(err == ERR_OK);
        db_maintain(crowd->f->db);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    void *(*const fns[])(void *) = {write_thread, read_thread, read_thread, flush_thread,
                                    flush_thread};
    pthread_t threads[COUNT_OF(fns)];
    struct crowd crowd = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    crowd.f = &f;
    for (size_t i = 0; i < COUNT_OF(fns); i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, fns[i], &crowd));
    for (size_t i = 0; i < COUNT_OF(fns); i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    f.step_count = atomic_load(&crowd.steps_done);
    check_err(ERR_OK, check_all(&f, f.step_count));
    assert_true(stats_of(&f).flushes > 10);
    stop_db(&f);
    open_db(&f);
    check_err(ERR_OK, check_all(&f, f.step_count));
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_bad_block),
        cmocka_unit_test(test_bad_block_stays),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_torn_catalog),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_add_block),
        cmocka_unit_test(test_unsure_catalog),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_stop_checkpoint),
        cmocka_unit_test(test_flush_faults),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
