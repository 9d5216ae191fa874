/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/net_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support/temp_dir.h"

struct state {
    struct net_fixture f;
    struct http_client *client;
    struct http_request *_Atomic parked;
};

struct waiter {
    struct http_call call;
    struct env *env;
    struct env_op op;
    int done_count;
};

static void on_done(struct http_call *call)
{
    struct waiter *w = call->owner;

    w->done_count++;
    assert_non_null(reactor_current());
    env_complete(w->env, &w->op, call->err);
}

static void handle_show(struct http_request *req)
{
    const struct http_header headers[] = {{SLICE("x-answer"), SLICE("42")}};
    struct slice text =
        arena_printf(&req->arena, "%s %.*s?%.*s auth=%.*s agent=%.*s x=%.*s body=%.*s host=%.*s",
                     http_method_text(req->method), SLICE_ARG(req->path), SLICE_ARG(req->query),
                     SLICE_ARG(http_request_header(req, "authorization")),
                     SLICE_ARG(http_request_header(req, "user-agent")),
                     SLICE_ARG(http_request_header(req, "x-own")), SLICE_ARG(req->body),
                     SLICE_ARG(http_request_peer(req)));

    http_respond(req, &(struct http_response){.status = 200,
                                              .body = text,
                                              .content_type = "text/x-show",
                                              .headers = headers,
                                              .header_count = 1});
}

static void handle_zeros(struct http_request *req)
{
    const size_t size = 1 << 20;

    http_respond(req, &(struct http_response){.status = 200,
                                              .body_is = HTTP_BODY_OWNED,
                                              .body = slice_of(mem_zalloc(1, size), size)});
}

static void handle_redirect(struct http_request *req)
{
    const struct http_header headers[] = {{SLICE("location"), SLICE("/show?moved")}};

    http_respond(req,
                 &(struct http_response){.status = 302, .headers = headers, .header_count = 1});
}

static void handle_loop(struct http_request *req)
{
    const struct http_header headers[] = {{SLICE("location"), SLICE("/loop")}};

    http_respond(req,
                 &(struct http_response){.status = 302, .headers = headers, .header_count = 1});
}

static void handle_park(struct http_request *req)
{
    struct state *s = req->owner;

    atomic_store(&s->parked, req);
}

static void open_state(struct state *s, struct http_client_options options)
{
    struct err_info info = {{0}};
    const struct http_route routes[] = {
        {HTTP_METHOD_ANY, "/show", .handler = handle_show, .inline_size_max = SIZE_MAX},
        {HTTP_GET, "/zeros", .handler = handle_zeros, .inline_size_max = SIZE_MAX},
        {HTTP_GET, "/redirect", .handler = handle_redirect, .inline_size_max = SIZE_MAX},
        {HTTP_GET, "/loop", .handler = handle_loop, .inline_size_max = SIZE_MAX},
        {HTTP_GET, "/park", .handler = handle_park, .owner = s, .inline_size_max = SIZE_MAX},
    };

    memset((void *)s, 0, sizeof(*s));
    net_open_env(&s->f);
    net_open_server(&s->f, (struct http_server_options){0}, routes, COUNT_OF(routes));
    options.reactors = s->f.reactors;
    check_err_info(ERR_OK, http_client_new(&options, &s->client, &info), &info);
}

static void close_state(struct state *s)
{
    http_client_free(s->client);
    net_close(&s->f);
}

/* A call to a path of the fixture's server, or to a whole URL. */
static enum err run(struct state *s, struct http_call *call, const char *path)
{
    char url[256];
    enum err err;

    snprintf(url, sizeof(url), "%s%s", path[0] == '/' ? s->f.base_url : "", path);
    call->url = url;
    if (call->deadline_ns == 0)
        call->deadline_ns = net_now_ns() + 10 * NET_SECOND;
    err = http_call_run(call, &s->f.env);
    call->deadline_ns = 0;
    return err;
}

