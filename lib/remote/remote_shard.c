/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_shard.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/number.h"
#include "remote/remote_batch.h"
#include "remote/remote_queue_internal.h"

enum {
    OWN_HEADER_COUNT = 4,
    BODY_SIZE_MAX = 256 << 20,
    ANSWER_SIZE_MAX = 64 << 10,
    ANSWER_SHOWN = 200,
    RETRY_AFTER_S_MAX = 600,
    SUBMIT_RETRY_NS = 100 * 1000 * 1000,
};

static void shard_start(struct remote_shard *shard);

void remote_item_fini(struct remote_item *item)
{
    remote_target_unref(item->target);
    if (item->kind != APPEND_FLOAT)
        mem_free(item->body);
}

static uint64_t now_ns(const struct remote_shard *shard)
{
    return env_mono_ns(shard->queue->options.env);
}

static const struct remote_queue_config *settings(const struct remote_shard *shard)
{
    return &shard->queue->section->queue;
}

/* ---- the ring ---- */

void remote_shard_push(struct remote_shard *shard, const struct remote_item *item)
{
    ASSERT(shard->count < shard->cap);
    if (shard->items == NULL)
        shard->items = mem_alloc(shard->cap * sizeof(*shard->items));
    if (shard->count == shard->batch)
        shard->first_ns = now_ns(shard);
    *remote_shard_at(shard, shard->count) = *item;
    shard->count++;
    shard->queue->pending[item->kind]++;
}

static void shard_pop(struct remote_shard *shard, uint32_t count)
{
    ASSERT(count <= shard->count);
    for (uint32_t i = 0; i < count; i++) {
        struct remote_item *item = remote_shard_at(shard, i);

        shard->queue->pending[item->kind]--;
        remote_item_fini(item);
    }
    shard->head = (shard->head + count) % shard->cap;
    shard->count -= count;
    shard->first_ns = now_ns(shard);
}

void remote_shard_clear(struct remote_shard *shard)
{
    ASSERT(shard->state == REMOTE_SHARD_IDLE);
    shard_pop(shard, shard->count);
    shard->batch = 0;
    shard->is_split = false;
}

/* ---- ends of a request ---- */

/* Locked: nothing is under way any more; whether or not its items are done with. */
static void shard_rest(struct remote_shard *shard)
{
    shard->state = REMOTE_SHARD_IDLE;
    shard->batch = 0;
    shard->attempt = 0;
    shard->is_split = false;
    shard->backoff_ns = 0;
    ASSERT(shard->queue->busy > 0);
    shard->queue->busy--;
    remote_queue_shard_idle(shard->queue);
    remote_shard_step(shard);
}

static void count_tally(const struct remote_tally *tally,
                        struct metric_counter *const counters[APPEND_KIND_COUNT])
{
    for (int kind = 0; kind < APPEND_KIND_COUNT; kind++)
        if (tally->kinds[kind] != 0)
            metric_add(counters[kind], tally->kinds[kind]);
}

static uint64_t tally_samples(const struct remote_tally *tally)
{
    return (uint64_t)tally->kinds[APPEND_FLOAT] + tally->kinds[APPEND_HISTOGRAM] +
           tally->kinds[APPEND_EXEMPLAR];
}

/* Locked: what was in the request is done with, sent or not. */
static void shard_complete(struct remote_shard *shard)
{
    struct remote_queue *queue = shard->queue;

    for (unsigned kind = 0; kind < APPEND_KIND_COUNT; kind++)
        remote_queue_drop(queue, kind, REMOTE_DROP_TOO_OLD, shard->too_old.kinds[kind]);
    if (shard->is_split && ++shard->round < shard->rounds) {
        shard->attempt = 0;
        shard->backoff_ns = 0;
        shard_start(shard);
        return;
    }
    shard_pop(shard, shard->batch);
    queue->position_is_dirty = true;
    shard_rest(shard);
}

/* Locked. */
static void shard_sent(struct remote_shard *shard)
{
    struct remote_queue *queue = shard->queue;

    count_tally(&shard->tally, queue->counters.sent);
    metric_add(queue->counters.bytes, shard->body.len);
    queue->rate_out.events += tally_samples(&shard->tally);
    queue->rate_busy_ns.events += now_ns(shard) - shard->sent_ns;
    queue->sent_ns = now_ns(shard);
    queue->has_failed = false;
    if (shard->tally.t_ms_max > queue->t_ms_sent)
        queue->t_ms_sent = shard->tally.t_ms_max;
    shard_complete(shard);
}

