/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "base/time_text.h"
#include "codec/api_json.h"
#include "net/http_server.h"
#include "scraper/scraper_internal.h"

enum { ANSWER_SIZE_MAX = 256 << 20, TEXT_SIZE_MAX = 1 << 20 };

/* ---- targets ---- */

struct writing {
    struct scraper *scraper;
    struct json_writer json;
    struct slice pool; /* the one being written */
};

static void write_labels(struct json_writer *json, const char *key, struct label_set labels)
{
    json_key(json, key);
    json_open_object(json);
    for (uint32_t i = 0; i < labels.count; i++) {
        json_key_slice(json, labels.items[i].name);
        json_string(json, labels.items[i].value);
    }
    json_close_object(json);
}

static bool is_local(struct slice host)
{
    return slice_eq(host, SLICE("localhost")) || slice_eq(host, SLICE("127.0.0.1")) ||
           slice_eq(host, SLICE("[::1]"));
}

/* The port with its colon, or nothing. */
static struct slice port_of(struct slice host_port)
{
    const char *colon = host_port.len == 0 ? NULL : memrchr(host_port.data, ':', host_port.len);

    if (colon == NULL || memchr(colon, ']', host_port.len - (size_t)(colon - host_port.data)))
        return slice_of(host_port.data + host_port.len, 0);
    return slice_skip(host_port, (size_t)(colon - host_port.data));
}

/* The host and port of "scheme://host:port/...". */
static struct slice host_port_of(struct slice url)
{
    const char *start = url.len == 0 ? NULL : memmem(url.data, url.len, "://", 3);
    const char *end;

    if (start == NULL)
        return (struct slice){0};
    url = slice_skip(url, (size_t)(start + 3 - url.data));
    end = memchr(url.data, '/', url.len);
    return slice_of(url.data, end == NULL ? url.len : (size_t)(end - url.data));
}

/* A target on this host under the name that others reach it by. */
static void add_global_url(const struct scraper *scraper, struct slice url, struct buf *out)
{
    const struct slice host_port = host_port_of(url);
    const struct slice port = port_of(host_port);
    const struct slice host = slice_of(host_port.data, host_port.len - port.len);
    const char *listen = scraper->options.listen_address, *external = scraper->options.external_url;
    const struct slice own_port =
        listen == NULL ? (struct slice){0} : port_of(slice_from_cstr(listen));
    const struct slice rest = slice_skip(
        url, host_port.len == 0 ? 0 : (size_t)(host_port.data + host_port.len - url.data));
    struct slice outside =
        external == NULL ? (struct slice){0} : host_port_of(slice_from_cstr(external));

    if (!is_local(host)) {
        buf_add_slice(out, url);
        return;
    }
    if (external != NULL && port.len != 0 && slice_eq(port, own_port)) {
        buf_add(out, external, (size_t)(outside.data + outside.len - external));
        buf_add_slice(out, rest);
        return;
    }
    buf_add(out, url.data, (size_t)(host.data - url.data));
    if (outside.len != 0)
        buf_add(out, outside.data, outside.len - port_of(outside).len);
    else
        buf_add_slice(out, scraper->shared.hostname);
    buf_add_slice(out, port);
    buf_add_slice(out, rest);
}

static const char *health_text(enum scrape_health health)
{
    switch (health) {
    case SCRAPE_HEALTH_UP:
        return "up";
    case SCRAPE_HEALTH_DOWN:
        return "down";
    case SCRAPE_HEALTH_UNKNOWN:
        break;
    }
    return "unknown";
}

static void write_status(struct writing *writing, const struct target *target,
                         const struct scrape_status *status)
{
    struct json_writer *json = &writing->json;
    struct buf text;

    buf_init(&text, TEXT_SIZE_MAX);
    add_global_url(writing->scraper, target->url, &text);
    json_member(json, "globalUrl", buf_slice(&text));
    json_member_cstr(json, "lastError", status->error);
    buf_reset(&text);
    if (status->scraped_ms == 0)
        buf_add_cstr(&text, "0001-01-01T00:00:00Z");
    else
        time_text_add_rfc3339_ns(&text, status->scraped_ms * 1000000);
    json_member(json, "lastScrape", buf_slice(&text));
    json_key(json, "lastScrapeDuration");
    json_double(json, status->duration_s);
    json_member_cstr(json, "health", health_text(status->health));
    buf_fini(&text);
}

