/* SPDX-License-Identifier: Apache-2.0 */
/* The real files, and the fault points in them. */
#include <stdio.h>

#include "base/env_real.h"
#include "base/fault.h"
#include "support/check.h"
#include "support/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct env env;
    char a[TEMP_DIR_PATH_SIZE + 8], b[TEMP_DIR_PATH_SIZE + 8], sub[TEMP_DIR_PATH_SIZE + 8];
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    snprintf(f->a, sizeof(f->a), "%s/a", f->dir.path);
    snprintf(f->b, sizeof(f->b), "%s/b", f->dir.path);
    snprintf(f->sub, sizeof(f->sub), "%s/sub", f->dir.path);
}

static enum err count_name(void *owner, const char *name)
{
    assert_true(name[0] != '.');
    (*(int *)owner)++;
    return ERR_OK;
}

static struct env_file *make(struct fixture *f, const char *path)
{
    struct env_file *file;

    check_err(ERR_OK, f->env.fs->open(&f->env, path,
                                      ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE, &file));
    return file;
}

static void test_file(void **state)
{
    struct fixture f;
    struct env_file *file;
    char data[16] = {0};
    size_t got;
    uint64_t size;

    (void)state;
    fixture_init(&f);
    check_err(ERR_NOT_FOUND, f.env.fs->open(&f.env, f.a, ENV_OPEN_READ, &file));
    file = make(&f, f.a);
    check_err(ERR_OK, file->ops->allocate(file, 100));
    check_err(ERR_OK, file->ops->write_at(file, 90, "0123456789abcdef", 16));
    check_err(ERR_OK, file->ops->size(file, &size));
    assert_int_equal(size, 106);
    check_err(ERR_OK, file->ops->sync(file));
    check_err(ERR_OK, file->ops->read_at(file, 98, data, sizeof(data), &got));
    check_slice("89abcdef", slice_of(data, got));
    check_err(ERR_OK, file->ops->read_at(file, 0, data, 4, &got));
    assert_memory_equal(data, "\0\0\0\0", 4);
    check_err(ERR_OK, file->ops->truncate(file, 92));
    check_err(ERR_OK, file->ops->read_at(file, 90, data, sizeof(data), &got));
    check_slice("01", slice_of(data, got));
    check_err(ERR_OK, file->ops->close(file));
    check_err(ERR_EXISTS,
              f.env.fs->open(&f.env, f.a, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL, &file));
    temp_dir_fini(&f.dir);
}

static void test_directories(void **state)
{
    struct fixture f;
    struct env_file *file;
    struct env_space space;
    int count = 0;

    (void)state;
    fixture_init(&f);
    file = make(&f, f.a);
    check_err(ERR_OK, file->ops->close(file));
    check_err(ERR_OK, f.env.fs->mkdir(&f.env, f.sub));
    check_err(ERR_EXISTS, f.env.fs->mkdir(&f.env, f.sub));
    check_err(ERR_OK, f.env.fs->rename(&f.env, f.a, f.b));
    check_err(ERR_NOT_FOUND, f.env.fs->unlink(&f.env, f.a));
    check_err(ERR_OK, f.env.fs->list(&f.env, f.dir.path, count_name, &count));
    assert_int_equal(count, 2);
    check_err(ERR_OK, f.env.fs->sync_dir(&f.env, f.dir.path));
    check_err(ERR_OK, f.env.fs->space(&f.env, f.dir.path, &space));
    assert_true(space.total_bytes >= space.free_bytes);
    check_err(ERR_OK, f.env.fs->rmdir(&f.env, f.sub));
    check_err(ERR_OK, f.env.fs->unlink(&f.env, f.b));
    check_err(ERR_NOT_FOUND, f.env.fs->list(&f.env, f.sub, count_name, &count));
    temp_dir_fini(&f.dir);
}

static void test_lock(void **state)
{
    struct fixture f;
    struct env_file *lock, *second;

    (void)state;
    fixture_init(&f);
    check_err(ERR_OK, f.env.fs->lock(&f.env, f.a, &lock));
    check_err(ERR_EXISTS, f.env.fs->lock(&f.env, f.a, &second));
    check_err(ERR_OK, lock->ops->close(lock));
    check_err(ERR_OK, f.env.fs->lock(&f.env, f.a, &second));
    check_err(ERR_OK, second->ops->close(second));
    temp_dir_fini(&f.dir);
}

static void test_clock(void **state)
{
    struct env env = {0};
    const uint64_t before = (env_real_init(&env), env_mono_ns(&env));

    (void)state;
    assert_true(env_now_ms(&env) > INT64_C(1600000000000));
    assert_true(env_mono_ns(&env) >= before);
    assert_true(env_random_u64(&env) != env_random_u64(&env));
}

/* A small job with five fallible calls. */
static enum err write_and_rename(struct fixture *f)
{
    struct env_file *file;
    enum err err = f->env.fs->open(&f->env, f->a, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &file);

    if (err != ERR_OK)
        return err;
    err = file->ops->write_at(file, 0, "x", 1);
    if (err == ERR_OK)
        err = file->ops->sync(file);
    if (err != ERR_OK) {
        check_err(ERR_OK, file->ops->close(file));
        return err;
    }
    check_err(ERR_OK, file->ops->close(file));
    err = f->env.fs->rename(&f->env, f->a, f->b);
    return err != ERR_OK ? err : f->env.fs->sync_dir(&f->env, f->dir.path);
}

static void test_faults(void **state)
{
    struct fixture f;
    uint64_t nth = 1;

    (void)state;
    fixture_init(&f);
    for (;; nth++) {
        enum err err;

        fault_arm("f", nth);
        err = write_and_rename(&f);
        fault_disarm();
        if (fault_fired_count() == 0)
            break;
        assert_int_equal(err, ERR_IO);
        assert_int_equal(fault_hit_count(), nth);
        assert_non_null(fault_fired_name());
    }
    assert_int_equal(nth, 6);
    fault_arm("file.sync", 1);
    check_err(ERR_IO, write_and_rename(&f));
    assert_string_equal(fault_fired_name(), "file.sync");
    fault_arm_random("", 500, 7);
    for (int i = 0; i < 100; i++)
        assert_in_range(write_and_rename(&f), ERR_OK, ERR_END);
    fault_disarm();
    assert_true(fault_fired_count() > 10);
    check_err(ERR_OK, write_and_rename(&f));
    temp_dir_fini(&f.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),   cmocka_unit_test(test_directories),
        cmocka_unit_test(test_lock),   cmocka_unit_test(test_clock),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
