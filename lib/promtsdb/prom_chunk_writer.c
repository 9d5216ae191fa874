/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_chunk_writer.h"

#include <math.h>

#include "base/mem.h"
#include "promtsdb/prom_varbit_internal.h"

enum {
    HEADER_SIZE = 3,
    CAP_MIN = 4096,
    NO_WINDOW = 0xff,
    LEADING_MAX = 31,
    LEADING_BITS = 5,
    SIGNIFICANT_BITS = 6,
    XOR_BITS_MAX = 2 + LEADING_BITS + SIGNIFICANT_BITS + 64,
    SAMPLE_BITS_MAX = PROM_VARBIT_BITS_MAX + 3 * XOR_BITS_MAX, /* but for its buckets */
    LAYOUT_BITS_MAX = 6 * PROM_VARBIT_BITS_MAX,
    THRESHOLD_RAW = 255,
    THRESHOLD_BIAS = 243,
    THRESHOLD_EXP_MIN = -242,
    THRESHOLD_EXP_MAX = 11,
};

#define CUSTOM_THOUSANDTHS_MAX 33554430.0

void prom_chunk_writer_init(struct prom_chunk_writer *w)
{
    *w = (struct prom_chunk_writer){.encoding = PROM_CHUNK_NONE};
    w->bytes = mem_alloc(CAP_MIN);
    w->cap = CAP_MIN;
    arena_init(&w->arena, NULL, 0);
}

void prom_chunk_writer_fini(struct prom_chunk_writer *w)
{
    mem_free(w->bytes);
    arena_fini(&w->arena);
}

void prom_chunk_writer_reset(struct prom_chunk_writer *w)
{
    arena_reset(&w->arena);
    w->encoding = PROM_CHUNK_NONE;
    w->count = 0;
    w->first = NULL;
}

struct prom_chunk prom_chunk_writer_chunk(const struct prom_chunk_writer *w)
{
    const size_t size =
        w->encoding == PROM_CHUNK_XOR ? xor_encoder_size(&w->floats) : (w->bit + 7) / 8;

    return (struct prom_chunk){.encoding = w->encoding, .data = slice_of(w->bytes, size)};
}

/* ---- does a histogram go on in this chunk? ---- */

static bool spans_eq(const struct histogram_span *a, uint32_t a_count,
                     const struct histogram_span *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (a[i].offset != b[i].offset || a[i].length != b[i].length)
            return false;
    return true;
}

static bool layout_eq(const struct histogram *a, const struct histogram *b)
{
    if (a->schema != b->schema ||
        sample_value_bits(a->zero_threshold) != sample_value_bits(b->zero_threshold) ||
        a->custom_value_count != b->custom_value_count ||
        !spans_eq(a->positive_spans, a->positive_span_count, b->positive_spans,
                  b->positive_span_count) ||
        !spans_eq(a->negative_spans, a->negative_span_count, b->negative_spans,
                  b->negative_span_count))
        return false;
    for (uint32_t i = 0; i < a->custom_value_count; i++)
        if (sample_value_bits(a->custom_values[i]) != sample_value_bits(b->custom_values[i]))
            return false;
    return true;
}

/* Buckets of one sign against those before: whether any has become smaller. */
static bool deltas_fell(const uint64_t *before, const int64_t *now, uint32_t count)
{
    int64_t sum_before = 0, sum_now = 0;

    for (uint32_t i = 0; i < count; i++) {
        sum_before += (int64_t)before[i];
        sum_now += now[i];
        if (sum_now < sum_before)
            return true;
    }
    return false;
}

static bool counts_fell(const uint64_t *before, const double *now, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(now[i] >= sample_value_from_bits(before[i])))
            return true;
    return false;
}

