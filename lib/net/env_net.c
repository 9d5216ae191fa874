/* SPDX-License-Identifier: Apache-2.0 */
#include "net/env_net.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metric.h"
#include "net/reactor_timer.h"

/* An operation's state word is its futex. Completing stores ENV_OP_DONE and may then wake an
 * address whose owner has gone on and freed it: that wakes nobody or a stranger, who looks at his
 * own word and sleeps again. */
enum { ENV_OP_OPEN = 0, ENV_OP_DONE = 1, ENV_OP_WAITED = 2 };

struct env_net {
    struct pool *pools[ENV_POOL_COUNT];
    size_t timer_set_count;
    _Atomic size_t timer_turn;
    struct reactor_timer_set **timer_sets; /* one per reactor */
};

/* Default sizes; threads per core, at least. Query workers wait for the network, so there are more
 * of them than cores. */
static const struct env_net_class {
    const char *name;
    size_t threads_per_core, thread_count_min, thread_count_max, queue_len_max;
} env_net_classes[ENV_POOL_COUNT] = {
    [ENV_POOL_INGEST] = {"ingest", 1, 2, 64, 1024},
    [ENV_POOL_QUERY] = {"query", 2, 4, 20, 1024},
    [ENV_POOL_DISK] = {"disk", 1, 4, 16, 4096},
    [ENV_POOL_BACKGROUND] = {"background", 1, 2, 8, 1024},
};

static enum err env_net_submit(struct env *env, enum env_pool pool, struct env_job *job)
{
    struct env_net *net = env->pool_impl;

    ASSERT(pool < ENV_POOL_COUNT);
    return pool_submit(net->pools[pool], job);
}

static void env_net_cancel(struct env *env, struct env_job *job)
{
    struct env_net *net = env->pool_impl;

    for (int i = 0; i < ENV_POOL_COUNT; i++)
        if (pool_cancel(net->pools[i], job))
            return;
}

/* False: the deadline has passed. */
static bool env_net_futex_wait(_Atomic int *word, int value, uint64_t deadline_ns)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                      .tv_nsec = (long)(deadline_ns % 1000000000u)};
    const long got = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
                             deadline_ns == 0 ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);

    return got == 0 || errno != ETIMEDOUT;
}

static enum err env_net_wait(struct env *env, struct env_op *op, uint64_t deadline_ns)
{
    int state = ENV_OP_OPEN;

    (void)env;
    ASSERT(reactor_current() == NULL); /* a reactor never blocks */
    if (atomic_compare_exchange_strong(&op->state, &state, ENV_OP_WAITED))
        state = ENV_OP_WAITED;
    while (state != ENV_OP_DONE) {
        if (!env_net_futex_wait(&op->state, ENV_OP_WAITED, deadline_ns)) {
            state = ENV_OP_WAITED;
            if (atomic_compare_exchange_strong(&op->state, &state, ENV_OP_OPEN))
                return ERR_DEADLINE;
        }
        state = atomic_load(&op->state);
    }
    return op->err;
}

