/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a block says of a tenant in numbers: for cost estimates and for the cardinality of its
 * series. The value of the STATS key in index.sst:
 *
 *   version:u8 | series, chunks, samples, chunk bytes:uvarint |
 *   label names:uvarint size of what follows:uvarint (text(name) values:uvarint bytes:uvarint) ...
 * | metrics:uvarint (text(metric) series:uvarint samples:uvarint) ... | pairs:uvarint (text(name)
 * text(value) series:uvarint) ...
 *
 * Names are sorted; bytes are those of the name's values, each once. Metrics and pairs are those
 * with the most series, at most BLOCK_STATS_TOP, the most first, equals by text. Plain values. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { BLOCK_STATS_VERSION = 2, BLOCK_STATS_TOP = 64 };

struct block_stats_name {
    struct slice name;
    uint64_t value_count, value_bytes;
};

/* A label pair; a metric's name is __name__. */
struct block_stats_pair {
    struct slice name, value;
    uint64_t series_count;
    uint64_t sample_count; /* of metrics; 0 in lists of pairs */
};

struct block_stats {
    uint64_t series_count, chunk_count, sample_count;
    uint64_t chunk_bytes; /* before the table's compression */
    const struct block_stats_name *names;
    const struct block_stats_pair *metrics, *pairs;
    uint32_t name_count, metric_count, pair_count;
};

/* The pairs with the most series of those added. */
struct block_stats_top {
    struct block_stats_pair items[BLOCK_STATS_TOP];
    uint32_t count;
};

/* True if it is among the first now: then the texts are borrowed, and *pair is where they are, for
 * the caller to put copies there. */
bool block_stats_top_add(struct block_stats_top *top, const struct block_stats_pair *pair,
                         struct block_stats_pair **place);

void block_stats_put(struct buf *out, const struct block_stats *stats);

/* The numbers in front, and the names as they lie in the bytes. */
struct block_stats_head {
    uint64_t series_count, chunk_count, sample_count, chunk_bytes;
    uint32_t name_count;
    struct slice names;
    struct slice rest; /* behind them */
};

/* Read untrusted bytes. ERR_CORRUPT, ERR_VERSION, ERR_LIMIT. */
enum err block_stats_parse_head(struct slice value, struct block_stats_head *head) MUST_USE;
/* The next name off *rest; false if it makes no sense. */
bool block_stats_take_name(struct slice *rest, struct block_stats_name *name);
/* All of it, copied into the arena. */
enum err block_stats_parse(struct slice value, struct arena *arena,
                           struct block_stats *stats) MUST_USE;