/* Locked: again after a while, `after_ns` if the receiver says so (else 0). */
static void shard_back_off(struct remote_shard *shard, uint64_t after_ns)
{
    struct env *env = shard->queue->options.env;
    const uint64_t min_ns = (uint64_t)settings(shard)->min_backoff_ms * 1000000;
    const uint64_t max_ns = (uint64_t)settings(shard)->max_backoff_ms * 1000000;
    uint64_t wait_ns;

    shard->queue->has_failed = true;
    shard->backoff_ns = shard->backoff_ns == 0 ? min_ns : shard->backoff_ns * 2;
    if (shard->backoff_ns > max_ns)
        shard->backoff_ns = max_ns;
    /* A quarter more or less, so that shards and senders do not come back all at once. */
    wait_ns = shard->backoff_ns * (75 + env_random_u64(env) % 51) / 100;
    if (after_ns > wait_ns)
        wait_ns = after_ns;
    shard->attempt++;
    if (shard->queue->is_stopping) {
        shard_rest(shard);
        return;
    }
    shard->state = REMOTE_SHARD_BACKOFF;
    env_timer_start(env, &shard->timer, now_ns(shard) + wait_ns);
    remote_queue_shard_idle(shard->queue);
}

/* ---- the answer ---- */

/* Seconds, or a date. In nanoseconds from now; 0: none. */
static uint64_t retry_after_ns(const struct remote_shard *shard)
{
    const struct slice value = http_call_header(&shard->call, "retry-after");
    char text[64];
    struct tm tm = {0};
    uint64_t seconds = 0;

    if (value.len == 0 || value.len >= sizeof(text))
        return 0;
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(value));
    if (number_parse_uint64(value, &seconds) != ERR_OK &&
        strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL) {
        const int64_t at_ms = (int64_t)timegm(&tm) * 1000;
        const int64_t left_ms = at_ms - env_now_ms(shard->queue->options.env);

        seconds = left_ms <= 0 ? 0 : (uint64_t)(left_ms + 999) / 1000;
    }
    return (seconds > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX : seconds) * 1000000000;
}

static bool is_retryable(const struct remote_shard *shard)
{
    const int status = shard->call.status;

    if (shard->call.err != ERR_OK)
        return true;
    return status / 100 == 5 || (status == 429 && settings(shard)->retry_on_http_429);
}

static void tell_failure(struct remote_shard *shard, const char *message)
{
    struct remote_queue *queue = shard->queue;
    const struct http_call *call = &shard->call;
    struct slice body = call->body_received;
    uint64_t swallowed;

    if (!log_limiter_pass(&queue->send_limiter, queue->options.log, &swallowed))
        return;
    if (body.len > ANSWER_SHOWN)
        body.len = ANSWER_SHOWN;
    if (call->err != ERR_OK)
        log_warn(queue->options.log, message, F_STR("remote_name", queue->name),
                 F_SLICE("url", queue->section->url), F_UINT("count", shard->batch),
                 F_ERR(call->err, &call->info), F_UINT("lines_left_out", swallowed));
    else
        log_warn(queue->options.log, message, F_STR("remote_name", queue->name),
                 F_SLICE("url", queue->section->url), F_UINT("count", shard->batch),
                 F_INT("status", call->status), F_SLICE("answer", body),
                 F_UINT("lines_left_out", swallowed));
}

/* Whether a receiver may have refused the whole request for something that it got from an earlier
 * process. */
static bool may_be_repeated(const struct remote_shard *shard)
{
    return !shard->is_split && !shard->queue->section->is_v2 && shard->batch > 1 &&
           remote_shard_at(shard, 0)->seq < shard->queue->replay_end;
}

/* A receiver of 2.0 says how much it wrote; one that does not has not understood the request. */
static bool is_understood(const struct remote_shard *shard)
{
    static const char *const headers[] = {"x-prometheus-remote-write-samples-written",
                                          "x-prometheus-remote-write-histograms-written",
                                          "x-prometheus-remote-write-exemplars-written"};

    if (!shard->queue->section->is_v2)
        return true;
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        if (http_call_header(&shard->call, headers[i]).len != 0)
            return true;
    return false;
}