static void env_net_complete(struct env *env, struct env_op *op, enum err err)
{
    int state;

    (void)env;
    op->err = err;
    state = atomic_exchange(&op->state, ENV_OP_DONE);
    ASSERT(state != ENV_OP_DONE);
    if (state == ENV_OP_WAITED)
        syscall(SYS_futex, &op->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void env_net_timer_start(struct env *env, struct env_timer *timer, uint64_t due_ns)
{
    struct env_net *net = env->timer_impl;

    if (timer->impl == NULL) {
        const size_t turn = atomic_fetch_add_explicit(&net->timer_turn, 1, memory_order_relaxed);

        timer->impl = net->timer_sets[turn % net->timer_set_count];
    }
    reactor_timer_start(timer->impl, timer, due_ns);
}

static void env_net_timer_stop(struct env *env, struct env_timer *timer)
{
    (void)env;
    if (timer->impl != NULL)
        reactor_timer_stop(timer->impl, timer);
}

static const struct env_pool_ops env_net_pool_ops = {
    .submit = env_net_submit,
    .cancel = env_net_cancel,
    .wait = env_net_wait,
    .complete = env_net_complete,
};

static const struct env_timer_ops env_net_timer_ops = {
    .start = env_net_timer_start,
    .stop = env_net_timer_stop,
};

static struct pool_options env_net_pool_options(enum env_pool pool, struct env_net_pool wanted)
{
    const struct env_net_class *class = &env_net_classes[pool];
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct pool_options options = {.name = class->name,
                                   .thread_count = wanted.thread_count,
                                   .queue_len_max = wanted.queue_len_max};

    if (options.thread_count == 0) {
        options.thread_count = class->threads_per_core * (size_t)(cores > 0 ? cores : 1);
        if (options.thread_count < class->thread_count_min)
            options.thread_count = class->thread_count_min;
        if (options.thread_count > class->thread_count_max)
            options.thread_count = class->thread_count_max;
    }
    if (options.queue_len_max == 0)
        options.queue_len_max = class->queue_len_max;
    return options;
}

static void env_net_free(struct env_net *net)
{
    for (int i = 0; i < ENV_POOL_COUNT; i++)
        pool_free(net->pools[i]);
    for (size_t i = 0; i < net->timer_set_count; i++)
        reactor_timer_set_free(net->timer_sets[i]);
    mem_free(net->timer_sets);
    mem_free(net);
}

enum err env_net_open(struct env *env, const struct env_net_options *options, struct err_info *info)
{
    struct env_net *net = mem_zalloc(1, sizeof(*net));

    for (int i = 0; i < ENV_POOL_COUNT; i++) {
        const struct pool_options pool = env_net_pool_options((enum env_pool)i, options->pools[i]);
        const enum err err = pool_new(&pool, &net->pools[i], info);

        if (err != ERR_OK) {
            env_net_free(net);
            return err;
        }
    }
    /* Last, since nothing undoes the hooks that timer sets leave on the reactors. */
    if (options->reactors != NULL) {
        const size_t count = reactor_set_count(options->reactors);

        net->timer_sets = mem_zalloc(count, sizeof(net->timer_sets[0]));
        for (; net->timer_set_count < count; net->timer_set_count++)
            net->timer_sets[net->timer_set_count] =
                reactor_timer_set_new(reactor_set_get(options->reactors, net->timer_set_count));
        env->timer = &env_net_timer_ops;
        env->timer_impl = net;
    }
    env->pool = &env_net_pool_ops;
    env->pool_impl = net;
    return ERR_OK;
}

void env_net_stop(struct env *env)
{
    struct env_net *net = env->pool_impl;

    for (int i = 0; i < ENV_POOL_COUNT; i++)
        pool_stop(net->pools[i]);
}

void env_net_close(struct env *env)
{
    env_net_free(env->pool_impl);
    env->pool = NULL;
    env->pool_impl = NULL;
    env->timer = NULL;
    env->timer_impl = NULL;
}

const char *env_net_pool_name(enum env_pool pool)
{
    ASSERT(pool < ENV_POOL_COUNT);
    return env_net_classes[pool].name;
}

void env_net_pool_stats(struct env *env, enum env_pool pool, struct pool_stats *stats)
{
    struct env_net *net = env->pool_impl;

    ASSERT(pool < ENV_POOL_COUNT);
    pool_get_stats(net->pools[pool], stats);
}

/* ---- metrics ---- */

#define ENV_NET_COLLECT(metric, value)                                                             \
    static void env_net_collect_##metric(const void *metrics, struct metric_emit *emit)            \
    {                                                                                              \
        struct env_net *net = ((const struct env *)metrics)->pool_impl;                            \
                                                                                                   \
        for (int i = 0; i < ENV_POOL_COUNT; i++) {                                                 \
            const struct slice pool = slice_from_cstr(env_net_classes[i].name);                    \
            struct pool_stats stats;                                                               \
                                                                                                   \
            pool_get_stats(net->pools[i], &stats);                                                 \
            metric_emit_value(emit, &pool, (double)(value));                                       \
        }                                                                                          \
    }

ENV_NET_COLLECT(queue_len, stats.queue_len)
ENV_NET_COLLECT(queue_len_max, stats.queue_len_max)
ENV_NET_COLLECT(threads, stats.thread_count)
ENV_NET_COLLECT(running, stats.running_count)
ENV_NET_COLLECT(runs, stats.run_count)
ENV_NET_COLLECT(full, stats.full_count)
ENV_NET_COLLECT(cancelled, stats.cancelled_count)
ENV_NET_COLLECT(deadline, stats.deadline_count)
ENV_NET_COLLECT(wait, (double)stats.queued_ns_total / 1e9)

#define ENV_NET_ROW(text, kind_of, fn, help_text)                                                  \
    {                                                                                              \
        .name = "narthex_pool_" text, .kind = METRIC_##kind_of##_COLLECT, .labels = "pool",        \
        .collect = env_net_collect_##fn, .help = help_text                                         \
    }

static const struct metric_desc env_net_metric_descs[] = {
    ENV_NET_ROW("queue_length", GAUGE, queue_len, "Jobs that wait for a worker."),
    ENV_NET_ROW("queue_capacity", GAUGE, queue_len_max, "Jobs that may wait."),
    ENV_NET_ROW("workers", GAUGE, threads, "Worker threads."),
    ENV_NET_ROW("workers_busy", GAUGE, running, "Worker threads that run a job."),
    ENV_NET_ROW("jobs_total", COUNTER, runs, "Jobs that ran."),
    ENV_NET_ROW("jobs_refused_total", COUNTER, full, "Jobs refused because the queue was full."),
    ENV_NET_ROW("jobs_cancelled_total", COUNTER, cancelled, "Jobs cancelled while they waited."),
    ENV_NET_ROW("jobs_expired_total", COUNTER, deadline, "Jobs that waited past their deadline."),
    ENV_NET_ROW("queue_wait_seconds_total", COUNTER, wait, "Time that jobs waited."),
};

void env_net_register(struct env *env, struct metric_registry *registry)
{
    metric_register(registry, env_net_metric_descs, COUNT_OF(env_net_metric_descs), env);
}

void env_net_unregister(struct env *env, struct metric_registry *registry)
{
    metric_unregister(registry, env_net_metric_descs, COUNT_OF(env_net_metric_descs), env);
}
