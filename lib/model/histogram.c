/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "model/sample.h"

static enum err histogram_check_spans(const struct histogram_span *spans, uint32_t span_count,
                                      uint32_t bucket_count, struct err_info *info)
{
    uint64_t needed = 0;

    for (uint32_t i = 0; i < span_count; i++) {
        if (i > 0 && spans[i].offset < 0)
            return err_set(info, ERR_BAD_INPUT, "span number %u has a negative offset of %" PRId32,
                           i + 1, spans[i].offset);
        needed += spans[i].length;
    }
    if (needed != bucket_count)
        return err_set(info, ERR_BAD_INPUT,
                       "histogram spans need %" PRIu64 " buckets, have %" PRIu32 " buckets", needed,
                       bucket_count);
    return ERR_OK;
}

static enum err histogram_check_custom(const struct histogram *h, struct err_info *info)
{
    uint64_t covered = 0;

    if (h->negative_span_count != 0 || h->negative_count != 0)
        return err_set(info, ERR_BAD_INPUT, "custom buckets: must not have negative buckets");
    if (h->zero_threshold != 0)
        return err_set(info, ERR_BAD_INPUT, "custom buckets: must have zero threshold of 0");
    if (h->is_float ? h->f.zero_count != 0 : h->i.zero_count != 0)
        return err_set(info, ERR_BAD_INPUT, "custom buckets: must have zero count of 0");
    for (uint32_t i = 0; i < h->custom_value_count; i++) {
        if (!isfinite(h->custom_values[i]))
            return err_set(info, ERR_BAD_INPUT, "custom bound number %u is not finite", i + 1);
        if (i > 0 && h->custom_values[i] <= h->custom_values[i - 1])
            return err_set(info, ERR_BAD_INPUT,
                           "custom bounds are not in strictly increasing order: %g after %g",
                           h->custom_values[i], h->custom_values[i - 1]);
    }
    for (uint32_t i = 0; i < h->positive_span_count; i++) {
        if (h->positive_spans[i].offset < 0)
            return err_set(info, ERR_BAD_INPUT, "span number %u has a negative offset of %" PRId32,
                           i + 1, h->positive_spans[i].offset);
        covered += (uint64_t)(uint32_t)h->positive_spans[i].offset + h->positive_spans[i].length;
    }
    if (covered > (uint64_t)h->custom_value_count + 1)
        return err_set(info, ERR_BAD_INPUT,
                       "only %" PRIu32
                       " custom bounds defined which is insufficient to cover %" PRIu64 " buckets",
                       h->custom_value_count, covered);
    return ERR_OK;
}

/* Adds the buckets' counts to *total. */
static enum err histogram_check_deltas(const int64_t *deltas, uint32_t count, uint64_t *total,
                                       struct err_info *info)
{
    int64_t bucket = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(bucket, deltas[i], &bucket) || bucket < 0)
            return err_set(info, ERR_BAD_INPUT, "bucket number %u has a negative count", i + 1);
        if (__builtin_add_overflow(*total, (uint64_t)bucket, total))
            return err_set(info, ERR_BAD_INPUT, "sum of bucket counts overflows");
    }
    return ERR_OK;
}

static enum err histogram_check_int(const struct histogram *h, struct err_info *info)
{
    uint64_t total = h->i.zero_count;
    enum err err = histogram_check_deltas(h->i.negative_deltas, h->negative_count, &total, info);

    if (err == ERR_OK)
        err = histogram_check_deltas(h->i.positive_deltas, h->positive_count, &total, info);
    if (err != ERR_OK)
        return err;
    /* An observed NaN counts without being in a bucket. */
    if (isnan(h->sum) ? total > h->i.count : total != h->i.count)
        return err_set(info, ERR_BAD_INPUT,
                       "%" PRIu64 " observations found in buckets, but the count is %" PRIu64,
                       total, h->i.count);
    return ERR_OK;
}

static enum err histogram_check_counts(const double *counts, uint32_t count, struct err_info *info)
{
    for (uint32_t i = 0; i < count; i++) {
        if (counts[i] < 0)
            return err_set(info, ERR_BAD_INPUT, "bucket number %u has a negative count of %g",
                           i + 1, counts[i]);
    }
    return ERR_OK;
}

/* The sum of float buckets may differ from the count by rounding: not compared, as upstream. */
static enum err histogram_check_float(const struct histogram *h, struct err_info *info)
{
    enum err err;

    if (h->f.count < 0)
        return err_set(info, ERR_BAD_INPUT, "histogram has a negative count of %g", h->f.count);
    if (h->f.zero_count < 0)
        return err_set(info, ERR_BAD_INPUT, "zero bucket has a negative count of %g",
                       h->f.zero_count);
    err = histogram_check_counts(h->f.negative_counts, h->negative_count, info);
    if (err == ERR_OK)
        err = histogram_check_counts(h->f.positive_counts, h->positive_count, info);
    return err;
}

enum err histogram_check(const struct histogram *h, struct err_info *info)
{
    enum err err;

    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        err = histogram_check_custom(h, info);
        if (err != ERR_OK)
            return err;
    } else if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX) {
        return err_set(info, ERR_BAD_INPUT, "unknown histogram schema %" PRId32, h->schema);
    } else if (h->custom_value_count != 0) {
        return err_set(info, ERR_BAD_INPUT, "custom bounds in a histogram of schema %" PRId32,
                       h->schema);
    }
    err = histogram_check_spans(h->negative_spans, h->negative_span_count, h->negative_count, info);
    if (err == ERR_OK)
        err = histogram_check_spans(h->positive_spans, h->positive_span_count, h->positive_count,
                                    info);
    if (err != ERR_OK)
        return err;
    return h->is_float ? histogram_check_float(h, info) : histogram_check_int(h, info);
}

