/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_server.h"

/* One acceptor, on the first reactor, deals connections out in turn: with SO_REUSEPORT the kernel
 * may put all of a few busy senders on one reactor. */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/regex.h"
#include "net/http_server_internal.h"

enum {
    HTTP_CONNECTION_COUNT = 512,
    HTTP_COMPRESS_SIZE_MIN = 1024,
    HTTP_READ_TIMEOUT_MS = 5 * 60 * 1000,
    HTTP_WRITE_TIMEOUT_MS = 60 * 1000,
    HTTP_BACKLOG = 4096,
    HTTP_ACCEPT_BURST = 16, /* connections per turn of the loop */
    HTTP_ACCEPT_RETRY_MS = 100,
    HTTP_SWEEP_MS = 50,
    /* First input buffer of a request. A remote-write request mostly fits, so that it is neither
     * copied on to a larger one nor page-faulted again: the reactor keeps some for the next. */
    HTTP_BUFFER_SIZE = 128 * 1024,
    HTTP_BUFFERS_KEPT = 32,
    HTTP_HANDSHAKE_TIMEOUT_MS = 10 * 1000,
    HTTP_STOP_RECEIVE_MS = 3 * 1000, /* what a request that has begun to arrive gets at a stop */
};

#define HTTP_BODY_SIZE_MAX  ((size_t)64 << 20)
#define HTTP_INPUT_SIZE_MAX ((size_t)1 << 30)

static const struct metric_buckets http_duration_buckets = {9,
                                                            {0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120}};
static const struct metric_buckets http_size_buckets = {8,
                                                        {100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}};

static const struct metric_desc http_server_metric_descs[] = {
    {"prometheus_http_requests_total", METRIC_COUNTER,
     offsetof(struct http_server_metrics, requests), .labels = "handler,code",
     .help = "Counter of HTTP requests."},
    {"prometheus_http_request_duration_seconds", METRIC_HISTOGRAM,
     offsetof(struct http_server_metrics, duration), .labels = "handler",
     .buckets = &http_duration_buckets, .help = "Histogram of latencies for HTTP requests."},
    {"prometheus_http_response_size_bytes", METRIC_HISTOGRAM,
     offsetof(struct http_server_metrics, size), .labels = "handler", .buckets = &http_size_buckets,
     .help = "Histogram of response size for HTTP requests."},
};

/* ---- connections ---- */

static void on_conn_closed(uv_handle_t *handle)
{
    struct http_conn *conn = CONTAINER_OF((uv_tcp_t *)handle, struct http_conn, tcp);
    struct http_shard *shard = conn->shard;

    mem_free(conn);
    atomic_fetch_sub(&shard->server->conn_count, 1);
    shard->conn_count--;
    http_server_check_drained(shard);
}

/* h2o disposed of the socket; the uv handle is about to close. */
static void on_conn_disposed(void *data)
{
    struct http_conn *conn = data;

    conn->sock = NULL;
    list_remove(&conn->node);
}

static void http_conn_open(struct reactor_task *task)
{
    struct http_conn *conn = CONTAINER_OF(task, struct http_conn, opened);
    struct http_shard *shard = conn->shard;

    if (shard->is_stopping || FAULT("net.server.connection") ||
        uv_tcp_init(shard->ctx.loop, &conn->tcp) != 0) {
        close(conn->fd);
        mem_free(conn);
        atomic_fetch_sub(&shard->server->conn_count, 1);
        return;
    }
    shard->conn_count++;
    if (FAULT("net.server.connection") || uv_tcp_open(&conn->tcp, conn->fd) != 0) {
        close(conn->fd);
        uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
        return;
    }
    conn->sock = h2o_uv_socket_create((uv_stream_t *)&conn->tcp, on_conn_closed);
    conn->sock->on_close.cb = on_conn_disposed;
    conn->sock->on_close.data = conn;
    list_push_back(&shard->conns, &conn->node);
    h2o_accept(&shard->accept, conn->sock);
}

/* Over the limit a client is told so, as well as the kernel lets us without waiting. */
static void http_server_refuse(struct http_server *server, int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Connection: close\r\nRetry-After: 1\r\nContent-Length: 21\r\n\r\n"
                                 "too many connections\n";
    char ignored[4096];

    atomic_fetch_add(&server->refused_count, 1);
    if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        shutdown(fd, SHUT_WR);
        /* Unread bytes would turn the close into a reset that swallows the answer. */
        while (recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
            ;
    }
    close(fd);
}

