/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

_Atomic bool fault_is_armed;

/* Guards the plan; the last lock of all, nothing is called under it. */
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *prefix;
    uint64_t nth; /* 0: by chance */
    uint32_t per_mille;
    uint64_t random; /* state of a splitmix generator */
    uint64_t hits, fired;
    const char *fired_name;
} fault_plan;

static uint64_t fault_random(void)
{
    uint64_t z = fault_plan.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

bool fault_hit(const char *name)
{
    bool fire = false;

    pthread_mutex_lock(&fault_lock);
    if (fault_plan.prefix != NULL &&
        strncmp(name, fault_plan.prefix, strlen(fault_plan.prefix)) == 0) {
        fault_plan.hits++;
        fire = fault_plan.nth != 0 ? fault_plan.hits == fault_plan.nth
                                   : fault_random() % 1000 < fault_plan.per_mille;
        if (fire) {
            fault_plan.fired++;
            fault_plan.fired_name = name;
        }
    }
    pthread_mutex_unlock(&fault_lock);
    return fire;
}

static void fault_arm_plan(const char *prefix, uint64_t nth, uint32_t per_mille, uint64_t seed)
{
    pthread_mutex_lock(&fault_lock);
    memset(&fault_plan, 0, sizeof(fault_plan));
    fault_plan.prefix = prefix;
    fault_plan.nth = nth;
    fault_plan.per_mille = per_mille;
    fault_plan.random = seed;
    pthread_mutex_unlock(&fault_lock);
    atomic_store(&fault_is_armed, prefix != NULL);
}

void fault_arm(const char *prefix, uint64_t nth)
{
    fault_arm_plan(prefix, nth, 0, 0);
}

void fault_arm_random(const char *prefix, uint32_t per_mille, uint64_t seed)
{
    fault_arm_plan(prefix, 0, per_mille, seed);
}

void fault_disarm(void)
{
    atomic_store(&fault_is_armed, false);
}

uint64_t fault_hit_count(void)
{
    uint64_t hits;

    pthread_mutex_lock(&fault_lock);
    hits = fault_plan.hits;
    pthread_mutex_unlock(&fault_lock);
    return hits;
}

uint64_t fault_fired_count(void)
{
    uint64_t fired;

    pthread_mutex_lock(&fault_lock);
    fired = fault_plan.fired;
    pthread_mutex_unlock(&fault_lock);
    return fired;
}

const char *fault_fired_name(void)
{
    const char *name;

    pthread_mutex_lock(&fault_lock);
    name = fault_plan.fired_name;
    pthread_mutex_unlock(&fault_lock);
    return name;
}
