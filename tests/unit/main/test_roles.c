/* SPDX-License-Identifier: Apache-2.0 */
#include "main/roles.h"

#include "base/mem.h"
#include "main/flags.h"
#include "support/check.h"

static enum err parse(const char *text, unsigned *roles, struct err_info *info)
{
    struct slice items[8];
    struct setting_list list = {items, 0};

    while (*text != '\0') {
        const size_t len = strcspn(text, ",");
        items[list.count++] = slice_of(text, len);
        text += len + (text[len] == ',');
    }
    return roles_parse(&list, roles, info);
}

static void test_sets_that_can_run(void **state)
{
    static const struct {
        const char *text;
        unsigned roles;
    } cases[] = {
        {"all", ROLE_ALL},
        {"ingester", ROLE_INGESTER},
        {"querier,ingester", ROLE_INGESTER | ROLE_QUERIER},
        {"scraper", ROLE_SCRAPER},
        {"scraper,distributor", ROLE_SCRAPER | ROLE_DISTRIBUTOR},
        {"distributor,ingester", ROLE_INGESTER | ROLE_DISTRIBUTOR},
        {"scraper,distributor,ingester,querier", ROLE_ALL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsigned roles = 0;
        check_err(ERR_OK, parse(cases[i].text, &roles, NULL));
        assert_int_equal(roles, cases[i].roles);
    }
}

static void test_sets_that_cannot_name_what_is_missing(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"querier", "\"querier\" needs \"ingester\""},
        {"scraper,querier", "\"querier\" needs \"ingester\""},
        {"all,ruller", "unknown target \"ruller\""},
        {"", "no target"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err_info info = {{0}};
        unsigned roles = 0;
        check_err(ERR_BAD_INPUT, parse(cases[i].text, &roles, &info));
        check_message(cases[i].part, &info);
    }
}

static void note_flag(void *owner, struct slice name)
{
    struct buf *out = owner;

    buf_add_slice(out, name);
    buf_add_byte(out, ' ');
}

/* A start script of upstream works: what is not served is accepted and told of. */
static void test_flags_of_upstream(void **state)
{
    char a0[] = "server", a1[] = "--storage.tsdb.path=/tmp/x",
         a2[] = "--storage.tsdb.retention.time=15d", a3[] = "--web.enable-lifecycle",
         a4[] = "--storage.tsdb.wal-compression", a5[] = "--web.listen-address=127.0.0.1:0",
         a6[] = "--web.listen-address", a7[] = "[::1]:0";
    char *argv[] = {a0, a1, a2, a3, a4, a5, a6, a7, NULL};
    struct flags *flags = mem_alloc(sizeof(*flags));
    struct settings_args args;
    struct arena arena;
    struct err_info info = {{0}};
    struct buf names;

    (void)state;
    arena_init(&arena, NULL, 0);
    buf_init(&names, 4096);
    flags_init(flags, &arena);
    check_err_info(ERR_OK, settings_parse_flags(&flags->settings, 7, argv + 1, &args, &info),
                   &info);
    assert_true(flags->server.enable_lifecycle);
    assert_true(flags->server.enable_remote_write_receiver);
    check_slice("/tmp/x", flags->server.storage_tsdb_path);
    assert_int_equal(flags->server.listen_addresses.count, 2);
    flags_unserved(flags, note_flag, &names);
    check_slice("storage.tsdb.wal-compression ", buf_slice(&names));
    buf_fini(&names);
    arena_fini(&arena);
    mem_free(flags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_that_can_run),
        cmocka_unit_test(test_sets_that_cannot_name_what_is_missing),
        cmocka_unit_test(test_flags_of_upstream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
