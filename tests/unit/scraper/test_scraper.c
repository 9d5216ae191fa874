/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/fake_appender.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env_real.h"
#include "config/prometheus_config.h"
#include "net/env_net.h"
#include "net/http_server.h"
#include "scraper/scraper.h"

/* The whole role against an HTTP server in this process and a fake appender. Scrapes come every
 * 100 ms; a test waits for what it expects. */

enum { WAIT_MS = 10000 };

struct page {
    pthread_mutex_t lock; /* guards the rest */
    int status;
    char body[4096], content_type[128];
    char last_accept[512], last_authorization[128], last_query[128];
    uint32_t hits;
};

struct fixture {
    struct env env;
    struct reactor_set *reactors;
    struct http_server *server;
    struct page page;
    struct fake_appender fake;
    struct hash_key key;
    struct metric_registry *metrics;
    struct scraper *scraper;
};

#define INSTANCE_LEN 64

static void keep_header(struct http_request *req, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%.*s", SLICE_ARG(http_request_header(req, name)));
}

static void on_metrics(struct http_request *req)
{
    struct fixture *f = req->owner;
    struct http_response response = {.body_is = HTTP_BODY_COPY};

    pthread_mutex_lock(&f->page.lock);
    f->page.hits++;
    keep_header(req, "accept", f->page.last_accept, sizeof(f->page.last_accept));
    keep_header(req, "authorization", f->page.last_authorization,
                sizeof(f->page.last_authorization));
    snprintf(f->page.last_query, sizeof(f->page.last_query), "%.*s", SLICE_ARG(req->query));
    response.status = f->page.status;
    response.body = slice_from_cstr(f->page.body);
    response.content_type = f->page.content_type;
    http_respond(req, &response);
    pthread_mutex_unlock(&f->page.lock);
}

static void set_page(struct fixture *f, int status, const char *body)
{
    pthread_mutex_lock(&f->page.lock);
    f->page.status = status;
    snprintf(f->page.body, sizeof(f->page.body), "%s", body);
    pthread_mutex_unlock(&f->page.lock);
}

static void set_type(struct fixture *f, const char *content_type)
{
    pthread_mutex_lock(&f->page.lock);
    snprintf(f->page.content_type, sizeof(f->page.content_type), "%s", content_type);
    pthread_mutex_unlock(&f->page.lock);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    struct err_info info = {0};

    memset(f, 0, sizeof(*f));
    hash_key_init(&f->key, seed);
    env_real_init(&f->env);
    f->metrics = metric_registry_new();
    pthread_mutex_init(&f->page.lock, NULL);
    set_type(f, "text/plain; version=0.0.4");
    set_page(f, 200, "a 1\n");
    fake_appender_init(&f->fake);
    check_err_info(ERR_OK, reactor_set_open(2, &f->reactors, &info), &info);
    check_err_info(ERR_OK,
                   env_net_open(&f->env, &(struct env_net_options){.reactors = f->reactors}, &info),
                   &info);
    check_err_info(ERR_OK,
                   http_server_open(&(struct http_server_options){.address = "127.0.0.1:0",
                                                                  .env = &f->env,
                                                                  .reactors = f->reactors},
                                    &f->server, &info),
                   &info);
    http_server_route(f->server, &(struct http_route){.methods = HTTP_GET,
                                                      .path = "/metrics",
                                                      .handler = on_metrics,
                                                      .owner = f,
                                                      .inline_size_max = SIZE_MAX});
    http_server_start(f->server);
    check_err_info(ERR_OK,
                   scraper_new(&(struct scraper_options){.env = &f->env,
                                                         .reactors = f->reactors,
                                                         .appender = &f->fake.base,
                                                         .hash_key = &f->key,
                                                         .metrics = f->metrics},
                               &f->scraper, &info),
                   &info);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    uint32_t commits;

    scraper_stop(f->scraper);
    commits = fake_appender_commits(&f->fake);
    usleep(150000);
    assert_int_equal(commits, fake_appender_commits(&f->fake)); /* nothing after stop */
    http_server_stop(f->server, env_mono_ns(&f->env) + 1000000000u);
    env_net_stop(&f->env);
    reactor_set_close(f->reactors);
    scraper_free(f->scraper);
    http_server_free(f->server);
    env_net_close(&f->env);
    fake_appender_fini(&f->fake);
    metric_registry_free(f->metrics);
    pthread_mutex_destroy(&f->page.lock);
    return 0;
}

/* Loads a job named "j" that scrapes the page, with more lines under it (each with its indent). */
static void load(struct fixture *f, const char *more)
{
    const struct prometheus_config_options options = {.env = &f->env};
    struct prometheus_config *config;
    struct err_info info = {0};
    char yaml[4096];

    snprintf(yaml, sizeof(yaml),
             "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
             "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['%s']}]\n"
             "  relabel_configs: [{target_label: instance, replacement: i}]\n%s",
             http_server_address(f->server), more);
    check_err_info(ERR_OK, prometheus_config_parse(&options, slice_from_cstr(yaml), &config, &info),
                   &info);
    check_err_info(ERR_OK, scraper_reload(f->scraper, config, &info), &info);
    prometheus_config_unref(config);
}

