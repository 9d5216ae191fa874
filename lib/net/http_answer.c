/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"
#include "net/http_server_internal.h"

enum {
    ANSWER_OWN_HEADERS_MAX = 8, /* type, encoding, vary, CORS */
    ANSWER_CHUNK_SIZE = 64 * 1024,
    STATUS_SLOT_OTHER = -1,
};

/* Counters of these codes are kept per route; others are looked up each time. */
static const int answer_statuses[HTTP_ROUTE_STATUS_SLOTS] = {
    200, 204, 400, 401, 403, 404, 405, 413, 415, 422, 429, 499, 500, 502, 503, 302};

static int answer_status_slot(int status)
{
    for (int i = 0; i < HTTP_ROUTE_STATUS_SLOTS; i++)
        if (answer_statuses[i] == status)
            return i;
    return STATUS_SLOT_OTHER;
}

/* ---- the handler's side ---- */

/* "content-type" as "Content-Type": what most servers send. */
static struct slice answer_header_name(struct arena *arena, struct slice name)
{
    const struct slice copy = arena_copy(arena, name);
    char *text = (char *)(uintptr_t)copy.data;
    bool is_first = true;

    ASSERT(text != NULL);
    for (size_t i = 0; i < copy.len; i++) {
        if (is_first && text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
        is_first = text[i] == '-';
    }
    return copy;
}

static void answer_add(struct http_exchange *exchange, struct slice name, struct slice value)
{
    struct http_header *header = &exchange->headers[exchange->header_count++];

    header->name = answer_header_name(&exchange->request.arena, name);
    header->value = arena_copy(&exchange->request.arena, value);
}

static void answer_add_cors(struct http_exchange *exchange)
{
    const struct http_server *server = exchange->shard->server;
    const struct slice origin = http_request_header(&exchange->request, "origin");

    if (server->cors == NULL || exchange->entry == NULL ||
        (exchange->entry->route.flags & HTTP_ROUTE_CORS) == 0)
        return;
    answer_add(exchange, SLICE("vary"), SLICE("Origin"));
    if (origin.len == 0 || !regex_match(server->cors, origin))
        return;
    answer_add(exchange, SLICE("access-control-allow-origin"), origin);
    answer_add(exchange, SLICE("access-control-allow-headers"),
               SLICE("Accept, Authorization, Content-Type, Origin"));
    answer_add(exchange, SLICE("access-control-allow-methods"), SLICE("GET, POST, OPTIONS"));
    answer_add(exchange, SLICE("access-control-expose-headers"), SLICE("Date"));
}

static bool answer_has_no_body(int status)
{
    return status == 204 || status == 304;
}

static enum http_coding answer_coding(struct http_exchange *exchange,
                                      const struct http_response *response)
{
    if (exchange->is_head || answer_has_no_body(response->status) ||
        (exchange->entry != NULL && (exchange->entry->route.flags & HTTP_ROUTE_IDENTITY) != 0))
        return HTTP_CODING_IDENTITY;
    for (size_t i = 0; i < response->header_count; i++)
        if (slice_eq_cstr(response->headers[i].name, "content-encoding"))
            return HTTP_CODING_IDENTITY;
    return http_gzip_choose(http_request_header(&exchange->request, "accept-encoding"));
}

/* Copies the head of the answer; the last moment at which the request's headers are read. */
static void answer_set_head(struct http_exchange *exchange, const struct http_response *response,
                            enum http_coding coding)
{
    const size_t count_max = response->header_count + ANSWER_OWN_HEADERS_MAX;
    const char *type = response->content_type;

