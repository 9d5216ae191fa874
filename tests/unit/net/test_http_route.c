/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_route.h"

#include <string.h>

#include "support/check.h"

static void handler(struct http_request *req)
{
    (void)req;
}

static struct http_route_table table;

static void check(unsigned method, const char *path, const char *want_name, const char *want_param)
{
    struct slice params[HTTP_PATH_PARAM_MAX] = {{0}};
    unsigned allowed;
    const struct http_route_entry *entry =
        http_route_find(&table, method, slice_from_cstr(path), params, &allowed);

    if (entry == NULL) {
        if (want_name != NULL)
            fail_msg("%s: found nothing, wanted %s", path, want_name);
        return;
    }
    if (want_name == NULL)
        fail_msg("%s: found %s, wanted nothing", path, entry->route.name);
    assert_string_equal(want_name, entry->route.name);
    check_slice(want_param, params[0]);
}

static void test_find(void **unused)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/*", .name = "rest", .handler = handler},
        {HTTP_GET, "/api/{x}/values", .name = "param", .handler = handler},
        {HTTP_GET, "/api/a/values", .name = "literal", .handler = handler},
        {HTTP_POST, "/api/a/values", .name = "post", .handler = handler},
        {HTTP_GET, "/api/*", .name = "api rest", .handler = handler},
        {HTTP_GET, "/", .name = "root", .handler = handler},
        {HTTP_PUT, "/metrics/job/*", .name = "push", .handler = handler},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_route_add(&table, &routes[i]);
    check(HTTP_GET, "/api/a/values", "literal", "");
    check(HTTP_POST, "/api/a/values", "post", "");
    check(HTTP_GET, "/api/b/values", "param", "b");
    check(HTTP_GET, "/api//values", "api rest", "/values");
    check(HTTP_GET, "/api/b/other", "api rest", "b/other");
    check(HTTP_GET, "/api/b", "api rest", "b");
    check(HTTP_GET, "/api", "rest", "api");
    check(HTTP_GET, "/", "root", "");
    check(HTTP_GET, "/x/y/z", "rest", "x/y/z");
    check(HTTP_PUT, "/metrics/job/a/b/c", "push", "a/b/c");
    check(HTTP_PUT, "/metrics/job", NULL, "");
    check(HTTP_DELETE, "/api/a/values", NULL, "");
    check(HTTP_GET, "", NULL, "");
    check(HTTP_GET, "*", NULL, "");
    check(0, "/", NULL, "");
}

static void test_allowed(void **unused)
{
    struct slice params[HTTP_PATH_PARAM_MAX] = {{0}};
    unsigned allowed;

    (void)unused;
    assert_null(http_route_find(&table, HTTP_DELETE, SLICE("/api/a/values"), params, &allowed));
    assert_int_equal(HTTP_GET | HTTP_POST, allowed);
    assert_null(http_route_find(&table, HTTP_GET, SLICE("nowhere"), params, &allowed));
    assert_int_equal(0, allowed);
    http_route_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
