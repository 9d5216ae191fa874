/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_histogram.h"

#include <string.h>

#include "base/endian.h"
#include "base/varint.h"
#include "model/sample.h"

enum { CELL_SIZE_MIN = 2 }; /* bytes of the shortest column */

/* What a run's histograms share. */
struct layout {
    int32_t schema;
    double zero_threshold;
    struct histogram_span *positive_spans, *negative_spans;
    double *custom_values;
    uint32_t positive_span_count, negative_span_count, custom_value_count;
    uint32_t positive_count, negative_count; /* buckets */
};

/* ---- writing ---- */

static bool spans_eq(const struct histogram_span *a, const struct histogram_span *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (a[i].offset != b[i].offset || a[i].length != b[i].length)
            return false;
    return true;
}

static bool layout_eq(const struct histogram *a, const struct histogram *b)
{
    return a->is_float == b->is_float && a->schema == b->schema &&
           sample_value_bits(a->zero_threshold) == sample_value_bits(b->zero_threshold) &&
           a->positive_span_count == b->positive_span_count &&
           a->negative_span_count == b->negative_span_count &&
           a->custom_value_count == b->custom_value_count &&
           spans_eq(a->positive_spans, b->positive_spans, a->positive_span_count) &&
           spans_eq(a->negative_spans, b->negative_spans, a->negative_span_count) &&
           (a->custom_value_count == 0 || memcmp(a->custom_values, b->custom_values,
                                                 a->custom_value_count * sizeof(double)) == 0);
}

/* Samples in one run of histograms with so many buckets. */
static uint32_t run_max(uint32_t bucket_count)
{
    const uint32_t fits = BLOCK_HISTOGRAM_CELLS / (bucket_count == 0 ? 1 : bucket_count);

    return fits < 1 ? 1 : fits < BLOCK_INTS_COUNT_MAX ? fits : BLOCK_INTS_COUNT_MAX;
}

uint32_t block_histogram_run(const struct histogram *const *list, uint32_t count)
{
    const uint32_t max = run_max(list[0]->positive_count + list[0]->negative_count);
    uint32_t run = 1;

    while (run < count && run < max && layout_eq(list[0], list[run]))
        run++;
    return run;
}

static bool spans_fit(const struct histogram_span *spans, uint32_t span_count, uint32_t buckets)
{
    uint64_t sum = 0;

    if (span_count > BLOCK_HISTOGRAM_BUCKETS_MAX || buckets > BLOCK_HISTOGRAM_BUCKETS_MAX)
        return false;
    for (uint32_t i = 0; i < span_count; i++)
        sum += spans[i].length;
    return sum == buckets;
}

bool block_histogram_fits(const struct histogram *h)
{
    return h->custom_value_count <= BLOCK_HISTOGRAM_BUCKETS_MAX &&
           spans_fit(h->positive_spans, h->positive_span_count, h->positive_count) &&
           spans_fit(h->negative_spans, h->negative_span_count, h->negative_count);
}

static void put_uint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

static void put_u64(struct buf *out, uint64_t v)
{
    char bytes[8];

    endian_put_u64le(bytes, v);
    buf_add(out, bytes, sizeof(bytes));
}

static void put_spans(struct buf *out, const struct histogram_span *spans, uint32_t count)
{
    put_uint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        put_uint(out, varint_zigzag(spans[i].offset));
        put_uint(out, spans[i].length);
    }
}

static void put_ints(struct buf *out, const uint64_t *values, uint32_t count)
{
    char *at = buf_reserve(out, BLOCK_INTS_SIZE_MAX);

    if (at != NULL)
        out->len += block_ints_put((uint8_t *)at, values, count);
}

static void put_floats(struct buf *out, const double *values, uint32_t count)
{
    char *at = buf_reserve(out, BLOCK_FLOATS_SIZE_MAX);

    if (at != NULL)
        out->len += block_floats_put((uint8_t *)at, values, count);
}

static void put_int_columns(struct buf *out, const struct histogram *const *list, uint32_t count)
{
    const uint32_t positive = list[0]->positive_count;
    uint64_t sums[BLOCK_INTS_COUNT_MAX] = {0};
    uint64_t column[BLOCK_INTS_COUNT_MAX];

    for (uint32_t i = 0; i < count; i++)
        column[i] = list[i]->i.count;
    put_ints(out, column, count);
    for (uint32_t i = 0; i < count; i++)
        column[i] = list[i]->i.zero_count;
    put_ints(out, column, count);
    for (uint32_t b = 0; b < positive + list[0]->negative_count; b++) {
        if (b == positive)
            memset(sums, 0, sizeof(sums));
        for (uint32_t i = 0; i < count; i++)
            sums[i] += (uint64_t)(b < positive ? list[i]->i.positive_deltas[b]
                                               : list[i]->i.negative_deltas[b - positive]);
        put_ints(out, sums, count);
    }
}