static const char *text_of(const struct http_call *call)
{
    static char text[4096];

    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(call->body_received));
    return text;
}

static void test_success(void **unused)
{
    const struct http_header headers[] = {{SLICE("X-Own"), SLICE("mine")}};
    struct http_server_stats stats;
    struct state s;
    struct http_call call;

    (void)unused;
    open_state(&s, (struct http_client_options){.user_agent = "Test/1"});
    http_call_init(&call, s.client);
    call.headers = headers;
    call.header_count = 1;
    check_err_info(ERR_OK, run(&s, &call, "/show?a=b"), &call.info);
    assert_int_equal(200, call.status);
    check_slice("text/x-show", call.content_type);
    check_slice("42", http_call_header(&call, "x-answer"));
    check_contains("GET /show?a=b auth= agent=Test/1 x=mine body= ", text_of(&call));
    call.method = HTTP_POST;
    call.body = SLICE("payload");
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    check_contains("POST /show", text_of(&call));
    check_contains("body=payload", text_of(&call));
    call.method = HTTP_PUT;
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    check_contains("PUT /show", text_of(&call));
    check_contains("body=payload", text_of(&call));
    call.method = HTTP_DELETE;
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    check_contains("DELETE /show", text_of(&call));
    call.method = HTTP_HEAD;
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    assert_int_equal(0, call.body_received.len);
    call.method = HTTP_GET;
    check_err_info(ERR_OK, run(&s, &call, "/none"), &call.info);
    assert_int_equal(404, call.status);
    check_contains("404 page not found\n", text_of(&call));
    http_call_fini(&call);
    /* All over one connection. */
    http_server_get_stats(s.f.server, &stats);
    assert_int_equal(6, stats.requests_total);
    assert_int_equal(1, stats.accepted_count);
    close_state(&s);
}

static void test_auth(void **unused)
{
    const struct {
        struct http_client_options options;
        const char *want;
    } cases[] = {
        {{.basic_user = "me", .basic_password = "secret"}, "auth=Basic bWU6c2VjcmV0 "},
        {{.bearer_token = "token"}, "auth=Bearer token "},
        {{.authorization = "Digest x"}, "auth=Digest x "},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct state s;
        struct http_call call;

        open_state(&s, cases[i].options);
        http_call_init(&call, s.client);
        check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
        check_contains(cases[i].want, text_of(&call));
        http_call_fini(&call);
        close_state(&s);
    }
}

static void test_compression_and_limit(void **unused)
{
    struct state s;
    struct http_call call;

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    http_call_init(&call, s.client);
    call.accepts_compressed = true;
    check_err_info(ERR_OK, run(&s, &call, "/zeros"), &call.info);
    assert_int_equal(1 << 20, call.body_received.len);
    assert_true(call.wire_size_bytes < 20000);
    /* The limit counts what came out of the decompression. */
    call.body_size_max = 100000;
    check_err(ERR_TOO_LARGE, run(&s, &call, "/zeros"));
    check_message("body size limit exceeded", &call.info);
    call.accepts_compressed = false;
    check_err(ERR_TOO_LARGE, run(&s, &call, "/zeros"));
    call.body_size_max = 1 << 20;
    check_err_info(ERR_OK, run(&s, &call, "/zeros"), &call.info);
    assert_int_equal(1 << 20, call.wire_size_bytes);
    http_call_fini(&call);
    close_state(&s);
}

static void test_redirects(void **unused)
{
    struct state s;
    struct http_call call;

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    http_call_init(&call, s.client);
    check_err_info(ERR_OK, run(&s, &call, "/redirect"), &call.info);
    assert_int_equal(302, call.status);
    http_call_fini(&call);
    close_state(&s);
    open_state(&s, (struct http_client_options){.follows_redirects = true});
    http_call_init(&call, s.client);
    check_err_info(ERR_OK, run(&s, &call, "/redirect"), &call.info);
    assert_int_equal(200, call.status);
    check_contains("/show?moved", text_of(&call));
    check_err(ERR_IO, run(&s, &call, "/loop"));
    check_message("stopped after 10 redirects", &call.info);
    http_call_fini(&call);
    close_state(&s);
}

