/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a block from a stream of series in order.
 *
 *   open -> (series -> columns ...) ... -> finish -> <dir>/<ULID>/   | abort -> nothing is left
 *
 * All is written into <dir>/<ULID>.tmp, synced, and renamed at the end: a block with its final name
 * is whole. Chunks and series go to disk as they come; what a tenant's postings need is held in
 * memory until the tenant ends (one or two bytes a label of a series, and each label pair once);
 * metadata until the end.
 *
 * Threads: one at a time. All calls block on files. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "model/labels.h"
#include "model/source.h"
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
    uint64_t watermark, cleaned_version;      /* as in block_meta.h */
};

enum err block_writer_open(const struct block_writer_options *options, struct block_writer **writer,
                           struct err_info *info) MUST_USE;
/* Begins a series; the caller keeps (tenant, labels) strictly increasing. Borrows both for the
 * call. A series that gets neither samples nor exemplars leaves no trace. */
enum err block_writer_series(struct block_writer *writer, struct slice tenant,
                             struct label_set labels, struct err_info *info) MUST_USE;
/* More samples of the series begun last, floats or histograms, with start times if they have any;
 * the caller keeps times strictly increasing. Copies. ERR_TOO_LARGE: a histogram of over a million
 * buckets, or spans that do not match its buckets. */
enum err block_writer_columns(struct block_writer *writer, const struct sample_columns *columns,
                              struct err_info *info) MUST_USE;
/* An exemplar of the series begun last, at any time, in any order. Copies. A series may have
 * exemplars without samples; but no block comes of exemplars alone. */
enum err block_writer_exemplar(struct block_writer *writer, const struct exemplar *exemplar,
                               struct err_info *info) MUST_USE;
/* Metadata of a metric of any tenant, at any time before finish. Copies, and holds it in memory
 * until then; what is said twice is kept once. */
enum err block_writer_metadata(struct block_writer *writer, struct slice tenant,
                               const struct metadata *metadata, struct err_info *info) MUST_USE;
/* Takes writer. ERR_END: there was no sample, and there is no block. After any error nothing is
 * left but, if even removing failed, <ULID>.tmp. */
enum err block_writer_finish(struct block_writer *writer, struct block_meta *meta,
                             struct err_info *info) MUST_USE;
/* Takes writer (NULL is fine) and removes what it wrote. */
void block_writer_abort(struct block_writer *writer);

/* Removes the directory and the files in it; errors are left to the next start. */
void block_writer_remove_dir(struct env *env, const char *path);
