/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bit streams, most significant bit first. The writer is told its room and asserts it: decide
 * before writing. The reader reads zeros past the end and remembers that it did. */

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/endian.h"

struct bit_writer {
    uint8_t *bytes;        /* borrowed; bits from `bit` on need not be zero */
    uint32_t bit, bit_max; /* next bit, bits of room */
};

struct bit_reader {
    const uint8_t *bytes; /* borrowed */
    uint32_t bit, bit_count;
    bool overrun; /* sticky: something past the end was asked for */
};

/* Appends the low `width` bits of v, 0 to 64. Bits behind them, up to bit_max, may be cleared. */
static inline void bit_writer_put(struct bit_writer *w, uint64_t v, unsigned width)
{
    const unsigned skip = w->bit & 7;

    ASSERT(width <= 64);
    ASSERT(w->bit_max - w->bit >= width);
    if (width == 0)
        return;
    /* The common case: one load, one store. */
    if (skip + width <= 64 && (w->bit_max >> 3) - (w->bit >> 3) >= 8) {
        uint8_t *to = w->bytes + (w->bit >> 3);
        const uint64_t kept = endian_get_u64be(to) & ~(UINT64_MAX >> skip);

        endian_put_u64be(to, kept | v << (64 - width) >> skip);
        w->bit += width;
        return;
    }
    while (width > 0) {
        uint8_t *byte = &w->bytes[w->bit >> 3];
        const unsigned room = 8 - (w->bit & 7);
        const unsigned take = width < room ? width : room;
        const unsigned bits = (unsigned)(v >> (width - take)) & ((1u << take) - 1);

        /* What lies after the stream in this byte is cleared. */
        *byte = (uint8_t)((*byte & ~((1u << room) - 1)) | bits << (room - take));
        w->bit += take;
        width -= take;
    }
}

/* The next `width` bits, 0 to 64; zeros (and overrun) if there are fewer. */
static inline uint64_t bit_reader_get(struct bit_reader *r, unsigned width)
{
    const uint32_t at = r->bit >> 3;
    const unsigned skip = r->bit & 7;
    uint64_t v;

    if (width == 0)
        return 0;
    if (width > 64 || r->bit_count - r->bit < width) {
        r->overrun = true;
        r->bit = r->bit_count;
        return 0;
    }
    if (((r->bit_count + 7) >> 3) - at >= 9) { /* the common case: two loads */
        v = endian_get_u64be(r->bytes + at) << skip;
        if (skip != 0)
            v |= (uint64_t)r->bytes[at + 8] >> (8 - skip);
    } else {
        const uint32_t byte_count = (r->bit_count + 7) >> 3;
        uint8_t tail[9] = {0};

        for (uint32_t i = 0; i < 9 && at + i < byte_count; i++)
            tail[i] = r->bytes[at + i];
        v = endian_get_u64be(tail) << skip;
        if (skip != 0)
            v |= (uint64_t)tail[8] >> (8 - skip);
    }
    r->bit += width;
    return v >> (64 - width);
}
