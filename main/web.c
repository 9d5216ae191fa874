/* SPDX-License-Identifier: Apache-2.0 */
#include "main/web.h"

#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "main/version.h"

enum { WEB_METRICS_SIZE_MAX = 256 << 20, WEB_JSON_SIZE_MAX = 16 << 20 };

/* A request that asked for a reload and has no answer yet; in the request's own arena. */
struct web_reload_wait {
    struct list_node node;
    struct http_request *req;
};

struct web {
    struct web_options options;
    _Atomic bool is_ready;
    pthread_mutex_t lock; /* guards what follows */
    struct list reloads;  /* of web_reload_wait */
    bool takes_reloads;
};

struct web *web_new(const struct web_options *options)
{
    struct web *web = mem_zalloc(1, sizeof(*web));

    web->options = *options;
    pthread_mutex_init(&web->lock, NULL);
    list_init(&web->reloads);
    return web;
}

void web_free(struct web *web)
{
    if (web == NULL)
        return;
    ASSERT(list_is_empty(&web->reloads));
    pthread_mutex_destroy(&web->lock);
    mem_free(web);
}

static void web_respond_buf(struct http_request *req, struct buf *buf, const char *content_type)
{
    size_t len;
    char *body;

    if (buf->err != ERR_OK) {
        buf_fini(buf);
        http_respond_text(req, 500, "the answer is too large\n");
        return;
    }
    body = buf_take(buf, &len);
    http_respond(req, &(struct http_response){.status = 200,
                                              .body_is = HTTP_BODY_OWNED,
                                              .body = slice_of(body, len),
                                              .content_type = content_type});
}

static void on_metrics(struct http_request *req)
{
    struct web *web = req->owner;
    const enum metric_format format = metric_format_from_accept(http_request_header(req, "accept"));
    struct buf buf;

    buf_init(&buf, WEB_METRICS_SIZE_MAX);
    metric_write(web->options.metrics, format, &buf);
    web_respond_buf(req, &buf, metric_content_type(format));
}

/* What a person sees who opens the address in a browser. */
static void on_root(struct http_request *req)
{
    http_respond_text(req, 200,
                      "Narthex " NARTHEX_VERSION " is running. It has no user interface yet.\n"
                      "\n"
                      "  api/v1/query?query=up    PromQL, on the same API as Prometheus\n"
                      "  api/v1/targets           what is scraped\n"
                      "  metrics                  its own metrics\n"
                      "  -/ready, -/healthy       for probes\n"
                      "\n"
                      "Grafana: add a data source of type Prometheus with this URL.\n");
}

static void on_healthy(struct http_request *req)
{
    http_respond_text(req, 200, "Narthex is Healthy.\n");
}

/* A reload needs roles to reload. */
static bool web_is_ready(struct http_request *req)
{
    const struct web *web = req->owner;

    if (atomic_load(&web->is_ready))
        return true;
    http_respond_text(req, 503, "Service Unavailable\n");
    return false;
}

static void on_ready(struct http_request *req)
{
    if (web_is_ready(req))
        http_respond_text(req, 200, "Narthex is Ready.\n");
}

static bool web_lifecycle_is_on(struct http_request *req)
{
    const struct web *web = req->owner;

    if (web->options.flags->server.enable_lifecycle)
        return true;
    http_respond_text(req, 403, "Lifecycle API is not enabled.");
    return false;
}

/* The thread that waits for signals reloads: a worker that waited here would be missing in its
 * pool, and a reactor must not wait. */
static void on_reload(struct http_request *req)
{
    struct web *web = req->owner;
    struct web_reload_wait *wait;
    bool is_taken;

    if (!web_lifecycle_is_on(req) || !web_is_ready(req))
        return;
    wait = ARENA_NEW(&req->arena, struct web_reload_wait);
    ASSERT(wait != NULL);
    wait->req = req;
    pthread_mutex_lock(&web->lock);
    is_taken = web->takes_reloads;
    if (is_taken)
        list_push_back(&web->reloads, &wait->node);
    pthread_mutex_unlock(&web->lock);
    if (is_taken)
        signals_raise(web->options.signals, SIGNALS_RELOAD);
    else
        http_respond_text(req, 503, "Service Unavailable\n");
}

static void on_quit(struct http_request *req)
{
    struct web *web = req->owner;

    if (!web_lifecycle_is_on(req))
        return;
    http_respond_text(req, 200, "Requesting termination... Goodbye!");
    signals_raise(web->options.signals, SIGNALS_STOP);
}

/* {"status":"success","data": ... } around what fn writes. */
static void web_respond_json(struct http_request *req,
                             void (*fn)(struct web *web, struct json_writer *json))
{
    struct json_writer json;
    struct buf buf;

    buf_init(&buf, WEB_JSON_SIZE_MAX);
    json_writer_init(&json, &buf);
    json_open_object(&json);
    json_member_cstr(&json, "status", "success");
    json_key(&json, "data");
    fn(req->owner, &json);
    json_close_object(&json);
    web_respond_buf(req, &buf, "application/json");
}

