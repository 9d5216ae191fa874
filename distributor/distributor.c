/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/distributor.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "distributor/distributor_internal.h"

const struct setting distributor_setting_table[] = {
    {"distributor.request_size_max", SETTING_SIZE,
     offsetof(struct distributor_settings, request_size_max), .value = "32MiB", .min = "1KiB",
     .max = "1GiB",
     .help =
         "Largest write request, decompressed; larger ones are refused before they are decoded."},
    {"distributor.future_max", SETTING_DURATION,
     offsetof(struct distributor_settings, future_ms_max), .value = "10m", .min = "1s", .max = "1y",
     .help = "Samples further ahead of the clock than this are refused."},
    {"distributor.label_count_max", SETTING_INT,
     offsetof(struct distributor_settings, label_count_max), .value = "100", .min = "1",
     .max = "10000", .help = "Most labels of a series, its name included."},
    {"distributor.label_name_size_max", SETTING_INT,
     offsetof(struct distributor_settings, label_name_size_max), .value = "1024", .min = "1",
     .max = "65536", .help = "Longest label name in bytes."},
    {"distributor.label_value_size_max", SETTING_INT,
     offsetof(struct distributor_settings, label_value_size_max), .value = "16384", .min = "1",
     .max = "1048576", .help = "Longest label value in bytes."},
    {"distributor.alias_count_max", SETTING_INT,
     offsetof(struct distributor_settings, alias_count_max), .value = "10000000", .min = "1000",
     .max = "1000000000",
     .help = "Most series whose bytes on the wire are remembered (up to 85 bytes each)."},
    {"distributor.memory_max", SETTING_SIZE, offsetof(struct distributor_settings, memory_max),
     .value = "1GiB", .min = "1MiB", .max = "1PiB",
     .help = "Most memory that write requests under way may use; further ones get 503."},
};
const size_t distributor_setting_count = COUNT_OF(distributor_setting_table);

static const struct metric_desc distributor_metric_descs[] = {
    {"narthex_distributor_samples_in_total", METRIC_COUNTER,
     offsetof(struct distributor_metrics, samples_in),
     .help = "Items that were handed in, of all kinds."},
    {"narthex_distributor_samples_refused_total", METRIC_COUNTER,
     offsetof(struct distributor_metrics, refused), .labels = "reason",
     .help = "Items that were refused, by reason."},
    {"narthex_distributor_samples_stored_total", METRIC_COUNTER,
     offsetof(struct distributor_metrics, stored), .labels = "kind",
     .help = "Items that were stored durably, by kind."},
    {"narthex_distributor_transactions_failed_total", METRIC_COUNTER,
     offsetof(struct distributor_metrics, requests_failed),
     .help = "Transactions of which nothing was stored."},
};

struct distributor_txn {
    struct append_txn base;
    struct append_txn *inner; /* owned until commit or abort */
    struct distributor *distributor;
    int64_t t_ms_max;
    uint32_t items_in;
    append_done_fn *done;
    void *owner;
    uint32_t counts[APPEND_VERDICT_COUNT]; /* refused before the ingester saw them */
    char texts[APPEND_VERDICT_COUNT][APPEND_TEXT_SIZE];
};

static void text_set(char *text, struct label_set labels, const char *detail)
{
    struct buf buf;

    buf_init(&buf, 1 << 20);
    label_set_print(&buf, labels);
    if ((size_t)snprintf(text, APPEND_TEXT_SIZE, "%.*s: %s", SLICE_ARG(buf_slice(&buf)), detail) >=
        APPEND_TEXT_SIZE) {
        /* The reason is worth more than the end of the labels. */
        snprintf(text, APPEND_TEXT_SIZE, "%.*s...: %.80s", 100, buf.len != 0 ? buf.data : "",
                 detail);
    }
    buf_fini(&buf);
}

bool distributor_txn_wants_text(const struct append_txn *base, enum append_verdict verdict)
{
    const struct distributor_txn *txn = (const struct distributor_txn *)base;

    return txn->texts[verdict][0] == '\0';
}

void distributor_txn_note(struct append_txn *base, enum append_verdict verdict,
                          struct label_set labels, const struct append_item *item)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;
    char detail[96];

    snprintf(detail, sizeof(detail), "%s (timestamp %" PRId64 ")", append_verdict_text(verdict),
             item->t_ms);
    text_set(txn->texts[verdict], labels, detail);
}

