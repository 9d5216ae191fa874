/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <string.h>

#include "base/env_real.h"
#include "base/fault.h"
#include "storage/identity.h"
#include "storage/sealed_json.h"
#include "support/temp_dir.h"

/* Made by the first version. */
static const char golden[] = "{\"version\":1,\"createdMs\":1700000000000,\"hashSeed\":"
                             "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
                             "\"crc32c\":\"9878da7e\"}\n";

static void test_golden(void **state)
{
    struct identity identity;
    struct err_info info = {0};

    (void)state;
    check_err_info(ERR_OK, identity_parse(SLICE(golden), &identity, &info), &info);
    assert_true(identity.created_ms == INT64_C(1700000000000));
    for (uint8_t i = 0; i < HASH_KEY_SEED_SIZE; i++)
        assert_int_equal(i, identity.hash_seed[i]);
}

static void check_refused(enum err want, const char *text, const char *message)
{
    struct identity identity;
    struct err_info info = {0};
    struct buf sealed;

    buf_init(&sealed, SEALED_JSON_SIZE_MAX);
    buf_add_cstr(&sealed, text);
    sealed_json_close(&sealed, 0);
    check_err(want, identity_parse(buf_slice(&sealed), &identity, &info));
    check_message(message, &info);
    buf_fini(&sealed);
}

static void test_refusals(void **state)
{
    char damaged[sizeof(golden)];
    struct identity identity;

    (void)state;
    check_refused(ERR_VERSION, "{\"version\":2}", "version 2");
    check_refused(ERR_CORRUPT, "{\"version\":1}", "createdMs");
    check_refused(ERR_CORRUPT, "{\"version\":1,\"createdMs\":5,\"hashSeed\":\"00\"}", "hashSeed");
    check_refused(ERR_CORRUPT, "{\"version\":\"1\"}", "version");
    check_err(ERR_CORRUPT, identity_parse(SLICE(""), &identity, NULL));
    for (size_t i = 0; i < sizeof(golden) - 1; i++) {
        memcpy(damaged, golden, sizeof(golden));
        damaged[i] ^= 1;
        check_err(ERR_CORRUPT,
                  identity_parse(slice_of(damaged, sizeof(golden) - 1), &identity, NULL));
    }
}

static void test_files(void **state)
{
    struct identity loaded;
    struct identity made;
    struct temp_dir dir;
    struct env env = {0};
    uint64_t nth = 1;

    (void)state;
    env_real_init(&env);
    temp_dir_init(&dir);
    check_err(ERR_NOT_FOUND, identity_load(&env, dir.path, &loaded, NULL));
    for (;; nth++) {
        fault_arm("identity.", nth);
        const enum err err = identity_create(&env, dir.path, &made, NULL);
        const bool fired = fault_fired_count() > 0;
        fault_disarm();
        check_err(fired ? ERR_IO : ERR_OK, err);
        if (!fired)
            break;
    }
    assert_int_equal(6, nth);
    check_err(ERR_OK, identity_load(&env, dir.path, &loaded, NULL));
    assert_memory_equal(made.hash_seed, loaded.hash_seed, sizeof(made.hash_seed));
    assert_true(made.created_ms == loaded.created_ms);
    temp_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
