/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_text.h"

#include "base/mem.h"
#include "base/number.h"

struct text_bucket {
    int32_t index;
    double count; /* of a float histogram */
    uint64_t int_count;
};

static void text_print_count(struct buf *out, const struct histogram *h, double count,
                             uint64_t int_count)
{
    if (h->is_float)
        number_add_double(out, count, NUMBER_G);
    else
        number_add_uint64(out, int_count);
}

struct text_bounds {
    double lower, upper;
    bool has_lower, has_upper; /* whether the bound itself is inside */
};

static void text_print_bounds(struct buf *out, struct text_bounds bounds)
{
    buf_add_cstr(out, bounds.has_lower ? ", [" : ", (");
    number_add_double(out, bounds.lower, NUMBER_G);
    buf_add_byte(out, ',');
    number_add_double(out, bounds.upper, NUMBER_G);
    buf_add_cstr(out, bounds.has_upper ? "]:" : "):");
}

/* The buckets of one side that are not empty. */
static uint32_t text_list_buckets(const struct histogram *h, bool positive,
                                  struct text_bucket *buckets)
{
    const struct histogram_span *spans = positive ? h->positive_spans : h->negative_spans;
    const uint32_t span_count = positive ? h->positive_span_count : h->negative_span_count;
    int64_t index = 0, int_count = 0;
    uint32_t at = 0, count = 0;

    for (uint32_t s = 0; s < span_count; s++) {
        index += spans[s].offset;
        for (uint32_t i = 0; i < spans[s].length; i++, at++, index++) {
            struct text_bucket bucket = {.index = (int32_t)index};

            if (h->is_float) {
                bucket.count = (positive ? h->f.positive_counts : h->f.negative_counts)[at];
            } else {
                int_count += (positive ? h->i.positive_deltas : h->i.negative_deltas)[at];
                bucket.int_count = (uint64_t)int_count;
            }
            if (h->is_float ? bucket.count != 0 : bucket.int_count != 0)
                buckets[count++] = bucket;
        }
    }
    return count;
}

static void text_print_negative(struct buf *out, const struct histogram *h,
                                struct text_bucket *buckets)
{
    for (uint32_t i = text_list_buckets(h, false, buckets); i > 0; i--) {
        const struct text_bucket *bucket = &buckets[i - 1];

        text_print_bounds(out, (struct text_bounds){-histogram_bound(h, bucket->index),
                                                    -histogram_bound(h, bucket->index - 1), true,
                                                    false});
        text_print_count(out, h, bucket->count, bucket->int_count);
    }
}

static void text_print_positive(struct buf *out, const struct histogram *h,
                                struct text_bucket *buckets)
{
    const bool is_custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    const uint32_t count = text_list_buckets(h, true, buckets);

    for (uint32_t i = 0; i < count; i++) {
        text_print_bounds(out, (struct text_bounds){histogram_bound(h, buckets[i].index - 1),
                                                    histogram_bound(h, buckets[i].index),
                                                    is_custom && buckets[i].index == 0, true});
        text_print_count(out, h, buckets[i].count, buckets[i].int_count);
    }
}

void histogram_text_print(struct buf *out, const struct histogram *h)
{
    const uint32_t bucket_max =
        h->positive_count > h->negative_count ? h->positive_count : h->negative_count;
    struct text_bucket *buckets = mem_alloc(((size_t)bucket_max + 1) * sizeof(*buckets));

    buf_add_cstr(out, "{count:");
    text_print_count(out, h, h->is_float ? h->f.count : 0, h->is_float ? 0 : h->i.count);
    buf_add_cstr(out, ", sum:");
    number_add_double(out, h->sum, NUMBER_G);
    text_print_negative(out, h, buckets);
    if (h->is_float ? h->f.zero_count != 0 : h->i.zero_count != 0) {
        text_print_bounds(out,
                          (struct text_bounds){-h->zero_threshold, h->zero_threshold, true, true});
        text_print_count(out, h, h->is_float ? h->f.zero_count : 0,
                         h->is_float ? 0 : h->i.zero_count);
    }
    text_print_positive(out, h, buckets);
    buf_add_byte(out, '}');
    mem_free(buckets);
}
