/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes one window of the head into a block. The caller attaches the block, then drops what the
 * head gave (head_flush_drop), then closes the head's flush; or, if the block could not be
 * attached, only closes: then the head has lost nothing.
 *
 * Memory: one series' samples at a time, and what block_writer.h says. Blocks. */

#include "storage/block_writer.h"
#include "storage/head.h"

struct flush_options {
    struct env *env; /* all borrowed */
    struct head *head;
    struct sst_door *door;
    const struct hash_key *hash_key;
    const char *dir; /* of the blocks */
    int64_t t_min_ms, t_end_ms;
    uint64_t cleaned_version;          /* of the catalog as it is */
    bool (*is_cancelled)(void *owner); /* asked once a series */
    void *owner;
};

struct flush_result {
    struct head_flush *flush; /* open; the caller closes it */
    struct block_meta meta;
};

/* ERR_END: the window has no samples; there is no block, and a drop makes the head see that. After
 * any other error (ERR_CANCELLED ...) nothing is left to close or to remove. */
enum err flush_window(const struct flush_options *options, struct flush_result *result,
                      struct err_info *info) MUST_USE;
