/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/wide_chunk.h"

#include <string.h>

#include "base/mem.h"
#include "codec/wide_chunk_internal.h"

enum {
    BYTES_MIN = 64,
    SAMPLE_FIXED_SIZE = 48, /* time, start time, flags, schema, threshold, counts of the layout */
    LANE_SIZE_MAX = 10,     /* 13 bits of window and 64 of value */
    SPAN_SIZE_MAX = 10,     /* offset and length, at most 5 and 32 bits each */
};

struct wide_encoder {
    struct wide_state state;
    uint8_t *bytes; /* owned */
    size_t size;    /* of bytes */
    uint32_t bit_count;
    uint32_t lane_cap, span_cap, custom_cap;
    int64_t t_min_ms;
};

struct wide_encoder *wide_encoder_new(void)
{
    return mem_zalloc(1, sizeof(struct wide_encoder));
}

void wide_encoder_free(struct wide_encoder *encoder)
{
    if (encoder == NULL)
        return;
    mem_free(encoder->bytes);
    mem_free(encoder->state.lanes);
    mem_free(encoder->state.layout.positive_spans);
    mem_free(encoder->state.layout.custom_values);
    mem_free(encoder);
}

size_t wide_encoder_memory(const struct wide_encoder *encoder)
{
    return sizeof(*encoder) + encoder->size + encoder->lane_cap * sizeof(struct wide_lane) +
           encoder->span_cap * sizeof(struct histogram_span) + encoder->custom_cap * sizeof(double);
}

enum wide_kind wide_encoder_kind(const struct wide_encoder *encoder)
{
    return encoder->state.kind;
}

uint32_t wide_encoder_count(const struct wide_encoder *encoder)
{
    return encoder->state.count;
}

int64_t wide_encoder_t_min(const struct wide_encoder *encoder)
{
    ASSERT(encoder->state.count > 0);
    return encoder->t_min_ms;
}

int64_t wide_encoder_t_max(const struct wide_encoder *encoder)
{
    ASSERT(encoder->state.count > 0);
    return encoder->state.t_ms;
}

/* Room for `more` bytes behind those in use. */
static void encoder_reserve(struct wide_encoder *encoder, size_t more)
{
    const size_t needed = (encoder->bit_count + 7) / 8 + more;
    size_t size = encoder->size;

    if (needed <= size)
        return;
    if (size < BYTES_MIN)
        size = BYTES_MIN;
    while (size < needed)
        size += size / 2;
    encoder->bytes = mem_realloc(encoder->bytes, size);
    encoder->size = size;
}

static void encoder_reserve_lanes(struct wide_encoder *encoder, uint32_t count)
{
    if (count <= encoder->lane_cap)
        return;
    encoder->state.lanes = mem_realloc(encoder->state.lanes, count * sizeof(*encoder->state.lanes));
    encoder->lane_cap = count;
}

void wide_encoder_start(struct wide_encoder *encoder, enum wide_kind kind,
                        enum histogram_reset reset)
{
    struct wide_state *state = &encoder->state;

    ASSERT(reset != HISTOGRAM_RESET_NO);
    state->kind = kind;
    state->reset = reset;
    state->count = 0;
    state->start_t_ms = 0;
    state->t_ms = 0;
    state->dt_ms = 0;
    state->is_stale = false;
    state->has_layout = false;
    encoder->bit_count = WIDE_CHUNK_HEADER_SIZE * 8;
    encoder_reserve(encoder, 0);
    encoder_reserve_lanes(encoder, WIDE_LANES_FIXED);
    wide_lanes_init_fixed(state->lanes, kind);
    encoder->bytes[0] = (uint8_t)((unsigned)kind | (unsigned)reset << WIDE_RESET_SHIFT);
}

struct slice wide_encoder_bytes(struct wide_encoder *encoder)
{
    endian_put_u16be(encoder->bytes + 1, (uint16_t)encoder->state.count);
    return slice_of(encoder->bytes, (encoder->bit_count + 7) / 8);
}

/* ---- samples ---- */

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