/* A listening socket that accepts nothing; its backlog holds connections. */
static int listen_silent(int *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(0, bind(fd, (struct sockaddr *)&addr, len));
    assert_int_equal(0, listen(fd, 16));
    assert_int_equal(0, getsockname(fd, (struct sockaddr *)&addr, &len));
    *port = ntohs(addr.sin_port);
    return fd;
}

static void test_errors(void **unused)
{
    struct state s;
    struct http_call call;
    char url[128], want[200];
    int port, fd = listen_silent(&port);

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    http_call_init(&call, s.client);
    /* Deadline: connected, never answered. */
    snprintf(url, sizeof(url), "http://user:pass@127.0.0.1:%d/metrics", port);
    call.deadline_ns = net_now_ns() + 100 * NET_MS;
    check_err(ERR_DEADLINE, run(&s, &call, url));
    snprintf(want, sizeof(want),
             "Get \"http://user:***@127.0.0.1:%d/metrics\": context deadline exceeded", port);
    check_message(want, &call.info);
    /* A deadline in the past. */
    call.deadline_ns = 1;
    check_err(ERR_DEADLINE, run(&s, &call, url));
    close(fd);
    /* Refusal. */
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/metrics", port);
    call.method = HTTP_POST;
    check_err(ERR_REFUSED, run(&s, &call, url));
    snprintf(want, sizeof(want), "Post \"%s\": dial tcp 127.0.0.1:%d: connect: connection refused",
             url, port);
    check_message(want, &call.info);
    call.method = HTTP_GET;
    check_err(ERR_BAD_INPUT, run(&s, &call, "ftp://127.0.0.1/x"));
    check_err(ERR_BAD_INPUT, run(&s, &call, "http://"));
    check_err(ERR_IO, run(&s, &call, "http://no-such-host.invalid/x"));
    check_message("lookup no-such-host.invalid: no such host", &call.info);
    call.headers = &(struct http_header){SLICE("X"), SLICE("a\r\nInjected: yes")};
    call.header_count = 1;
    check_err(ERR_BAD_INPUT, run(&s, &call, "/show"));
    check_message("invalid header \"X\"", &call.info);
    call.header_count = 0;
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    http_call_fini(&call);
    close_state(&s);
}

/* A server of one connection that answers with fixed bytes and closes. */
struct canned {
    int fd;
    const char *answer;
    char request[1024];
};

static void *canned_main(void *arg)
{
    struct canned *c = arg;
    const int fd = accept(c->fd, NULL, NULL);

    assert_true(recv(fd, c->request, sizeof(c->request) - 1, 0) > 0);
    net_send_text(fd, c->answer);
    close(fd);
    return NULL;
}

static void test_broken_answers(void **unused)
{
    const struct {
        const char *answer;
        enum err want;
        const char *text;
    } cases[] = {
        {"", ERR_IO, ": EOF"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ERR_IO, "unexpected EOF"},
        {"nonsense\r\n\r\n", ERR_IO, ""},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", ERR_CORRUPT,
         "invalid compressed body"},
    };
    struct state s;

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_call call;
        struct canned c = {.answer = cases[i].answer};
        pthread_t thread;
        char url[64];
        int port;

        c.fd = listen_silent(&port);
        assert_int_equal(0, pthread_create(&thread, NULL, canned_main, &c));
        http_call_init(&call, s.client);
        call.accepts_compressed = true;
        snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
        check_err(cases[i].want, run(&s, &call, url));
        check_message(cases[i].text, &call.info);
        http_call_fini(&call);
        pthread_join(thread, NULL);
        close(c.fd);
    }
    close_state(&s);
}

