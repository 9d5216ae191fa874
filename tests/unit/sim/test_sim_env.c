/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers, time, locks, pools, waits and timers; and that one seed gives one run. */
#include <pthread.h>

#include "sim/sim_env.h"
#include "support/check.h"

static struct sim *world;

static void start(uint64_t seed)
{
    const struct sim_options options = {.seed = seed, .lock_yield_one_in = 2};

    world = sim_new(&options);
}

/* ---- turns and time ---- */

static char order[100];
static size_t order_len;

static void add_letters(void *arg)
{
    for (int i = 0; i < 3; i++) {
        order[order_len++] = *(const char *)arg;
        sim_yield(world);
    }
}

static void run_letters(uint64_t seed, char out[10], uint64_t *hash)
{
    start(seed);
    order_len = 0;
    sim_spawn(world, add_letters, "a");
    sim_spawn(world, add_letters, "b");
    sim_spawn(world, add_letters, "c");
    assert_int_equal(SIM_DONE, sim_run(world, 1000));
    assert_int_equal(9, order_len);
    memcpy(out, order, 9);
    out[9] = '\0';
    *hash = sim_trace_hash(world);
    sim_free(world);
}

static void test_same_seed_same_run(void **state)
{
    char first[10], again[10];
    uint64_t first_hash, again_hash;
    int different = 0;

    (void)state;
    run_letters(1, first, &first_hash);
    run_letters(1, again, &again_hash);
    assert_string_equal(first, again);
    assert_true(first_hash == again_hash);
    for (uint64_t seed = 2; seed < 20; seed++) {
        run_letters(seed, again, &again_hash);
        different += strcmp(first, again) != 0;
    }
    assert_true(different > 10);
}

static void sleep_long(void *arg)
{
    const uint64_t before_ns = sim_now_ns(world);
    const int64_t before_ms = env_now_ms(sim_env(world));

    (void)arg;
    sim_sleep(world, UINT64_C(3600000000000));
    assert_true(sim_now_ns(world) - before_ns >= UINT64_C(3600000000000));
    assert_true(env_now_ms(sim_env(world)) - before_ms >= 3600000);
}

static void test_time_jumps(void **state)
{
    (void)state;
    start(1);
    sim_spawn(world, sleep_long, NULL);
    assert_int_equal(SIM_DONE, sim_run(world, 100));
    sim_free(world);
}

/* ---- locks ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other_lock = PTHREAD_MUTEX_INITIALIZER;
static int shared, inside;

static void count_locked(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int seen;

        pthread_mutex_lock(&lock);
        assert_int_equal(0, inside++);
        seen = shared;
        sim_yield(world); /* the others must not get in */
        shared = seen + 1;
        inside--;
        pthread_mutex_unlock(&lock);
    }
}

static void test_locks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed);
        shared = 0;
        for (int i = 0; i < 4; i++)
            sim_spawn(world, count_locked, NULL);
        assert_int_equal(SIM_DONE, sim_run(world, 10000));
        assert_int_equal(80, shared);
        sim_free(world);
    }
}

static void lock_both(void *arg)
{
    pthread_mutex_t *first = arg, *second = first == &lock ? &other_lock : &lock;

    pthread_mutex_lock(first);
    sim_sleep(world, 1000000);
    pthread_mutex_lock(second);
    pthread_mutex_unlock(second);
    pthread_mutex_unlock(first);
}

static void test_deadlock_is_found(void **state)
{
    (void)state;
    start(1);
    sim_spawn(world, lock_both, &lock);
    sim_spawn(world, lock_both, &other_lock);
    assert_int_equal(SIM_STUCK, sim_run(world, 1000));
    sim_free(world);
    pthread_mutex_init(&lock, NULL);
    pthread_mutex_init(&other_lock, NULL);
}

/* ---- pools ---- */

struct task {
    struct env_job job;
    struct env_op op;
    uint64_t value;
    bool ran, done;
};

static void task_run(struct env_job *job)
{
    struct task *task = CONTAINER_OF(job, struct task, job);

    sim_sleep(world, 1000 * task->value);
    task->ran = true;
}

static void task_done(struct env_job *job)
{
    struct task *task = CONTAINER_OF(job, struct task, job);

    task->done = true;
    env_complete(sim_env(world), &task->op, job->err);
}

static void submit(struct task *task, uint64_t value)
{
    *task = (struct task){.job = {.run = task_run, .done = task_done}, .value = value};
}

