/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* alias_table: label bytes as they lie on the wire -> series reference of the appender behind.
 *
 * A sender repeats the same label bytes with every sample, so one keyed 128-bit hash of the raw
 * bytes stands for decoding, checking, relabelling and hashing them in canonical form. Only a miss
 * does that work. The whole table is dropped when settings that change labels reload. Entries that
 * nobody asked for since the last growth are left out of the next, so churn does not make it grow
 * for ever.
 *
 * Invariants: open addressing, power-of-two size, at most 5/8 full; a hash of zero marks a free
 * entry. Threads: any. A batch of look-ups holds the read lock once, a batch of additions the write
 * lock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

enum { ALIAS_IDLE_S = 1800 };

struct alias_table;

struct alias_stats {
    size_t entries, size_bytes;
    uint64_t hits, misses, evictions;
};

/* count_max bounds the entries: growing over that many, the table starts again empty. */
struct alias_table *alias_table_new(size_t count_max);
void alias_table_free(struct alias_table *table);

/* Parallel arrays of the caller, and the time on a coarse clock of any origin. */
struct alias_batch {
    const struct hash128 *hashes;
    uint64_t *refs;
    size_t count;
    uint32_t now_s;
};

/* refs[i] becomes the reference of hashes[i], or 0 if there is none. */
void alias_table_find(struct alias_table *table, const struct alias_batch *batch);

/* Adds or replaces, one short write lock for all. A ref of 0 is passed over. `version` is what
 * alias_table_version said before the labels were read: when the table was dropped since, nothing
 * is added. True: call alias_table_grow soon; a table that is full or growing leaves new entries
 * out, and they are asked for again. */
bool alias_table_add(struct alias_table *table, const struct alias_batch *batch, uint64_t version);

/* Moves what is in use into a table of fitting size. Look-ups go on meanwhile; takes some 30 ns an
 * entry, so it belongs on a worker. One call at a time. */
void alias_table_grow(struct alias_table *table, uint32_t now_s);

uint64_t alias_table_version(struct alias_table *table);
void alias_table_drop(struct alias_table *table);
struct alias_stats alias_table_stats(struct alias_table *table);