static void load_nothing(struct fixture *f)
{
    const struct prometheus_config_options options = {.env = &f->env};
    struct prometheus_config *config;
    struct err_info info = {0};

    check_err_info(ERR_OK, prometheus_config_parse(&options, SLICE("{}"), &config, &info), &info);
    check_err_info(ERR_OK, scraper_reload(f->scraper, config, &info), &info);
    prometheus_config_unref(config);
}

/* series without instance and job: "a{" "}" -> a{instance="i", job="j"} */
static const char *named(const char *name)
{
    static char text[8][256];
    static int turn;
    char *out = text[turn++ % 8];

    snprintf(out, sizeof(text[0]), "%s{instance=\"i\", job=\"j\"}", name);
    return out;
}

static bool has_value(struct fixture *f, const char *series, double v)
{
    struct fake_sample sample;

    return fake_appender_last(&f->fake, series, &sample) &&
           sample_value_bits(sample.v) == sample_value_bits(v);
}

static void wait_value(struct fixture *f, const char *series, double v)
{
    struct fake_sample sample = {0};

    for (int i = 0; i < WAIT_MS / 5; i++) {
        if (has_value(f, series, v))
            return;
        usleep(5000);
    }
    if (fake_appender_last(&f->fake, series, &sample))
        fail_msg("%s is %g, not %g", series, sample.v, v);
    for (uint32_t i = 0; i < f->fake.series_count; i++)
        print_error("there is %s\n", f->fake.series[i]);
    fail_msg("%s has no sample", series);
}

static double stale(void)
{
    return sample_value_from_bits(SAMPLE_STALE_BITS);
}

static void wait_commits(struct fixture *f, uint32_t more)
{
    const uint32_t want = fake_appender_commits(&f->fake) + more;

    for (int i = 0; i < WAIT_MS / 5 && fake_appender_commits(&f->fake) < want; i++)
        usleep(5000);
    assert_true(fake_appender_commits(&f->fake) >= want);
}

/* The text of /api/v1/targets' data. */
static void check_targets(struct fixture *f, const char *part)
{
    const struct scraper_filter filter = {0};
    struct buf text;

    buf_init(&text, 1 << 20);
    scraper_write_targets(f->scraper, &filter, &text);
    buf_add_byte(&text, 0);
    if (strstr(text.data, part) == NULL)
        fail_msg("no %s in %s", part, text.data);
    buf_fini(&text);
}

/* ---- tests ---- */

static void test_samples_and_reports(void **state)
{
    struct fixture *f = *state;
    struct fake_sample a, up;

    set_page(f, 200, "# TYPE a gauge\na 1.5\nb{x=\"y\"} 2\n");
    load(f, "");
    wait_value(f, named("a"), 1.5);
    wait_value(f, "b{instance=\"i\", job=\"j\", x=\"y\"}", 2);
    wait_value(f, named("up"), 1);
    wait_value(f, named("scrape_samples_scraped"), 2);
    wait_value(f, named("scrape_samples_post_metric_relabeling"), 2);
    assert_true(fake_appender_count(&f->fake, named("scrape_duration_seconds")) > 0);
    wait_value(f, named("scrape_series_added"), 0); /* the second time they are known */
    assert_true(fake_appender_last(&f->fake, named("a"), &a));
    assert_true(fake_appender_last(&f->fake, named("up"), &up));
    if (a.commit == up.commit)
        assert_int_equal(a.t_ms, up.t_ms);
    check_targets(f, "\"health\":\"up\"");
    check_targets(f, "\"lastError\":\"\"");
    check_targets(f, "\"scrapeInterval\":\"100ms\"");
}

/* How many samples of a series lie a whole number of ticks after the one before. */
static uint32_t count_on_grid(struct fixture *f, const char *series)
{
    uint32_t on_grid = 0;
    int64_t last_ms = 0;

    pthread_mutex_lock(&f->fake.lock);
    for (uint32_t i = 0; i < f->fake.sample_count; i++) {
        if (strcmp(f->fake.samples[i].series, series) != 0)
            continue;
        on_grid += last_ms != 0 && (f->fake.samples[i].t_ms - last_ms) % 100 == 0;
        last_ms = f->fake.samples[i].t_ms;
    }
    pthread_mutex_unlock(&f->fake.lock);
    return on_grid;
}

/* Times lie on one grid, 100 ms apart; each scrape resolves its series once. A busy machine is late
 * for many ticks, and off the grid by chance only one time in a hundred would be on it. */
