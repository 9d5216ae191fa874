/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/wal_format.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"

/* Offsets in a segment's header; what lies between is zero. */
enum {
    HEADER_VERSION = 4,
    HEADER_SEGMENT = 8,
    HEADER_PREV_SEGMENT = 16,
    HEADER_PREV_END = 24,
    HEADER_CRC = 60,
};

/* Offsets in a record's header. */
enum { RECORD_CRC = 4, RECORD_GROUP = 8, RECORD_SEQ = 16, RECORD_KIND = 24, RECORD_LEFT = 28 };

static const char header_magic[4] = {'N', 'X', 'W', 'L'};

STATIC_ASSERT(HEADER_CRC + 4 == WAL_HEADER_SIZE, "the CRC ends the header");
STATIC_ASSERT(RECORD_LEFT + 4 == WAL_RECORD_HEADER_SIZE, "the header ends with group_left");
STATIC_ASSERT(WAL_HEADER_SIZE % 8 == 0, "records are 8-byte aligned");

void wal_header_put(uint8_t bytes[WAL_HEADER_SIZE], const struct wal_header *header)
{
    ASSERT(header->segment > 0);
    ASSERT(header->prev_segment < header->segment);
    memset(bytes, 0, WAL_HEADER_SIZE);
    memcpy(bytes, header_magic, sizeof(header_magic));
    bytes[HEADER_VERSION] = WAL_VERSION;
    endian_put_u64le(bytes + HEADER_SEGMENT, header->segment);
    endian_put_u64le(bytes + HEADER_PREV_SEGMENT, header->prev_segment);
    endian_put_u64le(bytes + HEADER_PREV_END, header->prev_end);
    endian_put_u32le(bytes + HEADER_CRC, crc32c(0, bytes, HEADER_CRC));
}

enum err wal_header_get(struct slice bytes, struct wal_header *header, struct err_info *info)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    struct wal_header got;

    if (bytes.len < WAL_HEADER_SIZE)
        return err_set(info, ERR_CORRUPT, "segment header is cut short: %zu bytes", bytes.len);
    if (memcmp(at, header_magic, sizeof(header_magic)) != 0)
        return err_set(info, ERR_CORRUPT, "segment header has no magic number");
    if (endian_get_u32le(at + HEADER_CRC) != crc32c(0, at, HEADER_CRC))
        return err_set(info, ERR_CORRUPT, "segment header has a wrong checksum");
    if (at[HEADER_VERSION] != WAL_VERSION)
        return err_set(info, ERR_VERSION, "segment has format version %u, this program reads %d",
                       at[HEADER_VERSION], WAL_VERSION);
    got.segment = endian_get_u64le(at + HEADER_SEGMENT);
    got.prev_segment = endian_get_u64le(at + HEADER_PREV_SEGMENT);
    got.prev_end = endian_get_u64le(at + HEADER_PREV_END);
    if (got.segment == 0 || got.prev_segment >= got.segment)
        return err_set(info, ERR_CORRUPT, "segment header has impossible segment numbers");
    *header = got;
    return ERR_OK;
}

/* The payload's checksum, extended over the header but for the CRC's own place. */
static uint32_t record_crc(const uint8_t *header, uint32_t payload_crc)
{
    const uint32_t crc = crc32c(payload_crc, header, RECORD_CRC);

    return crc32c(crc, header + RECORD_GROUP, WAL_RECORD_HEADER_SIZE - RECORD_GROUP);
}