enum { HANG_UPS = 60 };

/* Answers one request a connection, redirects and pages in turn; resets the connection when the
 * next request comes. */
static void *hang_up_main(void *arg)
{
    static const char *const answers[] = {
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };
    struct canned *c = arg;

    for (int i = 0; i < HANG_UPS * 2; i++) {
        const int fd = accept(c->fd, NULL, NULL);

        assert_true(recv(fd, c->request, sizeof(c->request) - 1, 0) > 0);
        net_send_text(fd, answers[i % 2]);
        if (i % 2 == 0)
            assert_int_equal(1, poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000));
        close(fd);
    }
    return NULL;
}

/* A kept connection that the server closed is no fault of the call: it dials again. */
static void test_closed_connection(void **unused)
{
    struct canned c = {0};
    struct http_call call;
    pthread_t thread;
    struct state s;
    char url[64];
    int port;

    (void)unused;
    c.fd = listen_silent(&port);
    assert_int_equal(0, pthread_create(&thread, NULL, hang_up_main, &c));
    open_state(&s, (struct http_client_options){.follows_redirects = true});
    http_call_init(&call, s.client);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/a", port);
    for (int i = 0; i < HANG_UPS; i++) {
        check_err_info(ERR_OK, run(&s, &call, url), &call.info);
        assert_int_equal(200, call.status);
    }
    http_call_fini(&call);
    pthread_join(thread, NULL);
    close(c.fd);
    close_state(&s);
}

/* The proxy gets the whole URL and the credentials stay with the target. */
static void test_proxy(void **unused)
{
    struct canned c = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied"};
    struct http_call call;
    pthread_t thread;
    struct state s;
    char proxy[64];
    int port;

    (void)unused;
    c.fd = listen_silent(&port);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", port);
    assert_int_equal(0, pthread_create(&thread, NULL, canned_main, &c));
    open_state(&s, (struct http_client_options){.proxy_url = proxy, .no_proxy = "127.0.0.1"});
    http_call_init(&call, s.client);
    check_err_info(ERR_OK, run(&s, &call, "http://target.invalid/x"), &call.info);
    check_slice("proxied", call.body_received);
    check_contains("GET http://target.invalid/x HTTP/1.1", c.request);
    check_err_info(ERR_OK, run(&s, &call, "/show"), &call.info);
    check_contains("GET /show", text_of(&call));
    http_call_fini(&call);
    close_state(&s);
    pthread_join(thread, NULL);
    close(c.fd);
}

/* ---- TLS, against openssl's test server ---- */

enum { TLS_CASES = 9 };

static pid_t tls_server_start(const char *dir, int port)
{
    char command[1024];
    pid_t pid;

    snprintf(command, sizeof(command),
             "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem "
             "-days 2 -subj /CN=right.example -addext subjectAltName=DNS:right.example "
             ">/dev/null 2>&1",
             dir);
    if (system(command) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        char accept_port[16];

        if (chdir(dir) != 0)
            _exit(1);
        snprintf(accept_port, sizeof(accept_port), "%d", port);
        execlp("openssl", "openssl", "s_server", "-quiet", "-www", "-accept", accept_port, "-cert",
               "cert.pem", "-key", "key.pem", "-tls1_2", (char *)NULL);
        _exit(1);
    }
    return pid;
}

static bool tls_server_answers(int port)
{
    const struct net_fixture f = {.port = port};
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)f.port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < 200; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool up = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;

        close(fd);
        if (up)
            return true;
        net_sleep_ms(20);
    }
    return false;
}

