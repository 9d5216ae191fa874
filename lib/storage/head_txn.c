/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/wide_chunk.h"
#include "storage/head_apply.h"

/* A transaction is its log record under construction: add encodes each sample, commit queues the
 * record, apply reads it back. So there is one copy of the samples, and one reader in life and
 * replay. */

enum {
    TXNS_FREE_MAX = 64,         /* kept for reuse, with their payload buffers */
    PAYLOAD_KEPT_MAX = 1 << 20, /* bytes of a buffer that is kept */
    PAYLOAD_ROOM = 4 << 10,     /* bytes by which a payload grows at least */
    BODY_KEPT_MAX = 16 << 10,   /* bytes of a wide entry's buffer that is kept */
};

static struct head_txn *txn_of(struct append_txn *txn)
{
    return CONTAINER_OF(txn, struct head_txn, txn);
}

static struct head_txn *txn_new(struct head *head)
{
    struct head_txn *txn;

    pthread_mutex_lock(&head->txns_lock);
    txn = head->txns_free;
    if (txn != NULL) {
        head->txns_free = txn->next;
        head->txn_count--;
    }
    pthread_mutex_unlock(&head->txns_lock);
    if (txn != NULL)
        return txn;
    txn = mem_zalloc(1, sizeof(*txn));
    txn->txn.appender = &head->appender;
    txn->head = head;
    buf_init(&txn->payload, WAL_PAYLOAD_SIZE_MAX);
    buf_init(&txn->body, WAL_PAYLOAD_SIZE_MAX);
    return txn;
}

static void txn_free(struct head_txn *txn)
{
    buf_fini(&txn->payload);
    buf_fini(&txn->body);
    mem_free(txn->left_out);
    mem_free(txn);
}

/* Gives back what begin took; the transaction may be used again. */
static void txn_release(struct head_txn *txn)
{
    struct head *head = txn->head;
    bool kept;

    budget_give(txn->budget, txn->taken_bytes);
    head_guard_leave(head, &txn->guard, HEAD_GUARD_TXN);
    if (txn->payload.cap > PAYLOAD_KEPT_MAX)
        buf_fini(&txn->payload);
    if (txn->body.cap > BODY_KEPT_MAX)
        buf_fini(&txn->body);
    pthread_mutex_lock(&head->txns_lock);
    kept = head->txn_count < TXNS_FREE_MAX;
    if (kept) {
        txn->next = head->txns_free;
        head->txns_free = txn;
        head->txn_count++;
    }
    pthread_mutex_unlock(&head->txns_lock);
    if (!kept)
        txn_free(txn);
    head_guard_end_txn(head);
}

void head_txn_free_all(struct head *head)
{
    while (head->txns_free != NULL) {
        struct head_txn *txn = head->txns_free;

        head->txns_free = txn->next;
        txn_free(txn);
    }
    LIST_EACH(&head->guards[HEAD_GUARD_TXN], node)
    {
        struct head_txn *txn = CONTAINER_OF(node, struct head_txn, guard.node);

        list_remove(node);
        txn_free(txn);
    }
}

void head_txn_finish(struct head_txn *txn, enum err err)
{
    struct append_result *result = &txn->result;

    result->err = err;
    result->retryable = err != ERR_OK && err != ERR_TOO_LARGE;
    if (err != ERR_OK) {
        memset(result->counts, 0, sizeof(result->counts));
        memset(result->stored, 0, sizeof(result->stored));
    }
    txn->done(txn->owner, result);
    txn_release(txn);
}

void head_txn_explain(struct append_result *result, enum append_verdict verdict, int64_t t_ms,
                      struct label_set labels)
{
    head_txn_explain_as(result, verdict, append_verdict_text(verdict),
                        (struct head_txn_place){t_ms, labels});
}

void head_txn_explain_as(struct append_result *result, enum append_verdict verdict,
                         const char *reason, struct head_txn_place place)
{
    char *text = result->texts[verdict];
    struct buf buf;

    if (text[0] != '\0')
        return;
    buf_init(&buf, 64 << 10);
    buf_printf(&buf, "%s: t=%lld ", reason, (long long)place.t_ms);
    label_set_print(&buf, place.labels);
    if (buf.len >= APPEND_TEXT_SIZE) {
        buf.len = APPEND_TEXT_SIZE - 4;
        while (buf.len > 0 && ((uint8_t)buf.data[buf.len] & 0xc0) == 0x80)
            buf.len--; /* not within a character */
        buf_add_cstr(&buf, "...");
    }
    memcpy(text, buf.data, buf.len);
    text[buf.len] = '\0';
    buf_fini(&buf);
}

