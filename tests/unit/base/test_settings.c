/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/settings.h"
#include "support/check.h"

struct target {
    bool on;
    int64_t count, range_ms;
    uint64_t size;
    double ratio;
    struct slice path;
    int mode;
    struct setting_list names;
};

static const char *const modes[] = {"fast", "safe", NULL};

static const struct setting table[] = {
    {"a.on", SETTING_BOOL, offsetof(struct target, on), .value = "true", .help = "Switch."},
    {"a.count", SETTING_INT, offsetof(struct target, count), .value = "5", .min = "1", .max = "10",
     .help = "How many there are.", .letter = 'n'},
    {"a.range", SETTING_DURATION, offsetof(struct target, range_ms), .value = "2h", .min = "1s",
     .max = "24h", .flags = SETTING_RELOADABLE, .help = "Time range."},
    {"b.size", SETTING_SIZE, offsetof(struct target, size), .value = "1MB", .help = "Size."},
    {"b.ratio", SETTING_DOUBLE, offsetof(struct target, ratio), .value = "0.5", .help = "Ratio."},
    {"path", SETTING_STRING, offsetof(struct target, path), .value = "data",
     .flags = SETTING_FLAG_ONLY, .help = "Where."},
    {"mode", SETTING_ENUM, offsetof(struct target, mode), .value = "safe", .choices = modes,
     .help = "How."},
    {"names", SETTING_LIST, offsetof(struct target, names), .value = "x,y", .help = "Names."},
};

struct fixture {
    struct arena arena;
    struct settings settings;
    struct target target;
    struct settings_args args;
    struct err_info info;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    arena_init(&f->arena, NULL, 0);
    settings_init(&f->settings, &f->arena);
    settings_add(&f->settings, table, COUNT_OF(table), &f->target);
}

static enum err parse_flags(struct fixture *f, int argc, const char *const *args)
{
    static char *argv[16];

    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)args[i];
    return settings_parse_flags(&f->settings, argc, argv, &f->args, &f->info);
}

static enum err parse_file(struct fixture *f, const char *text)
{
    struct yaml_node *root;

    check_err(ERR_OK, yaml_parse(&f->arena, slice_from_cstr(text),
                                 &(struct yaml_options){.file = "c.yml"}, &root, &f->info));
    return settings_parse_yaml(&f->settings, root, &f->info);
}

static void test_defaults(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    assert_true(f.target.on);
    assert_int_equal(5, f.target.count);
    assert_int_equal(7200000, f.target.range_ms);
    assert_int_equal(1 << 20, f.target.size);
    assert_true(f.target.ratio == 0.5);
    check_slice("data", f.target.path);
    assert_int_equal(1, f.target.mode);
    assert_int_equal(2, f.target.names.count);
    arena_fini(&f.arena);
}

static void test_flags(void **state)
{
    static const char *const args[] = {"server",    "--a.count=7", "--no-a.on", "--a.range",
                                       "30m",       "--mode=fast", "--names=p", "--names=q,r",
                                       "--path=/x", "--",          "--last"};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    check_err_info(ERR_OK, parse_flags(&f, COUNT_OF(args), args), &f.info);
    assert_int_equal(7, f.target.count);
    assert_false(f.target.on);
    assert_int_equal(1800000, f.target.range_ms);
    assert_int_equal(0, f.target.mode);
    assert_int_equal(3, f.target.names.count);
    check_slice("r", f.target.names.items[2]);
    check_slice("/x", f.target.path);
    assert_int_equal(2, f.args.count);
    assert_string_equal("--last", f.args.items[1]);
    check_err(ERR_OK, parse_flags(&f, 3, (const char *[]){"-n", "3", "-h"}));
    assert_int_equal(3, f.target.count);
    assert_true(f.args.help);
    arena_fini(&f.arena);
}

static void check_flag_error(const char *arg, const char *message)
{
    struct fixture f;

    fixture_init(&f);
    check_err(ERR_BAD_INPUT, parse_flags(&f, 1, &arg));
    check_message(message, &f.info);
    arena_fini(&f.arena);
}

static void test_flag_errors(void **state)
{
    (void)state;
    check_flag_error("--nope=1", "unknown flag --nope");
    check_flag_error("-z", "unknown flag -z");
    check_flag_error("--a.count", "flag --a.count needs a value");
    check_flag_error("--a.count=x", "a.count: \"x\" is not a whole number");
    check_flag_error("--a.count=0", "a.count: 0 is below the minimum of 1");
    check_flag_error("--a.count=11", "a.count: 11 is above the maximum of 10");
    check_flag_error("--a.range=500ms", "a.range: 500ms is below the minimum of 1s");
    check_flag_error("--b.size=12X", "b.size: \"12X\" is not a size such as 512MB");
    check_flag_error("--mode=slow", "mode: \"slow\" is not one of fast, safe");
    check_flag_error("--a.on=maybe", "a.on: \"maybe\" is not true or false");
}

