/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* scraper: the role that finds targets, fetches what they expose on their ticks, and appends it.
 *
 *   configuration -> scrape pools (one a job) -> discovery -> targets -> scrape loops -> appender
 *
 * A scrape is one transaction: its samples, its report series (up ...) and the stale markers of
 * series that are gone become visible together or not at all.
 *
 * Life: new -> reload (the first one starts it) ... -> stop -> free.
 * Ownership: borrows everything of its options; free it after the reactors and pools have stopped.
 * Threads: reload and stop on any that is no reactor; the writers of JSON on any. */

#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/slice.h"
#include "model/appender.h"

struct http_server;
struct prometheus_config;
struct reactor_set;
struct scraper;

struct scraper_options {
    struct env *env;
    struct reactor_set *reactors;
    struct appender *appender;
    const struct hash_key *hash_key; /* of the data directory or cluster */
    struct slice tenant;             /* empty: TENANT_DEFAULT */
    struct log_sink *log_sink;       /* NULL: silent */
    struct metric_registry *metrics; /* may be NULL */
    const char *user_agent;          /* NULL: "Narthex" */
    const char *listen_address;      /* "0.0.0.0:9090": for globalUrl; may be NULL */
    const char *external_url;        /* likewise */
};

enum err scraper_new(const struct scraper_options *options, struct scraper **scraper,
                     struct err_info *info) MUST_USE;

/* Takes a reference of config. Jobs whose section did not change go on as they are. An error (a
 * client that cannot be made) leaves everything as it was. */
enum err scraper_reload(struct scraper *scraper, struct prometheus_config *config,
                        struct err_info *info) MUST_USE;

/* Ends all loops and waits for scrapes under way; writes no stale markers: the server is expected
 * back. Nothing is appended after it has returned. */
void scraper_stop(struct scraper *scraper);
/* Stops if that was not done. Takes scraper; NULL is fine. */
void scraper_free(struct scraper *scraper);

/* GET /api/v1/targets, /api/v1/scrape_pools, /api/v1/scrape_pools/config. Before the server starts.
 */
void scraper_add_routes(struct scraper *scraper, struct http_server *server);

struct scraper_filter {
    struct slice state; /* "active", "dropped", "any"; empty: any */
    struct slice pool;  /* empty: all */
};
/* The `data` of /api/v1/targets. */
void scraper_write_targets(struct scraper *scraper, const struct scraper_filter *filter,
                           struct buf *out);
/* The `data` of /api/v1/scrape_pools. */
void scraper_write_pools(struct scraper *scraper, struct buf *out);
