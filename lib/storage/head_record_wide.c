/* SPDX-License-Identifier: Apache-2.0 */

/* Entries that are more than a time and a float (docs/formats/wal.md). They are rare and bring
 * their length, so that a body is written and read for itself. */

#include "base/assert.h"
#include "codec/wide_chunk.h"
#include "model/sample.h"
#include "storage/head_record.h"

enum {
    HISTOGRAM_RESET_BITS = 0x03,
    HISTOGRAM_IS_FLOAT = 0x04,
    HISTOGRAM_HAS_START = 0x08,
    HISTOGRAM_FLAGS_END = 0x10,
};

/* ---- writing ---- */

static void put_u64(struct buf *buf, uint64_t v)
{
    char bytes[VARINT_SIZE_MAX];

    buf_add(buf, bytes, varint_put_u64(bytes, v));
}

static void put_i64(struct buf *buf, int64_t v)
{
    put_u64(buf, varint_zigzag(v));
}

static void put_bits(struct buf *buf, uint64_t bits)
{
    char bytes[8];

    endian_put_u64be(bytes, bits);
    buf_add(buf, bytes, sizeof(bytes));
}

static void put_double(struct buf *buf, double v)
{
    put_bits(buf, sample_value_bits(v));
}

static void put_start(struct buf *body, int64_t t_ms, int64_t start_t_ms)
{
    put_i64(body, (int64_t)((uint64_t)t_ms - (uint64_t)start_t_ms));
}

void head_record_put_float_body(struct buf *body, int64_t t_ms, int64_t start_t_ms, uint64_t v_bits)
{
    put_start(body, t_ms, start_t_ms);
    put_bits(body, v_bits);
}

static void put_spans(struct buf *body, const struct histogram_span *spans, uint32_t count)
{
    put_u64(body, count);
    for (uint32_t i = 0; i < count; i++) {
        put_i64(body, spans[i].offset);
        put_u64(body, spans[i].length);
    }
}

static void put_buckets(struct buf *body, const struct histogram *h)
{
    if (h->is_float) {
        put_double(body, h->f.count);
        put_double(body, h->f.zero_count);
        for (uint32_t i = 0; i < h->positive_count; i++)
            put_double(body, h->f.positive_counts[i]);
        for (uint32_t i = 0; i < h->negative_count; i++)
            put_double(body, h->f.negative_counts[i]);
        return;
    }
    put_u64(body, h->i.count);
    put_u64(body, h->i.zero_count);
    for (uint32_t i = 0; i < h->positive_count; i++)
        put_i64(body, h->i.positive_deltas[i]);
    for (uint32_t i = 0; i < h->negative_count; i++)
        put_i64(body, h->i.negative_deltas[i]);
}

void head_record_put_histogram_body(struct buf *body, int64_t t_ms, int64_t start_t_ms,
                                    const struct histogram *h)
{
    buf_add_byte(body, (char)((unsigned)h->reset | (h->is_float ? HISTOGRAM_IS_FLOAT : 0u) |
                              (start_t_ms != 0 ? HISTOGRAM_HAS_START : 0u)));
    if (start_t_ms != 0)
        put_start(body, t_ms, start_t_ms);
    put_i64(body, h->schema);
    put_double(body, h->zero_threshold);
    put_double(body, h->sum);
    put_spans(body, h->positive_spans, h->positive_span_count);
    put_spans(body, h->negative_spans, h->negative_span_count);
    put_u64(body, h->custom_value_count);
    for (uint32_t i = 0; i < h->custom_value_count; i++)
        put_double(body, h->custom_values[i]);
    put_buckets(body, h);
}

static void put_text(struct buf *buf, struct slice text)
{
    put_u64(buf, text.len);
    buf_add_slice(buf, text);
}

void head_record_put_exemplar_body(struct buf *body, const struct exemplar *exemplar)
{
    buf_add_byte(body, (char)exemplar->has_t);
    put_double(body, exemplar->v);
    put_u64(body, exemplar->labels.count);
    for (uint32_t i = 0; i < exemplar->labels.count; i++) {
        put_text(body, exemplar->labels.items[i].name);
        put_text(body, exemplar->labels.items[i].value);
    }
}

void head_record_put_metadata_body(struct buf *body, const struct metadata *metadata)
{
    buf_add_byte(body, (char)metadata->type);
    put_text(body, metadata->metric);
    put_text(body, metadata->unit);
    put_text(body, metadata->help);
}

size_t head_record_put_wide(struct head_record_writer *writer, char *to,
                            const struct head_wide_entry *entry)
{
    const struct head_entry plain = {.ref = entry->ref, .t_ms = entry->t_ms};
    size_t size = head_record_put_entry(writer, to, &plain); /* a value of 0 takes no byte */

    to[0] = (char)((unsigned)(uint8_t)to[0] | HEAD_RECORD_WIDE | (unsigned)entry->kind);
    size += varint_put_u64(to + size, entry->body.len);
    memcpy(to + size, entry->body.data, entry->body.len);
    return size + entry->body.len;
}

