/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "base/env_real.h"
#include "storage/ulid.h"
#include "support/gen.h"

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        char a_text[ULID_TEXT_LEN + 1];
        char b_text[ULID_TEXT_LEN + 1];
        struct ulid a;
        struct ulid b;
        struct ulid parsed;

        gen_bytes(&gen, a.bytes, sizeof(a.bytes));
        gen_bytes(&gen, b.bytes, sizeof(b.bytes));
        ulid_print(a, a_text);
        ulid_print(b, b_text);
        assert_true(ulid_parse(slice_from_cstr(a_text), &parsed));
        assert_int_equal(0, ulid_cmp(a, parsed));
        assert_int_equal(strcmp(a_text, b_text) < 0, ulid_cmp(a, b) < 0);
    }
}

static void test_known(void **state)
{
    struct ulid ulid;
    char text[ULID_TEXT_LEN + 1];

    (void)state;
    memset(ulid.bytes, 0xff, sizeof(ulid.bytes));
    ulid_print(ulid, text);
    assert_string_equal("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", text);
    /* From the ULID specification: this text is of 1469918176385. */
    assert_true(ulid_parse(SLICE("01ARYZ6S41TSV4RRFFQ69G5FAV"), &ulid));
    assert_true(ulid_time_ms(ulid) == INT64_C(1469918176385));
    assert_false(ulid_parse(SLICE("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &ulid));
    assert_false(ulid_parse(SLICE("01ARYZ6S41TSV4RRFFQ69G5FA"), &ulid));
    assert_false(ulid_parse(SLICE("01ARYZ6S41TSV4RRFFQ69G5FAU"), &ulid));
    assert_false(ulid_parse(SLICE("01aryz6s41tsv4rrffq69g5fav"), &ulid));
    assert_false(ulid_parse(slice_of("01ARYZ6S41TSV4RRFFQ69G5FA\0", 26), &ulid));
}

static void test_make(void **state)
{
    struct env env = {0};
    struct ulid a;
    struct ulid b;

    (void)state;
    env_real_init(&env);
    a = ulid_make(&env);
    b = ulid_make(&env);
    assert_int_not_equal(0, ulid_cmp(a, b));
    assert_true(ulid_time_ms(b) - ulid_time_ms(a) < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_make),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
