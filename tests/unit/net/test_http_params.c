/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_params.h"

#include <stdio.h>

#include "support/check.h"
#include "support/gen.h"

/* want is "name=value|name=value|" of all parameters in order. */
static void check(const char *text, const char *want)
{
    struct http_params params = {0};
    struct err_info info = {{0}};
    struct arena arena;
    char got[512] = "";
    size_t len = 0;

    arena_init(&arena, NULL, 0);
    check_err_info(ERR_OK, http_params_parse(&params, slice_from_cstr(text), &arena, &info), &info);
    for (size_t i = 0; i < params.count; i++)
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s=%.*s|",
                                SLICE_ARG(params.items[i].name), SLICE_ARG(params.items[i].value));
    assert_string_equal(want, got);
    arena_fini(&arena);
}

static void check_bad(const char *text, const char *message)
{
    struct http_params params = {0};
    struct err_info info = {{0}};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    check_err(ERR_BAD_INPUT, http_params_parse(&params, slice_from_cstr(text), &arena, &info));
    assert_string_equal(message, info.message);
    assert_int_equal(0, params.count);
    arena_fini(&arena);
}

static void test_parse(void **unused)
{
    (void)unused;
    check("", "");
    check("&&", "");
    check("a=1&b=2", "a=1|b=2|");
    check("a=1&a=2&a=", "a=1|a=2|a=|");
    check("a", "a=|");
    check("=x", "=x|");
    check("a=b=c", "a=b=c|");
    check("match%5B%5D=up%7Ba%3D%22b+c%22%7D", "match[]=up{a=\"b c\"}|");
    check("a=%2b+%2B", "a=+ +|");
    check_bad("a=%", "invalid URL escape \"%\"");
    check_bad("a=%4", "invalid URL escape \"%4\"");
    check_bad("x=1&a=%g1z", "invalid URL escape \"%g1\"");
    check_bad("a=1;b=2", "invalid semicolon separator in query");
}

static void test_access(void **unused)
{
    struct http_params params = {0};
    struct arena arena;
    struct slice value;
    size_t index = 0;

    (void)unused;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, http_params_parse(&params, SLICE("a=body&b="), &arena, NULL));
    check_err(ERR_OK, http_params_parse(&params, SLICE("a=url&c=3"), &arena, NULL));
    assert_int_equal(4, params.count);
    check_slice("body", http_params_get(&params, "a"));
    check_slice("", http_params_get(&params, "none"));
    assert_true(http_params_has(&params, "b"));
    assert_false(http_params_has(&params, "none"));
    assert_true(http_params_next(&params, "a", &index, &value));
    check_slice("body", value);
    assert_true(http_params_next(&params, "a", &index, &value));
    check_slice("url", value);
    assert_false(http_params_next(&params, "a", &index, &value));
    arena_fini(&arena);
}

static void test_limits(void **unused)
{
    struct http_params params = {0};
    struct arena arena;
    struct err_info info = {{0}};
    static char many[2 * (HTTP_PARAMS_COUNT_MAX + 1)];

    (void)unused;
    for (size_t i = 0; i < sizeof(many); i += 2) {
        many[i] = 'a';
        many[i + 1] = '&';
    }
    arena_init(&arena, NULL, 0);
    check_err(ERR_LIMIT, http_params_parse(&params, slice_of(many, sizeof(many)), &arena, &info));
    check_err(ERR_OK, http_params_parse(&params, slice_of(many, sizeof(many) - 2), &arena, &info));
    arena_fini(&arena);
    arena_init(&arena, NULL, 10000);
    params = (struct http_params){0};
    check_err(ERR_LIMIT,
              http_params_parse(&params, slice_of(many, sizeof(many) - 2), &arena, NULL));
    arena_fini(&arena);
}

static void test_path(void **unused)
{
    struct arena arena;
    struct slice out;

    (void)unused;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, http_params_decode_path(SLICE("a%2Fb+c"), &arena, &out));
    check_slice("a/b+c", out);
    check_err(ERR_BAD_INPUT, http_params_decode_path(SLICE("a%2"), &arena, &out));
    arena_fini(&arena);
}

/* What is encoded byte by byte comes back. */
static void test_round_trip(void **unused)
{
    struct gen gen;

    (void)unused;
    GEN_EACH_SEED(&gen, 500)
    {
        struct http_params params = {0};
        struct arena arena;
        char raw[64], text[200] = "k=";
        const size_t raw_len = gen_below(&gen, sizeof(raw));
        size_t len = 2;

        for (size_t i = 0; i < raw_len; i++) {
            raw[i] = (char)gen_below(&gen, 256);
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%%%02x", (unsigned char)raw[i]);
        }
        arena_init(&arena, NULL, 0);
        check_err(ERR_OK, http_params_parse(&params, slice_of(text, len), &arena, NULL));
        assert_int_equal(1, params.count);
        assert_true(slice_eq(slice_of(raw, raw_len), params.items[0].value));
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_access),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_path),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
