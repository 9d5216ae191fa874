/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The variable-length numbers of histogram chunks, read and written: i ones, a zero (none after
 * eight ones), then widths[i] bits. Reader and writer share the table. */

#include <stdint.h>

#include "base/bits.h"

static const uint8_t prom_varbit_widths[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

enum { PROM_VARBIT_LAST = 8, PROM_VARBIT_BITS_MAX = 72 };

static inline unsigned prom_varbit_class(struct bit_reader *r)
{
    unsigned ones = 0;

    while (ones < PROM_VARBIT_LAST && bit_reader_get(r, 1) == 1)
        ones++;
    return ones;
}

static inline uint64_t prom_varbit_get_uint(struct bit_reader *r)
{
    return bit_reader_get(r, prom_varbit_widths[prom_varbit_class(r)]);
}

/* Two's complement, but 2^(width-1) itself is positive. */
static inline int64_t prom_varbit_get_int(struct bit_reader *r)
{
    const unsigned width = prom_varbit_widths[prom_varbit_class(r)];
    uint64_t bits = bit_reader_get(r, width);

    if (width > 0 && width < 64 && bits > UINT64_C(1) << (width - 1))
        bits -= UINT64_C(1) << width;
    return (int64_t)bits;
}

static inline void prom_varbit_put(struct bit_writer *w, unsigned class, uint64_t v)
{
    if (class < PROM_VARBIT_LAST)
        bit_writer_put(w, (UINT64_C(2) << class) - 2, class + 1);
    else
        bit_writer_put(w, 0xff, PROM_VARBIT_LAST);
    bit_writer_put(w, v, prom_varbit_widths[class]);
}

static inline void prom_varbit_put_uint(struct bit_writer *w, uint64_t v)
{
    unsigned class = 0;

    while (prom_varbit_widths[class] < 64 && v >> prom_varbit_widths[class] != 0)
        class ++;
    prom_varbit_put(w, class, v);
}

static inline void prom_varbit_put_int(struct bit_writer *w, int64_t v)
{
    unsigned class = v == 0 ? 0 : 1;

    while (class > 0 && class < PROM_VARBIT_LAST) {
        const int64_t half = (int64_t)1 << (prom_varbit_widths[class] - 1);

        if (v > -half && v <= half)
            break;
        class ++;
    }
    prom_varbit_put(w, class, (uint64_t)v);
}