static bool was_reset(const struct prom_chunk_writer *w, const struct histogram *h)
{
    if (h->is_float)
        return !(h->f.count >= sample_value_from_bits(w->float_count.bits)) ||
               !(h->f.zero_count >= sample_value_from_bits(w->float_zero.bits)) ||
               counts_fell(w->values, h->f.positive_counts, h->positive_count) ||
               counts_fell(w->values + h->positive_count, h->f.negative_counts, h->negative_count);
    return h->i.count < w->count_before || h->i.zero_count < w->zero_before ||
           deltas_fell(w->values, h->i.positive_deltas, h->positive_count) ||
           deltas_fell(w->values + h->positive_count, h->i.negative_deltas, h->negative_count);
}

static bool goes_on(const struct prom_chunk_writer *w, const struct histogram *h)
{
    const bool was_stale = w->sum.bits == SAMPLE_STALE_BITS;

    if (histogram_is_stale(h))
        return true;
    if (was_stale || (h->reset == HISTOGRAM_GAUGE) != (w->first->reset == HISTOGRAM_GAUGE) ||
        !layout_eq(w->first, h))
        return false;
    return h->reset == HISTOGRAM_GAUGE || (h->reset != HISTOGRAM_RESET_YES && !was_reset(w, h));
}

/* ---- writing ---- */

static struct bit_writer room_for(struct prom_chunk_writer *w, uint64_t bits)
{
    const size_t size = (size_t)((w->bit + bits + 7) / 8);

    if (size > w->cap) {
        w->cap = size > w->cap * 2 ? size : w->cap * 2;
        w->bytes = mem_realloc(w->bytes, w->cap);
    }
    return (struct bit_writer){.bytes = w->bytes, .bit = w->bit, .bit_max = (uint32_t)(size * 8)};
}

static void put_threshold(struct bit_writer *out, double threshold)
{
    int exponent;

    if (threshold == 0) {
        bit_writer_put(out, 0, 8);
        return;
    }
    if (frexp(threshold, &exponent) == 0.5 && exponent >= THRESHOLD_EXP_MIN &&
        exponent <= THRESHOLD_EXP_MAX) {
        bit_writer_put(out, (uint64_t)(exponent + THRESHOLD_BIAS), 8);
        return;
    }
    bit_writer_put(out, THRESHOLD_RAW, 8);
    bit_writer_put(out, sample_value_bits(threshold), 64);
}

static void put_spans(struct bit_writer *out, const struct histogram_span *spans, uint32_t count)
{
    prom_varbit_put_uint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        prom_varbit_put_uint(out, spans[i].length);
        prom_varbit_put_int(out, spans[i].offset);
    }
}

static void put_bound(struct bit_writer *out, double bound)
{
    const double thousandths = round(bound * 1000);

    if (bound >= 0 && !signbit(bound) && bound * 1000 <= CUSTOM_THOUSANDTHS_MAX &&
        thousandths / 1000 == bound) {
        prom_varbit_put_uint(out, (uint64_t)thousandths + 1);
        return;
    }
    bit_writer_put(out, 0, 1);
    bit_writer_put(out, sample_value_bits(bound), 64);
}

static void put_layout(struct bit_writer *out, const struct histogram *h)
{
    put_threshold(out, h->zero_threshold);
    prom_varbit_put_int(out, h->schema);
    put_spans(out, h->positive_spans, h->positive_span_count);
    put_spans(out, h->negative_spans, h->negative_span_count);
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return;
    prom_varbit_put_uint(out, h->custom_value_count);
    for (uint32_t i = 0; i < h->custom_value_count; i++)
        put_bound(out, h->custom_values[i]);
}

static void put_xor(struct bit_writer *out, struct prom_chunk_xor *x, uint64_t bits)
{
    const uint64_t change = bits ^ x->bits;
    unsigned leading, trailing, significant;

    x->bits = bits;
    if (change == 0) {
        bit_writer_put(out, 0, 1);
        return;
    }
    leading = (unsigned)__builtin_clzll(change);
    trailing = (unsigned)__builtin_ctzll(change);
    if (leading > LEADING_MAX)
        leading = LEADING_MAX;
    if (x->leading != NO_WINDOW && leading >= x->leading && trailing >= x->trailing) {
        bit_writer_put(out, 2, 2);
        bit_writer_put(out, change >> x->trailing, 64u - x->leading - x->trailing);
        return;
    }
    significant = 64 - leading - trailing;
    x->leading = (uint8_t)leading;
    x->trailing = (uint8_t)trailing;
    bit_writer_put(out, 3, 2);
    bit_writer_put(out, leading, LEADING_BITS);
    bit_writer_put(out, significant & 63, SIGNIFICANT_BITS);
    bit_writer_put(out, change >> trailing, significant);
}

