/* SPDX-License-Identifier: Apache-2.0 */
#include "model/relabel.h"

#include <string.h>

#include "support/check.h"

enum { SOURCE_MAX = 4 };

/* A rule as tests write it: NULL leaves a default. */
struct rule {
    const char *action, *sources[SOURCE_MAX], *separator, *regex, *target, *replacement;
    uint64_t modulus;
    enum label_scheme scheme;
};

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static enum err make(const struct rule *rule, struct relabel_config *config, struct err_info *info)
{
    struct relabel_spec spec = relabel_spec_default();
    struct slice sources[SOURCE_MAX];

    for (uint32_t i = 0; i < SOURCE_MAX && rule->sources[i] != NULL; i++)
        sources[spec.source_label_count++] = slice_from_cstr(rule->sources[i]);
    spec.source_labels = sources;
    spec.modulus = rule->modulus;
    spec.scheme = rule->scheme;
    if (rule->action != NULL)
        spec.action = slice_from_cstr(rule->action);
    if (rule->separator != NULL)
        spec.separator = slice_from_cstr(rule->separator);
    if (rule->regex != NULL)
        spec.regex = slice_from_cstr(rule->regex);
    if (rule->target != NULL)
        spec.target_label = slice_from_cstr(rule->target);
    if (rule->replacement != NULL)
        spec.replacement = slice_from_cstr(rule->replacement);
    return relabel_init(config, &arena, &spec, info);
}

/* Applies one rule to {a="foo", b="bar", c="baz"}; want NULL: dropped. */
static void check(struct rule rule, const char *want)
{
    const struct label labels[] = {
        {SLICE("a"), SLICE("foo")}, {SLICE("b"), SLICE("bar")}, {SLICE("c"), SLICE("baz")}};
    struct relabel_config config;
    struct label_builder builder;
    struct err_info info = {0};
    struct buf out;
    bool kept;

    check_err_info(ERR_OK, make(&rule, &config, &info), &info);
    label_builder_init(&builder, &arena, (struct label_set){labels, COUNT_OF(labels)});
    kept = relabel_apply(&config, 1, &builder);
    check_err(ERR_OK, builder.err);
    assert_int_equal(want != NULL, kept);
    if (want == NULL)
        return;
    buf_init(&out, 10000);
    label_set_print_plain(&out, label_builder_set_view(&builder));
    check_slice(want, buf_slice(&out));
    buf_fini(&out);
}

#define ALL "{a=\"foo\", b=\"bar\", c=\"baz\"}"

static void test_replace(void **state)
{
    (void)state;
    check(
        (struct rule){
            .sources = {"a"}, .regex = "f(.*)", .target = "d", .replacement = "ch${1}-ch${1}"},
        "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"choo-choo\"}");
    check((struct rule){.sources = {"a", "b"},
                        .regex = "f(.*);(.*)r",
                        .target = "a",
                        .replacement = "b${1}${2}m"},
          "{a=\"boobam\", b=\"bar\", c=\"baz\"}");
    check((struct rule){.sources = {"a", "x", "b"}, .separator = "", .target = "d"},
          "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"foobar\"}");
    check((struct rule){.sources = {"a"}, .regex = "no", .target = "d", .replacement = "x"}, ALL);
    check(
        (struct rule){
            .sources = {"a"}, .regex = ".*(oo).*", .target = "d_$1", .replacement = "$$1$0"},
        "{a=\"foo\", b=\"bar\", c=\"baz\", d_oo=\"$1foo\"}");
    /* An empty result deletes; an empty source with a constant sets. */
    check((struct rule){.sources = {"a"}, .target = "b", .replacement = ""},
          "{a=\"foo\", c=\"baz\"}");
    check((struct rule){.sources = {"x"}, .target = "b"}, "{a=\"foo\", c=\"baz\"}");
    check((struct rule){.target = "d", .replacement = "v"},
          "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"v\"}");
    check(
        (struct rule){.sources = {"a"}, .regex = "(f).*", .target = "d", .replacement = "${1}$1x"},
        "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"f\"}");
    /* A target that expands to no label name changes nothing. */
    check((struct rule){.sources = {"a"}, .regex = "(f)(.*)", .target = "${3}", .replacement = "x"},
          ALL);
}

static void test_keep_and_drop(void **state)
{
    (void)state;
    check((struct rule){.action = "keep", .sources = {"a"}, .regex = "foo"}, ALL);
    check((struct rule){.action = "KEEP", .sources = {"a"}, .regex = "fo"}, NULL);
    check((struct rule){.action = "drop", .sources = {"a"}, .regex = ".*o.*"}, NULL);
    check((struct rule){.action = "Drop", .sources = {"a"}, .regex = "f|no"}, ALL);
    check((struct rule){.action = "keepequal", .sources = {"a"}, .target = "b"}, NULL);
    check((struct rule){.action = "dropequal", .sources = {"a"}, .target = "b"}, ALL);
    check((struct rule){.action = "keepequal", .sources = {"a"}, .target = "a"}, ALL);
    check((struct rule){.action = "dropequal", .sources = {"x"}, .target = "y"}, NULL);
}

