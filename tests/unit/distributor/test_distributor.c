/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/distributor.h"

#include <stdio.h>

#include "base/env_real.h"
#include "support/check.h"

/* An ingester that notes what reaches it and answers at once. */
struct fake_ingester {
    struct appender appender;
    struct append_txn txn;
    enum err begin_err;
    enum append_verdict resolve_verdict, add_verdict;
    struct append_result result;
    uint32_t adds, commits, aborts;
};

static enum err fake_begin(struct appender *appender, const struct append_options *options,
                           struct append_txn **txn, struct err_info *info)
{
    struct fake_ingester *fake = (struct fake_ingester *)appender;

    (void)options;
    if (fake->begin_err != ERR_OK)
        return err_set(info, fake->begin_err, "fake");
    fake->txn.appender = appender;
    *txn = &fake->txn;
    return ERR_OK;
}

static enum append_verdict fake_resolve(struct append_txn *txn, struct hash128 hash,
                                        struct label_set labels, uint64_t *ref)
{
    struct fake_ingester *fake = CONTAINER_OF(txn, struct fake_ingester, txn);

    (void)hash;
    (void)labels;
    *ref = 1;
    return fake->resolve_verdict;
}

static enum append_verdict fake_add(struct append_txn *txn, const struct series_key *key,
                                    const struct append_item *item)
{
    struct fake_ingester *fake = CONTAINER_OF(txn, struct fake_ingester, txn);

    (void)key;
    (void)item;
    fake->adds++;
    return fake->add_verdict;
}

static void fake_commit(struct append_txn *txn, append_done_fn *done, void *owner)
{
    struct fake_ingester *fake = CONTAINER_OF(txn, struct fake_ingester, txn);

    fake->commits++;
    done(owner, &fake->result);
}

static void fake_abort(struct append_txn *txn)
{
    CONTAINER_OF(txn, struct fake_ingester, txn)->aborts++;
}

static const struct appender_ops fake_ops = {fake_begin, fake_resolve, fake_add, fake_commit,
                                             fake_abort};

static const struct distributor_settings settings = {
    .request_size_max = 1 << 20,
    .future_ms_max = 600000,
    .label_count_max = 3,
    .label_name_size_max = 10,
    .label_value_size_max = 20,
    .alias_count_max = 1000,
};

struct fixture {
    struct env env;
    struct hash_key key;
    struct fake_ingester fake;
    struct distributor *distributor;
    struct append_txn *txn;
    struct append_result result;
    uint32_t answers;
};

static void setup(struct fixture *f)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};

    memset(f, 0, sizeof(*f));
    env_real_init(&f->env);
    hash_key_init(&f->key, seed);
    f->fake.appender.ops = &fake_ops;
    f->distributor = distributor_new(&(struct distributor_options){
        .env = &f->env, .ingester = &f->fake.appender, .hash_key = &f->key, .settings = &settings});
}

static void on_done(void *owner, const struct append_result *result)
{
    struct fixture *f = owner;

    f->result = *result;
    f->answers++;
}

static void begin(struct fixture *f)
{
    check_err(ERR_OK,
              appender_begin(distributor_appender(f->distributor),
                             &(struct append_options){.tenant = SLICE("t")}, &f->txn, NULL));
}

static enum append_verdict resolve(struct fixture *f, const struct label *labels, uint32_t count)
{
    const struct label_set set = {labels, count};
    uint64_t ref;

    return append_resolve(f->txn, (struct hash128){1, 2}, set, &ref);
}

static void test_labels_are_checked_before_the_ingester(void **state)
{
    static const struct label good[] = {{SLICE("__name__"), SLICE("up")}};
    static const struct label no_name[] = {{SLICE("job"), SLICE("a")}};
    static const struct label long_value[] = {{SLICE("__name__"), SLICE("up")},
                                              {SLICE("a"), SLICE("123456789012345678901")}};
    static const struct label many[] = {{SLICE("__name__"), SLICE("up")},
                                        {SLICE("a"), SLICE("1")},
                                        {SLICE("b"), SLICE("1")},
                                        {SLICE("c"), SLICE("1")}};
    struct fixture f;

    (void)state;
    setup(&f);
    begin(&f);
    assert_int_equal(resolve(&f, good, 1), APPEND_OK);
    assert_int_equal(resolve(&f, no_name, 1), APPEND_BAD_LABELS);
    assert_int_equal(resolve(&f, long_value, 2), APPEND_BAD_LABELS);
    assert_int_equal(resolve(&f, many, 4), APPEND_BAD_LABELS);
    append_commit(f.txn, on_done, &f);
    assert_int_equal(f.answers, 1);
    assert_non_null(strstr(f.result.texts[APPEND_BAD_LABELS], "no metric name"));
    distributor_free(f.distributor);
}

