/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The real pools, waiting and timers of an env (base/env.h): a worker pool per class, timers on the
 * reactors. Clock, randomness and files come from base/env_real.h. */

#include <stddef.h>

#include "base/env.h"
#include "base/err.h"
#include "net/pool.h"
#include "net/reactor.h"

struct metric_registry;

struct env_net_pool {
    size_t thread_count;  /* 0: a default from the number of cores */
    size_t queue_len_max; /* 0: the default of the class */
};

struct env_net_options {
    struct reactor_set *reactors; /* borrowed: outlives the env's timers; NULL: no timers */
    struct env_net_pool pools[ENV_POOL_COUNT];
};

/* Fills env->pool and env->timer. */
enum err env_net_open(struct env *env, const struct env_net_options *options,
                      struct err_info *info) MUST_USE;

/* Stops the pools: running jobs end, queued ones get ERR_CLOSED, later ones are refused. Waits.
 * Timers go on. From a thread that is no worker. */
void env_net_stop(struct env *env);

/* After env_net_stop and after the reactors closed (no timer fires then). */
void env_net_close(struct env *env);

/* "ingest", "query", "disk", "background". */
const char *env_net_pool_name(enum env_pool pool);
void env_net_pool_stats(struct env *env, enum env_pool pool, struct pool_stats *stats);

/* narthex_pool_queue_length{pool} and what else the statistics hold; env is borrowed until the
 * unregister. registry may be NULL. */
void env_net_register(struct env *env, struct metric_registry *registry);
void env_net_unregister(struct env *env, struct metric_registry *registry);
