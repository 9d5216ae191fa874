/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/fake_appender.h"

#include <stdio.h>
#include <string.h>

#include "scraper/scrape_append.h"

/* Bodies against a fake appender, without loop and network. */

struct fixture {
    struct prometheus_config *config;
    struct target *target;
    struct hash_key key;
    struct scrape_cache cache;
    struct arena scratch;
    struct fake_appender fake;
    struct scrape_append append;
    struct scrape_report report;
};

static void start(struct fixture *f, const char *section)
{
    const struct prometheus_config_options options = {0};
    const uint8_t seed[HASH_KEY_SEED_SIZE] = {3};
    const struct label own = {SLICE("__address__"), SLICE("h:1")};
    struct err_info info = {0};
    char yaml[1024];

    memset(f, 0, sizeof(*f));
    snprintf(yaml, sizeof(yaml), "scrape_configs:\n- job_name: j\n%s", section);
    check_err_info(
        ERR_OK, prometheus_config_parse(&options, slice_from_cstr(yaml), &f->config, &info), &info);
    check_err_info(
        ERR_OK,
        target_new(&(struct target_source){.scrape = &f->config->scrapes[0], .own = {&own, 1}},
                   &f->target, &info),
        &info);
    hash_key_init(&f->key, seed);
    scrape_cache_init(&f->cache, &f->key);
    arena_init(&f->scratch, NULL, 1 << 20);
    fake_appender_init(&f->fake);
    f->append = (struct scrape_append){.scrape = &f->config->scrapes[0],
                                       .target = f->target,
                                       .tenant = SLICE("t"),
                                       .hash_key = &f->key,
                                       .cache = &f->cache,
                                       .scratch = &f->scratch,
                                       .t_ms = 1000};
}

static void stop(struct fixture *f)
{
    fake_appender_fini(&f->fake);
    arena_fini(&f->scratch);
    scrape_cache_fini(&f->cache);
    target_unref(f->target);
    prometheus_config_unref(f->config);
}

static void on_done(void *owner, const struct append_result *result)
{
    (void)owner;
    check_err(ERR_OK, result->err);
}

static void begin(struct fixture *f)
{
    const struct append_options options = {.tenant = SLICE("t")};

    check_err(ERR_OK, appender_begin(&f->fake.base, &options, &f->append.txn, NULL));
}

/* One scrape; refusal NULL: it is good. */
static void scrape(struct fixture *f, const char *type, const char *body, const char *refusal)
{
    struct err_info info = {0};
    enum err err;

    f->append.scraped_count = f->append.relabelled_count = f->append.added_series_count = 0;
    f->append.duplicate_count = 0;
    begin(f);
    err = scrape_append_body(&f->append, slice_from_cstr(type), slice_from_cstr(body), &info);
    if (refusal == NULL) {
        check_err_info(ERR_OK, err, &info);
    } else {
        assert_int_not_equal(err, ERR_OK);
        check_message(refusal, &info);
        append_abort(f->append.txn);
        begin(f);
    }
    scrape_append_stale(&f->append, err == ERR_OK);
    append_commit(f->append.txn, on_done, NULL);
    scrape_cache_settle(&f->cache, (struct scrape_cache_outcome){true, err == ERR_OK});
    f->append.t_ms += 1000;
}

static void check_last(struct fixture *f, const char *series, double v, int64_t t_ms)
{
    struct fake_sample sample;

    if (!fake_appender_last(&f->fake, series, &sample))
        fail_msg("%s has no sample", series);
    if (sample_value_bits(sample.v) != sample_value_bits(v) || sample.t_ms != t_ms)
        fail_msg("%s is %g at %lld", series, sample.v, (long long)sample.t_ms);
}

static double stale(void)
{
    return sample_value_from_bits(SAMPLE_STALE_BITS);
}

/* A fault at the end of a body ends the series that stood before it too. */
static void test_fault_ends_all(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "");
    scrape(&f, "text/plain", "a 1\nb 2\n", NULL);
    scrape(&f, "text/plain", "a 3\nb 4\n{oops\n", "");
    check_last(&f, "a{instance=\"h:1\", job=\"j\"}", stale(), 2000);
    check_last(&f, "b{instance=\"h:1\", job=\"j\"}", stale(), 2000);
    scrape(&f, "text/plain", "a 5\n", NULL);
    check_last(&f, "a{instance=\"h:1\", job=\"j\"}", 5, 3000);
    assert_int_equal(fake_appender_count(&f.fake, "b{instance=\"h:1\", job=\"j\"}"), 2);
    stop(&f);
}

