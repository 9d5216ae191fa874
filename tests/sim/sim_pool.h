/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The pools, waits and timers of a simulated env. */

#include <stdint.h>

#include "base/env.h"
#include "base/list.h"

struct sim;

struct sim_queue {
    struct env_job *first; /* linked by next, in the order of submission */
    uint32_t len;
};

struct sim_pool {
    struct sim_queue queues[ENV_POOL_COUNT];
    uint32_t workers[ENV_POOL_COUNT]; /* fibers that exist */
    uint32_t idle[ENV_POOL_COUNT];    /* of those, waiting for a job */
};

struct sim_timers {
    struct list all; /* struct sim_timer, armed ones first or not: few enough to scan */
    bool has_fiber;  /* the fiber that runs the callbacks */
};

void sim_pool_init(struct sim *sim);
/* Forgets queued jobs; the workers are gone already. */
void sim_pool_drop(struct sim *sim);
void sim_timers_init(struct sim *sim);
void sim_timers_drop(struct sim *sim);
/* UINT64_MAX: none is armed. */
uint64_t sim_timers_next_due(const struct sim *sim);
/* Has the timers that are due run, in a fiber. */
void sim_timers_expire(struct sim *sim);
