/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/http_server_internal.h"

enum { SWEEP_BATCH = 128, NS_PER_MS = 1000000 };

/* Lies in the h2o request's pool and is disposed of with it. */
struct exchange_hook {
    struct http_exchange *exchange;
};

static void exchange_free(struct http_exchange *exchange)
{
    struct http_shard *shard = exchange->shard;

    http_gzip_free(exchange->gzip);
    buf_fini(&exchange->zipped);
    mem_free(exchange->body_owned);
    arena_fini(&exchange->request.arena);
    mem_free(exchange);
    atomic_fetch_sub_explicit(&shard->server->request_count, 1, memory_order_relaxed);
    shard->exchange_count--;
    http_server_check_drained(shard);
}

static void exchange_on_ended(struct reactor_task *task)
{
    exchange_free(CONTAINER_OF(task, struct http_exchange, ended));
}

void http_exchange_release(struct http_exchange *exchange)
{
    if (atomic_fetch_sub(&exchange->holders, 1) != 1)
        return;
    if (exchange->shard->reactor == reactor_current()) {
        exchange_free(exchange);
    } else {
        exchange->ended.fn = exchange_on_ended;
        reactor_post(exchange->shard->reactor, &exchange->ended);
    }
}

/* The h2o request is at its end: the answer went out, or the connection broke. */
static void on_hook_disposed(void *ptr)
{
    struct http_exchange *exchange = ((struct exchange_hook *)ptr)->exchange;

    atomic_store_explicit(&exchange->request.is_gone, true, memory_order_relaxed);
    exchange->h2o = NULL;
    list_remove(&exchange->node);
    /* A connection that would now wait for the next request has none to wait for. */
    if (exchange->shard->is_stopping && exchange->conn->sock != NULL)
        shutdown(exchange->conn->fd, SHUT_RD);
    http_exchange_release(exchange);
}

static struct http_exchange *exchange_new(struct http_shard *shard, h2o_req_t *h2o)
{
    struct http_exchange *exchange = mem_zalloc(1, sizeof(*exchange));
    struct exchange_hook *hook = h2o_mem_alloc_shared(&h2o->pool, sizeof(*hook), on_hook_disposed);

    hook->exchange = exchange;
    exchange->shard = shard;
    exchange->h2o = h2o;
    exchange->conn = h2o->conn->callbacks->get_socket(h2o->conn)->on_close.data;
    atomic_init(&exchange->holders, 2); /* h2o and the handler */
    arena_init(&exchange->request.arena, NULL, 0);
    buf_init(&exchange->zipped, SIZE_MAX / 2);
    list_push_back(&shard->exchanges, &exchange->node);
    shard->exchange_count++;
    atomic_fetch_add_explicit(&shard->server->request_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->server->requests_total, 1, memory_order_relaxed);
    return exchange;
}

/* Copies path and query, since they shall outlive h2o's request. False: not under the prefix. */
static bool exchange_set_path(struct http_exchange *exchange)
{
    const struct slice prefix = exchange->shard->server->path_prefix;
    struct http_request *req = &exchange->request;
    const char *mark;
    struct slice path = arena_copy(
        &req->arena, slice_of(exchange->h2o->input.path.base, exchange->h2o->input.path.len));

    mark = path.len == 0 ? NULL : memchr(path.data, '?', path.len);
    if (mark != NULL) {
        const size_t len = (size_t)(mark - path.data);

        req->query = slice_skip(path, len + 1);
        path.len = len;
    }
    if (!slice_has_prefix(path, prefix))
        return false;
    path = slice_skip(path, prefix.len);
    req->path = path;
    return path.len > 0 && path.data[0] == '/';
}

static void exchange_run(struct env_job *job)
{
    struct http_exchange *exchange = CONTAINER_OF(job, struct http_exchange, job);

    if (http_request_is_gone(&exchange->request))
        http_respond_text(&exchange->request, 499, "client closed request\n");
    else
        exchange->entry->route.handler(&exchange->request);
}

static void exchange_done(struct env_job *job)
{
    struct http_exchange *exchange = CONTAINER_OF(job, struct http_exchange, job);

    if (job->err == ERR_DEADLINE)
        http_respond_text(&exchange->request, 503, "timed out waiting in queue\n");
    else if (job->err != ERR_OK)
        http_respond_text(&exchange->request, 503, "server is stopping\n");
    http_exchange_release(exchange);
}