static void put_float_columns(struct buf *out, const struct histogram *const *list, uint32_t count)
{
    const uint32_t positive = list[0]->positive_count;
    double column[BLOCK_FLOATS_COUNT_MAX];

    for (uint32_t i = 0; i < count; i++)
        column[i] = list[i]->f.count;
    put_floats(out, column, count);
    for (uint32_t i = 0; i < count; i++)
        column[i] = list[i]->f.zero_count;
    put_floats(out, column, count);
    for (uint32_t b = 0; b < positive + list[0]->negative_count; b++) {
        for (uint32_t i = 0; i < count; i++)
            column[i] = b < positive ? list[i]->f.positive_counts[b]
                                     : list[i]->f.negative_counts[b - positive];
        put_floats(out, column, count);
    }
}

void block_histogram_put(struct buf *out, const struct histogram *const *list, uint32_t count)
{
    const struct histogram *first = list[0];
    uint64_t resets[BLOCK_INTS_COUNT_MAX];
    double sums[BLOCK_FLOATS_COUNT_MAX];

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_INTS_COUNT_MAX);
    ASSERT(block_histogram_fits(first));
    put_uint(out, varint_zigzag(first->schema));
    put_u64(out, sample_value_bits(first->zero_threshold));
    put_spans(out, first->positive_spans, first->positive_span_count);
    put_spans(out, first->negative_spans, first->negative_span_count);
    put_uint(out, first->custom_value_count);
    for (uint32_t i = 0; i < first->custom_value_count; i++)
        put_u64(out, sample_value_bits(first->custom_values[i]));
    for (uint32_t i = 0; i < count; i++) {
        resets[i] = (uint64_t)list[i]->reset;
        sums[i] = list[i]->sum;
    }
    put_ints(out, resets, count);
    put_floats(out, sums, count);
    if (first->is_float)
        put_float_columns(out, list, count);
    else
        put_int_columns(out, list, count);
}

/* ---- reading ---- */

static bool take_u64(struct slice *rest, uint64_t *v)
{
    if (rest->len < 8)
        return false;
    *v = endian_get_u64le(rest->data);
    *rest = slice_skip(*rest, 8);
    return true;
}

static enum err take_spans(struct slice *rest, struct arena *arena, struct histogram_span **out,
                           uint32_t *span_count, uint32_t *bucket_count)
{
    uint64_t buckets = 0;
    uint64_t count;

    if (!varint_take_u64(rest, &count) || count > BLOCK_HISTOGRAM_BUCKETS_MAX ||
        count > rest->len / 2)
        return ERR_CORRUPT;
    struct histogram_span *spans = ARENA_ARRAY(arena, struct histogram_span, count);
    if (spans == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        int64_t offset;
        uint64_t length;

        if (!varint_take_i64(rest, &offset) || !varint_take_u64(rest, &length) ||
            offset < INT32_MIN || offset > INT32_MAX || length > BLOCK_HISTOGRAM_BUCKETS_MAX)
            return ERR_CORRUPT;
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
        buckets += length;
    }
    if (buckets > BLOCK_HISTOGRAM_BUCKETS_MAX)
        return ERR_CORRUPT;
    *out = count == 0 ? NULL : spans;
    *span_count = (uint32_t)count;
    *bucket_count = (uint32_t)buckets;
    return ERR_OK;
}

static enum err take_layout(struct slice *rest, struct arena *arena, struct layout *layout)
{
    uint64_t threshold;
    int64_t schema;
    uint64_t count;

    if (!varint_take_i64(rest, &schema) || schema < INT32_MIN || schema > INT32_MAX ||
        !take_u64(rest, &threshold))
        return ERR_CORRUPT;
    layout->schema = (int32_t)schema;
    layout->zero_threshold = sample_value_from_bits(threshold);
    enum err err = take_spans(rest, arena, &layout->positive_spans, &layout->positive_span_count,
                              &layout->positive_count);
    if (err == ERR_OK)
        err = take_spans(rest, arena, &layout->negative_spans, &layout->negative_span_count,
                         &layout->negative_count);
    if (err != ERR_OK)
        return err;
    if (!varint_take_u64(rest, &count) || count > rest->len / 8)
        return ERR_CORRUPT;
    layout->custom_value_count = (uint32_t)count;
    if (count == 0)
        return ERR_OK;
    layout->custom_values = ARENA_ARRAY(arena, double, count);
    if (layout->custom_values == NULL)
        return ERR_LIMIT;
    memcpy(layout->custom_values, rest->data, count * sizeof(double));
    *rest = slice_skip(*rest, count * sizeof(double));
    return ERR_OK;
}

