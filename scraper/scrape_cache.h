/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a loop remembers of a target's series between scrapes: from the raw text of a series, as it
 * stands in the body, to the appender's alias, so that a repeated scrape parses and hashes no
 * labels; and which series were there last time, for stale markers.
 *
 * A scrape is one iteration:
 *
 *   find | add ... -> stale (which series to mark) -> settle (what became of it)
 *
 * Invariants: a tracked series was stored with the server's time in the last settled iteration, or
 * an iteration that was not stored came after it. Settling drops what a complete scrape lacked.
 * Threads: one at a time. */

#include <stdint.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/slice.h"
#include "model/sample.h"

struct scrape_series {
    uint64_t ref; /* the appender's; 0: none */
    uint64_t hash;
    uint64_t seen_iter; /* the last iteration it was found or added in */
    uint32_t text_len;
    uint8_t type;     /* enum metric_type in force: part of the key */
    bool is_dropped;  /* by relabelling */
    bool is_tracked;  /* gets a stale marker if it is missing */
    bool is_pending;  /* will be tracked if this iteration is stored */
    bool is_detached; /* not found by its text any more */
    char text[];      /* text_len bytes */
};

struct scrape_cache {
    const struct hash_key *hash_key; /* borrowed */
    uint64_t iter;
    struct map map;               /* hash of type and text -> series */
    struct scrape_series **items; /* owned, each too; all of them */
    uint32_t count, cap;
    uint32_t settled_count; /* after the last complete iteration */
};

void scrape_cache_init(struct scrape_cache *cache, const struct hash_key *hash_key);
void scrape_cache_fini(struct scrape_cache *cache);

/* NULL if it is not known. Does not count as seen. */
struct scrape_series *scrape_cache_find(struct scrape_cache *cache, enum metric_type type,
                                        struct slice text);
/* A series that is not known yet, seen in this iteration. */
struct scrape_series *scrape_cache_add(struct scrape_cache *cache, enum metric_type type,
                                       struct slice text);

/* Labels would come out differently from now on: all texts are looked at again, tracking stays. */
void scrape_cache_detach(struct scrape_cache *cache);

typedef void scrape_cache_stale_fn(void *owner, struct scrape_series *series);
/* Calls fn for each tracked series that this iteration lacks; if the scrape is not complete, for
 * each tracked one. */
void scrape_cache_stale(struct scrape_cache *cache, bool is_complete, scrape_cache_stale_fn *fn,
                        void *owner);

struct scrape_cache_outcome {
    bool is_stored;   /* the transaction was */
    bool is_complete; /* the scrape was good; else only stale markers were written */
};
/* Ends the iteration. Returns whether the cache had to be cut down because scrapes that fail kept
 * filling it. */
bool scrape_cache_settle(struct scrape_cache *cache, struct scrape_cache_outcome outcome);
