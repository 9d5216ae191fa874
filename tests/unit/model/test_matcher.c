/* SPDX-License-Identifier: Apache-2.0 */
#include "model/matcher.h"

#include "support/check.h"

static struct arena arena;

static struct matcher make(enum matcher_type type, const char *value)
{
    const struct matcher_spec spec = {type, SLICE("l"), slice_from_cstr(value)};
    struct matcher matcher;
    struct err_info info = {0};

    check_err_info(ERR_OK, matcher_init(&matcher, &arena, &spec, &info), &info);
    return matcher;
}

static void check(enum matcher_type type, const char *pattern, const char *value, bool want)
{
    const struct matcher matcher = make(type, pattern);

    if (matcher_matches(&matcher, slice_from_cstr(value)) != want)
        fail_msg("type %d, pattern %s, value %s", (int)type, pattern, value);
}

static void check_regex(const char *pattern, const char *value, bool want)
{
    check(MATCHER_REGEX, pattern, value, want);
    check(MATCHER_NOT_REGEX, pattern, value, !want);
}

static void test_equal(void **state)
{
    (void)state;
    check(MATCHER_EQUAL, "a", "a", true);
    check(MATCHER_EQUAL, "a", "", false);
    check(MATCHER_EQUAL, "", "", true);
    check(MATCHER_NOT_EQUAL, "a", "a", false);
    check(MATCHER_NOT_EQUAL, "a", "b", true);
}

static void test_regex(void **state)
{
    (void)state;
    check_regex("a|b|c", "b", true);
    check_regex("a|b|c", "ab", false);
    check_regex("a|", "", true);
    check_regex("", "", true);
    check_regex("", "a", false);
    check_regex("a.*", "a\nb", true);
    check_regex("prefix-[0-9]+", "prefix-12", true);
    check_regex("prefix-[0-9]+", "prefiy-12", false);
    check_regex("prefix-[0-9]+", "xprefix-12", false);
    check_regex(".+", "", false);
    check_regex(".*", "", true);
    check_regex("(?i)ABC", "abc", true);
    check_regex("(a|b)(c|d)", "bd", true);
    check_regex("1|2|3|4|5|6|7|8|9|10|11|12", "11", true);
    check_regex("1|2|3|4|5|6|7|8|9|10|11|12", "13", false);
}

/* Alternations of literals never meet the regex engine, however many there are. */
static void test_set(void **state)
{
    const struct matcher few = make(MATCHER_REGEX, "b|a|c");
    struct matcher_spec spec = {MATCHER_REGEX, SLICE("l"), {NULL, 0}};
    struct matcher many;
    struct buf pattern;

    (void)state;
    assert_int_equal(3, few.set_count);
    check_slice("a", few.set[0]);
    buf_init(&pattern, 1 << 20);
    for (int i = 0; i < 50000; i++)
        buf_printf(&pattern, "%sv%d", i == 0 ? "" : "|", i);
    spec.value = buf_slice(&pattern);
    check_err(ERR_OK, matcher_init(&many, &arena, &spec, NULL));
    assert_int_equal(50000, many.set_count);
    assert_true(matcher_matches(&many, SLICE("v49999")));
    assert_false(matcher_matches(&many, SLICE("v50000")));
    buf_fini(&pattern);
}

static void test_faults(void **state)
{
    const struct matcher_spec open = {MATCHER_REGEX, SLICE("l"), SLICE("(a")};
    const struct matcher_spec byte = {MATCHER_NOT_REGEX, SLICE("l"), SLICE("\\C")};
    struct matcher matcher;
    struct err_info info = {0};

    (void)state;
    check_err(ERR_BAD_INPUT, matcher_init(&matcher, &arena, &open, &info));
    check_message("missing closing )", &info);
    check_err(ERR_BAD_INPUT, matcher_init(&matcher, &arena, &byte, NULL));
}

static void test_sets_of_labels(void **state)
{
    const struct label labels[] = {{SLICE("l"), SLICE("x")}, {SLICE("m"), SLICE("y")}};
    const struct label_set set = {labels, 2};
    const struct matcher good[] = {make(MATCHER_EQUAL, "x"), make(MATCHER_REGEX, "x|y")};
    const struct matcher bad[] = {make(MATCHER_EQUAL, "x"), make(MATCHER_NOT_REGEX, "x|y")};
    const struct matcher_spec gone = {MATCHER_EQUAL, SLICE("z"), SLICE("")};
    struct matcher absent;

    (void)state;
    assert_true(matcher_matches_set(good, 2, set));
    assert_false(matcher_matches_set(bad, 2, set));
    assert_true(matcher_matches_set(NULL, 0, set));
    check_err(ERR_OK, matcher_init(&absent, &arena, &gone, NULL));
    assert_true(matcher_matches_set(&absent, 1, set));
    assert_true(matcher_matches_empty(&absent));
    assert_false(matcher_matches_empty(&good[0]));
    assert_true(matcher_matches_empty(&bad[1]));
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_regex),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_sets_of_labels),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