static bool customs_eq(const struct wide_layout *layout, const struct histogram *h)
{
    return layout->custom_value_count == h->custom_value_count &&
           (h->custom_value_count == 0 ||
            memcmp(layout->custom_values, h->custom_values,
                   h->custom_value_count * sizeof(*h->custom_values)) == 0);
}

static bool layout_eq(const struct wide_layout *layout, const struct histogram *h)
{
    return layout->schema == h->schema &&
           sample_value_bits(layout->zero_threshold) == sample_value_bits(h->zero_threshold) &&
           spans_eq(layout->positive_spans, layout->positive_span_count, h->positive_spans,
                    h->positive_span_count) &&
           spans_eq(layout->negative_spans, layout->negative_span_count, h->negative_spans,
                    h->negative_span_count) &&
           customs_eq(layout, h);
}

/* Takes over the histogram's layout. */
static void encoder_set_layout(struct wide_encoder *encoder, const struct histogram *h)
{
    struct wide_layout *layout = &encoder->state.layout;
    struct histogram_span *spans = layout->positive_spans;
    double *custom_values = layout->custom_values;
    const uint32_t span_count = h->positive_span_count + h->negative_span_count;

    if (span_count > encoder->span_cap) {
        spans = mem_realloc(spans, span_count * sizeof(*spans));
        encoder->span_cap = span_count;
    }
    if (h->custom_value_count > encoder->custom_cap) {
        custom_values = mem_realloc(custom_values, h->custom_value_count * sizeof(*custom_values));
        encoder->custom_cap = h->custom_value_count;
    }
    if (h->positive_span_count > 0)
        memcpy(spans, h->positive_spans, h->positive_span_count * sizeof(*spans));
    if (h->negative_span_count > 0)
        memcpy(spans + h->positive_span_count, h->negative_spans,
               h->negative_span_count * sizeof(*spans));
    if (h->custom_value_count > 0)
        memcpy(custom_values, h->custom_values, h->custom_value_count * sizeof(*custom_values));
    *layout = (struct wide_layout){.schema = h->schema,
                                   .zero_threshold = h->zero_threshold,
                                   .positive_spans = spans,
                                   .negative_spans =
                                       spans == NULL ? NULL : spans + h->positive_span_count,
                                   .custom_values = custom_values,
                                   .positive_span_count = h->positive_span_count,
                                   .negative_span_count = h->negative_span_count,
                                   .custom_value_count = h->custom_value_count,
                                   .positive_count = h->positive_count,
                                   .negative_count = h->negative_count};
    encoder->state.has_layout = true;
    encoder_reserve_lanes(encoder, wide_lane_count(layout));
    /* The fixed lanes mean the same in every layout and go on. */
    for (uint32_t i = WIDE_LANES_FIXED; i < wide_lane_count(layout); i++)
        encoder->state.lanes[i] = wide_lane_new(encoder->state.kind == WIDE_FLOAT_HISTOGRAM);
}

static void put_spans(struct bit_writer *w, const struct histogram_span *spans, uint32_t count)
{
    bit_writer_put(w, count, WIDE_COUNT_BITS);
    for (uint32_t i = 0; i < count; i++) {
        wide_put_int(w, (uint64_t)(int64_t)spans[i].offset);
        wide_put_int(w, spans[i].length);
    }
}

static void put_layout(struct bit_writer *w, const struct wide_layout *layout)
{
    const uint64_t threshold = sample_value_bits(layout->zero_threshold);

    bit_writer_put(w, (uint8_t)layout->schema, WIDE_SCHEMA_BITS);
    if (threshold == sample_value_bits(WIDE_ZERO_THRESHOLD)) {
        bit_writer_put(w, 0, 1);
    } else if (threshold == 0) {
        bit_writer_put(w, 2, 2);
    } else {
        bit_writer_put(w, 3, 2);
        bit_writer_put(w, threshold, 64);
    }
    put_spans(w, layout->positive_spans, layout->positive_span_count);
    put_spans(w, layout->negative_spans, layout->negative_span_count);
    bit_writer_put(w, layout->custom_value_count, WIDE_COUNT_BITS);
    for (uint32_t i = 0; i < layout->custom_value_count; i++)
        bit_writer_put(w, sample_value_bits(layout->custom_values[i]), 64);
}