static void write_target(void *owner, const struct target *target,
                         const struct scrape_status *status)
{
    struct writing *writing = owner;
    struct json_writer *json = &writing->json;

    json_open_object(json);
    write_labels(json, "discoveredLabels", target->discovered);
    if (status != NULL)
        write_labels(json, "labels", target->public_labels);
    json_member(json, "scrapePool", writing->pool);
    if (status != NULL) {
        json_member(json, "scrapeUrl", target->url);
        write_status(writing, target, status);
        json_member(json, "scrapeInterval", target->interval_text);
        json_member(json, "scrapeTimeout", target->timeout_text);
    }
    json_close_object(json);
}

static bool is_state(struct slice state, const char *wanted)
{
    return state.len == 0 || (state.len == 3 && strncasecmp(state.data, "any", 3) == 0) ||
           (state.len == strlen(wanted) && strncasecmp(state.data, wanted, state.len) == 0);
}

enum part { PART_ACTIVE, PART_DROPPED, PART_COUNTS };

static void write_pool_part(struct writing *writing, struct scrape_pool *pool, enum part part)
{
    const struct scrape_pool_visitor writer = {write_target, writing};

    switch (part) {
    case PART_ACTIVE:
        scrape_pool_visit_active(pool, &writer);
        break;
    case PART_DROPPED:
        scrape_pool_visit_dropped(pool, &writer);
        break;
    case PART_COUNTS:
        json_key_slice(&writing->json, writing->pool);
        json_uint(&writing->json, scrape_pool_dropped_count(pool));
        break;
    }
}

/* Under the scraper's lock. */
static void write_part(struct writing *writing, struct slice only, enum part part)
{
    const struct scraper *scraper = writing->scraper;

    for (uint32_t i = 0; i < scraper->pool_count; i++) {
        struct scrape_job *job = scrape_pool_job(scraper->pools[i]);

        writing->pool = job->scrape->job_name;
        if (only.len == 0 || slice_eq(only, writing->pool))
            write_pool_part(writing, scraper->pools[i], part);
        scrape_job_unref(job);
    }
}

void scraper_write_targets(struct scraper *scraper, const struct scraper_filter *filter,
                           struct buf *out)
{
    struct writing writing = {.scraper = scraper};
    struct json_writer *json = &writing.json;

    json_writer_init(json, out);
    pthread_mutex_lock(&scraper->lock);
    json_open_object(json);
    json_key(json, "activeTargets");
    json_open_array(json);
    if (is_state(filter->state, "active"))
        write_part(&writing, filter->pool, PART_ACTIVE);
    json_close_array(json);
    json_key(json, "droppedTargets");
    json_open_array(json);
    if (is_state(filter->state, "dropped"))
        write_part(&writing, filter->pool, PART_DROPPED);
    json_close_array(json);
    json_key(json, "droppedTargetCounts");
    if (is_state(filter->state, "dropped")) {
        json_open_object(json);
        write_part(&writing, (struct slice){0}, PART_COUNTS);
        json_close_object(json);
    } else {
        json_null(json);
    }
    json_close_object(json);
    pthread_mutex_unlock(&scraper->lock);
}

void scraper_write_pools(struct scraper *scraper, struct buf *out)
{
    struct json_writer json;

    json_writer_init(&json, out);
    pthread_mutex_lock(&scraper->lock);
    json_open_object(&json);
    json_key(&json, "scrapePools");
    json_open_array(&json);
    for (uint32_t i = 0; i < scraper->pool_count; i++) {
        struct scrape_job *job = scrape_pool_job(scraper->pools[i]);

        json_string(&json, job->scrape->job_name);
        scrape_job_unref(job);
    }
    json_close_array(&json);
    json_close_object(&json);
    pthread_mutex_unlock(&scraper->lock);
}

/* ---- routes ---- */

