/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/receiver.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/zstd.h"
#include "distributor/receive.h"
#include "model/tenant.h"
#include "net/http_server.h"

enum {
    RECEIVER_INLINE_SIZE = 96 * 1024, /* compressed; about half a millisecond of work */
    RECEIVER_SCRATCH_MAX = 32,        /* kept for reuse */
    RECEIVER_SCRATCH_KEEP = 8 << 20,  /* bytes that one keeps, at most */
    /* What decoding one series' labels, a histogram or an exemplar may take: more is no shortage
     * of memory but a hostile message, so it is refused for good. */
    RECEIVER_LABELS_SIZE_MAX = 1 << 20,
    RECEIVER_ERROR_SIZE = 2048,
    RECEIVER_RETRY_S = 1,       /* when memory, queues or a start are to blame */
    RECEIVER_RETRY_SPACE_S = 5, /* when the disk is full */
};

struct receiver_metrics {
    struct metric_counter requests, bytes;
    struct metric_family *refused; /* requests, by status */
};

struct receiver {
    struct distributor *distributor; /* borrowed: owns us */
    struct alias_table *aliases;     /* owned */
    _Atomic uint64_t *abouts;        /* owned; see receive.h */
    pthread_mutex_t lock;            /* guards the list of scratches */
    struct receive_scratch *free;
    uint32_t free_count;
    struct env_job grow_job;
    _Atomic bool is_growing; /* grow_job is submitted or running */
    struct receiver_metrics metrics;
};

static double read_alias_entries(const void *metrics)
{
    const struct receiver *receiver = CONTAINER_OF(metrics, const struct receiver, metrics);
    return (double)alias_table_stats(receiver->aliases).entries;
}

static double read_alias_bytes(const void *metrics)
{
    const struct receiver *receiver = CONTAINER_OF(metrics, const struct receiver, metrics);
    return (double)alias_table_stats(receiver->aliases).size_bytes;
}

static double read_alias_hits(const void *metrics)
{
    const struct receiver *receiver = CONTAINER_OF(metrics, const struct receiver, metrics);
    return (double)alias_table_stats(receiver->aliases).hits;
}

static double read_alias_misses(const void *metrics)
{
    const struct receiver *receiver = CONTAINER_OF(metrics, const struct receiver, metrics);
    return (double)alias_table_stats(receiver->aliases).misses;
}

static double read_alias_evictions(const void *metrics)
{
    const struct receiver *receiver = CONTAINER_OF(metrics, const struct receiver, metrics);
    return (double)alias_table_stats(receiver->aliases).evictions;
}

static const struct metric_desc receiver_metric_descs[] = {
    {"narthex_receiver_requests_total", METRIC_COUNTER, offsetof(struct receiver_metrics, requests),
     .help = "Write requests."},
    {"narthex_receiver_request_bytes_total", METRIC_COUNTER,
     offsetof(struct receiver_metrics, bytes),
     .help = "Bytes of write requests as they came, compressed."},
    {"narthex_receiver_requests_refused_total", METRIC_COUNTER,
     offsetof(struct receiver_metrics, refused), .labels = "code",
     .help = "Write requests that were not stored whole, by the status of the answer."},
    {"narthex_receiver_alias_entries", METRIC_GAUGE_FN, .read = read_alias_entries,
     .help = "Series known by their bytes on the wire."},
    {"narthex_receiver_alias_bytes", METRIC_GAUGE_FN, .read = read_alias_bytes,
     .help = "Memory of the alias table."},
    {"narthex_receiver_alias_hits_total", METRIC_COUNTER_FN, .read = read_alias_hits,
     .help = "Series found by their bytes on the wire."},
    {"narthex_receiver_alias_misses_total", METRIC_COUNTER_FN, .read = read_alias_misses,
     .help = "Series whose labels had to be decoded."},
    {"narthex_receiver_alias_evictions_total", METRIC_COUNTER_FN, .read = read_alias_evictions,
     .help = "Entries of the alias table that were dropped: idle, or all when it is full or "
             "settings change labels."},
};

static struct receive_scratch *scratch_take(struct receiver *receiver)
{
    const uint64_t budget_keep =
        receiver->distributor->options.settings->memory_max / (2 * RECEIVER_SCRATCH_MAX);
    struct receive_scratch *scratch;

    pthread_mutex_lock(&receiver->lock);
    scratch = receiver->free;
    if (scratch != NULL) {
        receiver->free = scratch->next;
        receiver->free_count--;
    }
    pthread_mutex_unlock(&receiver->lock);
    if (scratch == NULL) {
        scratch = mem_alloc(sizeof(*scratch));
        scratch->zstd = NULL;
        arena_init(&scratch->body, &receiver->distributor->budget, 0);
        /* What idle requests keep counts against the budget: at most half of it in all. */
        scratch->body.keep_bytes_max = budget_keep < RECEIVER_SCRATCH_KEEP
                                           ? (size_t)budget_keep
                                           : (size_t)RECEIVER_SCRATCH_KEEP;
        arena_init(&scratch->labels, NULL, RECEIVER_LABELS_SIZE_MAX);
    }
    return scratch;
}

