/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Payloads of the head's log records (docs/formats/wal.md): a new series, and the samples of one
 * transaction. Life and replay read samples through the same reader.
 *
 *   series:  slot gen | tenant | label count | (name value)...        texts length-prefixed
 *   samples: tenant | out-of-order window | entry entry ...
 *   entry:   control:u8 | slot and gen, if not the next one's | time, if not the one before | value
 *   wide:    the same, with a kind and a body of any length instead of the value
 *
 * A value is written without its trailing zero bytes, so small integers take two to four.
 * Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/endian.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/varint.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

enum {
    HEAD_RECORD_LABELS_MAX = 4096,
    HEAD_RECORD_EXEMPLAR_LABELS_MAX = 128,
    HEAD_RECORD_ENTRY_SIZE_MAX = 1 + 3 * VARINT_SIZE_MAX + 8,
    HEAD_RECORD_BATCH = 64,
};

/* Which series: where it lies, and which of the series that lay there one after the other. */
struct head_ref {
    uint32_t slot;
    uint32_t gen; /* > 0, below 2^31 */
};

struct head_entry {
    struct head_ref ref;
    int64_t t_ms;
    uint64_t v_bits;
};

/* ---- series ---- */

void head_record_put_series(struct buf *buf, struct head_ref ref, struct slice tenant,
                            struct label_set labels);

struct head_record_series {
    struct head_ref ref;
    struct slice tenant; /* borrowed from the payload */
    uint32_t label_count;
    struct label labels[HEAD_RECORD_LABELS_MAX]; /* likewise; as many as label_count */
};

/* ERR_CORRUPT: cut short, not sorted, too many labels ... */
enum err head_record_get_series(struct slice payload, struct head_record_series *series) MUST_USE;

/* ---- samples ---- */

enum {
    HEAD_RECORD_SIZE_BITS = 0x0f, /* bytes of the value, 0 to 8; of a wide entry its kind */
    HEAD_RECORD_SAME_T = 0x10,
    HEAD_RECORD_WIDE = 0x80,
    HEAD_RECORD_REF_SHIFT = 5,
    HEAD_RECORD_REF_BITS = 0x03,
    HEAD_RECORD_REF_FULL = 0, /* zigzag slot delta, zigzag gen delta */
    HEAD_RECORD_REF_NEXT = 1, /* slot and gen one up */
    HEAD_RECORD_REF_SAME = 2,
    HEAD_RECORD_REF_DELTA = 3, /* zigzag slot delta, which is the gen delta too */
};

/* What an entry is written against. */
struct head_record_writer {
    struct head_entry prev;
};

/* out_of_order_ms: the window that the transaction is judged with, in life and in replay. */
void head_record_start_samples(struct head_record_writer *writer, struct buf *buf,
                               struct slice tenant, int64_t out_of_order_ms);

/* Writes at most HEAD_RECORD_ENTRY_SIZE_MAX bytes, though it may touch all of them. Returns how
 * many. Inline: this is the hot path of a request. */
static inline size_t head_record_put_entry(struct head_record_writer *writer, char *to,
                                           const struct head_entry *entry)
{
    const uint32_t slot_delta = entry->ref.slot - writer->prev.ref.slot;
    const uint32_t gen_delta = entry->ref.gen - writer->prev.ref.gen;
    const unsigned zeros = entry->v_bits == 0 ? 8 : (unsigned)__builtin_ctzll(entry->v_bits) / 8;
    const unsigned value_size = 8 - zeros;
    unsigned control = value_size;
    char *at = to + 1;

    if (slot_delta == gen_delta && slot_delta <= 1) {
        control |= (slot_delta == 1 ? (unsigned)HEAD_RECORD_REF_NEXT : HEAD_RECORD_REF_SAME)
                   << HEAD_RECORD_REF_SHIFT;
    } else {
        at += varint_put_i64(at, (int32_t)slot_delta);
        if (slot_delta == gen_delta)
            control |= HEAD_RECORD_REF_DELTA << HEAD_RECORD_REF_SHIFT;
        else
            at += varint_put_i64(at, (int32_t)gen_delta);
    }
    if (entry->t_ms == writer->prev.t_ms)
        control |= HEAD_RECORD_SAME_T;
    else
        at += varint_put_i64(at, (int64_t)((uint64_t)entry->t_ms - (uint64_t)writer->prev.t_ms));
    endian_put_u64be(at, entry->v_bits);
    to[0] = (char)control;
    writer->prev = *entry;
    return (size_t)(at - to) + value_size;
}

