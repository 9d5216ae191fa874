/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/utf8.h"
#include "support/check.h"
#include "support/gen.h"

static void test_valid(void **state)
{
    static const struct {
        const char *text;
        size_t valid;
    } cases[] = {
        {"", 0},
        {"plain ascii, longer than eight", 30},
        {"h\xc3\xa9", 3},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"12345678\xff", 8},
        {"\xc0\x80", 0},         /* overlong */
        {"\xe0\x80\x80", 0},     /* overlong */
        {"\xed\xa0\x80", 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"a\xe2\x82", 1},
        {"\x80", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(cases[i].valid, utf8_valid_prefix(slice_from_cstr(cases[i].text)));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint32_t rune = 0; rune < 0x110000; rune++) {
        char text[4];
        uint32_t back;
        const size_t len = utf8_encode(text, rune);

        assert_int_equal(len, utf8_decode(slice_of(text, len), &back));
        assert_int_equal(rune >= 0xd800 && rune < 0xe000 ? UTF8_BAD : rune, back);
    }
}

static void check_quote(const char *text, const char *want)
{
    struct buf out;

    buf_init(&out, 1000);
    utf8_quote(&out, slice_from_cstr(text));
    check_slice(want, buf_slice(&out));
    buf_fini(&out);
}

static void test_quote(void **state)
{
    (void)state;
    check_quote("a\"b\\c", "\"a\\\"b\\\\c\"");
    check_quote("\a\b\f\n\r\t\v\x01\x7f", "\"\\a\\b\\f\\n\\r\\t\\v\\x01\\x7f\"");
    check_quote("h\xc3\xa9 \xff", "\"h\xc3\xa9 \\xff\"");
    check_quote("\xc2\xa0\xe2\x80\x8b", "\"\\u00a0\\u200b\"");
    check_quote("\xf3\xa0\x80\x81", "\"\\U000e0001\"");
}

static void test_case_and_count(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    utf8_to_lower(&out, SLICE("HeL\xc3\x89"));
    check_slice("hel\xc3\xa9", buf_slice(&out));
    buf_reset(&out);
    utf8_to_upper(&out, SLICE("hel\xc3\xa9"));
    check_slice("HEL\xc3\x89", buf_slice(&out));
    buf_fini(&out);
    assert_int_equal(3, utf8_count(SLICE("a\xc3\xa9\xff")));
    assert_true(utf8_is_alnum(0xe9));
    assert_false(utf8_is_alnum(0x2014));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_case_and_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
