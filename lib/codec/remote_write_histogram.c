/* SPDX-License-Identifier: Apache-2.0 */

/* Native histograms and exemplars of remote write, decoded into model types. Repeated numbers come
 * packed, one by one, or both: a first pass counts them, a second fills arrays of that size. */
#include "codec/remote_write.h"

#include "base/varint.h"
#include "codec/wire_internal.h"

enum {
    EXEMPLAR_LABELS = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIMESTAMP = 3,
    HISTOGRAM_COUNT_INT = 1,
    HISTOGRAM_COUNT_FLOAT = 2,
    HISTOGRAM_SUM = 3,
    HISTOGRAM_SCHEMA = 4,
    HISTOGRAM_ZERO_THRESHOLD = 5,
    HISTOGRAM_ZERO_INT = 6,
    HISTOGRAM_ZERO_FLOAT = 7,
    HISTOGRAM_NEGATIVE_SPANS = 8,
    HISTOGRAM_NEGATIVE_DELTAS = 9,
    HISTOGRAM_NEGATIVE_COUNTS = 10,
    HISTOGRAM_POSITIVE_SPANS = 11,
    HISTOGRAM_POSITIVE_DELTAS = 12,
    HISTOGRAM_POSITIVE_COUNTS = 13,
    HISTOGRAM_RESET_HINT = 14,
    HISTOGRAM_TIMESTAMP = 15,
    HISTOGRAM_CUSTOM_VALUES = 16,
    HISTOGRAM_START_TIMESTAMP = 17, /* 2.0 */
    HISTOGRAM_FIELD_COUNT,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
};

/* The type of each field when it comes alone; repeated numbers may also come as WIRE_BYTES. */
static const uint8_t histogram_types[HISTOGRAM_FIELD_COUNT] = {
    [HISTOGRAM_COUNT_INT] = WIRE_VARINT,
    [HISTOGRAM_COUNT_FLOAT] = WIRE_FIXED64,
    [HISTOGRAM_SUM] = WIRE_FIXED64,
    [HISTOGRAM_SCHEMA] = WIRE_VARINT,
    [HISTOGRAM_ZERO_THRESHOLD] = WIRE_FIXED64,
    [HISTOGRAM_ZERO_INT] = WIRE_VARINT,
    [HISTOGRAM_ZERO_FLOAT] = WIRE_FIXED64,
    [HISTOGRAM_NEGATIVE_SPANS] = WIRE_BYTES,
    [HISTOGRAM_NEGATIVE_DELTAS] = WIRE_VARINT,
    [HISTOGRAM_NEGATIVE_COUNTS] = WIRE_FIXED64,
    [HISTOGRAM_POSITIVE_SPANS] = WIRE_BYTES,
    [HISTOGRAM_POSITIVE_DELTAS] = WIRE_VARINT,
    [HISTOGRAM_POSITIVE_COUNTS] = WIRE_FIXED64,
    [HISTOGRAM_RESET_HINT] = WIRE_VARINT,
    [HISTOGRAM_TIMESTAMP] = WIRE_VARINT,
    [HISTOGRAM_CUSTOM_VALUES] = WIRE_FIXED64,
    [HISTOGRAM_START_TIMESTAMP] = WIRE_VARINT,
};

/* The repeated fields of one histogram: how many were counted, where they go. */
struct histogram_arrays {
    uint32_t counts[HISTOGRAM_FIELD_COUNT];
    void *items[HISTOGRAM_FIELD_COUNT];
    uint32_t filled[HISTOGRAM_FIELD_COUNT];
};

static bool histogram_is_repeated(uint32_t number)
{
    return (number >= HISTOGRAM_NEGATIVE_SPANS && number <= HISTOGRAM_POSITIVE_COUNTS) ||
           number == HISTOGRAM_CUSTOM_VALUES;
}

static bool histogram_is_spans(uint32_t number)
{
    return number == HISTOGRAM_NEGATIVE_SPANS || number == HISTOGRAM_POSITIVE_SPANS;
}

static size_t histogram_count_varints(struct slice bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes.len; i++)
        count += (bytes.data[i] & 0x80) == 0;
    return count;
}

/* How many numbers a field adds to its array. false: of a type that it cannot have. */
static bool histogram_field_count(const struct wire_field *field, size_t *count)
{
    const enum wire_type type = (enum wire_type)histogram_types[field->number];

    *count = 1;
    if (field->type == type)
        return true;
    if (field->type != WIRE_BYTES || !histogram_is_repeated(field->number))
        return false;
    if (type == WIRE_VARINT) {
        *count = histogram_count_varints(field->bytes);
        return true;
    }
    *count = field->bytes.len / 8;
    return field->bytes.len % 8 == 0;
}

