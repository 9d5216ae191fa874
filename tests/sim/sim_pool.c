/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_pool.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_internal.h"

enum { SIM_WORKERS = 2, SIM_QUEUE_LEN_MAX = 1000 };

/* Of env_op.state. */
enum { SIM_OP_PENDING, SIM_OP_COMPLETE };

static struct sim *sim_of_env(struct env *env)
{
    return CONTAINER_OF(env, struct sim, env);
}

/* ---- jobs ---- */

struct sim_worker {
    struct sim *sim;
    enum env_pool pool;
};

/* The job of the highest priority, the oldest of those. */
static struct env_job *sim_queue_pop(struct sim_queue *queue)
{
    struct env_job **best = &queue->first;
    struct env_job *job;

    for (struct env_job **at = &queue->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->priority > (*best)->priority)
            best = at;
    }
    job = *best;
    if (job != NULL) {
        *best = job->next;
        job->next = NULL;
        queue->len--;
    }
    return job;
}

static void sim_job_run(struct sim *sim, struct env_job *job)
{
    job->err = ERR_OK;
    if (env_job_cancelled(job))
        job->err = ERR_CANCELLED;
    else if (job->deadline_ns != 0 && job->deadline_ns <= sim->now_ns)
        job->err = ERR_DEADLINE;
    else
        job->run(job);
    if (job->done != NULL)
        job->done(job); /* may free the job */
}

static void sim_worker_main(void *arg)
{
    struct sim_worker *worker = arg;
    struct sim *sim = worker->sim;
    const enum env_pool pool = worker->pool;

    mem_free(worker);
    for (;;) {
        struct env_job *job = sim_queue_pop(&sim->pool.queues[pool]);

        if (job != NULL) {
            sim_job_run(sim, job);
            continue;
        }
        sim->pool.idle[pool]++;
        sim_wait(sim, &sim->pool.queues[pool], "a job", UINT64_MAX);
        sim->pool.idle[pool]--;
    }
}

static void sim_worker_new(struct sim *sim, enum env_pool pool)
{
    static const char *const names[] = {"ingest worker", "query worker", "disk worker",
                                        "background worker"};
    struct sim_worker *worker = mem_alloc(sizeof(*worker));
    struct sim_fiber *fiber;

    *worker = (struct sim_worker){sim, pool};
    fiber = sim_fiber_new(sim, names[pool], sim_worker_main, worker);
    fiber->is_daemon = true;
    sim->fibers.test_count--;
    sim->pool.workers[pool]++;
}

static enum err sim_pool_submit(struct env *env, enum env_pool pool, struct env_job *job)
{
    struct sim *sim = sim_of_env(env);
    struct sim_queue *queue = &sim->pool.queues[pool];
    const struct sim_pool_options *options = &sim->options.pools[pool];
    struct env_job **at = &queue->first;

    if (queue->len >=
        (options->queue_len_max != 0 ? options->queue_len_max : (uint32_t)SIM_QUEUE_LEN_MAX))
        return ERR_FULL;
    while (*at != NULL)
        at = &(*at)->next;
    job->next = NULL;
    job->queued_ns = sim->now_ns;
    *at = job;
    queue->len++;
    if (sim->pool.idle[pool] == 0 &&
        sim->pool.workers[pool] <
            (options->worker_count != 0 ? options->worker_count : (uint32_t)SIM_WORKERS))
        sim_worker_new(sim, pool);
    sim_wake(sim, queue);
    return ERR_OK;
}

/* A queued job meets its cancellation when its turn comes. */
static void sim_pool_cancel(struct env *env, struct env_job *job)
{
    (void)env;
    atomic_store(&job->cancelled, true);
}

static enum err sim_pool_wait(struct env *env, struct env_op *op, uint64_t deadline_ns)
{
    struct sim *sim = sim_of_env(env);

    ASSERT(sim->fibers.current != NULL);
    ASSERT(sim->fibers.current->locks_held == 0); /* no lock is held across a wait */
    while (atomic_load(&op->state) != SIM_OP_COMPLETE) {
        if (deadline_ns != 0 && deadline_ns <= sim->now_ns)
            return ERR_DEADLINE;
        sim_wait(sim, op, "an operation", deadline_ns != 0 ? deadline_ns : UINT64_MAX);
    }
    return op->err;
}

