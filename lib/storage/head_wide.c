/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_wide.h"

#include "storage/head_internal.h"

enum {
    /* As upstream: about 1 KiB a chunk, but not so few samples that layouts weigh more. */
    SIZE_TARGET = 1024,
    SAMPLES_MIN = 10,
    SIZE_MAX_WIDE = 64 << 10,
};

static void count_memory(struct head *head, size_t before, size_t after)
{
    atomic_fetch_add(&head->wide_bytes, after - before); /* modulo 2^64 */
}

static void set_open(struct head *head, struct series_hot *hot, struct wide_encoder *encoder)
{
    ASSERT(hot->open == NULL);
    hot->open = (uint8_t *)(void *)encoder;
    hot->open_units = 0;
    hot->bit_count = 0;
    hot->trailing |= HEAD_HOT_WIDE;
    hot->count = (uint8_t)wide_encoder_count(encoder);
    count_memory(head, 0, wide_encoder_memory(encoder));
}

void head_wide_open(struct head *head, struct series_hot *hot, struct wide_encoder *encoder)
{
    if ((hot->trailing & HEAD_HOT_FLAGS) == 0)
        hot->trailing = 0;
    set_open(head, hot, encoder);
}

void head_wide_reset(struct head *head, struct series_hot *hot)
{
    struct wide_encoder *encoder = head_wide_encoder(hot);

    ASSERT((hot->trailing & HEAD_HOT_WIDE) != 0);
    count_memory(head, wide_encoder_memory(encoder), 0);
    wide_encoder_free(encoder);
    hot->open = NULL;
    hot->count = 0;
    hot->trailing &= (uint8_t)~HEAD_HOT_WIDE;
}

void head_wide_set_newest(struct series_hot *hot, enum head_newest newest)
{
    /* A window of an XOR chunk lies in the same bits: only an open one needs it. */
    if ((hot->trailing & HEAD_HOT_FLAGS) == 0) {
        if (newest == HEAD_NEWEST_FLOAT)
            return;
        ASSERT(hot->count == 0);
    }
    hot->trailing = (uint8_t)((hot->trailing & HEAD_HOT_WIDE) | HEAD_HOT_OF(newest));
}

static enum wide_kind kind_of(const struct head_wide_append *append)
{
    if (!append->is_histogram)
        return WIDE_FLOAT;
    return append->sample.histogram->is_float ? WIDE_FLOAT_HISTOGRAM : WIDE_HISTOGRAM;
}

static bool is_full(struct wide_encoder *encoder)
{
    const size_t size = wide_encoder_bytes(encoder).len;
    const uint32_t count = wide_encoder_count(encoder);

    return count >= HEAD_CHUNK_SAMPLES || size >= SIZE_MAX_WIDE ||
           (size >= SIZE_TARGET && count >= SAMPLES_MIN);
}

/* How the sample goes on from the open chunk. */
static enum wide_turn turn_of(const struct series_hot *hot, const struct head_wide_append *append)
{
    struct wide_encoder *encoder = head_wide_encoder(hot);
    enum wide_turn turn;

    if ((hot->trailing & HEAD_HOT_WIDE) == 0)
        return WIDE_CUT;
    if (append->is_histogram)
        turn = wide_encoder_turn(encoder, append->sample.histogram);
    else
        turn = wide_encoder_kind(encoder) == WIDE_FLOAT ? WIDE_GOES_ON : WIDE_CUT;
    if (turn == WIDE_GOES_ON && (hot->t_ms < append->window_min_ms || is_full(encoder)))
        turn = WIDE_CUT;
    return turn;
}

bool head_wide_takes_float(const struct series_hot *hot, int64_t window_min_ms)
{
    const struct head_wide_append append = {.window_min_ms = window_min_ms};

    return hot->count > 0 && turn_of(hot, &append) == WIDE_GOES_ON;
}

/* What is known of the first histogram of a new chunk. */
static enum histogram_reset reset_of(const struct head_wide_append *append, enum wide_turn turn)
{
    const enum histogram_reset hint =
        append->is_histogram ? append->sample.histogram->reset : HISTOGRAM_RESET_UNKNOWN;

    if (hint == HISTOGRAM_GAUGE)
        return HISTOGRAM_GAUGE;
    return turn == WIDE_CUT_RESET || hint == HISTOGRAM_RESET_YES ? HISTOGRAM_RESET_YES
                                                                 : HISTOGRAM_RESET_UNKNOWN;
}

unsigned head_wide_append(struct head *head, struct series_hot *hot,
                          const struct head_wide_append *append)
{
    const enum wide_kind kind = kind_of(append);
    enum wide_turn turn = WIDE_CUT;
    struct wide_encoder *encoder;
    size_t memory;

    head_chunk_note(head, hot, append->mark_seq);
    if (hot->count > 0)
        turn = turn_of(hot, append);
    if (hot->count > 0 && turn != WIDE_GOES_ON)
        head_chunk_seal(head, hot);
    if (hot->count == 0) {
        head_chunk_clear(head, hot);
        encoder = wide_encoder_new();
        wide_encoder_start(encoder, kind, reset_of(append, turn));
        hot->trailing = 0; /* the window of an XOR chunk that is no more */
        set_open(head, hot, encoder);
    }
    encoder = head_wide_encoder(hot);
    memory = wide_encoder_memory(encoder);
    wide_encoder_append(encoder, &append->sample);
    count_memory(head, memory, wide_encoder_memory(encoder));
    hot->count++;
    hot->t_ms = append->sample.t_ms;
    hot->v_bits = append->v_bits;
    head_wide_set_newest(hot, kind == WIDE_FLOAT             ? HEAD_NEWEST_FLOAT
                              : kind == WIDE_FLOAT_HISTOGRAM ? HEAD_NEWEST_FLOAT_HISTOGRAM
                                                             : HEAD_NEWEST_HISTOGRAM);
    return turn != WIDE_GOES_ON;
}

/* A chunk without its first sample says nothing of a reset before it. */
static enum histogram_reset rest_reset(const struct wide_iter *it, bool is_first)
{
    return is_first || it->state.reset == HISTOGRAM_GAUGE ? it->state.reset
                                                          : HISTOGRAM_RESET_UNKNOWN;
}

void head_wide_rewrite(struct slice bytes, const struct head_drop *drop, uint32_t visible,
                       struct head_wide_rest *rest)
{
    struct arena layouts, arena;
    struct wide_sample sample;
    struct wide_iter it;
    uint32_t i = 0;

    *rest = (struct head_wide_rest){0};
    arena_init(&layouts, NULL, 0);
    arena_init(&arena, NULL, 0);
    wide_iter_init(&it, bytes, &layouts);
    /* A chunk that a checkpoint brought may be bad: what cannot be read is not kept. */
    for (; wide_iter_next(&it, &arena, &sample); arena_reset(&arena), i++) {
        if (i < visible && sample.t_ms >= drop->t_min_ms && sample.t_ms < drop->t_end_ms) {
            rest->dropped++;
            continue;
        }
        if (rest->encoder == NULL) {
            rest->encoder = wide_encoder_new();
            wide_encoder_start(rest->encoder, it.state.kind, rest_reset(&it, i == 0));
        } else if (sample.t_ms <= rest->t_max_ms) {
            break;
        }
        rest->t_max_ms = sample.t_ms;
        wide_encoder_append(rest->encoder, &sample);
    }
    arena_fini(&layouts);
    arena_fini(&arena);
}