/* One cell of a bucket matrix, a row a histogram. */
union cell {
    int64_t i;
    double f;
};

static bool take_int_columns(struct slice *rest, const struct layout *layout,
                             struct histogram *items, union cell *cells, uint32_t count)
{
    const uint32_t positive = layout->positive_count;
    const uint32_t buckets = positive + layout->negative_count;
    uint64_t column[BLOCK_INTS_COUNT_MAX];
    uint64_t before[BLOCK_INTS_COUNT_MAX] = {0};

    if (!block_ints_take(rest, column, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        items[i].i.count = column[i];
    if (!block_ints_take(rest, column, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        items[i].i.zero_count = column[i];
        items[i].i.positive_deltas = &cells[(size_t)i * buckets].i;
        items[i].i.negative_deltas = &cells[(size_t)i * buckets + positive].i;
    }
    for (uint32_t b = 0; b < buckets; b++) {
        if (b == positive)
            memset(before, 0, sizeof(before));
        if (!block_ints_take(rest, column, count))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            cells[(size_t)i * buckets + b].i = (int64_t)(column[i] - before[i]);
            before[i] = column[i];
        }
    }
    return true;
}

static bool take_float_columns(struct slice *rest, const struct layout *layout,
                               struct histogram *items, union cell *cells, uint32_t count)
{
    const uint32_t positive = layout->positive_count;
    const uint32_t buckets = positive + layout->negative_count;
    double column[BLOCK_FLOATS_COUNT_MAX];

    if (!block_floats_take(rest, column, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        items[i].f.count = column[i];
    if (!block_floats_take(rest, column, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        items[i].f.zero_count = column[i];
        items[i].f.positive_counts = &cells[(size_t)i * buckets].f;
        items[i].f.negative_counts = &cells[(size_t)i * buckets + positive].f;
    }
    for (uint32_t b = 0; b < buckets; b++) {
        if (!block_floats_take(rest, column, count))
            return false;
        for (uint32_t i = 0; i < count; i++)
            cells[(size_t)i * buckets + b].f = column[i];
    }
    return true;
}

/* What all have in common, and their hints and sums. */
static bool take_heads(struct slice *rest, const struct layout *layout, bool is_float,
                       struct histogram *items, uint32_t count)
{
    uint64_t resets[BLOCK_INTS_COUNT_MAX];
    double sums[BLOCK_FLOATS_COUNT_MAX];

    if (!block_ints_take(rest, resets, count) || !block_floats_take(rest, sums, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (resets[i] > HISTOGRAM_GAUGE)
            return false;
        items[i] = (struct histogram){
            .schema = layout->schema,
            .reset = (enum histogram_reset)resets[i],
            .is_float = is_float,
            .zero_threshold = layout->zero_threshold,
            .sum = sums[i],
            .positive_spans = layout->positive_spans,
            .negative_spans = layout->negative_spans,
            .custom_values = layout->custom_values,
            .positive_span_count = layout->positive_span_count,
            .negative_span_count = layout->negative_span_count,
            .positive_count = layout->positive_count,
            .negative_count = layout->negative_count,
            .custom_value_count = layout->custom_value_count,
        };
    }
    return true;
}

enum err block_histogram_take(struct slice *rest, struct arena *arena, bool is_float,
                              const struct histogram **list, uint32_t count)
{
    struct layout layout = {0};

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_INTS_COUNT_MAX);
    const enum err err = take_layout(rest, arena, &layout);
    if (err != ERR_OK)
        return err;
    const uint32_t buckets = layout.positive_count + layout.negative_count;
    if (count > run_max(buckets) || buckets > rest->len / CELL_SIZE_MIN)
        return ERR_CORRUPT;
    struct histogram *items = arena_alloc(arena, count * sizeof(*items));
    union cell *cells = arena_alloc(arena, (size_t)count * buckets * sizeof(*cells));
    if (items == NULL || cells == NULL)
        return ERR_LIMIT;
    if (!take_heads(rest, &layout, is_float, items, count) ||
        !(is_float ? take_float_columns(rest, &layout, items, cells, count)
                   : take_int_columns(rest, &layout, items, cells, count)))
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++)
        list[i] = &items[i];
    return ERR_OK;
}
