/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/yaml.h"
#include "support/check.h"

struct fixture {
    struct arena arena;
    struct err_info info;
    struct yaml_node *root;
};

static enum err parse(struct fixture *f, const char *text, const struct yaml_options *options)
{
    arena_init(&f->arena, NULL, 0);
    f->info = (struct err_info){{0}};
    f->root = NULL;
    return yaml_parse(&f->arena, slice_from_cstr(text), options, &f->root, &f->info);
}

static void check_error(const char *text, enum err want, const char *message)
{
    const struct yaml_options options = {.file = "a.yml"};
    struct fixture f;

    check_err_info(want, parse(&f, text, &options), &f.info);
    check_message(message, &f.info);
    arena_fini(&f.arena);
}

static void test_tree(void **state)
{
    struct fixture f;
    const struct yaml_node *jobs;

    (void)state;
    check_err(ERR_OK, parse(&f,
                            "# a comment\n"
                            "global:\n"
                            "  interval: 15s\n"
                            "jobs:\n"
                            "  - name: \"one\"\n"
                            "    on: ~\n"
                            "  - two\n",
                            NULL));
    assert_int_equal(f.root->kind, YAML_MAP);
    assert_int_equal(f.root->count, 2);
    check_slice("15s", yaml_find(yaml_find(f.root, "global"), "interval")->text);
    jobs = yaml_find(f.root, "jobs");
    assert_int_equal(jobs->kind, YAML_LIST);
    assert_int_equal(jobs->count, 2);
    assert_true(yaml_find(jobs->items[0], "name")->quoted);
    assert_int_equal(yaml_find(jobs->items[0], "on")->kind, YAML_NULL);
    assert_int_equal(jobs->items[1]->line, 7);
    assert_int_equal(jobs->items[1]->column, 5);
    assert_int_equal(f.root->entries[1].line, 4);
    assert_null(yaml_find(jobs->items[1], "name"));
    check_err(ERR_BAD_INPUT, yaml_error(jobs->items[1], &f.info, "bad %d", 1));
    check_message("line 7: bad 1", &f.info);
    arena_fini(&f.arena);
}

static void test_empty(void **state)
{
    static const char *const texts[] = {"", "# only this\n", "---\n", "null\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct fixture f;

        check_err(ERR_OK, parse(&f, texts[i], NULL));
        assert_int_equal(f.root->kind, YAML_NULL);
        arena_fini(&f.arena);
    }
}

static void test_merge(void **state)
{
    struct fixture f;
    const struct yaml_node *c;

    (void)state;
    check_err(ERR_OK, parse(&f,
                            "a: &a {x: 1, y: 2}\n"
                            "b: &b {y: 3, z: 4}\n"
                            "c:\n"
                            "  <<: [*a, *b]\n"
                            "  x: own\n"
                            "d: {\"<<\": plain}\n",
                            NULL));
    c = yaml_find(f.root, "c");
    assert_int_equal(c->count, 3);
    check_slice("own", yaml_find(c, "x")->text);
    check_slice("2", yaml_find(c, "y")->text);
    check_slice("4", yaml_find(c, "z")->text);
    check_slice("plain", yaml_find(yaml_find(f.root, "d"), "<<")->text);
    arena_fini(&f.arena);
    check_error("<<: 5\n", ERR_BAD_INPUT, "a.yml:1: map merge requires");
}

static void test_faults(void **state)
{
    struct buf deep;

    (void)state;
    check_error("a: 1\nb: 2\na: 3\n", ERR_BAD_INPUT,
                "a.yml:3: mapping key \"a\" already defined at line 1");
    check_error("a: [1\n", ERR_BAD_INPUT, "a.yml:2: ");
    check_error("a: *nope\n", ERR_BAD_INPUT, "a.yml:1: found undefined alias");
    check_error("\ta: 1\n", ERR_BAD_INPUT, "a.yml:1: ");
    check_error("a: \xff\n", ERR_BAD_INPUT, "a.yml:");
    check_error("? [a]\n: 1\n", ERR_BAD_INPUT, "a mapping key must be a scalar");
    check_error("a: &x [1, *x]\n", ERR_BAD_INPUT, "an anchor's value contains itself");
    buf_init(&deep, 10000);
    for (int i = 0; i < 200; i++)
        buf_add_byte(&deep, '[');
    for (int i = 0; i < 200; i++)
        buf_add_byte(&deep, ']');
    buf_add_byte(&deep, '\0');
    check_error(deep.data, ERR_BAD_INPUT, "nested more than 100 levels deep");
    buf_fini(&deep);
}

static void test_billion_laughs(void **state)
{
    (void)state;
    check_error("a: &a [l,l,l,l,l,l,l,l,l,l]\n"
                "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
                "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
                ERR_LIMIT, "more than 1000000 nodes");
}

static void test_limits(void **state)
{
    const struct yaml_options small = {.size_max = 4, .file = "b.yml"};
    struct fixture f;
    struct budget budget;

    (void)state;
    check_err(ERR_LIMIT, parse(&f, "a: 12", &small));
    check_message("b.yml: 5 bytes exceed the limit of 4", &f.info);
    arena_fini(&f.arena);
    budget_init(&budget, NULL, "test", 10);
    arena_init(&f.arena, &budget, 0);
    check_err(ERR_LIMIT, yaml_parse(&f.arena, SLICE("a: 1"), NULL, &f.root, &f.info));
    arena_fini(&f.arena);
}

static void test_scalars(void **state)
{
    struct fixture f;
    bool b;
    int64_t i;
    double d;
    struct slice text;

    (void)state;
    check_err(ERR_OK, parse(&f, "[yes, 'true', 12, 0.5, 1e3, .inf, {}, -.inf, 1.5, word]", NULL));
    check_err(ERR_OK, yaml_get_bool(f.root->items[0], &b, NULL));
    assert_true(b);
    check_err(ERR_BAD_INPUT, yaml_get_bool(f.root->items[1], &b, NULL));
    check_err(ERR_OK, yaml_get_int(f.root->items[2], &i, NULL));
    assert_int_equal(i, 12);
    check_err(ERR_OK, yaml_get_double(f.root->items[3], &d, NULL));
    assert_true(d == 0.5);
    check_err(ERR_OK, yaml_get_int(f.root->items[4], &i, NULL));
    assert_int_equal(i, 1000);
    check_err(ERR_OK, yaml_get_double(f.root->items[5], &d, NULL));
    assert_true(d > 1e308);
    check_err(ERR_BAD_INPUT, yaml_get_text(f.root->items[6], &text, &f.info));
    check_message("line 1: expected text, found a mapping", &f.info);
    f.info = (struct err_info){{0}};
    check_err(ERR_BAD_INPUT, yaml_get_int(f.root->items[9 - 1], &i, &f.info));
    check_message("expected a whole number, found \"1.5\"", &f.info);
    arena_fini(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),    cmocka_unit_test(test_empty),
        cmocka_unit_test(test_merge),   cmocka_unit_test(test_faults),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_billion_laughs),
        cmocka_unit_test(test_scalars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
