/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What index.sst's values are; the writer and the reader share it. Statistics are in block_stats.h.
 * docs/formats/block.md.
 *
 *   SERIES: labels | chunk count:uvarint chunk ... | exemplars:uvarint (only if there are any)
 *   labels: count:uvarint (text(name) text(value)) ...
 *   chunk:  first - last of the one before (0 at first):varint | last - first:uvarint |
 *           samples:uvarint | encoding:u8
 *   text:   length:uvarint bytes
 *   METADATA:  count:uvarint (type:u8 text(unit) text(help)) ...
 *   EXEMPLARS: (in data.sst) count:uvarint (t - t of the one before, 0 at first:varint | has_t:u8 |
 *              v:u64 | labels) ... */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/endian.h"
#include "base/slice.h"
#include "base/varint.h"
#include "model/sample.h"

enum {
    BLOCK_VALUE_SIZE_MAX = 64 << 20,
    BLOCK_LABELS_MAX = 4096, /* of one series */
};

struct block_chunk_ref {
    int64_t t_min_ms, t_max_ms; /* first and last sample */
    uint32_t count;
    uint8_t encoding;
};

static inline void block_format_put_uint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

static inline void block_format_put_text(struct buf *out, struct slice s)
{
    block_format_put_uint(out, s.len);
    buf_add_slice(out, s);
}

static inline bool block_format_take_text(struct slice *rest, struct slice *s)
{
    uint64_t len;
    struct slice at = *rest;

    if (!varint_take_u64(&at, &len) || len > at.len)
        return false;
    *s = slice_of(at.data, (size_t)len);
    *rest = slice_skip(at, (size_t)len);
    return true;
}

static inline void block_format_put_labels(struct buf *out, struct label_set labels)
{
    block_format_put_uint(out, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        block_format_put_text(out, labels.items[i].name);
        block_format_put_text(out, labels.items[i].value);
    }
}

/* Without its time. */
static inline void block_format_put_exemplar(struct buf *out, const struct exemplar *exemplar)
{
    char bytes[9];

    bytes[0] = exemplar->has_t;
    endian_put_u64le(bytes + 1, sample_value_bits(exemplar->v));
    buf_add(out, bytes, sizeof(bytes));
    block_format_put_labels(out, exemplar->labels);
}

/* Without its metric. */
static inline void block_format_put_metadata(struct buf *out, const struct metadata *metadata)
{
    buf_add_byte(out, (char)metadata->type);
    block_format_put_text(out, metadata->unit);
    block_format_put_text(out, metadata->help);
}

/* t_before: the last time of the chunk before, 0 at first; it becomes this one's. */
static inline void block_format_put_chunk(struct buf *out, const struct block_chunk_ref *chunk,
                                          int64_t *t_before_ms)
{
    const uint64_t gap = (uint64_t)chunk->t_min_ms - (uint64_t)*t_before_ms;

    block_format_put_uint(out, varint_zigzag((int64_t)gap));
    block_format_put_uint(out, (uint64_t)chunk->t_max_ms - (uint64_t)chunk->t_min_ms);
    block_format_put_uint(out, chunk->count);
    buf_add_byte(out, (char)chunk->encoding);
    *t_before_ms = chunk->t_max_ms;
}

static inline bool block_format_take_chunk(struct slice *rest, struct block_chunk_ref *chunk,
                                           int64_t *t_before_ms)
{
    int64_t gap;
    uint64_t span;
    uint64_t count;

    if (!varint_take_i64(rest, &gap) || !varint_take_u64(rest, &span) ||
        !varint_take_u64(rest, &count) || rest->len == 0 || count == 0 || count > UINT32_MAX)
        return false;
    chunk->t_min_ms = (int64_t)((uint64_t)*t_before_ms + (uint64_t)gap);
    chunk->t_max_ms = (int64_t)((uint64_t)chunk->t_min_ms + span);
    chunk->count = (uint32_t)count;
    chunk->encoding = (uint8_t)rest->data[0];
    *rest = slice_skip(*rest, 1);
    *t_before_ms = chunk->t_max_ms;
    return chunk->t_max_ms >= chunk->t_min_ms;
}
