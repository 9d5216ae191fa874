/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/receiver.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/remote_write.h"
#include "codec/snappy.h"
#include "distributor/distributor_internal.h"
#include "model/tenant.h"
#include "net/http_server.h"

enum {
    RECEIVER_BATCH = 256, /* series looked up at a time: their state fits a core's first cache */
    RECEIVER_INLINE_SIZE = 96 * 1024, /* compressed; about half a millisecond of work */
    RECEIVER_SCRATCH_MAX = 32,        /* kept for reuse */
    RECEIVER_SCRATCH_KEEP = 8 << 20,  /* bytes that one keeps, at most */
    /* What decoding one series' labels, a histogram or an exemplar may take: more is no shortage
     * of memory but a hostile message, so it is refused for good. */
    RECEIVER_LABELS_SIZE_MAX = 1 << 20,
    RECEIVER_ERROR_SIZE = 2048,
};

/* Working memory of one request, reused by the next. */
struct receive_scratch {
    struct receive_scratch *next;
    struct arena body;   /* the decompressed request */
    struct arena labels; /* of series that the alias table does not know */
    struct hash128 hashes[RECEIVER_BATCH];
    uint64_t refs[RECEIVER_BATCH], new_refs[RECEIVER_BATCH];
    struct remote_write_series series[RECEIVER_BATCH];
};

struct receiver_metrics {
    struct metric_counter requests, bytes;
    struct metric_family *refused; /* requests, by status */
};

struct receiver {
    struct distributor *distributor; /* borrowed: owns us */
    struct alias_table *aliases;     /* owned */
    pthread_mutex_t lock;            /* guards the list of scratches */
    struct receive_scratch *free;
    uint32_t free_count;
    struct env_job grow_job;
    _Atomic bool is_growing; /* grow_job is submitted or running */
    struct receiver_metrics metrics;
};

/* One request on its way through. */
struct receive {
    struct receiver *receiver;
    struct http_request *req;
    struct receive_scratch *scratch;
    struct append_txn *txn;
    struct slice tenant;
    uint64_t alias_version;
    uint64_t tenant_hash; /* folded into the hash of label bytes, which say nothing of the tenant */
    uint32_t now_s;
    struct err_info info;
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

static void receive_answer(struct receiver *receiver, struct http_request *req, int status,
                           const char *text)
{
    char code[8];
    struct slice value;

    if (status != 204) {
        value = slice_of(code, (size_t)snprintf(code, sizeof(code), "%d", status));
        metric_inc(metric_family_counter(receiver->metrics.refused, &value));
        http_respond_text(req, status, text);
        return;
    }
    http_respond(req, &(struct http_response){.status = 204});
}

static void receive_answer_err(struct receiver *receiver, struct http_request *req, enum err err,
                               const struct err_info *info)
{
    char text[ERR_MESSAGE_SIZE + 2];

    snprintf(text, sizeof(text), "%s\n", err_message(err, info));
    /* A limit of the process, not of the request: the sender may try again. */
    receive_answer(receiver, req, err == ERR_LIMIT ? 503 : err_http_status(err), text);
}

/* What the sender should be told of: metadata that is not kept is counted, not complained about,
 * since upstream's own receiver drops it with 204 and senders repeat it every minute. */
static bool verdict_is_told(enum append_verdict verdict)
{
    return !append_verdict_stored(verdict) && verdict != APPEND_METADATA_OFF;
}

static void receive_tell_refusals(char *text, size_t size, const struct append_result *result)
{
    size_t len = 0;

    for (int i = 0; i < APPEND_VERDICT_COUNT && len < size; i++) {
        const enum append_verdict verdict = (enum append_verdict)i;

        if (result->counts[i] == 0 || !verdict_is_told(verdict))
            continue;
        len += (size_t)snprintf(text + len, size - len, "%" PRIu32 " refused: %s\n",
                                result->counts[i], result->texts[i]);
    }
}

/* The transaction's answer becomes the request's. */
static void on_receive_done(void *owner, const struct append_result *result)
{
    struct http_request *req = owner;
    struct receiver *receiver = req->owner;
    char text[RECEIVER_ERROR_SIZE] = "";

    if (result->err != ERR_OK) {
        receive_answer_err(receiver, req, result->err, NULL);
        return;
    }
    receive_tell_refusals(text, sizeof(text), result);
    receive_answer(receiver, req, text[0] == '\0' ? 204 : 400, text);
}

/* Decodes the labels of a series that the alias table does not know and asks the ingester for its
 * reference; 0 if there is none, then *verdict says why. */
static uint64_t receive_resolve(struct receive *receive, const struct remote_write_series *series,
                                enum append_verdict *verdict)
{
    const struct distributor *distributor = receive->receiver->distributor;
    struct err_info info = {{0}};
    struct label_set labels;
    uint64_t ref = 0;