static void test_file(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    check_err(ERR_OK, parse_flags(&f, 1, (const char *[]){"--a.count=7"}));
    check_err_info(ERR_OK,
                   parse_file(&f, "a:\n  count: 9\n  on: false\nb.size: 2GiB\nnames: [k]\nmode:\n"),
                   &f.info);
    assert_int_equal(7, f.target.count); /* the flag stays */
    assert_false(f.target.on);
    assert_true(f.target.size == UINT64_C(2) << 30);
    assert_int_equal(1, f.target.names.count);
    assert_int_equal(1, f.target.mode);
    arena_fini(&f.arena);
}

static void check_file_error(const char *text, const char *message)
{
    struct fixture f;

    fixture_init(&f);
    check_err(ERR_BAD_INPUT, parse_file(&f, text));
    check_message(message, &f.info);
    arena_fini(&f.arena);
}

static void test_file_errors(void **state)
{
    (void)state;
    check_file_error("a:\n  nope: 1\n", "c.yml:2: unknown setting \"a.nope\"");
    check_file_error("a:\n  count: 99\n", "c.yml:2: a.count: 99 is above the maximum of 10");
    check_file_error("path: x\n", "c.yml:1: path can be set by its flag only");
    check_file_error("a.count: [1]\n", "c.yml:1: a.count: expected a whole number");
    check_file_error("[1]\n", "c.yml:1: expected a mapping");
}

static void collect(void *owner, const struct setting *setting, struct slice value)
{
    buf_printf(owner, "%s=%.*s ", setting->name, SLICE_ARG(value));
}

static void test_print(void **state)
{
    struct fixture f;
    struct buf out;

    (void)state;
    fixture_init(&f);
    buf_init(&out, 1 << 16);
    settings_visit(&f.settings, collect, &out);
    check_slice("a.on=true a.count=5 a.range=2h b.size=1MB b.ratio=0.5 path=data mode=safe "
                "names=x,y ",
                buf_slice(&out));
    buf_reset(&out);
    settings_write_help(&f.settings, &out);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.data, "  -n, --a.count=5\n        How many there are.\n"
                                     "        From 1 to 10.\n"));
    assert_non_null(strstr(out.data, "  --[no-]a.on\n"));
    buf_reset(&out);
    settings_write_markdown(&f.settings, &out);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.data, "| `mode` | CHOICE | `safe` | fast, safe |  | How. |\n"));
    buf_fini(&out);
    arena_fini(&f.arena);
}

static void test_sizes(void **state)
{
    uint64_t v = 0;

    (void)state;
    check_err(ERR_OK, settings_parse_size(SLICE("12"), &v));
    assert_int_equal(12, v);
    check_err(ERR_OK, settings_parse_size(SLICE("3KiB"), &v));
    assert_int_equal(3072, v);
    check_err(ERR_OK, settings_parse_size(SLICE("3K"), &v));
    assert_int_equal(3072, v);
    check_err(ERR_OK, settings_parse_size(SLICE("5B"), &v));
    assert_int_equal(5, v);
    check_err(ERR_BAD_INPUT, settings_parse_size(SLICE("5iB"), &v));
    check_err(ERR_BAD_INPUT, settings_parse_size(SLICE("MB"), &v));
    check_err(ERR_BAD_INPUT, settings_parse_size(SLICE(""), &v));
    check_err(ERR_TOO_LARGE, settings_parse_size(SLICE("99EB"), &v));
}

/* Texts with commas in them, as series selectors have. */
static void test_whole_items(void **state)
{
    static const struct setting whole_table[] = {
        {"match", SETTING_LIST, 0, .flags = SETTING_WHOLE | SETTING_FLAG_ONLY, .help = "Series."},
    };
    const char *const args[] = {"--match={a=\"b\",c=\"d\"}", "--match", "x,y"};
    struct setting_list matches = {NULL, 0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    settings_add(&f.settings, whole_table, COUNT_OF(whole_table), &matches);
    check_err_info(ERR_OK, parse_flags(&f, 3, args), &f.info);
    assert_int_equal(2, matches.count);
    check_slice("{a=\"b\",c=\"d\"}", matches.items[0]);
    check_slice("x,y", matches.items[1]);
    arena_fini(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_items), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_flags),       cmocka_unit_test(test_flag_errors),
        cmocka_unit_test(test_file),        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_print),       cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
