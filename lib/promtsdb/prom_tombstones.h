/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The file `tombstones` of a Prometheus block, version 1: which times of which series are deleted
 * (upstream's tsdb/docs/format/tombstones.md), and a set of such stones.
 *
 *   magic:u32 | version:u8 | series:uvarint min:varint max:varint | ... | crc32c:u32
 *
 * Ownership: the set owns its array. Threads: one at a time, or readers only once sorted. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct prom_stone {
    uint64_t series_ref;
    int64_t t_min_ms, t_max_ms; /* both included */
};

struct prom_tombstones {
    struct prom_stone *items; /* owned */
    size_t count, cap;
};

void prom_tombstones_fini(struct prom_tombstones *stones);
void prom_tombstones_add(struct prom_tombstones *stones, struct prom_stone stone);
/* By series, then time. Before the first find. */
void prom_tombstones_sort(struct prom_tombstones *stones);
/* Appends what an untrusted file says. ERR_CORRUPT, ERR_VERSION: nothing was added. */
enum err prom_tombstones_read(struct prom_tombstones *stones, struct slice file,
                              struct err_info *info) MUST_USE;
/* Stones of one series, *count of them; NULL if none. Borrowed until the set changes. */
const struct prom_stone *prom_tombstones_find(const struct prom_tombstones *stones,
                                              uint64_t series_ref, size_t *count);
/* Whether one of these covers a time. */
bool prom_tombstones_cover(const struct prom_stone *stones, size_t count, int64_t t_ms);
