/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reactor_timer.h"

#include <pthread.h>

#include "base/mem.h"
#include "net/reactor_internal.h"

enum { TIMER_HEAP_MIN = 64, NS_PER_MS = 1000000 };

struct reactor_timer_set {
    struct reactor *reactor;
    pthread_mutex_t mutex;   /* guards the heap, running and is_posted */
    pthread_cond_t idle;     /* running became NULL */
    struct env_timer **heap; /* heap[0] is due first */
    size_t count, cap;
    struct env_timer *running; /* only compared: it may be freed by its callback */
    bool is_posted;            /* `arm` is on its way to the reactor */
    bool is_open;              /* the loop timer exists; reactor thread only */
    struct reactor_task arm;
    struct reactor_exit exit;
    uv_timer_t timer;
};

static void timer_put(struct reactor_timer_set *set, size_t index, struct env_timer *timer)
{
    set->heap[index] = timer;
    atomic_store_explicit(&timer->state, (int)index + 1, memory_order_relaxed);
}

static void timer_sift_up(struct reactor_timer_set *set, size_t index, struct env_timer *timer)
{
    while (index > 0 && set->heap[(index - 1) / 2]->due_ns > timer->due_ns) {
        timer_put(set, index, set->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    timer_put(set, index, timer);
}

static void timer_sift_down(struct reactor_timer_set *set, size_t index, struct env_timer *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < set->count && set->heap[child + 1]->due_ns < set->heap[child]->due_ns)
            child++;
        if (child >= set->count || set->heap[child]->due_ns >= timer->due_ns)
            break;
        timer_put(set, index, set->heap[child]);
        index = child;
    }
    timer_put(set, index, timer);
}

static void timer_remove(struct reactor_timer_set *set, struct env_timer *timer)
{
    const int state = atomic_load_explicit(&timer->state, memory_order_relaxed);
    struct env_timer *last;
    size_t index;

    if (state == 0)
        return;
    index = (size_t)state - 1;
    ASSERT(index < set->count);
    ASSERT(set->heap[index] == timer);
    atomic_store_explicit(&timer->state, 0, memory_order_relaxed);
    last = set->heap[--set->count];
    if (last == timer)
        return;
    if (index > 0 && set->heap[(index - 1) / 2]->due_ns > last->due_ns)
        timer_sift_up(set, index, last);
    else
        timer_sift_down(set, index, last);
}

static void timer_insert(struct reactor_timer_set *set, struct env_timer *timer)
{
    if (set->count == set->cap) {
        set->cap = set->cap == 0 ? TIMER_HEAP_MIN : set->cap * 2;
        set->heap = mem_realloc(set->heap, set->cap * sizeof(set->heap[0]));
    }
    timer_sift_up(set, set->count++, timer);
}

static void on_timer(uv_timer_t *handle);

/* Sets the loop timer to the first due time. On the reactor, with the mutex held. */
static void timer_arm(struct reactor_timer_set *set)
{
    uint64_t now_ns, wait_ms = 0;

    if (!set->is_open) {
        uv_timer_init(reactor_loop(set->reactor), &set->timer);
        set->is_open = true;
    }
    if (set->count == 0) {
        uv_timer_stop(&set->timer);
        return;
    }
    now_ns = reactor_mono_ns();
    if (set->heap[0]->due_ns > now_ns)
        wait_ms = (set->heap[0]->due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    uv_update_time(reactor_loop(set->reactor));
    uv_timer_start(&set->timer, on_timer, wait_ms, 0);
}

static void on_timer(uv_timer_t *handle)
{
    struct reactor_timer_set *set = CONTAINER_OF(handle, struct reactor_timer_set, timer);
    const uint64_t now_ns = reactor_mono_ns();

    pthread_mutex_lock(&set->mutex);
    /* Bounded, so that a callback that restarts its timer in the past cannot hold the loop. */
    for (size_t left = set->count; left > 0 && set->count > 0; left--) {
        struct env_timer *timer = set->heap[0];

        if (timer->due_ns > now_ns)
            break;
        timer_remove(set, timer);
        set->running = timer;
        pthread_mutex_unlock(&set->mutex);
        timer->fn(timer);
        pthread_mutex_lock(&set->mutex);
        set->running = NULL;
        pthread_cond_broadcast(&set->idle);
    }
    timer_arm(set);
    pthread_mutex_unlock(&set->mutex);
}

static void timer_on_arm(struct reactor_task *task)
{
    struct reactor_timer_set *set = CONTAINER_OF(task, struct reactor_timer_set, arm);

    pthread_mutex_lock(&set->mutex);
    set->is_posted = false;
    timer_arm(set);
    pthread_mutex_unlock(&set->mutex);
}

static void timer_on_exit(struct reactor_exit *hook)
{
    struct reactor_timer_set *set = CONTAINER_OF(hook, struct reactor_timer_set, exit);

    if (set->is_open)
        uv_close((uv_handle_t *)&set->timer, NULL);
}

struct reactor_timer_set *reactor_timer_set_new(struct reactor *reactor)
{
    struct reactor_timer_set *set = mem_zalloc(1, sizeof(*set));

    set->reactor = reactor;
    pthread_mutex_init(&set->mutex, NULL);
    pthread_cond_init(&set->idle, NULL);
    set->arm.fn = timer_on_arm;
    set->exit.fn = timer_on_exit;
    reactor_on_exit(reactor, &set->exit);
    return set;
}

void reactor_timer_set_free(struct reactor_timer_set *set)
{
    pthread_cond_destroy(&set->idle);
    pthread_mutex_destroy(&set->mutex);
    mem_free(set->heap);
    mem_free(set);
}

void reactor_timer_start(struct reactor_timer_set *set, struct env_timer *timer, uint64_t due_ns)
{
    bool must_post;

    ASSERT(timer->fn != NULL);
    pthread_mutex_lock(&set->mutex);
    timer_remove(set, timer);
    timer->due_ns = due_ns;
    timer_insert(set, timer);
    must_post = set->heap[0] == timer && !set->is_posted;
    if (must_post)
        set->is_posted = true;
    pthread_mutex_unlock(&set->mutex);
    if (must_post)
        reactor_post(set->reactor, &set->arm);
}

void reactor_timer_stop(struct reactor_timer_set *set, struct env_timer *timer)
{
    pthread_mutex_lock(&set->mutex);
    ASSERT(set->running != timer || reactor_current() != set->reactor);
    while (set->running == timer)
        pthread_cond_wait(&set->idle, &set->mutex);
    timer_remove(set, timer);
    pthread_mutex_unlock(&set->mutex);
}
