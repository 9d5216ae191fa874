/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_chunk.h"

#include <math.h>

#include "promtsdb/prom_varbit_internal.h"

enum {
    HEADER_SIZE = 3,
    NO_WINDOW = 0xff,
    SPAN_BITS_MIN = 2,
    LEADING_BITS = 5,
    SIGNIFICANT_BITS = 6, /* 64 is written as 0 */
    THRESHOLD_RAW = 255,
    THRESHOLD_BIAS = 243,
};

static const uint8_t resets[] = {HISTOGRAM_RESET_UNKNOWN, HISTOGRAM_RESET_NO, HISTOGRAM_RESET_YES,
                                 HISTOGRAM_GAUGE};

static uint32_t bits_left(const struct bit_reader *r)
{
    return r->bit_count - r->bit;
}

static void fail(struct prom_chunk_iter *iter, enum err err)
{
    if (iter->err == ERR_OK)
        iter->err = err;
}

void prom_chunk_iter_init(struct prom_chunk_iter *iter, struct prom_chunk chunk,
                          struct arena *arena)
{
    const struct slice data = chunk.data;

    *iter = (struct prom_chunk_iter){.encoding = chunk.encoding, .arena = arena};
    if (chunk.encoding == PROM_CHUNK_XOR) {
        xor_iter_init(&iter->floats, data);
        iter->err = iter->floats.err;
        return;
    }
    if (chunk.encoding != PROM_CHUNK_HISTOGRAM && chunk.encoding != PROM_CHUNK_FLOAT_HISTOGRAM) {
        iter->err = ERR_UNSUPPORTED;
        return;
    }
    if (data.len < HEADER_SIZE || data.len > UINT32_MAX / 8) {
        iter->err = ERR_CORRUPT;
        return;
    }
    iter->count = endian_get_u16be(data.data);
    iter->reset = (enum histogram_reset)resets[(uint8_t)data.data[2] >> 6];
    iter->r = (struct bit_reader){.bytes = (const uint8_t *)data.data,
                                  .bit = HEADER_SIZE * 8,
                                  .bit_count = (uint32_t)(data.len * 8)};
    iter->layout.is_float = chunk.encoding == PROM_CHUNK_FLOAT_HISTOGRAM;
    iter->sum.leading = iter->float_count.leading = iter->float_zero.leading = NO_WINDOW;
}

/* ---- layout ---- */

static double get_threshold(struct bit_reader *r)
{
    const uint64_t byte = bit_reader_get(r, 8);

    if (byte == 0)
        return 0;
    if (byte == THRESHOLD_RAW)
        return sample_value_from_bits(bit_reader_get(r, 64));
    return ldexp(0.5, (int)byte - THRESHOLD_BIAS);
}

/* Adds the lengths to *bucket_count, which stays below what the rest can hold at a bit a bucket. */
static const struct histogram_span *get_spans(struct prom_chunk_iter *iter, uint32_t *span_count,
                                              uint32_t *bucket_count)
{
    const uint64_t count = prom_varbit_get_uint(&iter->r);
    struct histogram_span *spans;

    if (count > bits_left(&iter->r) / SPAN_BITS_MIN) {
        fail(iter, ERR_CORRUPT);
        return NULL;
    }
    spans = ARENA_ARRAY(iter->arena, struct histogram_span, (size_t)count);
    if (spans == NULL) {
        fail(iter, ERR_LIMIT);
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t length = prom_varbit_get_uint(&iter->r);
        const int64_t offset = prom_varbit_get_int(&iter->r);

        if (length > bits_left(&iter->r) || *bucket_count + length > bits_left(&iter->r) ||
            offset != (int32_t)offset) {
            fail(iter, ERR_CORRUPT);
            return NULL;
        }
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
        *bucket_count += (uint32_t)length;
    }
    *span_count = (uint32_t)count;
    return spans;
}

