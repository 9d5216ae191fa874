/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/net_fixture.h"

#include <pthread.h>
#include <sys/resource.h>

#include "base/metric.h"
#include "support/gen.h"

struct state {
    struct net_fixture f;
    _Atomic int slow_running, slow_gone, hold_answered;
    _Atomic bool hold;
    struct http_request *_Atomic parked;
};

static void handle_hello(struct http_request *req)
{
    http_respond_text(req, 200, "hello\n");
}

static void handle_echo(struct http_request *req)
{
    const struct slice type = http_request_header(req, "content-type");

    http_respond(req, &(struct http_response){
                          .status = 200,
                          .body_is = HTTP_BODY_COPY,
                          .body = req->body,
                          .content_type = type.len > 0 ? arena_copy_cstr(&req->arena, type) : NULL,
                      });
}

static void handle_param(struct http_request *req)
{
    struct http_params params;
    struct err_info info = {{0}};
    struct slice text;

    if (http_request_params(req, &params, &info) != ERR_OK) {
        http_respond_text(req, 400, info.message);
        return;
    }
    text = arena_printf(
        &req->arena, "name=%.*s query=%.*s peer=%.*s", SLICE_ARG(req->path_params[0]),
        SLICE_ARG(http_params_get(&params, "query")), SLICE_ARG(http_request_peer(req)));
    http_respond(req, &(struct http_response){.status = 200, .body = text});
}

static void handle_park(struct http_request *req)
{
    struct state *s = req->owner;

    atomic_store(&s->parked, req);
}

static void handle_slow(struct http_request *req)
{
    struct state *s = req->owner;

    atomic_fetch_add(&s->slow_running, 1);
    while (atomic_load(&s->hold) && !http_request_is_gone(req))
        net_sleep_ms(1);
    if (http_request_is_gone(req))
        atomic_fetch_add(&s->slow_gone, 1);
    http_respond_text(req, 200, "slow\n");
}

static void handle_big(struct http_request *req)
{
    const size_t size = 1 << 20;
    char *body = mem_alloc(size);

    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 23);
    http_respond(req, &(struct http_response){.status = 200,
                                              .body_is = HTTP_BODY_OWNED,
                                              .body = slice_of(body, size),
                                              .content_type = "text/x-big"});
}

static void handle_stream(struct http_request *req)
{
    struct state *s = req->owner;
    char chunk[16 * 1024];
    enum err err = ERR_OK;

    memset(chunk, 'x', sizeof(chunk));
    http_stream_begin(req, &(struct http_response){.status = 200});
    for (int i = 0; i < 640 && err == ERR_OK; i++) /* 10 MiB */
        err = http_stream_write(req, slice_of(chunk, sizeof(chunk)));
    if (err == ERR_CLOSED)
        atomic_fetch_add(&s->slow_gone, 1);
    http_stream_end(req, err == ERR_OK);
}

static void handle_break(struct http_request *req)
{
    http_stream_begin(req, &(struct http_response){.status = 200});
    assert_int_equal(ERR_OK, http_stream_write(req, SLICE("part")));
    http_stream_end(req, false);
}

static void handle_nothing(struct http_request *req)
{
    http_respond(req, &(struct http_response){.status = 204});
}

#define INLINE .inline_size_max = SIZE_MAX

static void open_with(struct state *s, struct http_server_options options)
{
    memset((void *)s, 0, sizeof(*s));
    const struct http_route routes[] = {
        {HTTP_GET | HTTP_HEAD, "/hello", .handler = handle_hello, INLINE, .flags = HTTP_ROUTE_CORS},
        {HTTP_POST | HTTP_PUT, "/echo", .handler = handle_echo, INLINE},
        {HTTP_POST, "/small", .handler = handle_echo, INLINE, .body_size_max = 10},
        {HTTP_POST, "/mixed", .handler = handle_echo, .inline_size_max = 10,
         .pool = ENV_POOL_INGEST},
        {HTTP_GET | HTTP_POST, "/label/{name}/values", .handler = handle_param,
         .pool = ENV_POOL_QUERY},
        {HTTP_GET, "/label/*", .handler = handle_hello, INLINE},
        {HTTP_GET, "/slow", .handler = handle_slow, .owner = s, .pool = ENV_POOL_QUERY},
        {HTTP_GET, "/one", .handler = handle_slow, .owner = s, .pool = ENV_POOL_DISK},
        {HTTP_GET, "/wait", .handler = handle_slow, .owner = s, .pool = ENV_POOL_DISK,
         .queue_wait_ms = 50},
        {HTTP_GET, "/park", .handler = handle_park, .owner = s, INLINE},
        {HTTP_GET, "/big", .handler = handle_big, INLINE},
        {HTTP_GET, "/stream", .handler = handle_stream, .owner = s, .pool = ENV_POOL_QUERY},
        {HTTP_GET, "/break", .handler = handle_break, .pool = ENV_POOL_QUERY},
        {HTTP_GET | HTTP_POST, "/cors", .handler = handle_hello, INLINE, .flags = HTTP_ROUTE_CORS},
        {HTTP_OPTIONS, "/hello", .handler = handle_nothing, INLINE, .flags = HTTP_ROUTE_CORS},
    };

    net_open_env(&s->f);
    net_open_server(&s->f, options, routes, COUNT_OF(routes));
}

