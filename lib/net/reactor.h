/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reactors: N threads, each with a loop that moves bytes and never blocks. HTTP servers and clients
 * live on them; other threads talk to one by posting tasks.
 *
 * Life: open -> (servers and clients start and stop) -> stop -> close. What lives on reactors is
 * stopped before them and freed after reactor_set_close.
 * Threads: reactor_post from any; the rest as said at each. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct reactor;
struct reactor_set;
struct reactor_task;
typedef void reactor_task_fn(struct reactor_task *task);

/* Embedded in its owner; not touched by the reactor once fn has been called. */
struct reactor_task {
    reactor_task_fn *fn;
    struct reactor_task *next; /* private while posted */
};

enum { REACTOR_COUNT_MAX = 256 };

/* Starts `count` threads (0: one per core). */
enum err reactor_set_open(size_t count, struct reactor_set **set, struct err_info *info) MUST_USE;

/* Ends the loops after all tasks posted so far and joins the threads. Takes set; NULL is fine. From
 * a thread that is no reactor. */
void reactor_set_close(struct reactor_set *set);

size_t reactor_set_count(const struct reactor_set *set);
/* index < count. */
struct reactor *reactor_set_get(struct reactor_set *set, size_t index);

/* Runs task->fn on the reactor's thread, soon, never inside this call; tasks of one poster keep
 * their order. */
void reactor_post(struct reactor *reactor, struct reactor_task *task);

/* The reactor of this thread; NULL on other threads. */
struct reactor *reactor_current(void);

/* The monotonic clock in nanoseconds, the one of env_mono_ns. */
uint64_t reactor_mono_ns(void);
