/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "codec/wide_chunk.h"
#include "codec/wide_chunk_internal.h"

static struct bit_reader reader_of(struct slice bytes)
{
    struct bit_reader r = {.bytes = (const uint8_t *)bytes.data,
                           .bit_count = (uint32_t)(bytes.len * 8)};

    r.bit = WIDE_CHUNK_HEADER_SIZE * 8;
    return r;
}

bool wide_chunk_t_min(struct slice bytes, int64_t *t_ms)
{
    struct bit_reader r;

    if (wide_chunk_kind(bytes) == 0 || wide_chunk_count(bytes) == 0)
        return false;
    r = reader_of(bytes);
    *t_ms = (int64_t)bit_reader_get(&r, 64);
    return !r.overrun;
}

void wide_iter_init(struct wide_iter *it, struct slice bytes, struct arena *layouts)
{
    const unsigned kind = bytes.len > UINT32_MAX / 8 ? 0 : wide_chunk_kind(bytes);
    const unsigned reset = kind == 0 ? 0 : (unsigned)(uint8_t)bytes.data[0] >> WIDE_RESET_SHIFT;

    *it = (struct wide_iter){.layouts = layouts};
    if (kind == 0 || reset > HISTOGRAM_GAUGE || reset == HISTOGRAM_RESET_NO ||
        (kind == WIDE_FLOAT && reset != 0)) {
        it->err = ERR_CORRUPT;
        return;
    }
    it->r = reader_of(bytes);
    it->total = wide_chunk_count(bytes);
    it->state.kind = (enum wide_kind)kind;
    it->state.reset = (enum histogram_reset)reset;
    it->state.lanes = arena_alloc(layouts, WIDE_LANES_FIXED * sizeof(struct wide_lane));
    if (it->state.lanes == NULL)
        it->err = ERR_LIMIT;
    else
        wide_lanes_init_fixed(it->state.lanes, it->state.kind);
}

