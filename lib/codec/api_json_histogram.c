/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/number.h"
#include "codec/api_json.h"

/* The buckets of a histogram on their way out, from the lowest to the highest. */
struct bucket_walk {
    struct buf *out;
    const struct histogram *h;
    bool is_first;
};

struct bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
};

static void bucket_quoted(struct buf *out, double v)
{
    buf_add_byte(out, '"');
    number_add_double(out, v, NUMBER_API);
    buf_add_byte(out, '"');
}

/* [b,"lower","upper","count"], b: 0 = (lo,hi], 1 = [lo,hi), 2 = open, 3 = closed. */
static void bucket_put(struct bucket_walk *walk, const struct bucket *bucket)
{
    struct buf *out = walk->out;
    const char kinds[2][2] = {{'2', '0'}, {'1', '3'}};

    if (bucket->count == 0)
        return;
    buf_add_cstr(out, walk->is_first ? ",\"buckets\":[" : ",");
    walk->is_first = false;
    buf_add_byte(out, '[');
    buf_add_byte(out, kinds[bucket->lower_inclusive][bucket->upper_inclusive]);
    buf_add_byte(out, ',');
    bucket_quoted(out, bucket->lower);
    buf_add_byte(out, ',');
    bucket_quoted(out, bucket->upper);
    buf_add_byte(out, ',');
    bucket_quoted(out, bucket->count);
    buf_add_byte(out, ']');
}

static void bucket_put_index(struct bucket_walk *walk, int32_t index, double count, bool negative)
{
    const struct histogram *h = walk->h;
    const double far = histogram_bound(h, index), near = histogram_bound(h, index - 1);
    struct bucket bucket = {.count = count};

    bucket.lower = negative ? -far : near;
    bucket.upper = negative ? -near : far;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        bucket.lower_inclusive = index == 0;
        bucket.upper_inclusive = true;
    } else {
        bucket.lower_inclusive = bucket.lower < 0;
        bucket.upper_inclusive = bucket.upper > 0;
        /* The zero bucket may reach into its neighbours. */
        if (bucket.upper < 0 && bucket.upper > -h->zero_threshold)
            bucket.upper = -h->zero_threshold;
        if (bucket.lower > 0 && bucket.lower < h->zero_threshold)
            bucket.lower = h->zero_threshold;
    }
    bucket_put(walk, &bucket);
}

/* Counts are deltas in an integer histogram: `count` carries the one before. */
static double bucket_count(const struct histogram *h, bool negative, uint32_t i, int64_t *count)
{
    if (h->is_float)
        return negative ? h->f.negative_counts[i] : h->f.positive_counts[i];
    *count = (int64_t)((uint64_t)*count +
                       (uint64_t)(negative ? h->i.negative_deltas[i] : h->i.positive_deltas[i]));
    return (double)*count;
}

static void bucket_put_positive(struct bucket_walk *walk)
{
    const struct histogram *h = walk->h;
    uint32_t at = 0;
    int64_t index = 0, count = 0;

    for (uint32_t s = 0; s < h->positive_span_count; s++) {
        index += h->positive_spans[s].offset;
        for (uint32_t i = 0; i < h->positive_spans[s].length && at < h->positive_count; i++)
            bucket_put_index(walk, (int32_t)index++, bucket_count(h, false, at++, &count), false);
    }
}

/* From the bucket farthest from zero to the nearest: backwards, so deltas are summed first. */
static void bucket_put_negative(struct bucket_walk *walk)
{
    const struct histogram *h = walk->h;
    uint32_t at = h->negative_count;
    int64_t index = 0, count = 0;

    for (uint32_t s = 0; s < h->negative_span_count; s++)
        index += (int64_t)h->negative_spans[s].offset + h->negative_spans[s].length;
    if (!h->is_float) {
        for (uint32_t i = 0; i < at; i++)
            count = (int64_t)((uint64_t)count + (uint64_t)h->i.negative_deltas[i]);
    }
    for (uint32_t s = h->negative_span_count; s-- > 0;) {
        for (uint32_t i = h->negative_spans[s].length; i-- > 0 && at > 0;) {
            at--;
            index--;
            bucket_put_index(walk, (int32_t)index,
                             h->is_float ? h->f.negative_counts[at] : (double)count, true);
            if (!h->is_float)
                count = (int64_t)((uint64_t)count - (uint64_t)h->i.negative_deltas[at]);
        }
        index -= h->negative_spans[s].offset;
    }
}

void api_json_histogram(struct buf *out, const struct histogram *h)
{
    struct bucket_walk walk = {.out = out, .h = h, .is_first = true};
    const struct bucket zero = {
        .lower = -h->zero_threshold,
        .upper = h->zero_threshold,
        .count = h->is_float ? h->f.zero_count : (double)h->i.zero_count,
        .lower_inclusive = true,
        .upper_inclusive = true,
    };

    buf_add_cstr(out, "{\"count\":");
    bucket_quoted(out, h->is_float ? h->f.count : (double)h->i.count);
    buf_add_cstr(out, ",\"sum\":");
    bucket_quoted(out, h->sum);
    bucket_put_negative(&walk);
    bucket_put(&walk, &zero);
    bucket_put_positive(&walk);
    buf_add_cstr(out, walk.is_first ? "}" : "]}");
}