static void put_ints(struct wide_state *state, struct bit_writer *w, const struct histogram *h)
{
    struct wide_lane *lanes = state->lanes;
    uint64_t bucket = 0;

    wide_put_int_lane(&lanes[WIDE_LANE_COUNT], w, h->i.count);
    wide_put_int_lane(&lanes[WIDE_LANE_ZERO], w, h->i.zero_count);
    lanes += WIDE_LANES_FIXED;
    for (uint32_t i = 0; i < h->positive_count; i++) {
        bucket += (uint64_t)h->i.positive_deltas[i];
        wide_put_int_lane(lanes++, w, bucket);
    }
    bucket = 0;
    for (uint32_t i = 0; i < h->negative_count; i++) {
        bucket += (uint64_t)h->i.negative_deltas[i];
        wide_put_int_lane(lanes++, w, bucket);
    }
}

static void put_floats(struct wide_state *state, struct bit_writer *w, const struct histogram *h)
{
    struct wide_lane *lanes = state->lanes;

    wide_put_float_lane(&lanes[WIDE_LANE_COUNT], w, sample_value_bits(h->f.count));
    wide_put_float_lane(&lanes[WIDE_LANE_ZERO], w, sample_value_bits(h->f.zero_count));
    lanes += WIDE_LANES_FIXED;
    for (uint32_t i = 0; i < h->positive_count; i++)
        wide_put_float_lane(lanes++, w, sample_value_bits(h->f.positive_counts[i]));
    for (uint32_t i = 0; i < h->negative_count; i++)
        wide_put_float_lane(lanes++, w, sample_value_bits(h->f.negative_counts[i]));
}

static void put_histogram(struct wide_encoder *encoder, struct bit_writer *w,
                          const struct histogram *h)
{
    struct wide_state *state = &encoder->state;

    state->is_stale = histogram_is_stale(h);
    if (state->is_stale) {
        bit_writer_put(w, 2, 2);
        return;
    }
    if (state->has_layout && layout_eq(&state->layout, h)) {
        bit_writer_put(w, 0, 1);
    } else {
        bit_writer_put(w, 3, 2);
        encoder_set_layout(encoder, h);
        put_layout(w, &state->layout);
    }
    wide_put_float_lane(&state->lanes[WIDE_LANE_SUM], w, sample_value_bits(h->sum));
    if (state->kind == WIDE_HISTOGRAM)
        put_ints(state, w, h);
    else
        put_floats(state, w, h);
}

/* A start time is that of the sample before, or near the time before. */
static void put_start(struct wide_state *state, struct bit_writer *w,
                      const struct wide_sample *sample)
{
    if (sample->start_t_ms == state->start_t_ms) {
        bit_writer_put(w, 0, 1);
        return;
    }
    bit_writer_put(w, 1, 1);
    wide_put_int(w, (uint64_t)sample->start_t_ms - (uint64_t)state->t_ms);
    state->start_t_ms = sample->start_t_ms;
}

static size_t sample_size_max(const struct wide_state *state, const struct wide_sample *sample)
{
    const struct histogram *h = sample->histogram;

    if (state->kind == WIDE_FLOAT)
        return SAMPLE_FIXED_SIZE + LANE_SIZE_MAX;
    return SAMPLE_FIXED_SIZE +
           ((size_t)WIDE_LANES_FIXED + h->positive_count + h->negative_count) * LANE_SIZE_MAX +
           ((size_t)h->positive_span_count + h->negative_span_count) * SPAN_SIZE_MAX +
           h->custom_value_count * sizeof(double);
}

