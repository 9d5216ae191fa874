/* SPDX-License-Identifier: Apache-2.0 */
#include "support/gen_histogram.h"

#include <string.h>

void gen_histogram_init(struct gen_histogram *h, struct gen *gen)
{
    memset(h, 0, sizeof(*h));
    h->gen = gen;
    h->is_float = gen_chance(gen, 3);
    h->is_gauge = gen_chance(gen, 5);
    h->schema = gen_chance(gen, 4) ? HISTOGRAM_SCHEMA_CUSTOM : (int32_t)gen_between(gen, -4, 8);
    for (unsigned i = 0; i < GEN_HISTOGRAM_BUCKETS; i++)
        h->bounds[i] = (double)i / 4;
}

static void reset_counts(struct gen_histogram *h)
{
    memset(h->counts, 0, sizeof(h->counts));
    h->zero_count = 0;
    h->sum = 0;
}

/* Life goes on: observations, and rarely something else. */
static void step(struct gen_histogram *h)
{
    struct gen *gen = h->gen;
    const unsigned signs = h->schema == HISTOGRAM_SCHEMA_CUSTOM ? 1 : 2;

    if (gen_chance(gen, 12))
        reset_counts(h);
    if (gen_chance(gen, 30))
        h->is_float = !h->is_float;
    if (gen_chance(gen, 40))
        h->is_gauge = !h->is_gauge;
    if (gen_chance(gen, 40)) {
        reset_counts(h);
        h->schema = gen_chance(gen, 4) ? HISTOGRAM_SCHEMA_CUSTOM : (int32_t)gen_between(gen, -4, 8);
    }
    if (h->is_gauge && gen_chance(gen, 2))
        reset_counts(h);
    for (uint64_t n = gen_below(gen, 8); n > 0; n--) {
        const uint64_t i = gen_below(gen, gen_chance(gen, 10) ? GEN_HISTOGRAM_BUCKETS : 6);

        h->counts[gen_below(gen, signs)][i] += gen_below(gen, gen_chance(gen, 9) ? 100000 : 9);
        h->sum += (double)gen_below(gen, 1000) / 8;
    }
    if (signs == 2)
        h->zero_count += gen_below(gen, 3);
}

/* Writes spans and buckets of one sign; an empty bucket is in or not by chance. */
static uint64_t fill_sign(struct gen_histogram *h, unsigned sign, uint32_t *span_count,
                          uint32_t *bucket_count)
{
    uint64_t total = 0, before = 0;
    uint32_t spans = 0, buckets = 0;
    int32_t gap = 0;

    for (unsigned i = 0; i < GEN_HISTOGRAM_BUCKETS; i++) {
        const uint64_t count = h->counts[sign][i];

        if (count == 0 && !gen_chance(h->gen, 20)) {
            gap++;
            continue;
        }
        if (spans == 0 || gap > 0)
            h->spans[sign][spans++] = (struct histogram_span){gap, 0};
        gap = 0;
        h->spans[sign][spans - 1].length++;
        h->deltas[sign][buckets] = (int64_t)(count - before);
        h->floats[sign][buckets++] = (double)count;
        before = count;
        total += count;
    }
    *span_count = spans;
    *bucket_count = buckets;
    return total;
}

const struct histogram *gen_histogram_next(struct gen_histogram *h)
{
    struct histogram *out = &h->histogram;
    uint64_t total;
    bool is_custom;

    if (gen_chance(h->gen, 25)) {
        *out = (struct histogram){.is_float = h->is_float,
                                  .sum = sample_value_from_bits(SAMPLE_STALE_BITS)};
        return out;
    }
    step(h);
    is_custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (is_custom) {
        memset(h->counts[1], 0, sizeof(h->counts[1]));
        h->zero_count = 0;
    }
    *out = (struct histogram){.schema = h->schema,
                              .is_float = h->is_float,
                              .zero_threshold = is_custom ? 0 : 0x1p-128,
                              .sum = h->sum,
                              .reset = h->is_gauge ? HISTOGRAM_GAUGE : HISTOGRAM_RESET_UNKNOWN,
                              .positive_spans = h->spans[0],
                              .negative_spans = h->spans[1],
                              .custom_values = h->bounds,
                              .custom_value_count = is_custom ? GEN_HISTOGRAM_BUCKETS - 1 : 0};
    total = fill_sign(h, 0, &out->positive_span_count, &out->positive_count);
    if (is_custom)
        out->negative_span_count = out->negative_count = 0;
    else
        total += fill_sign(h, 1, &out->negative_span_count, &out->negative_count);
    total += h->zero_count;
    if (h->is_float) {
        out->f.count = (double)total;
        out->f.zero_count = (double)h->zero_count;
        out->f.positive_counts = h->floats[0];
        out->f.negative_counts = h->floats[1];
    } else {
        out->i.count = total;
        out->i.zero_count = h->zero_count;
        out->i.positive_deltas = h->deltas[0];
        out->i.negative_deltas = h->deltas[1];
    }
    return out;
}