    arena_reset(&receive->scratch->labels);
    if (remote_write_labels(series, &receive->scratch->labels, distributor_name_scheme(distributor),
                            &labels, &info) != ERR_OK) {
        *verdict = APPEND_BAD_LABELS;
        distributor_txn_refuse(receive->txn, *verdict, 0, NULL, err_message(ERR_BAD_INPUT, &info));
        return 0;
    }
    *verdict = append_resolve(receive->txn,
                              series_hash(distributor->options.hash_key, receive->tenant, labels),
                              labels, &ref);
    return *verdict == APPEND_OK ? ref : 0;
}

/* The verdict's first text names the series, whose labels the fast path has not looked at. */
static void receive_note(struct receive *receive, const struct remote_write_series *series,
                         enum append_verdict verdict, const struct append_item *item)
{
    struct label_set labels;

    if (!distributor_txn_wants_text(receive->txn, verdict))
        return;
    arena_reset(&receive->scratch->labels);
    if (remote_write_labels(series, &receive->scratch->labels, LABEL_SCHEME_UTF8, &labels, NULL) ==
        ERR_OK)
        distributor_txn_note(receive->txn, verdict, labels, item);
}

/* Counts an item that cannot be read; labels as in receive_note. */
static void receive_refuse_item(struct receive *receive, const struct remote_write_series *series,
                                const struct remote_write_item *wire, const struct err_info *info)
{
    const enum append_verdict verdict =
        wire->kind == REMOTE_WRITE_HISTOGRAM ? APPEND_BAD_HISTOGRAM : APPEND_BAD_LABELS;
    const char *detail = err_message(ERR_BAD_INPUT, info);
    struct label_set labels;
    bool is_named = distributor_txn_wants_text(receive->txn, verdict);

    if (is_named) {
        arena_reset(&receive->scratch->labels);
        is_named = remote_write_labels(series, &receive->scratch->labels, LABEL_SCHEME_UTF8,
                                       &labels, NULL) == ERR_OK;
    }
    distributor_txn_refuse(receive->txn, verdict, 1, is_named ? &labels : NULL, detail);
}

static bool receive_make_item(struct receive *receive, const struct remote_write_item *wire,
                              struct append_item *item, struct err_info *info)
{
    struct arena *arena = &receive->scratch->labels;
    struct remote_write_histogram *histogram;
    struct exemplar *exemplar;

    *item = (struct append_item){.kind = APPEND_FLOAT};
    switch (wire->kind) {
    case REMOTE_WRITE_SAMPLE:
        item->t_ms = wire->sample.t_ms;
        item->v = wire->sample.v;
        return true;
    case REMOTE_WRITE_HISTOGRAM:
        item->kind = APPEND_HISTOGRAM;
        histogram = ARENA_NEW(arena, struct remote_write_histogram);
        if (histogram == NULL ||
            remote_write_histogram(
                wire->message, receive->receiver->distributor->limits.histogram_bucket_count_max,
                arena, histogram, info) != ERR_OK)
            return false;
        item->t_ms = histogram->t_ms;
        item->histogram = &histogram->h;
        return true;
    case REMOTE_WRITE_EXEMPLAR:
        item->kind = APPEND_EXEMPLAR;
        exemplar = ARENA_NEW(arena, struct exemplar);
        if (exemplar == NULL ||
            remote_write_exemplar(wire->message, arena, exemplar, info) != ERR_OK)
            return false;
        item->t_ms = exemplar->t_ms;
        item->exemplar = exemplar;
        return true;
    }
    return false;
}

/* Adds one item; a reference that is not known any more is resolved anew, once. */
static void receive_add(struct receive *receive, const struct remote_write_series *series,
                        uint64_t *ref, const struct append_item *item)
{
    struct series_key key = {.ref = *ref};
    enum append_verdict verdict = append_add(receive->txn, &key, item);

    if (verdict == APPEND_UNKNOWN_REF) {
        *ref = receive_resolve(receive, series, &verdict);
        if (*ref == 0) {
            distributor_txn_refuse(receive->txn, verdict, 1, NULL, append_verdict_text(verdict));
            return;
        }
        key.ref = *ref;
        verdict = append_add(receive->txn, &key, item);
    }
    if (!append_verdict_stored(verdict))
        receive_note(receive, series, verdict, item);
}

/* All items of one series. *ref is 0 when the series was refused: then they are counted under
 * verdict. */
static enum err receive_series(struct receive *receive, const struct remote_write_series *series,
                               uint64_t *ref, enum append_verdict verdict)
{
    struct remote_write_items items;
    struct remote_write_item wire;
    struct append_item item;
    struct err_info info = {{0}};

    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &wire)) {
        if (*ref == 0) {
            distributor_txn_refuse(receive->txn, verdict, 1, NULL, append_verdict_text(verdict));
            continue;
        }
        if (wire.kind != REMOTE_WRITE_SAMPLE)
            arena_reset(&receive->scratch->labels);
        if (receive_make_item(receive, &wire, &item, &info))
            receive_add(receive, series, ref, &item);
        else
            receive_refuse_item(receive, series, &wire, &info);
    }
    return items.err;
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

