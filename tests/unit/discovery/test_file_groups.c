/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "discovery/file_groups.h"

static void check_parse(const char *text, enum file_groups_format format, const char *refusal)
{
    struct file_groups groups;
    struct err_info info = {0};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 1 << 20);
    err = file_groups_parse(&arena, slice_from_cstr(text), format, &groups, &info);
    if (refusal == NULL)
        check_err_info(ERR_OK, err, &info);
    else
        check_message(refusal, &info);
    assert_int_equal(err != ERR_OK, refusal != NULL);
    arena_fini(&arena);
}

static void test_refusals(void **state)
{
    (void)state;
    check_parse("", FILE_GROUPS_YAML, NULL);
    check_parse("[]", FILE_GROUPS_YAML, NULL);
    check_parse("- targets: [a:1]\n", FILE_GROUPS_YAML, NULL);
    check_parse("- targets: [a:1]\n  labels:\n", FILE_GROUPS_YAML, NULL);
    check_parse("- targets: [a:1]\n  label: {}\n", FILE_GROUPS_YAML, "line 2: field label not");
    check_parse("-\n", FILE_GROUPS_YAML, "nil target group");
    check_parse("- targets: a\n", FILE_GROUPS_YAML, "targets: expected a list");
    check_parse("a: b\n", FILE_GROUPS_YAML, "expected a list of target groups");
    check_parse("- labels: {'': x}\n", FILE_GROUPS_YAML, "is not a valid label name");
    check_parse("[{\"targets\":[\"a:1\"],\"labels\":{\"x\":\"y\"}}]", FILE_GROUPS_JSON, NULL);
    check_parse("[{\"targets\":null}]", FILE_GROUPS_JSON, NULL);
    check_parse("[null]", FILE_GROUPS_JSON, "group 0: nil target group");
    check_parse("[{\"target\":[]}]", FILE_GROUPS_JSON, "unknown field \"target\"");
    check_parse("[{\"targets\":[1]}]", FILE_GROUPS_JSON, "item 0 is no string");
    check_parse("[{\"labels\":{\"a\":1}}]", FILE_GROUPS_JSON, "\"a\" is no string");
    check_parse("{}", FILE_GROUPS_JSON, "expected an array");
    check_parse("[{", FILE_GROUPS_JSON, "line 1");
}

static void check_content(const char *text, enum file_groups_format format)
{
    struct file_groups groups;
    struct err_info info = {0};
    struct arena arena;

    arena_init(&arena, NULL, 1 << 20);
    check_err_info(ERR_OK, file_groups_parse(&arena, slice_from_cstr(text), format, &groups, &info),
                   &info);
    assert_int_equal(groups.count, 2);
    assert_int_equal(groups.items[0].target_count, 2);
    check_slice("a:1", groups.items[0].targets[0]);
    check_slice("b:2", groups.items[0].targets[1]);
    assert_int_equal(groups.items[0].labels.count, 2);
    check_slice("env", groups.items[0].labels.items[0].name);
    check_slice("prod", groups.items[0].labels.items[0].value);
    check_slice("zone", groups.items[0].labels.items[1].name);
    assert_int_equal(groups.items[1].target_count, 1);
    arena_fini(&arena);
}

static void test_content(void **state)
{
    (void)state;
    check_content("- targets: [a:1, b:2]\n  labels: {zone: x, env: prod, gone: ''}\n"
                  "- targets: [c:3]\n",
                  FILE_GROUPS_YAML);
    check_content("[{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"zone\":\"x\",\"env\":\"prod\","
                  "\"gone\":\"\"}},{\"targets\":[\"c:3\"]}]",
                  FILE_GROUPS_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
