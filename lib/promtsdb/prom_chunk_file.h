/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of chunks: the segments of a block (upstream's tsdb/docs/format/chunks.md) and the chunks
 * of the head (head_chunks.md).
 *
 *   block: magic | version | padding:3 | length:uvarint encoding:u8 data crc32c | ...
 *   head:  magic | version | padding:3 | series:u64 min:u64 max:u64 encoding:u8 length:uvarint data
 *          crc32c | ... | zeros
 *
 * Ownership: all borrow the file's bytes. Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { PROM_CHUNK_NONE, PROM_CHUNK_XOR, PROM_CHUNK_HISTOGRAM, PROM_CHUNK_FLOAT_HISTOGRAM };

struct prom_chunk {
    uint8_t encoding; /* PROM_CHUNK_...; others are of later versions */
    struct slice data;
};

/* Whether it begins as a segment of a block does. ERR_CORRUPT, ERR_VERSION. */
enum err prom_chunk_file_check(struct slice file, struct err_info *info) MUST_USE;
/* The chunk at a byte of a checked segment. ERR_CORRUPT: it is not whole, or its checksum differs.
 */
enum err prom_chunk_file_get(struct slice file, uint64_t offset, struct prom_chunk *chunk,
                             struct err_info *info) MUST_USE;

/* Appends the header of a segment, and a chunk: what a segment of a block is made of. */
void prom_chunk_file_put_header(struct buf *out);
void prom_chunk_file_put(struct buf *out, const struct prom_chunk *chunk);

struct prom_head_chunk {
    uint64_t series_ref;
    uint64_t offset; /* with the file's number it is what markers of the WBL call it */
    int64_t t_min_ms, t_max_ms;
    bool is_out_of_order;
    struct prom_chunk chunk;
};

struct prom_head_chunk_iter {
    struct slice file; /* borrowed */
    uint64_t at;
    enum err err; /* sticky; look at it once next has said false */
    struct err_info info;
};

/* Starts reading untrusted bytes; a wrong header shows in err. */
void prom_head_chunk_iter_init(struct prom_head_chunk_iter *iter, struct slice file);
/* False at the end or at the first chunk that is not whole. */
bool prom_head_chunk_iter_next(struct prom_head_chunk_iter *iter, struct prom_head_chunk *chunk);
