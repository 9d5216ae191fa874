/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk: that it keeps what a sync promised, over many seeds, and that it does lose,
 * tear, reorder and fill: a disk that is too kind tests nothing. */
#include "sim/sim_disk.h"
#include "sim/sim_env.h"
#include "support/check.h"

static struct sim *world;

static void start(uint64_t seed, const struct sim_disk_options *disk)
{
    const struct sim_options options = {.seed = seed, .disk = disk};

    world = sim_new(&options);
}

static struct env_file *open_file(const char *path, unsigned flags)
{
    struct env *env = sim_env(world);
    struct env_file *file;

    check_err(ERR_OK, env->fs->open(env, path, ENV_OPEN_READ | ENV_OPEN_WRITE | flags, &file));
    return file;
}

static bool exists(const char *path)
{
    struct env *env = sim_env(world);
    struct env_file *file;

    if (env->fs->open(env, path, ENV_OPEN_READ, &file) != ERR_OK)
        return false;
    check_err(ERR_OK, file->ops->close(file));
    return true;
}

static uint64_t size_of(struct env_file *file)
{
    uint64_t size;

    check_err(ERR_OK, file->ops->size(file, &size));
    return size;
}

/* ---- plain use ---- */

static void test_file_calls(void **state)
{
    struct env_file *file;
    char data[8];
    size_t got;

    (void)state;
    start(1, NULL);
    file = open_file("a", ENV_OPEN_CREATE);
    check_err(ERR_OK, file->ops->allocate(file, 10000));
    check_err(ERR_OK, file->ops->write_at(file, 9998, "xyz", 3));
    assert_int_equal(10001, size_of(file));
    check_err(ERR_OK, file->ops->read_at(file, 9997, data, sizeof(data), &got));
    assert_int_equal(4, got);
    assert_memory_equal(data, "\0xyz", 4);
    check_err(ERR_OK, file->ops->truncate(file, 9999));
    check_err(ERR_OK, file->ops->truncate(file, 10001));
    check_err(ERR_OK, file->ops->read_at(file, 9998, data, sizeof(data), &got));
    assert_memory_equal(data, "x\0\0", 3);
    check_err(ERR_OK, file->ops->close(file));
    sim_free(world);
}

static enum err count_name(void *owner, const char *name)
{
    (void)name;
    (*(int *)owner)++;
    return ERR_OK;
}

static void test_names(void **state)
{
    struct env *env;
    struct env_file *file, *second;
    int count = 0;

    (void)state;
    start(1, NULL);
    env = sim_env(world);
    check_err(ERR_OK, env->fs->mkdir(env, "/d"));
    check_err(ERR_EXISTS, env->fs->mkdir(env, "./d"));
    check_err(ERR_NOT_FOUND, env->fs->open(env, "d/a", ENV_OPEN_READ, &file));
    file = open_file("./d/a", ENV_OPEN_CREATE);
    check_err(ERR_EXISTS,
              env->fs->open(env, "d/a", ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL, &second));
    check_err(ERR_OK, env->fs->rename(env, "d/a", "d/b"));
    assert_false(exists("d/a"));
    assert_true(exists("/d//b"));
    check_err(ERR_IO, env->fs->rmdir(env, "d"));
    check_err(ERR_OK, env->fs->list(env, "d", count_name, &count));
    assert_int_equal(1, count);
    check_err(ERR_OK, env->fs->unlink(env, "d/b"));
    check_err(ERR_OK, file->ops->write_at(file, 0, "x", 1)); /* an open file lives on */
    check_err(ERR_OK, file->ops->close(file));
    check_err(ERR_OK, env->fs->rmdir(env, "d"));
    check_err(ERR_OK, env->fs->lock(env, "lock", &file));
    check_err(ERR_EXISTS, env->fs->lock(env, "lock", &second));
    sim_crash(world);
    check_err(ERR_OK, env->fs->lock(env, "lock", &second));
    check_err(ERR_OK, second->ops->close(second));
    sim_free(world);
}

static void test_full(void **state)
{
    const struct sim_disk_options small = {.capacity_bytes = 64 << 10};
    struct env *env;
    struct env_file *file;
    struct env_space space;
    char page[4096] = {1};
    enum err err = ERR_OK;

    (void)state;
    start(1, &small);
    env = sim_env(world);
    file = open_file("a", ENV_OPEN_CREATE);
    for (uint64_t i = 0; err == ERR_OK; i++) {
        assert_true(i <= 16);
        err = file->ops->write_at(file, i * sizeof(page), page, sizeof(page));
    }
    assert_int_equal(ERR_NO_SPACE, err);
    assert_true(size_of(file) <= 64 << 10);
    check_err(ERR_OK, file->ops->write_at(file, 0, page, sizeof(page)));
    check_err(ERR_NO_SPACE, file->ops->allocate(file, 1 << 20));
    check_err(ERR_OK, file->ops->truncate(file, 100));
    check_err(ERR_OK, env->fs->space(env, "/", &space));
    assert_int_equal((64 << 10) - 4096, space.free_bytes);
    check_err(ERR_OK, file->ops->close(file));
    sim_free(world);
}

