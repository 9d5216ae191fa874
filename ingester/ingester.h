/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ingester: the role that keeps samples. It opens the data directory, and lends an appender and a
 * source.
 *
 * Ownership: borrows everything of its options. Stop it after all that writes and reads through it.
 * Threads: open, stop and free on one thread; the rest any. */

#include <stddef.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "model/appender.h"
#include "model/source.h"

struct db;
struct http_server;
struct ingester;

/* What a user may set. */
struct ingester_settings {
    int64_t block_range_ms, block_range_ms_max, series_max;
    int64_t retention_ms;
    uint64_t retention_size;
    uint64_t wal_segment_size, checkpoint_size, low_space_size;
};

extern const struct setting ingester_setting_table[];
extern const size_t ingester_setting_count;

struct ingester_options {
    struct env *env;
    const char *path; /* the data directory */
    const struct ingester_settings *settings;
    int64_t future_ms_max;
    const struct log_sink *log_sink; /* NULL: silent */
    struct metric_registry *metrics; /* may be NULL */
};

/* Locks the directory, recovers what it holds. ERR_EXISTS: another process has it; the message says
 * so. */
enum err ingester_open(const struct ingester_options *options, struct ingester **ingester,
                       struct err_info *info) MUST_USE;
/* Everything that was acknowledged is durable when it returns; later writes are refused. */
enum err ingester_stop(struct ingester *ingester, uint64_t deadline_ns) MUST_USE;
/* Takes ingester; NULL is fine. */
void ingester_free(struct ingester *ingester);

struct appender *ingester_appender(struct ingester *ingester);
struct source *ingester_source(struct ingester *ingester);
/* The storage itself, for calls that an operator makes. */
struct db *ingester_db(struct ingester *ingester);
/* The key of series identities, fixed when the directory was made. */
/* How many exemplars are kept in memory; 0 or less: none. */
void ingester_set_exemplar_max(struct ingester *ingester, int64_t max);
const struct hash_key *ingester_hash_key(const struct ingester *ingester);

/* What the configuration file says of retention; 0: as the settings have it. Any thread. */
void ingester_set_retention(struct ingester *ingester, int64_t time_ms, uint64_t size_bytes);

/* POST /ingester/flush. Before the server starts. */
void ingester_add_routes(struct ingester *ingester, struct http_server *server);