static void answer(struct http_request *req, int status, struct buf *body)
{
    struct http_response response = {
        .status = status, .body_is = HTTP_BODY_OWNED, .content_type = "application/json"};

    if (body->err != ERR_OK) {
        buf_fini(body);
        http_respond_text(req, err_http_status(body->err), err_text(body->err));
        return;
    }
    response.body.data = buf_take(body, &response.body.len);
    http_respond(req, &response);
}

static void answer_error(struct http_request *req, enum err err, const char *message)
{
    struct api_json api;
    struct buf body;

    buf_init(&body, ANSWER_SIZE_MAX);
    api_json_init(&api, &body);
    api_json_error(&api, err, message);
    answer(req, err_http_status(err), &body);
}

static bool get_params(struct http_request *req, struct http_params *params)
{
    struct err_info info = {0};
    const enum err err = http_request_params(req, params, &info);

    if (err != ERR_OK)
        answer_error(req, err, err_message(err, &info));
    return err == ERR_OK;
}

static void on_targets(struct http_request *req)
{
    struct scraper_filter filter;
    struct http_params params = {0};
    struct api_json api;
    struct buf body;

    if (!get_params(req, &params))
        return;
    filter.state = http_params_get(&params, "state");
    filter.pool = http_params_get(&params, "scrapePool");
    buf_init(&body, ANSWER_SIZE_MAX);
    api_json_init(&api, &body);
    api_json_open(&api);
    scraper_write_targets(req->owner, &filter, &body);
    api_json_close(&api, NULL);
    answer(req, 200, &body);
}

static void on_pools(struct http_request *req)
{
    struct api_json api;
    struct buf body;

    buf_init(&body, ANSWER_SIZE_MAX);
    api_json_init(&api, &body);
    api_json_open(&api);
    scraper_write_pools(req->owner, &body);
    api_json_close(&api, NULL);
    answer(req, 200, &body);
}

/* The job of a pool, one reference; NULL: there is none. */
static struct scrape_job *find_job(struct scraper *scraper, struct slice name)
{
    struct scrape_job *found = NULL;

    pthread_mutex_lock(&scraper->lock);
    for (uint32_t i = 0; found == NULL && i < scraper->pool_count; i++) {
        struct scrape_job *job = scrape_pool_job(scraper->pools[i]);

        if (slice_eq(job->scrape->job_name, name))
            found = job;
        else
            scrape_job_unref(job);
    }
    pthread_mutex_unlock(&scraper->lock);
    return found;
}

static void on_pool_config(struct http_request *req)
{
    struct http_params params = {0};
    struct json_writer json;
    struct scrape_job *job;
    struct api_json api;
    struct buf body, yaml;

    if (!get_params(req, &params))
        return;
    job = find_job(req->owner, http_params_get(&params, "scrapePool"));
    if (job == NULL) {
        answer_error(req, ERR_BAD_INPUT, "scrape pool not found");
        return;
    }
    buf_init(&yaml, ANSWER_SIZE_MAX);
    prometheus_config_print_scrape(job->scrape, &yaml);
    scrape_job_unref(job);
    buf_init(&body, ANSWER_SIZE_MAX);
    api_json_init(&api, &body);
    api_json_open(&api);
    json_writer_init(&json, &body);
    json_open_object(&json);
    json_member(&json, "yaml", buf_slice(&yaml));
    json_close_object(&json);
    api_json_close(&api, NULL);
    buf_fini(&yaml);
    answer(req, 200, &body);
}

void scraper_add_routes(struct scraper *scraper, struct http_server *server)
{
    const struct http_route routes[] = {
        {.methods = HTTP_GET, .path = "/api/v1/targets", .handler = on_targets},
        {.methods = HTTP_GET, .path = "/api/v1/scrape_pools", .handler = on_pools},
        {.methods = HTTP_GET, .path = "/api/v1/scrape_pools/config", .handler = on_pool_config},
    };

    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        struct http_route route = routes[i];

        route.owner = scraper;
        route.flags = HTTP_ROUTE_CORS;
        route.pool = ENV_POOL_QUERY;
        http_server_route(server, &route);
    }
}
