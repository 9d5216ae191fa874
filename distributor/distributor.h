/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* distributor: the role that takes samples in. Its appender stands before the ingester's and checks
 * what does not need the state of a series: labels, their limits, times in the far future. Verdicts
 * of both are in one result.
 *
 * Ownership: borrows everything of its options; free it after the server that has its routes has
 * stopped. Threads: any; a transaction as model/appender.h says. */

#include <stddef.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "model/appender.h"
#include "model/limits.h"

struct http_server;
struct distributor;

/* What a user may set. */
struct distributor_settings {
    uint64_t request_size_max; /* bytes, decompressed */
    int64_t future_ms_max;
    int64_t label_count_max, label_name_size_max, label_value_size_max;
    int64_t alias_count_max;
    uint64_t memory_max; /* bytes of all transactions under way */
};

extern const struct setting distributor_setting_table[];
extern const size_t distributor_setting_count;

/* What one setting asks of another. BAD_INPUT names both. */
enum err distributor_check_settings(const struct distributor_settings *settings,
                                    struct err_info *info) MUST_USE;

struct distributor_options {
    struct env *env;
    struct appender *ingester;
    const struct hash_key *hash_key; /* of the data directory or cluster */
    const struct distributor_settings *settings;
    const struct log_sink *log_sink; /* NULL: silent */
    struct metric_registry *metrics; /* may be NULL */
    struct budget *budget;           /* of the process; may be NULL */
    enum label_scheme name_scheme;
};

struct distributor *distributor_new(const struct distributor_options *options);
/* Takes distributor; NULL is fine. No transaction may be under way. */
void distributor_free(struct distributor *distributor);

/* Borrowed from distributor. */
struct appender *distributor_appender(struct distributor *distributor);

/* POST /api/v1/write and /api/v1/push. Before the server starts. */
void distributor_add_routes(struct distributor *distributor, struct http_server *server);

/* The configuration was reloaded: names are checked by this scheme from now on, also of series that
 * are known by their bytes on the wire. */
void distributor_set_name_scheme(struct distributor *distributor, enum label_scheme scheme);
/* Transactions from now on may bring samples out of order that are at most so far behind the newest
 * of their tenant; 0: none. */
void distributor_set_out_of_order(struct distributor *distributor, int64_t window_ms);
