/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Named points at fallible calls, where a test can make the call fail:
 *
 *   if (FAULT("wal.fsync"))
 *       return ERR_IO;
 *
 * Off, a point costs one relaxed load. A driver arms the n-th call, n = 1, 2, 3 ... until a run
 * fires none. Threads: any; arming and disarming is the test's own thread alone. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Private. */
extern _Atomic bool fault_is_armed;
bool fault_hit(const char *name);

#define FAULT(name)                                                                                \
    (__builtin_expect(atomic_load_explicit(&fault_is_armed, memory_order_relaxed), 0) &&           \
     fault_hit(name))

/* The nth hit (from 1) of the points whose name begins with `prefix` ("" for all) fails, once. */
void fault_arm(const char *prefix, uint64_t nth);
/* Each matching hit fails with the given chance in 1,000, drawn from the seed. */
void fault_arm_random(const char *prefix, uint32_t per_mille, uint64_t seed);
void fault_disarm(void);
/* Matching hits, and failures, since arming. */
uint64_t fault_hit_count(void);
uint64_t fault_fired_count(void);
/* Name of the last point that failed; NULL: none. */
const char *fault_fired_name(void);