static void exchange_submit(struct http_exchange *exchange)
{
    const struct http_route *route = &exchange->entry->route;
    struct env *env = exchange->shard->server->options.env;
    enum err err;

    ASSERT(env != NULL); /* or all its routes are inline */
    exchange->job.run = exchange_run;
    exchange->job.done = exchange_done;
    exchange->job.priority = route->priority;
    if (route->queue_wait_ms > 0)
        exchange->job.deadline_ns =
            exchange->request.start_ns + route->queue_wait_ms * (uint64_t)NS_PER_MS;
    atomic_fetch_add(&exchange->holders, 1);
    err = env_submit(env, route->pool, &exchange->job);
    if (err == ERR_OK)
        return;
    http_exchange_release(exchange);
    http_respond_text(&exchange->request, 503,
                      err == ERR_FULL ? "too many requests waiting, try again later\n"
                                      : "server is stopping\n");
}

static void exchange_refuse_route(struct http_exchange *exchange, unsigned allowed)
{
    char text[64] = "";
    size_t len = 0;

    if (allowed == 0) {
        http_respond_text(&exchange->request, 404, "404 page not found\n");
        return;
    }
    for (unsigned bit = 1; bit < HTTP_METHOD_ANY; bit <<= 1)
        if ((allowed & bit) != 0)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? ", " : "",
                                    http_method_text((enum http_method)bit));
    http_respond(&exchange->request,
                 &(struct http_response){
                     .status = 405,
                     .body = SLICE("Method Not Allowed\n"),
                     .headers = &(struct http_header){SLICE("allow"), slice_of(text, len)},
                     .header_count = 1,
                 });
}

static void exchange_dispatch(struct http_exchange *exchange)
{
    const struct http_server *server = exchange->shard->server;
    const bool is_serving = atomic_load_explicit(&server->is_serving, memory_order_acquire);
    struct http_request *req = &exchange->request;
    const struct http_route *route;
    struct slice raw[HTTP_PATH_PARAM_MAX] = {{0}};
    unsigned allowed = 0;

    if (exchange_set_path(exchange))
        exchange->entry = http_route_find(is_serving ? &server->routes : &server->early,
                                          req->method, req->path, raw, &allowed);
    if (exchange->entry == NULL && !is_serving) {
        http_respond_text(req, 503, "Service Unavailable\n");
        return;
    }
    if (exchange->entry == NULL) {
        exchange_refuse_route(exchange, allowed);
        return;
    }
    route = &exchange->entry->route;
    req->owner = route->owner;
    if ((route->methods & (unsigned)req->method) == 0) { /* a browser's preflight */
        http_respond(req, &(struct http_response){.status = 204});
        return;
    }
    for (size_t i = 0; i < HTTP_PATH_PARAM_MAX && raw[i].data != NULL; i++)
        if (http_params_decode_path(raw[i], &req->arena, &req->path_params[i]) != ERR_OK) {
            http_respond_text(req, 400, "invalid URL escape in path\n");
            return;
        }
    if (route->body_size_max > 0 && req->body.len > route->body_size_max)
        http_respond_text(req, 413, "request body too large\n");
    else if (req->body.len <= route->inline_size_max && route->inline_size_max > 0)
        route->handler(req);
    else
        exchange_submit(exchange);
}

int http_exchange_on_request(h2o_handler_t *handler, h2o_req_t *h2o)
{
    struct http_shard *shard = CONTAINER_OF(h2o->conn->ctx, struct http_shard, ctx);
    struct http_exchange *exchange = exchange_new(shard, h2o);

    (void)handler;
    exchange->request.method =
        (enum http_method)http_method_parse(slice_of(h2o->method.base, h2o->method.len));
    exchange->is_head = exchange->request.method == HTTP_HEAD;
    exchange->request.body = slice_of(h2o->entity.base, h2o->entity.len);
    exchange->request.start_ns = reactor_mono_ns();
    exchange_dispatch(exchange);
    return 0;
}

/* ---- watching ---- */

