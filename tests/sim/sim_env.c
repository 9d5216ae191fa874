/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_env.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_internal.h"

enum {
    SIM_LOCK_YIELD_ONE_IN = 16,
    SIM_TURN_NS = 200,
    SIM_EXPIRE_STEPS = 64,
};

#define SIM_START_MS INT64_C(1700000000000)

static uint64_t sim_splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t sim_rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

/* xoroshiro128**: fast, and good enough to choose turns. */
uint64_t sim_random(struct sim *sim)
{
    const uint64_t a = sim->random[0];
    uint64_t b = sim->random[1];
    const uint64_t result = sim_rotate(a * 5, 7) * 9;

    b ^= a;
    sim->random[0] = sim_rotate(a, 24) ^ b ^ (b << 16);
    sim->random[1] = sim_rotate(b, 37);
    return result;
}

uint64_t sim_below(struct sim *sim, uint64_t end)
{
    ASSERT(end > 0);
    return sim_random(sim) % end;
}

bool sim_chance(struct sim *sim, uint64_t one_in)
{
    return sim_below(sim, one_in) == 0;
}

void sim_note(struct sim *sim, uint64_t event)
{
    sim->trace = sim_rotate(sim->trace ^ event, 23) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct sim *sim_of_env(struct env *env)
{
    return CONTAINER_OF(env, struct sim, env);
}

/* ---- clock and randomness ---- */

static int64_t sim_clock_now_ms(struct env *env)
{
    const struct sim *sim = sim_of_env(env);

    return sim->wall_ms + (int64_t)(sim->now_ns / 1000000);
}

static uint64_t sim_clock_mono_ns(struct env *env)
{
    return sim_of_env(env)->now_ns;
}

static void sim_clock_random(struct env *env, void *data, size_t size)
{
    char *at = data;

    while (size > 0) {
        const uint64_t v = sim_random(sim_of_env(env));
        const size_t step = size < sizeof(v) ? size : sizeof(v);

        memcpy(at, &v, step);
        at += step;
        size -= step;
    }
}

static const struct env_clock_ops sim_clock_ops = {
    .now_ms = sim_clock_now_ms,
    .mono_ns = sim_clock_mono_ns,
    .random = sim_clock_random,
};

/* ---- the world ---- */

struct sim *sim_new(const struct sim_options *options)
{
    static const struct sim_disk_options no_faults;
    struct sim *sim = mem_zalloc(1, sizeof(*sim));
    uint64_t seed = options->seed;

    sim->options = *options;
    sim->random[0] = sim_splitmix(&seed);
    sim->random[1] = sim_splitmix(&seed);
    sim->now_ns = 1000000000; /* so that 0 is never a time */
    sim->wall_ms = options->start_ms != 0 ? options->start_ms : SIM_START_MS;
    if (sim->options.lock_yield_one_in == 0)
        sim->options.lock_yield_one_in = SIM_LOCK_YIELD_ONE_IN;
    sim->env.clock = &sim_clock_ops;
    sim->env.fs = &sim_disk_fs_ops;
    sim_fibers_init(&sim->fibers);
    sim_pool_init(sim);
    sim_timers_init(sim);
    sim->disk = sim_disk_new(sim, options->disk != NULL ? options->disk : &no_faults);
    sim->env.fs_impl = sim->disk;
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL)
        return;
    sim_fibers_fini(&sim->fibers);
    sim_pool_drop(sim);
    sim_timers_drop(sim);
    sim_disk_free(sim->disk);
    mem_free(sim);
}

struct env *sim_env(struct sim *sim)
{
    return &sim->env;
}

struct sim_disk *sim_disk_of(struct sim *sim)
{
    return sim->disk;
}

void sim_spawn(struct sim *sim, sim_fiber_fn *fn, void *arg)
{
    (void)sim_fiber_new(sim, "test", fn, arg);
}

/* Nobody can run: the clock jumps to what is due next. False: nothing is. */
static bool sim_jump(struct sim *sim)
{
    const uint64_t fiber_ns = sim_fibers_next_due(sim);
    const uint64_t timer_ns = sim_timers_next_due(sim);
    const uint64_t due_ns = fiber_ns < timer_ns ? fiber_ns : timer_ns;

    if (due_ns == UINT64_MAX)
        return false;
    if (due_ns > sim->now_ns)
        sim->now_ns = due_ns;
    sim_note(sim, sim->now_ns);
    sim_fibers_expire(sim);
    sim_timers_expire(sim);
    return true;
}

enum sim_end sim_run(struct sim *sim, uint64_t steps)
{
    ASSERT(sim_running == NULL);
    sim->stop = false;
    for (uint64_t i = 0; i < steps && !sim->stop; i++) {
        if (sim->fibers.test_count == 0)
            return SIM_DONE;
        sim->steps++;
        sim->now_ns += SIM_TURN_NS;
        if (sim->steps % SIM_EXPIRE_STEPS == 0) { /* also while somebody can always run */
            sim_fibers_expire(sim);
            sim_timers_expire(sim);
        }
        if (!sim_fibers_turn(sim) && !sim_jump(sim))
            return SIM_STUCK;
    }
    return sim->fibers.test_count == 0 ? SIM_DONE : SIM_STOPPED;
}

void sim_stop(struct sim *sim)
{
    sim->stop = true;
}

static void sim_drop(struct sim *sim)
{
    ASSERT(sim_running == NULL);
    sim_fibers_drop(&sim->fibers);
    sim_pool_drop(sim);
    sim_timers_drop(sim);
}

void sim_kill(struct sim *sim)
{
    sim_drop(sim);
    sim_disk_kill(sim->disk);
}

void sim_crash(struct sim *sim)
{
    sim_drop(sim);
    sim_disk_crash(sim->disk);
    sim->now_ns += 1000000 * (1 + sim_below(sim, 3000)); /* the machine starts again */
}

uint64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

uint64_t sim_steps(const struct sim *sim)
{
    return sim->steps;
}

uint64_t sim_trace_hash(const struct sim *sim)
{
    return sim->trace;
}
