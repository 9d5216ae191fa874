/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Segments of Prometheus's write-ahead logs (wal/, wbl/ and checkpoints): pages of fragments that
 * make records (upstream's tsdb/docs/format/wal.md).
 *
 *   page:     32 KiB: fragment ... | zeros
 *   fragment: type:u8 (whole, first, middle, last; compression) | length:u16 | crc32c:u32 | bytes
 *
 * A record that is cut short at the end of a segment is a torn tail if nothing lies behind it,
 * which is what a crash leaves; anything else that is wrong is corruption.
 *
 * Ownership: borrows the segment; a record is borrowed until the next one. Threads: one at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct zstd_decoder;

enum { PROM_WAL_PAGE_SIZE = 32 << 10, PROM_WAL_RECORD_SIZE_MAX = 256 << 20 };

struct prom_wal {
    struct slice bytes; /* of the segment; borrowed */
    size_t at;
    enum err err; /* sticky; look at it once next has said false */
    struct err_info info;
    bool is_torn;              /* ended in a record that is not whole */
    struct buf record;         /* the fragments of the record so far */
    struct arena decoded;      /* the record when it was compressed */
    struct zstd_decoder *zstd; /* owned; NULL before the first record that needs it */
};

void prom_wal_init(struct prom_wal *wal, struct slice segment);
void prom_wal_fini(struct prom_wal *wal);
/* False at the end or at the first fault. */
bool prom_wal_next(struct prom_wal *wal, struct slice *record);