static void exchange_mark_gone(struct http_exchange *exchange)
{
    atomic_store_explicit(&exchange->request.is_gone, true, memory_order_relaxed);
}

/* h2o does not read a connection while its request is handled, so a client that left shows only in
 * a poll of its socket. */
static void exchange_poll(struct http_exchange **exchanges, struct pollfd *fds, nfds_t count)
{
    if (count == 0 || poll(fds, count, 0) <= 0)
        return;
    for (nfds_t i = 0; i < count; i++)
        if ((fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
            exchange_mark_gone(exchanges[i]);
}

static void exchange_check_progress(struct http_exchange *exchange, uint64_t now_ns)
{
    const uint64_t timeout_ns = exchange->shard->server->options.write_timeout_ms * NS_PER_MS;
    const size_t size = uv_stream_get_write_queue_size((uv_stream_t *)&exchange->conn->tcp);

    if (size == 0 || size != exchange->queue_size || exchange->progress_ns == 0) {
        exchange->queue_size = size;
        exchange->progress_ns = now_ns;
    } else if (now_ns - exchange->progress_ns > timeout_ns) {
        exchange_mark_gone(exchange);
        shutdown(exchange->conn->fd, SHUT_RDWR);
    }
}

void http_exchange_sweep(struct http_shard *shard, bool cut_all)
{
    struct http_exchange *exchanges[SWEEP_BATCH];
    struct pollfd fds[SWEEP_BATCH];
    const uint64_t now_ns = reactor_mono_ns();
    nfds_t count = 0;

    LIST_EACH(&shard->exchanges, node)
    {
        struct http_exchange *exchange = CONTAINER_OF(node, struct http_exchange, node);

        if (exchange->is_started)
            exchange_check_progress(exchange, now_ns);
        if (cut_all)
            exchange_mark_gone(exchange);
        if (http_request_is_gone(&exchange->request))
            continue;
        exchanges[count] = exchange;
        fds[count++] = (struct pollfd){.fd = exchange->conn->fd, .events = POLLRDHUP};
        if (count == SWEEP_BATCH) {
            exchange_poll(exchanges, fds, count);
            count = 0;
        }
    }
    exchange_poll(exchanges, fds, count);
}

/* ---- what a handler sees ---- */

struct slice http_request_header(const struct http_request *req, const char *name)
{
    const struct http_exchange *exchange = http_exchange_of(req);
    ssize_t at;

    ASSERT(exchange->state == HTTP_HANDLING);
    at = h2o_find_header_by_str(&exchange->h2o->headers, name, strlen(name), -1);
    if (at < 0)
        return slice_of(NULL, 0);
    return slice_of(exchange->h2o->headers.entries[at].value.base,
                    exchange->h2o->headers.entries[at].value.len);
}

enum err http_request_params(struct http_request *req, struct http_params *params,
                             struct err_info *info)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const struct slice type = http_request_header(req, "content-type");

    *params = (struct http_params){0};
    if ((req->method & (HTTP_POST | HTTP_PUT)) != 0 && type.len >= sizeof(form) - 1 &&
        strncasecmp(type.data, form, sizeof(form) - 1) == 0) {
        const enum err err = http_params_parse(params, req->body, &req->arena, info);

        if (err != ERR_OK)
            return err;
    }
    return http_params_parse(params, req->query, &req->arena, info);
}

struct slice http_request_peer(struct http_request *req)
{
    struct http_exchange *exchange = http_exchange_of(req);
    struct sockaddr_storage addr;
    char host[NI_MAXHOST];
    socklen_t len;
    size_t host_len;

    ASSERT(exchange->state == HTTP_HANDLING);
    len =
        exchange->h2o->conn->callbacks->get_peername(exchange->h2o->conn, (struct sockaddr *)&addr);
    host_len = len == 0 ? SIZE_MAX : h2o_socket_getnumerichost((void *)&addr, len, host);
    if (host_len == SIZE_MAX)
        return slice_of(NULL, 0);
    return arena_printf(&req->arena, addr.ss_family == AF_INET6 ? "[%.*s]:%d" : "%.*s:%d",
                        (int)host_len, host, h2o_socket_getport((struct sockaddr *)&addr));
}
