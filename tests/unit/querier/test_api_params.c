/* SPDX-License-Identifier: Apache-2.0 */
#include "querier/api_params.h"

#include "support/check.h"

struct fixture {
    struct arena arena;
    struct http_params params;
    struct err_info info;
};

static void begin(struct fixture *f, const char *query)
{
    *f = (struct fixture){.params = {NULL, 0}};
    arena_init(&f->arena, NULL, 0);
    check_err(ERR_OK, http_params_parse(&f->params, slice_from_cstr(query), &f->arena, &f->info));
}

static void test_times(void **state)
{
    static const struct {
        const char *query;
        int64_t want;
        const char *message; /* NULL: it is good */
    } cases[] = {
        {"time=1435781451.781", 1435781451781, NULL},
        {"time=1", 1000, NULL},
        {"time=2015-07-01T20:10:51.781Z", 1435781451781, NULL},
        {"", 42, NULL},
        {"time=foo", 0,
         "invalid parameter \"time\": invalid time value for 'time': cannot parse \"foo\" to a "
         "valid timestamp"},
        {"time=1e300", 0, "invalid parameter \"time\""},
        {"time=NaN", 0, "invalid parameter \"time\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        int64_t t_ms = 42;

        begin(&f, cases[i].query);
        check_err_info(cases[i].message == NULL ? ERR_OK : ERR_BAD_INPUT,
                       api_param_time(&f.params, "time", &t_ms, &f.info), &f.info);
        if (cases[i].message == NULL)
            assert_int_equal(t_ms, cases[i].want);
        else
            check_message(cases[i].message, &f.info);
        arena_fini(&f.arena);
    }
}

static void test_limits(void **state)
{
    struct fixture f;
    uint32_t limit = 0;

    (void)state;
    begin(&f, "limit=7");
    check_err(ERR_OK, api_param_limit(&f.params, &limit, &f.info));
    assert_int_equal(limit, 7);
    arena_fini(&f.arena);
    begin(&f, "limit=-1");
    check_err(ERR_BAD_INPUT, api_param_limit(&f.params, &limit, &f.info));
    check_message("limit must be non-negative", &f.info);
    arena_fini(&f.arena);
    begin(&f, "limit=x");
    check_err(ERR_BAD_INPUT, api_param_limit(&f.params, &limit, &f.info));
    arena_fini(&f.arena);
}

static void test_label_names(void **state)
{
    static const struct {
        const char *raw, *want;
    } cases[] = {
        {"job", "job"},
        {"__name__", "__name__"},
        {"U__http_2e_status", "http.status"},
        {"U__a__b", "a_b"},
        {"U__label_20ac_x", "label\xe2\x82\xacx"},
        {"U__broken_zz_", "U__broken_zz_"},
        {"U__open_2", "U__open_2"},
        {"U__surrogate_d800_", "U__surrogate_d800_"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        struct slice name;

        begin(&f, "");
        check_err(ERR_OK,
                  api_param_label_name(slice_from_cstr(cases[i].raw), &f.arena, &name, &f.info));
        check_slice(cases[i].want, name);
        arena_fini(&f.arena);
    }
}

static void test_bad_label_name(void **state)
{
    struct fixture f;
    struct slice name;

    (void)state;
    begin(&f, "");
    check_err(ERR_BAD_INPUT, api_param_label_name(SLICE("a\xff"), &f.arena, &name, &f.info));
    check_message("invalid label name", &f.info);
    arena_fini(&f.arena);
}

static void test_matchers(void **state)
{
    struct fixture f;
    struct matcher_list *lists;
    uint32_t count;

    (void)state;
    begin(&f, "match[]=up&match[]=%7Bjob%3D%22a%22%7D");
    check_err_info(ERR_OK, api_param_matchers(&f.params, &f.arena, &lists, &count, &f.info),
                   &f.info);
    assert_int_equal(count, 2);
    assert_int_equal(lists[0].count, 1);
    check_slice("__name__", lists[0].items[0].name);
    check_slice("job", lists[1].items[0].name);
    arena_fini(&f.arena);
    begin(&f, "match[]=%7B%7D");
    check_err(ERR_BAD_INPUT, api_param_matchers(&f.params, &f.arena, &lists, &count, &f.info));
    check_message("match[] must contain at least one non-empty matcher", &f.info);
    arena_fini(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_label_names), cmocka_unit_test(test_bad_label_name),
        cmocka_unit_test(test_matchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
