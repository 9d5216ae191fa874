/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The samples of one series in memory: an open chunk that is being encoded, and sealed ones, linked
 * from the newest to the oldest. Only head_*.c includes it.
 *
 * Invariants: samples are in order of time; a chunk does not cross a block window (but one of an
 * older block range may); a sealed chunk never changes.
 * Threads: all functions want the lock of the series' slab. */

#include <stdbool.h>
#include <stddef.h>
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
    uint16_t units;   /* of bytes: 1 byte each of an XOR chunk, 16 of a wide one */
    uint8_t count;
    bool is_wide;
    uint8_t bytes[]; /* XOR chunk, or wide chunk filled up with zeros */
};

STATIC_ASSERT(offsetof(struct head_chunk, bytes) == 24, "what a chunk costs");

enum { HEAD_CHUNK_UNIT_WIDE = 16, HEAD_CHUNK_SIZE_MAX_WIDE = UINT16_MAX * HEAD_CHUNK_UNIT_WIDE };

static inline uint32_t head_chunk_size(const struct head_chunk *chunk)
{
    return chunk->is_wide ? (uint32_t)chunk->units * HEAD_CHUNK_UNIT_WIDE : chunk->units;
}

static inline struct slice head_chunk_bytes(const struct head_chunk *chunk)
{
    return slice_of(chunk->bytes, head_chunk_size(chunk));
}

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
    uint16_t mark_count;                          /* samples of mark_seq */
    uint8_t leading, trailing, count, open_units; /* trailing: also HEAD_HOT_FLAGS */
};

/* Kind of the newest sample. */
enum head_newest { HEAD_NEWEST_FLOAT, HEAD_NEWEST_HISTOGRAM, HEAD_NEWEST_FLOAT_HISTOGRAM };

/* In `trailing`, above any window of an XOR chunk: the open chunk is a wide one (head_wide.h); the
 * newest sample is a histogram, and of which kind. */
enum {
    HEAD_HOT_WIDE = 0x80,
    HEAD_HOT_FLOAT_HISTOGRAM = 0x01, /* with HEAD_HOT_HISTOGRAM */
    HEAD_HOT_HISTOGRAM = 0x40,
    HEAD_HOT_FLAGS = HEAD_HOT_WIDE | HEAD_HOT_HISTOGRAM,
};
#define HEAD_HOT_OF(newest)                                                                        \
    ((newest) == HEAD_NEWEST_FLOAT ? 0u                                                            \
     : (newest) == HEAD_NEWEST_HISTOGRAM                                                           \
         ? (unsigned)HEAD_HOT_HISTOGRAM                                                            \
         : (unsigned)HEAD_HOT_HISTOGRAM | HEAD_HOT_FLOAT_HISTOGRAM)

static inline enum head_newest head_chunk_newest(const struct series_hot *hot)
{
    if ((hot->trailing & HEAD_HOT_HISTOGRAM) == 0)
        return HEAD_NEWEST_FLOAT;
    return (hot->trailing & HEAD_HOT_FLOAT_HISTOGRAM) != 0 ? HEAD_NEWEST_FLOAT_HISTOGRAM
                                                           : HEAD_NEWEST_HISTOGRAM;
}

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
/* Gives back the memory of an open chunk without samples. */
void head_chunk_clear(struct head *head, struct series_hot *hot);
/* Notes which group brings the sample that is appended next. */
void head_chunk_note(struct head *head, struct series_hot *hot, uint64_t seq);
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
/* Room for an XOR chunk of `size` bytes, or for a wide one. */
struct head_chunk *head_chunk_new(struct head *head, uint16_t size);
struct head_chunk *head_chunk_new_wide(struct head *head, struct slice bytes);
void head_chunk_free(struct head *head, struct head_chunk *chunk);