struct head_record_reader {
    struct slice rest;
    struct head_entry prev;
    int64_t out_of_order_ms;
    enum err err; /* sticky: ERR_CORRUPT */
};

/* Reads tenant and window and stands before the first entry. */
enum err head_record_open_samples(struct head_record_reader *reader, struct slice payload,
                                  struct slice *tenant) MUST_USE;
/* Up to HEAD_RECORD_BATCH entries; 0 at the end, on an error, or before a wide entry. */
unsigned head_record_next(struct head_record_reader *reader,
                          struct head_entry entries[HEAD_RECORD_BATCH]);

/* ---- wide entries ---- */

enum head_wide_kind {
    HEAD_WIDE_FLOAT,
    HEAD_WIDE_HISTOGRAM,
    HEAD_WIDE_EXEMPLAR,
    HEAD_WIDE_METADATA, /* of no series and no time: those of the entry before stand there */
    HEAD_WIDE_KINDS,
};

struct head_wide_entry {
    enum head_wide_kind kind;
    struct head_ref ref;
    int64_t t_ms;
    struct slice body; /* borrowed */
};

/* The body of a float with a start time, and of a histogram; start_t_ms 0: not known. */
void head_record_put_float_body(struct buf *body, int64_t t_ms, int64_t start_t_ms,
                                uint64_t v_bits);
void head_record_put_histogram_body(struct buf *body, int64_t t_ms, int64_t start_t_ms,
                                    const struct histogram *h);
void head_record_put_exemplar_body(struct buf *body, const struct exemplar *exemplar);
void head_record_put_metadata_body(struct buf *body, const struct metadata *metadata);
/* Writes at most HEAD_RECORD_ENTRY_SIZE_MAX bytes and the body. Returns how many. */
size_t head_record_put_wide(struct head_record_writer *writer, char *to,
                            const struct head_wide_entry *entry);

/* Reads a wide entry, if the next one is; else false: look at reader->err, or go on with
 * head_record_next. */
bool head_record_next_wide(struct head_record_reader *reader, struct head_wide_entry *entry);
/* Reads what stands before value or body, over reader->prev. Private. */
bool head_record_get_place(struct head_record_reader *reader, unsigned control, struct slice *rest);

enum err head_record_get_float(const struct head_wide_entry *entry, int64_t *start_t_ms,
                               uint64_t *v_bits) MUST_USE;

struct head_record_histogram {
    struct histogram histogram; /* arrays in the arena */
    int64_t start_t_ms;
    struct slice content; /* all but start time, hint and kind: the same bytes, the same content */
};
/* Labels in the arena, texts borrowed. ERR_CORRUPT, ERR_LIMIT. */
enum err head_record_get_exemplar(const struct head_wide_entry *entry, struct arena *arena,
                                  struct exemplar *exemplar) MUST_USE;
enum err head_record_get_metadata(const struct head_wide_entry *entry,
                                  struct metadata *metadata) MUST_USE;
/* ERR_CORRUPT, or ERR_LIMIT: the arena has no room. What is read may be any nonsense that
 * histogram_check finds. */
enum err head_record_get_histogram(const struct head_wide_entry *entry, struct arena *arena,
                                   struct head_record_histogram *out) MUST_USE;
