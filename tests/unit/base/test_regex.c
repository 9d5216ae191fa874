/* SPDX-License-Identifier: Apache-2.0 */
/* Matching, sets of literals, prefixes, captures, Go's expansion, and Go's words for bad patterns.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/regex.h"
#include "support/check.h"

static struct regex *compile(const char *pattern)
{
    struct err_info info = {{0}};
    struct regex *regex = NULL;

    check_err_info(ERR_OK, regex_new(slice_from_cstr(pattern), &regex, &info), &info);
    return regex;
}

static void check_match(const char *pattern, const char *text, bool want)
{
    struct regex *regex = compile(pattern);

    if (regex_match(regex, slice_from_cstr(text)) != want)
        fail_msg("%s against %s: want %d", pattern, text, want);
    regex_free(regex);
}

static void test_match(void **state)
{
    (void)state;
    check_match("a.c", "abc", true);
    check_match("a.c", "xabc", false);
    check_match("a.c", "a\nc", true);
    check_match("a|bc", "bc", true);
    check_match("a|bc", "abc", false);
    check_match("(?i)ABC", "abc", true);
    check_match("", "", true);
    check_match("", "a", false);
    check_match(".*", "", true);
    check_match(".+", "", false);
    check_match("(?<name>x)+", "xx", true);
    check_match("[(?<]+", "(?<", true);
    check_match("[](?<]+", "](?<", true);
    check_match("\\Q(?<\\E", "(?<", true);
    check_match("x{", "x{", true);
    check_match("h\xc3\xa9*", "h", true);
    check_match("h\xc3\xa9+", "h\xc3\xa9\xc3\xa9", true);
    check_match("ab?", "a", true);
    check_match("(ab|cd)(ef|gh)?", "cd", true);
    check_match("a\\.b", "a.b", true);
    check_match("a\\.b", "axb", false);
    check_match("^a$", "a", true);
    check_match("a|b|\\d", "7", true);
}

static void check_set(const char *pattern, const char *want)
{
    struct regex *regex = compile(pattern);
    const struct slice *texts;
    uint32_t count;
    struct buf got;

    buf_init(&got, 1000);
    if (regex_literal_set(regex, &texts, &count)) {
        for (uint32_t i = 0; i < count; i++)
            buf_printf(&got, "<%.*s>", SLICE_ARG(texts[i]));
    } else {
        buf_add_cstr(&got, "none");
    }
    check_slice(want, buf_slice(&got));
    buf_fini(&got);
    regex_free(regex);
}

static void test_literal_set(void **state)
{
    (void)state;
    check_set("abc", "<abc>");
    check_set("b|a|b", "<a><b>");
    check_set("a|", "<><a>");
    check_set("", "<>");
    check_set("(?:a|b)c", "<ac><bc>");
    check_set("x(1|2)(3|4)y", "<x13y><x14y><x23y><x24y>");
    check_set("a\\.b|c\\|d", "<a.b><c|d>");
    check_set("(a)", "<a>");
    check_set("a+", "none");
    check_set("(a|b)*", "none");
    check_set("a|b.", "none");
    check_set("(?i)a", "none");
    check_set("a\\d", "none");
    check_set("[ab]", "none");
    check_set("^a", "none");
}

static void check_prefix(const char *pattern, const char *want)
{
    struct regex *regex = compile(pattern);

    check_slice(want, regex_prefix(regex));
    regex_free(regex);
}

static void test_prefix(void **state)
{
    (void)state;
    check_prefix("abc.*", "abc");
    check_prefix("abc", "abc");
    check_prefix("abc?", "ab");
    check_prefix("ab{0,1}c", "a");
    check_prefix("a\\.b.+", "a.b");
    check_prefix("ab|ac.*", "");
    check_prefix("(?i)abc.*", "");
    check_prefix("x\xc3\xa9*", "x");
    check_prefix("a\\Qb|c\\E|d", "");
    check_prefix("a[|]b", "");
    check_prefix("ab(?)?", "");
    check_prefix("ab(?s)*c", "");
    check_prefix("ab(?:c)?", "ab");
}

static void test_many_alternatives(void **state)
{
    struct buf pattern;
    struct regex *regex = NULL;
    struct err_info info = {{0}};

    (void)state;
    buf_init(&pattern, 1 << 20);
    for (int i = 0; i < 50000; i++)
        buf_printf(&pattern, "%snode-%d", i > 0 ? "|" : "", i);
    check_err_info(ERR_OK, regex_new(buf_slice(&pattern), &regex, &info), &info);
    assert_true(regex_match(regex, SLICE("node-49999")));
    assert_false(regex_match(regex, SLICE("node-50000")));
    regex_free(regex);
    check_err(ERR_LIMIT, regex_new(SLICE("\\pL{1000}"), &regex, &info));
    check_message("expression too large", &info);
    buf_fini(&pattern);
}

static void check_error(const char *pattern, const char *want)
{
    struct regex *regex = NULL;
    struct err_info info = {{0}};

    check_err(ERR_BAD_INPUT, regex_new(slice_from_cstr(pattern), &regex, &info));
    check_message(want, &info);
    assert_null(regex);
}

static void test_errors(void **state)
{
    (void)state;
    check_error("(a", "error parsing regexp: missing closing )");
    check_error("a)", "error parsing regexp: unexpected )");
    check_error("[a", "error parsing regexp: missing closing ]");
    check_error("*a", "missing argument to repetition operator: `*`");
    check_error("a**", "invalid nested repetition operator: `**`");
    check_error("a{1001}", "invalid repeat count: `{1001}`");
    check_error("\\", "trailing backslash");
    check_error("(?z)", "invalid or unsupported Perl syntax");
    check_error("[b-a]", "invalid character class range: `b-a`");
    check_error("\\8", "invalid escape sequence: `\\8`");
    check_error("\\C", "invalid escape sequence: `\\C`");
    check_error("\xff", "invalid UTF-8");
}

static void check_expand(const char *replacement, const char *want)
{
    struct regex *regex = compile("(a)(?P<n>b)?(c)?");
    struct slice groups[4];
    struct buf got;

    buf_init(&got, 1000);
    assert_true(regex_capture(regex, SLICE("ab"), groups, COUNT_OF(groups)));
    regex_expand(regex, slice_from_cstr(replacement), groups, &got);
    check_slice(want, buf_slice(&got));
    buf_fini(&got);
    regex_free(regex);
}

static void test_expand(void **state)
{
    (void)state;
    check_expand("$1", "a");
    check_expand("${1}x", "ax");
    check_expand("$1x", "");
    check_expand("$n$2${n}", "bbb");
    check_expand("$0", "ab");
    check_expand("$3", "");
    check_expand("$9", "");
    check_expand("$01", "");
    check_expand("$$1", "$1");
    check_expand("a$", "a$");
    check_expand("${", "${");
    check_expand("${1", "${1");
    check_expand("${a-b}", "${a-b}");
    check_expand("$-", "$-");
    check_expand("$\xc3\xa9!", "!");
}

static void test_capture_of_set(void **state)
{
    struct regex *regex = compile("(a|b)-(c)");
    struct slice groups[3];

    (void)state;
    assert_int_equal(regex_group_count(regex), 2);
    assert_true(regex_capture(regex, SLICE("b-c"), groups, 3));
    check_slice("b", groups[1]);
    check_slice("c", groups[2]);
    assert_false(regex_capture(regex, SLICE("c-c"), groups, 3));
    regex_free(regex);
    regex = compile(".*");
    assert_true(regex_match_empty(regex));
    check_slice(".*", regex_pattern(regex));
    regex_free(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),          cmocka_unit_test(test_literal_set),
        cmocka_unit_test(test_prefix),         cmocka_unit_test(test_many_alternatives),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_expand),
        cmocka_unit_test(test_capture_of_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
