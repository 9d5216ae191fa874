/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Native histograms of one layout, 1 to 128 of them, as columns.
 *
 *   layout:  schema:varint | zero threshold:u64 | positive spans | negative spans |
 *            custom bounds:uvarint (v:u64) ...
 *   spans:   count:uvarint (offset:varint length:uvarint) ...
 *   columns: resets:ints | sum:floats | count | zero count | positive bucket ... | negative ...
 *
 * Counts are ints for integer histograms, floats for float ones (block_ints.h, block_floats.h);
 * buckets are absolute, since a bucket's own growth packs better than differences of neighbours.
 * Reset hints and a stale marker's NaN come back exactly. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/histogram.h"
#include "storage/block_floats.h"

enum {
    BLOCK_HISTOGRAM_BUCKETS_MAX = 1 << 20, /* spans, buckets, bounds, each: of one histogram */
    /* Buckets of all histograms together, from which on the writer begins another run. */
    BLOCK_HISTOGRAM_CELLS = 4096,
};

/* How many from the front of the list have one layout and fit into one run; at least 1. */
uint32_t block_histogram_run(const struct histogram *const *list, uint32_t count);
/* Whether a histogram is one that a block can hold: sizes in bounds, spans that match the buckets.
 */
bool block_histogram_fits(const struct histogram *h);
/* Appends a run of one layout. */
void block_histogram_put(struct buf *out, const struct histogram *const *list, uint32_t count);
/* Takes a run off the front of untrusted bytes; what list[] points to comes from the arena.
 * ERR_CORRUPT, ERR_LIMIT. */
enum err block_histogram_take(struct slice *rest, struct arena *arena, bool is_float,
                              const struct histogram **list, uint32_t count) MUST_USE;