static void sim_pool_complete(struct env *env, struct env_op *op, enum err err)
{
    ASSERT(atomic_load(&op->state) != SIM_OP_COMPLETE); /* exactly once */
    op->err = err;
    atomic_store(&op->state, SIM_OP_COMPLETE);
    sim_wake(sim_of_env(env), op);
}

static const struct env_pool_ops sim_pool_ops = {
    .submit = sim_pool_submit,
    .cancel = sim_pool_cancel,
    .wait = sim_pool_wait,
    .complete = sim_pool_complete,
};

void sim_pool_init(struct sim *sim)
{
    sim->env.pool = &sim_pool_ops;
    sim->pool = (struct sim_pool){0};
}

void sim_pool_drop(struct sim *sim)
{
    sim->pool = (struct sim_pool){0};
}

/* ---- timers ---- */

struct sim_timer {
    struct list_node node;
    struct env_timer *timer; /* borrowed */
    bool is_armed, is_due, is_running;
};

static struct sim_timer *sim_timer_get(struct sim *sim, struct env_timer *timer)
{
    struct sim_timer *entry = timer->impl;

    if (entry == NULL) {
        entry = mem_zalloc(1, sizeof(*entry));
        entry->timer = timer;
        timer->impl = entry;
        list_push_back(&sim->timers.all, &entry->node);
    }
    return entry;
}

static void sim_timer_start(struct env *env, struct env_timer *timer, uint64_t due_ns)
{
    struct sim_timer *entry = sim_timer_get(sim_of_env(env), timer);

    timer->due_ns = due_ns;
    entry->is_armed = true;
    entry->is_due = false;
}

static void sim_timer_stop(struct env *env, struct env_timer *timer)
{
    struct sim *sim = sim_of_env(env);
    struct sim_timer *entry = timer->impl;

    if (entry == NULL)
        return;
    entry->is_armed = entry->is_due = false;
    while (entry->is_running)
        sim_wait(sim, entry, "a timer to end", UINT64_MAX);
    entry->is_armed = entry->is_due = false; /* fn may have started it again */
    list_remove(&entry->node);
    timer->impl = NULL;
    mem_free(entry);
}

static const struct env_timer_ops sim_timer_ops = {
    .start = sim_timer_start,
    .stop = sim_timer_stop,
};

static struct sim_timer *sim_timers_find_due(struct sim *sim)
{
    LIST_EACH(&sim->timers.all, node)
    {
        struct sim_timer *entry = CONTAINER_OF(node, struct sim_timer, node);

        if (entry->is_due && !entry->is_running)
            return entry;
    }
    return NULL;
}

/* The reactor: runs what is due, one after the other, then ends. */
static void sim_timers_main(void *arg)
{
    struct sim *sim = arg;
    struct sim_timer *entry;

    while ((entry = sim_timers_find_due(sim)) != NULL) {
        entry->is_due = false;
        entry->is_running = true;
        entry->timer->fn(entry->timer);
        entry->is_running = false;
        sim_wake(sim, entry);
    }
    sim->timers.has_fiber = false;
}

void sim_timers_init(struct sim *sim)
{
    sim->env.timer = &sim_timer_ops;
    list_init(&sim->timers.all);
}

void sim_timers_drop(struct sim *sim)
{
    LIST_EACH(&sim->timers.all, node)
    {
        mem_free(CONTAINER_OF(node, struct sim_timer, node));
    }
    list_init(&sim->timers.all);
    sim->timers.has_fiber = false;
}

uint64_t sim_timers_next_due(const struct sim *sim)
{
    uint64_t due_ns = UINT64_MAX;

    LIST_EACH(&sim->timers.all, node)
    {
        const struct sim_timer *entry = CONTAINER_OF(node, struct sim_timer, node);

        if (entry->is_armed && entry->timer->due_ns < due_ns)
            due_ns = entry->timer->due_ns;
    }
    return due_ns;
}

void sim_timers_expire(struct sim *sim)
{
    bool any = false;

    LIST_EACH(&sim->timers.all, node)
    {
        struct sim_timer *entry = CONTAINER_OF(node, struct sim_timer, node);

        if (entry->is_armed && entry->timer->due_ns <= sim->now_ns) {
            entry->is_armed = false;
            entry->is_due = true;
            any = true;
        }
    }
    if (any && !sim->timers.has_fiber) {
        struct sim_fiber *fiber = sim_fiber_new(sim, "reactor", sim_timers_main, sim);

        fiber->is_daemon = true;
        sim->fibers.test_count--;
        sim->timers.has_fiber = true;
    }
}
