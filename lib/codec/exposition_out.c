/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/exposition_out.h"

#include <math.h>

#include "base/assert.h"
#include "base/number.h"
#include "base/utf8.h"
#include "codec/wire_internal.h"
#include "model/histogram_iter.h"

/* Field numbers of io.prometheus.client.MetricFamily and what it holds. */
enum {
    FAMILY_NAME = 1,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    METRIC_LABEL = 1,
    METRIC_UNTYPED = 5,
    METRIC_TIMESTAMP = 6,
    METRIC_HISTOGRAM = 7,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    UNTYPED_VALUE = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_COUNT_FLOAT = 4,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT_FLOAT = 8,
    HISTOGRAM_NEGATIVE_SPAN = 9,
    HISTOGRAM_NEGATIVE_COUNT = 11,
    HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_COUNT = 14,
    BUCKET_UPPER_BOUND = 2,
    BUCKET_COUNT_FLOAT = 4,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
};

enum { MESSAGE_SIZE_MAX = 256 << 20 };

void exposition_out_init(struct exposition_out *exposition, const struct exposition_format *format,
                         struct buf *out)
{
    *exposition = (struct exposition_out){.format = *format, .out = out};
    buf_init(&exposition->message, MESSAGE_SIZE_MAX);
}

void exposition_out_fini(struct exposition_out *exposition)
{
    buf_fini(&exposition->message);
}

/* ---- names ---- */

static bool rune_is_legacy(uint32_t rune, bool is_first)
{
    return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune == '_' ||
           rune == ':' || (rune >= '0' && rune <= '9' && !is_first);
}

static void escape_rune(struct buf *out, enum exposition_escaping escaping, uint32_t rune,
                        bool is_first)
{
    const bool is_legacy = rune_is_legacy(rune, is_first);

    if (escaping == EXPOSITION_UNDERSCORES)
        buf_add_byte(out, is_legacy ? (char)rune : '_');
    else if (rune == '_')
        buf_add(out, "__", 2);
    else if (is_legacy)
        buf_add_byte(out, (char)rune);
    else if (escaping == EXPOSITION_VALUES)
        buf_printf(out, "_%x_", (unsigned)rune);
    else
        buf_add_cstr(out, rune == '.' ? "_dot_" : "__");
}

/* A name as the reader can take it, not quoted. */
static void put_name(struct buf *out, enum exposition_escaping escaping, struct slice name)
{
    bool is_first = true;
    uint32_t rune;

    if (escaping == EXPOSITION_UTF8 || label_metric_name_is_legacy(name)) {
        buf_add_slice(out, name);
        return;
    }
    if (escaping == EXPOSITION_VALUES)
        buf_add_cstr(out, "U__");
    while (name.len > 0) {
        name = slice_skip(name, utf8_decode(name, &rune));
        escape_rune(out, escaping, rune, is_first);
        is_first = false;
    }
}

/* ---- text ---- */

static void put_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '\\':
            buf_add(out, "\\\\", 2);
            break;
        case '\n':
            buf_add(out, "\\n", 2);
            break;
        case '"':
            buf_add(out, "\\\"", 2);
            break;
        default:
            buf_add_byte(out, text.data[i]);
            break;
        }
    }
}

/* Quoted where the format of old could not have it. */
static void put_text_name(struct exposition_out *exposition, struct slice name)
{
    struct buf *out = exposition->out;

    if (exposition->format.escaping != EXPOSITION_UTF8 || label_metric_name_is_legacy(name)) {
        put_name(out, exposition->format.escaping, name);
        return;
    }
    buf_add_byte(out, '"');
    put_escaped(out, name);
    buf_add_byte(out, '"');
}

static void put_text_value(struct buf *out, double v)
{
    number_add_double(out, v == 0 ? 0 : v, NUMBER_G); /* no zero has a sign here */
}

