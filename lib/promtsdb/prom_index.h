/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The file `index` of a Prometheus block, versions 1 to 3 (upstream's tsdb/docs/format/index.md).
 *
 *   magic | version | symbols | series ... | postings ... | tables | table of contents (fixed size)
 *
 * Series are numbered in the order of the list of all postings, which is the order of their labels.
 * Every section that is read has its CRC checked: the small ones at open, a series when it is read.
 *
 * Ownership: borrows the file's bytes, which may be a mapped file larger than memory, until fini;
 * owns a table of every 16th symbol. Threads: readers only, after open. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

struct prom_index {
    struct slice bytes;      /* borrowed */
    struct slice symbols;    /* the entries alone */
    uint32_t *symbol_places; /* owned: of every 16th symbol in `symbols` */
    struct slice series;     /* of all: four bytes each */
    uint32_t symbol_count, series_count;
    uint8_t version;
};

struct prom_chunk_meta {
    int64_t t_min_ms, t_max_ms; /* both included */
    uint64_t ref;               /* file << 32 | offset */
};

struct prom_series {
    uint64_t ref; /* what tombstones call it */
    struct label_set labels;
    struct prom_chunk_meta *chunks; /* by time */
    uint32_t chunk_count;
};

/* ERR_CORRUPT, ERR_VERSION: the message says what is wrong where. After an error there is nothing
 * to fini. */
enum err prom_index_open(struct prom_index *index, struct slice bytes,
                         struct err_info *info) MUST_USE;
void prom_index_fini(struct prom_index *index);

/* Series `number` (below series_count); what series points to lies in the arena or in the file.
 * ERR_CORRUPT; ERR_LIMIT: the arena has no room. */
enum err prom_index_series(const struct prom_index *index, uint32_t number, struct arena *arena,
                           struct prom_series *series, struct err_info *info) MUST_USE;
