/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/receive.h"

#include <stdio.h>

#include "codec/snappy.h"
#include "codec/zstd.h"

/* Decodes the labels of a series that the alias table does not know and asks the ingester for its
 * reference; 0 if there is none, then *verdict says why. */
static uint64_t receive_resolve(struct receive *receive, const struct remote_write_series *series,
                                enum append_verdict *verdict)
{
    const struct distributor *distributor = receive->distributor;
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
    const bool is_version2 = receive->media.is_version2;
    struct arena *arena = &receive->scratch->labels;
    struct remote_write_histogram *histogram;
    struct exemplar *exemplar;

    *item = (struct append_item){.kind = APPEND_FLOAT};
    switch (wire->kind) {
    case REMOTE_WRITE_SAMPLE:
        item->t_ms = wire->sample.t_ms;
        item->start_t_ms = wire->start_t_ms;
        item->v = wire->sample.v;
        return true;
    case REMOTE_WRITE_HISTOGRAM:
        item->kind = APPEND_HISTOGRAM;
        histogram = ARENA_NEW(arena, struct remote_write_histogram);
        if (histogram == NULL ||
            remote_write_histogram(wire->message,
                                   receive->distributor->limits.histogram_bucket_count_max, arena,
                                   histogram, info) != ERR_OK)
            return false;
        item->t_ms = histogram->t_ms;
        item->start_t_ms = histogram->start_t_ms != 0 ? histogram->start_t_ms : wire->start_t_ms;
        item->histogram = &histogram->h;
        return true;
    case REMOTE_WRITE_EXEMPLAR:
        item->kind = APPEND_EXEMPLAR;
        exemplar = ARENA_NEW(arena, struct exemplar);
        if (exemplar == NULL ||
            (is_version2
                 ? remote_write2_exemplar(wire->message, &receive->symbols, arena, exemplar, info)
                 : remote_write_exemplar(wire->message, arena, exemplar, info)) != ERR_OK)
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

/* The texts' hashes are keyed and well mixed: a few additions keep them apart. */
static uint64_t receive_about_hash(const struct receive *receive,
                                   const struct remote_write2_about *about)
{
    const struct hash128 *hashes = receive->symbols.hashes;
    uint64_t hash = hashes[about->name].lo + receive->tenant_hash;

    hash += about->help == 0 ? 0 : hashes[about->help].hi;
    hash += about->unit == 0 ? 0 : hashes[about->unit].lo << 1;
    hash += ((uint64_t)about->type << 32) + receive->now_s / RECEIVE_ABOUT_S;
    return hash;
}

/* Metadata that lies in a series of 2.0, handed on if it wasn't lately. */
static void receive_about(struct receive *receive, const struct remote_write_series *series)
{
    const struct remote_write_symbols *symbols = &receive->symbols;
    const struct series_key key = {0};
    struct remote_write2_about about;
    struct metadata metadata;
    struct err_info info = {{0}};
    uint64_t hash;
    _Atomic uint64_t *slot;

    if (remote_write2_about(series, &about, &info) != ERR_OK) {
        distributor_txn_refuse(receive->txn, APPEND_BAD_LABELS, 1, NULL,
                               err_message(ERR_BAD_INPUT, &info));
        return;
    }
    if (about.name == 0 || memcmp(&about, &receive->last_about, sizeof(about)) == 0)
        return;
    receive->last_about = about;
    hash = receive_about_hash(receive, &about);
    slot = &receive->abouts[hash % RECEIVE_ABOUT_SLOTS];
    if (atomic_load_explicit(slot, memory_order_relaxed) == hash)
        return;
    atomic_store_explicit(slot, hash, memory_order_relaxed);
    if (remote_write2_metadata(symbols, &about, &metadata, &info) == ERR_OK)
        (void)append_add(receive->txn, &key,
                         &(struct append_item){.kind = APPEND_METADATA, .metadata = &metadata});
    else
        distributor_txn_refuse(receive->txn, APPEND_BAD_LABELS, 1, NULL,
                               err_message(ERR_BAD_INPUT, &info));
}

/* A series of 2.0 with nothing in it: upstream says 400 too. */
static void receive_refuse_empty(struct receive *receive, const struct remote_write_series *series)
{
    struct label_set labels;
    bool is_named;

    arena_reset(&receive->scratch->labels);
    is_named = remote_write_labels(series, &receive->scratch->labels, LABEL_SCHEME_UTF8, &labels,
                                   NULL) == ERR_OK;
    distributor_txn_refuse(receive->txn, APPEND_BAD_LABELS, 1, is_named ? &labels : NULL,
                           "a series must have a sample, a histogram or an exemplar");
}

/* What 2.0 adds. false: the series has no items. */
static bool receive_version2(struct receive *receive, const struct remote_write_series *series)
{
    if (series->has_metadata)
        receive_about(receive, series);
    if (!series->has_items && !series->has_metadata)
        receive_refuse_empty(receive, series);
    return series->has_items;
}

static enum err receive_batch(struct receive *receive, size_t count)
{
    struct receive_scratch *scratch = receive->scratch;
    struct alias_batch batch = {scratch->hashes, scratch->refs, count, receive->now_s};
    bool learned = false;
    enum err err = ERR_OK;

    alias_table_find(receive->aliases, &batch);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        const struct remote_write_series *series = &scratch->series[i];
        enum append_verdict verdict = APPEND_OK;
        const bool has_key = (scratch->hashes[i].lo | scratch->hashes[i].hi) != 0;
        uint64_t ref = scratch->refs[i];

        scratch->new_refs[i] = 0;
        if (receive->media.is_version2 && !receive_version2(receive, series))
            continue;
        if (ref == 0)
            ref = receive_resolve(receive, series, &verdict);
        err = receive_series(receive, series, &ref, verdict);
        if (has_key && ref != scratch->refs[i])
            scratch->new_refs[i] = ref;
        learned |= scratch->new_refs[i] != 0;
    }
    if (learned && err == ERR_OK) {
        batch.refs = scratch->new_refs;
        receive->is_filling |= alias_table_add(receive->aliases, &batch, receive->alias_version);
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

/* The key of a series in the alias table; zero, which the table never holds: it has none. */
static struct hash128 receive_alias(const struct receive *receive,
                                    const struct remote_write_series *series)
{
    struct hash128 hash;

    if (!remote_write_series_hash(series, receive->distributor->options.hash_key, &hash))
        return (struct hash128){0, 0};
    hash.lo ^= receive->tenant_hash;
    return hash;
}

/* Walks the request once. Any fault of its form ends it, and nothing of it is stored. */
static enum err receive_walk(struct receive *receive, struct remote_write_reader *reader)
{
    struct receive_scratch *scratch = receive->scratch;
    struct remote_write_entry entry;
    size_t count = 0;
    enum err err = ERR_OK;

    while (err == ERR_OK && remote_write_next(reader, &entry)) {
        if (entry.kind == REMOTE_WRITE_METADATA) {
            err = receive_metadata(receive, entry.metadata);
            continue;
        }
        scratch->series[count] = entry.series;
        scratch->hashes[count++] = receive_alias(receive, &entry.series);
        if (count == RECEIVE_BATCH) {
            err = receive_batch(receive, count);
            count = 0;
        }
    }
    if (err == ERR_OK && reader->err == ERR_OK && count > 0)
        err = receive_batch(receive, count);
    if (reader->err != ERR_OK) /* a limit is on this request alone: it would be broken again */
        return err_set(&receive->info, reader->err == ERR_LIMIT ? ERR_TOO_LARGE : reader->err,
                       "write request: %s", reader->error_text);
    if (err != ERR_OK)
        err_set(&receive->info, err, "write request: a sample cannot be read");
    return err;
}

static enum err receive_unpack(struct receive *receive, struct slice *body)
{
    struct receive_scratch *scratch = receive->scratch;
    const uint32_t size_max = receive->distributor->limits.request_size_max;

    if (!receive->media.is_zstd)
        return snappy_block_decode(receive->body, size_max, &scratch->body, body, &receive->info);
    if (scratch->zstd == NULL)
        scratch->zstd = zstd_decoder_new(size_max);
    return zstd_decode(scratch->zstd, receive->body, &scratch->body, body, &receive->info);
}

static enum err receive_open(struct receive *receive, struct remote_write_reader *reader)
{
    const struct distributor *distributor = receive->distributor;
    const struct remote_write_limits limits = {
        .series_count_max = distributor->limits.request_series_count_max,
        .symbol_count_max = RECEIVE_SYMBOLS_MAX,
    };
    struct slice body;
    enum err err = receive_unpack(receive, &body);

    receive->symbols.key = distributor->options.hash_key;
    if (err == ERR_OK && receive->media.is_version2)
        err = remote_write2_symbols(body, &limits, &receive->scratch->body, &receive->symbols,
                                    &receive->info);
    if (err != ERR_OK)
        return err;
    if (receive->media.is_version2)
        remote_write2_reader_init(reader, body, &limits, &receive->symbols);
    else
        remote_write_reader_init(reader, body, &limits);
    return ERR_OK;
}

enum err receive_decode(struct receive *receive)
{
    const struct append_options options = {.tenant = receive->tenant, .origin = APPEND_WRITE};
    struct remote_write_reader reader;
    enum err err;

    receive->alias_version = alias_table_version(receive->aliases);
    receive->tenant_hash = hash64(receive->distributor->options.hash_key, receive->tenant);
    err = receive_open(receive, &reader);
    if (err == ERR_OK)
        err = appender_begin(&receive->distributor->appender, &options, &receive->txn,
                             &receive->info);
    if (err != ERR_OK)
        return err;
    err = receive_walk(receive, &reader);
    if (err != ERR_OK)
        append_abort(receive->txn);
    return err;
}
