/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A column of 1 to 128 whole numbers of 64 bits, packed in the shortest of a few ways.
 *
 *   CONST   first:varint                                    all are equal
 *   STEP    first:varint step:varint                        each is the one before plus step
 *   FOR     packed                                          the numbers themselves
 *   DELTA   first:varint packed                             differences of neighbours
 *   DOD     first:varint step:varint packed                 changes of the differences
 *   LINEAR  step:varint packed                              number less its place x step
 *   SCALED  first:varint factor:uvarint column              first + factor x number of the column
 *   RUNS    (n - 1) bits, column                            a bit says that a number differs from
 * the one before: then it is the column's next packed: base:varint (not with ZIGZAG) width:u8 |
 * PATCHED: count:u8 extra:u8 count x place:u8 count x extra bits | n x width bits
 *
 * The first byte is the kind and flags. What is packed is a number less the base, or its zigzag.
 * PATCHED: a few numbers are wider than `width`; their upper bits lie apart. Bits are least
 * significant first, each run padded to a byte with zeros. SCALED holds one of FOR to LINEAR; RUNS
 * one of all before it. All arithmetic wraps at 64 bits, so any numbers come back, signed ones in
 * two's complement too. docs/formats/block.md has examples. */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    BLOCK_INTS_COUNT_MAX = 128,
    BLOCK_INTS_SIZE_MAX =
        1 + 10 + 10 + 1 + 10 + 10 + 10 + 1 + 2 + 128 * 8 + 8, /* and room to write in words */
};

/* A column's first byte is less than this; what else is in there is the caller's. */
enum { BLOCK_INTS_HEAD_END = 32 };

/* Writes the column; `to` has room for BLOCK_INTS_SIZE_MAX. Returns the bytes used. */
size_t block_ints_put(uint8_t *to, const uint64_t *values, uint32_t count);
/* Takes a column of `count` numbers off the front of untrusted bytes. False: it makes no sense. */
bool block_ints_take(struct slice *rest, uint64_t *values, uint32_t count);
/* The same for a column whose first byte was taken already. */
bool block_ints_take_body(struct slice *rest, uint8_t head, uint64_t *values, uint32_t count);
