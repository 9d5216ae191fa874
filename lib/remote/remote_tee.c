/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_tee.h"

#include <pthread.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "codec/remote_write.h"
#include "remote/remote_log.h"
#include "remote/remote_series.h"

enum {
    ITEM_BYTES_MAX = 1 << 30,
    KEPT_BYTES_MAX = 1 << 20, /* of buffers of a transaction that waits to be used again */
    TXNS_FREE_MAX = 64,
    BUDGET_STEP = 64 << 10,
    SERIES_REST_S = 3600, /* then a series is forgotten; no transaction lasts so long */
};

struct tee_metrics {
    struct metric_counter samples_in, histograms_in, exemplars_in;
    struct metric_counter dropped; /* items that the queue did not take */
    struct metric_gauge highest_t_s;
};

struct remote_tee {
    struct appender appender; /* first */
    struct remote_tee_options options;
    _Atomic(struct remote_log *) log;
    struct remote_series_table *series; /* owned */
    struct tee_metrics metrics;
    struct log_limiter limiter;
    pthread_mutex_t lock; /* guards the transactions that wait to be used again */
    struct tee_txn *free;
    uint32_t free_count;
};

struct tee_item {
    struct remote_series *series; /* NULL: metadata */
    int64_t t_ms, start_t_ms;
    union {
        uint64_t v_bits;
        struct {
            uint32_t at, len; /* in txn->bodies */
        } body;
    };
    uint8_t kind; /* append_kind */
    bool left_out;
};

struct tee_txn {
    struct append_txn base; /* first */
    struct tee_txn *next;
    struct remote_tee *tee;
    struct remote_log *log;
    struct append_txn *inner; /* NULL: no storage */
    struct buf items;         /* of struct tee_item, one for each that add took */
    struct buf bodies;
    struct budget *budget;
    size_t taken_bytes;
    enum err err; /* why commit must fail */
    uint32_t now_s;
    uint32_t put_count;
    append_done_fn *done;
    void *owner;
    struct append_result result;
    struct remote_log_wait wait;
};

static const struct metric_desc tee_metric_descs[] = {
    {"prometheus_remote_storage_samples_in_total", METRIC_COUNTER,
     offsetof(struct tee_metrics, samples_in),
     .help = "Samples in to remote storage, compare to samples out for queue managers."},
    {"prometheus_remote_storage_histograms_in_total", METRIC_COUNTER,
     offsetof(struct tee_metrics, histograms_in),
     .help =
         "HistogramSamples in to remote storage, compare to histograms out for queue managers."},
    {"prometheus_remote_storage_exemplars_in_total", METRIC_COUNTER,
     offsetof(struct tee_metrics, exemplars_in),
     .help = "Exemplars in to remote storage, compare to exemplars out for queue managers."},
    {"prometheus_remote_storage_highest_timestamp_in_seconds", METRIC_GAUGE,
     offsetof(struct tee_metrics, highest_t_s),
     .help = "Highest timestamp that has come into the remote storage via the Appender interface, "
             "in seconds since epoch."},
    {"narthex_remote_log_refused_items_total", METRIC_COUNTER,
     offsetof(struct tee_metrics, dropped),
     .help = "Samples and other items that were stored but not taken by the queue of remote write: "
             "too much waits for the disk, or it cannot be written."},
};

/* ---- transactions for reuse ---- */

static struct tee_txn *txn_new(struct remote_tee *tee)
{
    struct tee_txn *txn;

    pthread_mutex_lock(&tee->lock);
    txn = tee->free;
    if (txn != NULL) {
        tee->free = txn->next;
        tee->free_count--;
    }
    pthread_mutex_unlock(&tee->lock);
    if (txn != NULL)
        return txn;
    txn = mem_zalloc(1, sizeof(*txn));
    txn->base.appender = &tee->appender;
    txn->tee = tee;
    buf_init(&txn->items, ITEM_BYTES_MAX);
    buf_init(&txn->bodies, ITEM_BYTES_MAX);
    return txn;
}

static void txn_free(struct tee_txn *txn)
{
    buf_fini(&txn->items);
    buf_fini(&txn->bodies);
    mem_free(txn);
}