void distributor_txn_refuse(struct append_txn *base, enum append_verdict verdict, uint32_t count,
                            const struct label_set *labels, const char *detail)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;

    ASSERT(!append_verdict_stored(verdict));
    txn->counts[verdict] += count;
    txn->items_in += count;
    if (txn->texts[verdict][0] != '\0')
        return;
    if (labels != NULL)
        text_set(txn->texts[verdict], *labels, detail);
    else
        snprintf(txn->texts[verdict], APPEND_TEXT_SIZE, "%s", detail);
}

static enum err distributor_begin(struct appender *appender, const struct append_options *options,
                                  struct append_txn **out, struct err_info *info)
{
    struct distributor *distributor = (struct distributor *)appender;
    struct distributor_txn *txn;
    struct append_options budgeted = *options;
    struct append_txn *inner;
    enum err err;

    if (budgeted.budget == NULL)
        budgeted.budget = &distributor->budget;
    if (budgeted.out_of_order_ms == 0)
        budgeted.out_of_order_ms = atomic_load(&distributor->out_of_order_ms);
    err = appender_begin(distributor->options.ingester, &budgeted, &inner, info);

    if (err != ERR_OK) {
        metric_inc(&distributor->metrics.requests_failed);
        return err;
    }
    txn = mem_alloc(sizeof(*txn));
    txn->base.appender = appender;
    txn->inner = inner;
    txn->distributor = distributor;
    txn->t_ms_max = env_now_ms(distributor->options.env) + distributor->limits.future_ms_max;
    txn->items_in = 0;
    memset(txn->counts, 0, sizeof(txn->counts));
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        txn->texts[i][0] = '\0';
    *out = &txn->base;
    return ERR_OK;
}

static enum append_verdict distributor_resolve(struct append_txn *base, struct hash128 hash,
                                               struct label_set labels, uint64_t *ref)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;
    struct err_info info = {{0}};

    if (!label_set_has(labels, SLICE(LABEL_METRIC_NAME)))
        err_set(&info, ERR_BAD_INPUT, "no metric name");
    else if (label_set_check(labels, distributor_name_scheme(txn->distributor), &info) == ERR_OK &&
             limits_check_labels(&txn->distributor->limits, labels, &info) == ERR_OK)
        return append_resolve(txn->inner, hash, labels, ref);
    if (distributor_txn_wants_text(base, APPEND_BAD_LABELS))
        text_set(txn->texts[APPEND_BAD_LABELS], labels, info.message);
    return APPEND_BAD_LABELS;
}

static enum append_verdict distributor_add(struct append_txn *base, const struct series_key *key,
                                           const struct append_item *item)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;

    if (item->kind != APPEND_METADATA && item->t_ms > txn->t_ms_max) {
        txn->items_in++;
        txn->counts[APPEND_TOO_NEW]++;
        return APPEND_TOO_NEW;
    }
    const enum append_verdict verdict = append_add(txn->inner, key, item);
    txn->items_in += verdict != APPEND_UNKNOWN_REF; /* the caller resolves and adds again */
    return verdict;
}

static void distributor_log_refusals(struct distributor *distributor,
                                     const struct append_result *result)
{
    uint64_t swallowed;

    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        const enum append_verdict verdict = (enum append_verdict)i;

        if (result->counts[i] == 0 || append_verdict_stored(verdict))
            continue;
        if (!log_limiter_pass(&distributor->refusal_limiter, &distributor->log, &swallowed))
            return;
        log_warn(&distributor->log, "samples refused",
                 F_STR("reason", append_verdict_label(verdict)), F_UINT("count", result->counts[i]),
                 F_STR("first", result->texts[i]), F_UINT("lines_left_out", swallowed));
    }
}

static void distributor_count(struct distributor *distributor, const struct distributor_txn *txn,
                              const struct append_result *result)
{
    struct distributor_metrics *metrics = &distributor->metrics;

    metric_add(&metrics->samples_in, txn->items_in);
    if (result->err != ERR_OK)
        metric_inc(&metrics->requests_failed);
    for (int i = 0; i < APPEND_KIND_COUNT; i++) {
        if (result->stored[i] != 0)
            metric_add(metrics->stored_by[i], result->stored[i]);
    }
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        if (result->counts[i] != 0 && metrics->refused_by[i] != NULL)
            metric_add(metrics->refused_by[i], result->counts[i]);
    }
}