static enum err txn_begin(struct appender *appender, const struct append_options *options,
                          struct append_txn **out, struct err_info *info)
{
    struct head *head = CONTAINER_OF(appender, struct head, appender);
    struct head_tenant *tenant;
    struct head_txn *txn;
    enum err err = wal_check(head->wal);

    if (err != ERR_OK)
        return err_set(info, err, "the write-ahead log takes no writes: %s", err_text(err));
    tenant = head_tenant_find(head, options->tenant);
    if (tenant == NULL)
        tenant = head_tenant_make(head, options->tenant);
    if (tenant == NULL)
        return err_set(info, ERR_LIMIT, "limit of %u tenants reached", head->options.tenant_max);
    txn = txn_new(head);
    if (!head_guard_begin_txn(head, &txn->guard)) {
        txn_free(txn);
        return err_set(info, ERR_UNAVAILABLE, "the server is stopping");
    }
    txn->tenant = tenant;
    txn->budget = options->budget;
    txn->taken_bytes = 0;
    txn->t_limit_ms = env_now_ms(head->options.env) + head->options.future_ms_max;
    txn->deadline_ns = options->deadline_ns;
    txn->sample_count = 0;
    txn->err = ERR_OK;
    memset(&txn->result, 0, offsetof(struct append_result, texts));
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        txn->result.texts[i][0] = '\0';
    txn->result.series_created = 0;
    txn->result.left_out = NULL;
    txn->result.left_out_count = 0;
    txn->tells_left_out = options->tells_left_out;
    buf_reset(&txn->payload);
    head_record_start_samples(&txn->writer, &txn->payload, tenant->name,
                              options->out_of_order_ms > 0 ? options->out_of_order_ms : 0);
    *out = &txn->txn;
    return ERR_OK;
}

static enum append_verdict txn_refuse(struct head_txn *txn, enum append_verdict verdict,
                                      int64_t t_ms, struct label_set labels)
{
    txn->result.counts[verdict]++;
    head_txn_explain(&txn->result, verdict, t_ms, labels);
    return verdict;
}

static void txn_explain_limit(struct head_txn *txn)
{
    const struct head_options *options = &txn->head->options;
    char *text = txn->result.texts[APPEND_LIMIT];

    if (text[0] != '\0')
        return;
    if (options->tenant_series_max != 0 &&
        atomic_load(&txn->tenant->series_count) >= options->tenant_series_max)
        (void)snprintf(text, APPEND_TEXT_SIZE, "limit of %llu series in memory per tenant reached",
                       (unsigned long long)options->tenant_series_max);
    else
        (void)snprintf(text, APPEND_TEXT_SIZE, "limit of %llu series in memory reached",
                       (unsigned long long)options->series_max);
}

static enum append_verdict txn_resolve(struct append_txn *base, struct hash128 hash,
                                       struct label_set labels, uint64_t *ref)
{
    struct head_txn *txn = txn_of(base);
    const struct head_series_key key = {txn->tenant, hash, labels};
    struct head_ref found;
    bool created;
    const enum err err = head_series_resolve(txn->head, &key, &found, &created);

    if (err == ERR_TOO_LARGE) {
        head_txn_explain(&txn->result, APPEND_BAD_LABELS, 0, labels);
        return APPEND_BAD_LABELS;
    }
    if (err != ERR_OK) {
        txn_explain_limit(txn);
        return APPEND_LIMIT;
    }
    txn->result.series_created += created;
    *ref = (uint64_t)found.gen << 32 | found.slot;
    return APPEND_OK;
}

/* Room for one more entry of `size` bytes. TOO_LARGE: the record would fit no segment. UNAVAILABLE:
 * the budget of writes has no room, which is over when others have been answered. */
static enum err txn_grow(struct head_txn *txn, size_t size)
{
    const size_t used = txn->payload.len;
    const size_t least = size + PAYLOAD_ROOM;
    const size_t more = used < least ? least : used;
    const size_t size_max = txn->head->options.wal_segment_size / 2;

    if (used + size > size_max)
        return ERR_TOO_LARGE;
    if (txn->taken_bytes < used + more) {
        if (budget_take(txn->budget, used + more - txn->taken_bytes, NULL) != ERR_OK)
            return ERR_UNAVAILABLE;
        txn->taken_bytes = used + more;
    }
    if (buf_reserve(&txn->payload, more) != NULL)
        return ERR_OK;
    txn->payload.err = ERR_OK;
    return buf_reserve(&txn->payload, size) != NULL ? ERR_OK : ERR_TOO_LARGE;
}