static void get_custom_values(struct prom_chunk_iter *iter)
{
    struct bit_reader *r = &iter->r;
    const uint64_t count = prom_varbit_get_uint(r);
    double *values;

    if (count > bits_left(r)) {
        fail(iter, ERR_CORRUPT);
        return;
    }
    values = ARENA_ARRAY(iter->arena, double, (size_t)count);
    if (values == NULL) {
        fail(iter, ERR_LIMIT);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t thousandths = prom_varbit_get_uint(r);

        values[i] = thousandths == 0 ? sample_value_from_bits(bit_reader_get(r, 64))
                                     : (double)(thousandths - 1) / 1000;
    }
    iter->layout.custom_values = values;
    iter->layout.custom_value_count = (uint32_t)count;
}

static bool get_layout(struct prom_chunk_iter *iter)
{
    struct histogram *h = &iter->layout;

    h->zero_threshold = get_threshold(&iter->r);
    const int64_t schema = prom_varbit_get_int(&iter->r);
    if (schema != (int32_t)schema)
        fail(iter, ERR_CORRUPT);
    h->schema = (int32_t)schema;
    h->positive_spans = get_spans(iter, &h->positive_span_count, &h->positive_count);
    if (iter->err == ERR_OK)
        h->negative_spans = get_spans(iter, &h->negative_span_count, &h->negative_count);
    if (iter->err == ERR_OK && h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        get_custom_values(iter);
    const size_t count = (size_t)h->positive_count + h->negative_count;
    if (iter->err == ERR_OK && (iter->r.overrun || count > bits_left(&iter->r)))
        fail(iter, ERR_CORRUPT);
    if (iter->err != ERR_OK)
        return false;
    iter->buckets = ARENA_ARRAY(iter->arena, struct prom_chunk_bucket, count);
    if (h->is_float)
        iter->float_values = ARENA_ARRAY(iter->arena, double, count);
    else
        iter->int_values = ARENA_ARRAY(iter->arena, int64_t, count);
    if (iter->buckets == NULL || (iter->float_values == NULL && iter->int_values == NULL)) {
        fail(iter, ERR_LIMIT);
        return false;
    }
    if (h->is_float) {
        h->f.positive_counts = iter->float_values;
        h->f.negative_counts = iter->float_values + h->positive_count;
    } else {
        h->i.positive_deltas = iter->int_values;
        h->i.negative_deltas = iter->int_values + h->positive_count;
    }
    return true;
}

/* ---- samples ---- */

static void get_xor(struct prom_chunk_iter *iter, struct prom_chunk_xor *x)
{
    struct bit_reader *r = &iter->r;
    unsigned significant;

    if (bit_reader_get(r, 1) == 0)
        return;
    if (bit_reader_get(r, 1) == 1) {
        const unsigned leading = (unsigned)bit_reader_get(r, LEADING_BITS);

        significant = (unsigned)bit_reader_get(r, SIGNIFICANT_BITS);
        if (significant == 0)
            significant = 64;
        if (leading + significant > 64) {
            fail(iter, ERR_CORRUPT);
            return;
        }
        x->leading = (uint8_t)leading;
        x->trailing = (uint8_t)(64 - leading - significant);
    } else if (x->leading == NO_WINDOW) {
        fail(iter, ERR_CORRUPT);
        return;
    }
    significant = 64u - x->leading - x->trailing;
    x->bits ^= bit_reader_get(r, significant) << x->trailing;
}

static int64_t wrapping_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b); /* hostile bytes must not overflow */
}

static void get_first(struct prom_chunk_iter *iter)
{
    struct histogram *h = &iter->layout;
    struct bit_reader *r = &iter->r;
    const uint32_t bucket_count = h->positive_count + h->negative_count;

    iter->t_ms = prom_varbit_get_int(r);
    if (!h->is_float) {
        h->i.count = prom_varbit_get_uint(r);
        h->i.zero_count = prom_varbit_get_uint(r);
        iter->sum.bits = bit_reader_get(r, 64);
        for (uint32_t i = 0; i < bucket_count; i++)
            iter->int_values[i] = prom_varbit_get_int(r);
        return;
    }
    iter->float_count.bits = bit_reader_get(r, 64);
    iter->float_zero.bits = bit_reader_get(r, 64);
    iter->sum.bits = bit_reader_get(r, 64);
    for (uint32_t i = 0; i < bucket_count; i++)
        iter->buckets[i].xor = (struct prom_chunk_xor){bit_reader_get(r, 64), NO_WINDOW, 0};
}