static enum err histogram_count_fields(struct slice message, uint32_t max,
                                       struct histogram_arrays *arrays)
{
    struct wire_reader r;
    struct wire_field field;
    size_t count;

    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number >= HISTOGRAM_FIELD_COUNT)
            continue;
        if (!histogram_field_count(&field, &count))
            return ERR_BAD_INPUT;
        if (!histogram_is_repeated(field.number))
            continue;
        if (count > UINT32_MAX - arrays->counts[field.number])
            return ERR_LIMIT;
        arrays->counts[field.number] += (uint32_t)count;
        if (max != 0 && arrays->counts[field.number] > max)
            return ERR_LIMIT;
    }
    return r.bad ? ERR_BAD_INPUT : ERR_OK;
}

static enum err histogram_span(struct slice message, struct histogram_span *span)
{
    struct wire_reader r;
    struct wire_field field;

    *span = (struct histogram_span){0, 0};
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number != SPAN_OFFSET && field.number != SPAN_LENGTH)
            continue;
        if (field.type != WIRE_VARINT)
            return ERR_BAD_INPUT;
        if (field.number == SPAN_OFFSET)
            span->offset = (int32_t)varint_unzigzag((uint32_t)field.value);
        else
            span->length = (uint32_t)field.value;
    }
    return r.bad ? ERR_BAD_INPUT : ERR_OK;
}

static void histogram_put_raw(struct histogram_arrays *arrays, uint32_t number, uint64_t raw)
{
    const uint32_t at = arrays->filled[number]++;

    ASSERT(at < arrays->counts[number]);
    if (histogram_types[number] == WIRE_VARINT)
        ((int64_t *)arrays->items[number])[at] = varint_unzigzag(raw);
    else
        ((double *)arrays->items[number])[at] = sample_value_from_bits(raw);
}

static enum err histogram_fill_repeated(struct histogram_arrays *arrays,
                                        const struct wire_field *field)
{
    const uint32_t number = field->number;
    struct slice rest = field->bytes;
    uint64_t raw;

    if (histogram_is_spans(number)) {
        struct histogram_span *spans = arrays->items[number];

        return histogram_span(field->bytes, &spans[arrays->filled[number]++]);
    }
    if (field->type != WIRE_BYTES) {
        histogram_put_raw(arrays, number, field->value);
        return ERR_OK;
    }
    while (rest.len != 0) {
        if (histogram_types[number] == WIRE_FIXED64) {
            raw = endian_get_u64le(rest.data);
            rest = slice_skip(rest, 8);
        } else if (!varint_take_u64(&rest, &raw)) {
            return ERR_BAD_INPUT;
        }
        histogram_put_raw(arrays, number, raw);
    }
    return ERR_OK;
}

/* The single fields. Of the two counts the one that comes last says whether it is a float. */
static void histogram_fill_single(struct remote_write_histogram *out,
                                  const struct wire_field *field)
{
    struct histogram *h = &out->h;

    switch (field->number) {
    case HISTOGRAM_COUNT_INT:
        h->is_float = false;
        h->i.count = field->value;
        break;
    case HISTOGRAM_COUNT_FLOAT:
        h->is_float = true;
        h->f.count = sample_value_from_bits(field->value);
        break;
    case HISTOGRAM_SUM:
        h->sum = sample_value_from_bits(field->value);
        break;
    case HISTOGRAM_SCHEMA:
        h->schema = (int32_t)varint_unzigzag((uint32_t)field->value);
        break;
    case HISTOGRAM_ZERO_THRESHOLD:
        h->zero_threshold = sample_value_from_bits(field->value);
        break;
    case HISTOGRAM_RESET_HINT:
        h->reset = (uint32_t)field->value <= HISTOGRAM_GAUGE
                       ? (enum histogram_reset)(uint32_t)field->value
                       : HISTOGRAM_RESET_UNKNOWN;
        break;
    case HISTOGRAM_TIMESTAMP:
        out->t_ms = (int64_t)field->value;
        break;
    case HISTOGRAM_START_TIMESTAMP:
        out->start_t_ms = (int64_t)field->value;
        break;
    default:
        break;
    }
}

