/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every setting of a server: flags as upstream names them, and the tables of the roles. One struct
 * holds them all, so that a reload can fill a second one and compare. Ownership: texts live in the
 * arena given to flags_init. */

#include "base/log.h"
#include "base/settings.h"
#include "distributor/distributor.h"
#include "ingester/ingester.h"
#include "querier/querier.h"
#include "remote/remote.h"

struct server_settings {
    struct slice config_file;
    struct slice storage_path, storage_tsdb_path;
    struct setting_list targets, listen_addresses, features;
    struct slice external_url, route_prefix, cors_origin;
    int64_t read_timeout_ms, connections_max, reactors;
    uint64_t body_size_max, memory_max;
    int64_t stop_timeout_ms;
    bool enable_lifecycle, enable_admin_api, enable_remote_write_receiver;
    int log_level, log_format;
};

struct flags {
    struct settings settings;
    struct server_settings server;
    struct distributor_settings distributor;
    struct ingester_settings ingester;
    struct querier_settings querier;
    struct remote_settings remote;
    struct flags_known *known; /* upstream's flags that nothing serves yet */
};

/* Defaults everywhere. flags stays where it is: the tables point into it. */
void flags_init(struct flags *flags, struct arena *arena);

/* Refuses what would be dangerous to leave undone: flags of upstream that protect the server.
 * ERR_UNSUPPORTED. */
enum err flags_check(const struct flags *flags, struct err_info *info) MUST_USE;

/* Flags of upstream that were given but do nothing yet, each once. */
typedef void flags_unserved_fn(void *owner, struct slice name);
void flags_unserved(const struct flags *flags, flags_unserved_fn *fn, void *owner);

/* Whether --enable-feature names this one. */
bool flags_has_feature(const struct flags *flags, const char *feature);
