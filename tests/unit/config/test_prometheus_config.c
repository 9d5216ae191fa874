/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "config/prometheus_config.h"
#include "model/relabel.h"

static struct prometheus_config *parse(const char *text)
{
    const struct prometheus_config_options options = {.path = "dir/p.yml"};
    struct prometheus_config *config;
    struct err_info info = {0};

    check_err_info(ERR_OK, prometheus_config_parse(&options, slice_from_cstr(text), &config, &info),
                   &info);
    return config;
}

static void check_refusal(const char *text, const char *message)
{
    const struct prometheus_config_options options = {.path = "p.yml"};
    struct prometheus_config *config;
    struct err_info info = {0};

    if (prometheus_config_parse(&options, slice_from_cstr(text), &config, &info) == ERR_OK)
        fail_msg("accepted: %s", text);
    if (strcmp(info.message, message) != 0)
        fail_msg("\"%s\", not \"%s\"", info.message, message);
}

static void test_defaults(void **state)
{
    struct prometheus_config *config = parse("");

    (void)state;
    assert_int_equal(config->global.scrape_interval_ms, 60000);
    assert_int_equal(config->global.scrape_timeout_ms, 10000);
    assert_int_equal(config->global.evaluation_interval_ms, 60000);
    assert_int_equal(config->scrape_count, 0);
    assert_null(config->narthex);
    prometheus_config_unref(config);
    config = parse("global: {scrape_interval: 5s}\nscrape_configs: [{job_name: j}]\n");
    assert_int_equal(config->scrapes[0].interval_ms, 5000);
    assert_int_equal(config->scrapes[0].timeout_ms, 5000); /* not above the interval */
    assert_true(config->scrapes[0].honor_timestamps);
    assert_true(config->scrapes[0].http.follow_redirects);
    check_slice("/metrics", config->scrapes[0].metrics_path);
    check_slice("http", config->scrapes[0].scheme);
    assert_int_equal(config->scrapes[0].protocol_count, 4);
    assert_int_equal(config->scrapes[0].protocols[0], SCRAPE_PROTOCOL_OPENMETRICS_1_0_0);
    prometheus_config_unref(config);
}

static void test_scrape_section(void **state)
{
    struct prometheus_config *config = parse(
        "global: {sample_limit: 7, label_limit: 3, body_size_limit: 1MB,"
        " metric_name_validation_scheme: legacy}\n"
        "scrape_configs:\n"
        "- job_name: j\n"
        "  label_limit: 5\n"
        "  scrape_protocols: [PrometheusText0.0.4]\n"
        "  fallback_scrape_protocol: OpenMetricsText0.0.1\n"
        "  params: {z: [a, b], a: [c]}\n"
        "  bearer_token: t0p\n"
        "  tls_config: {ca_file: ca.pem, min_version: TLS12}\n"
        "  http_headers: {X-A: {values: [v], secrets: [s], files: [f]}}\n"
        "  static_configs: [{targets: ['a:1', 'b:2'], labels: {z: x, a: ''}}, {targets: [c:3]}]\n"
        "  file_sd_configs: [{files: ['t/*.json'], refresh_interval: 30s}]\n"
        "  consul_sd_configs: [{}]\n"
        "  relabel_configs: [{action: LABELDROP, regex: x}]\n"
        "  metric_relabel_configs: [{target_label: a}, {action: keep, source_labels: [b]}]\n");
    const struct scrape_config *scrape = &config->scrapes[0];

    (void)state;
    assert_int_equal(scrape->limits.samples, 7);
    assert_int_equal(scrape->limits.labels, 5);
    assert_int_equal(scrape->limits.body_size_bytes, 1 << 20);
    assert_int_equal(scrape->name_scheme, LABEL_SCHEME_LEGACY);
    assert_int_equal(scrape->name_escaping, ESCAPE_UNDERSCORES);
    assert_int_equal(scrape->protocol_count, 1);
    assert_int_equal(scrape->fallback_protocol, SCRAPE_PROTOCOL_OPENMETRICS_0_0_1);
    check_slice("a", scrape->params[0].name);
    check_slice("b", scrape->params[1].values[1]);
    assert_true(scrape->http.has_authorization);
    check_slice("Bearer", scrape->http.auth_type);
    check_slice("t0p", scrape->http.credentials);
    check_slice("dir/ca.pem", scrape->http.tls.ca_file);
    assert_int_equal(scrape->http.tls.version_min, HTTP_CONFIG_TLS12);
    check_slice("dir/f", scrape->http.headers[0].files[0]);
    assert_int_equal(scrape->discovery_count, 3);
    assert_int_equal(scrape->discovery[0].kind, DISCOVERY_OTHER);
    check_slice("consul", scrape->discovery[0].name);
    assert_int_equal(scrape->discovery[1].kind, DISCOVERY_FILE);
    check_slice("dir/t/*.json", scrape->discovery[1].file.patterns[0]);
    assert_int_equal(scrape->discovery[1].file.refresh_interval_ms, 30000);
    assert_int_equal(scrape->discovery[2].kind, DISCOVERY_STATIC);
    assert_int_equal(scrape->discovery[2].fixed.count, 2);
    assert_int_equal(scrape->discovery[2].fixed.groups[0].labels.count, 1);
    assert_int_equal(scrape->relabel[0].action, RELABEL_LABEL_DROP);
    assert_int_equal(scrape->metric_relabel_count, 2);
    prometheus_config_unref(config);
}