/* ---- crashes ---- */

enum { SECTORS = 40 };

/* Fills the file's sectors with one letter each. */
static void write_letters(struct env_file *file, char letter)
{
    char data[SECTORS * SIM_SECTOR_SIZE];

    memset(data, letter, sizeof(data));
    check_err(ERR_OK, file->ops->write_at(file, 0, data, sizeof(data)));
}

/* Counts the sectors that are wholly of each letter; all must be of one or the other. */
static void count_letters(const char *path, unsigned counts[3])
{
    struct env_file *file = open_file(path, 0);
    char data[SECTORS * SIM_SECTOR_SIZE];
    size_t got;

    check_err(ERR_OK, file->ops->read_at(file, 0, data, sizeof(data), &got));
    for (size_t sector = 0; sector < got / SIM_SECTOR_SIZE; sector++) {
        const char first = data[sector * SIM_SECTOR_SIZE];

        for (size_t i = 0; i < SIM_SECTOR_SIZE; i++)
            assert_int_equal(first, data[sector * SIM_SECTOR_SIZE + i]);
        assert_true(first == 'a' || first == 'b' || first == '\0');
        counts[first == 'a' ? 0 : first == 'b' ? 1 : 2]++;
    }
    check_err(ERR_OK, file->ops->close(file));
}

static void test_crash_keeps_what_is_synced(void **state)
{
    unsigned mixed = 0, all_old = 0, all_new = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        unsigned counts[3] = {0};
        struct env *env;
        struct env_file *file;

        start(seed, NULL);
        env = sim_env(world);
        file = open_file("a", ENV_OPEN_CREATE);
        write_letters(file, 'a');
        check_err(ERR_OK, file->ops->sync(file));
        check_err(ERR_OK, env->fs->sync_dir(env, "."));
        write_letters(file, 'b');
        sim_crash(world);
        count_letters("a", counts);
        assert_int_equal(SECTORS, counts[0] + counts[1]);
        mixed += counts[0] > 0 && counts[1] > 0;
        all_old += counts[1] == 0;
        all_new += counts[0] == 0;
        sim_free(world);
    }
    assert_true(mixed > 50 && all_old > 20 && all_new > 20);
}

static void test_crash_loses_what_is_not(void **state)
{
    unsigned gone = 0, empty = 0, zeros = 0, whole = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct env_file *file;
        unsigned counts[3] = {0};

        start(seed, NULL);
        file = open_file("a", ENV_OPEN_CREATE);
        write_letters(file, 'a');
        sim_crash(world);
        if (!exists("a")) {
            gone++;
        } else {
            count_letters("a", counts);
            empty += counts[0] + counts[2] == 0;
            zeros += counts[2] > 0;
            whole += counts[0] == SECTORS;
        }
        sim_free(world);
    }
    assert_true(gone > 50 && empty > 10 && zeros > 10 && whole > 10);
}

static void test_failed_sync_lies(void **state)
{
    const struct sim_disk_options none = {0}, broken = {.sync_fail = 1000};
    unsigned lost = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        unsigned counts[3] = {0};
        struct env *env;
        struct env_file *file;

        start(seed, NULL);
        env = sim_env(world);
        file = open_file("a", ENV_OPEN_CREATE);
        check_err(ERR_OK, env->fs->sync_dir(env, "."));
        write_letters(file, 'a');
        check_err(ERR_OK, file->ops->sync(file));
        write_letters(file, 'b');
        sim_disk_set_options(sim_disk_of(world), &broken);
        check_err(ERR_IO, file->ops->sync(file));
        sim_disk_set_options(sim_disk_of(world), &none);
        count_letters("a", counts);
        assert_int_equal(SECTORS, counts[1]); /* reads see the new bytes */
        check_err(ERR_OK, file->ops->sync(file));
        sim_crash(world);
        memset(counts, 0, sizeof(counts));
        count_letters("a", counts);
        lost += counts[0] > 0;
        sim_free(world);
    }
    assert_true(lost > 50);
}

/* A file replaced as one should: never neither, never half. */
static void replace(const char *path, const char *temporary)
{
    struct env *env = sim_env(world);
    struct env_file *file = open_file(temporary, ENV_OPEN_CREATE | ENV_OPEN_TRUNC);

    write_letters(file, 'b');
    check_err(ERR_OK, file->ops->sync(file));
    check_err(ERR_OK, file->ops->close(file));
    check_err(ERR_OK, env->fs->rename(env, temporary, path));
}

