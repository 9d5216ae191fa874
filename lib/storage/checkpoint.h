/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of a checkpoint file (docs/formats/checkpoint.md), apart from files and from the head.
 *
 *   header (64) | frame | frame ... | end frame
 *   frame:  length:u32 crc:u32 | payload          payload: kind:u8 ...
 *
 *   TENANT  id, name, newest time           before the first series of the tenant
 *   PAIRS   tenant, (id, name, value)...    before the first series that carries them
 *   SLAB    number, sequence number, series...
 *   EXEMPLARS  sequence number, exemplars...
 *   METADATA   tenant, (metric, type, unit, help)...
 *   END     count of series
 *
 * Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/sample.h"

enum {
    CHECKPOINT_VERSION = 1,
    CHECKPOINT_HEADER_SIZE = 64,
    CHECKPOINT_FRAME_HEADER_SIZE = 8,
    CHECKPOINT_FRAME_SIZE_MAX = 256 << 20,
    CHECKPOINT_LABELS_MAX = 4096,
    CHECKPOINT_NEWEST_KIND_MAX = 2,
    CHECKPOINT_EXEMPLAR_LABELS_MAX = 128,
};

struct checkpoint_header {
    uint64_t segment; /* the log goes on here */
    uint64_t seq;     /* tenants' newest times are as of this one */
    uint64_t group;
    uint32_t gen; /* newest generation given out */
};

enum checkpoint_kind {
    CHECKPOINT_TENANT = 1,
    CHECKPOINT_PAIRS = 2,
    CHECKPOINT_SLAB = 3,
    CHECKPOINT_END = 4,
    CHECKPOINT_EXEMPLARS = 5,
    CHECKPOINT_METADATA = 6,
};

void checkpoint_header_put(uint8_t bytes[CHECKPOINT_HEADER_SIZE],
                           const struct checkpoint_header *header);
/* ERR_CORRUPT, or ERR_VERSION for a newer one; info names the field. */
enum err checkpoint_header_get(struct slice bytes, struct checkpoint_header *header,
                               struct err_info *info) MUST_USE;

/* ---- writing: start, put ..., end ---- */

/* Begins a frame in buf and returns its place, for checkpoint_frame_end. */
size_t checkpoint_frame_start(struct buf *buf, enum checkpoint_kind kind);
/* Fills in length and checksum. */
void checkpoint_frame_end(struct buf *buf, size_t start);

struct checkpoint_tenant {
    uint64_t id;
    struct slice name;
    int64_t t_max_ms;
};

struct checkpoint_pair {
    uint64_t tenant, id;
    struct slice name, value;
};

struct checkpoint_slab {
    uint64_t number, seq;
};

struct checkpoint_chunk {
    int64_t t_max_ms;
    uint32_t span_ms;
    struct slice bytes;
};

/* Followed by its chunks: the sealed ones, oldest first, then those of samples out of order. */
struct checkpoint_series {
    uint32_t slot; /* within the slab */
    uint32_t gen;
    uint64_t tenant;
    const uint32_t *labels; /* pair ids */
    uint32_t label_count;
    int64_t t_ms; /* newest, and its value's bits */
    uint64_t v_bits;
    unsigned newest_kind; /* 0: float, 1: integer histogram, 2: float histogram */
    uint32_t chunk_count; /* sealed */
    uint32_t late_count;  /* of samples out of order */
    struct slice open;    /* empty: none */
};

struct checkpoint_exemplar {
    uint64_t frame_seq; /* of the frame: all up to it are in the checkpoint */
    uint32_t slot, gen; /* of the series, over all slabs */
    uint64_t seq;       /* of the group that brought it */
    struct exemplar exemplar;
};

void checkpoint_put_exemplars(struct buf *buf,
                              uint64_t seq); /* then checkpoint_put_exemplar each */
void checkpoint_put_exemplar(struct buf *buf, const struct checkpoint_exemplar *exemplar);
void checkpoint_put_metadata(struct buf *buf, uint64_t tenant); /* then checkpoint_put_said each */
void checkpoint_put_said(struct buf *buf, const struct metadata *said);
void checkpoint_put_tenant(struct buf *buf, const struct checkpoint_tenant *tenant);
void checkpoint_put_pairs(struct buf *buf, uint64_t tenant); /* then checkpoint_put_pair each */
void checkpoint_put_pair(struct buf *buf, const struct checkpoint_pair *pair);
void checkpoint_put_slab(struct buf *buf, const struct checkpoint_slab *slab);
void checkpoint_put_series(struct buf *buf, const struct checkpoint_series *series);
void checkpoint_put_chunk(struct buf *buf, const struct checkpoint_chunk *chunk);
void checkpoint_put_end(struct buf *buf, uint64_t series_count);

/* ---- reading ---- */

/* What a frame holds. An error from a function ends the frame and is returned. All is borrowed for
 * the call. */
struct checkpoint_visitor {
    enum err (*on_tenant)(void *owner, const struct checkpoint_tenant *tenant);
    enum err (*on_pair)(void *owner, const struct checkpoint_pair *pair);
    enum err (*on_slab)(void *owner, const struct checkpoint_slab *slab);
    enum err (*on_series)(void *owner, const struct checkpoint_series *series);
    /* series->chunk_count times after on_series. */
    enum err (*on_chunk)(void *owner, const struct checkpoint_chunk *chunk);
    /* Then series->late_count times. */
    enum err (*on_late_chunk)(void *owner, const struct checkpoint_chunk *chunk);
    /* Of a metric the oldest first. */
    enum err (*on_metadata)(void *owner, uint64_t tenant, const struct metadata *said);
    enum err (*on_exemplar)(void *owner, const struct checkpoint_exemplar *exemplar);
    enum err (*on_end)(void *owner, uint64_t series_count);
    void *owner;
};

/* Length of the payload behind a frame header; ERR_CORRUPT: impossible. */
enum err checkpoint_frame_size(const char header[CHECKPOINT_FRAME_HEADER_SIZE],
                               size_t *size) MUST_USE;
/* Checks the checksum and reads the payload. ERR_CORRUPT: info says what is wrong. */
enum err checkpoint_frame_read(const char header[CHECKPOINT_FRAME_HEADER_SIZE],
                               struct slice payload, const struct checkpoint_visitor *visitor,
                               struct err_info *info) MUST_USE;
