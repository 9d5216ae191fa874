/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_metrics.h"

#define AT(member) offsetof(struct remote_metrics, member)

static const char *const drop_reasons[REMOTE_DROP_COUNT] = {
    [REMOTE_DROP_RELABELLED] = "dropped_series",
    [REMOTE_DROP_TOO_OLD] = "too_old",
    [REMOTE_DROP_UNKNOWN] = "unintentionally_dropped_series",
    [REMOTE_DROP_NHCB] = "nhcb_in_rw1_not_supported",
    [REMOTE_DROP_LOST] = "queue_lost",
};

#define PREFIX "prometheus_remote_storage_"
#define LABELS "remote_name,url"

/* The rows that exist for each kind of item. */
#define KIND_ROWS(kind, name)                                                                      \
    {PREFIX name "_total", METRIC_COUNTER, AT(sent[kind]), .labels = LABELS,                       \
     .help = "Total number of " name " sent to remote storage."},                                  \
        {PREFIX name "_failed_total", METRIC_COUNTER, AT(failed[kind]), .labels = LABELS,          \
         .help = "Total number of " name " which failed on send to remote storage, "               \
                 "non-recoverable errors."},                                                       \
        {PREFIX name "_retried_total", METRIC_COUNTER, AT(retried[kind]), .labels = LABELS,        \
         .help = "Total number of " name " which failed on send to remote storage but were "       \
                 "retried because the send error was recoverable."},                               \
        {PREFIX name "_dropped_total", METRIC_COUNTER, AT(dropped[kind]),                          \
         .labels = LABELS ",reason",                                                               \
         .help = "Total number of " name " which were read from the queue but not sent to "        \
                 "remote storage, by reason."},                                                    \
    {                                                                                              \
        PREFIX name "_pending", METRIC_GAUGE, AT(pending[kind]),                                   \
            .labels = LABELS,                                                                      \
            .help = "The number of " name " pending in the shards to be sent to remote storage."   \
    }

static const struct metric_desc remote_metric_descs[] = {
    KIND_ROWS(APPEND_FLOAT, "samples"),
    KIND_ROWS(APPEND_HISTOGRAM, "histograms"),
    KIND_ROWS(APPEND_EXEMPLAR, "exemplars"),
    KIND_ROWS(APPEND_METADATA, "metadata"),
    {PREFIX "bytes_total", METRIC_COUNTER, AT(bytes), .labels = LABELS,
     .help = "The total number of bytes of data (not metadata) sent by the queue after "
             "compression."},
    {PREFIX "enqueue_retries_total", METRIC_COUNTER, AT(enqueue_retries), .labels = LABELS,
     .help = "Total number of times enqueue has failed because a shards queue was full."},
    {PREFIX "sent_batch_duration_seconds", METRIC_HISTOGRAM, AT(batch_seconds), .labels = LABELS,
     .help = "Duration of send calls to the remote storage."},
    {PREFIX "shards", METRIC_GAUGE, AT(shards), .labels = LABELS,
     .help = "The number of shards used for parallel sending to the remote storage."},
    {PREFIX "shards_max", METRIC_GAUGE, AT(shards_max), .labels = LABELS,
     .help = "The maximum number of shards that the queue is allowed to run."},
    {PREFIX "shards_min", METRIC_GAUGE, AT(shards_min), .labels = LABELS,
     .help = "The minimum number of shards that the queue is allowed to run."},
    {PREFIX "shards_desired", METRIC_GAUGE, AT(shards_desired), .labels = LABELS,
     .help = "The number of shards that the queues shard calculation wants to run based on the "
             "rate of samples in vs. samples out."},
    {PREFIX "shard_capacity", METRIC_GAUGE, AT(shard_capacity), .labels = LABELS,
     .help = "The capacity of each shard of the queue used for parallel sending to the remote "
             "storage."},
    {PREFIX "max_samples_per_send", METRIC_GAUGE, AT(send_max), .labels = LABELS,
     .help = "The maximum number of samples to be sent, in a single request, to the remote "
             "storage."},
    {PREFIX "queue_highest_timestamp_seconds", METRIC_GAUGE, AT(highest_t_s), .labels = LABELS,
     .help = "Highest timestamp that was enqueued, seconds since epoch."},
    {PREFIX "queue_highest_sent_timestamp_seconds", METRIC_GAUGE, AT(highest_sent_t_s),
     .labels = LABELS,
     .help = "Timestamp from a sample that was sent successfully, seconds since epoch."},
};

