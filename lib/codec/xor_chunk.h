/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* xor_chunk: float samples of one series, compressed (the Prometheus "XOR" encoding; byte format in
 * docs/formats/xor-chunk.md).
 *
 *   count:u16be | t0:varint v0:64 | dt1:uvarint x1:xor | dod2:dod x2:xor | ... | 0-pad to a byte
 *
 * Each timestamp is stored as the change of its delta, each value as the XOR with the one before,
 * so a steady series costs two bits a sample.
 *
 * An encoder is 40 bytes of state over bytes that its owner keeps; a chunk is an encoder with its
 * buffer inside.
 *
 * Invariants: `count` is the number of whole samples in the bytes; an append that fails changes
 * nothing; decoding returns exactly the bits appended, NaN payloads (the stale marker) included.
 * Ownership: plain values: copy them, drop them, nothing to free.
 * Threads: one owner at a time; publish a copy of the bytes to share them. */

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/sample.h"

enum {
    XOR_CHUNK_SIZE_MAX = 1024,
    XOR_CHUNK_SAMPLE_SIZE_MAX = 20, /* the second sample: uvarint (10) + 77 bits of xor (10) */
};

/* What both directions carry from one sample to the next. Private. */
struct xor_state {
    int64_t t_ms;
    uint64_t dt_ms, v_bits;
    uint8_t leading, trailing; /* window of the last stored xor; XOR_NO_WINDOW before the first */
    uint16_t count;            /* samples so far */
};

struct xor_encoder {
    struct xor_state state;
    uint32_t bit_count; /* bits of the bytes in use, header included */
};

struct xor_chunk {
    struct xor_encoder encoder;
    uint8_t bytes[XOR_CHUNK_SIZE_MAX];
};

struct xor_iter {
    enum err err; /* read it once xor_iter_next() has returned false */
    uint16_t count;
    struct xor_state state;
    struct bit_reader r;
};

/* For an empty chunk. */
void xor_encoder_init(struct xor_encoder *encoder);

/* Appends a sample to `bytes`, `size` bytes of room in all, which hold what was appended before
 * (they may have moved). The caller keeps t_ms strictly increasing.
 * ERR_FULL: no room for a sample of any size; give it more room, or seal the chunk. */
enum err xor_encoder_append(struct xor_encoder *encoder, uint8_t *bytes, size_t size,
                            struct sample s) MUST_USE;

/* The same but for the count in the first two bytes, which xor_encoder_finish writes: so an append
 * touches the end of the bytes alone. */
enum err xor_encoder_append_uncounted(struct xor_encoder *encoder, uint8_t *bytes, size_t size,
                                      struct sample s) MUST_USE;
static inline void xor_encoder_finish(uint8_t *bytes, uint16_t count)
{
    endian_put_u16be(bytes, count);
}

/* Goes on where encoded bytes end. ERR_CORRUPT: they are no whole chunk. */
enum err xor_encoder_resume(struct xor_encoder *encoder, struct slice bytes) MUST_USE;

/* Bytes in use: the length of the chunk. */
static inline uint32_t xor_encoder_size(const struct xor_encoder *encoder)
{
    return (encoder->bit_count + 7) / 8;
}

/* Makes *c an empty chunk. */
void xor_chunk_init(struct xor_chunk *c);

/* Appends a sample. The caller keeps t_ms strictly increasing.
 * ERR_FULL: no room for a sample of any size; seal this chunk and start another. */
enum err xor_chunk_append(struct xor_chunk *c, struct sample s) MUST_USE;

/* The encoded bytes. Borrowed from c until its next append. */
struct slice xor_chunk_bytes(const struct xor_chunk *c);

/* Starts reading untrusted bytes, borrowed for the life of *it. */
void xor_iter_init(struct xor_iter *it, struct slice bytes);

/* Sets *out to the next sample. False at the end or on corrupt bytes (then it->err says so). */
bool xor_iter_next(struct xor_iter *it, struct sample *out);
