/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the facade share. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "storage/block.h"
#include "storage/catalog.h"
#include "storage/db.h"
#include "storage/identity.h"
#include "storage/sst.h"
#include "storage/tombstone.h"

enum { DB_PATH_SIZE = 1024, DB_NS_PER_MS = 1000000 };

/* A live block and what is deleted of it. */
struct db_live {
    struct block *block;           /* a reference */
    struct tombstone **tombstones; /* owned array of those of the list that apply; may be NULL */
    uint32_t tombstone_count;
};

/* The live blocks at one time, by ULID, and the deletions in force; never changed once it is in
 * force itself. */
struct db_blocks {
    _Atomic uint32_t ref_count;
    uint64_t version;              /* of the catalog */
    struct tombstone **tombstones; /* owned array; a reference each; by version */
    uint32_t tombstone_count;
    uint32_t count;
    struct db_live items[];
};

struct db_metrics {
    struct metric_counter flushes, flush_failures, flushed_samples, quarantined;
    struct metric_histogram flush_seconds;
    struct metric_counter compactions, compaction_failures, compacted_blocks, compacted_samples,
        compacted_bytes;
    struct metric_histogram compaction_seconds;
    struct metric_gauge compacting; /* 1 while blocks are merged */
    struct metric_counter time_retentions, size_retentions, retention_failures, deletions;
};

/* Somebody who waits: for a slot, or for idleness. */
struct db_wait {
    struct list_node node;
    struct env_op op;
};

/* What one at a time may have. */
struct db_slot {
    bool is_taken;       /* all: db->lock */
    bool is_closed;      /* by the stop; nobody gets it any more */
    struct list waiters; /* of struct db_wait */
};

/* A job that at most once is queued or running. */
struct db_task {
    struct env_job job;
    struct db *db;
    bool is_busy; /* db->lock */
};

/* When something that failed is tried again. */
struct db_retry {
    _Atomic uint64_t not_before_ns; /* 0: at once */
    uint32_t failures_in_row;       /* of who has the slot */
};

/* A block that is listed, or was, and could not be opened. */
struct db_missing {
    char tenant[BLOCK_TENANT_SIZE]; /* empty: several */
    int64_t t_min_ms, t_max_ms;
    char text[ERR_MESSAGE_SIZE + ULID_TEXT_LEN + 64]; /* for answers that it is missing in */
};

/* A block that a merge has failed on. */
struct db_barred {
    struct ulid ulid;
    uint32_t failures;
    uint64_t until_ns;
};

struct db {
    struct source source;
    struct db_options options;
    struct log log; /* with our component */
    char path[DB_PATH_SIZE], blocks_dir[DB_PATH_SIZE], wal_dir[DB_PATH_SIZE];
    struct env_file *dir_lock; /* owned */
    struct identity identity;
    struct hash_key hash_key;
    struct sst_door *door;
    struct catalog *catalog; /* flush slot */
    struct head *head;
    struct db_metrics metrics;
    bool has_metrics;

    pthread_mutex_t lock;
    struct db_blocks *blocks;    /* lock; a reference */
    struct list idle_waiters;    /* lock: of struct db_wait, for no task being busy */
    struct db_slot flush_slot;   /* with it come the catalog and the list of live blocks */
    struct db_slot compact_slot; /* one merge at a time; taken before the flush slot */

    struct env_timer timer;
    bool has_timer;
    _Atomic bool is_stopping;
    bool has_stop_slots; /* the stopping thread's: it has the slots, and keeps them */
    struct db_task maintain, flush, compact;
    struct db_retry flush_retry, compact_retry;
    _Atomic int64_t retention_ms;     /* 0: none */
    _Atomic uint64_t retention_bytes; /* 0: none */
    struct db_missing *missing;       /* owned; does not change after the open */
    uint32_t missing_count;
    struct db_barred *barred; /* owned; compact slot */
    uint32_t barred_count;

    uint64_t dropped_watermark;    /* flush slot: the newest flush that the head has let go of */
    uint64_t checkpoint_watermark; /* flush slot: what a checkpoint has without the log */
    /* A block whose attach failed while the catalog is unsure; removed once it is sure. */
    struct block *limbo; /* flush slot; a reference */
};

static inline uint64_t db_now_ns(struct db *db)
{
    return env_mono_ns(db->options.env);
}

/* ---- db_slot.c ---- */