/* What a bucket holds: its delta, or the bits of its count. */
static uint64_t bucket_value(const struct histogram *h, uint32_t i)
{
    const bool is_positive = i < h->positive_count;
    const uint32_t at = is_positive ? i : i - h->positive_count;

    if (h->is_float)
        return sample_value_bits((is_positive ? h->f.positive_counts : h->f.negative_counts)[at]);
    return (uint64_t)(is_positive ? h->i.positive_deltas : h->i.negative_deltas)[at];
}

static void put_first(struct prom_chunk_writer *w, struct bit_writer *out, int64_t t_ms,
                      const struct histogram *h)
{
    const uint32_t bucket_count = h->positive_count + h->negative_count;

    put_layout(out, h);
    prom_varbit_put_int(out, t_ms);
    if (h->is_float) {
        w->float_count = (struct prom_chunk_xor){sample_value_bits(h->f.count), NO_WINDOW, 0};
        w->float_zero = (struct prom_chunk_xor){sample_value_bits(h->f.zero_count), NO_WINDOW, 0};
        bit_writer_put(out, w->float_count.bits, 64);
        bit_writer_put(out, w->float_zero.bits, 64);
    } else {
        prom_varbit_put_uint(out, h->i.count);
        prom_varbit_put_uint(out, h->i.zero_count);
        w->count_before = h->i.count;
        w->zero_before = h->i.zero_count;
        w->count_delta = w->zero_delta = 0;
    }
    w->sum = (struct prom_chunk_xor){sample_value_bits(h->sum), NO_WINDOW, 0};
    bit_writer_put(out, w->sum.bits, 64);
    w->buckets = ARENA_ARRAY(&w->arena, struct prom_chunk_bucket, bucket_count);
    w->values = ARENA_ARRAY(&w->arena, uint64_t, bucket_count);
    w->dt_ms = 0;
    for (uint32_t i = 0; i < bucket_count; i++) {
        w->values[i] = bucket_value(h, i);
        w->buckets[i].xor = (struct prom_chunk_xor){w->values[i], NO_WINDOW, 0};
        if (h->is_float)
            bit_writer_put(out, w->values[i], 64);
        else
            prom_varbit_put_int(out, (int64_t)w->values[i]);
    }
}

/* A number as the change of its change. */
static void put_step(struct bit_writer *out, uint64_t *before, int64_t *delta, uint64_t now)
{
    const int64_t step = (int64_t)(now - *before);

    prom_varbit_put_int(out, (int64_t)((uint64_t)step - (uint64_t)*delta));
    *before = now;
    *delta = step;
}

static void put_next(struct prom_chunk_writer *w, struct bit_writer *out, int64_t t_ms,
                     const struct histogram *h)
{
    const bool is_stale = histogram_is_stale(h);
    const uint32_t bucket_count = is_stale ? 0 : h->positive_count + h->negative_count;
    uint64_t t_before = (uint64_t)w->t_max_ms;

    put_step(out, &t_before, &w->dt_ms, (uint64_t)t_ms);
    if (w->encoding == PROM_CHUNK_FLOAT_HISTOGRAM) {
        put_xor(out, &w->float_count, sample_value_bits(is_stale ? 0 : h->f.count));
        put_xor(out, &w->float_zero, sample_value_bits(is_stale ? 0 : h->f.zero_count));
    } else if (is_stale) { /* nothing but its time and its sum is read */
        bit_writer_put(out, 0, 2);
    } else {
        put_step(out, &w->count_before, &w->count_delta, h->i.count);
        put_step(out, &w->zero_before, &w->zero_delta, h->i.zero_count);
    }
    put_xor(out, &w->sum, sample_value_bits(h->sum));
    for (uint32_t i = 0; i < bucket_count; i++) {
        const uint64_t value = bucket_value(h, i);

        if (h->is_float)
            put_xor(out, &w->buckets[i].xor, value);
        else
            put_step(out, &w->buckets[i].xor.bits, &w->buckets[i].delta, value);
        w->values[i] = value;
    }
}

