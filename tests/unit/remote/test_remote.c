/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/fake_appender.h"
#include "support/temp_dir.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "codec/remote_write.h"
#include "codec/snappy.h"
#include "config/prometheus_config.h"
#include "net/env_net.h"
#include "net/http_server.h"
#include "remote/remote.h"

/* The whole sender before a fake storage, with a receiver in this process that is as strict as
 * Prometheus: a request with one sample that is older than what its series has is refused whole. */

enum { WAIT_MS = 15000, SERIES = 5, SAMPLES_MAX = 20000, SERIES_MAX = 64 };

struct received {
    char series[160];
    int64_t t_ms;
    uint64_t v_bits;
};

struct receiver {
    pthread_mutex_t lock; /* guards the rest */
    struct received *samples;
    uint32_t count, requests, refused, exemplars, histograms, metadata;
    int fail_status;     /* answered in the place of all; 0: none */
    uint32_t fail_count; /* so many times */
    bool fails_after;    /* takes the request all the same */
    const char *retry_after;
    char newest_series[SERIES_MAX][160];
    int64_t newest_t_ms[SERIES_MAX];
    uint32_t series_count;
    char authorization[64], attempt[16], version[16], own[32];
};

struct fixture {
    struct env env;
    struct temp_dir dir;
    struct reactor_set *reactors;
    struct http_server *server;
    struct receiver receiver;
    struct fake_appender fake;
    struct hash_key key;
    struct remote_settings settings;
    bool has_storage;
    struct remote *remote;
};

/* ---- the receiver ---- */

static int64_t *newest_of(struct receiver *receiver, const char *series)
{
    uint32_t i = 0;

    while (i < receiver->series_count && strcmp(receiver->newest_series[i], series) != 0)
        i++;
    if (i == receiver->series_count) {
        assert_true(i < SERIES_MAX);
        (void)snprintf(receiver->newest_series[i], sizeof(receiver->newest_series[i]), "%s",
                       series);
        receiver->newest_t_ms[i] = INT64_MIN;
        receiver->series_count++;
    }
    return &receiver->newest_t_ms[i];
}

/* One pass over a request: false if it must be refused; with `takes` it is kept. */
static bool walk(struct receiver *receiver, struct slice body, struct arena *arena, bool takes)
{
    struct remote_write_limits limits = {0};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    int64_t newest[SERIES_MAX];
    bool good = true;

    for (uint32_t i = 0; i < SERIES_MAX; i++)
        newest[i] = receiver->newest_t_ms[i];
    remote_write_reader_init(&reader, body, &limits);
    while (remote_write_next(&reader, &entry)) {
        struct remote_write_items items;
        struct remote_write_item item;
        struct label_set labels;
        struct buf text;

        if (entry.kind == REMOTE_WRITE_METADATA) {
            receiver->metadata += takes;
            continue;
        }
        check_err(ERR_OK,
                  remote_write_labels(&entry.series, arena, LABEL_SCHEME_UTF8, &labels, NULL));
        buf_init(&text, 4096);
        label_set_print(&text, labels);
        buf_add_byte(&text, 0);
        remote_write_items_init(&items, &entry.series);
        while (remote_write_item_next(&items, &item)) {
            int64_t *t_ms = newest_of(receiver, text.data);

            receiver->exemplars += takes && item.kind == REMOTE_WRITE_EXEMPLAR;
            receiver->histograms += takes && item.kind == REMOTE_WRITE_HISTOGRAM;
            if (item.kind != REMOTE_WRITE_SAMPLE)
                continue;
            if (!takes) {
                int64_t *seen = &newest[t_ms - receiver->newest_t_ms];

                good = good && (item.sample.t_ms >= *t_ms || *t_ms == INT64_MIN);
                *seen = item.sample.t_ms;
                continue;
            }
            if (item.sample.t_ms == *t_ms)
                continue; /* the same once more is no fault */
            assert_true(receiver->count < SAMPLES_MAX);
            struct received *received = &receiver->samples[receiver->count++];
            (void)snprintf(received->series, sizeof(received->series), "%s", text.data);
            received->t_ms = item.sample.t_ms;
            received->v_bits = sample_value_bits(item.sample.v);
            *t_ms = item.sample.t_ms;
        }
        buf_fini(&text);
    }
    check_err(ERR_OK, reader.err);
    return good;
}

