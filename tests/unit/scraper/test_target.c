/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "scraper/target.h"

static struct prometheus_config *parse(const char *text)
{
    const struct prometheus_config_options options = {0};
    struct prometheus_config *config;
    struct err_info info = {0};

    check_err_info(ERR_OK, prometheus_config_parse(&options, slice_from_cstr(text), &config, &info),
                   &info);
    return config;
}

static enum err make(const struct scrape_config *scrape, const char *address,
                     struct target **target, struct err_info *info)
{
    const struct label own[] = {{SLICE("__address__"), slice_from_cstr(address)}};
    const struct label group[] = {{SLICE("__meta_x"), SLICE("y")}, {SLICE("env"), SLICE("prod")}};
    const struct target_source source = {
        .scrape = scrape, .own = {own, 1}, .group = {group, COUNT_OF(group)}};

    return target_new(&source, target, info);
}

static void check_target(const char *yaml, const char *url, const char *labels)
{
    struct prometheus_config *config = parse(yaml);
    struct err_info info = {0};
    struct target *target;
    struct buf text;

    check_err_info(ERR_OK, make(&config->scrapes[0], "host:80", &target, &info), &info);
    buf_init(&text, 1 << 16);
    if (target->is_dropped) {
        assert_null(url);
    } else {
        check_slice(url, target->url);
        label_set_print(&text, target->public_labels);
        check_slice(labels, buf_slice(&text));
        assert_false(label_set_has(target->labels, SLICE("__meta_x")));
        check_slice("y", label_set_get(target->discovered, SLICE("__meta_x")));
    }
    buf_fini(&text);
    target_unref(target);
    prometheus_config_unref(config);
}

static void test_labels(void **state)
{
    (void)state;
    check_target("scrape_configs: [{job_name: j}]", "http://host:80/metrics",
                 "{env=\"prod\", instance=\"host:80\", job=\"j\"}");
    check_target("scrape_configs: [{job_name: j, scheme: https, metrics_path: 'a b/?c',"
                 " params: {z: ['1', '2'], a: ['x y&']}}]",
                 "https://host:80/a%20b/%3Fc?a=x+y%26&z=1&z=2",
                 "{env=\"prod\", instance=\"host:80\", job=\"j\"}");
    check_target("scrape_configs:\n- job_name: j\n  params: {b: [x, y]}\n  relabel_configs:\n"
                 "  - {target_label: __param_b, replacement: new}\n"
                 "  - {target_label: __param_a, replacement: more}\n"
                 "  - {target_label: instance, replacement: i}\n"
                 "  - {target_label: job, replacement: ''}\n"
                 "  - {source_labels: [__meta_x], target_label: meta}\n",
                 "http://host:80/metrics?a=more&b=new&b=y",
                 "{env=\"prod\", instance=\"i\", meta=\"y\"}");
    check_target("scrape_configs:\n- job_name: j\n  relabel_configs:\n"
                 "  - {action: drop, source_labels: [env], regex: prod}\n",
                 NULL, NULL);
}

static void check_refusal(const char *rules, const char *address, const char *message)
{
    char yaml[512];
    struct prometheus_config *config;
    struct err_info info = {0};
    struct target *target;

    snprintf(yaml, sizeof(yaml), "scrape_configs:\n- job_name: j\n  relabel_configs:\n  - %s\n",
             rules);
    config = parse(yaml);
    check_err(ERR_BAD_INPUT, make(&config->scrapes[0], address, &target, &info));
    check_message(message, &info);
    prometheus_config_unref(config);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refusal("{target_label: __address__, replacement: ''}", "h:1", "no address");
    check_refusal("{target_label: a}", "http://h", "\"http://h\" is not a valid hostname");
    check_refusal("{target_label: __scrape_interval__, replacement: x}", "h:1",
                  "error parsing scrape interval");
    check_refusal("{target_label: __scrape_interval__, replacement: 0s}", "h:1",
                  "scrape interval cannot be 0");
    check_refusal("{target_label: __scrape_timeout__, replacement: 2m}", "h:1",
                  "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")");
    check_refusal("{target_label: __scrape_native_histograms__, replacement: maybe}", "h:1",
                  "error parsing scrape native histograms");
}

/* Offsets lie in the interval, differ by seed, and spread over targets. */
static void test_offsets(void **state)
{
    struct prometheus_config *config = parse("scrape_configs: [{job_name: j}]");
    int by_quarter[4] = {0};
    struct err_info info = {0};

    (void)state;
    for (int i = 0; i < 400; i++) {
        char address[32];
        struct target *target;
        int64_t offset_ms;

        snprintf(address, sizeof(address), "10.0.0.%d:9100", i);
        check_err_info(ERR_OK, make(&config->scrapes[0], address, &target, &info), &info);
        offset_ms = target_offset_ms(target, 7);
        assert_in_range(offset_ms, 0, 59999);
        assert_int_equal(offset_ms, target_offset_ms(target, 7));
        assert_int_not_equal(offset_ms, target_offset_ms(target, 8));
        by_quarter[offset_ms / 15000]++;
        target_unref(target);
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(by_quarter[i], 60, 140);
    prometheus_config_unref(config);
}

static void test_identity(void **state)
{
    struct prometheus_config *one = parse("scrape_configs: [{job_name: j}]");
    struct prometheus_config *two = parse("scrape_configs: [{job_name: j, scrape_interval: 30s}]");
    struct target *a, *b, *c;
    struct err_info info = {0};

    (void)state;
    check_err_info(ERR_OK, make(&one->scrapes[0], "h:1", &a, &info), &info);
    check_err_info(ERR_OK, make(&two->scrapes[0], "h:1", &b, &info), &info);
    check_err_info(ERR_OK, make(&one->scrapes[0], "h:2", &c, &info), &info);
    assert_true(a->key == b->key && a->identity != b->identity);
    assert_true(a->key != c->key && a->identity != c->identity);
    target_unref(a);
    target_unref(b);
    target_unref(c);
    prometheus_config_unref(one);
    prometheus_config_unref(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