static bool is_stale(const struct prom_chunk_iter *iter)
{
    return iter->sum.bits == SAMPLE_STALE_BITS;
}

static void get_next_int(struct prom_chunk_iter *iter)
{
    struct histogram *h = &iter->layout;
    struct bit_reader *r = &iter->r;
    const uint32_t bucket_count = h->positive_count + h->negative_count;

    iter->count_delta = wrapping_add(iter->count_delta, prom_varbit_get_int(r));
    h->i.count += (uint64_t)iter->count_delta;
    iter->zero_delta = wrapping_add(iter->zero_delta, prom_varbit_get_int(r));
    h->i.zero_count += (uint64_t)iter->zero_delta;
    get_xor(iter, &iter->sum);
    if (is_stale(iter)) /* has no buckets */
        return;
    for (uint32_t i = 0; i < bucket_count; i++) {
        struct prom_chunk_bucket *bucket = &iter->buckets[i];

        bucket->delta = wrapping_add(bucket->delta, prom_varbit_get_int(r));
        iter->int_values[i] = wrapping_add(iter->int_values[i], bucket->delta);
    }
}

static void get_next_float(struct prom_chunk_iter *iter)
{
    const struct histogram *h = &iter->layout;
    const uint32_t bucket_count = h->positive_count + h->negative_count;

    get_xor(iter, &iter->float_count);
    get_xor(iter, &iter->float_zero);
    get_xor(iter, &iter->sum);
    if (is_stale(iter))
        return;
    for (uint32_t i = 0; i < bucket_count; i++)
        get_xor(iter, &iter->buckets[i].xor);
}

/* The histogram of the sample that was just read. */
static const struct histogram *current(struct prom_chunk_iter *iter)
{
    struct histogram *h = &iter->layout;
    const uint32_t bucket_count = h->positive_count + h->negative_count;

    if (is_stale(iter)) {
        iter->stale = (struct histogram){.is_float = h->is_float};
        iter->stale.sum = sample_value_from_bits(iter->sum.bits);
        return &iter->stale;
    }
    h->reset = iter->reset == HISTOGRAM_GAUGE ? HISTOGRAM_GAUGE
               : iter->read_count > 0         ? HISTOGRAM_RESET_NO
                                              : HISTOGRAM_RESET_UNKNOWN;
    h->sum = sample_value_from_bits(iter->sum.bits);
    if (h->is_float) {
        h->f.count = sample_value_from_bits(iter->float_count.bits);
        h->f.zero_count = sample_value_from_bits(iter->float_zero.bits);
        for (uint32_t i = 0; i < bucket_count; i++)
            iter->float_values[i] = sample_value_from_bits(iter->buckets[i].xor.bits);
    }
    return h;
}

static bool next_histogram(struct prom_chunk_iter *iter, struct prom_sample *sample)
{
    if (iter->read_count == iter->count)
        return false;
    if (iter->read_count == 0) {
        if (!get_layout(iter))
            return false;
        get_first(iter);
    } else {
        iter->dt_ms = wrapping_add(iter->dt_ms, prom_varbit_get_int(&iter->r));
        iter->t_ms = wrapping_add(iter->t_ms, iter->dt_ms);
        if (iter->layout.is_float)
            get_next_float(iter);
        else
            get_next_int(iter);
    }
    if (iter->r.overrun)
        fail(iter, ERR_CORRUPT);
    if (iter->err != ERR_OK)
        return false;
    *sample = (struct prom_sample){
        .t_ms = iter->t_ms, .kind = SAMPLE_HISTOGRAM, .histogram = current(iter)};
    iter->read_count++;
    return true;
}

bool prom_chunk_iter_next(struct prom_chunk_iter *iter, struct prom_sample *sample)
{
    struct sample read;

    if (iter->err != ERR_OK)
        return false;
    if (iter->encoding != PROM_CHUNK_XOR)
        return next_histogram(iter, sample);
    if (!xor_iter_next(&iter->floats, &read)) {
        iter->err = iter->floats.err;
        return false;
    }
    *sample = (struct prom_sample){.t_ms = read.t_ms, .kind = SAMPLE_FLOAT, .v = read.v};
    return true;
}
