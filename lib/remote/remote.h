/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The sender of remote write, whole: an appender that stands before the storage, one queue on disk,
 * and a receiver for each remote_write section.
 *
 * Ownership: borrows everything of its options. Threads: one thread makes, reloads, stops and frees
 * it, and may block; the appender is for any. */

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "model/appender.h"

struct prometheus_config;
struct reactor_set;
struct remote;

/* What a user may set. */
struct remote_settings {
    uint64_t queue_size_max, queue_buffer_max, segment_size;
    int64_t queue_age_ms_max, flush_deadline_ms;
};

extern const struct setting remote_setting_table[];
extern const size_t remote_setting_count;

struct remote_options {
    struct env *env;
    struct reactor_set *reactors;
    struct appender *inner; /* the storage; NULL: there is none, then a remote_write is needed */
    const char *path;       /* the data directory; the queue lies in remote/ of it */
    const struct remote_settings *settings;
    const struct log_sink *log_sink; /* NULL: silent */
    struct metric_registry *metrics; /* may be NULL */
};

struct remote *remote_new(const struct remote_options *options);

/* Makes the receivers those of this configuration: unchanged ones go on, changed ones go on from
 * where they were, a removed one is flushed for some seconds and forgotten. An error leaves the old
 * ones in force. */
enum err remote_reload(struct remote *remote, struct prometheus_config *config,
                       struct err_info *info) MUST_USE;

struct appender *remote_appender(struct remote *remote);

/* Once nothing is appended any more: sends what is left, up to the flush deadline; the rest is kept
 * for the next start. */
void remote_stop(struct remote *remote);
/* Takes remote; NULL is fine. After the reactors are closed. */
void remote_free(struct remote *remote);