static void keep_header(struct http_request *req, const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", SLICE_ARG(http_request_header(req, name)));
}

static void on_write(struct http_request *req)
{
    struct receiver *receiver = &((struct fixture *)req->owner)->receiver;
    struct http_header retry = {SLICE("retry-after"), {0}};
    struct http_response response = {.status = 204};
    struct slice body;
    bool fails;

    check_err(ERR_OK, snappy_block_decode(req->body, 1 << 26, &req->arena, &body, NULL));
    pthread_mutex_lock(&receiver->lock);
    receiver->requests++;
    keep_header(req, "authorization", receiver->authorization, sizeof(receiver->authorization));
    keep_header(req, "retry-attempt", receiver->attempt, sizeof(receiver->attempt));
    keep_header(req, "x-prometheus-remote-write-version", receiver->version,
                sizeof(receiver->version));
    keep_header(req, "x-own", receiver->own, sizeof(receiver->own));
    fails = receiver->fail_status != 0 && receiver->fail_count > 0;
    if (fails) {
        receiver->fail_count--;
        response.status = receiver->fail_status;
        if (receiver->retry_after != NULL) {
            retry.value = slice_from_cstr(receiver->retry_after);
            response.headers = &retry;
            response.header_count = 1;
        }
    }
    if (!fails || receiver->fails_after) {
        if (walk(receiver, body, &req->arena, false)) {
            (void)walk(receiver, body, &req->arena, true);
        } else {
            receiver->refused++;
            response.status = fails ? response.status : 400;
        }
    }
    http_respond(req, &response);
    pthread_mutex_unlock(&receiver->lock);
}

static uint32_t received_count(struct fixture *f)
{
    uint32_t count;

    pthread_mutex_lock(&f->receiver.lock);
    count = f->receiver.count;
    pthread_mutex_unlock(&f->receiver.lock);
    return count;
}

static void wait_received(struct fixture *f, uint32_t count)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < WAIT_MS / 2 && received_count(f) < count; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(count, received_count(f));
}

static uint32_t failures_left(struct fixture *f)
{
    uint32_t count;

    pthread_mutex_lock(&f->receiver.lock);
    count = f->receiver.fail_count;
    pthread_mutex_unlock(&f->receiver.lock);
    return count;
}

static void set_failure(struct fixture *f, int status, uint32_t count, bool after)
{
    pthread_mutex_lock(&f->receiver.lock);
    f->receiver.fail_status = status;
    f->receiver.fail_count = count;
    f->receiver.fails_after = after;
    pthread_mutex_unlock(&f->receiver.lock);
}

/* ---- the sender ---- */

static struct prometheus_config *parse(struct fixture *f, const char *more)
{
    const struct prometheus_config_options options = {.env = &f->env};
    struct prometheus_config *config;
    struct err_info info = {{0}};
    char yaml[4096];

    (void)snprintf(yaml, sizeof(yaml),
                   "global: {external_labels: {site: s}}\n"
                   "remote_write:\n- url: http://%s/write\n"
                   "  headers: {X-Own: mine}\n"
                   "  basic_auth: {username: u, password: p}\n%s",
                   http_server_address(f->server), more);
    check_err_info(ERR_OK, prometheus_config_parse(&options, slice_from_cstr(yaml), &config, &info),
                   &info);
    return config;
}

#define QUICK                                                                                      \
    "  queue_config: {batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 50ms, "            \
    "max_samples_per_send: 20, max_shards: 1}\n"

static void load(struct fixture *f, const char *more)
{
    struct prometheus_config *config = parse(f, more);
    struct err_info info = {{0}};

    check_err_info(ERR_OK, remote_reload(f->remote, config, &info), &info);
    prometheus_config_unref(config);
}

static void open_remote(struct fixture *f)
{
    f->remote = remote_new(&(struct remote_options){.env = &f->env,
                                                    .reactors = f->reactors,
                                                    .inner = f->has_storage ? &f->fake.base : NULL,
                                                    .path = f->dir.path,
                                                    .settings = &f->settings});
}

