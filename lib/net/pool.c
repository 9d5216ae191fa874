/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/mem.h"
#include "net/reactor.h"

struct pool {
    pthread_mutex_t mutex; /* guards all below but what open made */
    pthread_cond_t work;
    struct env_job *head, *tail; /* waiting, in the order they will run */
    struct env_job *cancelled;   /* taken out of the queue by cancel; done is due */
    bool stopping;
    struct pool_stats stats;
    size_t thread_count; /* running threads, for the join */
    struct pool_options options;
    pthread_t threads[];
};

static void pool_finish(struct env_job *job, enum err err)
{
    job->err = err;
    if (job->done != NULL)
        job->done(job);
}

/* Takes the next job; sets *err to why it shall not run, or OK. NULL: the pool ends. */
static struct env_job *pool_take(struct pool *pool, enum err *err)
{
    struct env_job *job;

    while (pool->cancelled == NULL && pool->head == NULL) {
        if (pool->stopping)
            return NULL;
        pthread_cond_wait(&pool->work, &pool->mutex);
    }
    if (pool->cancelled != NULL) {
        job = pool->cancelled;
        pool->cancelled = job->next;
        *err = ERR_CANCELLED;
        return job;
    }
    job = pool->head;
    pool->head = job->next;
    if (pool->head == NULL)
        pool->tail = NULL;
    pool->stats.queue_len--;
    *err = ERR_OK;
    if (pool->stopping) {
        *err = ERR_CLOSED;
    } else if (env_job_cancelled(job)) {
        pool->stats.cancelled_count++;
        *err = ERR_CANCELLED;
    } else {
        const uint64_t now_ns = reactor_mono_ns();

        pool->stats.queued_ns_total += now_ns - job->queued_ns;
        if (job->deadline_ns != 0 && now_ns >= job->deadline_ns) {
            pool->stats.deadline_count++;
            *err = ERR_DEADLINE;
        }
    }
    return job;
}

static void *pool_main(void *arg)
{
    struct pool *pool = arg;
    struct env_job *job;
    enum err err;

    pthread_mutex_lock(&pool->mutex);
    while ((job = pool_take(pool, &err)) != NULL) {
        pool->stats.running_count++;
        if (err == ERR_OK)
            pool->stats.run_count++;
        pthread_mutex_unlock(&pool->mutex);
        if (err == ERR_OK)
            job->run(job);
        pool_finish(job, err);
        pthread_mutex_lock(&pool->mutex);
        pool->stats.running_count--;
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static int pool_start_thread(struct pool *pool)
{
    sigset_t all, old;
    char name[16];
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = FAULT("net.pool.thread")
              ? EAGAIN
              : pthread_create(&pool->threads[pool->thread_count], NULL, pool_main, pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err != 0)
        return err;
    snprintf(name, sizeof(name), "%.10s-%u", pool->options.name,
             (unsigned)(pool->thread_count % 1000));
    pthread_setname_np(pool->threads[pool->thread_count], name);
    pool->thread_count++;
    return 0;
}

enum err pool_new(const struct pool_options *options, struct pool **pool, struct err_info *info)
{
    struct pool *p;

    ASSERT(options->thread_count > 0);
    ASSERT(options->queue_len_max > 0);
    p = mem_zalloc(1, sizeof(*p) + options->thread_count * sizeof(p->threads[0]));
    p->options = *options;
    p->stats.thread_count = options->thread_count;
    p->stats.queue_len_max = options->queue_len_max;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    while (p->thread_count < options->thread_count) {
        const int err = pool_start_thread(p);

        if (err != 0) {
            pool_free(p);
            return err_set(info, ERR_IO, "start %s worker: %s", options->name, strerror(err));
        }
    }
    *pool = p;
    return ERR_OK;
}

void pool_stop(struct pool *pool)
{
    bool first;

    pthread_mutex_lock(&pool->mutex);
    first = !pool->stopping;
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    if (!first)
        return;
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    ASSERT(pool->head == NULL);
    ASSERT(pool->cancelled == NULL);
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pool_stop(pool);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

/* Behind all of its priority or higher; mostly that is the end. */
static void pool_insert(struct pool *pool, struct env_job *job)
{
    struct env_job **link = &pool->head;

    if (pool->tail != NULL && pool->tail->priority >= job->priority)
        link = &pool->tail->next;
    else
        while (*link != NULL && (*link)->priority >= job->priority)
            link = &(*link)->next;
    job->next = *link;
    *link = job;
    if (job->next == NULL)
        pool->tail = job;
    pool->stats.queue_len++;
}

enum err pool_submit(struct pool *pool, struct env_job *job)
{
    enum err err = ERR_OK;

    ASSERT(job->run != NULL);
    job->queued_ns = reactor_mono_ns();
    pthread_mutex_lock(&pool->mutex);
    if (pool->stopping) {
        err = ERR_CLOSED;
    } else if (pool->stats.queue_len >= pool->options.queue_len_max) {
        pool->stats.full_count++;
        err = ERR_FULL;
    } else {
        pool_insert(pool, job);
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->mutex);
    return err;
}

bool pool_cancel(struct pool *pool, struct env_job *job)
{
    bool found = false;

    pthread_mutex_lock(&pool->mutex);
    atomic_store(&job->cancelled, true);
    for (struct env_job **link = &pool->head, *before = NULL; *link != NULL;
         before = *link, link = &(*link)->next) {
        if (*link != job)
            continue;
        *link = job->next;
        if (pool->tail == job)
            pool->tail = before;
        pool->stats.queue_len--;
        pool->stats.cancelled_count++;
        job->next = pool->cancelled;
        pool->cancelled = job;
        pthread_cond_signal(&pool->work);
        found = true;
        break;
    }
    pthread_mutex_unlock(&pool->mutex);
    return found;
}

void pool_get_stats(struct pool *pool, struct pool_stats *stats)
{
    pthread_mutex_lock(&pool->mutex);
    *stats = pool->stats;
    pthread_mutex_unlock(&pool->mutex);
}
