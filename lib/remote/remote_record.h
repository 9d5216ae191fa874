/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of the sender's queue (docs/formats/remote-queue.md), apart from files: what
 * remote_log.c writes and remote_log_read.c reads.
 *
 *   segment: header (48) | record | record ... | zeros
 *   record:  header (48) | payload, stored as it is or as a snappy block
 *   payload: entry | entry ...     an entry defines a series or is one item of a series
 *
 * Items are numbered: an item's sequence number is that of its record's first item plus its place.
 * A series is named by a number that a define entry of the same segment has given before.
 * Threads: plain values. Bytes are untrusted; errors are codes. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/appender.h"
#include "model/labels.h"

enum {
    REMOTE_RECORD_VERSION = 1,
    REMOTE_SEGMENT_HEADER_SIZE = 48,
    REMOTE_RECORD_HEADER_SIZE = 48,
    REMOTE_PAYLOAD_SIZE_MAX = 16 << 20, /* as it is before compression */
    REMOTE_LABEL_COUNT_MAX = 65536,
    REMOTE_SERIES_ID_MAX = (1 << 28) - 1,
};

struct remote_segment_header {
    uint64_t number;    /* its own, > 0 */
    uint64_t first_seq; /* no item of this or a later segment has a lower one */
    int64_t created_ms;
};

void remote_segment_header_put(uint8_t to[REMOTE_SEGMENT_HEADER_SIZE],
                               const struct remote_segment_header *header);
/* ERR_CORRUPT, or ERR_VERSION for a newer one; info names the field. */
enum err remote_segment_header_get(struct slice bytes, struct remote_segment_header *header,
                                   struct err_info *info) MUST_USE;

struct remote_record_header {
    uint32_t stored_size; /* of the payload in the file */
    uint32_t raw_size;    /* and before compression; equal: it is not compressed */
    uint64_t first_seq;
    uint32_t item_count;
    uint32_t payload_crc; /* of the stored bytes */
    int64_t written_ms;
};

void remote_record_header_put(uint8_t to[REMOTE_RECORD_HEADER_SIZE],
                              const struct remote_record_header *header);
/* Whether these REMOTE_RECORD_HEADER_SIZE bytes are one, by magic, bounds and checksum. */
bool remote_record_header_get(const uint8_t *from, struct remote_record_header *header) MUST_USE;

/* ---- payloads ---- */

enum { REMOTE_ENTRY_DEFINE = APPEND_KIND_COUNT };

struct remote_entry {
    unsigned kind; /* REMOTE_ENTRY_DEFINE, or an append_kind */
    uint32_t series;
    uint64_t seq; /* of an item */
    int64_t t_ms;
    int64_t start_t_ms; /* 0: not known */
    uint64_t v_bits;    /* of APPEND_FLOAT */
    struct slice body;  /* DEFINE: remote_labels_get(); else a message of remote write 1.0 */
};

/* What one entry is told relative to; zero at the start of a payload. */
struct remote_entry_base {
    uint32_t series;
    int64_t t_ms;
};

/* Appends an entry (its seq is not written). */
void remote_entry_put(struct buf *out, struct remote_entry_base *base,
                      const struct remote_entry *entry);

struct remote_entry_reader {
    enum err err; /* sticky: ERR_CORRUPT */
    struct slice rest;
    uint64_t seq;
    struct remote_entry_base base;
};

void remote_entry_reader_init(struct remote_entry_reader *reader, struct slice payload,
                              uint64_t first_seq);
/* The body is borrowed from the payload. */
bool remote_entry_next(struct remote_entry_reader *reader, struct remote_entry *entry);

/* A label set as a define entry holds it. */
void remote_labels_put(struct buf *out, struct label_set labels);
/* ERR_CORRUPT: not the bytes of a set in order; ERR_LIMIT: the arena has no room. Texts are
 * borrowed from the bytes. */
enum err remote_labels_get(struct slice bytes, struct arena *arena,
                           struct label_set *labels) MUST_USE;
