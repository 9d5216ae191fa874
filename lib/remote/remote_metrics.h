/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is counted of each receiver, in upstream's names, with its name and URL as labels. */

#include "base/metric.h"
#include "model/appender.h"

enum remote_drop {
    REMOTE_DROP_RELABELLED, /* dropped_series */
    REMOTE_DROP_TOO_OLD,    /* sample_age_limit */
    REMOTE_DROP_UNKNOWN,    /* unintentionally_dropped_series: the definition was not readable */
    REMOTE_DROP_NHCB,       /* custom buckets in remote write 1.0 */
    REMOTE_DROP_LOST,       /* the queue was over its bounds, or corrupt */
    REMOTE_DROP_COUNT
};

/* The families; one set per process. */
struct remote_metrics {
    struct metric_family *sent[APPEND_KIND_COUNT], *failed[APPEND_KIND_COUNT];
    struct metric_family *retried[APPEND_KIND_COUNT], *dropped[APPEND_KIND_COUNT];
    struct metric_family *pending[APPEND_KIND_COUNT];
    struct metric_family *bytes, *batch_seconds, *enqueue_retries;
    struct metric_family *shards, *shards_max, *shards_min, *shards_desired, *shard_capacity;
    struct metric_family *send_max, *highest_t_s, *highest_sent_t_s;
};

/* One receiver's. Found once, so that counting takes no lock. */
struct remote_counters {
    struct metric_counter *sent[APPEND_KIND_COUNT], *failed[APPEND_KIND_COUNT];
    struct metric_counter *retried[APPEND_KIND_COUNT];
    struct metric_counter *dropped[APPEND_KIND_COUNT][REMOTE_DROP_COUNT];
    struct metric_gauge *pending[APPEND_KIND_COUNT];
    struct metric_counter *bytes, *enqueue_retries;
    struct metric_histogram *batch_seconds;
    struct metric_gauge *shards, *shards_max, *shards_min, *shards_desired, *shard_capacity;
    struct metric_gauge *send_max, *highest_t_s, *highest_sent_t_s;
};

void remote_metrics_register(struct remote_metrics *metrics, struct metric_registry *registry);
void remote_metrics_unregister(struct remote_metrics *metrics, struct metric_registry *registry);
void remote_counters_init(struct remote_counters *counters, const struct remote_metrics *metrics,
                          struct slice name, struct slice url);
/* Nobody counts any more. */
void remote_counters_fini(const struct remote_metrics *metrics, struct slice name,
                          struct slice url);