static void check_tls(const char *dir, int port, int which)
{
    char ca[128], url[64], text[4096];
    const struct {
        struct http_client_options options;
        enum err want;
        const char *message;
    } cases[TLS_CASES] = {
        {{0}, ERR_IO, "x509: certificate signed by unknown authority"},
        {{.insecure_skip_verify = true}, ERR_OK, ""},
        {{.ca_file = ca}, ERR_IO, "tls: failed to verify certificate: "},
        {{.ca_file = ca, .server_name = "right.example"}, ERR_OK, ""},
        {{.ca_text = text, .server_name = "right.example"}, ERR_OK, ""},
        {{.ca_file = "/none/ca.pem"}, ERR_BAD_INPUT, "/none/ca.pem"},
        /* the server speaks 1.2 only */
        {{.insecure_skip_verify = true, .tls_min = HTTP_TLS_1_2, .tls_max = HTTP_TLS_1_2},
         ERR_OK,
         ""},
        {{.insecure_skip_verify = true, .tls_min = HTTP_TLS_1_3}, ERR_IO, "version"},
        {{.insecure_skip_verify = true, .tls_max = HTTP_TLS_1_1}, ERR_IO, "tls"},
    };
    struct http_call call;
    struct state s;
    size_t len;
    FILE *file;

    snprintf(ca, sizeof(ca), "%s/cert.pem", dir);
    file = fopen(ca, "r");
    assert_non_null(file);
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    fclose(file);
    open_state(&s, cases[which].options);
    http_call_init(&call, s.client);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port);
    check_err_info(cases[which].want, run(&s, &call, url), &call.info);
    check_message(cases[which].message, &call.info);
    if (cases[which].want == ERR_OK)
        assert_int_equal(200, call.status);
    http_call_fini(&call);
    close_state(&s);
}

static void test_tls(void **unused)
{
    struct temp_dir dir;
    int port, fd;
    pid_t pid;

    (void)unused;
    temp_dir_init(&dir);
    fd = listen_silent(&port);
    close(fd); /* a port that was free a moment ago */
    pid = tls_server_start(dir.path, port);
    if (pid < 0 || !tls_server_answers(port)) {
        temp_dir_fini(&dir);
        skip(); /* no openssl program here */
    }
    for (int i = 0; i < TLS_CASES; i++)
        check_tls(dir.path, port, i);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    temp_dir_fini(&dir);
}

static void start_waiter_with(struct state *s, struct waiter *w, const char *url, uint64_t affinity)
{
    memset((void *)w, 0, sizeof(*w));
    http_call_init(&w->call, s->client);
    w->call.affinity = affinity;
    w->env = &s->f.env;
    w->call.done = on_done;
    w->call.owner = w;
    w->call.url = url;
    w->call.deadline_ns = net_now_ns() + 10 * NET_SECOND;
    http_call_start(&w->call);
}

static void start_waiter(struct state *s, struct waiter *w, const char *url)
{
    start_waiter_with(s, w, url, 0);
}

struct holders {
    int fds[4];
};

/* A listening socket whose backlog is full, so that further connections hang. */
static int listen_full(int *port, struct holders *holders)
{
    const int fd = listen_silent(port);
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)*port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_int_equal(0, listen(fd, 0));
    for (size_t i = 0; i < COUNT_OF(holders->fds); i++) {
        holders->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(holders->fds[i], (const struct sockaddr *)&addr, sizeof(addr));
    }
    return fd;
}

static void check_cancelled(struct state *s, struct waiter *w)
{
    http_call_cancel(&w->call);
    http_call_cancel(&w->call); /* a second one changes nothing */
    check_err(ERR_CANCELLED, env_wait(&s->f.env, &w->op, net_now_ns() + 5 * NET_SECOND));
    check_message("context canceled", &w->call.info);
    assert_int_equal(1, w->done_count);
    http_call_fini(&w->call);
}