static void on_answer(struct http_call *call)
{
    struct remote_shard *shard = call->owner;
    struct remote_queue *queue = shard->queue;
    const double seconds = (double)(now_ns(shard) - shard->sent_ns) / 1e9;

    pthread_mutex_lock(&queue->lock);
    ASSERT(shard->state == REMOTE_SHARD_SEND);
    arena_reset(&shard->arena);
    if (call->err == ERR_CANCELLED) {
        shard_rest(shard);
        pthread_mutex_unlock(&queue->lock);
        return;
    }
    metric_observe(queue->counters.batch_seconds, seconds);
    if (call->err == ERR_OK && call->status / 100 == 2 && is_understood(shard)) {
        shard_sent(shard);
    } else if (is_retryable(shard)) {
        tell_failure(shard, "remote write: failed to send a batch, retrying");
        count_tally(&shard->tally, queue->counters.retried);
        shard_back_off(shard, retry_after_ns(shard));
    } else if (may_be_repeated(shard)) {
        remote_batch_rounds(shard);
        shard->is_split = true;
        shard->round = 0;
        shard->attempt = 0;
        shard_start(shard);
    } else {
        tell_failure(shard, call->status / 100 == 2
                                ? "remote write: the receiver does not understand 2.0, the batch "
                                  "is lost"
                                : "remote write: the receiver refuses a batch, it is dropped");
        count_tally(&shard->tally, queue->counters.failed);
        shard_complete(shard);
    }
    pthread_mutex_unlock(&queue->lock);
}

/* ---- encoding ---- */

static enum err make_headers(struct remote_shard *shard)
{
    const struct remote_write_config *section = shard->queue->section;
    struct remote_http_headers *headers = &shard->headers;
    char attempt[24];
    enum err err;

    arena_reset(&shard->arena);
    err = remote_http_headers_init(headers, &section->http,
                                   OWN_HEADER_COUNT + section->headers.count, &shard->arena);
    if (err != ERR_OK)
        return err;
    remote_http_add_header(headers, SLICE("Content-Encoding"), SLICE("snappy"));
    remote_http_add_header(
        headers, SLICE("Content-Type"),
        section->is_v2 ? SLICE("application/x-protobuf;proto=io.prometheus.write.v2.Request")
                       : SLICE("application/x-protobuf"));
    remote_http_add_header(headers, SLICE("X-Prometheus-Remote-Write-Version"),
                           section->is_v2 ? SLICE("2.0.0") : SLICE("0.1.0"));
    if (shard->attempt > 0) {
        const int len = snprintf(attempt, sizeof(attempt), "%u", shard->attempt);

        remote_http_add_header(headers, SLICE("Retry-Attempt"),
                               arena_copy(&shard->arena, slice_of(attempt, (size_t)len)));
    }
    for (uint32_t i = 0; i < section->headers.count; i++)
        remote_http_add_header(headers, section->headers.items[i].name,
                               section->headers.items[i].value);
    return remote_http_headers_add(headers, &section->http, shard->queue->options.env,
                                   &shard->encode_info);
}

static void on_encode_run(struct env_job *job)
{
    struct remote_shard *shard = CONTAINER_OF(job, struct remote_shard, job);

    shard->encode_info = (struct err_info){{0}};
    shard->encode_err = ERR_OK;
    /* The same request again, unless some of it may be too old by now. */
    if (shard->attempt == 0 || settings(shard)->sample_age_limit_ms != 0)
        shard->encode_err = remote_batch_encode(shard, &shard->encode_info);
    if (shard->encode_err == ERR_OK)
        shard->encode_err = make_headers(shard);
}

/* Locked. */
static void shard_send(struct remote_shard *shard)
{
    const struct remote_write_config *section = shard->queue->section;
    struct http_call *call = &shard->call;

    shard->state = REMOTE_SHARD_SEND;
    shard->sent_ns = now_ns(shard);
    call->method = HTTP_POST;
    call->url = section->url.data;
    call->headers = shard->headers.items;
    call->header_count = shard->headers.count;
    call->body = buf_slice(&shard->body);
    call->body_size_max = ANSWER_SIZE_MAX;
    call->deadline_ns = shard->sent_ns + (uint64_t)section->timeout_ms * 1000000;
    http_call_start(call);
}