void wal_record_put(uint8_t *to, const struct wal_entry *entry, uint32_t payload_crc)
{
    const size_t len = entry->payload.len;

    ASSERT(len > 0 && len <= WAL_PAYLOAD_SIZE_MAX);
    memset(to, 0, WAL_RECORD_HEADER_SIZE);
    endian_put_u32le(to, (uint32_t)len);
    endian_put_u64le(to + RECORD_GROUP, entry->group);
    endian_put_u64le(to + RECORD_SEQ, entry->seq);
    to[RECORD_KIND] = (uint8_t)entry->kind;
    endian_put_u32le(to + RECORD_LEFT, entry->group_left);
    endian_put_u32le(to + RECORD_CRC, record_crc(to, payload_crc));
    memcpy(to + WAL_RECORD_HEADER_SIZE, entry->payload.data, len);
    memset(to + WAL_RECORD_HEADER_SIZE + len, 0,
           (size_t)wal_record_size(len) - WAL_RECORD_HEADER_SIZE - len);
}

void wal_scan_init(struct wal_scan *scan, struct slice bytes, uint64_t end)
{
    *scan = (struct wal_scan){.bytes = bytes, .offset = WAL_HEADER_SIZE, .end = end};
}

/* Whether a whole and unharmed record lies at offset. */
static bool scan_get(const struct wal_scan *scan, uint64_t offset, struct wal_entry *entry)
{
    const uint8_t *at = (const uint8_t *)scan->bytes.data + offset;
    uint64_t len;

    if (scan->bytes.len < WAL_RECORD_HEADER_SIZE ||
        offset > scan->bytes.len - WAL_RECORD_HEADER_SIZE)
        return false;
    len = endian_get_u32le(at);
    if (len == 0 || len > WAL_PAYLOAD_SIZE_MAX || wal_record_size(len) > scan->bytes.len - offset)
        return false;
    if (at[RECORD_KIND] == 0 || at[RECORD_KIND] >= WAL_KIND_END || at[RECORD_KIND + 1] != 0 ||
        at[RECORD_KIND + 2] != 0 || at[RECORD_KIND + 3] != 0)
        return false;
    entry->kind = (enum wal_kind)at[RECORD_KIND];
    entry->payload = slice_of(at + WAL_RECORD_HEADER_SIZE, len);
    if (endian_get_u32le(at + RECORD_CRC) != record_crc(at, crc32c_slice(entry->payload)))
        return false;
    entry->group = endian_get_u64le(at + RECORD_GROUP);
    entry->seq = endian_get_u64le(at + RECORD_SEQ);
    entry->group_left = endian_get_u32le(at + RECORD_LEFT);
    return true;
}

/* Why there is no valid record at scan->offset. Groups are synced one after the other: if one of a
 * later group than the bad record's lies behind it, that bad record was once good. */
static enum wal_scan_end scan_judge(const struct wal_scan *scan)
{
    uint64_t bad_group = scan->group_left > 0 ? scan->group : scan->group + 1;
    bool clean = true;

    if (scan->end != UINT64_MAX)
        return WAL_SCAN_CORRUPT;
    if (scan->group == 0)
        bad_group = 0; /* of the first record found below */
    for (uint64_t offset = scan->offset; offset + 8 <= scan->bytes.len; offset += 8) {
        struct wal_entry entry;

        if (endian_get_u64le(scan->bytes.data + offset) == 0)
            continue;
        clean = false;
        if (!scan_get(scan, offset, &entry))
            continue;
        if (bad_group == 0)
            bad_group = entry.group;
        if (entry.group > bad_group)
            return WAL_SCAN_CORRUPT;
    }
    return clean ? WAL_SCAN_CLEAN : WAL_SCAN_TORN;
}

bool wal_scan_next(struct wal_scan *scan, struct wal_entry *entry)
{
    const uint64_t end = scan->end < scan->bytes.len ? scan->end : scan->bytes.len;

    if (scan->offset >= end) {
        scan->ended =
            scan->end != UINT64_MAX && end < scan->end ? WAL_SCAN_CORRUPT : WAL_SCAN_CLEAN;
        return false;
    }
    if (!scan_get(scan, scan->offset, entry) || entry->group < scan->group) {
        scan->ended = scan_judge(scan);
        return false;
    }
    scan->offset += wal_record_size(entry->payload.len);
    scan->group = entry->group;
    scan->group_left = entry->group_left;
    return true;
}
