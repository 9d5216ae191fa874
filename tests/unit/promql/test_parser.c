/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "promql/parser.h"
#include "promql/printer.h"
#include "support/check.h"

static const struct promql_features all = {true, true, true, true};

static void check_print(const char *text, const char *want)
{
    struct arena arena;
    struct promql_expr *expr;
    struct err_info info = {0};
    struct buf printed;

    arena_init(&arena, NULL, 0);
    buf_init(&printed, 1 << 20);
    if (promql_parse(&arena, slice_from_cstr(text), &all, &expr, &info) != ERR_OK)
        fail_msg("%s: %s", text, info.message);
    promql_print(&printed, expr);
    if (!slice_eq_cstr(buf_slice(&printed), want))
        fail_msg("%s: printed %.*s, want %s", text, SLICE_ARG(buf_slice(&printed)), want);
    buf_fini(&printed);
    arena_fini(&arena);
}

static void check_fault(const char *text, const char *want)
{
    struct arena arena;
    struct promql_expr *expr;
    struct err_info info = {0};

    arena_init(&arena, NULL, 0);
    if (promql_parse(&arena, slice_from_cstr(text), &all, &expr, &info) != ERR_BAD_INPUT)
        fail_msg("%s: parses", text);
    if (strcmp(info.message, want) != 0)
        fail_msg("%s: %s, want %s", text, info.message, want);
    arena_fini(&arena);
}

static void test_print(void **state)
{
    (void)state;
    check_print("sum(a)by(x,\"b c\",)", "sum by (x, \"b c\") (a)");
    check_print("sum without () (a)", "sum without () (a)");
    check_print("sum by () (a)", "sum(a)");
    check_print("SUM BY (on) (a)", "sum by (on) (a)");
    check_print("topk(3,a)", "topk(3, a)");
    check_print("foo{z=\"1\",a!='x',}", "foo{a!=\"x\",z=\"1\"}");
    check_print("{\"foo.bar\",\"l l\"=\"v\"}", "{\"l l\"=\"v\",__name__=\"foo.bar\"}");
    check_print("foo[90s] offset -1h @ 1609746000", "foo[1m30s] @ 1609746000.000 offset -1h");
    check_print("foo offset 5m anchored @ end()", "foo @ end() anchored offset 5m");
    check_print("sum(a)[1h:]", "sum(a)[1h:]");
    check_print("a[1h:5m] offset 1w", "a[1h:5m] offset 1w");
    check_print("0755+0x1F-1_000", "493 + 31 - 1000");
    check_print("1h30m", "1h30m");
    check_print("-1^2", "-1 ^ 2");
    check_print("2^3^4", "2 ^ 3 ^ 4");
    check_print("a-b-c", "a - b - c");
    check_print("Inf ^ 2", "Inf ^ 2");
    check_print("a==bool on(x)group_left(y)b", "a == bool on (x) group_left (y) b");
    check_print("a+ignoring(x)b", "a + ignoring (x) b");
    check_print("a+fill(2)b", "a + fill (2) b");
    check_print("a+fill_right(2)fill_left(-1)b", "a + fill_left (-1) fill_right (2) b");
    check_print("fill + sum", "fill + sum");
    check_print("foo[5m+step()]", "foo[5m + step()]");
    check_print("foo[max_of(1m,2)] offset -(1m*2)", "foo[max_of(1m, 2)] offset -(1m * 2)");
    check_print("foo offset -2^2", "foo offset -2s ^ 2");
    check_print("\"a\\x41\\n\" # end", "\"aA\\n\"");
    check_print("`a\\x41`", "\"a\\\\x41\"");
}

static void test_faults(void **state)
{
    (void)state;
    check_fault("", "unknown position: parse error: no expression found in input");
    check_fault("# only\n", "1:1: parse error: no expression found in input");
    check_fault("1+", "1:3: parse error: unexpected end of input");
    check_fault("a\n+ *", "2:3: parse error: unexpected <op:*>");
    check_fault("(1))", "1:5: parse error: unexpected right parenthesis ')'");
    check_fault("((1)", "1:5: parse error: unclosed left parenthesis");
    check_fault("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation");
    check_fault("sum by (x) (rate(a[5m] 1))",
                "1:24: parse error: unexpected number \"1\" in aggregation");
    check_fault("sum(a) b", "1:8: parse error: unexpected identifier \"b\"");
    check_fault("a * on (x) group_left", "1:22: parse error: unexpected end of input in grouping "
                                         "opts, expected \"(\"");
    check_fault("a * on (x) group_right , b",
                "1:24: parse error: unexpected \",\" in grouping opts, expected \"(\"");
    check_fault("a * on (x) group_left group_left b",
                "1:23: parse error: unexpected <group_left> in grouping opts, expected \"(\"");
    check_fault("0x_", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing "
                       "\"0x_\": invalid syntax");
    check_fault("sum by (without) (a)", "1:9: parse error: unexpected <without> in grouping opts, "
                                        "expected label");
    check_fault("a{'b\\\\c'}", "1:1: parse error: metric name must not be set twice: \"a\" or "
                               "\"b\\\\c\"");
    check_fault("foo bar", "1:5: parse error: unexpected identifier \"bar\"");
    check_fault("foo{a=b}",
                "1:7: parse error: unexpected identifier \"b\" in label matching, expected string");
    check_fault("foo{", "1:5: parse error: unexpected end of input inside braces");
    check_fault("{}", "1:1: parse error: vector selector must contain at least one non-empty "
                      "matcher");
    check_fault("foo{__name__=\"bar\"}",
                "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"");
    check_fault("sum by foo (x)",
                "1:8: parse error: unexpected identifier \"foo\" in grouping opts, expected \"(\"");
    check_fault("foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\"");
    check_fault("foo[0m]", "1:5: parse error: duration must be greater than 0");
    check_fault("sum(a)[5m]", "1:7: parse error: ranges only allowed for vector selectors");
    check_fault("foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range");
    check_fault("rate(foo)", "1:6: parse error: expected type range vector in call to function "
                             "\"rate\", got instant vector");
    check_fault("rate(foo[1m], 1)",
                "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2");
    check_fault("nosuch(foo)", "1:1: parse error: unknown function with name \"nosuch\"");
    check_fault("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check_fault("a + bool b",
                "1:3: parse error: bool modifier can only be used on comparison operators");
    check_fault("a and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar "
                           "expression");
    check_fault("a and on(x) group_left b",
                "1:1: parse error: no grouping allowed for \"and\" operation");
    check_fault("a + on(x) group_left(x) b",
                "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once");
    check_fault("\"\xff\"", "1:1: parse error: invalid UTF-8 rune");
    check_fault("a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `(`");
}

static void test_features(void **state)
{
    struct arena arena;
    struct promql_expr *expr;
    static const char *const texts[] = {"pi() + step()",  "foo anchored", "a + fill(1) b",
                                        "limitk(1, a)",   "a[1m + 1s]",   "a[(60)]",
                                        "a offset step()"};

    (void)state;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_err(ERR_BAD_INPUT,
                  promql_parse(&arena, slice_from_cstr(texts[i]), NULL, &expr, NULL));
    arena_fini(&arena);
}

/* A text of count times `open`, then `inner`, then count times `close`. */
static char *nested(const char *open, const char *inner, const char *close, size_t count)
{
    const size_t size = count * (strlen(open) + strlen(close)) + strlen(inner) + 1;
    char *text = mem_alloc(size), *at = text;

    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, inner);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, close);
    return text;
}