static enum err histogram_fill(struct slice message, struct histogram_arrays *arrays,
                               struct remote_write_histogram *out)
{
    struct wire_reader r;
    struct wire_field field;
    uint64_t zero_int = 0, zero_float = 0;

    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number >= HISTOGRAM_FIELD_COUNT)
            continue;
        if (histogram_is_repeated(field.number)) {
            const enum err err = histogram_fill_repeated(arrays, &field);

            if (err != ERR_OK)
                return err;
        } else if (field.number == HISTOGRAM_ZERO_INT) {
            zero_int = field.value;
        } else if (field.number == HISTOGRAM_ZERO_FLOAT) {
            zero_float = field.value;
        } else {
            histogram_fill_single(out, &field);
        }
    }
    if (out->h.is_float)
        out->h.f.zero_count = sample_value_from_bits(zero_float);
    else
        out->h.i.zero_count = zero_int;
    return ERR_OK;
}

static void histogram_take_arrays(struct histogram *h, const struct histogram_arrays *arrays)
{
    h->negative_spans = arrays->items[HISTOGRAM_NEGATIVE_SPANS];
    h->negative_span_count = arrays->counts[HISTOGRAM_NEGATIVE_SPANS];
    h->positive_spans = arrays->items[HISTOGRAM_POSITIVE_SPANS];
    h->positive_span_count = arrays->counts[HISTOGRAM_POSITIVE_SPANS];
    h->custom_values = arrays->items[HISTOGRAM_CUSTOM_VALUES];
    h->custom_value_count = arrays->counts[HISTOGRAM_CUSTOM_VALUES];
    if (h->is_float) {
        h->f.negative_counts = arrays->items[HISTOGRAM_NEGATIVE_COUNTS];
        h->negative_count = arrays->counts[HISTOGRAM_NEGATIVE_COUNTS];
        h->f.positive_counts = arrays->items[HISTOGRAM_POSITIVE_COUNTS];
        h->positive_count = arrays->counts[HISTOGRAM_POSITIVE_COUNTS];
    } else {
        h->i.negative_deltas = arrays->items[HISTOGRAM_NEGATIVE_DELTAS];
        h->negative_count = arrays->counts[HISTOGRAM_NEGATIVE_DELTAS];
        h->i.positive_deltas = arrays->items[HISTOGRAM_POSITIVE_DELTAS];
        h->positive_count = arrays->counts[HISTOGRAM_POSITIVE_DELTAS];
    }
}

enum err remote_write_histogram(struct slice message, uint32_t bucket_count_max,
                                struct arena *arena, struct remote_write_histogram *histogram,
                                struct err_info *info)
{
    struct histogram_arrays arrays = {0};
    struct remote_write_histogram out = {0};
    enum err err = histogram_count_fields(message, bucket_count_max, &arrays);

    if (err == ERR_LIMIT)
        return err_set(info, err, "native histogram has more than %u buckets", bucket_count_max);
    for (uint32_t i = 0; i < HISTOGRAM_FIELD_COUNT && err == ERR_OK; i++) {
        if (arrays.counts[i] == 0)
            continue;
        arrays.items[i] = arena_zalloc(arena, arrays.counts[i], sizeof(uint64_t));
        if (arrays.items[i] == NULL)
            return err_set(info, ERR_LIMIT, "no memory for a native histogram");
    }
    if (err == ERR_OK)
        err = histogram_fill(message, &arrays, &out);
    if (err != ERR_OK)
        return err_set(info, err, "remote write: malformed protobuf in a histogram");
    histogram_take_arrays(&out.h, &arrays);
    *histogram = out;
    return ERR_OK;
}

enum err remote_write_exemplar(struct slice message, struct arena *arena, struct exemplar *exemplar,
                               struct err_info *info)
{
    struct exemplar read = {.has_t = false};
    /* Its labels are field 1, as those of a series. */
    struct remote_write_series labels = {.labels_raw = message};
    struct wire_reader r;
    struct wire_field field;
    enum err err;

    STATIC_ASSERT(EXEMPLAR_LABELS == 1, "the number of a series' label field");
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number == EXEMPLAR_LABELS) {
            labels.label_count++;
        } else if (field.number == EXEMPLAR_VALUE && field.type == WIRE_FIXED64) {
            read.v = sample_value_from_bits(field.value);
        } else if (field.number == EXEMPLAR_TIMESTAMP && field.type == WIRE_VARINT) {
            read.t_ms = (int64_t)field.value;
            read.has_t = true;
        } else if (field.number <= EXEMPLAR_TIMESTAMP) {
            return err_set(info, ERR_BAD_INPUT, "remote write: malformed protobuf in an exemplar");
        }
    }
    if (r.bad)
        return err_set(info, ERR_BAD_INPUT, "remote write: malformed protobuf in an exemplar");
    err = remote_write_labels(&labels, arena, LABEL_SCHEME_UTF8, &read.labels, info);
    if (err == ERR_OK)
        *exemplar = read;
    return err;
}