/* Labels of a reference, for a text. */
static enum append_verdict txn_refuse_ref(struct head_txn *txn, enum append_verdict verdict,
                                          int64_t t_ms, uint32_t slot)
{
    struct label_set labels = {0};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (txn->result.texts[verdict][0] == '\0' &&
        head_series_labels(txn->head, slot, &arena, &labels) != ERR_OK)
        labels = (struct label_set){0};
    (void)txn_refuse(txn, verdict, t_ms, labels);
    arena_fini(&arena);
    return verdict;
}

static enum append_verdict txn_refuse_histogram(struct head_txn *txn, int64_t t_ms, uint32_t slot,
                                                const struct err_info *why)
{
    struct head_txn_place place = {.t_ms = t_ms};
    char reason[sizeof(why->message) + 32];
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (head_series_labels(txn->head, slot, &arena, &place.labels) != ERR_OK)
        place.labels = (struct label_set){0};
    (void)snprintf(reason, sizeof(reason), "%s: %s", append_verdict_text(APPEND_BAD_HISTOGRAM),
                   why->message);
    txn->result.counts[APPEND_BAD_HISTOGRAM]++;
    head_txn_explain_as(&txn->result, APPEND_BAD_HISTOGRAM, reason, place);
    arena_fini(&arena);
    return APPEND_BAD_HISTOGRAM;
}

static enum err histogram_check_size(const struct histogram *h, struct err_info *info)
{
    const uint32_t counts[] = {h->positive_count, h->negative_count, h->positive_span_count,
                               h->negative_span_count, h->custom_value_count};

    for (size_t i = 0; i < COUNT_OF(counts); i++)
        if (counts[i] > WIDE_CHUNK_BUCKETS_MAX)
            return err_set(info, ERR_LIMIT, "%u buckets, spans or bounds, at most %d are taken",
                           counts[i], WIDE_CHUNK_BUCKETS_MAX);
    return ERR_OK;
}

/* Finds the series, alive, of a sample that is not in the far future. */
static enum append_verdict txn_place(struct head_txn *txn, const struct series_key *key,
                                     int64_t t_ms, struct head_ref *place)
{
    uint64_t ref = key->ref;

    if (ref == 0) {
        const enum append_verdict verdict = txn_resolve(&txn->txn, key->hash, key->labels, &ref);

        if (verdict != APPEND_OK) {
            txn->result.counts[verdict]++;
            return verdict;
        }
    }
    *place = (struct head_ref){(uint32_t)ref, (uint32_t)(ref >> 32)};
    if (__builtin_expect(!head_series_is(txn->head, *place), 0))
        return APPEND_UNKNOWN_REF; /* not counted: the caller resolves and adds again */
    if (__builtin_expect(t_ms > txn->t_limit_ms, 0))
        return txn_refuse_ref(txn, APPEND_TOO_NEW, t_ms, place->slot);
    return APPEND_OK;
}

/* Adds an entry with the body that the transaction's buffer has. */
static enum append_verdict txn_put_wide(struct head_txn *txn, struct head_wide_entry *entry)
{
    struct buf *payload = &txn->payload;
    const size_t size = HEAD_RECORD_ENTRY_SIZE_MAX + txn->body.len;
    enum err err = txn->err != ERR_OK ? txn->err : txn->body.err;

    if (err == ERR_OK && (payload->cap - payload->len < size || payload->len >= txn->taken_bytes))
        err = txn_grow(txn, size);
    if (err != ERR_OK) {
        txn->err = err; /* whole or not at all: commit says so */
        return APPEND_RETRY;
    }
    entry->body = buf_slice(&txn->body);
    payload->len += head_record_put_wide(&txn->writer, payload->data + payload->len, entry);
    txn->sample_count++;
    return APPEND_OK;
}

