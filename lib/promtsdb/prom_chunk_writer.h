/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples of one series into a chunk of one of Prometheus's encodings (prom_chunk.h reads them).
 *
 *   add ... -> false: the next sample wants another chunk -> bytes -> reset -> add ...
 *
 * A chunk ends after 120 samples, and where upstream ends one: another kind or layout of
 * histograms, gauge or not, a counter that was reset (what is not the first of a chunk is read
 * back as "no reset"), and a sample behind a stale marker.
 *
 * Ownership: owns its bytes. Threads: one at a time. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "codec/xor_chunk.h"
#include "promtsdb/prom_chunk.h"

enum { PROM_CHUNK_SAMPLES_MAX = 120 };

struct prom_chunk_writer {
    uint8_t encoding; /* PROM_CHUNK_NONE: empty */
    uint16_t count;
    int64_t t_min_ms, t_max_ms;

    /* Private. */
    uint8_t *bytes; /* owned */
    size_t cap;
    uint32_t bit; /* of histograms: next bit */
    struct xor_encoder floats;
    struct arena arena;            /* of the histogram before */
    const struct histogram *first; /* its layout is the chunk's; in the arena */
    struct prom_chunk_bucket *buckets;
    uint64_t *values; /* of the buckets, deltas or bits; in the arena */
    uint64_t count_before, zero_before;
    int64_t count_delta, zero_delta, dt_ms;
    struct prom_chunk_xor sum, float_count, float_zero;
};

void prom_chunk_writer_init(struct prom_chunk_writer *w);
void prom_chunk_writer_fini(struct prom_chunk_writer *w);
/* Empty again, memory kept. */
void prom_chunk_writer_reset(struct prom_chunk_writer *w);
/* Appends, or says that this sample begins another chunk. An empty chunk takes any. The caller
 * keeps times strictly increasing; a histogram has passed histogram_check or is a stale marker. */
bool prom_chunk_writer_add(struct prom_chunk_writer *w, const struct prom_sample *sample);
/* The chunk; borrowed until the next change. */
struct prom_chunk prom_chunk_writer_chunk(const struct prom_chunk_writer *w);
