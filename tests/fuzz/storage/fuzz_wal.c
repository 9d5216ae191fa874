/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of the log: scanning ends, and never gives a record whose bytes do not bear it out. The
 * first byte picks whether the end is known, and where. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "storage/head_record.h"
#include "storage/wal_format.h"

static void read_payload(const struct wal_entry *entry)
{
    static struct head_record_series series;
    struct head_entry entries[HEAD_RECORD_BATCH];
    struct head_record_reader reader;
    struct slice tenant;

    if (entry->kind == WAL_SERIES) {
        if (head_record_get_series(entry->payload, &series) == ERR_OK)
            ASSERT(series.label_count <= HEAD_RECORD_LABELS_MAX);
        return;
    }
    if (head_record_open_samples(&reader, entry->payload, &tenant) != ERR_OK)
        return;
    while (head_record_next(&reader, entries) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wal_header header;
    struct wal_entry entry;
    struct wal_scan scan;
    struct slice bytes;
    uint64_t offset;

    if (size < 1)
        return 0;
    bytes = slice_of(data + 1, size - 1);
    if (wal_header_get(bytes, &header, NULL) == ERR_OK)
        ASSERT(header.prev_segment < header.segment);
    wal_scan_init(&scan, bytes, data[0] == 0 ? UINT64_MAX : (uint64_t)data[0] * 32);
    for (offset = scan.offset; wal_scan_next(&scan, &entry); offset = scan.offset) {
        uint8_t *again;

        ASSERT(scan.offset == offset + wal_record_size(entry.payload.len));
        ASSERT(scan.offset <= bytes.len);
        again = mem_alloc((size_t)wal_record_size(entry.payload.len));
        wal_record_put(again, &entry, crc32c_slice(entry.payload));
        ASSERT(memcmp(again, bytes.data + offset, WAL_RECORD_HEADER_SIZE + entry.payload.len) == 0);
        mem_free(again);
        read_payload(&entry);
    }
    return 0;
}
