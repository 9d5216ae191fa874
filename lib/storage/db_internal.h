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

enum { DB_PATH_SIZE = 1024 };

/* The live blocks at one time, by ULID; never changed once it is in force. */
struct db_blocks {
    _Atomic uint32_t ref_count;
    uint32_t count;
    struct block *items[]; /* a reference each */
};

struct db_metrics {
    struct metric_counter flushes, flush_failures, flushed_samples, quarantined;
    struct metric_histogram flush_seconds;
};

/* A job that at most once is queued or running. */
struct db_task {
    struct env_job job;
    struct db *db;
    bool is_busy; /* db->lock */
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
    struct catalog *catalog; /* belongs to who has the flush slot */
    struct head *head;
    struct db_metrics metrics;
    bool has_metrics;

    pthread_mutex_t lock;
    struct db_blocks *blocks; /* lock; a reference */
    bool slot_taken;          /* lock: one flush at a time */
    bool slot_closed;         /* lock: by the stop; nobody gets it any more */
    struct list slot_waiters; /* lock: of struct db_wait */
    struct list idle_waiters; /* lock: of struct db_wait, for no task being busy */

    struct env_timer timer;
    bool has_timer;
    _Atomic bool is_stopping;
    bool has_stop_slot; /* the stopping thread's: it has the slot, and keeps it */
    struct db_task maintain, flush;
    _Atomic uint64_t flush_retry_ns; /* not before, after a failure; 0: at once */
    uint32_t flush_failures_in_row;  /* slot */

    /* A block whose attach failed while the catalog is unsure; removed once it is sure. */
    struct block *limbo; /* slot; a reference */
};

/* ---- db_blocks.c ---- */

struct db_blocks *db_blocks_get(struct db *db);
/* Takes a reference; the last one of a list gives up its blocks. */
void db_blocks_unref(struct db_blocks *blocks);
/* Puts a list with one more block in force; takes the block's reference. */
void db_blocks_add(struct db *db, struct block *block);
/* Opens what the catalog lists, puts aside what is bad, removes what nobody lists. */
enum err db_blocks_load(struct db *db, struct err_info *info) MUST_USE;

/* ---- db_read.c ---- */

extern const struct source_ops db_read_ops;

/* ---- db_flush.c ---- */

void db_upkeep_start(struct db *db);
/* Stops timer and tasks. */
void db_upkeep_end(struct db *db);
/* The same, and keeps the flush slot for good. */
enum err db_upkeep_stop(struct db *db, uint64_t deadline_ns) MUST_USE;