static void test_external_labels(void **state)
{
    struct prometheus_config *config;
    struct label_set labels;

    (void)state;
    setenv("NX_TEST_VARIABLE", "value", 1);
    unsetenv("NX_TEST_MISSING");
    config = parse("global:\n  external_labels:\n    a: x${NX_TEST_VARIABLE}y\n"
                   "    b: $NX_TEST_VARIABLE-z\n    c: $$NX_TEST_VARIABLE\n"
                   "    d: a${NX_TEST_MISSING}\n    e: $NX_TEST_MISSING\n    f: 5$\n"
                   "    g: ${unclosed\n");
    labels = config->global.external_labels;
    check_slice("xvaluey", label_set_get(labels, SLICE("a")));
    check_slice("value-z", label_set_get(labels, SLICE("b")));
    check_slice("$NX_TEST_VARIABLE", label_set_get(labels, SLICE("c")));
    check_slice("a", label_set_get(labels, SLICE("d")));
    assert_false(label_set_has(labels, SLICE("e")));
    check_slice("5$", label_set_get(labels, SLICE("f")));
    check_slice("unclosed", label_set_get(labels, SLICE("g")));
    prometheus_config_unref(config);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refusal("globall: {}", "p.yml:1: field globall not found in the configuration");
    check_refusal("a: 1\na: 2\n", "p.yml:2: mapping key \"a\" already defined at line 1");
    check_refusal("global:\n  scrape_interval: 5\n",
                  "p.yml:2: scrape_interval: not a valid duration string: \"5\"");
    check_refusal("global:\n  sample_limit: -1\n",
                  "p.yml:2: sample_limit: \"-1\" is no whole number of 0 or more");
    check_refusal("scrape_configs:\n- job_name: j\n  honor_labels: maybe\n",
                  "p.yml:3: honor_labels: \"maybe\" is neither true nor false");
    check_refusal("scrape_configs: {}",
                  "p.yml:1: scrape_configs: expected a list, found a mapping");
    check_refusal("scrape_configs:\n- job_name: j\n  static_configs:\n  - targets:\n    - [a]\n",
                  "p.yml:5: targets: expected a single value, found a list");
    check_refusal("rule_files: ['a/*/b.yml']", "p.yml:1: invalid rule file path \"a/*/b.yml\"");
    check_refusal("rule_files: ['[']", "p.yml:1: invalid rule file path \"[\"");
    check_refusal("rule_files: ['[]']", "p.yml:1: invalid rule file path \"[]\"");
    check_refusal("scrape_config_files: ['a\\']",
                  "p.yml:1: invalid scrape config file path \"a\\\"");
    prometheus_config_unref(parse("rule_files: ['[a]', '[^]]x', 'a\\[', '*[ab].yml']"));
    check_refusal("narthex: 1", "p.yml:1: narthex: expected a mapping");
    check_refusal("[]", "p.yml:1: the configuration: expected a mapping, found a list");
    check_refusal("scrape_configs:\n- job_name: j\n  file_sd_configs: [{files: ['*/x.yml']}]\n",
                  "p.yml:3: path name \"*/x.yml\" is not valid for file discovery");
}

