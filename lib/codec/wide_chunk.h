/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* wide_chunk: samples of one series that an XOR chunk has no room for: floats with start times, and
 * native histograms, integer or float (byte format in docs/formats/wide-chunk.md).
 *
 *   kind and reset:u8 | count:u16be | sample sample ... in bits
 *
 * A sample is a row of lanes (sum, count, zero count, buckets), each written against the sample
 * before: integers as the change of their change, floats as an XOR. So a bucket that nothing falls
 * into costs one bit. A layout (schema, spans, bounds) is written where it changes.
 *
 * Invariants: one kind a chunk; in a chunk of counters no histogram is a reset of the one before;
 * a stale histogram is followed by stale ones only. The first byte is never 0, as an XOR chunk's
 * of less than 256 samples is. Threads: plain values and heap objects of one owner. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/histogram.h"

enum {
    WIDE_CHUNK_HEADER_SIZE = 3,
    WIDE_CHUNK_SAMPLES_MAX = UINT16_MAX,
    /* Of one histogram: buckets, spans of one sign, custom bounds. */
    WIDE_CHUNK_BUCKETS_MAX = 1 << 14,
};

enum wide_kind { WIDE_FLOAT = 1, WIDE_HISTOGRAM = 2, WIDE_FLOAT_HISTOGRAM = 3 };

struct wide_sample {
    int64_t t_ms;
    int64_t start_t_ms; /* 0: not known */
    union {
        double v; /* of WIDE_FLOAT */
        const struct histogram *histogram;
    };
};

/* ---- writing ---- */

struct wide_encoder;

/* An empty chunk of no kind. */
struct wide_encoder *wide_encoder_new(void);
void wide_encoder_free(struct wide_encoder *encoder); /* NULL is fine */

/* How a histogram stands to the newest one of a chunk, by upstream's rules. */
enum wide_turn {
    WIDE_GOES_ON,   /* same chunk */
    WIDE_CUT,       /* another chunk, nothing known of a reset */
    WIDE_CUT_RESET, /* another chunk: the counter was reset */
};

/* The chunk has samples; h meets histogram_check. */
enum wide_turn wide_encoder_turn(const struct wide_encoder *encoder, const struct histogram *h);

/* Makes it an empty chunk. reset: UNKNOWN, YES or GAUGE. */
void wide_encoder_start(struct wide_encoder *encoder, enum wide_kind kind,
                        enum histogram_reset reset);
/* Appends a sample of the chunk's kind, whatever its turn is; t_ms is above those before, the
 * counts are within the limits above. Of a stale histogram nothing but that is kept. */
void wide_encoder_append(struct wide_encoder *encoder, const struct wide_sample *sample);

enum wide_kind wide_encoder_kind(const struct wide_encoder *encoder);
uint32_t wide_encoder_count(const struct wide_encoder *encoder);
/* Borrowed until the next call. */
struct slice wide_encoder_bytes(struct wide_encoder *encoder);
/* Memory held, itself included. */
size_t wide_encoder_memory(const struct wide_encoder *encoder);
/* Time of the first and the last sample; there is one. */
int64_t wide_encoder_t_min(const struct wide_encoder *encoder);
int64_t wide_encoder_t_max(const struct wide_encoder *encoder);
/* Goes on where encoded bytes end. ERR_CORRUPT: they are no whole chunk. */
enum err wide_encoder_resume(struct slice bytes, struct wide_encoder **encoder) MUST_USE;

/* ---- reading ---- */

/* Kind of the chunk; 0: it is none of these. */
static inline unsigned wide_chunk_kind(struct slice bytes)
{
    const unsigned kind =
        bytes.len > WIDE_CHUNK_HEADER_SIZE ? (unsigned)(uint8_t)bytes.data[0] & 0x0f : 0;

    return kind <= WIDE_FLOAT_HISTOGRAM ? kind : 0;
}

static inline uint32_t wide_chunk_count(struct slice bytes)
{
    return bytes.len > WIDE_CHUNK_HEADER_SIZE ? endian_get_u16be(bytes.data + 1) : 0;
}

/* First time of a chunk; false: there is none. */
bool wide_chunk_t_min(struct slice bytes, int64_t *t_ms);

/* What a sample is written against. Private. */
struct wide_lane {
    uint64_t prev;
    union {
        uint64_t delta; /* integers */
        struct {
            uint8_t leading, trailing;
        } window; /* floats */
    };
};

/* Spans and bounds of the histogram at hand. Private. */
struct wide_layout {
    int32_t schema;
    double zero_threshold;
    struct histogram_span *positive_spans, *negative_spans;
    double *custom_values;
    uint32_t positive_span_count, negative_span_count, custom_value_count;
    uint32_t positive_count, negative_count;
};

struct wide_state {
    enum wide_kind kind;
    enum histogram_reset reset;
    uint32_t count;
    int64_t t_ms, start_t_ms;
    uint64_t dt_ms;
    bool is_stale, has_layout;
    struct wide_layout layout;
    struct wide_lane *lanes; /* sum, count, zero count, positive ..., negative ... */
};

struct wide_iter {
    enum err err; /* read it once wide_iter_next() has returned false */
    uint32_t total;
    struct wide_state state;
    struct bit_reader r;
    struct arena *layouts; /* borrowed */
};

/* Starts reading untrusted bytes, borrowed for the life of *it. Layouts come from the arena: spans
 * and bounds of what is read are good until its reset. */
void wide_iter_init(struct wide_iter *it, struct slice bytes, struct arena *layouts);
/* Sets *out to the next sample; a histogram comes from `arena`, with its hint. False at the end, on
 * corrupt bytes, or when an arena has no room (then it->err says so). */
bool wide_iter_next(struct wide_iter *it, struct arena *arena, struct wide_sample *out);
