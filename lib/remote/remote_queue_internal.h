/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of one receiver share. */

#include <pthread.h>

#include "config/prometheus_config.h"
#include "remote/remote_metrics.h"
#include "remote/remote_position.h"
#include "remote/remote_queue.h"
#include "remote/remote_shard.h"

enum {
    REMOTE_SHARDS_MAX = REMOTE_PARTITION_COUNT,
    REMOTE_STAGED_MAX = 128,
};

/* Rates as upstream keeps them: exponentially weighted, one tick each 10 s. */
struct remote_rate {
    uint64_t events; /* since the last tick */
    double per_s;
    bool has_value;
};

struct remote_queue {
    struct remote_queue_options options; /* config: one reference */
    const struct remote_write_config *section;
    char *name; /* owned: label in metrics */
    struct remote_counters counters;
    struct log_limiter send_limiter, position_limiter;
    struct hash_key symbol_key;
    struct http_client *client; /* owned */

    /* The work job's own. */
    struct env_job job;
    _Atomic uint32_t kicks; /* > 0: the job is submitted or running */
    uint32_t kicks_seen;
    struct remote_log_user user;
    struct remote_log_reader *reader;
    struct remote_log_record record;
    struct remote_entry_reader entries;
    bool has_record;
    struct remote_item staged[REMOTE_STAGED_MAX]; /* ready for their shards */
    uint32_t staged_count, staged_at;
    struct remote_targets targets;
    struct remote_position position;
    uint64_t saved[REMOTE_PARTITION_COUNT]; /* all below is done with; also what was found at the
                                               start */
    uint64_t position_saved_ns, position_synced_ns;
    uint64_t seq_written, seq_marked; /* below: saved in the file, told to the log */
    uint64_t dropped_count;           /* by relabelling, since it was counted */
    uint64_t replay_end;              /* items before it may have been sent by an earlier process */

    pthread_mutex_t lock;   /* guards from here on; jobs, timers and calls are started under it */
    uint64_t read_seq;      /* items below were given to a shard, dropped or found done */
    bool position_is_dirty; /* something was acknowledged since it was saved */
    bool is_stopping, is_flushing, is_resharding;
    bool has_joined;             /* the log; the owner's own */
    bool has_failed;             /* the last answer of a receiver was to try again */
    uint32_t busy;               /* shards that are not IDLE */
    struct env_op *drained;      /* told when busy is 0, and in a flush when all is sent */
    struct remote_shard *shards; /* owned; shard_count of section's max_shards are in use */
    uint32_t shard_count, shard_cap;
    uint32_t shards_wanted; /* while is_resharding */
    struct env_timer tick;
    uint32_t ticks;
    uint64_t sent_ns; /* last success; 0: none */
    struct remote_rate rate_in, rate_out, rate_dropped, rate_busy_ns;
    uint64_t items_seen;         /* of the log, at the last tick */
    int64_t t_ms_max, t_ms_sent; /* newest read, newest sent; INT64_MIN: none */
    uint32_t pending[APPEND_KIND_COUNT];
    bool is_at_end;      /* all of the log is read */
    struct map metadata; /* of 2.0: from metric name to struct remote_body, a message of 1.0 */
};

/* Any thread: the work job runs soon. */
void remote_queue_kick(struct remote_queue *queue);
/* Locked: a shard has ended what it did. */
void remote_queue_shard_idle(struct remote_queue *queue);
void remote_queue_drop(struct remote_queue *queue, unsigned kind, enum remote_drop reason,
                       uint64_t count);

/* remote_queue_read.c, by the work job or where there is none. */
void remote_queue_read(struct remote_queue *queue);
/* Begins anew at this item; what is staged is left. */
void remote_queue_read_again(struct remote_queue *queue, uint64_t seq);
void remote_queue_read_fini(struct remote_queue *queue);
void remote_queue_metadata_init(struct remote_queue *queue);

/* remote_reshard.c, locked. Each 10 s: the number of shards that is wanted now. */
uint32_t remote_reshard_wanted(struct remote_queue *queue, uint64_t now_ns);
/* The metadata of a metric, its texts in the arena. False: none is known. Takes the lock. */
bool remote_queue_metadata(struct remote_queue *queue, struct slice metric, struct arena *arena,
                           struct metadata *metadata);
