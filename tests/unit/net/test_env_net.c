/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/net_fixture.h"

#include <pthread.h>

#include "support/gen.h"

/* ---- tasks ---- */

struct numbered_task {
    struct reactor_task task;
    int *next, want;
    _Atomic int *done_count;
};

static void task_run(struct reactor_task *task)
{
    struct numbered_task *n = CONTAINER_OF(task, struct numbered_task, task);

    assert_int_equal(n->want, *n->next);
    ++*n->next;
    atomic_fetch_add(n->done_count, 1);
}

static void test_tasks_keep_order(void **unused)
{
    enum { COUNT = 10000 };
    static struct numbered_task tasks[COUNT];
    struct reactor_set *set;
    _Atomic int done_count = 0;
    int next = 0;

    (void)unused;
    check_err(ERR_OK, reactor_set_open(1, &set, NULL));
    for (int i = 0; i < COUNT; i++) {
        tasks[i] = (struct numbered_task){{.fn = task_run}, &next, i, &done_count};
        reactor_post(reactor_set_get(set, 0), &tasks[i].task);
    }
    reactor_set_close(set); /* runs all of them first */
    assert_int_equal(COUNT, atomic_load(&done_count));
}

/* ---- waiting ---- */

struct completion {
    struct net_fixture *f;
    struct env_op op;
    unsigned delay_ms;
};

static void *complete_later(void *arg)
{
    struct completion *c = arg;

    net_sleep_ms(c->delay_ms);
    env_complete(&c->f->env, &c->op, ERR_FULL);
    return NULL;
}

static void test_wait(void **unused)
{
    struct net_fixture f;
    struct env_op op = {0};
    uint64_t start_ns;

    (void)unused;
    net_open_env(&f);
    /* Complete before the wait. */
    env_complete(&f.env, &op, ERR_RATE);
    check_err(ERR_RATE, env_wait(&f.env, &op, 0));
    check_err(ERR_RATE, env_wait(&f.env, &op, 0));
    /* While it waits; and past a deadline, then waited for again. */
    for (unsigned round = 0; round < 2; round++) {
        struct completion c = {.f = &f, .delay_ms = 40};
        pthread_t thread;

        start_ns = net_now_ns();
        assert_int_equal(0, pthread_create(&thread, NULL, complete_later, &c));
        if (round == 1) {
            check_err(ERR_DEADLINE, env_wait(&f.env, &c.op, start_ns + 10 * NET_MS));
            check_err(ERR_DEADLINE, env_wait(&f.env, &c.op, start_ns));
        }
        check_err(ERR_FULL, env_wait(&f.env, &c.op, 0));
        assert_true(net_now_ns() - start_ns >= 40 * NET_MS);
        pthread_join(thread, NULL);
    }
    net_close(&f);
}

/* Many operations that complete while, before and after they are waited for. */
static void test_wait_race(void **unused)
{
    struct net_fixture f;

    (void)unused;
    net_open_env(&f);
    for (int i = 0; i < 500; i++) {
        struct completion *c = mem_zalloc(1, sizeof(*c));
        pthread_t thread;

        c->f = &f;
        assert_int_equal(0, pthread_create(&thread, NULL, complete_later, c));
        check_err(ERR_FULL, env_wait(&f.env, &c->op, net_now_ns() + 10 * NET_SECOND));
        pthread_join(thread, NULL);
        mem_free(c);
    }
    net_close(&f);
}

static void test_pools(void **unused)
{
    struct net_fixture f;
    struct pool_stats stats;

    (void)unused;
    net_open_env(&f);
    env_net_pool_stats(&f.env, ENV_POOL_QUERY, &stats);
    assert_int_equal(4, stats.thread_count);
    assert_int_equal(64, stats.queue_len_max);
    assert_string_equal("query", env_net_pool_name(ENV_POOL_QUERY));
    net_close(&f);
}

/* ---- timers ---- */