static void close_remote(struct fixture *f)
{
    remote_stop(f->remote);
    remote_free(f->remote);
    f->remote = NULL;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    struct err_info info = {{0}};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    hash_key_init(&f->key, seed);
    env_real_init(&f->env);
    pthread_mutex_init(&f->receiver.lock, NULL);
    f->receiver.samples = mem_zalloc(SAMPLES_MAX, sizeof(*f->receiver.samples));
    f->settings = (struct remote_settings){.segment_size = 64 << 10,
                                           .queue_size_max = 1 << 30,
                                           .queue_buffer_max = 1 << 20,
                                           .flush_deadline_ms = 5000};
    f->has_storage = true;
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
    http_server_route(f->server, &(struct http_route){.methods = HTTP_POST,
                                                      .path = "/write",
                                                      .handler = on_write,
                                                      .owner = f,
                                                      .inline_size_max = SIZE_MAX});
    http_server_start(f->server);
    open_remote(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->remote != NULL)
        close_remote(f);
    http_server_stop(f->server, env_mono_ns(&f->env) + 1000000000u);
    env_net_stop(&f->env);
    reactor_set_close(f->reactors);
    http_server_free(f->server);
    env_net_close(&f->env);
    fake_appender_fini(&f->fake);
    mem_free(f->receiver.samples);
    pthread_mutex_destroy(&f->receiver.lock);
    temp_dir_fini(&f->dir);
    return 0;
}

/* ---- writing ---- */

struct answer {
    struct env *env;
    struct env_op op;
    struct append_result result;
};

static void on_done(void *owner, const struct append_result *result)
{
    struct answer *answer = owner;

    answer->result = *result;
    env_complete(answer->env, &answer->op, ERR_OK);
}

static struct append_txn *begin(struct fixture *f)
{
    const struct append_options options = {.tenant = SLICE("t")};
    struct append_txn *txn;

    check_err(ERR_OK, appender_begin(remote_appender(f->remote), &options, &txn, NULL));
    return txn;
}

static struct append_result commit(struct fixture *f, struct append_txn *txn)
{
    struct answer answer = {.env = &f->env};

    append_commit(txn, on_done, &answer);
    check_err(ERR_OK, env_wait(&f->env, &answer.op, 0));
    return answer.result;
}

static enum append_verdict add(struct fixture *f, struct append_txn *txn, unsigned series,
                               const struct append_item *item)
{
    char name[32];
    const size_t len = (size_t)snprintf(name, sizeof(name), "m%u", series);
    const struct label labels[] = {{SLICE("__name__"), slice_of(name, len)},
                                   {SLICE("job"), SLICE("j")}};
    struct series_key key = {.labels = {labels, 2}};
    const enum append_verdict resolved =
        append_resolve(txn, series_hash(&f->key, SLICE("t"), key.labels), key.labels, &key.ref);

    return resolved != APPEND_OK ? resolved : append_add(txn, &key, item);
}

/* One transaction: a sample of this time for each series. */
static struct append_result put(struct fixture *f, int64_t t_ms)
{
    struct append_txn *txn = begin(f);

    for (unsigned i = 0; i < SERIES; i++)
        assert_int_equal(
            APPEND_OK,
            add(f, txn, i,
                &(struct append_item){.kind = APPEND_FLOAT, .t_ms = t_ms, .v = (double)t_ms + i}));
    return commit(f, txn);
}

/* Every series got the times 1 .. last in order, each once, with its value. */
static void check_received(struct fixture *f, int64_t last)
{
    for (unsigned i = 0; i < SERIES; i++) {
        char want[64];
        int64_t t_ms = 0;

        (void)snprintf(want, sizeof(want), "m%u{job=\"j\", site=\"s\"}", i);
        for (uint32_t k = 0; k < f->receiver.count; k++) {
            const struct received *received = &f->receiver.samples[k];

            if (strcmp(received->series, want) != 0)
                continue;
            assert_int_equal(++t_ms, received->t_ms);
            assert_true(received->v_bits == sample_value_bits((double)t_ms + i));
        }
        assert_int_equal(last, t_ms);
    }
}

/* ---- tests ---- */

static void test_sends_what_is_stored(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK);
    for (int64_t t = 1; t <= 50; t++)
        check_err(ERR_OK, put(f, t).err);
    wait_received(f, 50 * SERIES);
    check_received(f, 50);
    assert_string_equal("0.1.0", f->receiver.version);
    assert_string_equal("mine", f->receiver.own);
    assert_string_equal("Basic dTpw", f->receiver.authorization);
    assert_int_equal(0, f->receiver.refused);
    assert_int_equal(50 * SERIES, f->fake.sample_count);
}

