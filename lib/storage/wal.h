/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The write-ahead log: preallocated segments, records in groups, one write and one sync a group.
 *
 *   wal_append -> queue -> disk job: [ group ] write, sync -> on_group, in order
 *                             |fails: the segment is abandoned at the group's start; a new segment
 *                             |whose header says so is made durable, then on_group(error)
 *
 * Group commit needs no timer: while one group is being synced, the next one gathers. The queue has
 * no capacity of its own: a caller waits for his record's answer before the next one, so it is
 * bounded by connections and scrape loops, its bytes by the budget of writes.
 *
 * Invariants: records lie in the file in the order of their sequence numbers; a record marked
 * `keep` is never lost with its group but goes into the next one, before all that came after it; a
 * file whose sync failed is never written or synced again. Ownership: records belong to the caller
 * and are his again in on_group. Threads: any, but for open and close. on_group runs on a disk
 * worker, one call at a time. */

#include <stdint.h>

#include "base/crc32c.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/slice.h"
#include "storage/wal_format.h"

struct wal;

struct wal_record {
    struct wal_record *next;
    uint64_t seq;         /* given by wal_append */
    struct slice payload; /* borrowed until on_group */
    uint32_t payload_crc; /* crc32c of payload, so that it is made on the caller's thread */
    uint8_t kind;         /* enum wal_kind */
    bool keep;
};

/* Records first .. of one group, linked by next, all of them durable (ERR_OK) or none of them
 * (ERR_NO_SPACE, ERR_IO ...). With an error there are no `keep` records among them: those wait. */
typedef void wal_group_fn(void *owner, struct wal_record *first, enum err err);

struct wal_options {
    struct env *env;                  /* borrowed */
    const struct log *log;            /* borrowed; may be NULL */
    struct metric_registry *registry; /* borrowed; may be NULL */
    const char *dir;                  /* of the segments; made if missing */
    uint64_t segment_size;            /* bytes; 0: 32 MiB */
    uint64_t low_space_bytes;         /* of free space, under which writes stop; 0: never */
    wal_group_fn *on_group;
    void *owner; /* borrowed: of on_group */
};

/* Where the log goes on after what replay has read. */
struct wal_start {
    uint64_t segment;      /* number of the first new segment */
    uint64_t prev_segment; /* the last one that counts, 0: none, and where it ends */
    uint64_t prev_end;
    uint64_t seq, group; /* the next ones; > 0 */
};

/* Makes the log ready for wal_append; the first segment is made with the first group. */
enum err wal_open(const struct wal_options *options, const struct wal_start *start,
                  struct wal **wal, struct err_info *info) MUST_USE;

/* Takes wal; NULL is fine. After wal_drain, or like a crash: what is still queued goes to on_group
 * with ERR_CLOSED, kept records too. No job of the log runs any more. */
enum err wal_close(struct wal *wal);

/* Queues the record and gives it the next sequence number. ERR_TOO_LARGE: it fits no segment.
 * ERR_NO_SPACE, ERR_IO: the log has failed and waits for wal_maintain to mend it; only `keep`
 * records are taken then. On an error the record stays the caller's and on_group will not see it.
 */
enum err wal_append(struct wal *wal, struct wal_record *record) MUST_USE;

/* Completes op when no record but kept ones of a failed log is queued or being written. */
void wal_drain(struct wal *wal, struct env_op *op);

/* Whether a new transaction may begin: ERR_OK, ERR_NO_SPACE or the error the log has failed with.
 */
enum err wal_check(const struct wal *wal);

/* Has the disk job look at free space, mend a failed log and try again to preallocate; every second
 * or so. */
void wal_maintain(struct wal *wal);

struct wal_cut {
    uint64_t segment;    /* number of the next segment */
    uint64_t seq, group; /* records up to these lie in older ones */
};

/* Ends the current segment. ERR_EXISTS: another cut is under way. Blocks: from a pool job. */
enum err wal_cut(struct wal *wal, struct wal_cut *cut) MUST_USE;

/* Unlinks the segments below `segment`. Blocks. */
enum err wal_remove_below(struct wal *wal, uint64_t segment) MUST_USE;

/* Since the open. */
struct wal_stats {
    uint64_t written_bytes;
    uint64_t segment; /* number of the current one; 0: none yet */
    uint64_t groups, records;
    uint32_t queue_count;
};

void wal_get_stats(struct wal *wal, struct wal_stats *stats);

/* ---- replay ---- */

struct wal_replay_options {
    struct env *env;
    const struct log *log;
    const char *dir;
    uint64_t segment_min;        /* older ones are unlinked */
    uint64_t seq_min, group_min; /* what the checkpoint has seen: the next ones are above */
    /* Borrows the payload for the call. ERR_CORRUPT: the record makes no sense; it is counted and
     * skipped. */
    enum err (*on_record)(void *owner, const struct wal_entry *entry);
    void *owner;
};

struct wal_replay_stats {
    uint64_t segments, records, bytes;
    uint64_t torn_tails, corruptions; /* cut at info level; reported as errors */
};

/* Reads all segments in order, and says where to go on. Bad bytes are reported and skipped, never
 * an error: ERR_IO and the like are the disk's own. Blocks. */
enum err wal_replay(const struct wal_replay_options *options, struct wal_start *start,
                    struct wal_replay_stats *stats, struct err_info *info) MUST_USE;
