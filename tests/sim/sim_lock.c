/* SPDX-License-Identifier: Apache-2.0 */
/* pthread locks between fibers. The linker's --wrap puts these before the locks of our own code: on
 * one thread a lock that another fiber holds must let that fiber run, not block the thread. Taking
 * a lock is also a place to give way now and then, which finds orders of events that file calls
 * alone would not. Outside of fibers they are the real ones. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "base/assert.h"
#include "sim/sim_internal.h"

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_pthread_mutex_trylock(pthread_mutex_t *lock);
int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_sched_yield(void);

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_sched_yield(void);

static void sim_lock_maybe_yield(struct sim *sim)
{
    if (sim_chance(sim, sim->options.lock_yield_one_in))
        sim_yield(sim);
}

static void sim_lock_taken(struct sim *sim)
{
    sim->fibers.current->locks_held++;
}

static void sim_lock_given(struct sim *sim, const void *lock)
{
    ASSERT(sim->fibers.current->locks_held > 0);
    sim->fibers.current->locks_held--;
    sim_wake(sim, lock);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    struct sim *sim = sim_running;

    if (sim == NULL)
        return __real_pthread_mutex_lock(lock);
    sim_lock_maybe_yield(sim);
    while (__real_pthread_mutex_trylock(lock) != 0)
        sim_wait(sim, lock, "a mutex", UINT64_MAX);
    sim_lock_taken(sim);
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock)
{
    const int result = __real_pthread_mutex_trylock(lock);

    if (result == 0 && sim_running != NULL)
        sim_lock_taken(sim_running);
    return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
    const int result = __real_pthread_mutex_unlock(lock);

    if (sim_running != NULL)
        sim_lock_given(sim_running, lock);
    return result;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    struct sim *sim = sim_running;

    if (sim == NULL)
        return __real_pthread_rwlock_rdlock(lock);
    sim_lock_maybe_yield(sim);
    while (pthread_rwlock_tryrdlock(lock) != 0)
        sim_wait(sim, lock, "a lock to read", UINT64_MAX);
    sim_lock_taken(sim);
    return 0;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    struct sim *sim = sim_running;

    if (sim == NULL)
        return __real_pthread_rwlock_wrlock(lock);
    sim_lock_maybe_yield(sim);
    while (pthread_rwlock_trywrlock(lock) != 0)
        sim_wait(sim, lock, "a lock to write", UINT64_MAX);
    sim_lock_taken(sim);
    return 0;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    const int result = __real_pthread_rwlock_unlock(lock);

    if (sim_running != NULL)
        sim_lock_given(sim_running, lock);
    return result;
}

int __wrap_sched_yield(void)
{
    if (sim_running == NULL)
        return __real_sched_yield();
    sim_yield(sim_running);
    return 0;
}