static void on_encode_done(struct env_job *job)
{
    struct remote_shard *shard = CONTAINER_OF(job, struct remote_shard, job);
    struct remote_queue *queue = shard->queue;
    uint64_t swallowed;

    pthread_mutex_lock(&queue->lock);
    ASSERT(shard->state == REMOTE_SHARD_ENCODE);
    if (job->err != ERR_OK || queue->is_stopping) {
        shard_rest(shard);
    } else if (shard->encode_err == ERR_TOO_LARGE || shard->encode_err == ERR_BAD_INPUT) {
        log_error(queue->options.log, "remote write: a batch cannot be encoded, it is dropped",
                  F_STR("remote_name", queue->name), F_ERR(shard->encode_err, &shard->encode_info));
        count_tally(&shard->tally, queue->counters.failed);
        shard_complete(shard);
    } else if (shard->encode_err != ERR_OK) {
        if (log_limiter_pass(&queue->send_limiter, queue->options.log, &swallowed))
            log_warn(queue->options.log, "remote write: cannot make a request, retrying",
                     F_STR("remote_name", queue->name),
                     F_ERR(shard->encode_err, &shard->encode_info),
                     F_UINT("lines_left_out", swallowed));
        shard_back_off(shard, 0);
    } else if (tally_samples(&shard->tally) + shard->tally.kinds[APPEND_METADATA] == 0) {
        shard_complete(shard); /* all of it is too old */
    } else {
        shard_send(shard);
    }
    pthread_mutex_unlock(&queue->lock);
}

/* Locked: the job, or soon again. */
static void shard_start(struct remote_shard *shard)
{
    struct env *env = shard->queue->options.env;

    shard->state = REMOTE_SHARD_ENCODE;
    shard->job = (struct env_job){.run = on_encode_run, .done = on_encode_done, .priority = -1};
    if (env_submit(env, ENV_POOL_INGEST, &shard->job) == ERR_OK)
        return;
    shard->state = REMOTE_SHARD_BACKOFF;
    env_timer_start(env, &shard->timer, now_ns(shard) + SUBMIT_RETRY_NS);
}

void remote_shard_step(struct remote_shard *shard)
{
    struct remote_queue *queue = shard->queue;
    const uint32_t send_max = (uint32_t)settings(shard)->max_samples_per_send;
    const uint64_t due_ns =
        shard->first_ns + (uint64_t)settings(shard)->batch_send_deadline_ms * 1000000;

    if (shard->state != REMOTE_SHARD_IDLE || shard->count == 0 || queue->is_stopping ||
        queue->is_resharding)
        return;
    if (shard->count < send_max && shard->count < shard->cap && !queue->is_flushing &&
        now_ns(shard) < due_ns) {
        env_timer_start(queue->options.env, &shard->timer, due_ns);
        return;
    }
    shard->batch = shard->count < send_max ? shard->count : send_max;
    queue->busy++;
    shard_start(shard);
}

static void on_timer(struct env_timer *timer)
{
    struct remote_shard *shard = CONTAINER_OF(timer, struct remote_shard, timer);

    pthread_mutex_lock(&shard->queue->lock);
    if (shard->state == REMOTE_SHARD_BACKOFF)
        shard_start(shard);
    else
        remote_shard_step(shard);
    pthread_mutex_unlock(&shard->queue->lock);
}

void remote_shard_cancel(struct remote_shard *shard)
{
    if (shard->state == REMOTE_SHARD_SEND)
        http_call_cancel(&shard->call);
    else if (shard->state == REMOTE_SHARD_BACKOFF)
        shard_rest(shard); /* the timer, should it still fire, finds nothing to do */
}

/* ---- life ---- */

void remote_shard_init(struct remote_shard *shard, struct remote_queue *queue)
{
    *shard = (struct remote_shard){.queue = queue};
    shard->cap = (uint32_t)queue->section->queue.capacity;
    if (shard->cap < queue->section->queue.max_samples_per_send)
        shard->cap = (uint32_t)queue->section->queue.max_samples_per_send;
    shard->timer.fn = on_timer;
    arena_init(&shard->arena, NULL, 0);
    buf_init(&shard->body, BODY_SIZE_MAX);
    remote_write2_out_init(&shard->out2, &queue->symbol_key);
    http_call_init(&shard->call, queue->client);
    shard->call.done = on_answer;
    shard->call.owner = shard;
}

void remote_shard_fini(struct remote_shard *shard)
{
    ASSERT(shard->state == REMOTE_SHARD_IDLE);
    if (shard->count > 0)
        remote_shard_clear(shard);
    http_call_fini(&shard->call);
    remote_write2_out_fini(&shard->out2);
    buf_fini(&shard->body);
    arena_fini(&shard->arena);
    mem_free(shard->item_rounds);
    mem_free(shard->items);
}
