/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Timers of one reactor: a heap of env_timers by due time under one loop timer. Starting and
 * stopping work from any thread without a round trip through the loop; nothing is allocated per
 * timer, so a timer's owner may free it from its own callback.
 *
 * In an env_timer `impl` is its reactor_timer_set (chosen at the first start, kept) and `state` its
 * place in the heap plus one, 0 when not waiting; both are guarded by the set's mutex. */

#include "base/env.h"
#include "net/reactor.h"

struct reactor_timer_set;

struct reactor_timer_set *reactor_timer_set_new(struct reactor *reactor);
/* After the reactor closed. */
void reactor_timer_set_free(struct reactor_timer_set *set);

/* Starts or moves a timer of this set. */
void reactor_timer_start(struct reactor_timer_set *set, struct env_timer *timer, uint64_t due_ns);
/* Returns once fn is neither running nor going to run. Not from fn. */
void reactor_timer_stop(struct reactor_timer_set *set, struct env_timer *timer);
