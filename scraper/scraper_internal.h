/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What scraper.c and scraper_api.c share. */

#include <pthread.h>

#include "discovery/discovery.h"
#include "scraper/loop_set.h"
#include "scraper/scrape_job.h"
#include "scraper/scrape_metrics.h"
#include "scraper/scrape_pool.h"
#include "scraper/scraper.h"

enum { SCRAPER_HOSTNAME_SIZE = 256 };

struct scraper {
    struct scraper_options options;
    struct scrape_shared shared;
    struct scrape_metrics metrics;
    struct log_limiter refusals;
    struct discovery_metrics discovery_metrics;
    struct loop_set loops;
    char hostname[SCRAPER_HOSTNAME_SIZE];
    pthread_mutex_t reload_lock; /* held over a reload or stop; taken before all others */
    /* Guards the pools against readers; taken before a pool's. */
    pthread_mutex_t lock;
    struct scrape_pool **pools; /* owned; sorted by name */
    uint32_t pool_count;
    bool is_stopped;
};
