/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What writing and reading of wide chunks share: the codes of a lane, each a pair that mirrors. */

#include "codec/wide_chunk.h"
#include "model/sample.h"

enum {
    WIDE_LANE_SUM = 0, /* and the value of a float */
    WIDE_LANE_COUNT,
    WIDE_LANE_ZERO,
    WIDE_LANES_FIXED,
    WIDE_RESET_SHIFT = 4,
    WIDE_NO_WINDOW = 0xff,
    WIDE_LEADING_BITS = 5,
    WIDE_LEADING_MAX = (1 << WIDE_LEADING_BITS) - 1,
    WIDE_SIGNIFICANT_BITS = 6, /* 64 is written as 0 */
    WIDE_SCHEMA_BITS = 8,
    WIDE_COUNT_BITS = 15,
};

STATIC_ASSERT(WIDE_CHUNK_BUCKETS_MAX < 1 << WIDE_COUNT_BITS, "a count of buckets fits");

/* Most zero thresholds are this one. */
#define WIDE_ZERO_THRESHOLD 0x1p-128

/* An integer is one 0 bit when zero, else i+1 ones (a closing 0 below five) and wide_int_widths[i]
 * bits of two's complement. */
static const uint8_t wide_int_widths[] = {5, 10, 16, 32, 64};

static inline void wide_put_int(struct bit_writer *w, uint64_t v)
{
    const int64_t x = (int64_t)v;
    unsigned i = 0;

    if (x == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    while (wide_int_widths[i] < 64 && (x < -(INT64_C(1) << (wide_int_widths[i] - 1)) ||
                                       x >= INT64_C(1) << (wide_int_widths[i] - 1)))
        i++;
    if (i < COUNT_OF(wide_int_widths) - 1)
        bit_writer_put(w, (UINT64_C(4) << i) - 2, i + 2); /* i+1 ones and a 0 */
    else
        bit_writer_put(w, 0x1f, 5);
    bit_writer_put(w, v, wide_int_widths[i]);
}

static inline uint64_t wide_get_int(struct bit_reader *r)
{
    unsigned ones = 0, width;
    uint64_t bits;

    while (ones < COUNT_OF(wide_int_widths) && bit_reader_get(r, 1) == 1)
        ones++;
    if (ones == 0)
        return 0;
    width = wide_int_widths[ones - 1];
    bits = bit_reader_get(r, width);
    if (width < 64 && (bits >> (width - 1)) != 0)
        bits |= ~UINT64_C(0) << width;
    return bits;
}

static inline void wide_put_int_lane(struct wide_lane *lane, struct bit_writer *w, uint64_t v)
{
    const uint64_t delta = v - lane->prev;

    wide_put_int(w, delta - lane->delta);
    lane->prev = v;
    lane->delta = delta;
}

static inline uint64_t wide_get_int_lane(struct wide_lane *lane, struct bit_reader *r)
{
    lane->delta += wide_get_int(r);
    lane->prev += lane->delta;
    return lane->prev;
}

static inline void wide_put_float_lane(struct wide_lane *lane, struct bit_writer *w, uint64_t bits)
{
    const uint64_t x = bits ^ lane->prev;
    unsigned leading, trailing, significant;

    lane->prev = bits;
    if (x == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    leading = (unsigned)__builtin_clzll(x);
    trailing = (unsigned)__builtin_ctzll(x);
    if (leading > WIDE_LEADING_MAX)
        leading = WIDE_LEADING_MAX;
    if (lane->window.leading != WIDE_NO_WINDOW && leading >= lane->window.leading &&
        trailing >= lane->window.trailing) {
        bit_writer_put(w, 2, 2);
        bit_writer_put(w, x >> lane->window.trailing,
                       64u - lane->window.leading - lane->window.trailing);
        return;
    }
    significant = 64 - leading - trailing;
    lane->window.leading = (uint8_t)leading;
    lane->window.trailing = (uint8_t)trailing;
    bit_writer_put(w,
                   UINT64_C(3) << (WIDE_LEADING_BITS + WIDE_SIGNIFICANT_BITS) |
                       (uint64_t)leading << WIDE_SIGNIFICANT_BITS | (significant & 63),
                   2 + WIDE_LEADING_BITS + WIDE_SIGNIFICANT_BITS);
    bit_writer_put(w, x >> trailing, significant);
}

/* An impossible window counts as an overrun. */
static inline uint64_t wide_get_float_lane(struct wide_lane *lane, struct bit_reader *r)
{
    unsigned significant;

    if (bit_reader_get(r, 1) == 0)
        return lane->prev;
    if (bit_reader_get(r, 1) == 1) {
        const unsigned leading = (unsigned)bit_reader_get(r, WIDE_LEADING_BITS);

        significant = (unsigned)bit_reader_get(r, WIDE_SIGNIFICANT_BITS);
        if (significant == 0)
            significant = 64;
        if (leading + significant > 64) {
            r->overrun = true;
            return 0;
        }
        lane->window.leading = (uint8_t)leading;
        lane->window.trailing = (uint8_t)(64 - leading - significant);
    } else if (lane->window.leading == WIDE_NO_WINDOW) {
        r->overrun = true;
        return 0;
    }
    significant = 64u - lane->window.leading - lane->window.trailing;
    lane->prev ^= bit_reader_get(r, significant) << lane->window.trailing;
    return lane->prev;
}

static inline uint32_t wide_lane_count(const struct wide_layout *layout)
{
    return WIDE_LANES_FIXED + layout->positive_count + layout->negative_count;
}

/* A lane before its first sample. */
static inline struct wide_lane wide_lane_new(bool is_float)
{
    struct wide_lane lane = {0};

    if (is_float)
        lane.window.leading = WIDE_NO_WINDOW;
    return lane;
}

static inline void wide_lanes_init_fixed(struct wide_lane *lanes, enum wide_kind kind)
{
    for (unsigned i = 0; i < WIDE_LANES_FIXED; i++)
        lanes[i] = wide_lane_new(i == WIDE_LANE_SUM || kind == WIDE_FLOAT_HISTOGRAM);
}