static void test_rename_is_atomic(void **state)
{
    unsigned old = 0, new = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        unsigned counts[3] = {0};
        struct env *env;
        struct env_file *file;

        start(seed, NULL);
        env = sim_env(world);
        check_err(ERR_OK, env->fs->mkdir(env, "d"));
        check_err(ERR_OK, env->fs->sync_dir(env, "/"));
        file = open_file("d/a", ENV_OPEN_CREATE);
        write_letters(file, 'a');
        check_err(ERR_OK, file->ops->sync(file));
        check_err(ERR_OK, env->fs->sync_dir(env, "d"));
        replace("d/a", "d/a.tmp");
        if (seed % 2 == 0)
            check_err(ERR_OK, env->fs->sync_dir(env, "d"));
        sim_crash(world);
        count_letters("d/a", counts);
        assert_true(counts[0] == SECTORS || counts[1] == SECTORS);
        if (seed % 2 == 0)
            assert_int_equal(SECTORS, counts[1]);
        old += counts[0] == SECTORS;
        new += counts[1] == SECTORS &&seed % 2 == 1;
        sim_free(world);
    }
    assert_true(old > 20 && new > 20);
}

static void test_unsynced_directory_is_lost(void **state)
{
    unsigned there = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct env *env;
        struct env_file *file;

        start(seed, NULL);
        env = sim_env(world);
        check_err(ERR_OK, env->fs->mkdir(env, "d"));
        file = open_file("d/a", ENV_OPEN_CREATE);
        check_err(ERR_OK, file->ops->sync(file));
        check_err(ERR_OK, env->fs->sync_dir(env, "d")); /* but not the directory above */
        sim_crash(world);
        there += exists("d/a");
        sim_free(world);
    }
    assert_true(there > 10 && there < 90);
}

/* ---- faults ---- */

static void test_faults(void **state)
{
    const struct sim_disk_options broken = {.write_fail = 500, .read_fail = 500};
    struct sim_disk_stats stats;
    struct env_file *file;
    char data[100] = {0};
    unsigned failed = 0;
    size_t got;

    (void)state;
    start(1, NULL);
    file = open_file("a", ENV_OPEN_CREATE);
    sim_disk_fail_nth(sim_disk_of(world), 3);
    check_err(ERR_OK, file->ops->write_at(file, 0, data, 100));
    check_err(ERR_OK, file->ops->read_at(file, 0, data, 100, &got));
    check_err(ERR_IO, file->ops->sync(file));
    check_err(ERR_OK, file->ops->sync(file));
    sim_disk_set_options(sim_disk_of(world), &broken);
    for (int i = 0; i < 100; i++) {
        failed += file->ops->write_at(file, 0, data, 100) != ERR_OK;
        failed += file->ops->read_at(file, 0, data, 100, &got) != ERR_OK;
    }
    assert_true(failed > 70 && failed < 130);
    sim_disk_get_stats(sim_disk_of(world), &stats);
    assert_int_equal(failed + 1, stats.failures);
    check_err(ERR_OK, file->ops->close(file));
    assert_true(sim_disk_flip_bit(sim_disk_of(world), "a"));
    assert_false(sim_disk_flip_bit(sim_disk_of(world), "nothing"));
    sim_free(world);
}

/* ---- with fibers: a crash in the middle of a sync ---- */

static void write_and_sync(void *arg)
{
    struct env_file *file = arg;

    write_letters(file, 'b');
    check_err(ERR_OK, file->ops->sync(file));
}

static void test_crash_during_sync(void **state)
{
    unsigned mixed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        unsigned counts[3] = {0};
        struct env *env;
        struct env_file *file;
        enum sim_end end;

        start(seed, NULL);
        env = sim_env(world);
        file = open_file("a", ENV_OPEN_CREATE);
        write_letters(file, 'a');
        check_err(ERR_OK, file->ops->sync(file));
        check_err(ERR_OK, env->fs->sync_dir(env, "/"));
        sim_spawn(world, write_and_sync, file);
        end = sim_run(world, 1 + seed % 6);
        sim_crash(world);
        count_letters("a", counts);
        if (end == SIM_DONE)
            assert_int_equal(SECTORS, counts[1]);
        mixed += counts[0] > 0 && counts[1] > 0;
        sim_free(world);
    }
    assert_true(mixed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_calls),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_crash_keeps_what_is_synced),
        cmocka_unit_test(test_crash_loses_what_is_not),
        cmocka_unit_test(test_failed_sync_lies),
        cmocka_unit_test(test_rename_is_atomic),
        cmocka_unit_test(test_unsynced_directory_is_lost),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_crash_during_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
