/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The value of one chunk in data.sst: up to 1,024 samples of one kind in frames of at most 128,
 * each frame readable alone, its times and values in columns.
 *
 *   chunk:  encoding:u8 | count:uvarint | step:uvarint | frame ...
 *   frame:  size:uvarint (of what follows) | (histograms: samples - 1:u8) |
 *           (step 0: t0 - chunk's first:uvarint | times:ints) | (STARTS: starts:ints) | values
 *   times:  t - t0 of each          starts: t - start time of each; the time itself for none
 *   values: floats | histograms of one layout
 *
 * A step other than 0 is the one between all neighbours: then frames have no times. The chunk's
 * first time is not in it: it is in the key. A frame of floats has 128 samples, the last one fewer;
 * histograms begin a new frame where their layout changes. Columns are those of block_ints.h,
 * block_floats.h and block_histogram.h. Encodings are numbered for good; 0 is none. Decoding
 * returns exactly the bits that went in, NaN payloads included. docs/formats/block.md has the bytes
 * of an example.
 *
 * Ownership: a reader borrows the bytes. Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/source.h"

enum {
    BLOCK_CHUNK_COUNT_MAX = 1024,
    BLOCK_FRAME_COUNT_MAX = 128,
    BLOCK_CHUNK_FLOATS_SIZE_MAX = 64 << 10, /* of one without start times or histograms */
};

enum block_chunk_encoding {
    BLOCK_CHUNK_FLOAT = 1,
    BLOCK_CHUNK_HISTOGRAM = 2, /* integers */
    BLOCK_CHUNK_FLOAT_HISTOGRAM = 3,
    BLOCK_CHUNK_STARTS = 0x80, /* a flag: with start times */
};

/* Samples to encode; times strictly increase. All histograms are integers or all are floats. */
struct block_chunk_samples {
    uint32_t count; /* 1 to BLOCK_CHUNK_COUNT_MAX */
    enum sample_kind kind;
    const int64_t *t_ms;
    const int64_t *start_t_ms; /* 0: none; NULL: none of all */
    union {
        const double *v;
        const struct histogram *const *histograms;
    };
};

uint8_t block_chunk_encoding_of(const struct block_chunk_samples *samples);
/* Whether it is a known one. */
bool block_chunk_encoding_is_known(uint8_t encoding);
/* Whether a reader needs an arena. */
bool block_chunk_needs_arena(uint8_t encoding);
/* Appends the chunk. */
void block_chunk_encode(struct buf *out, const struct block_chunk_samples *samples);

struct block_chunk_reader {
    enum err err; /* sticky: ERR_CORRUPT, ERR_LIMIT, ERR_VERSION (an encoding of later times) */
    struct slice rest;
    struct arena *arena; /* borrowed */
    uint8_t encoding;
    uint64_t step;
    int64_t first_t_ms; /* of the chunk */
    int64_t last_t_ms;  /* of what was read */
    uint32_t count, read_count;
};

/* Starts reading untrusted bytes. The arena, for histograms and start times, is reset by each next;
 * NULL will do for encodings that need none. */
void block_chunk_open(struct block_chunk_reader *reader, struct slice bytes, int64_t first_t_ms,
                      struct arena *arena);
/* Decodes the next frame into *columns, all of them. False at the end or on error. */
bool block_chunk_next(struct block_chunk_reader *reader, struct sample_columns *columns);
/* Skips frames that end before t_ms, as far as their heads tell. */
void block_chunk_skip(struct block_chunk_reader *reader, int64_t t_ms);
