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

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/source.h"
#include "storage/block_meta.h"
#include "storage/block_stats.h"
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

/* The first tenant of the block after `after`, in the order of their names; after.data NULL: of
 * all. ERR_END: there is none. */
enum err block_next_tenant(struct block *block, struct slice after, struct buf *tenant,
                           struct err_info *info) MUST_USE;

/* The series of ctx->tenant that have exemplars, in the order of labels. Lives in ctx->arena. */
struct block_exemplar_iter;
enum err block_exemplar_iter_open(struct block *block, struct source_ctx *ctx,
                                  struct block_exemplar_iter **iter,
                                  struct err_info *info) MUST_USE;
/* The next one; *labels is borrowed until the one after it. ERR_END: there is none. */
enum err block_exemplar_iter_next(struct block_exemplar_iter *iter, struct label_set *labels,
                                  struct err_info *info) MUST_USE;
/* Calls fn for each exemplar of the present series. */
enum err block_exemplar_iter_walk(struct block_exemplar_iter *iter, source_exemplar_fn *fn,
                                  void *owner) MUST_USE;

/* The numbers of ctx's tenant, in its arena; all are 0 when the block has nothing of it. Cheap: one
 * value of the index. */
enum err block_get_stats(struct block *block, struct source_ctx *ctx, struct block_stats *stats,
                         struct err_info *info) MUST_USE;
