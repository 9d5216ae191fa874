/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "support/check.h"

static void test_writer(void **state)
{
    struct buf out;
    struct json_writer w;

    (void)state;
    buf_init(&out, 1000);
    json_writer_init(&w, &out);
    json_open_object(&w);
    json_member_cstr(&w, "status", "ok");
    json_key(&w, "list");
    json_open_array(&w);
    json_int(&w, -1);
    json_uint(&w, 2);
    json_double(&w, 0.5);
    json_double(&w, NAN);
    json_bool(&w, true);
    json_null(&w);
    json_open_object(&w);
    json_close_object(&w);
    json_raw(&w, SLICE("[1]"));
    json_close_array(&w);
    json_member_int(&w, "n", 7);
    json_member_bool(&w, "b", false);
    json_close_object(&w);
    check_slice("{\"status\":\"ok\",\"list\":[-1,2,0.5,\"NaN\",true,null,{},[1]],\"n\":7,"
                "\"b\":false}",
                buf_slice(&out));
    buf_fini(&out);
}

static void check_quote(struct slice s, bool html, const char *want)
{
    struct buf out;

    buf_init(&out, 1000);
    json_quote(&out, s, html);
    check_slice(want, buf_slice(&out));
    buf_fini(&out);
}

static void test_quote(void **state)
{
    (void)state;
    check_quote(SLICE("a\"b\\c/"), false, "\"a\\\"b\\\\c/\"");
    check_quote(SLICE("\b\f\n\r\t\x01\0\v"), false, "\"\\b\\f\\n\\r\\t\\u0001\\u0000\\u000b\"");
    check_quote(SLICE("<a&b>"), true, "\"\\u003ca\\u0026b\\u003e\"");
    check_quote(SLICE("<a&b>"), false, "\"<a&b>\"");
    check_quote(SLICE("h\xc3\xa9\xff!"), false, "\"h\xc3\xa9\\ufffd!\"");
    check_quote(SLICE("\xe2\x80\xa8\xe2\x80\xa9"), false, "\"\\u2028\\u2029\"");
    check_quote(SLICE(""), false, "\"\"");
}

static void check_error(const char *text, enum err want, const char *message)
{
    struct arena arena;
    struct err_info info = {{0}};
    struct json_value *value;

    arena_init(&arena, NULL, 0);
    check_err(want, json_parse(&arena, slice_from_cstr(text), NULL, &value, &info));
    check_message(message, &info);
    arena_fini(&arena);
}

static void test_reader(void **state)
{
    struct arena arena;
    struct json_value *root;
    const struct json_value *list;

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK,
              json_parse(&arena, SLICE("{\"a\": [1, 2.5, \"x\\u0000y\", true, null], \"b\": {}}"),
                         NULL, &root, NULL));
    assert_int_equal(root->kind, JSON_OBJECT);
    list = json_find(root, "a");
    assert_int_equal(list->count, 5);
    assert_int_equal(list->items[0].i, 1);
    assert_true(list->items[1].d == 2.5);
    assert_int_equal(list->items[2].text.len, 3);
    assert_true(list->items[3].b);
    assert_int_equal(list->items[4].kind, JSON_NULL);
    assert_null(json_find(root, "c"));
    assert_null(json_find(list, "c"));
    check_slice("b", root->members[1].key);
    arena_fini(&arena);
}

static void test_faults(void **state)
{
    struct buf deep;

    (void)state;
    check_error("{\n\"a\": }", ERR_BAD_INPUT, "line 2: ");
    check_error("{\"a\":1,\"a\":2}", ERR_BAD_INPUT, "duplicate");
    check_error("", ERR_BAD_INPUT, "line 1: ");
    check_error("[1] x", ERR_BAD_INPUT, "end of file expected");
    check_error("\"\xff\"", ERR_BAD_INPUT, "unable to decode byte 0xff");
    buf_init(&deep, 1000);
    for (int i = 0; i < 101; i++)
        buf_add_byte(&deep, '[');
    buf_add_byte(&deep, '\0');
    check_error(deep.data, ERR_LIMIT, "nested more than 100 levels deep");
    buf_fini(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