static void scratch_free(struct receive_scratch *scratch)
{
    zstd_decoder_free(scratch->zstd);
    arena_fini(&scratch->body);
    arena_fini(&scratch->labels);
    mem_free(scratch);
}

static void scratch_give(struct receiver *receiver, struct receive_scratch *scratch)
{
    arena_reset(&scratch->body);
    arena_reset(&scratch->labels);
    pthread_mutex_lock(&receiver->lock);
    if (receiver->free_count < RECEIVER_SCRATCH_MAX) {
        scratch->next = receiver->free;
        receiver->free = scratch;
        receiver->free_count++;
        scratch = NULL;
    }
    pthread_mutex_unlock(&receiver->lock);
    if (scratch != NULL)
        scratch_free(scratch);
}

/* What an answer says beside its status. */
struct receiver_answer {
    int status;
    const char *text;
    const uint32_t *stored; /* by kind; NULL: say nothing of it, as 1.0 must not */
    int retry_s;            /* 0: say nothing */
};

static void receiver_respond(struct receiver *receiver, struct http_request *req,
                             const struct receiver_answer *answer)
{
    static const char *const written[] = {
        [APPEND_FLOAT] = "x-prometheus-remote-write-samples-written",
        [APPEND_HISTOGRAM] = "x-prometheus-remote-write-histograms-written",
        [APPEND_EXEMPLAR] = "x-prometheus-remote-write-exemplars-written",
    };
    struct http_header headers[COUNT_OF(written) + 1];
    char numbers[COUNT_OF(written) + 1][12];
    char code[8];
    struct http_response response = {.status = answer->status, .headers = headers};
    struct slice value;
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(written) && answer->stored != NULL; i++) {
        value = slice_of(numbers[count], (size_t)snprintf(numbers[count], sizeof(numbers[0]),
                                                          "%" PRIu32, answer->stored[i]));
        headers[count++] = (struct http_header){slice_from_cstr(written[i]), value};
    }
    if (answer->retry_s != 0) {
        value = slice_of(numbers[count], (size_t)snprintf(numbers[count], sizeof(numbers[0]), "%d",
                                                          answer->retry_s));
        headers[count++] = (struct http_header){SLICE("retry-after"), value};
    }
    response.header_count = count;
    if (answer->status != 204) {
        value = slice_of(code, (size_t)snprintf(code, sizeof(code), "%d", answer->status));
        metric_inc(metric_family_counter(receiver->metrics.refused, &value));
        response.body_is = HTTP_BODY_COPY;
        response.body = slice_from_cstr(answer->text);
    }
    http_respond(req, &response);
}

static void receiver_respond_err(struct http_request *req, bool is_version2, enum err err,
                                 const struct err_info *info)
{
    static const uint32_t nothing[APPEND_KIND_COUNT];
    /* A limit of the process, not of the request: the sender may try again. */
    const int status = err == ERR_LIMIT ? 503 : err_http_status(err);
    char text[ERR_MESSAGE_SIZE + 2];

    snprintf(text, sizeof(text), "%s\n", err_message(err, info));
    receiver_respond(req->owner, req,
                     &(struct receiver_answer){
                         .status = status,
                         .text = text,
                         .stored = is_version2 ? nothing : NULL,
                         .retry_s = status != 503 && status != 429 ? 0
                                    : err == ERR_NO_SPACE          ? RECEIVER_RETRY_SPACE_S
                                                                   : RECEIVER_RETRY_S,
                     });
}

/* What the sender should be told of: metadata that is not kept is counted, not complained about,
 * since upstream's own receiver drops it with 204 and senders repeat it every minute. So are
 * exemplars, but that a sender of 2.0 is told of those out of order, as upstream has it. */
static bool verdict_is_told(enum append_verdict verdict, bool is_version2)
{
    if (verdict == APPEND_BAD_METADATA || verdict == APPEND_EXEMPLARS_OFF ||
        verdict == APPEND_BAD_EXEMPLAR)
        return false;
    return verdict == APPEND_LATE_EXEMPLAR ? is_version2 : !append_verdict_stored(verdict);
}

static void receive_tell_refusals(char *text, size_t size, const struct append_result *result,
                                  bool is_version2)
{
    size_t len = 0;

    for (int i = 0; i < APPEND_VERDICT_COUNT && len < size; i++) {
        const enum append_verdict verdict = (enum append_verdict)i;

        if (result->counts[i] == 0 || !verdict_is_told(verdict, is_version2))
            continue;
        len += (size_t)snprintf(text + len, size - len, "%" PRIu32 " refused: %s\n",
                                result->counts[i], result->texts[i]);
    }
}

