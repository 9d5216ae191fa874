/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The configuration file of Prometheus 3.14, read as it is, and Narthex's own settings under its
 * `narthex:` key. The whole schema is known (prometheus_schema.c and its neighbours): an unknown or
 * repeated key, or a value upstream would refuse, is an error with file and line. What no role
 * serves yet is accepted, kept for printing, and listed by prometheus_config_unserved().
 *
 * Ownership: a configuration is immutable and shared: load gives one reference, holders take their
 * own with ref. All that it points to lives as long; slices are terminated.
 * Threads: any. A reload makes a new object with the next generation; the old one stays valid for
 * who holds it. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"
#include "config/http_config.h"
#include "model/labels.h"

struct log;
struct relabel_config;
struct schema_value;
struct yaml_node;

enum { PROMETHEUS_CONFIG_SIZE_MAX = 64 << 20 }; /* bytes of one file */

/* Formats a scrape may ask for, in upstream's names. */
enum scrape_protocol {
    SCRAPE_PROTOCOL_NONE,
    SCRAPE_PROTOCOL_PROTO,             /* PrometheusProto */
    SCRAPE_PROTOCOL_OPENMETRICS_1_0_0, /* OpenMetricsText1.0.0 */
    SCRAPE_PROTOCOL_OPENMETRICS_0_0_1,
    SCRAPE_PROTOCOL_TEXT_1_0_0,
    SCRAPE_PROTOCOL_TEXT_0_0_4,
    SCRAPE_PROTOCOL_COUNT
};

enum name_escaping { ESCAPE_ALLOW_UTF8, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES };

/* One group of targets as a file or static_configs gives it. */
struct static_group {
    const struct slice *targets; /* become __address__ */
    uint32_t target_count;
    struct label_set labels;
};

enum discovery_kind { DISCOVERY_STATIC, DISCOVERY_FILE, DISCOVERY_OTHER };

/* One element of a *_sd_configs list; all static_configs of a job together are one. */
struct discovery_config {
    enum discovery_kind kind;
    struct slice name; /* "static", "file", "kubernetes" ... */
    union {
        struct {
            const struct static_group *groups;
            uint32_t count;
        } fixed;
        struct {
            const struct slice *patterns; /* absolute, or relative to the working directory */
            uint32_t count;
            int64_t refresh_interval_ms;
        } file;
    };
    const struct schema_value *value; /* the whole section, for kinds without a struct here */
};

struct scrape_param {
    struct slice name;
    const struct slice *values;
    uint32_t value_count;
};

/* 0: no limit, in each. */
struct scrape_limits {
    uint64_t body_size_bytes, samples, targets, labels, label_name_length, label_value_length;
    uint64_t keep_dropped_targets, native_histogram_buckets;
};

struct scrape_config {
    struct slice job_name;
    int64_t interval_ms, timeout_ms;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression;
    bool scrape_native_histograms, convert_classic_histograms, always_scrape_classic_histograms;
    bool extra_scrape_metrics;
    enum scrape_protocol protocols[SCRAPE_PROTOCOL_COUNT]; /* most wanted first */
    uint32_t protocol_count;
    enum scrape_protocol fallback_protocol;
    struct slice metrics_path, scheme, failure_log_file;
    const struct scrape_param *params;
    uint32_t param_count;
    struct scrape_limits limits;
    double native_histogram_min_bucket_factor;
    enum label_scheme name_scheme;
    enum name_escaping name_escaping;
    struct http_config http;
    const struct discovery_config *discovery;
    uint32_t discovery_count;
    const struct relabel_config *relabel, *metric_relabel; /* model/relabel.h */
    uint32_t relabel_count, metric_relabel_count;
    /* The section printed with defaults and secrets: equal bytes mean that nothing changed. */
    struct slice fingerprint;
    const struct schema_value *value; /* for printing */
};

struct remote_queue_config {
    int64_t capacity; /* samples per shard */
    int64_t max_shards, min_shards, max_samples_per_send;
    int64_t batch_send_deadline_ms, min_backoff_ms, max_backoff_ms;
    int64_t sample_age_limit_ms; /* 0: none */
    bool retry_on_http_429;
};

struct remote_write_config {
    struct slice url, name; /* name: empty unless given */
    int64_t timeout_ms;
    struct label_set headers;
    const struct relabel_config *relabel; /* model/relabel.h; after the external labels */
    uint32_t relabel_count;
    bool send_exemplars, send_native_histograms, send_metadata;
    bool is_v2; /* io.prometheus.write.v2.Request, else prometheus.WriteRequest */
    struct remote_queue_config queue;
    struct http_config http;
    struct slice fingerprint; /* as of a scrape_config */
    const struct schema_value *value;
};

struct global_config {
    int64_t scrape_interval_ms, scrape_timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
    struct slice query_log_file, scrape_failure_log_file;
    struct label_set external_labels;
    enum label_scheme name_scheme;
};

struct prometheus_config {
    struct slice path; /* of the file; empty when parsed from text */
    uint64_t generation;
    struct global_config global;
    const struct scrape_config *scrapes; /* with those of scrape_config_files */
    uint32_t scrape_count;
    const struct remote_write_config *remote_writes;
    uint32_t remote_write_count;
    const struct slice *rule_files; /* patterns, joined with the file's directory */
    uint32_t rule_file_count;
    int64_t out_of_order_window_ms;
    int64_t exemplar_max;            /* 0 or less: none are kept */
    int64_t retention_ms;            /* 0: not given */
    uint64_t retention_size_bytes;   /* 0: not given */
    const struct yaml_node *narthex; /* the mapping under `narthex:`, or NULL */
};

struct prometheus_config_options {
    struct env *env;  /* its clock and files */
    struct log *log;  /* may be NULL */
    const char *path; /* of the file; for a text: the directory's file that it stands for */
    bool agent;       /* refuse what agent mode refuses */
};

/* Reads and checks the file and those it names. The message begins with file and line. */
enum err prometheus_config_load(const struct prometheus_config_options *options,
                                struct prometheus_config **config, struct err_info *info) MUST_USE;
/* The same from a text; options->path may be NULL. */
enum err prometheus_config_parse(const struct prometheus_config_options *options, struct slice text,
                                 struct prometheus_config **config, struct err_info *info) MUST_USE;
struct prometheus_config *prometheus_config_ref(struct prometheus_config *config);
void prometheus_config_unref(struct prometheus_config *config);

/* One key that is used in the file but served by no role of this version. */
typedef void prometheus_config_unserved_fn(void *owner, struct slice file, uint32_t line,
                                           struct slice key_path);
/* Calls fn for each, in order of their places; returns how many. */
uint32_t prometheus_config_unserved(const struct prometheus_config *config,
                                    prometheus_config_unserved_fn *fn, void *owner);

/* The configuration as YAML with defaults filled in and secrets as <secret>: /api/v1/status/config.
 */
void prometheus_config_print(const struct prometheus_config *config, struct buf *out);
/* One scrape section the same way: /api/v1/scrape_pools/config. */
void prometheus_config_print_scrape(const struct scrape_config *scrape, struct buf *out);