void wide_encoder_append(struct wide_encoder *encoder, const struct wide_sample *sample)
{
    struct wide_state *state = &encoder->state;
    const uint64_t dt_ms = (uint64_t)sample->t_ms - (uint64_t)state->t_ms;
    struct bit_writer w;

    ASSERT(state->kind != 0);
    ASSERT(state->count < WIDE_CHUNK_SAMPLES_MAX);
    encoder_reserve(encoder, sample_size_max(state, sample));
    w = (struct bit_writer){.bytes = encoder->bytes,
                            .bit = encoder->bit_count,
                            .bit_max = (uint32_t)(encoder->size * 8)};
    if (state->count == 0) {
        bit_writer_put(&w, (uint64_t)sample->t_ms, 64);
        encoder->t_min_ms = sample->t_ms;
        state->t_ms = sample->t_ms;
    } else {
        ASSERT(sample->t_ms > state->t_ms);
        wide_put_int(&w, dt_ms - state->dt_ms);
        state->dt_ms = dt_ms;
    }
    put_start(state, &w, sample);
    state->t_ms = sample->t_ms;
    if (state->kind == WIDE_FLOAT) {
        wide_put_float_lane(&state->lanes[WIDE_LANE_SUM], &w, sample_value_bits(sample->v));
    } else {
        ASSERT(sample->histogram->is_float == (state->kind == WIDE_FLOAT_HISTOGRAM) ||
               histogram_is_stale(sample->histogram));
        put_histogram(encoder, &w, sample->histogram);
    }
    encoder->bit_count = w.bit;
    state->count++;
}

/* ---- resets ---- */

/* Walks the buckets of one sign with their absolute indexes. */
struct bucket_walk {
    const struct histogram_span *spans;
    uint32_t span_count, span, in_span, place;
    int64_t index;
    bool ended;
};

static void bucket_walk_settle(struct bucket_walk *walk)
{
    while (walk->span < walk->span_count && walk->in_span == walk->spans[walk->span].length) {
        walk->in_span = 0;
        if (++walk->span < walk->span_count)
            walk->index += walk->spans[walk->span].offset;
    }
    walk->ended = walk->span == walk->span_count;
}

static struct bucket_walk bucket_walk_start(const struct histogram_span *spans, uint32_t count)
{
    struct bucket_walk walk = {.spans = spans, .span_count = count};

    if (count > 0)
        walk.index = spans[0].offset;
    bucket_walk_settle(&walk);
    return walk;
}

static void bucket_walk_next(struct bucket_walk *walk)
{
    walk->in_span++;
    walk->place++;
    walk->index++;
    bucket_walk_settle(walk);
}

/* Buckets of one sign, before and now. */
struct bucket_pair {
    const struct histogram_span *spans, *spans_now;
    uint32_t span_count, span_count_now;
    const struct wide_lane *lanes;
    const int64_t *deltas_now; /* of integers, else counts_now */
    const double *counts_now;
};

/* Whether what the lane had is more than the bucket now has; now NULL: there is no such bucket. */
static bool bucket_fell(const struct wide_lane *lane, const struct bucket_pair *pair,
                        uint32_t place, uint64_t now)
{
    if (pair->counts_now == NULL)
        return lane->prev > now;
    return sample_value_from_bits(lane->prev) > pair->counts_now[place];
}

static bool bucket_was_used(const struct wide_lane *lane, bool is_float)
{
    return is_float ? sample_value_from_bits(lane->prev) != 0 : lane->prev != 0;
}

/* Whether a bucket fell, or one that was in use is gone. */
static bool buckets_reset(const struct bucket_pair *pair, bool is_float)
{
    struct bucket_walk was = bucket_walk_start(pair->spans, pair->span_count);
    struct bucket_walk now = bucket_walk_start(pair->spans_now, pair->span_count_now);
    uint64_t count_now = 0;
    uint32_t summed = 0; /* of the deltas */

    while (!was.ended) {
        const struct wide_lane *lane = &pair->lanes[was.place];

        while (!now.ended && now.index < was.index)
            bucket_walk_next(&now);
        if (now.ended || now.index > was.index) {
            if (bucket_was_used(lane, is_float))
                return true;
        } else {
            if (!is_float)
                while (summed <= now.place)
                    count_now += (uint64_t)pair->deltas_now[summed++];
            if (bucket_fell(lane, pair, now.place, count_now))
                return true;
        }
        bucket_walk_next(&was);
    }
    return false;
}