struct unserved {
    char text[1024];
};

static void on_unserved(void *owner, struct slice file, uint32_t line, struct slice path)
{
    struct unserved *unserved = owner;
    const size_t len = strlen(unserved->text);

    snprintf(unserved->text + len, sizeof(unserved->text) - len, "%.*s:%u:%.*s ", SLICE_ARG(file),
             line, SLICE_ARG(path));
}

static void test_unserved(void **state)
{
    struct prometheus_config *config = parse(
        "global:\n  query_log_file: x\n  scrape_interval: 1s\nrule_files: [a]\n"
        "scrape_configs:\n- job_name: j\n  tls_config:\n    ca_ref: x\n    min_version: TLS12\n"
        "  enable_http2: true\n  dns_sd_configs: [{names: [x]}]\n"
        "  scrape_native_histograms: false\nnarthex: {a: 1}\n");
    struct unserved unserved = {""};

    (void)state;
    assert_int_equal(prometheus_config_unserved(config, on_unserved, &unserved), 4);
    assert_string_equal(unserved.text, "dir/p.yml:2:global.query_log_file dir/p.yml:4:rule_files "
                                       "dir/p.yml:8:scrape_configs[0].tls_config.ca_ref "
                                       "dir/p.yml:11:scrape_configs[0].dns_sd_configs ");
    assert_non_null(yaml_find(config->narthex, "a"));
    prometheus_config_unref(config);
}

/* A value may be unserved where its key is served. */
static void test_unserved_values(void **state)
{
    struct prometheus_config *config =
        parse("global:\n  scrape_protocols: [PrometheusText0.0.4, PrometheusProto]\n"
              "scrape_configs:\n- job_name: inherits\n- job_name: b\n"
              "  scrape_protocols:\n  - PrometheusProto\n  - PrometheusText1.0.0\n"
              "  fallback_scrape_protocol: PrometheusProto\n"
              "- job_name: c\n  scrape_protocols: [PrometheusText1.0.0]\n"
              "  fallback_scrape_protocol: PrometheusText1.0.0\n");
    struct unserved unserved = {""};

    (void)state;
    assert_int_equal(prometheus_config_unserved(config, on_unserved, &unserved), 3);
    assert_string_equal(unserved.text,
                        "dir/p.yml:2:global.scrape_protocols[1]: PrometheusProto "
                        "dir/p.yml:7:scrape_configs[1].scrape_protocols[0]: PrometheusProto "
                        "dir/p.yml:9:scrape_configs[1].fallback_scrape_protocol: PrometheusProto ");
    prometheus_config_unref(config);
}

static void test_print_hides_secrets(void **state)
{
    struct prometheus_config *config = parse(
        "scrape_configs:\n- job_name: 'yes'\n  basic_auth: {username: u, password: hidden1}\n"
        "  proxy_url: http://u:hidden2@h/\n"
        "  http_headers: {A: {secrets: [hidden3]}}\n"
        "remote_write: [{url: 'http://u:hidden4@h/', authorization: {credentials: hidden5}}]\n"
        "remote_read: [{url: http://h/, bearer_token: hidden6}]\n");
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    prometheus_config_print(config, &out);
    buf_add_byte(&out, 0);
    assert_null(strstr(out.data, "hidden"));
    assert_non_null(strstr(out.data, "- job_name: \"yes\"\n"));
    assert_non_null(strstr(out.data, "    password: <secret>\n"));
    assert_non_null(strstr(out.data, "proxy_url: http://u:xxxxx@h/\n"));
    assert_non_null(memmem(config->scrapes[0].fingerprint.data, config->scrapes[0].fingerprint.len,
                           "hidden1", 7));
    buf_fini(&out);
    prometheus_config_unref(config);
}

