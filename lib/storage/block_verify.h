/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads everything of a block and says what is wrong with it: the files' checksums, every key in
 * order, every value, every chunk decoded, and each against what the others say of it: chunk lists
 * against chunks, series against postings and statistics, and the sums of meta.json.
 *
 * Memory: a tenant's ids, a chunk. Threads: as the block's. Blocks on files, for as long as reading
 * all of them takes. */

#include "storage/block.h"

struct block_verify_options {
    uint32_t fault_max; /* stops after so many; 0: 1 */
    /* Each fault, with its place: file, tenant, series, time. Borrowed for the call. May be NULL.
     */
    void (*on_fault)(void *owner, const char *text);
    /* Asked every few thousand samples or keys, with the bytes read since it was asked last: true
     * ends it with ERR_CANCELLED. It may sleep, to hold the reading back. May be NULL. */
    bool (*on_progress)(void *owner, uint64_t bytes);
    void *owner;
};

struct block_verify_report {
    uint64_t fault_count;
    uint64_t series_count, chunk_count, sample_count, exemplar_count, metric_count;
    uint64_t bytes; /* of both tables' keys and values, unpacked */
};

/* ERR_CORRUPT: there are faults, the first one is in info. ERR_CANCELLED, ERR_IO: as far as it
 * came. options and report may be NULL. */
enum err block_verify(struct block *block, const struct block_verify_options *options,
                      struct block_verify_report *report, struct err_info *info) MUST_USE;