static enum err receive_batch(struct receive *receive, size_t count)
{
    struct receive_scratch *scratch = receive->scratch;
    struct alias_batch batch = {scratch->hashes, scratch->refs, count, receive->now_s};
    bool learned = false;
    enum err err = ERR_OK;

    alias_table_find(receive->receiver->aliases, &batch);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        const struct remote_write_series *series = &scratch->series[i];
        enum append_verdict verdict = APPEND_OK;
        uint64_t ref = series->is_scattered ? 0 : scratch->refs[i];

        if (ref == 0)
            ref = receive_resolve(receive, series, &verdict);
        err = receive_series(receive, series, &ref, verdict);
        scratch->new_refs[i] = series->is_scattered || ref == scratch->refs[i] ? 0 : ref;
        learned |= scratch->new_refs[i] != 0;
    }
    if (learned && err == ERR_OK) {
        batch.refs = scratch->new_refs;
        if (alias_table_add(receive->receiver->aliases, &batch, receive->alias_version))
            receiver_start_growing(receive->receiver);
    }
    return err;
}

static enum err receive_metadata(struct receive *receive, struct slice message)
{
    const struct series_key key = {0};
    struct metadata metadata;
    const enum err err = remote_write_metadata(message, &metadata, &receive->info);

    if (err == ERR_OK)
        (void)append_add(receive->txn, &key,
                         &(struct append_item){.kind = APPEND_METADATA, .metadata = &metadata});
    return err;
}

/* Walks the request once. Any fault of its form ends it, and nothing of it is stored. */
static enum err receive_walk(struct receive *receive, struct slice body)
{
    const struct distributor *distributor = receive->receiver->distributor;
    const struct remote_write_limits limits = {.series_count_max =
                                                   distributor->limits.request_series_count_max};
    struct receive_scratch *scratch = receive->scratch;
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    size_t count = 0;
    enum err err = ERR_OK;

    remote_write_reader_init(&reader, body, &limits);
    while (err == ERR_OK && remote_write_next(&reader, &entry)) {
        if (entry.kind == REMOTE_WRITE_METADATA) {
            err = receive_metadata(receive, entry.metadata);
            continue;
        }
        scratch->series[count] = entry.series;
        scratch->hashes[count] = hash128(distributor->options.hash_key, entry.series.labels_raw);
        scratch->hashes[count++].lo ^= receive->tenant_hash;
        if (count == RECEIVER_BATCH) {
            err = receive_batch(receive, count);
            count = 0;
        }
    }
    if (err == ERR_OK && reader.err == ERR_OK && count > 0)
        err = receive_batch(receive, count);
    if (reader.err != ERR_OK) /* a limit is on this request alone: it would be broken again */
        return err_set(&receive->info, reader.err == ERR_LIMIT ? ERR_TOO_LARGE : reader.err,
                       "write request: %s", reader.error_text);
    if (err != ERR_OK)
        err_set(&receive->info, err, "write request: a sample cannot be read");
    return err;
}