static uint8_t header_of(const struct histogram *h)
{
    switch (h->reset) {
    case HISTOGRAM_RESET_YES:
        return 2 << 6;
    case HISTOGRAM_RESET_NO:
        return 1 << 6;
    case HISTOGRAM_GAUGE:
        return 3 << 6;
    case HISTOGRAM_RESET_UNKNOWN:
        break;
    }
    return 0;
}

/* A stale marker is its sum and nothing else. */
static struct histogram as_written(const struct histogram *h)
{
    return histogram_is_stale(h) ? (struct histogram){.is_float = h->is_float, .sum = h->sum} : *h;
}

static void add_histogram(struct prom_chunk_writer *w, const struct prom_sample *sample)
{
    const struct histogram h = as_written(sample->histogram);
    const uint64_t bucket_bits =
        (uint64_t)(h.positive_count + h.negative_count) * XOR_BITS_MAX + SAMPLE_BITS_MAX;

    if (w->count == 0) {
        const uint64_t layout_bits =
            LAYOUT_BITS_MAX +
            2 * (uint64_t)PROM_VARBIT_BITS_MAX * (h.positive_span_count + h.negative_span_count) +
            (uint64_t)PROM_VARBIT_BITS_MAX * h.custom_value_count;

        w->bit = HEADER_SIZE * 8;
        w->first = histogram_copy(&w->arena, &h);
        struct bit_writer out = room_for(w, bucket_bits + layout_bits);
        w->bytes[2] = header_of(&h);
        put_first(w, &out, sample->t_ms, &h);
        w->bit = out.bit;
    } else {
        struct bit_writer out = room_for(w, bucket_bits);

        put_next(w, &out, sample->t_ms, &h);
        w->bit = out.bit;
    }
    endian_put_u16be(w->bytes, (uint16_t)(w->count + 1));
}

static uint8_t encoding_of(const struct prom_sample *sample)
{
    if (sample->kind == SAMPLE_FLOAT)
        return PROM_CHUNK_XOR;
    return sample->histogram->is_float ? PROM_CHUNK_FLOAT_HISTOGRAM : PROM_CHUNK_HISTOGRAM;
}

bool prom_chunk_writer_add(struct prom_chunk_writer *w, const struct prom_sample *sample)
{
    const uint8_t encoding = encoding_of(sample);

    if (w->count > 0 && (w->encoding != encoding || w->count == PROM_CHUNK_SAMPLES_MAX ||
                         (sample->kind == SAMPLE_HISTOGRAM && !goes_on(w, sample->histogram))))
        return false;
    if (sample->kind == SAMPLE_HISTOGRAM) {
        add_histogram(w, sample);
    } else {
        enum err err;

        if (w->count == 0)
            xor_encoder_init(&w->floats);
        /* 120 samples of the largest size fit in the least room. */
        err = xor_encoder_append(&w->floats, w->bytes, w->cap,
                                 (struct sample){sample->t_ms, sample->v});
        ASSERT(err == ERR_OK);
    }
    if (w->count == 0)
        w->t_min_ms = sample->t_ms;
    w->encoding = encoding;
    w->t_max_ms = sample->t_ms;
    w->count++;
    return true;
}

STATIC_ASSERT((PROM_CHUNK_SAMPLES_MAX + 1) * XOR_CHUNK_SAMPLE_SIZE_MAX <= CAP_MIN,
              "a chunk of floats fits");