static void txn_release(struct tee_txn *txn)
{
    struct remote_tee *tee = txn->tee;
    bool kept;

    budget_give(txn->budget, txn->taken_bytes);
    if (txn->items.cap + txn->bodies.cap > KEPT_BYTES_MAX) {
        buf_fini(&txn->items);
        buf_fini(&txn->bodies);
    }
    pthread_mutex_lock(&tee->lock);
    kept = tee->free_count < TXNS_FREE_MAX;
    if (kept) {
        txn->next = tee->free;
        tee->free = txn;
        tee->free_count++;
    }
    pthread_mutex_unlock(&tee->lock);
    if (!kept)
        txn_free(txn);
}

static uint32_t tee_now_s(const struct remote_tee *tee)
{
    return (uint32_t)(env_mono_ns(tee->options.env) / 1000000000);
}

static enum err tee_begin(struct appender *appender, const struct append_options *options,
                          struct append_txn **out, struct err_info *info)
{
    struct remote_tee *tee = (struct remote_tee *)appender;
    struct remote_log *log = atomic_load(&tee->log);
    struct append_options inner_options = *options;
    struct append_txn *inner = NULL;
    struct tee_txn *txn;

    if (log == NULL && tee->options.inner == NULL)
        return err_set(info, ERR_UNAVAILABLE, "no remote_write takes samples");
    if (log == NULL)
        return appender_begin(tee->options.inner, options, out, info);
    if (tee->options.inner != NULL) {
        enum err err;

        inner_options.tells_left_out = true;
        err = appender_begin(tee->options.inner, &inner_options, &inner, info);
        if (err != ERR_OK)
            return err;
    }
    txn = txn_new(tee);
    txn->log = log;
    txn->inner = inner;
    txn->budget = options->budget;
    txn->taken_bytes = 0;
    txn->err = ERR_OK;
    txn->put_count = 0;
    txn->now_s = tee_now_s(tee);
    buf_reset(&txn->items);
    buf_reset(&txn->bodies);
    *out = &txn->base;
    return ERR_OK;
}

/* ---- adding ---- */

static enum append_verdict txn_resolve(struct tee_txn *txn, const struct series_key *key,
                                       struct remote_series **series)
{
    uint64_t inner_ref = 0;

    if (txn->inner != NULL) {
        const enum append_verdict verdict =
            append_resolve(txn->inner, key->hash, key->labels, &inner_ref);

        if (verdict != APPEND_OK)
            return verdict;
    }
    *series = remote_series_resolve(txn->tee->series, key->hash, key->labels, txn->now_s);
    if (*series == NULL)
        return APPEND_LIMIT;
    atomic_store_explicit(&(*series)->inner_ref, inner_ref, memory_order_relaxed);
    return APPEND_OK;
}

static enum append_verdict tee_resolve(struct append_txn *base, struct hash128 hash,
                                       struct label_set labels, uint64_t *ref)
{
    const struct series_key key = {.hash = hash, .labels = labels};
    struct remote_series *series;
    const enum append_verdict verdict = txn_resolve((struct tee_txn *)base, &key, &series);

    if (verdict == APPEND_OK)
        *ref = remote_series_ref(series);
    return verdict;
}

/* Draws from the budget what the buffers will take; the transaction fails as a whole if there is no
 * room. */
static void txn_draw(struct tee_txn *txn, size_t more)
{
    const size_t used = txn->items.len + txn->bodies.len + more;

    if (txn->err != ERR_OK || used <= txn->taken_bytes)
        return;
    txn->err = budget_take(txn->budget, BUDGET_STEP + more, NULL);
    if (txn->err == ERR_OK)
        txn->taken_bytes += BUDGET_STEP + more;
    else
        txn->err = ERR_UNAVAILABLE;
}

static void put_body(struct tee_txn *txn, const struct append_item *item)
{
    struct buf *bodies = &txn->bodies;

    switch (item->kind) {
    case APPEND_HISTOGRAM:
        remote_write_histogram_message(
            bodies, &(struct remote_write_histogram){.h = *item->histogram, .t_ms = item->t_ms});
        break;
    case APPEND_EXEMPLAR:
        remote_write_exemplar_message(bodies, item->exemplar);
        break;
    case APPEND_METADATA:
        remote_write_metadata_message(bodies, item->metadata);
        break;
    case APPEND_FLOAT:
    case APPEND_KIND_COUNT:
        break;
    }
}

