/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte picks: bytes as a segment of a log, with the checksums of its fragments set right
 * or as they are, or as one record. */
#include "promtsdb/prom_wal.h"

#include "base/mem.h"
#include "fuzz_crc.h"
#include "promtsdb/prom_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 1 << 20, HEADER_SIZE = 7 };

static void read_record(struct slice bytes)
{
    struct prom_record record;
    struct prom_entry entry;
    struct arena arena;

    arena_init(&arena, NULL, ARENA_MAX);
    prom_record_init(&record, bytes);
    while (prom_record_next(&record, &arena, &entry))
        arena_reset(&arena);
    arena_fini(&arena);
}

static void set_sums(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + HEADER_SIZE <= size;) {
        const uint16_t len = endian_get_u16be(bytes + at + 1);

        if ((bytes[at] & 7) == 0 || len > size - at - HEADER_SIZE)
            return;
        endian_put_u32be(bytes + at + 3, crc32c(0, bytes + at + HEADER_SIZE, len));
        at += HEADER_SIZE + (size_t)len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prom_wal wal;
    struct slice record;

    if (size == 0)
        return 0;
    if (data[0] == 2) {
        read_record(slice_of(data + 1, size - 1));
        return 0;
    }
    uint8_t *bytes = mem_alloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] == 1)
        set_sums(bytes, size - 1);
    prom_wal_init(&wal, slice_of(bytes, size - 1));
    while (prom_wal_next(&wal, &record))
        read_record(record);
    prom_wal_fini(&wal);
    mem_free(bytes);
    return 0;
}