static void test_keeps_bits_and_leaves_out(void **state)
{
    struct fixture *f = *state;
    struct append_txn *txn;

    load(f, QUICK);
    f->fake.late_t_ms = 7;
    txn = begin(f);
    (void)add(f, txn, 0, &(struct append_item){.kind = APPEND_FLOAT, .t_ms = 5, .v = 1});
    (void)add(f, txn, 1, &(struct append_item){.kind = APPEND_FLOAT, .t_ms = 7, .v = 1});
    (void)add(f, txn, 2,
              &(struct append_item){
                  .kind = APPEND_FLOAT, .t_ms = 8, .v = sample_value_from_bits(SAMPLE_STALE_BITS)});
    assert_int_equal(1, commit(f, txn).counts[APPEND_OUT_OF_ORDER]);
    /* Nothing of a transaction that the storage fails. */
    f->fake.fails_commit = true;
    check_err(ERR_NO_SPACE, put(f, 9).err);
    wait_received(f, 2);
    assert_int_equal(5, f->receiver.samples[0].t_ms);
    assert_true(f->receiver.samples[1].v_bits == SAMPLE_STALE_BITS);
    close_remote(f);
    assert_int_equal(2, received_count(f));
}

static void test_relabels(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK "  write_relabel_configs:\n"
                  "  - {source_labels: [__name__], regex: 'm[134]', action: drop}\n"
                  "  - {source_labels: [site], target_label: copied}\n");
    for (int64_t t = 1; t <= 3; t++)
        check_err(ERR_OK, put(f, t).err);
    wait_received(f, 6);
    assert_string_equal("m0{copied=\"s\", job=\"j\", site=\"s\"}", f->receiver.samples[0].series);
}

static void test_retries_until_taken(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK);
    set_failure(f, 503, 6, false);
    for (int64_t t = 1; t <= 30; t++)
        check_err(ERR_OK, put(f, t).err);
    wait_received(f, 30 * SERIES);
    check_received(f, 30);
    assert_int_equal(0, f->receiver.fail_count);
}

static void test_waits_as_long_as_told(void **state)
{
    struct fixture *f = *state;
    const uint64_t start_ns = env_mono_ns(&f->env);

    load(f, "  queue_config: {batch_send_deadline: 20ms, retry_on_http_429: true}\n");
    f->receiver.retry_after = "1";
    set_failure(f, 429, 1, false);
    check_err(ERR_OK, put(f, 1).err);
    wait_received(f, SERIES);
    assert_true(env_mono_ns(&f->env) - start_ns > 1000000000u);
    assert_string_equal("1", f->receiver.attempt);
}

static void test_drops_what_is_refused(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK);
    /* 429 without the option is like any other refusal. */
    set_failure(f, 429, 1, false);
    check_err(ERR_OK, put(f, 1).err);
    for (int i = 0; i < WAIT_MS && failures_left(f) > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    check_err(ERR_OK, put(f, 2).err);
    wait_received(f, SERIES);
    assert_int_equal(2, f->receiver.samples[0].t_ms);
}

static void test_goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK);
    set_failure(f, 500, 1000000, false);
    for (int64_t t = 1; t <= 100; t++)
        check_err(ERR_OK, put(f, t).err);
    close_remote(f);
    assert_int_equal(0, received_count(f));
    open_remote(f);
    load(f, QUICK);
    for (int64_t t = 101; t <= 150; t++)
        check_err(ERR_OK, put(f, t).err);
    set_failure(f, 0, 0, false);
    wait_received(f, 150 * SERIES);
    check_received(f, 150);
    close_remote(f);
    /* All is acknowledged: nothing comes again. */
    open_remote(f);
    load(f, QUICK);
    check_err(ERR_OK, put(f, 151).err);
    wait_received(f, 151 * SERIES);
    check_received(f, 151);
}