/* Notes an item that the storage took, or that it would take. */
static void txn_note(struct tee_txn *txn, struct remote_series *series,
                     const struct append_item *item)
{
    struct tee_item noted = {.series = series,
                             .t_ms = item->t_ms,
                             .start_t_ms = item->start_t_ms,
                             .kind = (uint8_t)item->kind};

    if (item->kind == APPEND_FLOAT) {
        noted.v_bits = sample_value_bits(item->v);
    } else {
        const size_t at = txn->bodies.len;

        put_body(txn, item);
        noted.body.at = (uint32_t)at;
        noted.body.len = (uint32_t)(txn->bodies.len - at);
    }
    buf_add(&txn->items, &noted, sizeof(noted));
    if (txn->items.err != ERR_OK || txn->bodies.err != ERR_OK)
        txn->err = ERR_TOO_LARGE;
    txn_draw(txn, 0);
}

static enum append_verdict tee_add(struct append_txn *base, const struct series_key *key,
                                   const struct append_item *item)
{
    struct tee_txn *txn = (struct tee_txn *)base;
    struct remote_series *series = NULL;
    struct series_key inner_key = *key;

    if (key->ref != 0) {
        series = remote_series_get(txn->tee->series, key->ref);
        if (series == NULL)
            return APPEND_UNKNOWN_REF;
        atomic_store_explicit(&series->used_s, txn->now_s, memory_order_relaxed);
    } else if (item->kind != APPEND_METADATA) {
        const enum append_verdict verdict = txn_resolve(txn, key, &series);

        if (verdict != APPEND_OK)
            return verdict;
    }
    if (txn->inner != NULL) {
        enum append_verdict verdict;

        if (series != NULL)
            inner_key.ref = atomic_load_explicit(&series->inner_ref, memory_order_relaxed);
        verdict = append_add(txn->inner, &inner_key, item);
        if (verdict != APPEND_OK)
            return verdict;
    }
    if (item->kind == APPEND_METADATA)
        series = NULL;
    txn_note(txn, series, item);
    return APPEND_OK;
}

/* ---- into the queue ---- */

static struct tee_item *txn_items(const struct tee_txn *txn, size_t *count)
{
    *count = txn->items.len / sizeof(struct tee_item);
    return (struct tee_item *)(void *)txn->items.data;
}