static void check_depth(const char *open, const char *close, bool fits)
{
    char *text = nested(open, "a", close, fits ? 400 : 100000);
    struct arena arena;
    struct promql_expr *expr;
    struct err_info info = {0};

    arena_init(&arena, NULL, 0);
    if (fits) {
        check_err_info(ERR_OK, promql_parse(&arena, slice_from_cstr(text), &all, &expr, &info),
                       &info);
    } else {
        check_err(ERR_BAD_INPUT, promql_parse(&arena, slice_from_cstr(text), &all, &expr, &info));
        check_message("nested more than 512 levels deep", &info);
    }
    arena_fini(&arena);
    mem_free(text);
}

static void test_depth(void **state)
{
    (void)state;
    for (int fits = 0; fits < 2; fits++) {
        check_depth("(", ")", fits);
        check_depth("-", "", fits);
        check_depth("", "+a", fits);
        check_depth("a^", "", fits);
        check_depth("abs(", ")", fits);
        check_depth("", "[1m:]", false);
    }
}

static void test_size(void **state)
{
    char *text = mem_zalloc(1, PROMQL_TEXT_SIZE_MAX + 1);
    struct arena arena;
    struct promql_expr *expr;
    struct err_info info = {0};

    (void)state;
    memset(text, ' ', PROMQL_TEXT_SIZE_MAX + 1);
    text[0] = 'a';
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK,
              promql_parse(&arena, slice_of(text, PROMQL_TEXT_SIZE_MAX), NULL, &expr, NULL));
    check_err(ERR_BAD_INPUT,
              promql_parse(&arena, slice_of(text, PROMQL_TEXT_SIZE_MAX + 1), NULL, &expr, &info));
    check_message("longer than the limit", &info);
    arena_fini(&arena);
    arena_init(&arena, NULL, 128);
    check_err(ERR_LIMIT, promql_parse(&arena, SLICE("a+b+c+d"), NULL, &expr, &info));
    arena_fini(&arena);
    mem_free(text);
}

static void test_selector(void **state)
{
    struct arena arena;
    struct matcher_list list;
    struct err_info info = {0};

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, promql_parse_selector(&arena, SLICE("up{job=~\"a|b\"}"), &list, &info));
    assert_int_equal(list.count, 2);
    check_slice("job", list.items[0].name);
    check_slice("__name__", list.items[1].name);
    check_err(ERR_BAD_INPUT, promql_parse_selector(&arena, SLICE("{a=~\".*\"}"), &list, &info));
    check_message("match[] must contain at least one non-empty matcher", &info);
    info.message[0] = '\0';
    check_err(ERR_BAD_INPUT, promql_parse_selector(&arena, SLICE("up[5m]"), &list, &info));
    check_message("1:3: parse error: unexpected \"[\"", &info);
    arena_fini(&arena);
}

static void test_positions(void **state)
{
    struct arena arena;
    struct promql_expr *expr;

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, promql_parse(&arena, SLICE(" sum(rate(foo[5m] offset 1m)) / bar"), NULL,
                                   &expr, NULL));
    assert_int_equal(expr->span.start, 1);
    assert_int_equal(expr->span.end, 35);
    expr = (struct promql_expr *)expr->binary.lhs;
    assert_int_equal(expr->span.end, 29);
    expr = (struct promql_expr *)expr->aggregate.expr->call.args[0];
    assert_int_equal(expr->span.start, 10);
    assert_int_equal(expr->span.end, 27);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),     cmocka_unit_test(test_faults),
        cmocka_unit_test(test_features),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),      cmocka_unit_test(test_selector),
        cmocka_unit_test(test_positions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