/* ---- reading ---- */

bool head_record_next_wide(struct head_record_reader *reader, struct head_wide_entry *entry)
{
    struct slice rest = reader->rest;
    unsigned control;
    uint64_t len;

    if (reader->err != ERR_OK || rest.len == 0)
        return false;
    control = (uint8_t)rest.data[0];
    if ((control & HEAD_RECORD_WIDE) == 0)
        return false;
    reader->err = ERR_CORRUPT; /* unless all is well */
    if ((control & HEAD_RECORD_SIZE_BITS) >= HEAD_WIDE_KINDS ||
        !head_record_get_place(reader, control, &rest) || !varint_take_u64(&rest, &len) ||
        len > rest.len)
        return false;
    *entry =
        (struct head_wide_entry){.kind = (enum head_wide_kind)(control & HEAD_RECORD_SIZE_BITS),
                                 .ref = reader->prev.ref,
                                 .t_ms = reader->prev.t_ms,
                                 .body = slice_of(rest.data, (size_t)len)};
    reader->rest = slice_skip(rest, (size_t)len);
    reader->prev.v_bits = 0;
    reader->err = ERR_OK;
    return true;
}

static bool take_bits(struct slice *from, uint64_t *bits)
{
    if (from->len < 8)
        return false;
    *bits = endian_get_u64be(from->data);
    *from = slice_skip(*from, 8);
    return true;
}

static bool take_double(struct slice *from, double *v)
{
    uint64_t bits;

    if (!take_bits(from, &bits))
        return false;
    *v = sample_value_from_bits(bits);
    return true;
}

static bool take_start(struct slice *from, int64_t t_ms, int64_t *start_t_ms)
{
    int64_t ago_ms;

    if (!varint_take_i64(from, &ago_ms))
        return false;
    *start_t_ms = (int64_t)((uint64_t)t_ms - (uint64_t)ago_ms);
    return true;
}

enum err head_record_get_float(const struct head_wide_entry *entry, int64_t *start_t_ms,
                               uint64_t *v_bits)
{
    struct slice body = entry->body;

    ASSERT(entry->kind == HEAD_WIDE_FLOAT);
    return take_start(&body, entry->t_ms, start_t_ms) && take_bits(&body, v_bits) && body.len == 0
               ? ERR_OK
               : ERR_CORRUPT;
}

static enum err take_spans(struct slice *body, struct arena *arena,
                           const struct histogram_span **out, uint32_t *span_count,
                           uint32_t *bucket_count)
{
    struct histogram_span *spans;
    uint64_t count, sum = 0;

    if (!varint_take_u64(body, &count) || count > WIDE_CHUNK_BUCKETS_MAX || count > body->len / 2)
        return ERR_CORRUPT;
    spans = ARENA_ARRAY(arena, struct histogram_span, count);
    if (spans == NULL)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t length;
        int64_t offset;

        if (!varint_take_i64(body, &offset) || !varint_take_u64(body, &length) ||
            offset < INT32_MIN || offset > INT32_MAX || length > WIDE_CHUNK_BUCKETS_MAX)
            return ERR_CORRUPT;
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
        sum += length;
        if (sum > WIDE_CHUNK_BUCKETS_MAX)
            return ERR_CORRUPT;
    }
    *out = spans;
    *span_count = (uint32_t)count;
    *bucket_count = (uint32_t)sum;
    return ERR_OK;
}

static enum err take_customs(struct slice *body, struct arena *arena, struct histogram *h)
{
    double *bounds;
    uint64_t count;

    if (!varint_take_u64(body, &count) || count > WIDE_CHUNK_BUCKETS_MAX || count > body->len / 8)
        return ERR_CORRUPT;
    bounds = ARENA_ARRAY(arena, double, count);
    if (bounds == NULL)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++)
        if (!take_double(body, &bounds[i]))
            return ERR_CORRUPT;
    h->custom_values = bounds;
    h->custom_value_count = (uint32_t)count;
    return ERR_OK;
}

static bool take_floats(struct slice *body, struct histogram *h, double *to)
{
    if (!take_double(body, &h->f.count) || !take_double(body, &h->f.zero_count))
        return false;
    for (uint32_t i = 0; i < h->positive_count + h->negative_count; i++)
        if (!take_double(body, &to[i]))
            return false;
    h->f.positive_counts = to;
    h->f.negative_counts = to + h->positive_count;
    return true;
}