/* Says why a sample was refused, as storage does. */
static void explain(struct append_result *result, enum append_verdict verdict,
                    const struct tee_item *item)
{
    struct label_set labels = {0};
    struct arena arena;
    struct buf text;

    if (result->texts[verdict][0] != '\0')
        return;
    arena_init(&arena, NULL, 0);
    buf_init(&text, 1 << 20);
    if (remote_labels_get(item->series->log.labels, &arena, &labels) == ERR_OK)
        label_set_print(&text, labels);
    (void)snprintf(result->texts[verdict], APPEND_TEXT_SIZE, "%s: t=%lld %.*s",
                   append_verdict_text(verdict), (long long)item->t_ms,
                   SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
    arena_fini(&arena);
}

/* Judges by the newest sample of the series. In the log's transaction. */
static enum append_verdict judge(const struct tee_txn *txn, const struct tee_item *item)
{
    struct remote_series *series = item->series;
    const uint64_t v_bits = item->kind == APPEND_FLOAT
                                ? item->v_bits
                                : crc32c(0, txn->bodies.data + item->body.at, item->body.len);

    if (series == NULL || item->kind == APPEND_EXEMPLAR)
        return APPEND_OK;
    if (series->has_sample && item->t_ms < series->t_ms)
        return APPEND_OUT_OF_ORDER;
    if (series->has_sample && item->t_ms == series->t_ms)
        return v_bits == series->v_bits ? APPEND_DUPLICATE_SAME : APPEND_DUPLICATE;
    series->has_sample = true;
    series->t_ms = item->t_ms;
    series->v_bits = v_bits;
    return APPEND_OK;
}

static void txn_judge(struct tee_txn *txn)
{
    struct append_result *result = &txn->result;
    size_t count;
    struct tee_item *items = txn_items(txn, &count);

    for (size_t i = 0; i < count; i++) {
        const enum append_verdict verdict = judge(txn, &items[i]);

        result->counts[verdict]++;
        if (append_verdict_stored(verdict))
            result->stored[items[i].kind]++;
        else
            explain(result, verdict, &items[i]);
        items[i].left_out = verdict != APPEND_OK;
    }
}

static void count_in(struct remote_tee *tee, const uint32_t counts[APPEND_KIND_COUNT],
                     int64_t t_ms_max)
{
    struct tee_metrics *metrics = &tee->metrics;

    metric_add(&metrics->samples_in, counts[APPEND_FLOAT]);
    metric_add(&metrics->histograms_in, counts[APPEND_HISTOGRAM]);
    metric_add(&metrics->exemplars_in, counts[APPEND_EXEMPLAR]);
    if (t_ms_max != INT64_MIN && (double)t_ms_max / 1000 > metric_gauge_get(&metrics->highest_t_s))
        metric_gauge_set(&metrics->highest_t_s, (double)t_ms_max / 1000);
}

/* Puts what is not left out into the open transaction of the log. */
static void txn_put(struct tee_txn *txn)
{
    uint32_t counts[APPEND_KIND_COUNT] = {0};
    int64_t t_ms_max = INT64_MIN;
    size_t count;
    const struct tee_item *items = txn_items(txn, &count);

    for (size_t i = 0; i < count; i++) {
        const struct tee_item *item = &items[i];
        struct remote_entry entry = {
            .kind = item->kind, .t_ms = item->t_ms, .start_t_ms = item->start_t_ms};

        if (item->left_out)
            continue;
        if (item->kind == APPEND_FLOAT)
            entry.v_bits = item->v_bits;
        else
            entry.body = slice_of(txn->bodies.data + item->body.at, item->body.len);
        if (remote_log_put(txn->log, item->series != NULL ? &item->series->log : NULL, &entry) !=
            ERR_OK) {
            metric_inc(&txn->tee->metrics.dropped);
            continue;
        }
        counts[item->kind]++;
        txn->put_count++;
        if (item->kind != APPEND_METADATA && item->t_ms > t_ms_max)
            t_ms_max = item->t_ms;
    }
    count_in(txn->tee, counts, t_ms_max);
}

static void txn_finish(struct tee_txn *txn)
{
    txn->done(txn->owner, &txn->result);
    txn_release(txn);
}

static void txn_fail(struct tee_txn *txn, enum err err)
{
    txn->result.err = err;
    txn->result.retryable = err != ERR_TOO_LARGE;
    memset(txn->result.counts, 0, sizeof(txn->result.counts));
    memset(txn->result.stored, 0, sizeof(txn->result.stored));
    txn_finish(txn);
}

static void tell_dropped(struct remote_tee *tee, enum err err, uint64_t count)
{
    uint64_t swallowed;

    metric_add(&tee->metrics.dropped, count);
    if (log_limiter_pass(&tee->limiter, tee->options.log, &swallowed))
        log_error(tee->options.log,
                  "remote write: the queue takes no more, samples will not be sent",
                  F_UINT("count", count), F_ERR(err, NULL), F_UINT("lines_left_out", swallowed));
}

/* What was not written may come again. */
static void txn_unjudge(void *owner)
{
    size_t count;
    struct tee_item *items = txn_items(owner, &count);

    for (size_t i = 0; i < count; i++)
        if (items[i].series != NULL && !items[i].left_out)
            items[i].series->has_sample = false;
}

static void on_log_done(struct remote_log_wait *wait, enum err err)
{
    struct tee_txn *txn = CONTAINER_OF(wait, struct tee_txn, wait);

    if (err != ERR_OK && txn->tee->options.inner == NULL) {
        remote_log_locked(txn->log, txn_unjudge, txn);
        txn_fail(txn, err == ERR_CLOSED ? ERR_UNAVAILABLE : err);
        return;
    }
    if (err != ERR_OK)
        tell_dropped(txn->tee, err, txn->put_count);
    txn_finish(txn);
}

/* The storage has answered. */
static void on_inner_done(void *owner, const struct append_result *result)
{
    struct tee_txn *txn = owner;
    size_t count;
    struct tee_item *items = txn_items(txn, &count);
    uint32_t out_count = 0;
    enum err err;

    txn->result = *result;
    txn->result.left_out = NULL;
    txn->result.left_out_count = 0;
    for (uint32_t i = 0; i < result->left_out_count; i++) {
        if (result->left_out[i].item < count && !items[result->left_out[i].item].left_out) {
            items[result->left_out[i].item].left_out = true;
            out_count++;
        }
    }
    if (result->err != ERR_OK || out_count == count) {
        txn_finish(txn);
        return;
    }
    err = remote_log_begin(txn->log);
    if (err != ERR_OK) {
        tell_dropped(txn->tee, err, count - out_count);
        txn_finish(txn);
        return;
    }
    txn_put(txn);
    txn->wait.done = on_log_done;
    remote_log_end(txn->log, &txn->wait);
}

/* There is no storage: the queue is. */
static void txn_commit_alone(struct tee_txn *txn)
{
    struct append_result *result = &txn->result;
    enum err err = txn->err;

    memset(result, 0, offsetof(struct append_result, texts));
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        result->texts[i][0] = '\0';
    result->series_created = 0;
    result->left_out = NULL;
    result->left_out_count = 0;
    if (err == ERR_OK)
        err = remote_log_begin(txn->log);
    if (err != ERR_OK) {
        txn_fail(txn, err == ERR_FULL || err == ERR_CLOSED ? ERR_UNAVAILABLE : err);
        return;
    }
    txn_judge(txn);
    txn_put(txn);
    txn->wait.done = on_log_done;
    remote_log_end(txn->log, &txn->wait);
}

static void tee_commit(struct append_txn *base, append_done_fn *done, void *owner)
{
    struct tee_txn *txn = (struct tee_txn *)base;

    txn->done = done;
    txn->owner = owner;
    if (txn->inner == NULL) {
        txn_commit_alone(txn);
        return;
    }
    if (txn->err == ERR_OK) {
        append_commit(txn->inner, on_inner_done, txn);
        return;
    }
    append_abort(txn->inner);
    memset(&txn->result, 0, sizeof(txn->result));
    txn_fail(txn, txn->err);
}

static void tee_abort(struct append_txn *base)
{
    struct tee_txn *txn = (struct tee_txn *)base;

    if (txn->inner != NULL)
        append_abort(txn->inner);
    txn_release(txn);
}

static const struct appender_ops tee_ops = {
    .begin = tee_begin,
    .resolve = tee_resolve,
    .add = tee_add,
    .commit = tee_commit,
    .abort = tee_abort,
};

/* ---- life ---- */

struct remote_tee *remote_tee_new(const struct remote_tee_options *options)
{
    struct remote_tee *tee = mem_zalloc(1, sizeof(*tee));

    tee->appender.ops = &tee_ops;
    tee->options = *options;
    tee->series = remote_series_table_new();
    pthread_mutex_init(&tee->lock, NULL);
    metric_register(options->metrics, tee_metric_descs, COUNT_OF(tee_metric_descs), &tee->metrics);
    return tee;
}

void remote_tee_free(struct remote_tee *tee)
{
    if (tee == NULL)
        return;
    while (tee->free != NULL) {
        struct tee_txn *txn = tee->free;

        tee->free = txn->next;
        txn_free(txn);
    }
    metric_unregister(tee->options.metrics, tee_metric_descs, COUNT_OF(tee_metric_descs),
                      &tee->metrics);
    remote_series_table_free(tee->series);
    pthread_mutex_destroy(&tee->lock);
    mem_free(tee);
}

struct appender *remote_tee_appender(struct remote_tee *tee)
{
    return &tee->appender;
}

void remote_tee_set_log(struct remote_tee *tee, struct remote_log *log)
{
    atomic_store(&tee->log, log);
}

void remote_tee_sweep(struct remote_tee *tee)
{
    const uint32_t now_s = tee_now_s(tee);

    if (now_s > SERIES_REST_S)
        remote_series_sweep(tee->series, now_s - SERIES_REST_S);
}
