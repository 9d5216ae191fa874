/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A data directory opened by a command line tool: real env with pools, log to standard error, and
 * the db, which holds the directory's lock. Threads: one. */

#include "base/env.h"
#include "base/log.h"
#include "storage/db.h"

struct tool_store {
    struct env env;
    struct log_sink log_sink;
    struct log log;
    struct db *db;
    bool env_is_open;
};

struct tool_store_options {
    const char *path; /* of the data directory */
    bool makes;       /* makes it where it is missing; else ERR_NOT_FOUND */
};

/* ERR_NOT_FOUND: this is no data directory. */
enum err tool_store_check(const char *path, struct err_info *info) MUST_USE;
/* ERR_EXISTS: a server runs on it. After an error there is nothing to close. */
enum err tool_store_open(struct tool_store *store, const struct tool_store_options *options,
                         struct err_info *info) MUST_USE;
/* Stops and closes; what was written is durable. */
enum err tool_store_close(struct tool_store *store, struct err_info *info) MUST_USE;
