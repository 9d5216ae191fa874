/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote write read twice: in place, and by protobuf-c. What the in-place reader takes, protobuf-c
 * must take too, and both must see the same. Shared by the unit test and the fuzz target, which
 * link lib/codec. */

#include <string.h>

#include "proto/prometheus_remote.pb-c.h"

#include "base/assert.h"
#include "codec/remote_write.h"

static inline struct slice remote_diff_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

static inline void remote_diff_labels(const struct remote_write_series *series,
                                      const Prometheus__TimeSeries *want, struct arena *arena)
{
    struct label_set set;
    uint32_t count = 0;

    ASSERT(series->label_count == want->n_labels);
    if (remote_write_labels(series, arena, LABEL_SCHEME_UTF8, &set, NULL) != ERR_OK)
        return; /* names and values are judged by their content, which protobuf-c doesn't */
    for (size_t i = 0; i < want->n_labels; i++) {
        const struct slice value = remote_diff_bytes(want->labels[i]->value);

        if (value.len == 0)
            continue;
        ASSERT(slice_eq(label_set_get(set, remote_diff_bytes(want->labels[i]->name)), value));
        count++;
    }
    ASSERT(set.count == count);
}

static inline void remote_diff_doubles(const double *got, uint32_t count, const double *want,
                                       size_t want_count)
{
    ASSERT(count == want_count);
    ASSERT(count == 0 || memcmp(got, want, count * sizeof(*got)) == 0);
}

static inline void remote_diff_spans(const struct histogram_span *got, uint32_t count,
                                     Prometheus__BucketSpan *const *want, size_t want_count)
{
    ASSERT(count == want_count);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(got[i].offset == want[i]->offset);
        ASSERT(got[i].length == want[i]->length);
    }
}

static inline void remote_diff_histogram(const struct remote_write_histogram *got,
                                         const Prometheus__Histogram *want)
{
    const struct histogram *h = &got->h;

    ASSERT(got->t_ms == want->timestamp);
    ASSERT(h->schema == want->schema);
    ASSERT(sample_value_bits(h->sum) == sample_value_bits(want->sum));
    ASSERT(sample_value_bits(h->zero_threshold) == sample_value_bits(want->zero_threshold));
    remote_diff_spans(h->positive_spans, h->positive_span_count, want->positive_spans,
                      want->n_positive_spans);
    remote_diff_spans(h->negative_spans, h->negative_span_count, want->negative_spans,
                      want->n_negative_spans);
    remote_diff_doubles(h->custom_values, h->custom_value_count, want->custom_values,
                        want->n_custom_values);
    if (h->is_float) {
        ASSERT(sample_value_bits(h->f.count) == sample_value_bits(want->count_float));
        ASSERT(sample_value_bits(h->f.zero_count) == sample_value_bits(want->zero_count_float));
        remote_diff_doubles(h->f.positive_counts, h->positive_count, want->positive_counts,
                            want->n_positive_counts);
        remote_diff_doubles(h->f.negative_counts, h->negative_count, want->negative_counts,
                            want->n_negative_counts);
        return;
    }
    ASSERT(h->i.count == want->count_int);
    ASSERT(h->i.zero_count == want->zero_count_int);
    ASSERT(h->positive_count == want->n_positive_deltas);
    ASSERT(h->negative_count == want->n_negative_deltas);
    for (uint32_t i = 0; i < h->positive_count; i++)
        ASSERT(h->i.positive_deltas[i] == want->positive_deltas[i]);
    for (uint32_t i = 0; i < h->negative_count; i++)
        ASSERT(h->i.negative_deltas[i] == want->negative_deltas[i]);
}

static inline void remote_diff_series(const struct remote_write_series *series,
                                      const Prometheus__TimeSeries *want, struct arena *arena)
{
    struct remote_write_items items;
    struct remote_write_item item;
    struct remote_write_histogram histogram;
    size_t sample_count = 0, exemplar_count = 0, histogram_count = 0;

    remote_diff_labels(series, want, arena);
    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &item)) {
        switch (item.kind) {
        case REMOTE_WRITE_SAMPLE:
            ASSERT(sample_count < want->n_samples);
            ASSERT(item.sample.t_ms == want->samples[sample_count]->timestamp);
            ASSERT(sample_value_bits(item.sample.v) ==
                   sample_value_bits(want->samples[sample_count]->value));
            sample_count++;
            break;
        case REMOTE_WRITE_EXEMPLAR:
            exemplar_count++;
            break;
        case REMOTE_WRITE_HISTOGRAM:
            ASSERT(histogram_count < want->n_histograms);
            if (remote_write_histogram(item.message, 0, arena, &histogram, NULL) == ERR_OK)
                remote_diff_histogram(&histogram, want->histograms[histogram_count]);
            histogram_count++;
            break;
        }
    }
    ASSERT(items.err == ERR_OK);
    ASSERT(sample_count == want->n_samples);
    ASSERT(exemplar_count == want->n_exemplars);
    ASSERT(histogram_count == want->n_histograms);
}

/* Whether every nested message that scan leaves alone can be read. */
static inline bool remote_diff_nested(struct slice request, struct arena *arena)
{
    const struct remote_write_limits limits = {0};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct remote_write_items items;
    struct remote_write_item item;
    struct remote_write_histogram histogram;
    struct exemplar exemplar;
    struct metadata metadata;
    bool good = true;

    remote_write_reader_init(&reader, request, &limits);
    while (remote_write_next(&reader, &entry)) {
        if (entry.kind == REMOTE_WRITE_METADATA) {
            good &= remote_write_metadata(entry.metadata, &metadata, NULL) == ERR_OK;
            continue;
        }
        remote_write_items_init(&items, &entry.series);
        while (remote_write_item_next(&items, &item)) {
            if (item.kind == REMOTE_WRITE_EXEMPLAR)
                good &= remote_write_exemplar(item.message, arena, &exemplar, NULL) == ERR_OK;
            else if (item.kind == REMOTE_WRITE_HISTOGRAM)
                good &= remote_write_histogram(item.message, 0, arena, &histogram, NULL) == ERR_OK;
        }
    }
    return good;
}

/* Aborts on a difference. Returns whether the in-place reader took the request whole. */
static inline bool remote_diff_check(struct slice request, struct arena *arena)
{
    const struct remote_write_limits limits = {0};
    struct remote_write_counts counts;
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    Prometheus__WriteRequest *want;
    size_t series_count = 0, metadata_count = 0;

    if (remote_write_scan(request, &limits, &counts, NULL) != ERR_OK ||
        !remote_diff_nested(request, arena))
        return false;
    want = prometheus__write_request__unpack(NULL, request.len, (const uint8_t *)request.data);
    ASSERT(want != NULL);
    remote_write_reader_init(&reader, request, &limits);
    while (remote_write_next(&reader, &entry)) {
        if (entry.kind == REMOTE_WRITE_METADATA) {
            struct metadata metadata;

            ASSERT(remote_write_metadata(entry.metadata, &metadata, NULL) == ERR_OK);
            ASSERT(metadata_count < want->n_metadata);
            ASSERT(
                slice_eq(metadata.help, remote_diff_bytes(want->metadata[metadata_count]->help)));
            metadata_count++;
            continue;
        }
        ASSERT(series_count < want->n_timeseries);
        remote_diff_series(&entry.series, want->timeseries[series_count++], arena);
    }
    ASSERT(reader.err == ERR_OK);
    ASSERT(series_count == want->n_timeseries && counts.series == series_count);
    ASSERT(metadata_count == want->n_metadata && counts.metadata == metadata_count);
    prometheus__write_request__free_unpacked(want, NULL);
    return true;
}