/* A line: the name with a suffix, the labels, perhaps le, value and time. */
static void put_line(struct exposition_out *exposition, const struct exposition_sample *sample,
                     const char *suffix, const double *le, double v)
{
    const bool is_quoted = exposition->format.escaping == EXPOSITION_UTF8 &&
                           !label_metric_name_is_legacy(sample->name);
    struct buf *out = exposition->out;
    const char *separator = "{";

    if (is_quoted) {
        buf_add(out, "{\"", 2);
        put_escaped(out, sample->name);
        buf_add_cstr(out, suffix);
        buf_add_byte(out, '"');
        separator = ",";
    } else {
        put_name(out, exposition->format.escaping, sample->name);
        buf_add_cstr(out, suffix);
    }
    for (uint32_t i = 0; i < sample->label_count; i++) {
        buf_add_cstr(out, separator);
        put_text_name(exposition, sample->labels[i].name);
        buf_add(out, "=\"", 2);
        put_escaped(out, sample->labels[i].value);
        buf_add_byte(out, '"');
        separator = ",";
    }
    if (le != NULL) {
        buf_printf(out, "%sle=\"", separator);
        put_text_value(out, *le);
        buf_add_byte(out, '"');
        separator = ",";
    }
    if (separator[0] == ',')
        buf_add_byte(out, '}');
    buf_add_byte(out, ' ');
    put_text_value(out, v);
    buf_add_byte(out, ' ');
    number_add_int64(out, sample->t_ms);
    buf_add_byte(out, '\n');
}

/* ---- histograms with custom bounds as classic ones ---- */

/* Gives the bounds one after the other with the count of all buckets up to each. */
struct classic_iter {
    const struct histogram *h;
    struct histogram_walk walk;
    bool has_bucket;
    uint32_t next;
    double upper_bound, count;
};

static void classic_init(struct classic_iter *it, const struct histogram *h)
{
    *it = (struct classic_iter){.h = h};
    histogram_walk_init(&it->walk, h, false);
    it->has_bucket = histogram_walk_next(&it->walk);
}

static bool classic_next(struct classic_iter *it)
{
    if (it->next == it->h->custom_value_count)
        return false;
    while (it->has_bucket && it->walk.index < (int64_t)it->next)
        it->has_bucket = histogram_walk_next(&it->walk);
    if (it->has_bucket && it->walk.index == (int64_t)it->next)
        it->count += it->walk.count;
    it->upper_bound = it->h->custom_values[it->next++];
    return true;
}

static void put_text_histogram(struct exposition_out *exposition,
                               const struct exposition_sample *sample)
{
    const struct histogram *h = sample->histogram;
    const double inf = (double)INFINITY;
    struct classic_iter it;
    bool has_inf = false;

    classic_init(&it, h);
    while (classic_next(&it)) {
        put_line(exposition, sample, "_bucket", &it.upper_bound, it.count);
        has_inf |= isinf(it.upper_bound) && it.upper_bound > 0;
    }
    if (!has_inf)
        put_line(exposition, sample, "_bucket", &inf, h->f.count);
    put_line(exposition, sample, "_sum", NULL, h->sum);
    put_line(exposition, sample, "_count", NULL, h->f.count);
}

/* ---- protobuf; proto2: what is set is written, zero or not ---- */

static void put_spans(struct buf *out, uint32_t number, const struct histogram_span *spans,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const size_t mark = wire_begin(out, number);

        wire_put_sint(out, SPAN_OFFSET, spans[i].offset);
        wire_put_uint(out, SPAN_LENGTH, spans[i].length);
        wire_end(out, mark);
    }
}

static void put_counts(struct buf *out, uint32_t number, const double *counts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        wire_put_double(out, number, counts[i]);
}

static void put_classic(struct buf *out, const struct histogram *h)
{
    struct classic_iter it;

    wire_put_double(out, HISTOGRAM_SUM, h->sum);
    classic_init(&it, h);
    while (classic_next(&it)) {
        const size_t mark = wire_begin(out, HISTOGRAM_BUCKET);

        wire_put_double(out, BUCKET_UPPER_BOUND, it.upper_bound);
        wire_put_double(out, BUCKET_COUNT_FLOAT, it.count);
        wire_end(out, mark);
    }
    wire_put_double(out, HISTOGRAM_COUNT_FLOAT, h->f.count);
}