    ASSERT(response->status >= 200 && response->status <= 599);
    exchange->status = response->status;
    exchange->headers = ARENA_ARRAY(&exchange->request.arena, struct http_header, count_max);
    ASSERT(exchange->headers != NULL);
    if (type == NULL && (response->body.len > 0 || exchange->is_streamed))
        type = "text/plain; charset=utf-8";
    if (type != NULL && !answer_has_no_body(response->status))
        answer_add(exchange, SLICE("content-type"), slice_from_cstr(type));
    if (coding != HTTP_CODING_IDENTITY) {
        answer_add(exchange, SLICE("content-encoding"),
                   slice_from_cstr(http_gzip_coding_text(coding)));
        answer_add(exchange, SLICE("vary"), SLICE("Accept-Encoding"));
    }
    answer_add_cors(exchange);
    for (size_t i = 0; i < response->header_count; i++)
        answer_add(exchange, response->headers[i].name, response->headers[i].value);
    ASSERT(exchange->header_count <= count_max);
}

static void answer_zip(struct http_exchange *exchange, enum http_coding coding)
{
    struct http_gzip *gzip = http_gzip_new(coding);
    struct buf out;

    buf_init(&out, SIZE_MAX / 2);
    http_gzip_write(gzip, exchange->body, true, &out);
    http_gzip_free(gzip);
    mem_free(exchange->body_owned);
    exchange->body_owned = buf_take(&out, &exchange->body.len);
    exchange->body.data = exchange->body_owned;
    buf_fini(&out);
}

static void answer_set_body(struct http_exchange *exchange, const struct http_response *response,
                            enum http_coding coding)
{
    exchange->body = response->body;
    exchange->content_length = response->body.len;
    if (response->body_is == HTTP_BODY_OWNED)
        exchange->body_owned = (char *)(uintptr_t)response->body.data;
    if (answer_has_no_body(response->status)) {
        exchange->body = slice_of(NULL, 0);
        exchange->content_length = SIZE_MAX;
    } else if (exchange->is_head) {
        exchange->body = slice_of(NULL, 0);
    } else if (coding != HTTP_CODING_IDENTITY) {
        answer_zip(exchange, coding);
        exchange->content_length = exchange->body.len;
    } else if (response->body_is == HTTP_BODY_COPY && response->body.len > 0) {
        exchange->body_owned = mem_copy_text(response->body.data, response->body.len);
        exchange->body.data = exchange->body_owned;
    }
}

static void answer_on_send(struct reactor_task *task);

static void answer_hand_over(struct http_exchange *exchange)
{
    exchange->task.fn = answer_on_send;
    if (exchange->shard->reactor == reactor_current())
        answer_on_send(&exchange->task);
    else
        reactor_post(exchange->shard->reactor, &exchange->task);
}

void http_respond(struct http_request *req, const struct http_response *response)
{
    struct http_exchange *exchange = http_exchange_of(req);
    enum http_coding coding = HTTP_CODING_IDENTITY;

    ASSERT(exchange->state == HTTP_HANDLING);
    if (response->body.len >= exchange->shard->server->options.compress_size_min)
        coding = answer_coding(exchange, response);
    answer_set_head(exchange, response, coding);
    answer_set_body(exchange, response, coding);
    exchange->state = HTTP_ANSWERED;
    exchange->is_last = true;
    answer_hand_over(exchange);
}

void http_respond_text(struct http_request *req, int status, const char *text)
{
    http_respond(req, &(struct http_response){.status = status,
                                              .body_is = HTTP_BODY_COPY,
                                              .body = slice_from_cstr(text)});
}

void http_stream_begin(struct http_request *req, const struct http_response *response)
{
    struct http_exchange *exchange = http_exchange_of(req);
    const enum http_coding coding = answer_coding(exchange, response);

    ASSERT(exchange->state == HTTP_HANDLING);
    ASSERT(!answer_has_no_body(response->status));
    exchange->is_streamed = true;
    exchange->content_length = SIZE_MAX;
    answer_set_head(exchange, response, coding);
    if (coding != HTTP_CODING_IDENTITY)
        exchange->gzip = http_gzip_new(coding);
    exchange->state = HTTP_STREAMING;
}

static enum err answer_send_chunk(struct http_exchange *exchange, struct slice chunk)
{
    struct env *env = exchange->shard->server->options.env;

    if (chunk.len == 0)
        return ERR_OK;
    exchange->body = chunk;
    exchange->sent = (struct env_op){0};
    answer_hand_over(exchange);
    return env_wait(env, &exchange->sent, 0);
}

enum err http_stream_write(struct http_request *req, struct slice bytes)
{
    struct http_exchange *exchange = http_exchange_of(req);
    enum err err;

