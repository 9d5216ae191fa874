/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The scrapes of one target, on its ticks, one after another.
 *
 *   WAIT -tick-> READ (headers from files) -> FETCH -> APPEND (parse, on the ingest pool) -> COMMIT
 *     ^                                                                                        |
 *     +----------------------------------------------------------------------------------------+
 *   any -> LEAVE (stale markers, two ticks later) -> DONE;   any -> DONE
 *
 * Ownership: counted. The machine itself holds one reference from start until it is done. Borrows
 * what its job's `shared` points to. The cache and what belongs to a scrape is the machine's alone.
 * Threads: start, update, stop on any thread but a reactor; look on any. The lock guards what they
 * share with the machine; no other lock is taken under it. */

#include <stdint.h>

#include "base/err.h"
#include "scraper/scrape_job.h"
#include "scraper/target.h"

enum scrape_health { SCRAPE_HEALTH_UNKNOWN, SCRAPE_HEALTH_UP, SCRAPE_HEALTH_DOWN };

struct scrape_status {
    enum scrape_health health;
    char error[ERR_MESSAGE_SIZE]; /* of the last scrape; empty: none */
    int64_t scraped_ms;           /* when the last scrape began; 0: never */
    double duration_s;
};

struct scrape_loop;
/* Runs once, when the machine is done; any thread, no lock held. Must not block. */
typedef void scrape_loop_done_fn(void *owner, struct scrape_loop *loop);

struct scrape_loop_options {
    struct scrape_job *job; /* takes a reference */
    struct target *target;  /* takes a reference */
    scrape_loop_done_fn *done;
    void *owner; /* borrowed: outlives the loop */
};

/* With one reference for the caller. */
struct scrape_loop *scrape_loop_new(const struct scrape_loop_options *options);
struct scrape_loop *scrape_loop_ref(struct scrape_loop *loop);
/* NULL is fine. */
void scrape_loop_unref(struct scrape_loop *loop);

void scrape_loop_start(struct scrape_loop *loop);

/* From the next tick on another section of the configuration, or the same target with other hidden
 * labels (equal key). */
void scrape_loop_update(struct scrape_loop *loop, struct scrape_job *job, struct target *target);

/* All scrapes fail with this text until it is empty again: the pool has too many targets. */
void scrape_loop_force_error(struct scrape_loop *loop, const char *error);

enum scrape_loop_stop {
    SCRAPE_LOOP_LEAVE, /* the target is gone: its series get stale markers later */
    SCRAPE_LOOP_NOW,   /* the server stops: cancel what is under way, write nothing more */
};
/* Asynchronous: done follows, maybe before this returns. LEAVE may be followed by NOW. */
void scrape_loop_stop(struct scrape_loop *loop, enum scrape_loop_stop how);

/* The target as it is scraped now (one reference for the caller), and how it went. */
struct target *scrape_loop_look(struct scrape_loop *loop, struct scrape_status *status);