/* Narthex's own part is shown as it was written, and reads back as the same. */
static void test_print_own_part(void **state)
{
    static const char own[] =
        "narthex:\n  storage:\n    block_range: 30s\n    series_max: 7\n  x:\n  - a\n  - \"yes\"\n"
        "  z: {}\n";
    struct prometheus_config *config = parse(own);
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    prometheus_config_print(config, &out);
    buf_add_byte(&out, 0);
    assert_non_null(strstr(out.data, own));
    buf_fini(&out);
    prometheus_config_unref(config);
}

static void test_remote_write(void **state)
{
    struct prometheus_config *config = parse(
        "remote_write:\n- url: http://a/b\n"
        "- url: http://c/d\n  name: second\n  remote_timeout: 3s\n  headers: {A: b}\n"
        "  send_exemplars: true\n  protobuf_message: io.prometheus.write.v2.Request\n"
        "  write_relabel_configs: [{action: drop, source_labels: [x], regex: y}]\n"
        "  queue_config: {capacity: 7, max_shards: 6, min_shards: 5, max_samples_per_send: 4, "
        "batch_send_deadline: 3s, min_backoff: 2s, max_backoff: 9s, retry_on_http_429: true, "
        "sample_age_limit: 1h}\n"
        "  metadata_config: {send: false, send_interval: 2m}\n"
        "  sigv4: {region: r}\n");
    const struct remote_write_config *first, *second;
    struct unserved unserved = {""};

    (void)state;
    assert_int_equal(2, config->remote_write_count);
    first = &config->remote_writes[0];
    second = &config->remote_writes[1];
    check_slice("http://a/b", first->url);
    assert_int_equal(0, first->name.len);
    assert_int_equal(30000, first->timeout_ms);
    assert_false(first->is_v2 || first->send_exemplars || !first->send_metadata);
    assert_int_equal(10000, first->queue.capacity);
    assert_int_equal(50, first->queue.max_shards);
    assert_int_equal(1, first->queue.min_shards);
    assert_int_equal(2000, first->queue.max_samples_per_send);
    assert_int_equal(5000, first->queue.batch_send_deadline_ms);
    assert_int_equal(30, first->queue.min_backoff_ms);
    assert_int_equal(5000, first->queue.max_backoff_ms);
    check_slice("second", second->name);
    assert_int_equal(3000, second->timeout_ms);
    assert_int_equal(1, second->headers.count);
    assert_int_equal(1, second->relabel_count);
    assert_true(second->is_v2 && second->send_exemplars && !second->send_metadata);
    assert_int_equal(7, second->queue.capacity);
    assert_true(second->queue.retry_on_http_429);
    assert_int_equal(3600000, second->queue.sample_age_limit_ms);
    assert_false(slice_eq(first->fingerprint, second->fingerprint));
    assert_int_equal(2, prometheus_config_unserved(config, on_unserved, &unserved));
    assert_string_equal(unserved.text, "dir/p.yml:11:remote_write[1].metadata_config.send_interval "
                                       "dir/p.yml:12:remote_write[1].sigv4 ");
    prometheus_config_unref(config);
}

static void test_life(void **state)
{
    struct prometheus_config *one = parse("{}"), *two = parse("{}");

    (void)state;
    assert_true(two->generation > one->generation);
    assert_ptr_equal(prometheus_config_ref(one), one);
    prometheus_config_unref(one);
    assert_int_equal(one->global.scrape_interval_ms, 60000);
    prometheus_config_unref(one);
    prometheus_config_unref(two);
    prometheus_config_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),        cmocka_unit_test(test_scrape_section),
        cmocka_unit_test(test_external_labels), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unserved),        cmocka_unit_test(test_print_hides_secrets),
        cmocka_unit_test(test_unserved_values), cmocka_unit_test(test_print_own_part),
        cmocka_unit_test(test_remote_write),    cmocka_unit_test(test_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