/* From the compressed body to a transaction that is ready to commit. */
static enum err receive_decode(struct receive *receive)
{
    const struct distributor *distributor = receive->receiver->distributor;
    const struct append_options options = {.tenant = receive->tenant, .origin = APPEND_WRITE};
    struct slice body;
    enum err err = snappy_block_decode(receive->req->body, distributor->limits.request_size_max,
                                       &receive->scratch->body, &body, &receive->info);

    if (err != ERR_OK)
        return err;
    err = appender_begin(&receive->receiver->distributor->appender, &options, &receive->txn,
                         &receive->info);
    if (err != ERR_OK)
        return err;
    err = receive_walk(receive, body);
    if (err != ERR_OK)
        append_abort(receive->txn);
    return err;
}

/* "application/x-protobuf", perhaps with ;proto=prometheus.WriteRequest; nothing counts as that. */
static bool content_type_is_taken(struct slice type)
{
    const char *semicolon = type.len == 0 ? NULL : memchr(type.data, ';', type.len);
    const struct slice media = {type.data,
                                semicolon == NULL ? type.len : (size_t)(semicolon - type.data)};
    struct slice rest = slice_skip(type, media.len);

    if (type.len == 0)
        return true;
    if (!slice_eq_cstr(media, "application/x-protobuf"))
        return false;
    while (rest.len > 0 && (rest.data[0] == ';' || rest.data[0] == ' '))
        rest = slice_skip(rest, 1);
    return !slice_has_prefix(rest, SLICE("proto=")) ||
           slice_eq_cstr(rest, "proto=prometheus.WriteRequest");
}

static enum err receive_check_headers(const struct http_request *req, struct err_info *info)
{
    const struct slice type = http_request_header(req, "content-type");
    const struct slice encoding = http_request_header(req, "content-encoding");

    if (!content_type_is_taken(type))
        return err_set(info, ERR_UNSUPPORTED,
                       "content type \"%.*s\" is not taken, expected application/x-protobuf "
                       "(prometheus.WriteRequest)",
                       SLICE_ARG(type));
    if (encoding.len != 0 && !slice_eq_cstr(encoding, "snappy"))
        return err_set(info, ERR_UNSUPPORTED,
                       "content encoding \"%.*s\" is not taken, expected snappy",
                       SLICE_ARG(encoding));
    return ERR_OK;
}

static void on_write(struct http_request *req)
{
    struct receiver *receiver = req->owner;
    struct receive receive = {.receiver = receiver, .req = req, .tenant = SLICE(TENANT_DEFAULT)};
    enum err err;

    metric_inc(&receiver->metrics.requests);
    metric_add(&receiver->metrics.bytes, req->body.len);
    err = receive_check_headers(req, &receive.info);
    if (err != ERR_OK) {
        receive_answer_err(receiver, req, err, &receive.info);
        return;
    }
    receive.scratch = scratch_take(receiver);
    receive.alias_version = alias_table_version(receiver->aliases);
    receive.now_s = receiver_now_s(receiver);
    receive.tenant_hash = hash64(receiver->distributor->options.hash_key, receive.tenant);
    err = receive_decode(&receive);
    scratch_give(receiver, receive.scratch);
    if (err != ERR_OK)
        receive_answer_err(receiver, req, err, &receive.info);
    else
        append_commit(receive.txn, on_receive_done, req);
}

struct receiver *receiver_new(struct distributor *distributor)
{
    struct receiver *receiver = mem_zalloc(1, sizeof(*receiver));

    receiver->distributor = distributor;
    receiver->aliases = alias_table_new((size_t)distributor->options.settings->alias_count_max);
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
    mem_free(receiver);
}

void receiver_add_routes(struct receiver *receiver, struct http_server *server)
{
    static const char *const paths[] = {"/api/v1/write", "/api/v1/push"};

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        http_server_route(server, &(struct http_route){
                                      .methods = HTTP_POST,
                                      .path = paths[i],
                                      .handler = on_write,
                                      .owner = receiver,
                                      .inline_size_max = RECEIVER_INLINE_SIZE,
                                      .pool = ENV_POOL_INGEST,
                                  });
    }
}

void receiver_forget_aliases(struct receiver *receiver)
{
    alias_table_drop(receiver->aliases);
}
