/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/gen.h"

static struct label_set set_of(const struct label *items, uint32_t count)
{
    return (struct label_set){items, count};
}

static const struct label abc[] = {
    {SLICE("__name__"), SLICE("m")}, {SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}};

static void test_get(void **state)
{
    const struct label_set set = set_of(abc, 3);

    (void)state;
    check_slice("1", label_set_get(set, SLICE("a")));
    assert_int_equal(0, label_set_get(set, SLICE("c")).len);
    assert_true(label_set_has(set, SLICE("b")));
    assert_false(label_set_has(set, SLICE("")));
}

static void test_order(void **state)
{
    const struct label other[] = {{SLICE("__name__"), SLICE("m")}, {SLICE("b"), SLICE("0")}};

    (void)state;
    assert_int_equal(0, label_set_cmp(set_of(abc, 3), set_of(abc, 3)));
    assert_true(label_set_cmp(set_of(abc, 2), set_of(abc, 3)) < 0);
    assert_true(label_set_cmp(set_of(abc, 3), set_of(other, 2)) < 0);
    assert_true(label_set_cmp(set_of(other, 2), set_of(abc, 3)) > 0);
    assert_true(label_set_eq(set_of(abc, 3), set_of(abc, 3)));
    assert_false(label_set_eq(set_of(abc, 2), set_of(abc, 3)));
}

static void check_print(struct label_set set, const char *want, const char *want_plain)
{
    struct buf out;

    buf_init(&out, 1000);
    label_set_print(&out, set);
    check_slice(want, buf_slice(&out));
    buf_reset(&out);
    label_set_print_plain(&out, set);
    check_slice(want_plain, buf_slice(&out));
    buf_fini(&out);
}

static void test_print(void **state)
{
    const struct label odd[] = {{SLICE("__name__"), SLICE("m.x")},
                                {SLICE("a.b"), SLICE("q\"\\\n\x01\xc3\xa9")}};
    const struct label unnamed[] = {{SLICE("a"), SLICE("1")}};

    (void)state;
    check_print(set_of(NULL, 0), "{}", "{}");
    check_print(set_of(abc, 1), "m", "{__name__=\"m\"}");
    check_print(set_of(abc, 3), "m{a=\"1\", b=\"2\"}", "{__name__=\"m\", a=\"1\", b=\"2\"}");
    check_print(set_of(unnamed, 1), "{a=\"1\"}", "{a=\"1\"}");
    check_print(set_of(odd, 2), "{\"m.x\", \"a.b\"=\"q\\\"\\\\\\n\\x01\xc3\xa9\"}",
                "{__name__=\"m.x\", \"a.b\"=\"q\\\"\\\\\\n\\x01\xc3\xa9\"}");
}

static void check_fault(const struct label *items, uint32_t count, enum label_scheme scheme,
                        const char *part)
{
    struct err_info info = {0};

    check_err(ERR_BAD_INPUT, label_set_check(set_of(items, count), scheme, &info));
    check_message(part, &info);
}

static void test_check(void **state)
{
    const struct label twice[] = {{SLICE("a"), SLICE("1")}, {SLICE("a"), SLICE("1")}};
    const struct label order[] = {{SLICE("b"), SLICE("1")}, {SLICE("a"), SLICE("1")}};
    const struct label empty_name[] = {{SLICE(""), SLICE("1")}};
    const struct label empty_value[] = {{SLICE("a"), SLICE("")}};
    const struct label bad_value[] = {{SLICE("a"), SLICE("\xed\xa0\x80")}};
    const struct label dotted[] = {{SLICE("a.b"), SLICE("1")}};
    const struct label metric[] = {{SLICE("__name__"), SLICE("a.b")}};

    (void)state;
    check_err(ERR_OK, label_set_check(set_of(abc, 3), LABEL_SCHEME_LEGACY, NULL));
    check_err(ERR_OK, label_set_check(set_of(dotted, 1), LABEL_SCHEME_UTF8, NULL));
    check_fault(twice, 2, LABEL_SCHEME_UTF8, "label \"a\" is there twice");
    check_fault(order, 2, LABEL_SCHEME_UTF8, "label \"a\" is out of order");
    check_fault(empty_name, 1, LABEL_SCHEME_UTF8, "empty label name");
    check_fault(empty_value, 1, LABEL_SCHEME_UTF8, "label \"a\" has an empty value");
    check_fault(bad_value, 1, LABEL_SCHEME_UTF8, "not valid UTF-8");
    check_fault(dotted, 1, LABEL_SCHEME_LEGACY, "invalid label name \"a.b\"");
    check_fault(metric, 1, LABEL_SCHEME_LEGACY, "invalid metric name \"a.b\"");
}