static bool take_ints(struct slice *body, struct histogram *h, int64_t *to)
{
    if (!varint_take_u64(body, &h->i.count) || !varint_take_u64(body, &h->i.zero_count))
        return false;
    for (uint32_t i = 0; i < h->positive_count + h->negative_count; i++)
        if (!varint_take_i64(body, &to[i]))
            return false;
    h->i.positive_deltas = to;
    h->i.negative_deltas = to + h->positive_count;
    return true;
}

static enum err take_histogram(struct slice *body, struct arena *arena, struct histogram *h)
{
    uint32_t buckets;
    int64_t schema;
    enum err err;
    void *to;

    if (!varint_take_i64(body, &schema) || schema < INT8_MIN || schema > INT8_MAX ||
        !take_double(body, &h->zero_threshold) || !take_double(body, &h->sum))
        return ERR_CORRUPT;
    h->schema = (int32_t)schema;
    err = take_spans(body, arena, &h->positive_spans, &h->positive_span_count, &h->positive_count);
    if (err == ERR_OK)
        err = take_spans(body, arena, &h->negative_spans, &h->negative_span_count,
                         &h->negative_count);
    if (err == ERR_OK)
        err = take_customs(body, arena, h);
    if (err != ERR_OK)
        return err;
    buckets = h->positive_count + h->negative_count;
    if (buckets > body->len) /* a byte each at least */
        return ERR_CORRUPT;
    to = arena_alloc(arena, buckets * sizeof(uint64_t));
    if (to == NULL)
        return ERR_LIMIT;
    return (h->is_float ? take_floats(body, h, to) : take_ints(body, h, to)) && body->len == 0
               ? ERR_OK
               : ERR_CORRUPT;
}

enum err head_record_get_histogram(const struct head_wide_entry *entry, struct arena *arena,
                                   struct head_record_histogram *out)
{
    struct slice body = entry->body;
    unsigned flags;

    ASSERT(entry->kind == HEAD_WIDE_HISTOGRAM);
    *out = (struct head_record_histogram){0};
    if (body.len == 0)
        return ERR_CORRUPT;
    flags = (uint8_t)body.data[0];
    body = slice_skip(body, 1);
    if (flags >= HISTOGRAM_FLAGS_END)
        return ERR_CORRUPT;
    if ((flags & HISTOGRAM_HAS_START) != 0 && !take_start(&body, entry->t_ms, &out->start_t_ms))
        return ERR_CORRUPT;
    out->content = body;
    out->histogram.reset = (enum histogram_reset)(flags & HISTOGRAM_RESET_BITS);
    out->histogram.is_float = (flags & HISTOGRAM_IS_FLOAT) != 0;
    return take_histogram(&body, arena, &out->histogram);
}

static bool take_text(struct slice *from, struct slice *text)
{
    uint64_t len;

    if (!varint_take_u64(from, &len) || len > from->len)
        return false;
    *text = slice_of(from->data, (size_t)len);
    *from = slice_skip(*from, (size_t)len);
    return true;
}

enum err head_record_get_exemplar(const struct head_wide_entry *entry, struct arena *arena,
                                  struct exemplar *exemplar)
{
    struct slice body = entry->body;
    struct label *items;
    uint64_t count;

    ASSERT(entry->kind == HEAD_WIDE_EXEMPLAR);
    if (body.len == 0 || (uint8_t)body.data[0] > 1)
        return ERR_CORRUPT;
    *exemplar = (struct exemplar){.t_ms = entry->t_ms, .has_t = body.data[0] != 0};
    body = slice_skip(body, 1);
    if (!take_double(&body, &exemplar->v) || !varint_take_u64(&body, &count) ||
        count > HEAD_RECORD_EXEMPLAR_LABELS_MAX || count > body.len / 2)
        return ERR_CORRUPT;
    items = ARENA_ARRAY(arena, struct label, count);
    if (items == NULL)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++)
        if (!take_text(&body, &items[i].name) || !take_text(&body, &items[i].value))
            return ERR_CORRUPT;
    exemplar->labels = (struct label_set){items, (uint32_t)count};
    return body.len == 0 ? ERR_OK : ERR_CORRUPT;
}

enum err head_record_get_metadata(const struct head_wide_entry *entry, struct metadata *metadata)
{
    struct slice body = entry->body;

    ASSERT(entry->kind == HEAD_WIDE_METADATA);
    if (body.len == 0 || (uint8_t)body.data[0] > METRIC_TYPE_STATESET)
        return ERR_CORRUPT;
    metadata->type = (enum metric_type)(uint8_t)body.data[0];
    body = slice_skip(body, 1);
    return take_text(&body, &metadata->metric) && take_text(&body, &metadata->unit) &&
                   take_text(&body, &metadata->help) && body.len == 0 && metadata->metric.len > 0
               ? ERR_OK
               : ERR_CORRUPT;
}
