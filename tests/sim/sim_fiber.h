/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fibers: functions with stacks of their own that run in turns, chosen at random. */

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/list.h"
#include "sim/sim_env.h"

enum { SIM_FIBER_STACK_SIZE = 1 << 20, SIM_FIBER_MAX = 256 };

enum sim_fiber_state { SIM_FIBER_READY, SIM_FIBER_WAITING, SIM_FIBER_ENDED };

struct sim_fiber {
    struct list_node node; /* of fibers.all, or of fibers.idle */
    enum sim_fiber_state state;
    const void *wait_key; /* of WAITING: what sim_wake names; NULL: only time */
    const char *wait_why; /* for people */
    uint64_t due_ns;      /* of WAITING; UINT64_MAX: never */
    bool timed_out;       /* why the last wait ended */
    bool is_daemon;       /* a worker: sim_run does not wait for it */
    uint32_t locks_held;
    const char *name;
    sim_fiber_fn *fn;
    void *arg;
    ucontext_t context;
    char *stack; /* owned; mapped with a guard page below */
    void *asan_fake_stack, *tsan_fiber;
};

struct sim_fibers {
    struct list all, idle;      /* idle: ended ones, whose stacks are used again */
    uint32_t count, test_count; /* test_count: not daemons */
    struct sim_fiber *current;
    ucontext_t main_context;
    void *main_fake_stack, *main_tsan_fiber;
    const void *main_stack; /* learned at the first switch; for ASan */
    size_t main_stack_size;
};

void sim_fibers_init(struct sim_fibers *fibers);
void sim_fibers_fini(struct sim_fibers *fibers);
/* Forgets all fibers where they stand. */
void sim_fibers_drop(struct sim_fibers *fibers);

struct sim_fiber *sim_fiber_new(struct sim *sim, const char *name, sim_fiber_fn *fn, void *arg);

/* From a fiber: waits until sim_wake(key), or until due_ns. True: woken; false: time is up. */
bool sim_wait(struct sim *sim, const void *key, const char *why, uint64_t due_ns);
/* Makes all that wait for key ready. */
void sim_wake(struct sim *sim, const void *key);

/* From outside of fibers: one turn for one that is ready. False: none is. */
bool sim_fibers_turn(struct sim *sim);
/* When the next waiting fiber is due; UINT64_MAX: none. */
uint64_t sim_fibers_next_due(const struct sim *sim);
/* Readies the waiting fibers that are due. */
void sim_fibers_expire(struct sim *sim);
