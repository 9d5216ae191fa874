/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_position.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/env_real.h"
#include "base/fault.h"
#include "support/check.h"
#include "support/temp_dir.h"

static uint64_t seqs[REMOTE_PARTITION_COUNT];

static void set_all(uint64_t v)
{
    for (size_t i = 0; i < REMOTE_PARTITION_COUNT; i++)
        seqs[i] = v + i;
}

static enum err open_position(struct remote_position *position, struct env *env,
                              const struct temp_dir *dir)
{
    memset(seqs, 0, sizeof(seqs));
    check_err(ERR_OK, remote_position_init(position, env, dir->path, SLICE("a"), NULL));
    return remote_position_load(position, seqs, NULL);
}

static void test_keeps_the_last_save(void **state)
{
    struct remote_position position;
    struct temp_dir dir;
    struct env env = {0};

    (void)state;
    temp_dir_init(&dir);
    env_real_init(&env);
    check_err(ERR_NOT_FOUND, open_position(&position, &env, &dir));
    for (uint64_t n = 1; n < 50; n++) {
        set_all(n);
        check_err(ERR_OK, remote_position_save(&position, seqs));
        if (n % 3 == 0)
            check_err(ERR_OK, remote_position_sync(&position));
        if (n % 7 != 0)
            continue;
        remote_position_close(&position);
        check_err(ERR_OK, open_position(&position, &env, &dir));
        assert_int_equal(n, seqs[0]);
        assert_int_equal(n + 255, seqs[255]);
    }
    check_err(ERR_OK, remote_position_remove(&position));
    remote_position_close(&position);
    check_err(ERR_NOT_FOUND, open_position(&position, &env, &dir));
    temp_dir_fini(&dir);
}

static void test_an_unsynced_save_leaves_the_synced_one(void **state)
{
    struct remote_position position;
    struct temp_dir dir;
    struct env env = {0};

    (void)state;
    temp_dir_init(&dir);
    env_real_init(&env);
    check_err(ERR_NOT_FOUND, open_position(&position, &env, &dir));
    for (uint64_t n = 1; n <= 5; n++) {
        set_all(n);
        check_err(ERR_OK, remote_position_save(&position, seqs)); /* the first is synced */
    }
    /* Whatever becomes of the slot that was written since, the first save is in the other one. */
    check_err(ERR_OK, position.file->ops->write_at(position.file,
                                                   position.slot * REMOTE_POSITION_SLOT_SIZE + 20,
                                                   "torn", 4));
    remote_position_close(&position);
    check_err(ERR_OK, open_position(&position, &env, &dir));
    assert_int_equal(1, seqs[0]);
    /* Both bad: said so, and it can be saved anew. */
    check_err(ERR_OK, position.file->ops->write_at(position.file, 20, "torn", 4));
    check_err(ERR_OK, position.file->ops->write_at(position.file, REMOTE_POSITION_SLOT_SIZE + 20,
                                                   "torn", 4));
    remote_position_close(&position);
    check_err(ERR_CORRUPT, open_position(&position, &env, &dir));
    set_all(9);
    check_err(ERR_OK, remote_position_save(&position, seqs));
    remote_position_close(&position);
    check_err(ERR_OK, open_position(&position, &env, &dir));
    assert_int_equal(9, seqs[0]);
    remote_position_close(&position);
    temp_dir_fini(&dir);
}

static void test_a_newer_version_is_refused(void **state)
{
    uint8_t bytes[REMOTE_POSITION_SLOT_SIZE];
    struct err_info info = {{0}};
    uint64_t generation;

    (void)state;
    set_all(1);
    remote_position_put(bytes, 3, seqs);
    bytes[4] = 2;
    endian_put_u32le(bytes + sizeof(bytes) - 4, crc32c(0, bytes, sizeof(bytes) - 4));
    check_err(ERR_VERSION, remote_position_get(bytes, &generation, seqs, &info));
    check_message("version 2", &info);
}

static void test_each_call_fails_in_turn(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t nth = 1; fired; nth++) {
        struct remote_position position;
        struct temp_dir dir;
        struct env env = {0};
        uint64_t saved = 0, tried = 0;

        temp_dir_init(&dir);
        env_real_init(&env);
        fault_arm("remote.position", nth);
        (void)(open_position(&position, &env, &dir) == ERR_OK);
        for (uint64_t n = 1; n < 10; n++) {
            set_all(n);
            tried = n;
            if (remote_position_save(&position, seqs) == ERR_OK)
                saved = n;
            if (n % 2 == 0)
                (void)(remote_position_sync(&position) == ERR_OK);
        }
        fired = fault_fired_count() > 0;
        fault_disarm();
        remote_position_close(&position);
        check_err(ERR_OK, open_position(&position, &env, &dir));
        assert_true(seqs[0] >= saved && seqs[0] <= tried);
        remote_position_close(&position);
        temp_dir_fini(&dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_last_save),
        cmocka_unit_test(test_an_unsynced_save_leaves_the_synced_one),
        cmocka_unit_test(test_a_newer_version_is_refused),
        cmocka_unit_test(test_each_call_fails_in_turn),
    };

    return cmocka_run_group_tests_name("remote_position", tests, NULL, NULL);
}
