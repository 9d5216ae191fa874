/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A worker pool: threads that run straight-line jobs from one bounded queue, higher priority first,
 * equal ones in the order they came.
 *
 * Invariants: a job that submit took gets its `done` exactly once; one that it refused gets none.
 * Past its deadline or cancelled while queued, a job's run is skipped.
 * Threads: any. A job's run and done are called without locks held. */

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"

struct pool;

struct pool_options {
    const char *name;     /* borrowed for ever: thread names, metrics; up to 10 bytes */
    size_t thread_count;  /* > 0 */
    size_t queue_len_max; /* > 0; jobs that wait, running ones not counted */
};

struct pool_stats {
    size_t queue_len, queue_len_max, thread_count, running_count;
    uint64_t run_count, full_count, cancelled_count, deadline_count;
    uint64_t queued_ns_total; /* time that jobs waited before they ran */
};

enum err pool_new(const struct pool_options *options, struct pool **pool,
                  struct err_info *info) MUST_USE;

/* Refuses new jobs with ERR_CLOSED, ends queued ones with ERR_CLOSED and waits for running ones.
 * Not from a worker of this pool. A second call does nothing. */
void pool_stop(struct pool *pool);

/* Stops if that was not done; takes pool, NULL is fine. */
void pool_free(struct pool *pool);

/* FULL, CLOSED: nothing will run. */
enum err pool_submit(struct pool *pool, struct env_job *job) MUST_USE;

/* True if the job was waiting here: its done follows soon with ERR_CANCELLED. Sets job->cancelled
 * in any case. */
bool pool_cancel(struct pool *pool, struct env_job *job);

void pool_get_stats(struct pool *pool, struct pool_stats *stats);