void db_slot_init(struct db_slot *slot);
/* With the slot on ERR_OK. ERR_CLOSED, ERR_DEADLINE. */
enum err db_slot_take(struct db *db, struct db_slot *slot, uint64_t deadline_ns) MUST_USE;
/* Hands the slot to who waits longest. */
void db_slot_give(struct db *db, struct db_slot *slot);
/* Who still waits will not get it. */
void db_slot_close(struct db *db, struct db_slot *slot);

/* Notes a failure; returns how long to wait. */
uint64_t db_retry_note(struct db *db, struct db_retry *retry);
void db_retry_clear(struct db_retry *retry);
bool db_retry_waits(struct db *db, struct db_retry *retry);

/* ---- db_blocks.c ---- */

struct db_blocks *db_blocks_get(struct db *db);
/* Takes a reference; the last one of a list gives up its blocks. */
void db_blocks_unref(struct db_blocks *blocks);

/* A list to be filled, put in order by the seal, and then put in force. */
struct db_blocks *db_blocks_new(uint32_t cap);
void db_blocks_push(struct db_blocks *list, struct block *block); /* takes the reference */
/* Gives it the catalog's deletions; those that `old` (may be NULL) has are taken from there. */
enum err db_blocks_seal(struct db *db, struct db_blocks *list, const struct db_blocks *old,
                        struct err_info *info) MUST_USE;

struct db_commit {
    struct block *attach; /* its reference is taken, whatever happens; may be NULL */
    const struct ulid *detach;
    uint32_t detach_count; /* their files go with their last reader */
    const struct catalog_deletion *deletions;
    uint32_t deletion_count;
    const struct ulid *cleaned; /* live blocks in which deletions up to a version are done */
    uint32_t cleaned_count;
    uint64_t cleaned_version;
};
/* Makes a change, for now and after a crash: in the catalog, then in the list of live blocks. Flush
 * slot. After an error nothing has changed. */
enum err db_blocks_commit(struct db *db, const struct db_commit *commit,
                          struct err_info *info) MUST_USE;
/* Removes what the last failure left, once the catalog surely does not list it. Flush slot. */
enum err db_blocks_settle(struct db *db, struct err_info *info) MUST_USE;
/* A block that was just written. One that cannot be read back is removed: what it was made from is
 * still there. */
enum err db_blocks_open_written(struct db *db, struct ulid ulid, struct block **block,
                                struct err_info *info) MUST_USE;

/* ---- db_load.c ---- */

struct block_options db_block_options(struct db *db);
/* Opens what the catalog lists, puts aside what is bad, removes what nobody lists. */
enum err db_blocks_load(struct db *db, struct err_info *info) MUST_USE;
/* Forgets blocks that are gone for good. Flush slot. */
void db_blocks_bury(struct db *db);

/* ---- db_read.c ---- */

extern const struct source_ops db_read_ops;

/* ---- db_flush.c ---- */

/* Flushes what is due, if it is time. */
void db_flush_due(struct db *db);

struct db_flush_window {
    int64_t t_min_ms, t_end_ms;    /* [min, end) */
    uint64_t deadline_ns;          /* of waiting for readers; 0: none */
    const _Atomic bool *cancelled; /* may be NULL */
};
/* Moves one window into a block, and out of the head. Flush slot, catalog settled. */
enum err db_flush_window(struct db *db, const struct db_flush_window *window,
                         struct err_info *info) MUST_USE;
/* The log before what was flushed is not needed any more. Flush slot. */
enum err db_checkpoint(struct db *db, struct err_info *info) MUST_USE;

/* ---- db_compact.c ---- */

/* Merges what the plan says, until there is nothing or it is time to stop. */
void db_compact_due(struct db *db);

/* ---- db_retain.c ---- */

/* Removes blocks that are too old or too many. */
void db_retain(struct db *db);
/* Makes the file that is given up when the disk is full, if it is not there. */
void db_reserve_fill(struct db *db);
/* Of the log and its checkpoint, in the file system. */
uint64_t db_wal_size(struct db *db);

/* ---- db_snapshot.c ---- */

/* Removes snapshots that a crash has cut off. */
void db_snapshots_clean(struct db *db);

/* ---- db_upkeep.c ---- */

void db_upkeep_start(struct db *db);
/* Stops timer and tasks. */
void db_upkeep_end(struct db *db);
/* The same, and keeps the slots for good. */
enum err db_upkeep_stop(struct db *db, uint64_t deadline_ns) MUST_USE;
