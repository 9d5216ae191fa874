/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_metrics.h"

static const struct metric_desc descs[] = {
    {"prometheus_target_scrape_pools_total", METRIC_COUNTER, offsetof(struct scrape_metrics, pools),
     .help = "Scrape pools made."},
    {"prometheus_target_scrape_pools_failed_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, pools_failed), .help = "Scrape pools that could not be made."},
    {"prometheus_target_scrape_pool_reloads_failed_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, reloads_failed), .help = "Scrape pools that did not reload."},
    {"prometheus_target_scrape_pool_sync_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, pool_syncs),
     .help = "Times a scrape pool took over what discovery found."},
    {"prometheus_target_scrape_pool_exceeded_target_limit_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, exceeded_target_limit),
     .help = "Times a scrape pool had more targets than its limit."},
    {"prometheus_target_scrape_pool_exceeded_label_limits_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, exceeded_label_limits),
     .help = "Scrapes that failed at a limit on labels."},
    {"prometheus_target_scrapes_exceeded_sample_limit_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, exceeded_sample_limit),
     .help = "Scrapes that failed at the limit on samples."},
    {"prometheus_target_scrapes_exceeded_body_size_limit_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, exceeded_body_size),
     .help = "Scrapes that failed at the limit on the body's size."},
    {"prometheus_target_scrapes_sample_duplicate_timestamp_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, duplicates),
     .help = "Samples refused: the time has another value."},
    {"prometheus_target_scrapes_sample_out_of_order_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, out_of_order), .help = "Samples refused: out of order."},
    {"prometheus_target_scrapes_sample_out_of_bounds_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, out_of_bounds),
     .help = "Samples refused: too old, or too far in the future."},
    {"prometheus_target_scrapes_cache_flush_forced_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, cache_flushes),
     .help = "Times a scrape cache was cut down because scrapes failed."},
    {"prometheus_target_sync_failed_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, sync_failures),
     .help = "Discovered targets that no target could be made of."},
    {"prometheus_target_sync_length_seconds_histogram", METRIC_HISTOGRAM,
     offsetof(struct scrape_metrics, sync_seconds),
     .help = "Time of taking over what discovery found."},
    {"prometheus_target_interval_length_seconds_histogram", METRIC_HISTOGRAM,
     offsetof(struct scrape_metrics, interval_seconds), .labels = "interval",
     .help = "Time between the starts of two scrapes of a target."},
    {"prometheus_target_scrape_pool_targets", METRIC_GAUGE,
     offsetof(struct scrape_metrics, pool_targets), .labels = "scrape_job",
     .help = "Targets of a scrape pool."},
    {"prometheus_sd_discovered_targets", METRIC_GAUGE, offsetof(struct scrape_metrics, discovered),
     .labels = "config", .fixed = "name=\"scrape\"", .help = "Targets that discovery found."},
    {"narthex_scraper_scrape_seconds", METRIC_HISTOGRAM,
     offsetof(struct scrape_metrics, scrape_seconds), .help = "Time of one scrape."},
    {"narthex_scraper_refused_total", METRIC_COUNTER, offsetof(struct scrape_metrics, refused),
     .labels = "reason", .help = "Scraped samples, histograms and exemplars that were not stored."},
    {"narthex_scraper_missed_total", METRIC_COUNTER, offsetof(struct scrape_metrics, missed),
     .help = "Ticks at which no scrape could begin or be stored."},
    {"narthex_scraper_commit_failures_total", METRIC_COUNTER,
     offsetof(struct scrape_metrics, commit_failures),
     .help = "Scrapes that storage did not take."},
};

void scrape_metrics_init(struct scrape_metrics *metrics, struct metric_registry *registry)
{
    metric_register(registry, descs, COUNT_OF(descs), metrics);
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        const struct slice reason = slice_from_cstr(append_verdict_label((enum append_verdict)i));

        if (!append_verdict_stored((enum append_verdict)i))
            metrics->refused_by[i] = metric_family_counter(metrics->refused, &reason);
    }
}

void scrape_metrics_fini(struct scrape_metrics *metrics, struct metric_registry *registry)
{
    metric_unregister(registry, descs, COUNT_OF(descs), metrics);
}

void scrape_metrics_count(struct scrape_metrics *metrics, const struct append_result *result)
{
    metric_add(&metrics->out_of_order, result->counts[APPEND_OUT_OF_ORDER]);
    metric_add(&metrics->duplicates, result->counts[APPEND_DUPLICATE]);
    metric_add(&metrics->out_of_bounds, (uint64_t)result->counts[APPEND_TOO_OLD] +
                                            result->counts[APPEND_OUT_OF_WINDOW] +
                                            result->counts[APPEND_TOO_NEW]);
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        if (metrics->refused_by[i] != NULL && i != APPEND_UNKNOWN_REF)
            metric_add(metrics->refused_by[i], result->counts[i]);
}