void remote_metrics_register(struct remote_metrics *metrics, struct metric_registry *registry)
{
    metric_register(registry, remote_metric_descs, COUNT_OF(remote_metric_descs), metrics);
}

void remote_metrics_unregister(struct remote_metrics *metrics, struct metric_registry *registry)
{
    metric_unregister(registry, remote_metric_descs, COUNT_OF(remote_metric_descs), metrics);
}

void remote_counters_init(struct remote_counters *counters, const struct remote_metrics *metrics,
                          struct slice name, struct slice url)
{
    struct slice values[3] = {name, url};

    for (int kind = 0; kind < APPEND_KIND_COUNT; kind++) {
        counters->sent[kind] = metric_family_counter(metrics->sent[kind], values);
        counters->failed[kind] = metric_family_counter(metrics->failed[kind], values);
        counters->retried[kind] = metric_family_counter(metrics->retried[kind], values);
        counters->pending[kind] = metric_family_gauge(metrics->pending[kind], values);
        for (int reason = 0; reason < REMOTE_DROP_COUNT; reason++) {
            values[2] = slice_from_cstr(drop_reasons[reason]);
            counters->dropped[kind][reason] = metric_family_counter(metrics->dropped[kind], values);
        }
    }
    counters->bytes = metric_family_counter(metrics->bytes, values);
    counters->enqueue_retries = metric_family_counter(metrics->enqueue_retries, values);
    counters->batch_seconds = metric_family_histogram(metrics->batch_seconds, values);
    counters->shards = metric_family_gauge(metrics->shards, values);
    counters->shards_max = metric_family_gauge(metrics->shards_max, values);
    counters->shards_min = metric_family_gauge(metrics->shards_min, values);
    counters->shards_desired = metric_family_gauge(metrics->shards_desired, values);
    counters->shard_capacity = metric_family_gauge(metrics->shard_capacity, values);
    counters->send_max = metric_family_gauge(metrics->send_max, values);
    counters->highest_t_s = metric_family_gauge(metrics->highest_t_s, values);
    counters->highest_sent_t_s = metric_family_gauge(metrics->highest_sent_t_s, values);
}

void remote_counters_fini(const struct remote_metrics *metrics, struct slice name, struct slice url)
{
    struct metric_family *const families[] = {
        metrics->bytes,          metrics->enqueue_retries,  metrics->batch_seconds,
        metrics->shards,         metrics->shards_max,       metrics->shards_min,
        metrics->shards_desired, metrics->shard_capacity,   metrics->send_max,
        metrics->highest_t_s,    metrics->highest_sent_t_s,
    };
    struct slice values[3] = {name, url};

    for (int kind = 0; kind < APPEND_KIND_COUNT; kind++) {
        metric_family_remove(metrics->sent[kind], values);
        metric_family_remove(metrics->failed[kind], values);
        metric_family_remove(metrics->retried[kind], values);
        metric_family_remove(metrics->pending[kind], values);
        for (int reason = 0; reason < REMOTE_DROP_COUNT; reason++) {
            values[2] = slice_from_cstr(drop_reasons[reason]);
            metric_family_remove(metrics->dropped[kind], values);
        }
    }
    for (size_t i = 0; i < COUNT_OF(families); i++)
        metric_family_remove(families[i], values);
}