static void test_far_future_stays_outside(void **state)
{
    const struct series_key key = {.ref = 1};
    struct append_item item = {.kind = APPEND_FLOAT, .v = 1};
    struct fixture f;

    (void)state;
    setup(&f);
    begin(&f);
    item.t_ms = env_now_ms(&f.env);
    assert_int_equal(append_add(f.txn, &key, &item), APPEND_OK);
    item.t_ms += 3600000;
    assert_int_equal(append_add(f.txn, &key, &item), APPEND_TOO_NEW);
    f.fake.result.counts[APPEND_OUT_OF_ORDER] = 5;
    snprintf(f.fake.result.texts[APPEND_OUT_OF_ORDER], APPEND_TEXT_SIZE, "the ingester's");
    append_commit(f.txn, on_done, &f);
    assert_int_equal(f.fake.adds, 1);
    assert_int_equal(f.result.counts[APPEND_TOO_NEW], 1);
    assert_int_equal(f.result.counts[APPEND_OUT_OF_ORDER], 5);
    assert_string_equal(f.result.texts[APPEND_OUT_OF_ORDER], "the ingester's");
    assert_string_equal(f.result.texts[APPEND_TOO_NEW], append_verdict_text(APPEND_TOO_NEW));
    distributor_free(f.distributor);
}

static void test_failures_pass_through(void **state)
{
    struct fixture f;
    struct err_info info = {{0}};

    (void)state;
    setup(&f);
    f.fake.begin_err = ERR_NO_SPACE;
    check_err(ERR_NO_SPACE,
              appender_begin(distributor_appender(f.distributor),
                             &(struct append_options){.tenant = SLICE("t")}, &f.txn, &info));
    f.fake.begin_err = ERR_OK;
    begin(&f);
    f.fake.result.err = ERR_IO;
    append_commit(f.txn, on_done, &f);
    assert_int_equal(f.result.err, ERR_IO);
    begin(&f);
    append_abort(f.txn);
    assert_int_equal(f.fake.aborts, 1);
    distributor_free(f.distributor);
}

static void test_settings_that_contradict(void **state)
{
    struct distributor_settings bad = {.request_size_max = 32 << 20, .memory_max = 33 << 20};
    struct err_info info = {{0}};

    (void)state;
    check_err(ERR_BAD_INPUT, distributor_check_settings(&bad, &info));
    check_message("distributor.memory_max", &info);
    check_message("distributor.request_size_max", &info);
    bad.memory_max = 64 << 20;
    check_err(ERR_OK, distributor_check_settings(&bad, NULL));
}

static void test_defaults_are_those_of_limits(void **state)
{
    const struct limits limits = limits_default();
    struct distributor_settings defaults;
    struct settings parsed;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    settings_init(&parsed, &arena);
    settings_add(&parsed, distributor_setting_table, distributor_setting_count, &defaults);
    assert_int_equal(limits.label_count_max, defaults.label_count_max);
    assert_int_equal(limits.label_name_size_max, defaults.label_name_size_max);
    assert_int_equal(limits.label_value_size_max, defaults.label_value_size_max);
    assert_int_equal(limits.request_size_max, defaults.request_size_max);
    assert_int_equal(limits.future_ms_max, defaults.future_ms_max);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_are_checked_before_the_ingester),
        cmocka_unit_test(test_far_future_stays_outside),
        cmocka_unit_test(test_failures_pass_through),
        cmocka_unit_test(test_defaults_are_those_of_limits),
        cmocka_unit_test(test_settings_that_contradict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
