/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The head: the newest samples of all tenants in memory, with their write-ahead log.
 * docs/design/storage.md has the whole story.
 *
 *   appender ->  txn -> WAL group -> apply -> open chunk | sealed chunks      (per series)
 *   source   <-  posting lists, chunks at a watermark
 *   flush    <-  series in label order with the samples of a window, then drops them
 *
 * Invariants: what a reader sees was durable before; a transaction is seen whole or not at all;
 * replaying the log gives the same samples and verdicts as life did.
 * Threads: any, but for open and close. Calls marked "Blocks" belong on a pool job. */

#include <stdint.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metric.h"
#include "model/appender.h"
#include "model/source.h"

struct head;

#define HEAD_EXEMPLARS_OFF UINT32_MAX

/* Samples of [t_min_ms, t_end_ms) with a sequence number up to `watermark` are in a block. */
struct head_window {
    int64_t t_min_ms, t_end_ms;
    uint64_t watermark;
};

struct head_options {
    struct env *env;                  /* borrowed: outlives us */
    const struct log *log;            /* borrowed; may be NULL */
    struct metric_registry *registry; /* borrowed; may be NULL */
    const char *dir;                  /* of the WAL and its checkpoint; made if missing */
    const struct hash_key *hash_key;  /* borrowed */
    int64_t block_range_ms;           /* 0: 2 h */
    uint64_t wal_segment_size;        /* 0: 32 MiB */
    uint64_t low_space_bytes;         /* free space under which writes are refused; 0: never */
    uint64_t checkpoint_bytes;        /* of log since the last checkpoint; 0: 256 MiB */
    bool stop_checkpoint;             /* head_stop writes one, so that the next start is short */
    int64_t future_ms_max;            /* how far ahead of the clock a sample may be; 0: 10 min */
    int64_t late_ms_max;        /* how far behind its tenant's newest; 0: half a block range */
    uint64_t series_max;        /* in all; 0: no limit */
    uint64_t tenant_series_max; /* 0: no limit */
    uint32_t tenant_max;        /* 0: 10,000 */
    uint32_t exemplar_max;      /* in memory; 0: 100,000; HEAD_EXEMPLARS_OFF: none */
    const struct head_window *windows; /* of the live blocks; borrowed for the call */
    size_t window_count;
};

/* Reads checkpoint and log. Bad bytes in them are reported, counted and skipped; an error means
 * that the disk or the directory is at fault. Blocks. */
enum err head_open(const struct head_options *options, struct head **head,
                   struct err_info *info) MUST_USE;

/* No transaction begins any more; waits until all that have begun are answered and the log is
 * drained, so nothing is lost. ERR_DEADLINE: call it again. A checkpoint (stop_checkpoint) that
 * fails or comes to the deadline is given up, with a log line. Blocks. */
enum err head_stop(struct head *head, uint64_t deadline_ns) MUST_USE;

/* Takes head (NULL is fine). After head_stop and the last reader; also without head_stop, in tests:
 * then it is like a crash. */
void head_close(struct head *head);

/* Borrowed; live as long as the head. */
struct appender *head_appender(struct head *head);
struct source *head_source(struct head *head);

/* Holds up the dropping of flushed samples. Take one before looking which blocks are live, select
 * from the head after that, and end it when the streams have ended: then what a flush moves between
 * is in the blocks or in the head, maybe in both. */
struct head_pin;
struct head_pin *head_pin_new(struct head *head);
void head_pin_free(struct head_pin *pin);

/* ---- flush ----
 *
 *   head_flush_open -> next ... next -> (write and attach the block) -> drop -> close
 */

struct head_flush;

struct head_flush_series {
    struct slice tenant;
    struct label_set labels; /* all borrowed until the next head_flush_next */
    struct hash128 hash;
    struct sample_cursor *cursor;     /* at least one sample of the window; NULL: only exemplars */
    const struct exemplar *exemplars; /* of the window, the oldest first */
    uint32_t exemplar_count;
};

/* The series with visible samples in [t_min_ms, t_end_ms), at the present watermark. */
enum err head_flush_open(struct head *head, int64_t t_min_ms, int64_t t_end_ms,
                         struct head_flush **flush) MUST_USE;
/* Samples up to this sequence number are in the flush. */
uint64_t head_flush_watermark(const struct head_flush *flush);
/* By tenant, then labels. False: the end, or an error in head_flush_err. */
bool head_flush_next(struct head_flush *flush, struct head_flush_series *series);
enum err head_flush_err(const struct head_flush *flush);
/* What is known of the metrics of all tenants. */
typedef enum err head_flush_metadata_fn(void *owner, struct slice tenant,
                                        const struct metadata *metadata);
enum err head_flush_metadata(struct head_flush *flush, head_flush_metadata_fn *fn, void *owner);
/* Once the block is live: waits for the readers that came before this call, then drops exactly the
 * samples that next gave. ERR_DEADLINE: nothing is dropped, call again. Blocks. */
enum err head_flush_drop(struct head_flush *flush, uint64_t deadline_ns) MUST_USE;
/* Takes flush. Without a drop everything stays in the head. */
void head_flush_close(struct head_flush *flush);

/* The oldest window (aligned to the block range) that has samples in it and is due: the newest time
 * is at least half a block range behind its end. Windows with nothing but samples out of order are
 * due when others are, else once in a block range. With `all`, the oldest that has samples. A
 * flush of several windows says where the last one ended, so that none comes twice. */
struct head_due_options {
    int64_t after_ms; /* with has_after: windows from here on */
    bool has_after;
    bool all;
};
bool head_flush_due(struct head *head, const struct head_due_options *options, int64_t *t_min_ms,
                    int64_t *t_end_ms);

/* ---- upkeep ---- */

/* Frees what readers have left, drops series without samples, mends the log, looks at free space,
 * writes a checkpoint when one is due. Blocks; from a pool job, every second or so. */
void head_maintain(struct head *head);

/* Writes a checkpoint now and unlinks the log that it makes unnecessary. Blocks. */
enum err head_checkpoint(struct head *head, struct err_info *info) MUST_USE;

/* How many exemplars are kept in memory; the oldest go. 0: none. */
void head_set_exemplar_max(struct head *head, uint32_t max);

struct head_stats {
    uint32_t exemplars;
    uint64_t series, chunks, samples; /* in memory now */
    uint64_t label_pairs, tenants;
    int64_t t_min_ms, t_max_ms; /* of the samples; t_min > t_max when there are none */
    uint64_t memory_bytes;      /* series, labels, posting lists, chunks */
    uint64_t chunk_bytes;       /* of that, chunks */
    uint64_t watermark;
    uint64_t wal_bytes; /* written since the open */
    uint64_t replay_records, replay_corruptions, replay_torn_tails;
};

void head_get_stats(struct head *head, struct head_stats *stats);
