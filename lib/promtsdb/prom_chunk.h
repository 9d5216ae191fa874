/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples out of a chunk of any of Prometheus's encodings 1 to 3: floats (codec/xor_chunk.h), and
 * histograms and float histograms, whose chunk is
 *
 *   count:u16be | flags:u8 | zero threshold, schema, spans, custom bounds | sample ... | 0-pad
 *   int:   t, count, zero count, buckets: first as they are, then as deltas of deltas; sum: XOR
 *   float: t as above; count, zero count, sum and each bucket: XOR with its own window
 *
 * Two bits of the flags say how the chunk began; they make the hints of its samples as upstream
 * makes them: gauge for all, else "no reset" for all but the first, which stays unknown.
 *
 * Ownership: borrows the bytes; a histogram's arrays live in the arena and are those of the next
 * sample too: copy what is to be kept. Threads: one at a time. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bits.h"
#include "base/err.h"
#include "codec/xor_chunk.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "promtsdb/prom_chunk_file.h"

struct prom_sample {
    int64_t t_ms;
    enum sample_kind kind;
    double v;                          /* of a float */
    const struct histogram *histogram; /* borrowed until the next sample */
};

/* A number with the window of its last XOR. Private. */
struct prom_chunk_xor {
    uint64_t bits;
    uint8_t leading, trailing;
};

/* What one bucket carries from sample to sample. Private. */
struct prom_chunk_bucket {
    int64_t delta;              /* int: change of the value below */
    struct prom_chunk_xor xor ; /* float */
};

struct prom_chunk_iter {
    enum err err; /* sticky: ERR_CORRUPT, ERR_UNSUPPORTED (a later encoding), ERR_LIMIT */
    uint8_t encoding;
    enum histogram_reset reset; /* what the flags say about how the chunk began */
    struct xor_iter floats;

    /* Of histograms; private. */
    struct arena *arena;
    struct bit_reader r;
    uint16_t count, read_count;
    int64_t t_ms, dt_ms, count_delta, zero_delta;
    struct prom_chunk_xor sum, float_count, float_zero;
    struct histogram layout, stale;
    int64_t *int_values;  /* of both signs, the positive ones first */
    double *float_values; /* likewise */
    struct prom_chunk_bucket *buckets;
};

/* Starts reading untrusted bytes; the arena is for histograms' arrays. */
void prom_chunk_iter_init(struct prom_chunk_iter *iter, struct prom_chunk chunk,
                          struct arena *arena);
/* False at the end or on error. */
bool prom_chunk_iter_next(struct prom_chunk_iter *iter, struct prom_sample *sample);
