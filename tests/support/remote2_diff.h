/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote write 2.0 read twice: in place, and by protobuf-c. What the in-place reader takes,
 * protobuf-c must take too, and both must see the same. Shared by the unit test and the fuzz
 * target, which link lib/codec. */

#include <string.h>

#include "proto/prometheus_remote_v2.pb-c.h"

#include "base/assert.h"
#include "codec/remote_write.h"

static inline struct slice remote2_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

/* The labels that numbers stand for, as a set would be; false: they don't stand for one. */
static inline bool remote2_labels(const Io__Prometheus__Write__V2__Request *request,
                                  const uint32_t *refs, size_t count, struct arena *arena,
                                  struct label_set *set)
{
    struct label *items = arena_alloc(arena, (count / 2 + 1) * sizeof(*items));
    uint32_t kept = 0;

    if (count % 2 != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (refs[i] >= request->n_symbols)
            return false;
    }
    for (size_t i = 0; i < count; i += 2) {
        items[kept].name = remote2_bytes(request->symbols[refs[i]]);
        items[kept].value = remote2_bytes(request->symbols[refs[i + 1]]);
        kept += items[kept].value.len != 0 || items[kept].name.len == 0;
    }
    label_sort(items, kept);
    *set = (struct label_set){items, kept};
    return label_set_check(*set, LABEL_SCHEME_UTF8, NULL) == ERR_OK;
}

static inline void remote2_histogram(const struct remote_write_histogram *got,
                                     const Io__Prometheus__Write__V2__Histogram *want)
{
    const struct histogram *h = &got->h;

    ASSERT(got->t_ms == want->timestamp);
    ASSERT(got->start_t_ms == want->start_timestamp);
    ASSERT(h->schema == want->schema);
    ASSERT(sample_value_bits(h->sum) == sample_value_bits(want->sum));
    ASSERT(h->positive_span_count == want->n_positive_spans);
    ASSERT(h->negative_span_count == want->n_negative_spans);
    ASSERT(h->custom_value_count == want->n_custom_values);
    if (h->is_float) {
        ASSERT(sample_value_bits(h->f.count) == sample_value_bits(want->count_float));
        ASSERT(h->positive_count == want->n_positive_counts);
        ASSERT(h->negative_count == want->n_negative_counts);
    } else {
        ASSERT(h->i.count == want->count_int);
        ASSERT(h->positive_count == want->n_positive_deltas);
        ASSERT(h->negative_count == want->n_negative_deltas);
    }
}

static inline void remote2_exemplar(const struct remote_write_item *item,
                                    const struct remote_write_symbols *symbols,
                                    const Io__Prometheus__Write__V2__Request *request,
                                    const Io__Prometheus__Write__V2__Exemplar *want,
                                    struct arena *arena)
{
    struct exemplar got;
    struct label_set labels;

    if (remote_write2_exemplar(item->message, symbols, arena, &got, NULL) != ERR_OK)
        return;
    ASSERT(remote2_labels(request, want->labels_refs, want->n_labels_refs, arena, &labels));
    ASSERT(label_set_eq(labels, got.labels));
    ASSERT(sample_value_bits(got.v) == sample_value_bits(want->value));
    ASSERT(got.t_ms == want->timestamp);
}

static inline void remote2_items(const struct remote_write_series *series,
                                 const Io__Prometheus__Write__V2__Request *request,
                                 const Io__Prometheus__Write__V2__TimeSeries *want,
                                 struct arena *arena)
{
    struct remote_write_items items;
    struct remote_write_item item;
    struct remote_write_histogram histogram;
    size_t samples = 0, exemplars = 0, histograms = 0;

    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &item)) {
        const Io__Prometheus__Write__V2__Sample *sample;

        switch (item.kind) {
        case REMOTE_WRITE_SAMPLE:
            ASSERT(samples < want->n_samples);
            sample = want->samples[samples++];
            ASSERT(item.sample.t_ms == sample->timestamp);
            ASSERT(sample_value_bits(item.sample.v) == sample_value_bits(sample->value));
            /* Of one field twice, protobuf counts the last; a last zero leaves ours alone. */
            ASSERT(sample->start_timestamp == 0 || item.start_t_ms == sample->start_timestamp);
            break;
        case REMOTE_WRITE_EXEMPLAR:
            ASSERT(exemplars < want->n_exemplars);
            remote2_exemplar(&item, series->symbols, request, want->exemplars[exemplars++], arena);
            break;
        case REMOTE_WRITE_HISTOGRAM:
            ASSERT(histograms < want->n_histograms);
            if (remote_write_histogram(item.message, 0, arena, &histogram, NULL) == ERR_OK)
                remote2_histogram(&histogram, want->histograms[histograms]);
            histograms++;
            break;
        }
    }
    ASSERT(items.err == ERR_OK);
    ASSERT(samples == want->n_samples && exemplars == want->n_exemplars);
    ASSERT(histograms == want->n_histograms);
    ASSERT(series->has_items == (samples + exemplars + histograms != 0));
}

