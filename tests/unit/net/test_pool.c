/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/net_fixture.h"

enum { JOB_MAX = 64 };

struct counted_job {
    struct env_job job;
    int id;
    struct log_of_jobs *log;
};

struct log_of_jobs {
    struct counted_job jobs[JOB_MAX];
    _Atomic int run_count, done_count;
    _Atomic int order[JOB_MAX];
    _Atomic bool gate; /* jobs with id 0 run until it opens */
};

static void job_run(struct env_job *job)
{
    struct counted_job *c = CONTAINER_OF(job, struct counted_job, job);

    c->log->order[atomic_fetch_add(&c->log->run_count, 1)] = c->id;
    while (c->id == 0 && !atomic_load(&c->log->gate) && !env_job_cancelled(job))
        net_sleep_ms(1);
}

static void job_done(struct env_job *job)
{
    atomic_fetch_add(&CONTAINER_OF(job, struct counted_job, job)->log->done_count, 1);
}

static void job_init(struct log_of_jobs *log, int id)
{
    log->jobs[id] =
        (struct counted_job){.job = {.run = job_run, .done = job_done}, .id = id, .log = log};
}

static struct pool *pool_of(size_t thread_count, size_t queue_len_max)
{
    const struct pool_options options = {"test", thread_count, queue_len_max};
    struct err_info info = {{0}};
    struct pool *pool = NULL;

    check_err_info(ERR_OK, pool_new(&options, &pool, &info), &info);
    return pool;
}

static void wait_for(const _Atomic int *count, int want)
{
    for (int i = 0; i < 5000 && atomic_load(count) < want; i++)
        net_sleep_ms(1);
    assert_int_equal(want, atomic_load(count));
}

/* Job 0 holds the only worker while the others queue up. */
static void hold(struct pool *pool, struct log_of_jobs *log)
{
    memset((void *)log, 0, sizeof(*log));
    for (int i = 0; i < JOB_MAX; i++)
        job_init(log, i);
    check_err(ERR_OK, pool_submit(pool, &log->jobs[0].job));
    wait_for(&log->run_count, 1);
}

static void test_priorities(void **unused)
{
    static const int priorities[] = {0, 0, 5, -1, 5, 0, 9}; /* of jobs 1.. */
    static const int want[] = {0, 7, 3, 5, 1, 2, 6, 4};
    struct pool *pool = pool_of(1, 100);
    struct log_of_jobs log;

    (void)unused;
    hold(pool, &log);
    for (int i = 0; i < (int)COUNT_OF(priorities); i++) {
        log.jobs[i + 1].job.priority = priorities[i];
        check_err(ERR_OK, pool_submit(pool, &log.jobs[i + 1].job));
    }
    atomic_store(&log.gate, true);
    wait_for(&log.done_count, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++)
        assert_int_equal(want[i], atomic_load(&log.order[i]));
    pool_free(pool);
}

static void test_full(void **unused)
{
    struct pool *pool = pool_of(1, 2);
    struct log_of_jobs log;
    struct pool_stats stats;

    (void)unused;
    hold(pool, &log);
    check_err(ERR_OK, pool_submit(pool, &log.jobs[1].job));
    check_err(ERR_OK, pool_submit(pool, &log.jobs[2].job));
    check_err(ERR_FULL, pool_submit(pool, &log.jobs[3].job));
    pool_get_stats(pool, &stats);
    assert_int_equal(2, stats.queue_len);
    assert_int_equal(1, stats.running_count);
    assert_int_equal(1, stats.full_count);
    atomic_store(&log.gate, true);
    wait_for(&log.done_count, 3);
    assert_int_equal(3, atomic_load(&log.run_count));
    pool_free(pool);
}

static void test_cancel(void **unused)
{
    struct pool *pool = pool_of(1, 100);
    struct log_of_jobs log;

    (void)unused;
    hold(pool, &log);
    for (int i = 1; i < 5; i++)
        check_err(ERR_OK, pool_submit(pool, &log.jobs[i].job));
    assert_true(pool_cancel(pool, &log.jobs[2].job));  /* in the middle */
    assert_true(pool_cancel(pool, &log.jobs[4].job));  /* the last */
    assert_false(pool_cancel(pool, &log.jobs[4].job)); /* again */
    assert_false(pool_cancel(pool, &log.jobs[0].job)); /* running: it sees the flag and ends */
    wait_for(&log.done_count, 5);
    assert_int_equal(3, atomic_load(&log.run_count));
    assert_int_equal(ERR_CANCELLED, log.jobs[2].job.err);
    assert_int_equal(ERR_CANCELLED, log.jobs[4].job.err);
    assert_int_equal(ERR_OK, log.jobs[3].job.err);
    check_err(ERR_OK, pool_submit(pool, &log.jobs[5].job)); /* the tail is whole */
    wait_for(&log.done_count, 6);
    pool_free(pool);
}

static void test_deadline(void **unused)
{
    struct pool *pool = pool_of(1, 100);
    struct log_of_jobs log;

    (void)unused;
    hold(pool, &log);
    log.jobs[1].job.deadline_ns = net_now_ns() + 10 * NET_MS;
    log.jobs[2].job.deadline_ns = net_now_ns() + 60 * NET_SECOND;
    check_err(ERR_OK, pool_submit(pool, &log.jobs[1].job));
    check_err(ERR_OK, pool_submit(pool, &log.jobs[2].job));
    net_sleep_ms(20);
    atomic_store(&log.gate, true);
    wait_for(&log.done_count, 3);
    assert_int_equal(ERR_DEADLINE, log.jobs[1].job.err);
    assert_int_equal(ERR_OK, log.jobs[2].job.err);
    assert_int_equal(2, atomic_load(&log.run_count));
    pool_free(pool);
}

static void test_stop(void **unused)
{
    struct pool *pool = pool_of(1, 100);
    struct log_of_jobs log;

    (void)unused;
    hold(pool, &log);
    check_err(ERR_OK, pool_submit(pool, &log.jobs[1].job));
    atomic_store(&log.jobs[0].job.cancelled, true);
    pool_stop(pool);
    assert_int_equal(2, atomic_load(&log.done_count));
    assert_int_equal(ERR_OK, log.jobs[0].job.err);
    check_err(ERR_CLOSED, pool_submit(pool, &log.jobs[2].job));
    pool_stop(pool);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities), cmocka_unit_test(test_full),
        cmocka_unit_test(test_cancel),     cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