static enum append_verdict txn_add_histogram(struct head_txn *txn, const struct series_key *key,
                                             const struct append_item *item)
{
    struct head_wide_entry entry = {.kind = HEAD_WIDE_HISTOGRAM, .t_ms = item->t_ms};
    const struct histogram *h = item->histogram;
    struct histogram stale = {.is_float = h->is_float, .sum = h->sum};
    struct err_info info = {{0}};
    enum append_verdict verdict = txn_place(txn, key, item->t_ms, &entry.ref);

    if (verdict != APPEND_OK)
        return verdict;
    if (histogram_is_stale(h))
        h = &stale; /* the rest of a stale marker says nothing */
    else if (histogram_check_size(h, &info) != ERR_OK || histogram_check(h, &info) != ERR_OK)
        return txn_refuse_histogram(txn, item->t_ms, entry.ref.slot, &info);
    buf_reset(&txn->body);
    head_record_put_histogram_body(&txn->body, item->t_ms, item->start_t_ms, h);
    return txn_put_wide(txn, &entry);
}

static uint32_t rune_count(struct slice text)
{
    uint32_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* The labels without empty ones, as upstream; false: they are too long. `items` has room for
 * HEAD_EXEMPLAR_RUNES_MAX. */
static bool exemplar_labels(struct label_set labels, struct label *items, struct label_set *out)
{
    uint32_t runes = 0, count = 0;

    for (uint32_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];

        if (label->value.len == 0)
            continue;
        runes += rune_count(label->name) + rune_count(label->value);
        if (runes > HEAD_EXEMPLAR_RUNES_MAX || count == HEAD_EXEMPLAR_RUNES_MAX)
            return false;
        items[count++] = *label;
    }
    *out = (struct label_set){items, count};
    return true;
}

static enum append_verdict txn_refuse_exemplar(struct head_txn *txn, int64_t t_ms, uint32_t slot)
{
    struct head_txn_place place = {.t_ms = t_ms};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (head_series_labels(txn->head, slot, &arena, &place.labels) != ERR_OK)
        place.labels = (struct label_set){0};
    txn->result.counts[APPEND_BAD_EXEMPLAR]++;
    head_txn_explain_as(&txn->result, APPEND_BAD_EXEMPLAR,
                        "label length for exemplar exceeds maximum of 128 UTF-8 characters", place);
    arena_fini(&arena);
    return APPEND_BAD_EXEMPLAR;
}

static enum append_verdict txn_add_exemplar(struct head_txn *txn, const struct series_key *key,
                                            const struct append_item *item)
{
    struct head_exemplars *exemplars = txn->head->exemplars;
    struct head_wide_entry entry = {.kind = HEAD_WIDE_EXEMPLAR, .t_ms = item->t_ms};
    struct label items[HEAD_EXEMPLAR_RUNES_MAX];
    struct exemplar exemplar = *item->exemplar;
    const enum append_verdict verdict = txn_place(txn, key, item->t_ms, &entry.ref);

    if (verdict != APPEND_OK)
        return verdict;
    exemplar.t_ms = item->t_ms;
    if (head_exemplars_max(exemplars) == 0)
        return txn_refuse_ref(txn, APPEND_EXEMPLARS_OFF, item->t_ms, entry.ref.slot);
    if (!exemplar_labels(item->exemplar->labels, items, &exemplar.labels))
        return txn_refuse_exemplar(txn, item->t_ms, entry.ref.slot);
    if (head_exemplars_has(exemplars, entry.ref, &exemplar)) { /* as most of a scrape are */
        txn->result.counts[APPEND_DUPLICATE_SAME]++;
        txn->result.stored[APPEND_EXEMPLAR]++;
        return APPEND_DUPLICATE_SAME;
    }
    buf_reset(&txn->body);
    head_record_put_exemplar_body(&txn->body, &exemplar);
    return txn_put_wide(txn, &entry);
}

static enum append_verdict txn_refuse_metadata(struct head_txn *txn, const char *why,
                                               struct slice metric)
{
    char *text = txn->result.texts[APPEND_BAD_METADATA];

    txn->result.counts[APPEND_BAD_METADATA]++;
    if (text[0] == '\0')
        (void)snprintf(text, APPEND_TEXT_SIZE, "metadata of \"%.*s\": %s",
                       (int)(metric.len > 100 ? 100 : metric.len), metric.data, why);
    return APPEND_BAD_METADATA;
}

static enum append_verdict txn_add_metadata(struct head_txn *txn, const struct metadata *metadata)
{
    struct head_wide_entry entry = {
        .kind = HEAD_WIDE_METADATA, .ref = txn->writer.prev.ref, .t_ms = txn->writer.prev.t_ms};