static void put_native(struct buf *out, const struct histogram *h)
{
    wire_put_double(out, HISTOGRAM_SUM, h->sum);
    wire_put_double(out, HISTOGRAM_COUNT_FLOAT, h->f.count);
    wire_put_sint(out, HISTOGRAM_SCHEMA, h->schema);
    wire_put_double(out, HISTOGRAM_ZERO_THRESHOLD, h->zero_threshold);
    wire_put_double(out, HISTOGRAM_ZERO_COUNT_FLOAT, h->f.zero_count);
    put_spans(out, HISTOGRAM_NEGATIVE_SPAN, h->negative_spans, h->negative_span_count);
    put_counts(out, HISTOGRAM_NEGATIVE_COUNT, h->f.negative_counts, h->negative_count);
    put_spans(out, HISTOGRAM_POSITIVE_SPAN, h->positive_spans, h->positive_span_count);
    put_counts(out, HISTOGRAM_POSITIVE_COUNT, h->f.positive_counts, h->positive_count);
}

static void put_proto_name(struct exposition_out *exposition, uint32_t number, struct slice name)
{
    const size_t mark = wire_begin(&exposition->message, number);

    put_name(&exposition->message, exposition->format.escaping, name);
    wire_end(&exposition->message, mark);
}

static void put_metric(struct exposition_out *exposition, const struct exposition_sample *sample)
{
    struct buf *out = &exposition->message;
    const size_t mark = wire_begin(out, FAMILY_METRIC);
    size_t inner;

    for (uint32_t i = 0; i < sample->label_count; i++) {
        inner = wire_begin(out, METRIC_LABEL);
        put_proto_name(exposition, LABEL_NAME, sample->labels[i].name);
        wire_put_bytes(out, LABEL_VALUE, sample->labels[i].value);
        wire_end(out, inner);
    }
    if (sample->histogram == NULL) {
        inner = wire_begin(out, METRIC_UNTYPED);
        wire_put_double(out, UNTYPED_VALUE, sample->v);
        wire_end(out, inner);
    }
    wire_put_uint(out, METRIC_TIMESTAMP, (uint64_t)sample->t_ms);
    if (sample->histogram != NULL) {
        inner = wire_begin(out, METRIC_HISTOGRAM);
        if (sample->histogram->schema == HISTOGRAM_SCHEMA_CUSTOM)
            put_classic(out, sample->histogram);
        else
            put_native(out, sample->histogram);
        wire_end(out, inner);
    }
    wire_end(out, mark);
}

/* ---- families ---- */

void exposition_out_finish(struct exposition_out *exposition)
{
    struct buf *message = &exposition->message;

    if (exposition->format.is_protobuf && exposition->kind != EXPOSITION_NO_FAMILY) {
        wire_put_varint(exposition->out, message->len);
        buf_add_slice(exposition->out, buf_slice(message));
        if (message->err != ERR_OK)
            exposition->out->err = message->err;
        buf_reset(message);
    }
    exposition->kind = EXPOSITION_NO_FAMILY;
}

static void begin_family(struct exposition_out *exposition, enum exposition_family kind,
                         struct slice name)
{
    exposition_out_finish(exposition);
    exposition->kind = kind;
    exposition->name = name;
    if (exposition->format.is_protobuf) {
        put_proto_name(exposition, FAMILY_NAME, name);
        wire_put_uint(&exposition->message, FAMILY_TYPE, (uint64_t)kind);
        return;
    }
    buf_add_cstr(exposition->out, "# TYPE ");
    put_text_name(exposition, name);
    buf_add_cstr(exposition->out, kind == EXPOSITION_UNTYPED ? " untyped\n" : " histogram\n");
}

bool exposition_out_sample(struct exposition_out *exposition,
                           const struct exposition_sample *sample)
{
    const struct histogram *h = sample->histogram;
    enum exposition_family kind = EXPOSITION_UNTYPED;

    ASSERT(h == NULL || h->is_float);
    if (h != NULL) {
        if (!exposition->format.is_protobuf && h->schema != HISTOGRAM_SCHEMA_CUSTOM)
            return false;
        kind = h->reset == HISTOGRAM_GAUGE ? EXPOSITION_GAUGE_HISTOGRAM : EXPOSITION_HISTOGRAM;
    }
    if (kind != exposition->kind || !slice_eq(sample->name, exposition->name))
        begin_family(exposition, kind, sample->name);
    if (exposition->format.is_protobuf)
        put_metric(exposition, sample);
    else if (h == NULL)
        put_line(exposition, sample, "", NULL, sample->v);
    else
        put_text_histogram(exposition, sample);
    return true;
}