/* Spans of one sign, and how many buckets they have. */
static enum err get_spans(struct wide_iter *it, struct histogram_span **spans, uint32_t *count,
                          uint32_t *buckets)
{
    uint64_t sum = 0;

    *count = (uint32_t)bit_reader_get(&it->r, WIDE_COUNT_BITS);
    /* A span takes two bits at least, so that an impossible count asks for no memory. */
    if (*count > WIDE_CHUNK_BUCKETS_MAX || *count > (it->r.bit_count - it->r.bit) / 2)
        return ERR_CORRUPT;
    *spans = *count == 0 ? NULL : ARENA_ARRAY(it->layouts, struct histogram_span, *count);
    if (*spans == NULL && *count > 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < *count; i++) {
        const int64_t offset = (int64_t)wide_get_int(&it->r);
        const uint64_t length = wide_get_int(&it->r);

        if (offset < INT32_MIN || offset > INT32_MAX || length > WIDE_CHUNK_BUCKETS_MAX)
            return ERR_CORRUPT;
        (*spans)[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
        sum += length;
        if (sum > WIDE_CHUNK_BUCKETS_MAX)
            return ERR_CORRUPT;
    }
    *buckets = (uint32_t)sum;
    return ERR_OK;
}

static enum err get_customs(struct wide_iter *it, struct wide_layout *layout)
{
    const uint32_t count = (uint32_t)bit_reader_get(&it->r, WIDE_COUNT_BITS);

    if (count > (it->r.bit_count - it->r.bit) / 64 || count > WIDE_CHUNK_BUCKETS_MAX)
        return ERR_CORRUPT;
    layout->custom_value_count = count;
    if (count == 0)
        return ERR_OK;
    layout->custom_values = ARENA_ARRAY(it->layouts, double, count);
    if (layout->custom_values == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++)
        layout->custom_values[i] = sample_value_from_bits(bit_reader_get(&it->r, 64));
    return ERR_OK;
}

static enum err get_layout(struct wide_iter *it)
{
    struct wide_state *state = &it->state;
    struct wide_layout layout = {.schema =
                                     (int8_t)(uint8_t)bit_reader_get(&it->r, WIDE_SCHEMA_BITS)};
    struct wide_lane *lanes;
    uint32_t count;
    enum err err;

    layout.zero_threshold = WIDE_ZERO_THRESHOLD;
    if (bit_reader_get(&it->r, 1) == 1)
        layout.zero_threshold =
            bit_reader_get(&it->r, 1) == 0 ? 0 : sample_value_from_bits(bit_reader_get(&it->r, 64));
    err =
        get_spans(it, &layout.positive_spans, &layout.positive_span_count, &layout.positive_count);
    if (err == ERR_OK)
        err = get_spans(it, &layout.negative_spans, &layout.negative_span_count,
                        &layout.negative_count);
    if (err == ERR_OK)
        err = get_customs(it, &layout);
    if (err != ERR_OK)
        return err;
    count = wide_lane_count(&layout);
    /* Each takes a bit at least. */
    if (it->r.overrun || count > it->r.bit_count - it->r.bit)
        return ERR_CORRUPT;
    lanes = arena_alloc(it->layouts, count * sizeof(*lanes));
    if (lanes == NULL)
        return ERR_LIMIT;
    memcpy(lanes, state->lanes, WIDE_LANES_FIXED * sizeof(*lanes));
    for (uint32_t i = WIDE_LANES_FIXED; i < count; i++)
        lanes[i] = wide_lane_new(state->kind == WIDE_FLOAT_HISTOGRAM);
    state->lanes = lanes;
    state->layout = layout;
    state->has_layout = true;
    return ERR_OK;
}

/* Reads integer counts; the buckets as deltas into `to`. */
static void get_ints(struct wide_iter *it, struct histogram *h, int64_t *to)
{
    struct wide_lane *lanes = it->state.lanes;
    uint64_t before = 0;

    h->i.count = wide_get_int_lane(&lanes[WIDE_LANE_COUNT], &it->r);
    h->i.zero_count = wide_get_int_lane(&lanes[WIDE_LANE_ZERO], &it->r);
    h->i.positive_deltas = to;
    h->i.negative_deltas = to + h->positive_count;
    lanes += WIDE_LANES_FIXED;
    for (uint32_t i = 0; i < h->positive_count + h->negative_count; i++) {
        const uint64_t bucket = wide_get_int_lane(&lanes[i], &it->r);

        if (i == h->positive_count)
            before = 0;
        to[i] = (int64_t)(bucket - before);
        before = bucket;
    }
}

static void get_floats(struct wide_iter *it, struct histogram *h, double *to)
{
    struct wide_lane *lanes = it->state.lanes;

    h->f.count = sample_value_from_bits(wide_get_float_lane(&lanes[WIDE_LANE_COUNT], &it->r));
    h->f.zero_count = sample_value_from_bits(wide_get_float_lane(&lanes[WIDE_LANE_ZERO], &it->r));
    h->f.positive_counts = to;
    h->f.negative_counts = to + h->positive_count;
    lanes += WIDE_LANES_FIXED;
    for (uint32_t i = 0; i < h->positive_count + h->negative_count; i++)
        to[i] = sample_value_from_bits(wide_get_float_lane(&lanes[i], &it->r));
}

/* In a chunk of counters only the first one can be a reset; of a chunk's first one nothing else is
 * known, since what came before may be gone, as upstream has it. */
static enum histogram_reset reset_of(const struct wide_state *state)
{
    if (state->reset == HISTOGRAM_GAUGE)
        return HISTOGRAM_GAUGE;
    return state->count > 0 ? HISTOGRAM_RESET_NO : state->reset;
}

static enum err get_histogram(struct wide_iter *it, struct arena *arena, struct histogram **out)
{
    struct wide_state *state = &it->state;
    const struct wide_layout *layout = &state->layout;
    struct histogram *h;
    enum err err = ERR_OK;

    STATIC_ASSERT(sizeof(int64_t) == sizeof(double), "buckets of either kind");
    state->is_stale = false;
    if (bit_reader_get(&it->r, 1) == 1) {
        if (bit_reader_get(&it->r, 1) == 1)
            err = get_layout(it);
        else
            state->is_stale = true;
    }
    if (err != ERR_OK)
        return err;
    if (state->is_stale) {
        h = ARENA_NEW(arena, struct histogram);
        if (h == NULL)
            return ERR_LIMIT;
        h->is_float = state->kind == WIDE_FLOAT_HISTOGRAM;
        h->sum = sample_value_from_bits(SAMPLE_STALE_BITS);
        *out = h;
        return ERR_OK;
    }
    if (!state->has_layout)
        return ERR_CORRUPT;
    h = arena_alloc(arena, sizeof(*h) + ((size_t)layout->positive_count + layout->negative_count) *
                                            sizeof(int64_t));
    if (h == NULL)
        return ERR_LIMIT;
    *h = (struct histogram){
        .schema = layout->schema,
        .reset = reset_of(state),
        .is_float = state->kind == WIDE_FLOAT_HISTOGRAM,
        .zero_threshold = layout->zero_threshold,
        .positive_spans = layout->positive_spans,
        .negative_spans = layout->negative_spans,
        .custom_values = layout->custom_values,
        .positive_span_count = layout->positive_span_count,
        .negative_span_count = layout->negative_span_count,
        .positive_count = layout->positive_count,
        .negative_count = layout->negative_count,
        .custom_value_count = layout->custom_value_count,
    };
    h->sum = sample_value_from_bits(wide_get_float_lane(&state->lanes[WIDE_LANE_SUM], &it->r));
    if (h->is_float)
        get_floats(it, h, (double *)(h + 1));
    else
        get_ints(it, h, (int64_t *)(h + 1));
    *out = h;
    return ERR_OK;
}

static void get_times(struct wide_iter *it, struct wide_sample *out)
{
    struct wide_state *state = &it->state;
    uint64_t near_ms;

    if (state->count == 0) {
        state->t_ms = (int64_t)bit_reader_get(&it->r, 64);
        near_ms = (uint64_t)state->t_ms;
    } else {
        near_ms = (uint64_t)state->t_ms;
        state->dt_ms += wide_get_int(&it->r);
        state->t_ms = (int64_t)((uint64_t)state->t_ms + state->dt_ms);
    }
    if (bit_reader_get(&it->r, 1) == 1)
        state->start_t_ms = (int64_t)(near_ms + wide_get_int(&it->r));
    out->t_ms = state->t_ms;
    out->start_t_ms = state->start_t_ms;
}

bool wide_iter_next(struct wide_iter *it, struct arena *arena, struct wide_sample *out)
{
    struct histogram *h = NULL;

    if (it->err != ERR_OK || it->state.count == it->total)
        return false;
    get_times(it, out);
    if (it->state.kind == WIDE_FLOAT) {
        out->v =
            sample_value_from_bits(wide_get_float_lane(&it->state.lanes[WIDE_LANE_SUM], &it->r));
    } else {
        it->err = get_histogram(it, arena, &h);
        out->histogram = h;
    }
    if (it->err == ERR_OK && it->r.overrun)
        it->err = ERR_CORRUPT;
    if (it->err != ERR_OK)
        return false;
    it->state.count++;
    return true;
}
