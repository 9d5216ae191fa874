/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All loops of a scraper that are not done yet, those of targets that are gone included, so that
 * stopping can wait for the last of them.
 * Threads: any. Its lock is taken after all others and nothing is called under it. */

#include <pthread.h>
#include <stdbool.h>

#include "base/env.h"
#include "base/map.h"
#include "scraper/scrape_loop.h"

struct loop_set {
    struct env *env;      /* borrowed */
    pthread_mutex_t lock; /* guards the rest */
    struct map loops;     /* one reference each */
    bool is_stopping;
    struct env_op empty; /* complete when is_stopping and there is none left */
};

void loop_set_init(struct loop_set *set, struct env *env);
/* When it is empty. */
void loop_set_fini(struct loop_set *set);

/* Takes a reference. Before the loop starts. */
void loop_set_add(struct loop_set *set, struct scrape_loop *loop);
/* A scrape_loop_done_fn: owner is the set. */
void loop_set_on_done(void *owner, struct scrape_loop *loop);
/* Stops all loops now and waits for them. No loop is added any more. */
void loop_set_stop(struct loop_set *set);
