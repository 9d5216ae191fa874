/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The samples of one series in memory: an open chunk that is being encoded, and sealed ones, linked
 * from the newest to the oldest. Only head_*.c includes it.
 *
 * Invariants: samples are in order of time; a chunk does not cross a block window (but one of an
 * older block range may); a sealed chunk never changes.
 * Threads: all functions want the lock of the series' slab. */

#include <stdbool.h>
#include <stdint.h>

#include "codec/xor_chunk.h"

struct head;

enum { HEAD_CHUNK_SAMPLES = 120, HEAD_CHUNK_SIZE_MAX = 1024 };

/* t_ms of a series that never had a sample. */
#define HEAD_T_NONE INT64_MIN

/* A sealed chunk. Immutable once it is linked. */
struct head_chunk {
    struct head_chunk *prev; /* the older one */
    int64_t t_max_ms;
    uint32_t span_ms; /* t_max - t_min */
    uint16_t size;
    uint16_t count;
    uint8_t bytes[]; /* XOR chunk */
};

/* How many of a series' newest samples one group brought. Newest last. */
struct head_marks {
    uint32_t count, cap;
    struct head_mark {
        uint64_t seq;
        uint32_t count;
    } items[];
};

/* What an append touches of a series: one cache line. */
struct series_hot {
    int64_t t_ms; /* newest, also when its chunk is gone; HEAD_T_NONE */
    uint64_t dt_ms, v_bits;
    /* owned: open chunk, open_units * 16 bytes, its count not written; NULL while empty */
    uint8_t *open;
    struct head_chunk *sealed; /* owned: the newest */
    uint64_t mark_seq;         /* the newest group */
    struct head_marks *marks;  /* owned: older groups that a reader may not see; mostly NULL */
    uint16_t bit_count;
    uint16_t mark_count; /* samples of mark_seq */
    uint8_t leading, trailing, count, open_units;
};

STATIC_ASSERT(sizeof(struct series_hot) == 64, "one cache line per append");
STATIC_ASSERT(HEAD_CHUNK_SAMPLES <= UINT8_MAX, "series_hot.count");
STATIC_ASSERT(HEAD_CHUNK_SIZE_MAX * 8 <= UINT16_MAX, "series_hot.bit_count");

/* t_ms is above hot->t_ms. Returns how many chunks were begun. */
struct head_append {
    int64_t t_ms;
    uint64_t v_bits;
    uint64_t mark_seq;
    int64_t window_min_ms, window_end_ms; /* of t_ms; chunks do not cross it */
};
unsigned head_chunk_append(struct head *head, struct series_hot *hot, const struct head_append *a);
/* The bytes of the open chunk, which has samples; good while the slab is locked. */
struct slice head_chunk_open_bytes(const struct series_hot *hot);
/* As if sealed: the open chunk ends. */
void head_chunk_seal(struct head *head, struct series_hot *hot);
/* How many of the newest samples a reader at `watermark` may not see. */
uint64_t head_chunk_hidden(const struct series_hot *hot, uint64_t watermark);
/* First time of the open chunk, which has samples. */
int64_t head_chunk_open_t_min(const struct series_hot *hot);
/* Time of the oldest sample; INT64_MAX when there is none. */
int64_t head_chunk_oldest(const struct series_hot *hot);
static inline int64_t head_chunk_t_min(const struct head_chunk *chunk)
{
    return (int64_t)((uint64_t)chunk->t_max_ms - chunk->span_ms);
}
static inline bool head_chunk_has_samples(const struct series_hot *hot)
{
    return hot->count > 0 || hot->sealed != NULL;
}
/* Drops the samples of [t_min, t_end) that a reader at `watermark` sees; adds unlinked chunks to
 * *dead. Returns how many samples went. */
struct head_drop {
    int64_t t_min_ms, t_end_ms;
    uint64_t watermark;
    struct head_chunk *dead;
};
uint64_t head_chunk_drop(struct head *head, struct series_hot *hot, struct head_drop *drop);
void head_chunk_fini(struct head *head, struct series_hot *hot);
struct head_chunk *head_chunk_new(struct head *head, uint16_t size);
void head_chunk_free(struct head *head, struct head_chunk *chunk);