struct counted_timer {
    struct env_timer timer;
    struct env *env;
    _Atomic int fired;
    _Atomic uint64_t fired_ns;
    int repeat;
};

static void on_timer(struct env_timer *timer)
{
    struct counted_timer *t = CONTAINER_OF(timer, struct counted_timer, timer);

    assert_non_null(reactor_current());
    atomic_store(&t->fired_ns, net_now_ns());
    if (atomic_fetch_add(&t->fired, 1) + 1 < t->repeat)
        env_timer_start(t->env, timer, net_now_ns() + NET_MS);
}

static void on_timer_free(struct env_timer *timer)
{
    mem_free(CONTAINER_OF(timer, struct counted_timer, timer));
}

static struct counted_timer *timers_new(struct net_fixture *f, int count)
{
    struct counted_timer *timers = mem_zalloc((size_t)count, sizeof(*timers));

    for (int i = 0; i < count; i++) {
        timers[i].timer.fn = on_timer;
        timers[i].env = &f->env;
    }
    return timers;
}

static void test_timers_fire(void **unused)
{
    enum { COUNT = 500 };
    struct net_fixture f;
    struct counted_timer *timers;
    struct gen gen;
    uint64_t due_ns[COUNT];

    (void)unused;
    net_open_env(&f);
    GEN_EACH_SEED(&gen, 5)
    {
        timers = timers_new(&f, COUNT);
        for (int i = 0; i < COUNT; i++) {
            due_ns[i] = net_now_ns() + gen_below(&gen, 50) * NET_MS;
            env_timer_start(&f.env, &timers[i].timer, due_ns[i]);
        }
        for (int i = 0; i < COUNT; i += 3) { /* some move, some end */
            due_ns[i] = net_now_ns() + 60 * NET_MS;
            env_timer_start(&f.env, &timers[i].timer, due_ns[i]);
        }
        for (int i = 1; i < COUNT; i += 3) {
            env_timer_stop(&f.env, &timers[i].timer);
            due_ns[i] = 0;
        }
        for (int i = 0; i < COUNT; i++)
            for (int ms = 0; due_ns[i] != 0 && ms < 2000 && atomic_load(&timers[i].fired) == 0;
                 ms++)
                net_sleep_ms(1);
        for (int i = 0; i < COUNT; i++) {
            env_timer_stop(&f.env, &timers[i].timer);
            assert_true(atomic_load(&timers[i].fired) <= 1 + (i % 3 == 0));
            if (due_ns[i] != 0) {
                assert_true(atomic_load(&timers[i].fired) >= 1);
                assert_true(atomic_load(&timers[i].fired_ns) >= due_ns[i]);
            }
        }
        mem_free(timers);
    }
    net_close(&f);
}

static void test_timer_restarts(void **unused)
{
    struct net_fixture f;
    struct counted_timer *timer, *freed;

    (void)unused;
    net_open_env(&f);
    timer = timers_new(&f, 1);
    timer->repeat = 20;
    env_timer_start(&f.env, &timer->timer, 0); /* in the past: at once */
    for (int i = 0; i < 2000 && atomic_load(&timer->fired) < 20; i++)
        net_sleep_ms(1);
    assert_int_equal(20, atomic_load(&timer->fired));
    env_timer_stop(&f.env, &timer->timer); /* fn has returned */
    timer->repeat = 1 << 30;
    env_timer_start(&f.env, &timer->timer, net_now_ns());
    net_sleep_ms(10);
    env_timer_stop(&f.env, &timer->timer);
    mem_free(timer); /* nothing runs any more */
    /* A timer that frees itself. */
    freed = timers_new(&f, 1);
    freed->timer.fn = on_timer_free;
    env_timer_start(&f.env, &freed->timer, net_now_ns());
    net_sleep_ms(20);
    net_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_keep_order), cmocka_unit_test(test_wait),
        cmocka_unit_test(test_wait_race),        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_timers_fire),      cmocka_unit_test(test_timer_restarts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
