/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the simulator share. */

#include "base/list.h"
#include "sim/sim_disk.h"
#include "sim/sim_env.h"
#include "sim/sim_fiber.h"
#include "sim/sim_pool.h"

struct sim {
    struct env env;
    struct sim_options options;
    uint64_t random[2]; /* state of a xoroshiro generator */
    uint64_t now_ns;
    int64_t wall_ms; /* wall clock at now_ns = 0 */
    uint64_t steps, trace;
    bool stop;
    struct sim_fibers fibers;
    struct sim_pool pool;
    struct sim_timers timers;
    struct sim_disk *disk;
};

/* The sim whose fiber is running; NULL outside of fibers. */
extern struct sim *sim_running;

/* Adds an event to the trace. */
void sim_note(struct sim *sim, uint64_t event);