/* The transaction's answer becomes the request's. */
static void receiver_done(struct http_request *req, bool is_version2,
                          const struct append_result *result)
{
    char text[RECEIVER_ERROR_SIZE] = "";

    if (result->err != ERR_OK) {
        receiver_respond_err(req, is_version2, result->err, NULL);
        return;
    }
    receive_tell_refusals(text, sizeof(text), result, is_version2);
    receiver_respond(req->owner, req,
                     &(struct receiver_answer){.status = text[0] == '\0' ? 204 : 400,
                                               .text = text,
                                               .stored = is_version2 ? result->stored : NULL});
}

static void on_done(void *owner, const struct append_result *result)
{
    receiver_done(owner, false, result);
}

static void on_done_version2(void *owner, const struct append_result *result)
{
    receiver_done(owner, true, result);
}

static uint32_t receiver_now_s(const struct receiver *receiver)
{
    return (uint32_t)(env_mono_ns(receiver->distributor->options.env) / 1000000000);
}

static void on_grow_run(struct env_job *job)
{
    struct receiver *receiver = CONTAINER_OF(job, struct receiver, grow_job);

    alias_table_grow(receiver->aliases, receiver_now_s(receiver));
}

static void on_grow_done(struct env_job *job)
{
    struct receiver *receiver = CONTAINER_OF(job, struct receiver, grow_job);

    atomic_store(&receiver->is_growing, false);
}

/* Refused by a full pool, it is asked for again by the next request. */
static void receiver_start_growing(struct receiver *receiver)
{
    struct env *env = receiver->distributor->options.env;

    if (atomic_exchange(&receiver->is_growing, true))
        return;
    receiver->grow_job = (struct env_job){.run = on_grow_run, .done = on_grow_done};
    if (env->pool == NULL || env_submit(env, ENV_POOL_BACKGROUND, &receiver->grow_job) != ERR_OK)
        atomic_store(&receiver->is_growing, false);
}

static void on_write(struct http_request *req)
{
    struct receiver *receiver = req->owner;
    struct receive receive = {.distributor = receiver->distributor,
                              .aliases = receiver->aliases,
                              .abouts = receiver->abouts,
                              .body = req->body,
                              .tenant = SLICE(TENANT_DEFAULT)};
    enum err err;

    metric_inc(&receiver->metrics.requests);
    metric_add(&receiver->metrics.bytes, req->body.len);
    err = write_media_read(http_request_header(req, "content-type"),
                           http_request_header(req, "content-encoding"), &receive.media,
                           &receive.info);
    if (err != ERR_OK) {
        receiver_respond_err(req, false, err, &receive.info);
        return;
    }
    receive.scratch = scratch_take(receiver);
    receive.now_s = receiver_now_s(receiver);
    err = receive_decode(&receive);
    scratch_give(receiver, receive.scratch);
    if (receive.is_filling)
        receiver_start_growing(receiver);
    if (err != ERR_OK)
        receiver_respond_err(req, receive.media.is_version2, err, &receive.info);
    else
        append_commit(receive.txn, receive.media.is_version2 ? on_done_version2 : on_done, req);
}

struct receiver *receiver_new(struct distributor *distributor)
{
    struct receiver *receiver = mem_zalloc(1, sizeof(*receiver));

    receiver->distributor = distributor;
    receiver->aliases = alias_table_new((size_t)distributor->options.settings->alias_count_max);
    receiver->abouts = mem_zalloc(RECEIVE_ABOUT_SLOTS, sizeof(*receiver->abouts));
    pthread_mutex_init(&receiver->lock, NULL);
    metric_register(distributor->options.metrics, receiver_metric_descs,
                    COUNT_OF(receiver_metric_descs), &receiver->metrics);
    return receiver;
}

void receiver_free(struct receiver *receiver)
{
    if (receiver == NULL)
        return;
    metric_unregister(receiver->distributor->options.metrics, receiver_metric_descs,
                      COUNT_OF(receiver_metric_descs), &receiver->metrics);
    for (struct receive_scratch *scratch = receiver->free, *next; scratch != NULL; scratch = next) {
        next = scratch->next;
        scratch_free(scratch);
    }
    pthread_mutex_destroy(&receiver->lock);
    alias_table_free(receiver->aliases);
    mem_free(receiver->abouts);
    mem_free(receiver);
}

void receiver_add_routes(struct receiver *receiver, struct http_server *server)
{
    static const char *const paths[] = {"/api/v1/write", "/api/v1/push"};
    /* The most that as many bytes may take packed: what is larger need not be read. */
    const size_t size_max = receiver->distributor->limits.request_size_max;

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        http_server_route(server, &(struct http_route){
                                      .methods = HTTP_POST,
                                      .path = paths[i],
                                      .handler = on_write,
                                      .owner = receiver,
                                      .body_size_max = size_max + size_max / 6 + 1024,
                                      .inline_size_max = RECEIVER_INLINE_SIZE,
                                      .pool = ENV_POOL_INGEST,
                                  });
    }
}

void receiver_forget_aliases(struct receiver *receiver)
{
    alias_table_drop(receiver->aliases);
}