static bool histogram_reset(const struct wide_state *state, const struct histogram *h)
{
    const struct wide_layout *layout = &state->layout;
    const struct wide_lane *lanes = state->lanes + WIDE_LANES_FIXED;
    const struct bucket_pair positive = {.spans = layout->positive_spans,
                                         .spans_now = h->positive_spans,
                                         .span_count = layout->positive_span_count,
                                         .span_count_now = h->positive_span_count,
                                         .lanes = lanes,
                                         .deltas_now = h->is_float ? NULL : h->i.positive_deltas,
                                         .counts_now = h->is_float ? h->f.positive_counts : NULL};
    const struct bucket_pair negative = {.spans = layout->negative_spans,
                                         .spans_now = h->negative_spans,
                                         .span_count = layout->negative_span_count,
                                         .span_count_now = h->negative_span_count,
                                         .lanes = lanes + layout->positive_count,
                                         .deltas_now = h->is_float ? NULL : h->i.negative_deltas,
                                         .counts_now = h->is_float ? h->f.negative_counts : NULL};

    return buckets_reset(&positive, h->is_float) || buckets_reset(&negative, h->is_float);
}

static bool count_fell(const struct wide_state *state, const struct histogram *h, unsigned lane)
{
    const uint64_t was = state->lanes[lane].prev;

    if (h->is_float)
        return (lane == WIDE_LANE_COUNT ? h->f.count : h->f.zero_count) <
               sample_value_from_bits(was);
    return (lane == WIDE_LANE_COUNT ? h->i.count : h->i.zero_count) < was;
}

enum wide_turn wide_encoder_turn(const struct wide_encoder *encoder, const struct histogram *h)
{
    const struct wide_state *state = &encoder->state;
    const bool is_gauge = h->reset == HISTOGRAM_GAUGE;

    ASSERT(state->count > 0);
    if (state->kind == WIDE_FLOAT)
        return WIDE_CUT;
    if (histogram_is_stale(h))
        return WIDE_GOES_ON;
    if (h->is_float != (state->kind == WIDE_FLOAT_HISTOGRAM))
        return h->reset == HISTOGRAM_RESET_YES ? WIDE_CUT_RESET : WIDE_CUT;
    if (h->reset == HISTOGRAM_RESET_YES)
        return WIDE_CUT_RESET; /* the sender knows */
    if (is_gauge != (state->reset == HISTOGRAM_GAUGE) || state->is_stale)
        return WIDE_CUT;
    if (is_gauge)
        return WIDE_GOES_ON;
    if (count_fell(state, h, WIDE_LANE_COUNT))
        return WIDE_CUT_RESET;
    if (h->schema != state->layout.schema || h->zero_threshold != state->layout.zero_threshold)
        return WIDE_CUT;
    if (!customs_eq(&state->layout, h) || count_fell(state, h, WIDE_LANE_ZERO) ||
        histogram_reset(state, h))
        return WIDE_CUT_RESET;
    return WIDE_GOES_ON;
}

/* ---- going on ---- */

enum err wide_encoder_resume(struct slice bytes, struct wide_encoder **out)
{
    struct arena layouts, samples;
    struct wide_sample sample;
    struct wide_encoder *encoder;
    struct wide_iter it;
    int64_t t_before_ms = 0;
    enum err err = ERR_OK;

    arena_init(&layouts, NULL, 0);
    arena_init(&samples, NULL, 0);
    encoder = wide_encoder_new();
    wide_iter_init(&it, bytes, &layouts);
    if (it.err == ERR_OK && it.total > 0)
        wide_encoder_start(encoder, it.state.kind, it.state.reset);
    while (err == ERR_OK && wide_iter_next(&it, &samples, &sample)) {
        if (encoder->state.count > 0 && sample.t_ms <= t_before_ms)
            err = ERR_CORRUPT;
        else
            wide_encoder_append(encoder, &sample);
        t_before_ms = sample.t_ms;
        arena_reset(&samples);
    }
    arena_fini(&layouts);
    arena_fini(&samples);
    if (err == ERR_OK && (it.err != ERR_OK || encoder->state.count == 0))
        err = ERR_CORRUPT;
    if (err != ERR_OK) {
        wide_encoder_free(encoder);
        return err;
    }
    *out = encoder;
    return ERR_OK;
}
