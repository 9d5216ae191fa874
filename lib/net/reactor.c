/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reactor.h"

/* Posted tasks lie on a lock-free stack that the reactor takes whole and turns round, so that tasks
 * of one poster keep their order and a burst costs one wake-up. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/fault.h"
#include "base/mem.h"
#include "net/reactor_internal.h"

struct reactor {
    struct reactor_task *_Atomic posted; /* newest first */
    uv_loop_t loop;
    uv_async_t wake;
    struct reactor_task stop;
    struct reactor_exit *_Atomic exits; /* newest first */
    void *client;
    size_t index;
    pthread_t thread;
};

struct reactor_set {
    size_t count;
    struct reactor reactors[];
};

static __thread struct reactor *current_reactor;

static void reactor_run_posted(struct reactor *reactor)
{
    struct reactor_task *newest = atomic_exchange(&reactor->posted, NULL);
    struct reactor_task *oldest = NULL;

    while (newest != NULL) {
        struct reactor_task *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct reactor_task *next = oldest->next;

        oldest->fn(oldest);
        oldest = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    reactor_run_posted(CONTAINER_OF(wake, struct reactor, wake));
}

static void reactor_stop_loop(struct reactor_task *task)
{
    uv_stop(&CONTAINER_OF(task, struct reactor, stop)->loop);
}

static void *reactor_main(void *arg)
{
    struct reactor *reactor = arg;
    char name[16];
    int err;

    current_reactor = reactor;
    snprintf(name, sizeof(name), "reactor-%zu", reactor->index);
    pthread_setname_np(pthread_self(), name);
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
    reactor_run_posted(reactor);

    for (struct reactor_exit *hook = atomic_load(&reactor->exits), *next; hook != NULL;
         hook = next) {
        next = hook->next;
        hook->fn(hook);
    }
    uv_close((uv_handle_t *)&reactor->wake, NULL);
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
    err = uv_loop_close(&reactor->loop);
    ASSERT(err == 0); /* a handle was left open */
    return NULL;
}

static enum err reactor_open(struct reactor *reactor, struct err_info *info)
{
    sigset_t all, old;
    int err = FAULT("net.reactor.loop") ? UV_EMFILE : uv_loop_init(&reactor->loop);

    if (err != 0)
        return err_set(info, ERR_IO, "start reactor: %s", uv_strerror(err));
    err = uv_async_init(&reactor->loop, &reactor->wake, on_wake);
    if (err != 0) {
        uv_loop_close(&reactor->loop);
        return err_set(info, ERR_IO, "start reactor: %s", uv_strerror(err));
    }
    reactor->stop.fn = reactor_stop_loop;
    /* Signals belong to the main thread; a write to a closed socket shall be an error only. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = FAULT("net.reactor.thread")
              ? EAGAIN
              : pthread_create(&reactor->thread, NULL, reactor_main, reactor);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err != 0) {
        uv_close((uv_handle_t *)&reactor->wake, NULL);
        uv_run(&reactor->loop, UV_RUN_DEFAULT);
        uv_loop_close(&reactor->loop);
        return err_set(info, ERR_IO, "start reactor thread: %s", strerror(err));
    }
    return ERR_OK;
}

enum err reactor_set_open(size_t count, struct reactor_set **set, struct err_info *info)
{
    struct reactor_set *s;

    if (count == 0) {
        const long cores = sysconf(_SC_NPROCESSORS_ONLN);

        count = cores > 0 ? (size_t)cores : 1;
    }
    if (count > REACTOR_COUNT_MAX)
        count = REACTOR_COUNT_MAX;
    s = mem_zalloc(1, sizeof(*s) + count * sizeof(s->reactors[0]));
    for (; s->count < count; s->count++) {
        enum err err;

        s->reactors[s->count].index = s->count;
        err = reactor_open(&s->reactors[s->count], info);
        if (err != ERR_OK) {
            reactor_set_close(s);
            return err;
        }
    }
    *set = s;
    return ERR_OK;
}

void reactor_set_close(struct reactor_set *set)
{
    if (set == NULL)
        return;
    ASSERT(current_reactor == NULL);
    for (size_t i = 0; i < set->count; i++)
        reactor_post(&set->reactors[i], &set->reactors[i].stop);
    for (size_t i = 0; i < set->count; i++)
        pthread_join(set->reactors[i].thread, NULL);
    mem_free(set);
}

size_t reactor_set_count(const struct reactor_set *set)
{
    return set->count;
}

struct reactor *reactor_set_get(struct reactor_set *set, size_t index)
{
    ASSERT(index < set->count);
    return &set->reactors[index];
}

void reactor_post(struct reactor *reactor, struct reactor_task *task)
{
    struct reactor_task *newest = atomic_load_explicit(&reactor->posted, memory_order_relaxed);

    ASSERT(task->fn != NULL);
    do
        task->next = newest;
    while (!atomic_compare_exchange_weak(&reactor->posted, &newest, task));
    /* Whoever found the stack empty wakes; later ones ride along. */
    if (newest == NULL)
        uv_async_send(&reactor->wake);
}

struct reactor *reactor_current(void)
{
    return current_reactor;
}

uint64_t reactor_mono_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uv_loop_t *reactor_loop(struct reactor *reactor)
{
    return &reactor->loop;
}

void reactor_on_exit(struct reactor *reactor, struct reactor_exit *hook)
{
    struct reactor_exit *newest = atomic_load(&reactor->exits);

    do
        hook->next = newest;
    while (!atomic_compare_exchange_weak(&reactor->exits, &newest, hook));
}

void **reactor_client_slot(struct reactor *reactor)
{
    ASSERT(reactor == current_reactor);
    return &reactor->client;
}
