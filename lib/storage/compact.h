/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes one block with what several hold, or what one holds without what is deleted of it.
 *
 *   blocks -> tombstones -> merge, tenant after tenant -> block_writer
 *
 * The caller attaches the block and detaches the others, in one change of the catalog.
 *
 * Memory: a few table blocks and decoded batches a block, 4 bytes a series, and what block_writer.h
 * says. Blocks on files. */

#include "storage/block.h"
#include "storage/block_writer.h"
#include "storage/tombstone.h"

struct compact_input {
    struct block *block;              /* borrowed */
    struct tombstone_list tombstones; /* those that apply to it */
};

struct compact_job {
    struct env *env; /* all borrowed */
    struct sst_door *door;
    const struct hash_key *hash_key;
    const char *dir; /* of the blocks */
    const struct compact_input *inputs;
    uint32_t input_count;     /* at least 1 */
    uint64_t cleaned_version; /* the tombstones are those up to this version */
    bool (*is_cancelled)(void *owner);
    void *owner;
};

/* ERR_END: nothing is left, and there is no block. After any error there is nothing to remove. */
enum err compact_run(const struct compact_job *job, struct block_meta *meta,
                     struct err_info *info) MUST_USE;