static void http_server_deal(struct http_server *server, int fd)
{
    struct http_shard *shard = &server->shards[server->accept_turn++ % server->shard_count];
    struct http_conn *conn;

    if (atomic_load(&server->conn_count) >= server->options.connection_count_max) {
        http_server_refuse(server, fd);
        return;
    }
    atomic_fetch_add(&server->conn_count, 1);
    atomic_fetch_add(&server->accepted_count, 1);
    conn = mem_zalloc(1, sizeof(*conn));
    conn->fd = fd;
    conn->shard = shard;
    conn->opened.fn = http_conn_open;
    if (shard->reactor == reactor_current())
        http_conn_open(&conn->opened);
    else
        reactor_post(shard->reactor, &conn->opened);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_accept_retry(uv_timer_t *timer)
{
    struct http_server *server = CONTAINER_OF(timer, struct http_server, retry);

    uv_poll_start(&server->acceptor, UV_READABLE, on_acceptable);
}

static int http_server_accept(int listen_fd)
{
    if (FAULT("net.server.accept")) {
        errno = EMFILE;
        return -1;
    }
    return accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_server *server = CONTAINER_OF(poll, struct http_server, acceptor);

    uint64_t swallowed;

    (void)events;
    for (int i = 0; status == 0 && i < HTTP_ACCEPT_BURST; i++) {
        const int fd = http_server_accept(server->listen_fd);

        if (fd >= 0) {
            http_server_deal(server, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            const int saved = errno;

            if (log_limiter_pass(&server->complaints, server->options.log, &swallowed))
                log_warn(server->options.log, "cannot accept a connection",
                         F_STR("err", strerror(saved)), F_UINT("not_logged", swallowed));
            uv_poll_stop(&server->acceptor);
            uv_timer_start(&server->retry, on_accept_retry, HTTP_ACCEPT_RETRY_MS, 0);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

/* ---- shards ---- */

/* The connection that still receives and holds most. */
static struct http_conn *http_shard_largest(struct http_shard *shard)
{
    struct http_conn *largest = NULL;

    LIST_EACH(&shard->conns, node)
    {
        struct http_conn *conn = CONTAINER_OF(node, struct http_conn, node);

        if (!conn->is_cut && h2o_socket_is_reading(conn->sock) && conn->sock->input->size > 0 &&
            (largest == NULL || conn->sock->input->size > largest->sock->input->size))
            largest = conn;
    }
    return largest;
}

/* h2o takes a whole body into memory before anybody can refuse it, so that many large ones together
 * are met here. */
static void http_shard_limit_input(struct http_shard *shard)
{
    struct http_server *server = shard->server;
    const size_t size_max = server->options.input_size_max / server->shard_count;
    size_t size = 0;

    LIST_EACH(&shard->conns, node)
    {
        struct http_conn *conn = CONTAINER_OF(node, struct http_conn, node);

        if (!conn->is_cut) /* else it ends as soon as h2o has read what the kernel holds */
            size += conn->sock->input->size;
    }
    while (size > size_max) {
        struct http_conn *conn = http_shard_largest(shard);
        uint64_t swallowed;

        if (conn == NULL)
            return; /* all of it is being handled */
        if (log_limiter_pass(&server->complaints, server->options.log, &swallowed))
            log_warn(server->options.log, "requests take too much memory, one is cut off",
                     F_UINT("size", conn->sock->input->size), F_UINT("total", size),
                     F_UINT("not_logged", swallowed));
        size -= conn->sock->input->size;
        conn->is_cut = true;
        shutdown(conn->fd, SHUT_RDWR);
        atomic_fetch_add(&server->cut_count, 1);
    }
}

static void http_shard_cut(struct http_shard *shard)
{
    LIST_EACH(&shard->conns, node)
    {
        shutdown(CONTAINER_OF(node, struct http_conn, node)->fd, SHUT_RDWR);
    }
}

/* A request that does not arrive whole soon after a stop was asked for is not waited for: it was
 * never handled. */
static void http_shard_stop_receiving(struct http_shard *shard)
{
    LIST_EACH(&shard->conns, node)
    {
        struct http_conn *conn = CONTAINER_OF(node, struct http_conn, node);

        if (h2o_socket_is_reading(conn->sock))
            shutdown(conn->fd, SHUT_RD);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_shard *shard = CONTAINER_OF(timer, struct http_shard, sweep);
    bool cut_all = false;

    if (shard->is_stopping) {
        const uint64_t now_ns = reactor_mono_ns();

        cut_all = now_ns >= atomic_load(&shard->server->stop_deadline_ns);
        if (cut_all)
            http_shard_cut(shard);
        else if (now_ns - shard->stopped_ns >= (uint64_t)HTTP_STOP_RECEIVE_MS * 1000000)
            http_shard_stop_receiving(shard);
    }
    http_shard_limit_input(shard);
    if (!list_is_empty(&shard->exchanges))
        http_exchange_sweep(shard, cut_all);
}

static void http_shard_start(struct reactor_task *task)
{
    struct http_shard *shard = CONTAINER_OF(task, struct http_shard, start);
    struct http_server *server = shard->server;
    uv_loop_t *loop = reactor_loop(shard->reactor);

    /* These two are h2o's, per thread: the first size of an input buffer, and files in /tmp for
     * large bodies, which we never want. */
    h2o_socket_buffer_prototype._initial_buf.capacity = HTTP_BUFFER_SIZE;
    h2o_socket_buffer_prototype.allocator.max = HTTP_BUFFERS_KEPT;
    h2o_socket_buffer_prototype.mmap_settings = NULL;
    h2o_context_init(&shard->ctx, loop, &server->conf);
    shard->accept.ctx = &shard->ctx;
    shard->accept.hosts = server->conf.hosts;
    uv_timer_init(loop, &shard->sweep);
    uv_timer_start(&shard->sweep, on_sweep, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
    shard->is_open = true;
    if (shard == &server->shards[0]) {
        const int err = uv_poll_init_socket(loop, &server->acceptor, server->listen_fd);

        ASSERT(err == 0);
        uv_timer_init(loop, &server->retry);
        uv_poll_start(&server->acceptor, UV_READABLE, on_acceptable);
    }
}

static void on_acceptor_closed(uv_handle_t *handle)
{
    struct http_server *server = CONTAINER_OF((uv_poll_t *)handle, struct http_server, acceptor);

    close(server->listen_fd);
    server->listen_fd = -1;
}

static void http_shard_stop(struct reactor_task *task)
{
    struct http_shard *shard = CONTAINER_OF(task, struct http_shard, stop);
    struct http_server *server = shard->server;

    if (shard == &server->shards[0]) {
        uv_close((uv_handle_t *)&server->acceptor, on_acceptor_closed);
        uv_close((uv_handle_t *)&server->retry, NULL);
    }
    shard->is_stopping = true;
    shard->stopped_ns = reactor_mono_ns();
    /* Not h2o_context_request_shutdown, which starts a timer of HTTP/2 that outlives us. */
    shard->ctx.shutdown_requested = 1;
    /* The end of its input makes h2o close a connection that waits for a request. One that has
     * begun to send it gets HTTP_STOP_RECEIVE_MS. */
    LIST_EACH(&shard->conns, node)
    {
        struct http_conn *conn = CONTAINER_OF(node, struct http_conn, node);

        if (conn->sock->input->size == 0)
            shutdown(conn->fd, SHUT_RD);
    }
    http_server_check_drained(shard);
}

static void http_shard_exit(struct reactor_exit *hook)
{
    struct http_shard *shard = CONTAINER_OF(hook, struct http_shard, exit);

    if (!shard->is_open)
        return;
    ASSERT(shard->is_drained); /* http_server_stop comes before reactor_set_close */
    uv_close((uv_handle_t *)&shard->sweep, NULL);
    h2o_context_dispose(&shard->ctx);
    /* The thread ends, and h2o would forget the input buffers that it keeps for it. */
    while (h2o_socket_buffer_prototype.allocator.cnt > 0)
        mem_free(h2o_mem_alloc_recycle(&h2o_socket_buffer_prototype.allocator, 1));
}

void http_server_check_drained(struct http_shard *shard)
{
    struct http_server *server = shard->server;

    if (!shard->is_stopping || shard->is_drained || shard->conn_count > 0 ||
        shard->exchange_count > 0)
        return;
    shard->is_drained = true;
    pthread_mutex_lock(&server->mutex);
    server->drained_count++;
    pthread_cond_signal(&server->drained);
    pthread_mutex_unlock(&server->mutex);
}

/* ---- listening ---- */

/* Splits "host:port" and "[host]:port"; the host may be empty. */
static enum err http_server_split(const char *address, char *host, size_t host_size,
                                  const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t len;

    if (colon == NULL || colon[1] == '\0')
        return ERR_BAD_INPUT;
    *port = colon + 1;
    len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) != NULL) {
        return ERR_BAD_INPUT;
    }
    if (len >= host_size)
        return ERR_BAD_INPUT;
    memcpy(host, address, len);
    host[len] = '\0';
    return ERR_OK;
}

/* A listening socket for one resolved address, or -errno. */
static int http_server_listen_on(const struct addrinfo *ai)
{
    const int on = 1, off = 0;
    const int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted sockets inherit it */
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (FAULT("net.server.listen"))
        errno = EADDRNOTAVAIL;
    else if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, HTTP_BACKLOG) == 0)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

static void http_server_resolve_address(struct http_server *server)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    char host[64], port[8];

    getsockname(server->listen_fd, (struct sockaddr *)&addr, &len);
    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    server->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                    : ((struct sockaddr_in *)&addr)->sin_port);
    snprintf(server->address, sizeof(server->address),
             addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum err http_server_listen(struct http_server *server, struct err_info *info)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    const char *address = server->options.address, *port;
    struct addrinfo *list = NULL;
    char host[256];
    int got, fd = -EADDRNOTAVAIL;

    if (http_server_split(address, host, sizeof(host), &port) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT, "listen %s: not an address of the form host:port",
                       address);
    got = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &list);
    if (got != 0)
        return err_set(info, ERR_BAD_INPUT, "listen %s: %s", address, gai_strerror(got));
    /* With no host given the IPv6 socket takes both families. A name's IPv4 address goes first. */
    for (int turn = 0; turn < 2; turn++)
        for (struct addrinfo *ai = list; ai != NULL && fd < 0 && fd != -EADDRINUSE;
             ai = ai->ai_next)
            if ((ai->ai_family == AF_INET6) == ((host[0] == '\0') == (turn == 0)))
                fd = http_server_listen_on(ai);
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(info, fd == -EADDRINUSE ? ERR_EXISTS : ERR_IO, "listen tcp %s: bind: %s",
                       address, fd == -EADDRINUSE ? "address already in use" : strerror(-fd));
    server->listen_fd = fd;
    http_server_resolve_address(server);
    return ERR_OK;
}

/* ---- life ---- */

void http_server_metrics_register(struct http_server_metrics *metrics,
                                  struct metric_registry *registry)
{
    metric_register(registry, http_server_metric_descs, COUNT_OF(http_server_metric_descs),
                    metrics);
}

void http_server_metrics_unregister(struct http_server_metrics *metrics,
                                    struct metric_registry *registry)
{
    metric_unregister(registry, http_server_metric_descs, COUNT_OF(http_server_metric_descs),
                      metrics);
}

static void http_server_defaults(struct http_server_options *options)
{
    if (options->connection_count_max == 0)
        options->connection_count_max = HTTP_CONNECTION_COUNT;
    if (options->body_size_max == 0)
        options->body_size_max = HTTP_BODY_SIZE_MAX;
    if (options->input_size_max == 0)
        options->input_size_max = HTTP_INPUT_SIZE_MAX;
    if (options->read_timeout_ms == 0)
        options->read_timeout_ms = HTTP_READ_TIMEOUT_MS;
    if (options->write_timeout_ms == 0)
        options->write_timeout_ms = HTTP_WRITE_TIMEOUT_MS;
    if (options->compress_size_min == 0)
        options->compress_size_min = HTTP_COMPRESS_SIZE_MIN;
}

static void http_server_configure(struct http_server *server)
{
    h2o_hostconf_t *host;
    h2o_pathconf_t *path;
    h2o_handler_t *handler;

    h2o_config_init(&server->conf);
    server->conf.server_name = h2o_iovec_init("", 0);
    server->conf.max_request_entity_size = server->options.body_size_max;
    server->conf.handshake_timeout = HTTP_HANDSHAKE_TIMEOUT_MS;
    server->conf.http1.req_timeout = server->options.read_timeout_ms;
    server->conf.http1.upgrade_to_http2 = 0;
    host = h2o_config_register_host(&server->conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    path = h2o_config_register_path(host, "/", 0);
    path->error_log.emit_request_errors = 0;
    handler = h2o_create_handler(path, sizeof(*handler));
    handler->on_req = http_exchange_on_request;
}

static enum err http_server_compile_cors(struct http_server *server, struct err_info *info)
{
    const char *origin = server->options.cors_origin;
    enum err err;

    if (origin == NULL)
        return ERR_OK;
    err = regex_new(slice_from_cstr(origin), &server->cors, info);
    if (err != ERR_OK) {
        err_prefix(info, "CORS origin");
        return err;
    }
    return ERR_OK;
}

enum err http_server_open(const struct http_server_options *options, struct http_server **server,
                          struct err_info *info)
{
    const size_t shard_count = reactor_set_count(options->reactors);
    struct http_server *s = mem_zalloc(1, sizeof(*s) + shard_count * sizeof(s->shards[0]));
    enum err err;

    s->options = *options;
    s->listen_fd = -1;
    s->shard_count = shard_count;
    http_server_defaults(&s->options);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->drained, NULL);
    http_server_configure(s);
    if (options->path_prefix != NULL) {
        const size_t len = strlen(options->path_prefix);

        s->path_prefix = slice_of(mem_copy_text(options->path_prefix, len), len);
    }
    err = http_server_compile_cors(s, info);
    if (err == ERR_OK)
        err = http_server_listen(s, info);
    if (err != ERR_OK) {
        http_server_free(s);
        return err;
    }
    *server = s;
    return ERR_OK;
}

void http_server_route(struct http_server *server, const struct http_route *route)
{
    ASSERT(!atomic_load(&server->is_serving));
    http_route_add(&server->routes, route);
    if (server->options.is_gated && (route->flags & HTTP_ROUTE_EARLY) != 0) {
        ASSERT(!server->is_started);
        http_route_add(&server->early, route);
    }
}

void http_server_serve(struct http_server *server)
{
    ASSERT(server->is_started && server->options.is_gated);
    ASSERT(!atomic_load(&server->is_serving));
    atomic_store_explicit(&server->is_serving, true, memory_order_release);
}

void http_server_start(struct http_server *server)
{
    ASSERT(!server->is_started);
    server->is_started = true;
    if (!server->options.is_gated)
        atomic_store(&server->is_serving, true);
    for (size_t i = server->shard_count; i-- > 0;) {
        struct http_shard *shard = &server->shards[i];

        shard->server = server;
        shard->reactor = reactor_set_get(server->options.reactors, i);
        shard->start.fn = http_shard_start;
        shard->stop.fn = http_shard_stop;
        shard->exit.fn = http_shard_exit;
        list_init(&shard->conns);
        list_init(&shard->exchanges);
        reactor_on_exit(shard->reactor, &shard->exit);
        /* The first shard, which deals to the others, comes last. */
        reactor_post(shard->reactor, &shard->start);
    }
}

void http_server_stop(struct http_server *server, uint64_t deadline_ns)
{
    ASSERT(reactor_current() == NULL);
    if (!server->is_started || server->is_stopped)
        return;
    server->is_stopped = true;
    atomic_store(&server->stop_deadline_ns, deadline_ns);
    for (size_t i = 0; i < server->shard_count; i++)
        reactor_post(server->shards[i].reactor, &server->shards[i].stop);
    pthread_mutex_lock(&server->mutex);
    while (server->drained_count < server->shard_count)
        pthread_cond_wait(&server->drained, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    h2o_config_dispose(&server->conf);
    http_route_table_fini(&server->routes);
    http_route_table_fini(&server->early);
    regex_free(server->cors);
    mem_free((char *)(uintptr_t)server->path_prefix.data);
    pthread_cond_destroy(&server->drained);
    pthread_mutex_destroy(&server->mutex);
    mem_free(server);
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_get_stats(const struct http_server *server, struct http_server_stats *stats)
{
    stats->connection_count = atomic_load(&server->conn_count);
    stats->request_count = atomic_load(&server->request_count);
    stats->accepted_count = atomic_load(&server->accepted_count);
    stats->refused_count = atomic_load(&server->refused_count);
    stats->cut_count = atomic_load(&server->cut_count);
    stats->requests_total = atomic_load(&server->requests_total);
}