static inline void remote2_series(const struct remote_write_series *series,
                                  const Io__Prometheus__Write__V2__Request *request,
                                  const Io__Prometheus__Write__V2__TimeSeries *want,
                                  struct arena *arena)
{
    struct label_set got, labels;
    struct remote_write2_about about;
    const bool is_set =
        remote2_labels(request, want->labels_refs, want->n_labels_refs, arena, &labels);

    ASSERT((remote_write_labels(series, arena, LABEL_SCHEME_UTF8, &got, NULL) == ERR_OK) == is_set);
    ASSERT(!is_set || label_set_eq(labels, got));
    ASSERT(series->created_ms == want->created_timestamp);
    ASSERT(series->has_metadata == (want->metadata != NULL));
    if (want->metadata != NULL && remote_write2_about(series, &about, NULL) == ERR_OK) {
        ASSERT(about.type == (uint32_t)want->metadata->type);
        ASSERT(about.help == want->metadata->help_ref);
        ASSERT(about.unit == want->metadata->unit_ref);
    }
    remote2_items(series, request, want, arena);
}

/* Numbers without a text, and texts that are no labels, are no fault of the message. */
static inline bool remote2_is_well_formed(enum err err, struct err_info *info)
{
    const bool good = err == ERR_OK || strstr(info->message, "malformed") == NULL;

    info->message[0] = '\0';
    return good;
}

/* Whether everything nested can be read, which the walk over series leaves to their users. */
static inline bool remote2_nested(const struct remote_write_series *series, struct arena *arena)
{
    struct remote_write_items items;
    struct remote_write_item item;
    struct remote_write_histogram histogram;
    struct remote_write2_about about;
    struct exemplar exemplar;
    struct label_set labels;
    struct err_info info = {{0}};
    bool good = true;

    good &= remote2_is_well_formed(
        remote_write_labels(series, arena, LABEL_SCHEME_UTF8, &labels, &info), &info);
    good &= remote2_is_well_formed(remote_write2_about(series, &about, &info), &info);
    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &item)) {
        if (item.kind == REMOTE_WRITE_EXEMPLAR)
            good &= remote2_is_well_formed(
                remote_write2_exemplar(item.message, series->symbols, arena, &exemplar, &info),
                &info);
        else if (item.kind == REMOTE_WRITE_HISTOGRAM)
            good &= remote2_is_well_formed(
                remote_write_histogram(item.message, 0, arena, &histogram, &info), &info);
    }
    return good && items.err == ERR_OK;
}

/* Aborts on a difference. Returns whether the in-place reader took the request whole. */
static inline bool remote2_diff_check(struct slice request, struct arena *arena)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {7};
    const struct remote_write_limits limits = {0};
    struct hash_key key;
    struct remote_write_symbols symbols = {.key = &key};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    Io__Prometheus__Write__V2__Request *want;
    size_t count = 0;
    bool good = true;

    hash_key_init(&key, seed);
    if (remote_write2_symbols(request, &limits, arena, &symbols, NULL) != ERR_OK)
        return false;
    remote_write2_reader_init(&reader, request, &limits, &symbols);
    while (remote_write_next(&reader, &entry)) {
        struct hash128 hash;

        (void)remote_write_series_hash(&entry.series, &key, &hash);
        good &= remote2_nested(&entry.series, arena);
    }
    if (reader.err != ERR_OK || !good || arena->err != ERR_OK)
        return false;
    want = io__prometheus__write__v2__request__unpack(NULL, request.len,
                                                      (const uint8_t *)request.data);
    ASSERT(want != NULL);
    ASSERT(symbols.count == want->n_symbols);
    for (uint32_t i = 0; i < symbols.count; i++)
        ASSERT(slice_eq(symbols.texts[i], remote2_bytes(want->symbols[i])));
    remote_write2_reader_init(&reader, request, &limits, &symbols);
    while (remote_write_next(&reader, &entry)) {
        ASSERT(count < want->n_timeseries);
        remote2_series(&entry.series, want, want->timeseries[count++], arena);
    }
    ASSERT(reader.err == ERR_OK && count == want->n_timeseries);
    io__prometheus__write__v2__request__free_unpacked(want, NULL);
    return true;
}