static void test_a_repeated_request_costs_nothing(void **state)
{
    struct fixture *f = *state;

    /* The receiver takes the first requests and fails to say so. After a restart they come again,
     * cut differently, and are refused for what is known already. */
    load(f, QUICK);
    set_failure(f, 500, 1000000, true);
    for (int64_t t = 1; t <= 7; t++)
        check_err(ERR_OK, put(f, t).err);
    close_remote(f);
    assert_true(received_count(f) > 0);
    assert_true(received_count(f) < 100 * SERIES);
    open_remote(f);
    load(f, "  queue_config: {batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 50ms, "
            "max_samples_per_send: 33, max_shards: 1}\n");
    for (int64_t t = 8; t <= 100; t++)
        check_err(ERR_OK, put(f, t).err);
    set_failure(f, 0, 0, false);
    wait_received(f, 100 * SERIES);
    check_received(f, 100);
    assert_true(f->receiver.refused > 0);
}

static void test_reload_changes_receivers(void **state)
{
    struct fixture *f = *state;

    load(f, QUICK);
    set_failure(f, 500, 1000000, false);
    for (int64_t t = 1; t <= 40; t++)
        check_err(ERR_OK, put(f, t).err);
    load(f, "  queue_config: {batch_send_deadline: 10ms, min_shards: 4, min_backoff: 5ms, "
            "max_backoff: 50ms}\n");
    for (int64_t t = 41; t <= 60; t++)
        check_err(ERR_OK, put(f, t).err);
    set_failure(f, 0, 0, false);
    wait_received(f, 60 * SERIES);
    check_received(f, 60);
}

static void test_without_storage_the_queue_judges(void **state)
{
    struct fixture *f = *state;
    struct prometheus_config *none;
    struct append_result result;
    struct err_info info = {{0}};
    const struct prometheus_config_options options = {.env = &f->env};

    close_remote(f);
    f->has_storage = false;
    open_remote(f);
    check_err(ERR_OK, prometheus_config_parse(&options, SLICE("{}"), &none, &info));
    check_err(ERR_BAD_INPUT, remote_reload(f->remote, none, &info));
    check_message("must have at least one remote_write", &info);
    prometheus_config_unref(none);
    load(f, QUICK);
    check_err(ERR_OK, put(f, 1).err);
    check_err(ERR_OK, put(f, 2).err);
    result = put(f, 2);
    assert_int_equal(SERIES, result.counts[APPEND_DUPLICATE_SAME]);
    result = put(f, 1);
    assert_int_equal(SERIES, result.counts[APPEND_OUT_OF_ORDER]);
    assert_non_null(strstr(result.texts[APPEND_OUT_OF_ORDER], "m0{job=\"j\"}"));
    check_err(ERR_OK, put(f, 3).err);
    wait_received(f, 3 * SERIES);
    check_received(f, 3);
}

static void test_other_kinds(void **state)
{
    struct fixture *f = *state;
    const struct exemplar exemplar = {.v = 1, .t_ms = 3, .has_t = true};
    const struct metadata metadata = {.type = METRIC_TYPE_GAUGE, .metric = SLICE("m0")};
    const struct histogram histogram = {.i = {.count = 0}};
    struct append_txn *txn;

    close_remote(f);
    f->has_storage = false;
    open_remote(f);
    load(f, QUICK "  send_exemplars: true\n  send_native_histograms: true\n");
    txn = begin(f);
    (void)add(f, txn, 0, &(struct append_item){.kind = APPEND_FLOAT, .t_ms = 3, .v = 1});
    (void)add(f, txn, 0,
              &(struct append_item){.kind = APPEND_EXEMPLAR, .t_ms = 3, .exemplar = &exemplar});
    (void)add(f, txn, 1,
              &(struct append_item){.kind = APPEND_HISTOGRAM, .t_ms = 3, .histogram = &histogram});
    (void)append_add(txn, &(struct series_key){0},
                     &(struct append_item){.kind = APPEND_METADATA, .metadata = &metadata});
    assert_int_equal(4, commit(f, txn).counts[APPEND_OK]);
    wait_received(f, 1);
    close_remote(f);
    assert_int_equal(1, f->receiver.exemplars);
    assert_int_equal(1, f->receiver.histograms);
    assert_int_equal(1, f->receiver.metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sends_what_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_bits_and_leaves_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relabels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retries_until_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_as_long_as_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drops_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_repeated_request_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload_changes_receivers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_storage_the_queue_judges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds, setup, teardown),
    };

    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