static void test_cancel(void **unused)
{
    struct state s;
    struct waiter w;
    struct holders holders;
    char url[128], url2[128];
    int port, full;
    const int fd = listen_silent(&port);

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    /* At once; while connecting to an address that never answers; while waiting for the answer. */
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    start_waiter(&s, &w, url);
    check_cancelled(&s, &w);
    full = listen_full(&port, &holders);
    snprintf(url2, sizeof(url2), "http://127.0.0.1:%d/", port);
    start_waiter(&s, &w, url2);
    net_sleep_ms(30);
    check_cancelled(&s, &w);
    for (size_t i = 0; i < COUNT_OF(holders.fds); i++)
        close(holders.fds[i]);
    close(full);
    start_waiter(&s, &w, url);
    net_sleep_ms(30);
    check_cancelled(&s, &w);
    snprintf(url, sizeof(url), "%s/park", s.f.base_url);
    start_waiter(&s, &w, url);
    for (int i = 0; i < 5000 && atomic_load(&s.parked) == NULL; i++)
        net_sleep_ms(1);
    check_cancelled(&s, &w);
    for (int i = 0; i < 5000 && !http_request_is_gone(atomic_load(&s.parked)); i++)
        net_sleep_ms(1);
    assert_true(http_request_is_gone(atomic_load(&s.parked)));
    http_respond_text(atomic_load(&s.parked), 200, "too late\n");
    close(fd);
    close_state(&s);
}

/* Cancel against completion, many times: done runs exactly once either way. */
static void test_cancel_race(void **unused)
{
    struct state s;
    struct waiter w;
    char url[128];
    int cancelled = 0;

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    snprintf(url, sizeof(url), "%s/show", s.f.base_url);
    for (int i = 0; i < 500; i++) {
        const uint64_t until_ns = net_now_ns() + (uint64_t)(i % 50) * 10000;
        enum err err;

        start_waiter(&s, &w, url);
        while (net_now_ns() < until_ns)
            ;
        if (atomic_load(&w.op.state) == 0) /* our own "not finished and gone" */
            http_call_cancel(&w.call);
        err = env_wait(&s.f.env, &w.op, 0);
        assert_true(err == ERR_OK || err == ERR_CANCELLED);
        cancelled += err == ERR_CANCELLED;
        assert_int_equal(1, w.done_count);
        http_call_fini(&w.call);
    }
    assert_true(cancelled > 0);
    close_state(&s);
}

static void test_many_at_once(void **unused)
{
    enum { COUNT = 200 };
    static struct waiter waiters[COUNT];
    struct state s;
    char url[128];

    (void)unused;
    open_state(&s, (struct http_client_options){0});
    snprintf(url, sizeof(url), "%s/show", s.f.base_url);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            start_waiter_with(&s, &waiters[i], url, (uint64_t)i);
        for (int i = 0; i < COUNT; i++) {
            check_err_info(ERR_OK, env_wait(&s.f.env, &waiters[i].op, 0), &waiters[i].call.info);
            assert_int_equal(200, waiters[i].call.status);
            http_call_fini(&waiters[i].call);
        }
    }
    close_state(&s);
}

static void test_unix_socket(void **unused)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct canned c = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"};
    struct http_call call;
    pthread_t thread;
    struct state s;

    (void)unused;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/narthex-test-%d.sock", (int)getpid());
    unlink(addr.sun_path);
    c.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(c.fd, (struct sockaddr *)&addr, sizeof(addr)));
    assert_int_equal(0, listen(c.fd, 1));
    assert_int_equal(0, pthread_create(&thread, NULL, canned_main, &c));
    open_state(&s, (struct http_client_options){.unix_socket = addr.sun_path});
    http_call_init(&call, s.client);
    check_err_info(ERR_OK, run(&s, &call, "http://host/x"), &call.info);
    check_slice("hi", call.body_received);
    pthread_join(thread, NULL);
    close(c.fd);
    unlink(addr.sun_path);
    check_err(ERR_REFUSED, run(&s, &call, "http://host/x"));
    check_message("dial unix /tmp/narthex-test-", &call.info);
    http_call_fini(&call);
    close_state(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_compression_and_limit),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_closed_connection),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_race),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