static void write_version(struct web *web, struct json_writer *json)
{
    (void)web;
    json_open_object(json);
    json_member_cstr(json, "version", NARTHEX_VERSION);
    json_member_cstr(json, "revision", NARTHEX_REVISION);
    json_member_cstr(json, "branch", "");
    json_member_cstr(json, "buildUser", "");
    json_member_cstr(json, "buildDate", "");
    json_member_cstr(json, "goVersion", "");
    json_member_cstr(json, "application", "Narthex");
    json_close_object(json);
}

static void on_buildinfo(struct http_request *req)
{
    web_respond_json(req, write_version);
}

static void on_version(struct http_request *req)
{
    struct json_writer json;
    struct buf buf;

    buf_init(&buf, WEB_JSON_SIZE_MAX);
    json_writer_init(&json, &buf);
    write_version(req->owner, &json);
    web_respond_buf(req, &buf, "application/json");
}

static void write_flag(void *owner, const struct setting *setting, struct slice value)
{
    struct json_writer *json = owner;

    json_key(json, setting->name);
    json_string(json, (setting->flags & SETTING_SECRET) != 0 ? SLICE("<secret>") : value);
}

static void write_flags(struct web *web, struct json_writer *json)
{
    json_open_object(json);
    settings_visit(&web->options.flags->settings, write_flag, json);
    json_close_object(json);
}

static void on_flags(struct http_request *req)
{
    web_respond_json(req, write_flags);
}

static void write_config(struct web *web, struct json_writer *json)
{
    struct buf yaml;

    buf_init(&yaml, WEB_JSON_SIZE_MAX);
    web->options.print_config(web->options.owner, &yaml);
    json_open_object(json);
    json_member(json, "yaml", buf_slice(&yaml));
    json_close_object(json);
    buf_fini(&yaml);
}

static void on_config(struct http_request *req)
{
    web_respond_json(req, write_config);
}

void web_add_routes(struct web *web, struct http_server *server)
{
    const struct http_route routes[] = {
        {.methods = HTTP_GET | HTTP_HEAD, .path = "/", .handler = on_root},
        {.methods = HTTP_GET | HTTP_HEAD, .path = "/metrics", .handler = on_metrics},
        {.methods = HTTP_GET | HTTP_HEAD, .path = "/-/healthy", .handler = on_healthy},
        {.methods = HTTP_GET | HTTP_HEAD, .path = "/-/ready", .handler = on_ready},
        {.methods = HTTP_POST | HTTP_PUT, .path = "/-/quit", .handler = on_quit},
        {.methods = HTTP_POST | HTTP_PUT, .path = "/-/reload", .handler = on_reload},
        {.methods = HTTP_GET, .path = "/version", .handler = on_version},
        {.methods = HTTP_GET, .path = "/api/v1/status/buildinfo", .handler = on_buildinfo},
        {.methods = HTTP_GET, .path = "/api/v1/status/flags", .handler = on_flags},
        {.methods = HTTP_GET, .path = "/api/v1/status/config", .handler = on_config},
    };

    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        struct http_route route = routes[i];

        route.owner = web;
        route.inline_size_max = SIZE_MAX;
        route.flags = strncmp(route.path, "/api/", 5) == 0 ? HTTP_ROUTE_CORS : HTTP_ROUTE_EARLY;
        http_server_route(server, &route);
    }
}

/* ---- the server's side ---- */

static void reload_answer(struct http_request *req, enum err err, const struct err_info *info)
{
    char text[ERR_MESSAGE_SIZE + 40];

    if (err == ERR_OK) {
        http_respond(req, &(struct http_response){.status = 200});
        return;
    }
    snprintf(text, sizeof(text), "failed to reload config: %s\n", err_message(err, info));
    http_respond_text(req, err == ERR_CLOSED ? 503 : 500, text);
}

static void reload_answer_all(struct list *reloads, enum err err, const struct err_info *info)
{
    struct list_node *node;

    /* The answer is the last use of the node. */
    while ((node = list_pop_front(reloads)) != NULL)
        reload_answer(CONTAINER_OF(node, struct web_reload_wait, node)->req, err, info);
}

static void web_take_reloads(struct web *web, struct list *reloads)
{
    struct list_node *node;

    list_init(reloads);
    pthread_mutex_lock(&web->lock);
    while ((node = list_pop_front(&web->reloads)) != NULL)
        list_push_back(reloads, node);
    pthread_mutex_unlock(&web->lock);
}

void web_reload(struct web *web)
{
    struct err_info info = {{0}};
    struct list reloads;

    web_take_reloads(web, &reloads);
    const enum err err = web->options.reload(web->options.owner, &info);
    reload_answer_all(&reloads, err, &info);
}

void web_set_ready(struct web *web, bool ready)
{
    struct err_info info = {{0}};
    struct list reloads;

    pthread_mutex_lock(&web->lock);
    web->takes_reloads = ready;
    pthread_mutex_unlock(&web->lock);
    atomic_store(&web->is_ready, ready);
    if (ready)
        return;
    (void)err_set(&info, ERR_CLOSED, "the server is stopping");
    web_take_reloads(web, &reloads);
    reload_answer_all(&reloads, ERR_CLOSED, &info);
}
