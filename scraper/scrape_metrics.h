/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the scraper counts, under upstream's names where dashboards read them. Threads: any. */

#include "base/metric.h"
#include "model/appender.h"

struct scrape_metrics {
    struct metric_counter pools, pools_failed, pool_syncs, reloads_failed;
    struct metric_counter exceeded_target_limit, exceeded_label_limits, exceeded_sample_limit,
        exceeded_body_size;
    struct metric_counter duplicates, out_of_order, out_of_bounds, cache_flushes, sync_failures;
    struct metric_counter missed, commit_failures;
    struct metric_histogram scrape_seconds, sync_seconds;
    struct metric_family *interval_seconds; /* by interval */
    struct metric_family *pool_targets;     /* by scrape_job */
    struct metric_family *discovered;       /* by config */
    struct metric_family *refused;          /* by reason */
    struct metric_counter *refused_by[APPEND_VERDICT_COUNT];
};

void scrape_metrics_init(struct scrape_metrics *metrics, struct metric_registry *registry);
void scrape_metrics_fini(struct scrape_metrics *metrics, struct metric_registry *registry);

/* Counts what a transaction refused. */
void scrape_metrics_count(struct scrape_metrics *metrics, const struct append_result *result);
