/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a block from a stream of series in order.
 *
 *   open -> (series -> samples ...) ... -> finish -> <dir>/<ULID>/   | abort -> nothing is left
 *
 * All is written into <dir>/<ULID>.tmp, synced, and renamed at the end: a block with its final name
 * is whole. Chunks and series go to disk as they come; what a tenant's postings need is held in
 * memory until the tenant ends (one or two bytes a label of a series, and each label pair once).
 *
 * Threads: one at a time. All calls block on files. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "model/labels.h"
#include "model/sample.h"
#include "storage/block_meta.h"
#include "storage/sst.h"

struct block_writer;

struct block_writer_options {
    struct env *env;                 /* borrowed */
    struct sst_door *door;           /* borrowed */
    const struct hash_key *hash_key; /* borrowed; only for tables in memory */
    const char *dir;                 /* of the blocks; exists */
    struct ulid ulid;
    int64_t window_t_min_ms, window_t_end_ms; /* every sample is in [min, end) */
    uint64_t watermark;
};

enum err block_writer_open(const struct block_writer_options *options, struct block_writer **writer,
                           struct err_info *info) MUST_USE;
/* Begins a series; the caller keeps (tenant, labels) strictly increasing. Borrows both for the
 * call. A series that gets no samples leaves no trace. */
enum err block_writer_series(struct block_writer *writer, struct slice tenant,
                             struct label_set labels, struct err_info *info) MUST_USE;
/* More samples of the series begun last; the caller keeps times strictly increasing. */
enum err block_writer_samples(struct block_writer *writer, const struct sample *samples,
                              uint32_t count, struct err_info *info) MUST_USE;
/* Takes writer. ERR_END: there was no sample, and there is no block. After any error nothing is
 * left but, if even removing failed, <ULID>.tmp. */
enum err block_writer_finish(struct block_writer *writer, struct block_meta *meta,
                             struct err_info *info) MUST_USE;
/* Takes writer (NULL is fine) and removes what it wrote. */
void block_writer_abort(struct block_writer *writer);

/* Removes the directory and the files in it; errors are left to the next start. */
void block_writer_remove_dir(struct env *env, const char *path);