/* Appends an array to the copy and gives its place. */
static const void *histogram_put(char **end, const void *items, size_t size)
{
    void *to = *end;

    if (size == 0)
        return NULL;
    memcpy(to, items, size);
    *end += size;
    return to;
}

struct histogram *histogram_copy(struct arena *arena, const struct histogram *h)
{
    const size_t spans_size = sizeof(struct histogram_span);
    const size_t positive_size = h->positive_count * sizeof(uint64_t);
    const size_t negative_size = h->negative_count * sizeof(uint64_t);
    const size_t custom_size = h->custom_value_count * sizeof(double);
    const size_t size = sizeof(*h) +
                        (h->positive_span_count + h->negative_span_count) * spans_size +
                        positive_size + negative_size + custom_size;
    struct histogram *copy = arena_alloc(arena, size);
    char *end;

    if (copy == NULL)
        return NULL;
    *copy = *h;
    end = (char *)(copy + 1);
    if (h->is_float) {
        copy->f.positive_counts = histogram_put(&end, h->f.positive_counts, positive_size);
        copy->f.negative_counts = histogram_put(&end, h->f.negative_counts, negative_size);
    } else {
        copy->i.positive_deltas = histogram_put(&end, h->i.positive_deltas, positive_size);
        copy->i.negative_deltas = histogram_put(&end, h->i.negative_deltas, negative_size);
    }
    copy->custom_values = histogram_put(&end, h->custom_values, custom_size);
    copy->positive_spans =
        histogram_put(&end, h->positive_spans, h->positive_span_count * spans_size);
    copy->negative_spans =
        histogram_put(&end, h->negative_spans, h->negative_span_count * spans_size);
    ASSERT((size_t)(end - (char *)copy) == size);
    return copy;
}

bool histogram_is_stale(const struct histogram *h)
{
    return sample_value_is_stale(h->sum);
}

/* Upstream takes bounds inside a power of two from a table whose digits are a little off: this many
 * units in the last place from 2^(i/256). The same bits matter where bounds are shown or compared.
 */
static const int8_t histogram_bound_ulps[1 << HISTOGRAM_SCHEMA_MAX] = {
    0,  0,  0,  0,  0,  0,  -1, 0,  0,  0,  -1, 0,  0,  0,  0,  0,  0,  0,  -1, -2, 0,  0,  -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, 0,  0,  -1, 0,  0,  0,  -1, 0,  0,  -1, -1, -1, 0,  0,  -1, -1,
    0,  0,  -1, -1, 0,  1,  -1, -1, 0,  0,  -1, -1, 0,  0,  -1, -1, 0,  0,  0,  0,  0,  0,  -1, -1,
    -1, -1, -2, -2, -1, 0,  -2, -1, 0,  0,  -1, 0,  0,  0,  -1, 0,  0,  0,  0,  -1, 0,  0,  0,  0,
    0,  0,  0,  -1, 0,  1,  0,  0,  -1, 0,  -2, -2, 0,  0,  -1, -1, 0,  -1, -1, -1, 0,  0,  -1, 0,
    -1, 0,  -2, -2, -1, -1, -1, -1, -1, 0,  -1, 0,  -1, -1, -2, -2, -1, -1, -2, -1, -1, 0,  -1, -1,
    -1, -1, -1, -1, -1, -1, -2, -1, -2, -1, -2, -2, -2, -1, -2, -2, 0,  0,  -1, -1, 0,  0,  -1, 0,
    -1, -1, -2, -2, -1, 0,  -2, -2, -1, -1, -2, -2, -1, 0,  -1, -1, -2, -1, -2, -2, -1, -1, -2, -1,
    -1, -1, -3, -2, -1, -1, -2, -1, -2, -2, -3, -2, -2, -2, -3, -2, -2, -2, -2, -2, -2, -2, -3, -3,
    -3, -3, -4, -4, -3, -2, -4, -3, -1, -1, -2, -1, -1, -2, -2, -2, -2, -1, -3, -3, -1, -1, -2, -2,
    -2, -1, -3, -2, -1, -1, -2, -2, -2, -2, -4, -3, -2, -2, -3, -3,
};

static double histogram_bound_custom(const struct histogram *h, int32_t index)
{
    if (index < 0)
        return -INFINITY;
    return (uint32_t)index < h->custom_value_count ? h->custom_values[index] : INFINITY;
}

double histogram_bound(const struct histogram *h, int32_t index)
{
    int64_t exponent;
    uint64_t bits;
    double bound;

    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return histogram_bound_custom(h, index);
    ASSERT(h->schema >= HISTOGRAM_SCHEMA_MIN && h->schema <= HISTOGRAM_SCHEMA_MAX);
    if (h->schema <= 0) {
        exponent = (int64_t)index * (INT64_C(1) << -h->schema);
        if (exponent == DBL_MAX_EXP)
            return DBL_MAX;
        return ldexp(1, exponent < -2000 ? -2000 : exponent > 2000 ? 2000 : (int)exponent);
    }
    /* 2^(index / 2^schema), the whole part of the exponent apart, so that no digit is lost. */
    const unsigned part = (unsigned)index & ((1u << h->schema) - 1);

    exponent = (int64_t)index >> h->schema;
    bound = exp2((double)part / (double)(1 << h->schema));
    memcpy(&bits, &bound, sizeof(bits));
    bits += (uint64_t)(int64_t)histogram_bound_ulps[part << (HISTOGRAM_SCHEMA_MAX - h->schema)];
    memcpy(&bound, &bits, sizeof(bound));
    if (bound == 1 && exponent == DBL_MAX_EXP)
        return DBL_MAX;
    return ldexp(bound, exponent < -2000 ? -2000 : exponent > 2000 ? 2000 : (int)exponent);
}