static void test_grid_and_cache(void **state)
{
    struct fixture *f = *state;
    uint32_t resolved;

    load(f, "");
    wait_commits(f, 12);
    for (int i = 0; i < 10 && count_on_grid(f, named("a")) < 6; i++)
        wait_commits(f, 5);
    assert_true(count_on_grid(f, named("a")) >= 6);
    pthread_mutex_lock(&f->fake.lock);
    resolved = f->fake.resolve_count;
    pthread_mutex_unlock(&f->fake.lock);
    assert_int_equal(resolved, 6); /* a and five reports */
}

static void test_stale_series(void **state)
{
    struct fixture *f = *state;
    uint32_t count;

    set_page(f, 200, "a 1\nb 2\nc 3 1000\n");
    load(f, "");
    wait_value(f, named("b"), 2);
    wait_value(f, named("c"), 3);
    set_page(f, 200, "a 1\n");
    wait_value(f, named("b"), stale());
    count = fake_appender_count(&f->fake, named("b"));
    wait_commits(f, 3);
    assert_int_equal(count, fake_appender_count(&f->fake, named("b"))); /* one marker */
    assert_true(has_value(f, named("c"), 3)); /* explicit times get none */
    set_page(f, 200, "a 1\nb 5\n");
    wait_value(f, named("b"), 5);
}

static void test_failures(void **state)
{
    struct fixture *f = *state;

    load(f, "");
    wait_value(f, named("a"), 1);
    set_page(f, 503, "a 1\n");
    wait_value(f, named("up"), 0);
    wait_value(f, named("a"), stale());
    check_targets(f, "\"lastError\":\"server returned HTTP status 503 Service Unavailable\"");
    set_page(f, 200, "a 7\n");
    wait_value(f, named("a"), 7);
    wait_value(f, named("up"), 1);
    set_page(f, 200, "a 8\nb 1\nthis is {not\n"); /* nothing of it may be stored */
    wait_value(f, named("up"), 0);
    wait_value(f, named("a"), stale());
    assert_int_equal(fake_appender_count(&f->fake, named("b")), 0);
    set_page(f, 200, "a 9\n");
    set_type(f, "");
    wait_commits(f, 3);
    assert_true(has_value(f, named("a"), stale()));
    check_targets(f, "\"health\":\"down\"");
    set_type(f, "text/plain");
    wait_value(f, named("a"), 9);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;

    set_page(f, 200, "a 1\nb 2\nc 3\n");
    load(f, "  sample_limit: 2\n  extra_scrape_metrics: true\n");
    wait_value(f, named("up"), 0);
    wait_value(f, named("scrape_samples_scraped"), 3);
    wait_value(f, named("scrape_sample_limit"), 2);
    check_targets(f, "sample limit exceeded");
    assert_int_equal(fake_appender_count(&f->fake, named("a")), 0);
    load(f, "  label_limit: 2\n");
    wait_commits(f, 3);
    check_targets(f, "label_limit exceeded (metric: a, number of labels: 3, limit: 2)");
    load(f, "  body_size_limit: 8B\n  extra_scrape_metrics: true\n");
    wait_value(f, named("scrape_body_size_bytes"), -1);
    check_targets(f, "body size limit exceeded");
    load(f, "  label_value_length_limit: 1\n");
    wait_value(f, named("a"), 1);
    load(f, "  target_limit: 1\n");
    wait_commits(f, 3);
    wait_value(f, named("up"), 1);
    check_targets(f, "\"health\":\"up\"");
}

static void test_relabel_and_honor(void **state)
{
    struct fixture *f = *state;

    set_page(f, 200, "a{job=\"other\",instance=\"x\",exported_job=\"y\"} 1\ndrop_me 1\n");
    load(f, "  metric_relabel_configs:\n"
            "  - {action: drop, source_labels: [__name__], regex: drop_.*}\n");
    wait_value(f,
               "a{exported_exported_job=\"other\", exported_instance=\"x\", exported_job=\"y\", "
               "instance=\"i\", job=\"j\"}",
               1);
    wait_value(f, named("scrape_samples_scraped"), 2);
    wait_value(f, named("scrape_samples_post_metric_relabeling"), 1);
    assert_int_equal(fake_appender_count(&f->fake, named("drop_me")), 0);
    load(f, "  honor_labels: true\n");
    wait_value(f, "a{exported_job=\"y\", instance=\"x\", job=\"other\"}", 1);
    wait_value(f, named("drop_me"), 1);
    /* An empty value keeps the target's away. */
    set_page(f, 200, "b{job=\"\",instance=\"x\"} 1\nc{other=\"\"} 2\n");
    wait_value(f, "b{instance=\"x\"}", 1);
    wait_value(f, "c{instance=\"i\", job=\"j\"}", 2);
}

