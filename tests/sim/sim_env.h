/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A simulated world on one thread and one seed: virtual clock, seeded randomness, pools whose
 * workers are fibers, timers, and a disk (sim_disk.h) that loses, reorders, tears and fills.
 *
 *   sim_new -> sim_spawn(fiber) ... -> sim_run -> sim_crash -> sim_spawn ... -> sim_free
 *
 * Fibers take turns in an order drawn from the seed; they give way at file calls, at waits, and now
 * and then when they take a pthread lock (sim_lock.c stands before the locks of what is tested).
 * Time passes only when nobody can run: then the clock jumps to the next thing due. A crash drops
 * all fibers where they stand, with all timers and queued jobs, and does to the disk what a power
 * cut does; memory of what was tested stays behind unfreed.
 *
 * The same seed and options give the same run: sim_trace_hash proves it.
 * Threads: one. One sim at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

struct sim;
struct sim_disk;
struct sim_disk_options;

struct sim_pool_options {
    uint32_t worker_count;  /* 0: 2 */
    uint32_t queue_len_max; /* 0: 1,000 */
};

struct sim_options {
    uint64_t seed;
    int64_t start_ms; /* of the wall clock; 0: 2023-11-14T22:13:20Z */
    struct sim_pool_options pools[ENV_POOL_COUNT];
    const struct sim_disk_options *disk; /* borrowed for the call; NULL: a disk without faults */
    uint32_t lock_yield_one_in;          /* chance to give way at a lock; 0: 16 */
};

struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);

/* Borrowed; live as long as the sim. */
struct env *sim_env(struct sim *sim);
struct sim_disk *sim_disk_of(struct sim *sim);

/* From the seed; for tests as well. */
uint64_t sim_random(struct sim *sim);
/* In [0, end); end > 0. */
uint64_t sim_below(struct sim *sim, uint64_t end);
bool sim_chance(struct sim *sim, uint64_t one_in);

typedef void sim_fiber_fn(void *arg);

/* A fiber of the test: sim_run goes on until all of these have returned. */
void sim_spawn(struct sim *sim, sim_fiber_fn *fn, void *arg);
/* From a fiber: others may run. */
void sim_yield(struct sim *sim);
/* From a fiber: virtual time passes. */
void sim_sleep(struct sim *sim, uint64_t ns);

enum sim_end {
    SIM_DONE,    /* all fibers of the test returned */
    SIM_STOPPED, /* the steps are used up, or sim_stop was called: a good place to crash */
    SIM_STUCK,   /* nobody can run, and nothing is due: a deadlock */
};

/* Runs at most `steps` turns. Not from a fiber. */
enum sim_end sim_run(struct sim *sim, uint64_t steps);
/* From a fiber: sim_run returns SIM_STOPPED when this fiber gives way the next time. */
void sim_stop(struct sim *sim);

/* A power cut. Not from a fiber. */
void sim_crash(struct sim *sim);
/* The process alone dies: what it wrote stays in the page cache. Not from a fiber. */
void sim_kill(struct sim *sim);

/* Prints what each fiber waits for; for a test that got stuck. */
void sim_print_fibers(const struct sim *sim);

uint64_t sim_now_ns(const struct sim *sim);
uint64_t sim_steps(const struct sim *sim);
/* A digest of all turns and file calls so far. */
uint64_t sim_trace_hash(const struct sim *sim);