static void use_pools(void *arg)
{
    struct env *env = sim_env(world);
    struct task tasks[8], late, cancelled, slow;

    (void)arg;
    for (size_t i = 0; i < COUNT_OF(tasks); i++) {
        submit(&tasks[i], i);
        check_err(ERR_OK, env_submit(env, ENV_POOL_DISK, &tasks[i].job));
    }
    submit(&late, 1);
    late.job.deadline_ns = env_mono_ns(env) + 1;
    check_err(ERR_OK, env_submit(env, ENV_POOL_DISK, &late.job));
    submit(&cancelled, 1);
    check_err(ERR_OK, env_submit(env, ENV_POOL_DISK, &cancelled.job));
    env_cancel(env, &cancelled.job);
    for (size_t i = 0; i < COUNT_OF(tasks); i++) {
        check_err(ERR_OK, env_wait(env, &tasks[i].op, 0));
        assert_true(tasks[i].ran);
    }
    check_err(ERR_DEADLINE, env_wait(env, &late.op, 0));
    check_err(ERR_CANCELLED, env_wait(env, &cancelled.op, 0));
    assert_false(late.ran);
    assert_false(cancelled.ran);
    submit(&slow, 1000000);
    check_err(ERR_OK, env_submit(env, ENV_POOL_QUERY, &slow.job));
    check_err(ERR_DEADLINE, env_wait(env, &slow.op, env_mono_ns(env) + 1000));
    assert_false(slow.done);
    check_err(ERR_OK, env_wait(env, &slow.op, 0));
    assert_true(slow.done);
}

static void test_pools(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed);
        sim_spawn(world, use_pools, NULL);
        assert_int_equal(SIM_DONE, sim_run(world, 10000));
        sim_free(world);
    }
}

static void fill_queue(void *arg)
{
    struct env *env = sim_env(world);
    static struct task tasks[4];

    (void)arg;
    for (size_t i = 0; i < 3; i++) {
        submit(&tasks[i], 1);
        check_err(i < 2 ? ERR_OK : ERR_FULL, env_submit(env, ENV_POOL_INGEST, &tasks[i].job));
    }
    check_err(ERR_OK, env_wait(env, &tasks[1].op, 0));
}

static void test_queue_is_bounded(void **state)
{
    const struct sim_options options = {.seed = 1, .pools = {{.queue_len_max = 2}}};

    (void)state;
    world = sim_new(&options);
    sim_spawn(world, fill_queue, NULL);
    assert_int_equal(SIM_DONE, sim_run(world, 1000));
    sim_free(world);
}

/* ---- timers ---- */

struct ticker {
    struct env_timer timer;
    int ticks;
    struct env_op op;
};

static void on_tick(struct env_timer *timer)
{
    struct ticker *ticker = CONTAINER_OF(timer, struct ticker, timer);
    struct env *env = sim_env(world);

    if (++ticker->ticks == 3)
        env_complete(env, &ticker->op, ERR_OK);
    else
        env_timer_start(env, timer, env_mono_ns(env) + 1000000);
}

static void use_timers(void *arg)
{
    struct env *env = sim_env(world);
    struct ticker ticker = {.timer = {.fn = on_tick}}, never = {.timer = {.fn = on_tick}};

    (void)arg;
    env_timer_start(env, &ticker.timer, env_mono_ns(env) + 1000);
    env_timer_start(env, &never.timer, env_mono_ns(env) + 10);
    env_timer_start(env, &never.timer, env_mono_ns(env) + 100000000);
    check_err(ERR_OK, env_wait(env, &ticker.op, 0));
    env_timer_stop(env, &ticker.timer);
    env_timer_stop(env, &never.timer);
    sim_sleep(world, 200000000);
    assert_int_equal(3, ticker.ticks);
    assert_int_equal(0, never.ticks);
}

static void test_timers(void **state)
{
    (void)state;
    start(3);
    sim_spawn(world, use_timers, NULL);
    assert_int_equal(SIM_DONE, sim_run(world, 1000));
    sim_free(world);
}

/* ---- crash ---- */

static void never_ends(void *arg)
{
    struct env_op op = {0};

    (void)arg;
    check_err(ERR_OK, env_wait(sim_env(world), &op, 0));
    fail();
}

static void test_crash_drops_fibers(void **state)
{
    (void)state;
    start(1);
    for (int round = 0; round < 5; round++) {
        sim_spawn(world, never_ends, NULL);
        assert_int_equal(SIM_STUCK, sim_run(world, 1000));
        sim_crash(world);
        sim_spawn(world, sleep_long, NULL);
        assert_int_equal(SIM_DONE, sim_run(world, 1000));
    }
    sim_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_time_jumps),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_deadlock_is_found),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_crash_drops_fibers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