static void test_names(void **state)
{
    (void)state;
    assert_true(label_name_is_legacy(SLICE("_a9")));
    assert_false(label_name_is_legacy(SLICE("9a")));
    assert_false(label_name_is_legacy(SLICE("a:b")));
    assert_false(label_name_is_legacy(SLICE("")));
    assert_true(label_metric_name_is_legacy(SLICE(":a:b9")));
    assert_false(label_metric_name_is_legacy(SLICE("9")));
    assert_false(label_name_is_valid(SLICE("a\xff"), LABEL_SCHEME_UTF8));
}

static struct slice gen_name(struct gen *gen, struct arena *arena)
{
    return arena_printf(arena, "n%u", (unsigned)gen_below(gen, 60));
}

/* The builder against a plain list. */
static void test_builder(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        struct slice values[60] = {{NULL, 0}};
        struct label_builder builder;
        struct label_set set;
        struct arena arena;
        uint32_t count = 0;

        arena_init(&arena, NULL, 0);
        label_builder_init(&builder, &arena, set_of(NULL, 0));
        for (uint64_t i = gen_below(&gen, 200); i > 0; i--) {
            const struct slice name = gen_name(&gen, &arena);
            const unsigned n = (unsigned)strtoul(arena_copy_cstr(&arena, name) + 1, NULL, 10);

            if (gen_chance(&gen, 4)) {
                label_builder_del(&builder, name);
                values[n].len = 0;
            } else {
                values[n] = gen_chance(&gen, 8) ? SLICE("") : arena_printf(&arena, "v%lu", i);
                label_builder_set(&builder, name, values[n]);
            }
        }
        set = label_builder_set_view(&builder);
        check_err(ERR_OK, builder.err);
        check_err(ERR_OK, label_set_check(set, LABEL_SCHEME_LEGACY, NULL));
        for (unsigned n = 0; n < 60; n++) {
            const struct slice name = arena_printf(&arena, "n%u", n);

            assert_true(slice_eq(values[n], label_builder_get(&builder, name)));
            count += values[n].len != 0;
        }
        assert_int_equal(count, set.count);
        arena_fini(&arena);
    }
}

static void test_builder_base(void **state)
{
    struct label_builder builder;
    struct label_set set;
    struct arena arena, small;

    (void)state;
    arena_init(&arena, NULL, 0);
    label_builder_init(&builder, &arena, set_of(abc, 3));
    label_builder_set(&builder, SLICE("aa"), SLICE("x"));
    label_builder_set(&builder, SLICE("b"), SLICE(""));
    set = label_builder_set_view(&builder);
    assert_int_equal(3, set.count);
    check_slice("aa", set.items[2].name);
    check_slice("1", abc[1].value);
    arena_fini(&arena);

    arena_init(&small, NULL, 16);
    label_builder_init(&builder, &small, set_of(abc, 3));
    check_err(ERR_LIMIT, builder.err);
    label_builder_set(&builder, SLICE("a"), SLICE("x"));
    assert_int_equal(0, label_builder_set_view(&builder).count);
    arena_fini(&small);
}

static void test_copy_and_sort(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 300)
    {
        struct label items[100];
        const uint32_t count = (uint32_t)gen_below(&gen, COUNT_OF(items) + 1);
        struct label_set copy;
        struct arena arena;

        arena_init(&arena, NULL, 0);
        for (uint32_t i = 0; i < count; i++)
            items[i] = (struct label){gen_name(&gen, &arena), SLICE("v")};
        label_sort(items, count);
        for (uint32_t i = 1; i < count; i++)
            assert_true(slice_cmp(items[i - 1].name, items[i].name) <= 0);
        copy = label_set_copy(&arena, set_of(items, count));
        assert_true(label_set_eq(copy, set_of(items, count)));
        arena_fini(&arena);
    }
}

static void test_hash(void **state)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    const struct label split[] = {{SLICE("a"), SLICE("bc")}};
    const struct label other[] = {{SLICE("ab"), SLICE("c")}};
    static char text[10000];
    const struct label large[] = {{SLICE("a"), {text, sizeof(text)}}};
    struct hash_key key;
    struct hash128 hash;

    (void)state;
    hash_key_init(&key, seed);
    hash = series_hash(&key, SLICE("t"), set_of(split, 1));
    assert_true(hash128_eq(hash, series_hash(&key, SLICE("t"), set_of(split, 1))));
    assert_false(hash128_eq(hash, series_hash(&key, SLICE("t"), set_of(other, 1))));
    assert_false(hash128_eq(hash, series_hash(&key, SLICE("u"), set_of(split, 1))));
    assert_false(hash128_eq(hash, series_hash(&key, SLICE("t"), set_of(large, 1))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),          cmocka_unit_test(test_order),
        cmocka_unit_test(test_print),        cmocka_unit_test(test_check),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_builder_base), cmocka_unit_test(test_copy_and_sort),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
