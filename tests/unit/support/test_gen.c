/* SPDX-License-Identifier: Apache-2.0 */
#include "support/gen.h"

#include <sys/stat.h>

#include "support/check.h"
#include "support/temp_dir.h"

static void test_same_seed_same_numbers(void **state)
{
    struct gen a, b;

    (void)state;
    gen_init(&a, 7);
    gen_init(&b, 7);
    for (int i = 0; i < 100; i++)
        assert_true(gen_u64(&a) == gen_u64(&b));
    gen_init(&b, 8);
    assert_true(gen_u64(&a) != gen_u64(&b));
}

static void test_series_times_increase(void **state)
{
    struct sample samples[200];
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 100)
    {
        gen_series(&gen, samples, 200);
        for (int i = 1; i < 200; i++)
            assert_true(samples[i].t_ms > samples[i - 1].t_ms);
    }
}

static void test_bounds(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 100)
    {
        const int64_t x = gen_between(&gen, -3, 3);
        assert_in_range(x + 3, 0, 6);
        assert_in_range(gen_below(&gen, 5), 0, 4);
        (void)gen_between(&gen, INT64_MIN, INT64_MAX);
    }
}

static void test_temp_dir(void **state)
{
    struct temp_dir dir;
    struct stat st;
    char path[TEMP_DIR_PATH_SIZE];

    (void)state;
    temp_dir_init(&dir);
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = dir.path[i];
    assert_int_equal(stat(path, &st), 0);
    temp_dir_fini(&dir);
    assert_int_not_equal(stat(path, &st), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_series_times_increase),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_temp_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