static void test_names(void **state)
{
    (void)state;
    check((struct rule){.action = "labelmap", .regex = "(b|c)", .replacement = "x_${1}"},
          "{a=\"foo\", b=\"bar\", c=\"baz\", x_b=\"bar\", x_c=\"baz\"}");
    check((struct rule){.action = "labeldrop", .regex = "a|b"}, "{c=\"baz\"}");
    check((struct rule){.action = "labelkeep", .regex = "a|b"}, "{a=\"foo\", b=\"bar\"}");
}

static void test_values(void **state)
{
    (void)state;
    check((struct rule){.action = "uppercase", .sources = {"a"}, .target = "d"},
          "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"FOO\"}");
    check((struct rule){.action = "lowercase", .sources = {"x"}, .target = "a"},
          "{b=\"bar\", c=\"baz\"}");
    check((struct rule){.action = "hashmod",
                        .sources = {"c"},
                        .separator = ";",
                        .target = "d",
                        .modulus = 1000},
          "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"976\"}");
}

static void test_list(void **state)
{
    const struct rule rules[] = {
        {.sources = {"a"}, .regex = "f(o+)", .target = "d", .replacement = "$1"},
        {.action = "drop", .sources = {"d"}, .regex = "oo"},
        {.target = "never", .replacement = "set"},
    };
    const struct label labels[] = {{SLICE("a"), SLICE("foo")}};
    struct relabel_config configs[COUNT_OF(rules)];
    struct label_builder builder;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        check_err(ERR_OK, make(&rules[i], &configs[i], NULL));
    label_builder_init(&builder, &arena, (struct label_set){labels, 1});
    assert_false(relabel_apply(configs, COUNT_OF(rules), &builder));
    check_slice("oo", label_builder_get(&builder, SLICE("d")));
    assert_int_equal(0, label_builder_get(&builder, SLICE("never")).len);
}

static void check_fault(struct rule rule, const char *part)
{
    struct relabel_config config;
    struct err_info info = {0};

    check_err(ERR_BAD_INPUT, make(&rule, &config, &info));
    check_message(part, &info);
}

static void test_faults(void **state)
{
    (void)state;
    check_fault((struct rule){.action = ""}, "relabel action cannot be empty");
    check_fault((struct rule){.action = "jump"}, "unknown relabel action \"jump\"");
    check_fault((struct rule){.sources = {"a"}}, "replace action requires 'target_label' value");
    check_fault((struct rule){.action = "lowercase"}, "lowercase action requires 'target_label'");
    check_fault((struct rule){.action = "hashmod", .target = "a"}, "requires non-zero modulus");
    check_fault((struct rule){.action = "hashmod", .modulus = 8},
                "hashmod action requires 'target_label'");
    check_fault((struct rule){.action = "hashmod", .modulus = 8, .target = "\xff"},
                "is invalid 'target_label' for hashmod action");
    check_fault((struct rule){.target = "\xff"}, "is invalid 'target_label' for replace action");
    check_fault((struct rule){.target = "a b", .scheme = LABEL_SCHEME_LEGACY},
                "is invalid 'target_label' for replace action");
    check_fault((struct rule){.target = "a-${1}", .scheme = LABEL_SCHEME_LEGACY},
                "is invalid 'target_label' for replace action");
    check_fault((struct rule){.action = "labelmap", .replacement = "\xff$1"},
                "is invalid 'replacement' for labelmap action");
    check_fault((struct rule){.action = "uppercase", .target = "a", .replacement = "x"},
                "'replacement' can not be set for uppercase action");
    check_fault((struct rule){.action = "keepequal", .target = "a", .regex = "x"},
                "keepequal action requires only 'source_labels' and 'target_label'");
    check_fault((struct rule){.action = "labeldrop", .sources = {"a"}},
                "labeldrop action requires only 'regex', and no other fields");
    check_fault((struct rule){.action = "labelkeep", .separator = ","},
                "labelkeep action requires only 'regex', and no other fields");
    check_fault((struct rule){.target = "a", .regex = "("}, "missing closing )");
    check_fault((struct rule){.target = "a", .sources = {"\xff"}}, "is not a valid label name");
}

static void test_legacy_templates(void **state)
{
    const char *good[] = {"a", "$1", "${1}_x", "a_${name}", "${1}$2", "a$1b"};
    const char *bad[] = {"a-$1", "$", "a${", "a${1", "9$1", "${-1}", "$1 "};
    struct relabel_config config;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const struct rule rule = {.target = good[i], .scheme = LABEL_SCHEME_LEGACY};

        check_err(ERR_OK, make(&rule, &config, NULL));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct rule rule = {.target = bad[i], .scheme = LABEL_SCHEME_LEGACY};

        if (make(&rule, &config, NULL) == ERR_OK)
            fail_msg("%s was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_keep_and_drop),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_legacy_templates),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
