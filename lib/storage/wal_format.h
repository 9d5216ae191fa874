/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of a WAL segment (docs/formats/wal.md), apart from files: what wal.c writes and
 * wal_replay.c reads.
 *
 *   segment: header (64) | record | record ... | zeros
 *   record:  length:u32 crc:u32 group:u64 seq:u64 kind:u8 0*3 left:u32 | payload | 0-pad to 8
 *
 * All numbers are little-endian. The CRC covers the payload, then the header but its CRC field.
 * Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    WAL_VERSION = 1,
    WAL_HEADER_SIZE = 64,
    WAL_RECORD_HEADER_SIZE = 32,
    WAL_PAYLOAD_SIZE_MAX = 16 << 20,
};

enum wal_kind { WAL_SERIES = 1, WAL_SAMPLES = 2, WAL_KIND_END };

struct wal_header {
    uint64_t segment;      /* its own number, > 0 */
    uint64_t prev_segment; /* the last one before it that counts; those between are void. 0: none */
    uint64_t prev_end;     /* bytes of prev_segment that count, its header included */
};

struct wal_entry {
    uint64_t seq, group;
    uint32_t group_left; /* records of the same group behind this one */
    enum wal_kind kind;
    struct slice payload;
};

void wal_header_put(uint8_t bytes[WAL_HEADER_SIZE], const struct wal_header *header);
/* ERR_CORRUPT, or ERR_VERSION for a newer one; info names the field. */
enum err wal_header_get(struct slice bytes, struct wal_header *header,
                        struct err_info *info) MUST_USE;

/* Bytes of a record in the file. */
static inline uint64_t wal_record_size(uint64_t payload_size)
{
    return (WAL_RECORD_HEADER_SIZE + payload_size + 7) & ~UINT64_C(7);
}

/* Writes header, payload and padding: wal_record_size(payload.len) bytes. */
void wal_record_put(uint8_t *to, const struct wal_entry *entry, uint32_t payload_crc);

/* How the records of a segment end. */
enum wal_scan_end {
    WAL_SCAN_CLEAN,   /* at zeros, or at the given end */
    WAL_SCAN_TORN,    /* an invalid record and nothing of a later group behind it */
    WAL_SCAN_CORRUPT, /* an invalid record before the end of what counts */
};

struct wal_scan {
    struct slice bytes; /* the whole segment; borrowed */
    uint64_t offset;    /* of the next record */
    uint64_t end;       /* where valid records must reach to; UINT64_MAX: not known */
    uint64_t group;     /* of the last valid record, over all segments; 0: not known */
    uint32_t group_left;
    enum wal_scan_end ended;
};

/* Starts behind the header. end: prev_end of the next header, or UINT64_MAX. Set scan->group to the
 * last one of the segments before, where it is known. */
void wal_scan_init(struct wal_scan *scan, struct slice bytes, uint64_t end);
/* The next valid record; its payload is borrowed from the bytes. False: see scan->ended. */
bool wal_scan_next(struct wal_scan *scan, struct wal_entry *entry);