static void test_counts(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "  metric_relabel_configs:\n"
              "  - {action: drop, source_labels: [__name__], regex: d}\n");
    scrape(&f, "text/plain", "a 1\na 2\nb 3\nd 4\n", NULL);
    assert_int_equal(f.append.scraped_count, 4);
    assert_int_equal(f.append.relabelled_count, 3);
    assert_int_equal(f.append.added_series_count, 2);
    assert_int_equal(f.append.duplicate_count, 1);
    check_last(&f, "a{instance=\"h:1\", job=\"j\"}", 1, 1000);
    scrape(&f, "text/plain", "a 1\nb 3\nd 4\n", NULL);
    assert_int_equal(f.append.scraped_count, 3);
    assert_int_equal(f.append.relabelled_count, 2);
    assert_int_equal(f.append.added_series_count, 0);
    stop(&f);
}

static void check_refusal(const char *section, const char *body, const char *message)
{
    struct fixture f;

    start(&f, section);
    scrape(&f, "text/plain", body, message);
    assert_int_equal(f.fake.sample_count, 0);
    stop(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refusal("  metric_relabel_configs: [{target_label: __name__, replacement: ''}]\n",
                  "a 1\n", "missing metric name (__name__ label)");
    check_refusal("  metric_name_validation_scheme: legacy\n", "{\"a.b\"} 1\n", "a.b");
    check_refusal("  sample_limit: 1\n", "a 1\nb 1\n", "sample limit exceeded");
    check_refusal("  label_limit: 3\n", "a{x=\"y\"} 1\n", "label_limit exceeded (metric: a,");
    check_refusal("  label_name_length_limit: 8\n", "a{long_name=\"y\"} 1\n",
                  "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9");
    check_refusal("  label_value_length_limit: 3\n", "a{x=\"long\"} 1\n",
                  "label_value_length_limit exceeded (metric: a, label name: x, value: \"long\"");
}

static void test_content_types(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "");
    scrape(&f, "", "a 1\n", "");
    scrape(&f, "application/json", "a 1\n", "");
    scrape(&f, "", "", NULL);
    assert_int_equal(f.fake.sample_count, 0);
    stop(&f);
    start(&f, "  fallback_scrape_protocol: PrometheusText0.0.4\n");
    scrape(&f, "", "a 1\n", NULL);
    scrape(&f, "application/json", "a 2\n", NULL);
    check_last(&f, "a{instance=\"h:1\", job=\"j\"}", 2, 2000);
    stop(&f);
}

/* le is written as OpenMetrics does, whatever the body says, and its type belongs to the key. */
static void test_normalised_le(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "");
    scrape(&f, "text/plain", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", NULL);
    check_last(&f, "h_bucket{instance=\"h:1\", job=\"j\", le=\"1.0\"}", 1, 1000);
    scrape(&f, "text/plain", "h_bucket{le=\"1\"} 2\n", NULL);
    check_last(&f, "h_bucket{instance=\"h:1\", job=\"j\", le=\"1\"}", 2, 2000);
    check_last(&f, "h_bucket{instance=\"h:1\", job=\"j\", le=\"1.0\"}", stale(), 2000);
    stop(&f);
}

static void test_reports(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "  extra_scrape_metrics: true\n");
    for (int i = 0; i < SCRAPE_REPORT_COUNT; i++)
        f.report.values[i] = i;
    for (int i = 0; i < 2; i++) {
        begin(&f);
        scrape_append_report(&f.append, &f.report, i == 1);
        append_commit(f.append.txn, on_done, NULL);
    }
    assert_int_equal(f.fake.sample_count, 2 * SCRAPE_REPORT_COUNT);
    assert_int_equal(f.fake.resolve_count, SCRAPE_REPORT_COUNT);
    check_last(&f, "scrape_timeout_seconds{instance=\"h:1\", job=\"j\"}", stale(), 1000);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_ends_all), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_normalised_le),  cmocka_unit_test(test_reports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
