/* SPDX-License-Identifier: Apache-2.0 */

/* The writing half of remote write 1.0. Fields of value zero are left out, as Go's encoder does. */
#include "codec/remote_write.h"

#include "codec/wire_internal.h"

static void remote_put_labels(struct buf *out, struct label_set labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        const size_t mark = wire_begin(out, 1);

        wire_put_bytes(out, 1, labels.items[i].name);
        wire_put_bytes(out, 2, labels.items[i].value);
        wire_end(out, mark);
    }
}

static void remote_put_value(struct buf *out, uint32_t number, double v)
{
    if (sample_value_bits(v) != 0)
        wire_put_double(out, number, v);
}

static void remote_put_sample(struct buf *out, const struct sample *sample)
{
    const size_t mark = wire_begin(out, 2);

    remote_put_value(out, 1, sample->v);
    if (sample->t_ms != 0)
        wire_put_uint(out, 2, (uint64_t)sample->t_ms);
    wire_end(out, mark);
}

static void remote_put_spans(struct buf *out, uint32_t number, const struct histogram_span *spans,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const size_t mark = wire_begin(out, number);

        wire_put_sint(out, 1, spans[i].offset);
        wire_put_uint(out, 2, spans[i].length);
        wire_end(out, mark);
    }
}

static void remote_put_deltas(struct buf *out, uint32_t number, const int64_t *deltas,
                              uint32_t count)
{
    size_t mark;

    if (count == 0)
        return;
    mark = wire_begin(out, number);
    for (uint32_t i = 0; i < count; i++)
        wire_put_varint(out, varint_zigzag(deltas[i]));
    wire_end(out, mark);
}

static void remote_put_doubles(struct buf *out, uint32_t number, const double *values,
                               uint32_t count)
{
    uint8_t bytes[8];
    size_t mark;

    if (count == 0)
        return;
    mark = wire_begin(out, number);
    for (uint32_t i = 0; i < count; i++) {
        endian_put_u64le(bytes, sample_value_bits(values[i]));
        buf_add(out, bytes, sizeof(bytes));
    }
    wire_end(out, mark);
}

void remote_write_histogram_message(struct buf *out, const struct remote_write_histogram *histogram)
{
    const struct histogram *h = &histogram->h;

    /* The count is a oneof: it is there even when zero, and tells integer from float. */
    if (h->is_float)
        wire_put_double(out, 2, h->f.count);
    else
        wire_put_uint(out, 1, h->i.count);
    remote_put_value(out, 3, h->sum);
    if (h->schema != 0)
        wire_put_sint(out, 4, h->schema);
    remote_put_value(out, 5, h->zero_threshold);
    if (h->is_float)
        wire_put_double(out, 7, h->f.zero_count);
    else
        wire_put_uint(out, 6, h->i.zero_count);
    remote_put_spans(out, 8, h->negative_spans, h->negative_span_count);
    if (h->is_float)
        remote_put_doubles(out, 10, h->f.negative_counts, h->negative_count);
    else
        remote_put_deltas(out, 9, h->i.negative_deltas, h->negative_count);
    remote_put_spans(out, 11, h->positive_spans, h->positive_span_count);
    if (h->is_float)
        remote_put_doubles(out, 13, h->f.positive_counts, h->positive_count);
    else
        remote_put_deltas(out, 12, h->i.positive_deltas, h->positive_count);
    if (h->reset != HISTOGRAM_RESET_UNKNOWN)
        wire_put_uint(out, 14, (uint64_t)h->reset);
    if (histogram->t_ms != 0)
        wire_put_uint(out, 15, (uint64_t)histogram->t_ms);
    remote_put_doubles(out, 16, h->custom_values, h->custom_value_count);
}

void remote_write_exemplar_message(struct buf *out, const struct exemplar *exemplar)
{
    remote_put_labels(out, exemplar->labels);
    remote_put_value(out, 2, exemplar->v);
    if (exemplar->has_t)
        wire_put_uint(out, 3, (uint64_t)exemplar->t_ms);
}

void remote_write_metadata_message(struct buf *out, const struct metadata *metadata)
{
    if (metadata->type != METRIC_TYPE_UNKNOWN)
        wire_put_uint(out, 1, (uint64_t)metadata->type);
    if (metadata->metric.len != 0)
        wire_put_bytes(out, 2, metadata->metric);
    if (metadata->help.len != 0)
        wire_put_bytes(out, 4, metadata->help);
    if (metadata->unit.len != 0)
        wire_put_bytes(out, 5, metadata->unit);
}

void remote_write_put_series(struct buf *out, const struct remote_write_series_out *series)
{
    const size_t mark = wire_begin(out, 1);

    remote_put_labels(out, series->labels);
    for (uint32_t i = 0; i < series->sample_count; i++)
        remote_put_sample(out, &series->samples[i]);
    for (uint32_t i = 0; i < series->exemplar_count; i++) {
        const size_t inner = wire_begin(out, 3);

        remote_write_exemplar_message(out, &series->exemplars[i]);
        wire_end(out, inner);
    }
    for (uint32_t i = 0; i < series->exemplar_message_count; i++)
        wire_put_bytes(out, 3, series->exemplar_messages[i]);
    for (uint32_t i = 0; i < series->histogram_count; i++) {
        const size_t inner = wire_begin(out, 4);

        remote_write_histogram_message(out, &series->histograms[i]);
        wire_end(out, inner);
    }
    for (uint32_t i = 0; i < series->histogram_message_count; i++)
        wire_put_bytes(out, 4, series->histogram_messages[i]);
    wire_end(out, mark);
}

void remote_write_put_metadata(struct buf *out, const struct metadata *metadata)
{
    const size_t mark = wire_begin(out, 3);

    remote_write_metadata_message(out, metadata);
    wire_end(out, mark);
}

void remote_write_put_metadata_message(struct buf *out, struct slice message)
{
    wire_put_bytes(out, 3, message);
}
