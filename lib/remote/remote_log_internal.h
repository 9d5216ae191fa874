/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the queue share. */

#include <pthread.h>

#include "remote/remote_log.h"

enum {
    REMOTE_LOG_PATH_SIZE = 4096 + 32,
    REMOTE_LOG_CHUNK_SIZE = 1 << 20, /* a record is closed when its payload has this many bytes */
    REMOTE_LOG_ENTRY_SIZE_MAX = 4 << 20, /* of labels, and of an item */
};

STATIC_ASSERT(REMOTE_LOG_CHUNK_SIZE + 2 * REMOTE_LOG_ENTRY_SIZE_MAX + 256 <=
                  REMOTE_PAYLOAD_SIZE_MAX,
              "a chunk with one more definition and item is a payload");

struct remote_log_metrics {
    struct metric_counter records, written_bytes, failed_items, corrupt, removed_unsent;
    struct metric_histogram sync_seconds;
};

/* One file. Guarded by the log's lock. */
struct remote_log_segment {
    uint64_t number;
    uint64_t first_seq; /* of its header */
    int64_t created_ms;
    uint64_t size; /* bytes that may be read */
};

/* One record under construction, or on its way to the file. */
struct remote_log_chunk {
    struct remote_log_chunk *next;
    uint64_t segment, first_seq;
    uint32_t item_count;
    struct buf payload;
    struct remote_entry_base base;
    struct remote_log_wait *waits;
};

struct remote_log {
    struct remote_log_options options;
    char *path; /* owned */
    struct env_file *dir_lock;
    uint64_t seq_start;
    struct remote_log_metrics metrics;

    pthread_mutex_t lock; /* guards from here to `job`; the job is submitted under it */
    struct remote_log_chunk *first, *last;
    uint64_t buffered_bytes;
    uint64_t seq_next;
    uint64_t segment;        /* where new chunks go */
    uint64_t removed_seq;    /* below it segments were removed, or are not there since the start */
    uint64_t failed_segment; /* chunks of it and before cannot be written any more */
    struct remote_log_segment *segments; /* owned; by number */
    size_t segment_count, segment_cap;
    struct list users;
    bool busy, closed;
    bool trim_wanted;
    struct env_op *idle; /* borrowed; NULL: nobody waits */

    struct env_job job;
    _Atomic uint64_t item_count, size_bytes, segments_shown;

    /* The write job's own. */
    struct env_file *file; /* NULL: none open */
    uint64_t file_number, file_size;
    int64_t file_created_ms;
    struct buf out;
};

void remote_log_segment_path(const struct remote_log *log, uint64_t number,
                             char path[REMOTE_LOG_PATH_SIZE]);
/* Lists the directory's segments, finds where the numbers go on, cuts the torn tail. */
enum err remote_log_scan_dir(struct remote_log *log, struct err_info *info) MUST_USE;
/* Removes segments that nobody needs or that are over the bounds. By the write job, or while there
 * is none. */
void remote_log_remove_old(struct remote_log *log);
/* Locked. */
struct remote_log_segment *remote_log_segment_add(struct remote_log *log,
                                                  const struct remote_log_segment *segment);

/* The next valid record in bytes at or behind *offset (which moves to it); false: none. The payload
 * may be cut off by the end: then it is not valid. */
bool remote_log_find_record(struct slice bytes, size_t *offset,
                            struct remote_record_header *header) MUST_USE;
