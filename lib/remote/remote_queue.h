/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One receiver of remote write: reads the queue from where it was acknowledged, relabels, deals
 * series out over shards, sends.
 *
 *   remote_log --reader--> relabel --> shard 0 ..n --> POST
 *                 ^                          |
 *                 +---- position file <------+ acknowledged
 *
 * Order is kept per series: a series stays in its partition, a partition in one shard, and a shard
 * has one request under way. When the number of shards changes, what is under way ends and the rest
 * is read again from the queue.
 *
 * Threads: new, start, stop and free on one thread, which may block; the rest is ours. */

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "remote/remote_log.h"
#include "remote/remote_metrics.h"

struct prometheus_config;
struct reactor_set;
struct remote_queue;
struct remote_write_config;

struct remote_queue_options {
    struct env *env;
    struct reactor_set *reactors;
    const struct log *log; /* may be NULL */
    struct remote_log *queue;
    const char *dir; /* of the position file */
    const struct remote_metrics *metrics;
    struct prometheus_config *config;
    const struct remote_write_config *section; /* in config */
    struct slice key;                          /* of the position file; copied */
    struct slice name;                         /* in metrics; copied */
};

/* Borrows its options but for config, of which it takes a reference. */
enum err remote_queue_new(const struct remote_queue_options *options, struct remote_queue **queue,
                          struct err_info *info) MUST_USE;
/* Joins the log, at the acknowledged position or, for a receiver that is new, at its end. */
enum err remote_queue_start(struct remote_queue *queue, struct err_info *info) MUST_USE;

enum remote_queue_stop {
    REMOTE_STOP_NOW,   /* what is under way ends (at the deadline it is cancelled), nothing more */
    REMOTE_STOP_FLUSH, /* all that is in the queue is sent, until the deadline or a failure */
};
/* Nothing of it runs any more when this returns; what is acknowledged is saved. */
void remote_queue_stop(struct remote_queue *queue, enum remote_queue_stop how,
                       uint64_t deadline_ns);
/* Leaves the log. `forgets`: the position file goes too. Takes queue; NULL is fine. */
void remote_queue_free(struct remote_queue *queue, bool forgets);

const struct remote_write_config *remote_queue_section(const struct remote_queue *queue);
struct slice remote_queue_key(const struct remote_queue *queue);
const struct prometheus_config *remote_queue_config(const struct remote_queue *queue);