/* The ingester's answer: ours are added to it, and it goes on to the caller. */
static void on_inner_done(void *owner, const struct append_result *inner)
{
    struct distributor_txn *txn = owner;
    struct append_result result = *inner;

    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        result.counts[i] += txn->counts[i];
        if (result.texts[i][0] == '\0')
            memcpy(result.texts[i], txn->texts[i], APPEND_TEXT_SIZE);
        if (result.texts[i][0] == '\0' && result.counts[i] != 0)
            snprintf(result.texts[i], APPEND_TEXT_SIZE, "%s",
                     append_verdict_text((enum append_verdict)i));
    }
    distributor_count(txn->distributor, txn, &result);
    distributor_log_refusals(txn->distributor, &result);
    txn->done(txn->owner, &result);
    mem_free(txn);
}

static void distributor_commit(struct append_txn *base, append_done_fn *done, void *owner)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;

    txn->done = done;
    txn->owner = owner;
    append_commit(txn->inner, on_inner_done, txn);
}

static void distributor_abort(struct append_txn *base)
{
    struct distributor_txn *txn = (struct distributor_txn *)base;

    append_abort(txn->inner);
    mem_free(txn);
}

static const struct appender_ops distributor_ops = {
    .begin = distributor_begin,
    .resolve = distributor_resolve,
    .add = distributor_add,
    .commit = distributor_commit,
    .abort = distributor_abort,
};

static void distributor_make_counters(struct distributor_metrics *metrics)
{
    static const char *const kinds[] = {"float", "histogram", "exemplar", "metadata"};

    STATIC_ASSERT(COUNT_OF(kinds) == APPEND_KIND_COUNT, "a label for each kind");
    for (int i = 0; i < APPEND_KIND_COUNT; i++) {
        const struct slice value = slice_from_cstr(kinds[i]);
        metrics->stored_by[i] = metric_family_counter(metrics->stored, &value);
    }
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        const struct slice value = slice_from_cstr(append_verdict_label((enum append_verdict)i));

        if (!append_verdict_stored((enum append_verdict)i))
            metrics->refused_by[i] = metric_family_counter(metrics->refused, &value);
    }
}

enum err distributor_check_settings(const struct distributor_settings *settings,
                                    struct err_info *info)
{
    /* A request that is allowed must fit: else its sender is told to try again for ever. Its
     * samples are held beside it until they are durable. */
    if (settings->memory_max / 2 < settings->request_size_max)
        return err_set(info, ERR_BAD_INPUT,
                       "distributor.memory_max (%llu bytes) must be at least twice "
                       "distributor.request_size_max (%llu bytes)",
                       (unsigned long long)settings->memory_max,
                       (unsigned long long)settings->request_size_max);
    return ERR_OK;
}

struct distributor *distributor_new(const struct distributor_options *options)
{
    struct distributor *distributor = mem_zalloc(1, sizeof(*distributor));
    const struct distributor_settings *settings = options->settings;

    distributor->appender.ops = &distributor_ops;
    distributor->options = *options;
    distributor->log = log_make((struct log_sink *)options->log_sink, "distributor");
    distributor->name_scheme = (int)options->name_scheme;
    budget_init(&distributor->budget, options->budget, "writes", (size_t)settings->memory_max);
    distributor->limits = limits_default();
    distributor->limits.request_size_max = (uint32_t)settings->request_size_max;
    distributor->limits.future_ms_max = settings->future_ms_max;
    distributor->limits.label_count_max = (uint32_t)settings->label_count_max;
    distributor->limits.label_name_size_max = (uint32_t)settings->label_name_size_max;
    distributor->limits.label_value_size_max = (uint32_t)settings->label_value_size_max;
    metric_register(options->metrics, distributor_metric_descs, COUNT_OF(distributor_metric_descs),
                    &distributor->metrics);
    distributor_make_counters(&distributor->metrics);
    distributor->receiver = receiver_new(distributor);
    return distributor;
}

void distributor_free(struct distributor *distributor)
{
    if (distributor == NULL)
        return;
    receiver_free(distributor->receiver);
    metric_unregister(distributor->options.metrics, distributor_metric_descs,
                      COUNT_OF(distributor_metric_descs), &distributor->metrics);
    mem_free(distributor);
}

struct appender *distributor_appender(struct distributor *distributor)
{
    return &distributor->appender;
}

void distributor_add_routes(struct distributor *distributor, struct http_server *server)
{
    receiver_add_routes(distributor->receiver, server);
}

void distributor_set_out_of_order(struct distributor *distributor, int64_t window_ms)
{
    atomic_store(&distributor->out_of_order_ms, window_ms);
}

void distributor_set_name_scheme(struct distributor *distributor, enum label_scheme scheme)
{
    if (atomic_exchange(&distributor->name_scheme, (int)scheme) != (int)scheme)
        receiver_forget_aliases(distributor->receiver);
}
