/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What all loops of one job share: its section of the configuration, its HTTP client, the headers
 * of its requests; and what all jobs of a scraper share.
 *
 * Ownership: immutable and counted; holds a reference of the configuration its section lies in.
 * Threads: any. */

#include <stdint.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/slice.h"
#include "config/prometheus_config.h"
#include "model/appender.h"
#include "net/http_client.h"
#include "scraper/target.h"

struct scrape_metrics;

/* Of one scraper; borrowed by everything in this folder. */
struct scrape_shared {
    struct env *env;
    struct reactor_set *reactors;
    struct appender *appender;
    const struct hash_key *hash_key;
    struct slice tenant;
    struct log log;
    struct log_limiter *refusals; /* of lines about storage that takes nothing */
    struct scrape_metrics *metrics;
    const char *user_agent;
    struct slice hostname; /* for the offsets' seed */
};

struct scrape_job {
    const struct scrape_shared *shared; /* borrowed */
    struct prometheus_config *config;   /* one reference */
    const struct scrape_config *scrape; /* in config */
    struct http_client *client;         /* owned */
    struct slice accept;                /* value of the Accept header */
    uint64_t offset_seed;
    bool has_files; /* credentials or headers come from files, read before each request */
};

enum err scrape_job_new(const struct scrape_shared *shared, struct prometheus_config *config,
                        const struct scrape_config *scrape, struct scrape_job **job,
                        struct err_info *info) MUST_USE;
struct scrape_job *scrape_job_ref(struct scrape_job *job);
/* Not from a reactor. NULL is fine. */
void scrape_job_unref(struct scrape_job *job);

/* A client like the job's that dials a socket of the file system. */
enum err scrape_job_unix_client(const struct scrape_job *job, const char *path,
                                struct http_client **client, struct err_info *info) MUST_USE;

struct scrape_headers {
    const struct http_header *items;
    size_t count;
};
/* The headers of a request, in the arena. Reads files if the job has some: blocks then. */
enum err scrape_job_headers(const struct scrape_job *job, const struct target *target,
                            struct arena *arena, struct scrape_headers *headers,
                            struct err_info *info) MUST_USE;
