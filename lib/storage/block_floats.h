/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A column of 1 to 128 doubles, packed in the shortest of a few ways; the bits come back exactly,
 * NaN payloads included.
 *
 *   INT      ints                                           whole numbers of at most 2^53, no -0
 *   DECIMAL  digits:u8 (1 to 22) ints                       v is i / 10^digits to the last bit
 *   MIXED    digits:u8 (0 to 22) count:u8 count x (place:u8 v:u64) ints
 *                                                           as DECIMAL, but for those at the places
 *   BITS     ints                                           the bits of v as whole numbers
 *   XOR      v0:u64 (n - 1) x xor                           each XOR with the one before
 *
 * ints is a column of block_ints.h; the way is in the upper three bits of its first byte, which
 * comes first of all. A xor is 0 for no change; 10 and the bits inside the window of the xor
 * before; or 11, leading zeros in 5 bits (31 at most), length - 1 in 6 bits, and the bits of that
 * new window; most significant bit first, padded to a byte. */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "storage/block_ints.h"

enum {
    BLOCK_FLOATS_COUNT_MAX = BLOCK_INTS_COUNT_MAX,
    /* The worst of XOR, all but the first 2 + 5 + 6 + 64 bits; and room to write in words. */
    BLOCK_FLOATS_SIZE_MAX = 1 + 8 + (127 * 77 + 7) / 8 + 16,
};

/* Writes the column; `to` has room for BLOCK_FLOATS_SIZE_MAX. Returns the bytes used. */
size_t block_floats_put(uint8_t *to, const double *values, uint32_t count);
/* Takes a column of `count` doubles off the front of untrusted bytes. False: it makes no sense. */
bool block_floats_take(struct slice *rest, double *values, uint32_t count);