    if (metadata->metric.len == 0)
        return txn_refuse_metadata(txn, "it names no metric", metadata->metric);
    if (metadata->metric.len > HEAD_METADATA_METRIC_SIZE_MAX ||
        metadata->help.len > HEAD_METADATA_TEXT_SIZE_MAX ||
        metadata->unit.len > HEAD_METADATA_TEXT_SIZE_MAX)
        return txn_refuse_metadata(txn, "a text is too long", metadata->metric);
    switch (head_metadata_look(txn->head->metadata, txn->tenant->id, metadata)) {
    case HEAD_METADATA_SAME:
        txn->result.counts[APPEND_DUPLICATE_SAME]++;
        txn->result.stored[APPEND_METADATA]++;
        return APPEND_DUPLICATE_SAME;
    case HEAD_METADATA_FULL:
        return txn_refuse_metadata(txn, "too many metrics have metadata", metadata->metric);
    case HEAD_METADATA_ADDED:
        break;
    }
    buf_reset(&txn->body);
    head_record_put_metadata_body(&txn->body, metadata);
    return txn_put_wide(txn, &entry);
}

static enum append_verdict txn_add_wide(struct head_txn *txn, const struct series_key *key,
                                        const struct append_item *item)
{
    struct head_wide_entry entry = {.kind = HEAD_WIDE_FLOAT, .t_ms = item->t_ms};
    enum append_verdict verdict;

    switch (item->kind) {
    case APPEND_FLOAT:
        break;
    case APPEND_HISTOGRAM:
        return txn_add_histogram(txn, key, item);
    case APPEND_EXEMPLAR:
        return txn_add_exemplar(txn, key, item);
    case APPEND_METADATA:
        return txn_add_metadata(txn, item->metadata);
    case APPEND_KIND_COUNT:
        ASSERT(false);
    }
    verdict = txn_place(txn, key, item->t_ms, &entry.ref);
    if (verdict != APPEND_OK)
        return verdict;
    buf_reset(&txn->body);
    head_record_put_float_body(&txn->body, item->t_ms, item->start_t_ms,
                               sample_value_bits(item->v));
    return txn_put_wide(txn, &entry);
}

static enum append_verdict txn_add(struct append_txn *base, const struct series_key *key,
                                   const struct append_item *item)
{
    struct head_txn *txn = txn_of(base);
    struct buf *payload = &txn->payload;
    struct head_entry entry = {.t_ms = item->t_ms};
    enum append_verdict verdict;

    if (__builtin_expect(item->kind != APPEND_FLOAT || item->start_t_ms != 0, 0))
        return txn_add_wide(txn, key, item);
    verdict = txn_place(txn, key, item->t_ms, &entry.ref);
    if (__builtin_expect(verdict != APPEND_OK, 0))
        return verdict;
    if (__builtin_expect(payload->cap - payload->len < HEAD_RECORD_ENTRY_SIZE_MAX ||
                             payload->len >= txn->taken_bytes,
                         0)) {
        const enum err err =
            txn->err != ERR_OK ? txn->err : txn_grow(txn, HEAD_RECORD_ENTRY_SIZE_MAX);

        if (err != ERR_OK) {
            txn->err = err; /* whole or not at all: commit says so */
            return APPEND_RETRY;
        }
    }
    entry.v_bits = sample_value_bits(item->v);
    payload->len += head_record_put_entry(&txn->writer, payload->data + payload->len, &entry);
    txn->sample_count++;
    return APPEND_OK;
}

static void txn_commit(struct append_txn *base, append_done_fn *done, void *owner)
{
    struct head_txn *txn = txn_of(base);
    struct head *head = txn->head;
    enum err err;

    txn->done = done;
    txn->owner = owner;
    if (txn->err != ERR_OK) {
        head_txn_finish(txn, txn->err);
        return;
    }
    if (txn->sample_count == 0) {
        head_txn_finish(txn, ERR_OK);
        return;
    }
    if (txn->deadline_ns != 0 && env_mono_ns(head->options.env) > txn->deadline_ns) {
        head_txn_finish(txn, ERR_DEADLINE);
        return;
    }
    txn->record = (struct wal_record){.payload = buf_slice(&txn->payload),
                                      .payload_crc = crc32c_slice(buf_slice(&txn->payload)),
                                      .kind = WAL_SAMPLES};
    err = wal_append(head->wal, &txn->record);
    if (err != ERR_OK)
        head_txn_finish(txn, err);
}

static void txn_abort(struct append_txn *base)
{
    txn_release(txn_of(base));
}

const struct appender_ops head_txn_ops = {.begin = txn_begin,
                                          .resolve = txn_resolve,
                                          .add = txn_add,
                                          .commit = txn_commit,
                                          .abort = txn_abort};
