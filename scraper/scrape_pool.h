/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The targets of one job: what its discoveries find, relabelled, each with a loop.
 *
 *   discoveries -> groups -> sync: targets -> start new loops, keep equal ones, end those gone
 *
 * Ownership: heap object; loops that end go on in the loop set.
 * Threads: start, reload, stop and free on one thread at a time, no reactor; the rest on any. Its
 * lock is held over a sync; loops' locks and the loop set's are taken under it. */

#include "base/err.h"
#include "base/json.h"
#include "discovery/discovery.h"
#include "scraper/loop_set.h"
#include "scraper/scrape_job.h"

struct scrape_pool;

struct scrape_pool_options {
    struct scrape_job *job;                      /* takes a reference */
    struct loop_set *loops;                      /* borrowed */
    struct discovery_metrics *discovery_metrics; /* borrowed */
};

struct scrape_pool *scrape_pool_new(const struct scrape_pool_options *options);
void scrape_pool_start(struct scrape_pool *pool);
/* The job's section has changed. Loops of targets that stay go on with it from their next tick. */
void scrape_pool_reload(struct scrape_pool *pool, struct scrape_job *job);
/* Ends discovery and all loops. */
void scrape_pool_stop(struct scrape_pool *pool, enum scrape_loop_stop how);
/* After stop. Takes pool; NULL is fine. */
void scrape_pool_free(struct scrape_pool *pool);

/* One reference for the caller. */
struct scrape_job *scrape_pool_job(struct scrape_pool *pool);

struct scrape_pool_visitor {
    /* target and status are borrowed; status is NULL for a dropped target. Under the pool's lock.
     */
    void (*visit)(void *owner, const struct target *target, const struct scrape_status *status);
    void *owner;
};
/* Active targets, sorted by URL. */
void scrape_pool_visit_active(struct scrape_pool *pool, const struct scrape_pool_visitor *visitor);
/* Dropped ones, as many as are kept. */
void scrape_pool_visit_dropped(struct scrape_pool *pool, const struct scrape_pool_visitor *visitor);
/* How many there are, kept or not. */
uint64_t scrape_pool_dropped_count(struct scrape_pool *pool);
