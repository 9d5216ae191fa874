/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A data directory: lock, identity, head with its log, blocks and their catalog, as one appender
 * and one source.
 *
 *   write:  appender -> head
 *   read:   pin, list of live blocks -> head + blocks -> merge
 *   flush:  head window -> block -> catalog -> list of live blocks -> drop from the head
 *
 * A reader pins the head before it looks which blocks are live, and the head drops what was flushed
 * only when the readers that came before have left: so what a flush moves is always in one place or
 * in both, and the merge is a union.
 *
 * A timer looks after the head every second and flushes windows that are due. What cannot be
 * written (disk full) stays in the head, is logged, and is tried again later.
 *
 * Threads: open, stop and close on one thread; the rest any. Calls marked "Blocks" belong on a
 * worker. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metric.h"
#include "model/appender.h"
#include "model/matcher.h"
#include "model/source.h"
#include "storage/head.h"

struct db;

struct db_retention {
    int64_t time_ms;     /* 0: none */
    uint64_t size_bytes; /* of log and blocks; 0: none */
};

struct db_options {
    struct env *env;                  /* borrowed: outlives us */
    const struct log *log;            /* borrowed; may be NULL */
    struct metric_registry *registry; /* borrowed; may be NULL */
    const char *path;                 /* the directory; made if missing */
    int64_t block_range_ms;           /* 0: 2 h */
    uint64_t wal_segment_size;        /* these as in head.h */
    uint64_t low_space_bytes;
    uint64_t checkpoint_bytes;
    int64_t future_ms_max;
    int64_t late_ms_max;
    uint64_t series_max;
    uint64_t tenant_series_max;
    uint32_t exemplar_max;
    size_t cache_size_bytes;    /* of decoded table blocks; 0: 64 MiB */
    uint64_t maintain_every_ms; /* 0: one second; without env->timer nothing is done by itself */
    struct db_retention retention;
    int64_t compact_range_ms_max; /* no block is merged to cover more; 0: 31 days. Below twice the
                                     block range: none is but for overlaps */
};

/* Recovers what the directory holds. ERR_EXISTS: another process has it. Blocks. */
enum err db_open(const struct db_options *options, struct db **db, struct err_info *info) MUST_USE;

/* No write begins any more; flushes under way are cancelled; all that was acknowledged is durable,
 * most of it in a checkpoint, so that the next open is short. ERR_DEADLINE: call it again. Blocks.
 */
enum err db_stop(struct db *db, uint64_t deadline_ns) MUST_USE;

/* Takes db (NULL is fine). After db_stop and the last reader; in tests also without db_stop, when
 * no job of the env runs any more: then it is like a crash. */
void db_close(struct db *db);

/* Borrowed; live as long as the db. */
struct appender *db_appender(struct db *db);
struct source *db_source(struct db *db);
/* The key of series identities, fixed when the directory was made. */
const struct hash_key *db_hash_key(const struct db *db);

/* How many exemplars are kept in memory; 0: none. */
void db_set_exemplar_max(struct db *db, uint32_t max);

struct db_flush_options {
    bool all;                      /* every window that has samples, not only those due */
    uint64_t deadline_ns;          /* of waiting for a flush under way; monotonic; 0: none */
    const _Atomic bool *cancelled; /* may be NULL */
};

/* Moves windows of the head into blocks. On an error what was not moved stays where it is. Blocks.
 */
enum err db_flush(struct db *db, const struct db_flush_options *options,
                  struct err_info *info) MUST_USE;

struct block_writer;
struct block_meta;

/* A block that comes from elsewhere, of times that may be old. */
struct db_new_block {
    const char *name;           /* a ULID: what is or was live under it is not written again */
    int64_t t_min_ms, t_end_ms; /* every sample is in [min, end) */
    /* Writes the series in order. */
    enum err (*fill)(void *owner, struct block_writer *writer, struct err_info *info);
    void *owner;
};

/* Writes a block and makes it live, for now and after a crash. ERR_EXISTS: a block has or had
 * this name, nothing was done. ERR_END: fill wrote no sample, there is no block. meta may be NULL.
 * Blocks. */
enum err db_add_block(struct db *db, const struct db_new_block *new_block, struct block_meta *meta,
                      struct err_info *info) MUST_USE;

struct db_selector {
    const struct matcher_spec *matchers; /* all of them; borrowed for the call */
    uint32_t count;                      /* at least 1 */
};

struct db_delete_options {
    struct slice tenant;
    const struct db_selector *selectors; /* series that any of them selects */
    uint32_t selector_count;
    int64_t t_min_ms, t_max_ms;    /* both included */
    uint64_t deadline_ns;          /* of waiting for others; monotonic; 0: none */
    const _Atomic bool *cancelled; /* may be NULL */
};

/* Deletes samples: all that were visible when it was called, and none that are written after it
 * has returned. At once for queries that begin then, and for good; the bytes go when blocks are
 * merged or cleaned. After an error nothing was deleted. What the head has of the range is flushed
 * on the way. Blocks. */
enum err db_delete(struct db *db, const struct db_delete_options *options,
                   struct err_info *info) MUST_USE;

/* From now on. Any thread. */
void db_set_retention(struct db *db, const struct db_retention *retention);

struct db_compact_options {
    uint64_t deadline_ns;          /* of waiting for a merge under way; monotonic; 0: none */
    const _Atomic bool *cancelled; /* may be NULL */
};

/* Merges blocks as compact_plan.h says until there is nothing to merge. On an error what was not
 * merged is as it was. Blocks. */
enum err db_compact(struct db *db, const struct db_compact_options *options,
                    struct err_info *info) MUST_USE;
/* Rewrites each block that deletions apply to without what they delete. On an error some may be
 * done and some not. Blocks. */
enum err db_clean(struct db *db, const struct db_compact_options *options,
                  struct err_info *info) MUST_USE;

enum { DB_SNAPSHOT_NAME_SIZE = 48 };

struct db_snapshot_options {
    bool skip_head;                /* blocks only */
    uint64_t deadline_ns;          /* of waiting for a flush under way; monotonic; 0: none */
    const _Atomic bool *cancelled; /* may be NULL */
};

/* Makes <path>/snapshots/<name>, a data directory that a server starts from, of hard links. Flushes
 * wait meanwhile. After an error nothing is left. Blocks. */
enum err db_snapshot(struct db *db, const struct db_snapshot_options *options,
                     char name[DB_SNAPSHOT_NAME_SIZE], struct err_info *info) MUST_USE;

/* One round of what the timer does; for an env without timers. Blocks. */
void db_maintain(struct db *db);

struct db_stats {
    struct head_stats head;
    uint64_t blocks, block_bytes, block_samples, block_series;
    uint64_t quarantined;                      /* blocks put aside since the open */
    uint64_t flushes, flush_failures;          /* windows since the open */
    uint64_t compactions, compaction_failures; /* likewise, merges */
    uint64_t tombstones;                       /* deletions that blocks are not cleaned of yet */
    int64_t t_min_ms, t_max_ms; /* of all samples; t_min > t_max when there are none */
};

void db_get_stats(struct db *db, struct db_stats *stats);
