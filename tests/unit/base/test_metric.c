/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/metric.h"
#include "support/check.h"

struct sample_metrics {
    struct metric_counter requests, busy_ns, split_a, split_b;
    struct metric_gauge depth;
    struct metric_histogram seconds;
    struct metric_family *codes;
    int computed;
};

static double read_computed(const void *metrics)
{
    return ((const struct sample_metrics *)metrics)->computed;
}

static void collect_items(const void *metrics, struct metric_emit *emit)
{
    (void)metrics;
    metric_emit_value(emit, &SLICE("a\"b"), 1);
    metric_emit_value(emit, &SLICE("c\nd\\"), NAN);
}

static const struct metric_buckets two_buckets = {.count = 2, .bounds = {0.5, 1}};

static const struct metric_desc descs[] = {
    {"z_requests_total", METRIC_COUNTER, offsetof(struct sample_metrics, requests),
     .help = "All.\nReally \\ \"all\"."},
    {"busy_seconds_total", METRIC_COUNTER, offsetof(struct sample_metrics, busy_ns), .scale = 1e-9,
     .help = "Time."},
    {"split_total", METRIC_COUNTER, offsetof(struct sample_metrics, split_a), .fixed = "side=\"a\"",
     .help = "Split."},
    {"split_total", METRIC_COUNTER, offsetof(struct sample_metrics, split_b), .fixed = "side=\"b\"",
     .help = "Split."},
    {"depth", METRIC_GAUGE, offsetof(struct sample_metrics, depth), .help = "Depth."},
    {"seconds", METRIC_HISTOGRAM, offsetof(struct sample_metrics, seconds), .buckets = &two_buckets,
     .help = "Seconds."},
    {"codes_total", METRIC_COUNTER, offsetof(struct sample_metrics, codes),
     .labels = "handler,code", .help = "Codes."},
    {"computed", METRIC_GAUGE_FN, .read = read_computed, .help = "Computed."},
    {"items", METRIC_GAUGE_COLLECT, .collect = collect_items, .labels = "item", .help = "Items."},
};

static void fill(struct sample_metrics *m)
{
    metric_add(&m->requests, 3);
    metric_add(&m->busy_ns, 1500000000);
    metric_inc(&m->split_b);
    metric_gauge_set(&m->depth, 2.5);
    metric_gauge_add(&m->depth, -1);
    metric_observe(&m->seconds, 0.25);
    metric_observe(&m->seconds, 0.5);
    metric_observe(&m->seconds, 7);
    m->computed = 42;
    metric_inc(metric_family_counter(m->codes, (struct slice[]){SLICE("/b"), SLICE("200")}));
    metric_inc(metric_family_counter(m->codes, (struct slice[]){SLICE("/a"), SLICE("404")}));
    metric_inc(metric_family_counter(m->codes, (struct slice[]){SLICE("/a"), SLICE("404")}));
}

static void check_page(enum metric_format format, const char *want)
{
    struct metric_registry *registry = metric_registry_new();
    struct sample_metrics m = {0};
    struct buf out;

    metric_register(registry, descs, COUNT_OF(descs), &m);
    fill(&m);
    buf_init(&out, 1 << 16);
    metric_write(registry, format, &out);
    check_slice(want, buf_slice(&out));
    buf_fini(&out);
    metric_unregister(registry, descs, COUNT_OF(descs), &m);
    metric_registry_free(registry);
}

static void test_text(void **state)
{
    (void)state;
    check_page(METRIC_TEXT, "# HELP busy_seconds_total Time.\n"
                            "# TYPE busy_seconds_total counter\n"
                            "busy_seconds_total 1.5\n"
                            "# HELP codes_total Codes.\n"
                            "# TYPE codes_total counter\n"
                            "codes_total{handler=\"/a\",code=\"404\"} 2\n"
                            "codes_total{handler=\"/b\",code=\"200\"} 1\n"
                            "# HELP computed Computed.\n"
                            "# TYPE computed gauge\n"
                            "computed 42\n"
                            "# HELP depth Depth.\n"
                            "# TYPE depth gauge\n"
                            "depth 1.5\n"
                            "# HELP items Items.\n"
                            "# TYPE items gauge\n"
                            "items{item=\"a\\\"b\"} 1\n"
                            "items{item=\"c\\nd\\\\\"} NaN\n"
                            "# HELP seconds Seconds.\n"
                            "# TYPE seconds histogram\n"
                            "seconds_bucket{le=\"0.5\"} 2\n"
                            "seconds_bucket{le=\"1\"} 2\n"
                            "seconds_bucket{le=\"+Inf\"} 3\n"
                            "seconds_sum 7.75\n"
                            "seconds_count 3\n"
                            "# HELP split_total Split.\n"
                            "# TYPE split_total counter\n"
                            "split_total{side=\"a\"} 0\n"
                            "split_total{side=\"b\"} 1\n"
                            "# HELP z_requests_total All.\\nReally \\\\ \"all\".\n"
                            "# TYPE z_requests_total counter\n"
                            "z_requests_total 3\n");
}