    ASSERT(exchange->state == HTTP_STREAMING);
    ASSERT(reactor_current() == NULL);
    if (http_request_is_gone(req))
        return ERR_CLOSED;
    if (exchange->is_head)
        return ERR_OK;
    if (exchange->gzip == NULL)
        return answer_send_chunk(exchange, bytes);
    while (bytes.len > 0) {
        const struct slice part =
            slice_of(bytes.data, bytes.len < ANSWER_CHUNK_SIZE ? bytes.len : ANSWER_CHUNK_SIZE);

        bytes = slice_skip(bytes, part.len);
        http_gzip_write(exchange->gzip, part, false, &exchange->zipped);
        if (exchange->zipped.len < ANSWER_CHUNK_SIZE)
            continue;
        err = answer_send_chunk(exchange, buf_slice(&exchange->zipped));
        buf_reset(&exchange->zipped);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

void http_stream_end(struct http_request *req, bool is_complete)
{
    struct http_exchange *exchange = http_exchange_of(req);

    ASSERT(exchange->state == HTTP_STREAMING);
    exchange->body = slice_of(NULL, 0);
    if (is_complete && exchange->gzip != NULL) {
        http_gzip_write(exchange->gzip, exchange->body, true, &exchange->zipped);
        exchange->body = buf_slice(&exchange->zipped);
    }
    exchange->state = HTTP_ANSWERED;
    exchange->is_last = true;
    exchange->is_broken = !is_complete;
    answer_hand_over(exchange);
}

/* ---- the reactor's side ---- */

static void answer_complete_chunk(struct http_exchange *exchange, enum err err)
{
    if (!exchange->is_sending)
        return;
    exchange->is_sending = false;
    env_complete(exchange->shard->server->options.env, &exchange->sent, err);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *h2o)
{
    (void)h2o;
    answer_complete_chunk(CONTAINER_OF(generator, struct http_exchange, generator), ERR_OK);
}

static void on_stop(h2o_generator_t *generator, h2o_req_t *h2o)
{
    struct http_exchange *exchange = CONTAINER_OF(generator, struct http_exchange, generator);

    (void)h2o;
    atomic_store_explicit(&exchange->request.is_gone, true, memory_order_relaxed);
    answer_complete_chunk(exchange, ERR_CLOSED);
}

static void answer_start(struct http_exchange *exchange)
{
    h2o_req_t *h2o = exchange->h2o;

    h2o->res.status = exchange->status;
    h2o->res.reason = http_status_text(exchange->status);
    h2o->res.content_length = exchange->content_length;
    for (size_t i = 0; i < exchange->header_count; i++) {
        const struct http_header *header = &exchange->headers[i];
        char *lower = h2o_strdup(&h2o->pool, header->name.data, header->name.len).base;

        h2o_strtolower(lower, header->name.len);
        h2o_add_header_by_str(&h2o->pool, &h2o->res.headers, lower, header->name.len, 1,
                              header->name.data, header->value.data, header->value.len);
    }
    /* Without chunks the end of the connection is the end of the body. */
    if (exchange->shard->is_stopping || (exchange->is_streamed && h2o->version < 0x101))
        h2o->http1_is_persistent = 0;
    exchange->generator.proceed = on_proceed;
    exchange->generator.stop = on_stop;
    exchange->is_started = true;
    h2o_start_response(h2o, &exchange->generator);
}

static struct metric_histogram *answer_histogram(struct metric_histogram *_Atomic *slot,
                                                 struct metric_family *family, const char *handler)
{
    struct metric_histogram *histogram = atomic_load_explicit(slot, memory_order_acquire);

    if (histogram == NULL) {
        histogram = metric_family_histogram(family, &(struct slice){handler, strlen(handler)});
        atomic_store_explicit(slot, histogram, memory_order_release);
    }
    return histogram;
}

static void answer_count(struct http_exchange *exchange)
{
    const struct http_server_metrics *metrics = exchange->shard->server->options.metrics;
    struct http_route_entry *entry = exchange->entry;
    const uint64_t took_ns = reactor_mono_ns() - exchange->request.start_ns;
    const int slot = answer_status_slot(exchange->status);
    struct metric_counter *counter = NULL;

    if (entry == NULL || metrics == NULL)
        return;
    if (slot != STATUS_SLOT_OTHER)
        counter = atomic_load_explicit(&entry->counters[slot], memory_order_acquire);
    if (counter == NULL) {
        char code[8];
        struct slice values[2] = {slice_from_cstr(entry->route.name), {code, 3}};

        snprintf(code, sizeof(code), "%d", exchange->status);
        counter = metric_family_counter(metrics->requests, values);
        if (slot != STATUS_SLOT_OTHER)
            atomic_store_explicit(&entry->counters[slot], counter, memory_order_release);
    }
    metric_inc(counter);
    metric_observe(answer_histogram(&entry->duration, metrics->duration, entry->route.name),
                   (double)took_ns / 1e9);
    metric_observe(answer_histogram(&entry->size, metrics->size, entry->route.name),
                   (double)exchange->sent_size);
}

/* Runs for a whole answer, and for each chunk and the end of a streamed one. */
static void answer_on_send(struct reactor_task *task)
{
    struct http_exchange *exchange = CONTAINER_OF(task, struct http_exchange, task);
    h2o_iovec_t bytes = {(char *)(uintptr_t)exchange->body.data, exchange->body.len};
    h2o_send_state_t state = H2O_SEND_STATE_IN_PROGRESS;

    exchange->is_sending = !exchange->is_last;
    exchange->sent_size += exchange->body.len;
    if (exchange->is_last) {
        answer_count(exchange);
        state = exchange->is_broken ? H2O_SEND_STATE_ERROR : H2O_SEND_STATE_FINAL;
    }
    if (exchange->h2o == NULL) {
        answer_complete_chunk(exchange, ERR_CLOSED);
    } else {
        if (!exchange->is_started)
            answer_start(exchange);
        h2o_send(exchange->h2o, &bytes, bytes.len > 0 ? 1 : 0, state);
    }
    if (exchange->is_last)
        http_exchange_release(exchange);
}
