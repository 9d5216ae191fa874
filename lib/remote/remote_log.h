/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* remote_log: the sender's durable queue, one for all receivers. Transactions are appended once, in
 * the order they were stored; each receiver has a reader and a mark of its own.
 *
 *   begin -> put ... -> end(wait) --memory--> write job: records | sync --> wait done, users told
 *                                                   |
 *                                             segment files  <-- reader of a receiver
 *
 * Invariants: what a wait was answered for with ERR_OK is on disk; readers see only that. A segment
 * is removed when all marks have passed it, or when the queue is over its bounds of bytes and age:
 * then the oldest goes first and readers count what they missed. A failed write or sync is never
 * repeated on that file: the segment ends before it, its items are answered with the error, and the
 * next ones go to a new segment.
 * Threads: any, but a reader belongs to one job at a time. No call here waits for the disk but
 * open, stop, close and reading. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/slice.h"
#include "remote/remote_record.h"

struct remote_log;

struct remote_log_options {
    struct env *env;
    const struct log *log;           /* may be NULL */
    struct metric_registry *metrics; /* may be NULL */
    const char *path;                /* the directory, made where it is missing; locked */
    uint64_t segment_size;           /* bytes; 0: 32 MiB */
    uint64_t size_max;               /* bytes of all segments; 0: any */
    int64_t age_ms_max;              /* 0: any */
    uint64_t buffer_size_max;        /* bytes that wait for the disk; 0: 64 MiB */
};

/* Takes stock of what is there. ERR_EXISTS: another process has the directory. */
enum err remote_log_open(const struct remote_log_options *options, struct remote_log **log,
                         struct err_info *info) MUST_USE;
/* Refuses new transactions and waits until all that were taken are answered. */
enum err remote_log_stop(struct remote_log *log, uint64_t deadline_ns) MUST_USE;
/* After stop, and after the last reader and user. Takes log; NULL is fine. */
void remote_log_close(struct remote_log *log);

/* ---- writing ---- */

/* A series as the log knows it; its owner keeps it while transactions name it. */
struct remote_log_series {
    uint32_t id;         /* unique among the series alive */
    uint64_t defined_in; /* segment; 0 at first. Guarded by the log */
    struct slice labels; /* as remote_labels_put writes them */
};

/* Embedded in its owner from end until done, which runs on the write job and must not block. */
struct remote_log_wait {
    struct remote_log_wait *next; /* private */
    void (*done)(struct remote_log_wait *wait, enum err err);
};

/* Starts a transaction: locks the log until end. ERR_FULL: too much waits for the disk; ERR_CLOSED.
 * Then nothing is locked. */
enum err remote_log_begin(struct remote_log *log) MUST_USE;
/* Adds an item (its series is set here, its seq later). ERR_TOO_LARGE: it fits no record and is
 * left out. */
enum err remote_log_put(struct remote_log *log, struct remote_log_series *series,
                        struct remote_entry *entry) MUST_USE;
/* Unlocks. wait (may be NULL) is answered once all that was put is durable, or failed. */
void remote_log_end(struct remote_log *log, struct remote_log_wait *wait);

/* Calls fn(owner) with nothing else in a transaction. It must not call the log. */
void remote_log_locked(struct remote_log *log, void (*fn)(void *owner), void *owner);

/* ---- receivers ---- */

/* Who needs what is from `seq` on. Embedded in its owner. */
struct remote_log_user {
    struct list_node node; /* private, as seq is */
    uint64_t seq;
    /* More can be read. Any thread; takes no lock and does not block. */
    void (*on_data)(struct remote_log_user *user); /* NULL: mute */
};

void remote_log_join(struct remote_log *log, struct remote_log_user *user, uint64_t seq);
/* on_data is not called any more when it returns. Before stop it means that the user needs nothing
 * any more; what is left when the log has stopped is there at the next start. */
void remote_log_leave(struct remote_log *log, struct remote_log_user *user);
/* on_data is not called any more when it returns; what the user needs is kept until leave. */
void remote_log_mute(struct remote_log *log, struct remote_log_user *user);
/* Below seq nothing is needed any more, for this user. */
void remote_log_mark(struct remote_log *log, struct remote_log_user *user, uint64_t seq);

/* The number that the next item gets. */
uint64_t remote_log_seq_next(struct remote_log *log);
/* The number that the first item of this process got. */
uint64_t remote_log_seq_start(const struct remote_log *log);
/* Items appended since the start, for rates. */
uint64_t remote_log_item_count(const struct remote_log *log);
/* Removes what is over the bounds; for a timer. */
void remote_log_trim(struct remote_log *log);

struct remote_log_reader;

struct remote_log_record {
    uint64_t segment;
    uint64_t first_seq;
    uint32_t item_count;
    int64_t written_ms;
    struct slice payload; /* borrowed until the next read */
};

/* Starts at the segment that holds seq: its records come from the first on, since they define
 * series. */
struct remote_log_reader *remote_log_reader_new(struct remote_log *log, uint64_t seq);
void remote_log_reader_free(struct remote_log_reader *reader);
/* The next record. *lost grows by items that were skipped: corrupt, or removed before they were
 * read. ERR_END: nothing more for now. ERR_IO and others: may work later; after some tries the rest
 * of the segment is given up. */
enum err remote_log_read(struct remote_log_reader *reader, struct remote_log_record *record,
                         uint64_t *lost) MUST_USE;