static void test_openmetrics(void **state)
{
    (void)state;
    check_page(METRIC_OPENMETRICS, "# HELP busy_seconds Time.\n"
                                   "# TYPE busy_seconds counter\n"
                                   "busy_seconds_total 1.5\n"
                                   "# HELP codes Codes.\n"
                                   "# TYPE codes counter\n"
                                   "codes_total{handler=\"/a\",code=\"404\"} 2.0\n"
                                   "codes_total{handler=\"/b\",code=\"200\"} 1.0\n"
                                   "# HELP computed Computed.\n"
                                   "# TYPE computed gauge\n"
                                   "computed 42.0\n"
                                   "# HELP depth Depth.\n"
                                   "# TYPE depth gauge\n"
                                   "depth 1.5\n"
                                   "# HELP items Items.\n"
                                   "# TYPE items gauge\n"
                                   "items{item=\"a\\\"b\"} 1.0\n"
                                   "items{item=\"c\\nd\\\\\"} NaN\n"
                                   "# HELP seconds Seconds.\n"
                                   "# TYPE seconds histogram\n"
                                   "seconds_bucket{le=\"0.5\"} 2.0\n"
                                   "seconds_bucket{le=\"1.0\"} 2.0\n"
                                   "seconds_bucket{le=\"+Inf\"} 3.0\n"
                                   "seconds_sum 7.75\n"
                                   "seconds_count 3.0\n"
                                   "# HELP split Split.\n"
                                   "# TYPE split counter\n"
                                   "split_total{side=\"a\"} 0.0\n"
                                   "split_total{side=\"b\"} 1.0\n"
                                   "# HELP z_requests All.\\nReally \\\\ \\\"all\\\".\n"
                                   "# TYPE z_requests counter\n"
                                   "z_requests_total 3.0\n"
                                   "# EOF\n");
}

static void test_accept(void **state)
{
    (void)state;
    assert_int_equal(METRIC_TEXT, metric_format_from_accept(SLICE("")));
    assert_int_equal(METRIC_TEXT, metric_format_from_accept(SLICE("*/*")));
    assert_int_equal(METRIC_TEXT, metric_format_from_accept(SLICE("text/html, text/plain;q=0.1")));
    assert_int_equal(METRIC_OPENMETRICS, metric_format_from_accept(SLICE(
                                             "application/openmetrics-text;version=1.0.0;q=0.6, "
                                             "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")));
    assert_int_equal(METRIC_TEXT, metric_format_from_accept(SLICE(
                                      "application/openmetrics-text;q=0.2,text/plain;q=0.5")));
}

static void *count_up(void *ptr)
{
    struct sample_metrics *m = ptr;

    for (int i = 0; i < 10000; i++) {
        metric_inc(&m->requests);
        metric_gauge_add(&m->depth, 1);
        metric_observe(&m->seconds, 0.1);
        if (i % 100 == 0)
            metric_inc(metric_family_counter(m->codes, (struct slice[]){SLICE("/"), SLICE("200")}));
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct metric_registry *registry = metric_registry_new();
    struct sample_metrics m = {0};
    pthread_t threads[4];
    struct buf out;

    (void)state;
    metric_register(registry, descs, COUNT_OF(descs), &m);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, count_up, &m));
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 20; i++)
        metric_write(registry, METRIC_TEXT, &out);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(40000, metric_get(&m.requests));
    assert_true(metric_gauge_get(&m.depth) == 40000);
    assert_int_equal(400, metric_get(metric_family_counter(
                              m.codes, (struct slice[]){SLICE("/"), SLICE("200")})));
    buf_fini(&out);
    metric_registry_free(registry);
}

static void test_process(void **state)
{
    struct metric_registry *registry = metric_registry_new();
    struct buf out;

    (void)state;
    metric_register_process(registry);
    buf_init(&out, 1 << 16);
    metric_write(registry, METRIC_TEXT, &out);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.data, "\nprocess_cpu_seconds_total "));
    assert_non_null(strstr(out.data, "\nprocess_resident_memory_bytes "));
    assert_null(strstr(out.data, "\nprocess_resident_memory_bytes 0\n"));
    assert_null(strstr(out.data, "\nprocess_start_time_seconds 0\n"));
    assert_null(strstr(out.data, "\nprocess_open_fds 0\n"));
    buf_fini(&out);
    metric_registry_free(registry);
}

static void test_without_registry(void **state)
{
    struct sample_metrics m = {0};

    (void)state;
    metric_register(NULL, descs, COUNT_OF(descs), &m);
    fill(&m);
    metric_family_remove(m.codes, (struct slice[]){SLICE("/a"), SLICE("404")});
    metric_unregister(NULL, descs, COUNT_OF(descs), &m);
    assert_null(m.codes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_accept),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_process), cmocka_unit_test(test_without_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
