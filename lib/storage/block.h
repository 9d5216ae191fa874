/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A block, opened for reading: a source over index.sst and data.sst.
 *
 *   select:  matchers -> posting lists -> ids -> series records -> cursors over chunks
 *
 * What is read is checked as it is read: table checksums by the table library, then each value by
 * its own format, then chunk against chunk list. Bad bytes end the stream with ERR_CORRUPT and a
 * message that names block and series; they never give a wrong answer.
 *
 * Ownership: counted references; a select holds one until its arena's reset. A doomed block's files
 * are removed with the last reference. Threads: any number of selects at once. All calls block on
 * files, the last unref too. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/source.h"
#include "storage/block_meta.h"
#include "storage/sst.h"

struct block;

struct block_options {
    struct env *env;                 /* borrowed: outlives us */
    struct sst_door *door;           /* borrowed: outlives us */
    const struct hash_key *hash_key; /* borrowed: outlives us; gives series their hashes */
    const char *dir;                 /* of the blocks */
};

/* Reads meta.json and opens the tables. ERR_CORRUPT, ERR_VERSION, ERR_NOT_FOUND, ERR_IO: the
 * message names block and file. The block has one reference. */
enum err block_open(const struct block_options *options, struct ulid ulid, struct block **block,
                    struct err_info *info) MUST_USE;
struct block *block_ref(struct block *block);
/* Takes a reference; NULL is fine. */
void block_unref(struct block *block);
/* The files go with the last reference; the catalog no longer lists the block. */
void block_doom(struct block *block);

/* Borrowed; they live as long as the block. */
const struct block_meta *block_get_meta(const struct block *block);
struct source *block_source(struct block *block);