/* Rules that change end the series that they made before. */
static void test_reload_ends_old_series(void **state)
{
    struct fixture *f = *state;

    load(f, "");
    wait_value(f, named("a"), 1);
    load(f, "  metric_relabel_configs:\n  - {target_label: new, replacement: x}\n");
    wait_value(f, "a{instance=\"i\", job=\"j\", new=\"x\"}", 1);
    wait_value(f, named("a"), stale());
    wait_value(f, named("up"), 1);
}

static void test_timestamps(void **state)
{
    struct fixture *f = *state;
    struct fake_sample sample;

    set_page(f, 200, "a 1 1234\n");
    load(f, "  track_timestamps_staleness: true\n");
    wait_value(f, named("a"), 1);
    assert_true(fake_appender_last(&f->fake, named("a"), &sample));
    assert_int_equal(sample.t_ms, 1234);
    set_page(f, 200, "");
    wait_value(f, named("a"), stale());
    set_page(f, 200, "a 2 1234\n");
    load(f, "  honor_timestamps: false\n");
    wait_value(f, named("a"), 2);
    assert_true(fake_appender_last(&f->fake, named("a"), &sample));
    assert_true(sample.t_ms > 1234);
}

static void test_duplicates_and_exemplars(void **state)
{
    struct fixture *f = *state;

    set_type(f, "application/openmetrics-text; version=1.0.0");
    set_page(f, 200, "# TYPE c counter\nc_total 5 # {trace=\"x\"} 1\na 1\na 2\n# EOF\n");
    load(f, "");
    wait_value(f, named("c_total"), 5);
    wait_value(f, named("a"), 1);
    wait_value(f, named("scrape_samples_scraped"), 3);
    assert_true(f->fake.exemplar_count > 0);
}

static void test_target_gone(void **state)
{
    struct fixture *f = *state;

    load(f, "");
    wait_value(f, named("a"), 1);
    load_nothing(f);
    wait_value(f, named("a"), stale());
    wait_value(f, named("up"), stale());
    wait_value(f, named("scrape_duration_seconds"), stale());
    wait_value(f, named("scrape_series_added"), stale());
}

static void test_storage_trouble(void **state)
{
    struct fixture *f = *state;
    const uint32_t before = fake_appender_count(&f->fake, named("a"));

    load(f, "");
    wait_value(f, named("a"), 1);
    pthread_mutex_lock(&f->fake.lock);
    f->fake.fails_commit = true;
    pthread_mutex_unlock(&f->fake.lock);
    set_page(f, 200, "b 1\n");
    usleep(400000);
    assert_int_equal(fake_appender_count(&f->fake, named("b")), 0);
    pthread_mutex_lock(&f->fake.lock);
    f->fake.fails_commit = false;
    f->fake.forgotten_ref = f->fake.series_count; /* and all series were dropped meanwhile */
    pthread_mutex_unlock(&f->fake.lock);
    wait_value(f, named("b"), 1);
    wait_value(f, named("up"), 1);
    assert_true(fake_appender_count(&f->fake, named("a")) > before);
}

static void test_request(void **state)
{
    struct fixture *f = *state;

    load(f, "  basic_auth: {username: u, password: p}\n  params: {x: ['1 2']}\n");
    wait_commits(f, 2);
    pthread_mutex_lock(&f->page.lock);
    assert_string_equal(f->page.last_authorization, "Basic dTpw");
    assert_string_equal(f->page.last_query, "x=1+2");
    assert_string_equal(f->page.last_accept,
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                        "application/openmetrics-text;version=0.0.1;q=0.5,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    pthread_mutex_unlock(&f->page.lock);
}

/* Reloads and stops at any moment. */
static void test_churn(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 40; i++) {
        if (i % 3 == 0)
            load_nothing(f);
        else
            load(f, i % 3 == 1 ? "" : "  honor_labels: true\n");
        usleep((useconds_t)(i * 997 % 50000));
    }
}

static void test_unchanged_goes_on(void **state)
{
    struct fixture *f = *state;
    uint32_t resolved;

    load(f, "");
    wait_commits(f, 3);
    pthread_mutex_lock(&f->fake.lock);
    resolved = f->fake.resolve_count;
    pthread_mutex_unlock(&f->fake.lock);
    load(f, "");
    wait_commits(f, 3);
    assert_int_equal(resolved, f->fake.resolve_count);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_samples_and_reports),
        TEST(test_grid_and_cache),
        TEST(test_stale_series),
        TEST(test_failures),
        TEST(test_limits),
        TEST(test_relabel_and_honor),
        TEST(test_reload_ends_old_series),
        TEST(test_timestamps),
        TEST(test_duplicates_and_exemplars),
        TEST(test_target_gone),
        TEST(test_storage_trouble),
        TEST(test_request),
        TEST(test_churn),
        TEST(test_unchanged_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