static struct http_server_stats stats_of(struct state *s)
{
    struct http_server_stats stats;

    http_server_get_stats(s->f.server, &stats);
    return stats;
}

static void wait_until_running(struct state *s, int count)
{
    for (int i = 0; i < 5000 && atomic_load(&s->slow_running) < count; i++)
        net_sleep_ms(1);
    assert_int_equal(count, atomic_load(&s->slow_running));
}

static void test_answers(void **unused)
{
    struct state s;
    char out[4096];

    (void)unused;
    open_with(&s, (struct http_server_options){.cors_origin = ".*"});
    net_ask(&s.f, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: http://x\r\n\r\n",
            out, sizeof(out));
    check_contains("HTTP/1.1 200 OK\r\n", out);
    check_contains("Content-Type: text/plain; charset=utf-8\r\n", out);
    check_contains("Access-Control-Allow-Origin: http://x\r\n", out);
    check_contains("Vary: Origin\r\n", out);
    check_contains("Content-Length: 6\r\n", out);
    check_contains("\r\n\r\nhello\n", out);
    net_ask(&s.f, "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("Content-Length: 6\r\n", out);
    assert_null(strstr(out, "hello"));
    net_ask(&s.f, "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("HTTP/1.1 404 Not Found\r\n", out);
    check_contains("\r\n\r\n404 page not found\n", out);
    net_ask(&s.f, "DELETE /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
            sizeof(out));
    check_contains("HTTP/1.1 405 Method Not Allowed\r\n", out);
    check_contains("Allow: POST, PUT\r\n", out);
    net_ask(&s.f, "BREW /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("405", out);
    net_ask(&s.f, "OPTIONS /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
            sizeof(out));
    check_contains("HTTP/1.1 204 No Content\r\n", out);
    assert_null(strstr(out, "Content-Length"));
    net_ask(&s.f,
            "OPTIONS /cors HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: http://x\r\n\r\n",
            out, sizeof(out));
    check_contains("HTTP/1.1 204 No Content\r\n", out);
    check_contains("Access-Control-Allow-Origin: http://x\r\n", out);
    check_contains("Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n", out);
    net_ask(&s.f, "PUT /cors HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("Allow: GET, POST, OPTIONS\r\n", out);
    net_ask(&s.f, "rubbish\r\n\r\n", out, sizeof(out));
    check_contains("HTTP/1.1 400", out);
    net_close(&s.f);
}

static void test_prefix_and_origin(void **unused)
{
    struct state s;
    char out[4096];

    (void)unused;
    open_with(&s, (struct http_server_options){.path_prefix = "/prom",
                                               .cors_origin = "https?://(a|b)\\.example"});
    net_ask(&s.f,
            "GET /prom/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Origin: http://b.example\r\n\r\n",
            out, sizeof(out));
    check_contains("hello", out);
    check_contains("Access-Control-Allow-Origin: http://b.example\r\n", out);
    check_contains("Vary: Origin\r\n", out);
    net_ask(&s.f,
            "GET /prom/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Origin: http://c.example\r\n\r\n",
            out, sizeof(out));
    check_contains("hello", out);
    assert_null(strstr(out, "Access-Control"));
    static const char *const elsewhere[] = {"/hello", "/prometheus/hello", "/prom", "/"};
    for (size_t i = 0; i < COUNT_OF(elsewhere); i++) {
        char request[128];

        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", elsewhere[i]);
        net_ask(&s.f, request, out, sizeof(out));
        check_contains("404 Not Found", out);
    }
    net_close(&s.f);
}

static void test_metrics(void **unused)
{
    struct metric_registry *registry = metric_registry_new();
    struct http_server_metrics metrics = {0};
    struct state s;
    struct buf text;
    char out[4096];

    (void)unused;
    http_server_metrics_register(&metrics, registry);
    open_with(&s, (struct http_server_options){.metrics = &metrics});
    env_net_register(&s.f.env, registry);
    for (int i = 0; i < 3; i++)
        net_ask(&s.f, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
                sizeof(out));
    net_ask(&s.f, "GET /label/%zz/values HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
            sizeof(out));
    check_contains("400 Bad Request", out);
    http_server_stop(s.f.server, net_now_ns() + NET_SECOND);
    buf_init(&text, 1 << 20);
    metric_write(registry, METRIC_TEXT, &text);
    buf_add_byte(&text, '\0');
    check_contains("prometheus_http_requests_total{handler=\"/hello\",code=\"200\"} 3", text.data);
    check_contains(
        "prometheus_http_requests_total{handler=\"/label/{name}/values\",code=\"400\"} 1",
        text.data);
    check_contains("prometheus_http_request_duration_seconds_count{handler=\"/hello\"} 3",
                   text.data);
    check_contains("prometheus_http_response_size_bytes_sum{handler=\"/hello\"} 18", text.data);
    check_contains("narthex_pool_workers{pool=\"query\"} 4", text.data);
    buf_fini(&text);
    env_net_unregister(&s.f.env, registry);
    net_close(&s.f);
    http_server_metrics_unregister(&metrics, registry);
    metric_registry_free(registry);
}

static void test_params(void **unused)
{
    struct state s;
    char out[4096];

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    net_ask(&s.f,
            "GET /label/a%2Fb%20c/values?query=up%7Bx%3D%221%22%7D+1 HTTP/1.1\r\nHost: a\r\n"
            "Connection: close\r\n\r\n",
            out, sizeof(out));
    check_contains("name=a/b c query=up{x=\"1\"} 1 peer=127.0.0.1:", out);
    net_ask(&s.f,
            "POST /label/x/values?query=url HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
            "Content-Length: 12\r\n\r\nquery=body+1",
            out, sizeof(out));
    check_contains("name=x query=body 1 ", out);
    net_ask(&s.f, "GET /label/x/values?query=%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            out, sizeof(out));
    check_contains("400", out);
    check_contains("invalid URL escape \"%zz\"", out);
    net_ask(&s.f, "GET /label/x/other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
            sizeof(out));
    check_contains("hello", out);
    net_close(&s.f);
}

static void test_bodies(void **unused)
{
    struct state s;
    char out[4096];

    (void)unused;
    open_with(&s, (struct http_server_options){.body_size_max = 1000});
    net_ask(&s.f,
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n",
            out, sizeof(out));
    check_contains("\r\n\r\nabcdefg", out);
    net_ask(&s.f,
            "POST /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Content-Length: 11\r\n\r\nabcdefghijk",
            out, sizeof(out));
    check_contains("413", out);
    net_ask(&s.f, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", out,
            sizeof(out));
    check_contains("HTTP/1.1 413", out);
    net_ask(&s.f,
            "POST /mixed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Content-Length: 12\r\n\r\nabcdefghijkl",
            out, sizeof(out));
    check_contains("\r\n\r\nabcdefghijkl", out);
    net_ask(&s.f,
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n"
            "Content-Length: 3\r\n\r\nabc",
            out, sizeof(out));
    check_contains("HTTP/1.1 100", out);
    check_contains("\r\n\r\nabc", out);
    net_close(&s.f);
}

static void test_pipelining(void **unused)
{
    struct state s;
    char one[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n0";
    char out[4096];
    int fd;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    fd = net_connect(&s.f);
    for (int i = 0; i < 10; i++) {
        one[sizeof(one) - 2] = (char)('0' + i);
        net_send(fd, one, sizeof(one) - 1);
    }
    for (int i = 0; i < 10; i++) {
        const size_t len = net_recv_one(fd, out, sizeof(out));

        assert_true(len > 0);
        assert_int_equal('0' + i, out[len - 1]);
    }
    close(fd);
    net_close(&s.f);
}

/* A request that arrives byte by byte, and one that never ends. */
static void test_slow_clients(void **unused)
{
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct state s;
    char out[4096];
    int fd;

    (void)unused;
    open_with(&s, (struct http_server_options){.read_timeout_ms = 300});
    fd = net_connect(&s.f);
    for (size_t i = 0; i < sizeof(request) - 1; i++)
        net_send(fd, request + i, 1);
    assert_true(net_recv(fd, out, sizeof(out), 5000) > 0);
    check_contains("hello", out);
    close(fd);
    fd = net_connect(&s.f);
    net_send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    assert_int_equal(0, net_recv(fd, out, sizeof(out), 5000)); /* closed */
    close(fd);
    net_close(&s.f);
}

static void test_input_limit(void **unused)
{
    static char half[512 << 10];
    struct state s;
    char out[256];
    int fds[8];

    (void)unused;
    /* 1 MiB for each of two reactors. */
    open_with(&s, (struct http_server_options){.input_size_max = 2 << 20});
    memset(half, 'x', sizeof(half));
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = net_connect(&s.f);
        net_send_text(fds[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
        net_send(fds[i], half, sizeof(half) - 4096 * i);
    }
    /* Of four with half a MiB each, every reactor keeps two at most. */
    for (int i = 0; i < 5000 && (stats_of(&s).cut_count < 4 || stats_of(&s).connection_count > 4);
         i++)
        net_sleep_ms(1);
    assert_in_range(stats_of(&s).cut_count, 4, 6);
    assert_in_range(stats_of(&s).connection_count, 2, 4);
    net_ask(&s.f, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("hello", out);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    net_close(&s.f);
}

/* Requests with bytes changed, cut and doubled: whatever comes of it, the server goes on. */
static void test_abuse(void **unused)
{
    static const char *const seeds[] = {
        "GET /hello?a=b%20c HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, deflate;q=0.5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nabcde",
        "POST /label/x%2Fy/values HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n5\r\na=b&c\r\n0\r\n\r\n",
        "OPTIONS /hello HTTP/1.0\r\nOrigin: http://a\r\nConnection: keep-alive\r\n\r\n",
        "POST /mixed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n"
        "aaaaaaaaaaaaaaaaaaaa",
    };
    struct state s;
    struct gen gen;
    char out[8192];

    (void)unused;
    open_with(&s, (struct http_server_options){.read_timeout_ms = 100, .body_size_max = 1000});
    GEN_EACH_SEED(&gen, 300)
    {
        char text[2048];
        size_t len = 0;
        const int fd = net_connect(&s.f);

        for (uint64_t n = gen_below(&gen, 3) + 1; n > 0; n--) {
            const char *seed = seeds[gen_below(&gen, COUNT_OF(seeds))];

            memcpy(text + len, seed, strlen(seed));
            len += strlen(seed);
        }
        for (uint64_t n = gen_below(&gen, 6); n > 0; n--)
            text[gen_below(&gen, len)] = (char)gen_below(&gen, 256);
        if (gen_below(&gen, 3) == 0)
            len = gen_below(&gen, len) + 1;
        send(fd, text, len, MSG_NOSIGNAL);
        if (gen_below(&gen, 2) == 0)
            shutdown(fd, SHUT_WR);
        if (gen_below(&gen, 2) == 0)
            net_recv(fd, out, sizeof(out), 20);
        close(fd);
    }
    net_ask(&s.f, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("hello", out);
    net_close(&s.f);
}

static void test_connection_limit(void **unused)
{
    struct state s;
    char out[4096];
    int fds[3];

    (void)unused;
    open_with(&s, (struct http_server_options){.connection_count_max = 2});
    for (int i = 0; i < 2; i++) {
        fds[i] = net_connect(&s.f);
        net_send_text(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        net_recv_one(fds[i], out, sizeof(out));
        check_contains("hello", out);
    }
    fds[2] = net_connect(&s.f);
    net_recv(fds[2], out, sizeof(out), 5000);
    check_contains("503 Service Unavailable", out);
    check_contains("too many connections", out);
    assert_int_equal(1, stats_of(&s).refused_count);
    close(fds[2]);
    close(fds[0]);
    for (int i = 0; i < 5000 && stats_of(&s).connection_count > 1; i++)
        net_sleep_ms(1);
    net_ask(&s.f, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
    check_contains("hello", out);
    close(fds[1]);
    net_close(&s.f);
}

static void test_many_keep_alive(void **unused)
{
    enum { COUNT = 1000 };
    static int fds[COUNT];
    struct state s;
    struct rlimit limit;
    char out[1024];
    uint64_t start_ns;

    (void)unused;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * COUNT + 100)
        skip();
    open_with(&s, (struct http_server_options){.connection_count_max = COUNT});
    for (int i = 0; i < COUNT; i++)
        fds[i] = net_connect(&s.f);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            net_send_text(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        for (int i = 0; i < COUNT; i++) {
            net_recv_one(fds[i], out, sizeof(out));
            check_contains("hello", out);
        }
    }
    assert_int_equal(COUNT, stats_of(&s).connection_count);
    /* Idle connections do not hold up a stop. */
    start_ns = net_now_ns();
    net_close(&s.f);
    assert_true(net_now_ns() - start_ns < 3 * NET_SECOND);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(0, net_recv(fds[i], out, sizeof(out), 1000));
        close(fds[i]);
    }
}

static void test_client_leaves(void **unused)
{
    struct state s;
    int fd;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    atomic_store(&s.hold, true);
    fd = net_connect(&s.f);
    net_send_text(fd, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until_running(&s, 1);
    close(fd);
    for (int i = 0; i < 5000 && atomic_load(&s.slow_gone) == 0; i++)
        net_sleep_ms(1);
    assert_int_equal(1, atomic_load(&s.slow_gone));
    net_close(&s.f);
}

static void test_full_queue(void **unused)
{
    struct state s;
    char out[1024];
    int fds[4];

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    atomic_store(&s.hold, true);
    fds[0] = net_connect(&s.f);
    net_send_text(fds[0], "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until_running(&s, 1); /* the pool has one worker and room for two */
    for (int i = 1; i < 3; i++) {
        fds[i] = net_connect(&s.f);
        net_send_text(fds[i], "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int i = 0; i < 5000 && stats_of(&s).request_count < 3; i++)
        net_sleep_ms(1);
    fds[3] = net_connect(&s.f);
    net_send_text(fds[3], "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    net_recv_one(fds[3], out, sizeof(out));
    check_contains("503", out);
    check_contains("too many requests waiting", out);
    net_sleep_ms(60);
    atomic_store(&s.hold, false);
    net_recv_one(fds[0], out, sizeof(out));
    check_contains("slow", out);
    for (int i = 1; i < 3; i++) {
        net_recv_one(fds[i], out, sizeof(out));
        check_contains("timed out waiting in queue", out);
    }
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    net_close(&s.f);
}

/* An inline handler that answers later, from another thread. */
static void test_answer_elsewhere(void **unused)
{
    struct state s;
    char out[1024];
    int fd;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    fd = net_connect(&s.f);
    net_send_text(fd, "GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 5000 && atomic_load(&s.parked) == NULL; i++)
        net_sleep_ms(1);
    assert_non_null(atomic_load(&s.parked));
    http_respond_text(atomic_load(&s.parked), 200, "from main\n");
    net_recv_one(fd, out, sizeof(out));
    check_contains("from main", out);
    close(fd);
    net_close(&s.f);
}

static void test_stream(void **unused)
{
    static char out[12 << 20];
    struct state s;
    ssize_t len;
    int fd;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    fd = net_connect(&s.f);
    net_send_text(fd, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    net_sleep_ms(100); /* the worker waits for us */
    len = net_recv(fd, out, sizeof(out), 5000);
    assert_true(len > 10 << 20);
    check_contains("transfer-encoding: chunked", out);
    assert_memory_equal(out + len - 5, "0\r\n\r\n", 5);
    close(fd);
    /* HTTP/1.0 has no chunks: the end of the connection is the end. */
    net_ask(&s.f, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", out, sizeof(out));
    assert_null(strstr(out, "chunked"));
    assert_int_equal('x', out[strlen(out) - 1]);
    net_ask(&s.f, "GET /break HTTP/1.1\r\nHost: a\r\n\r\n", out, sizeof(out));
    check_contains("part", out);
    assert_null(strstr(out, "\r\n0\r\n\r\n"));
    /* A client that leaves in the middle. */
    fd = net_connect(&s.f);
    net_send_text(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(recv(fd, out, 1000, 0) > 0);
    close(fd);
    for (int i = 0; i < 5000 && atomic_load(&s.slow_gone) == 0; i++)
        net_sleep_ms(1);
    assert_int_equal(1, atomic_load(&s.slow_gone));
    net_close(&s.f);
}

/* A client that reads nothing is cut off after the write timeout. */
static void test_write_timeout(void **unused)
{
    struct state s;
    int fds[2];

    (void)unused;
    open_with(&s, (struct http_server_options){.write_timeout_ms = 200});
    for (int i = 0; i < 2; i++) {
        const int size = 4096;

        fds[i] = net_connect(&s.f);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    net_send_text(fds[0], "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 8; i++) /* 8 MiB, more than the socket buffers take */
        net_send_text(fds[1], "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 5000 && stats_of(&s).requests_total < 2; i++)
        net_sleep_ms(1);
    for (int i = 0; i < 5000 && stats_of(&s).connection_count + stats_of(&s).request_count > 0; i++)
        net_sleep_ms(1);
    assert_int_equal(0, stats_of(&s).connection_count);
    assert_int_equal(0, stats_of(&s).request_count);
    assert_int_equal(1, atomic_load(&s.slow_gone));
    close(fds[0]);
    close(fds[1]);
    net_close(&s.f);
}

static void *send_rest(void *fd)
{
    net_sleep_ms(200);
    net_send_text(*(int *)fd, "cde");
    return NULL;
}

static void test_stop_drains(void **unused)
{
    struct state s;
    pthread_t sender;
    char out[1024];
    int busy, sending;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    busy = net_connect(&s.f);
    net_send_text(busy, "GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 5000 && atomic_load(&s.parked) == NULL; i++)
        net_sleep_ms(1);
    sending = net_connect(&s.f);
    net_send_text(sending, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    net_sleep_ms(50);
    assert_int_equal(0, pthread_create(&sender, NULL, send_rest, &sending));
    http_respond_text(atomic_load(&s.parked), 200, "last words\n");
    net_close(&s.f);
    pthread_join(sender, NULL);
    net_recv(busy, out, sizeof(out), 1000);
    check_contains("last words", out);
    net_recv(sending, out, sizeof(out), 1000);
    check_contains("abcde", out);
    check_contains("Connection: close", out);
    close(busy);
    close(sending);
}

static void test_stop_deadline(void **unused)
{
    struct state s;
    char out[1024];
    int fds[3];
    uint64_t start_ns;

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    atomic_store(&s.hold, true);
    fds[0] = net_connect(&s.f);
    net_send_text(fds[0], "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    fds[1] = net_connect(&s.f);
    net_send_text(fds[1], "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    fds[2] = net_connect(&s.f);
    net_send_text(fds[2], "GET /hel");
    wait_until_running(&s, 1);
    start_ns = net_now_ns();
    http_server_stop(s.f.server, start_ns + 300 * NET_MS);
    assert_true(net_now_ns() - start_ns >= 300 * NET_MS);
    assert_true(net_now_ns() - start_ns < 3 * NET_SECOND);
    assert_int_equal(2, atomic_load(&s.slow_gone));
    for (int i = 0; i < 3; i++) {
        while (recv(fds[i], out, sizeof(out), 0) > 0)
            ;
        close(fds[i]);
    }
    net_close(&s.f);
}

static void test_address_taken(void **unused)
{
    struct state s;
    struct http_server *other;
    struct err_info info = {{0}};
    char address[64];

    (void)unused;
    open_with(&s, (struct http_server_options){0});
    snprintf(address, sizeof(address), "127.0.0.1:%d", s.f.port);
    struct http_server_options options = {.address = address, .reactors = s.f.reactors};
    check_err(ERR_EXISTS, http_server_open(&options, &other, &info));
    check_message(address, &info);
    check_message("address already in use", &info);
    static const char *const bad[] = {"nonsense", "127.0.0.1:", "::1:9090", "256.1.1.1.1:1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct err_info bad_info = {{0}};

        options.address = bad[i];
        check_err(ERR_BAD_INPUT, http_server_open(&options, &other, &bad_info));
        check_message(bad[i], &bad_info);
    }
    options.address = ":0";
    info = (struct err_info){{0}};
    check_err_info(ERR_OK, http_server_open(&options, &other, &info), &info);
    assert_true(http_server_port(other) > 0);
    http_server_free(other);
    net_close(&s.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_prefix_and_origin),
        cmocka_unit_test(test_metrics),         cmocka_unit_test(test_params),
        cmocka_unit_test(test_bodies),          cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_slow_clients),    cmocka_unit_test(test_input_limit),
        cmocka_unit_test(test_abuse),           cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_many_keep_alive), cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_full_queue),      cmocka_unit_test(test_answer_elsewhere),
        cmocka_unit_test(test_stream),          cmocka_unit_test(test_write_timeout),
        cmocka_unit_test(test_stop_drains),     cmocka_unit_test(test_stop_deadline),
        cmocka_unit_test(test_address_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
