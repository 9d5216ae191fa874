/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The value of one chunk in data.sst: up to 1,024 float samples in frames of 128, each frame
 * readable alone, its times and values packed each in the shortest of a few ways.
 *
 *   chunk:  encoding:u8 | count:uvarint | frame ...
 *   frame:  size:uvarint (of what follows) | t0 - chunk's first:uvarint | times | values
 *   times:  (from 2 samples) dt1:uvarint | (from 3) width:u8 | (n - 2) x zigzag(dod):width bits
 *   values: CONST v:u64 | XOR v0:u64 (n - 1) x xor | INT v0:varint width:u8 (n - 1) x zigzag:width
 * | DECIMAL digits:u8, the rest as INT of v x 10^digits
 *
 * dod is the change of the step between two times. Bit runs are padded to a byte with zeros. The
 * chunk's first time is not in it: it is in the key.
 *
 * Encodings are numbered for good: 0 is none, 2 and up are for later ones. Decoding returns exactly
 * the bits that went in, NaN payloads included. docs/formats/block.md has the bytes of an example.
 *
 * Ownership: a reader borrows the bytes. Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/sample.h"

enum {
    BLOCK_CHUNK_COUNT_MAX = 1024,
    BLOCK_FRAME_COUNT_MAX = 128,
    BLOCK_CHUNK_SIZE_MAX = 64 << 10,
};

enum block_chunk_encoding { BLOCK_CHUNK_FLOAT = 1 };

/* Appends the chunk of 1 to 1,024 samples; times strictly increase. */
void block_chunk_encode(struct buf *out, const struct sample *samples, uint32_t count);

struct block_chunk_reader {
    enum err err; /* sticky: ERR_CORRUPT, ERR_VERSION (an encoding of later times) */
    struct slice rest;
    int64_t first_t_ms; /* of the chunk */
    int64_t last_t_ms;  /* of what was read */
    uint32_t count, read_count;
};

/* Starts reading untrusted bytes. */
void block_chunk_open(struct block_chunk_reader *reader, struct slice bytes, int64_t first_t_ms);
/* Decodes the next frame into the arrays, each of BLOCK_FRAME_COUNT_MAX, *count of them. False at
 * the end or on error. */
bool block_chunk_next(struct block_chunk_reader *reader, int64_t *t_ms, double *v, uint32_t *count);
/* Skips frames that end before t_ms, as far as their heads tell. */
void block_chunk_skip(struct block_chunk_reader *reader, int64_t t_ms);
