/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one tenant may do. 0 means no limit everywhere. A plain value: roles read a copy of it, any
 * number of threads at once.
 *
 * Every tenant has the same so far, from settings. "Enforced" says who does; a field without it is
 * kept for the overrides of each tenant and checked by nobody yet. Series in memory and
 * memory of queries are limited by settings of storage and querier. */

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

struct limits {
    /* writes */
    uint32_t label_count_max;            /* per series, the name included; enforced: distributor */
    uint32_t label_name_size_max;        /* bytes; enforced: distributor */
    uint32_t label_value_size_max;       /* bytes; enforced: distributor */
    uint32_t histogram_bucket_count_max; /* enforced: receiver */
    uint64_t series_count_max;           /* in memory */
    uint64_t metric_series_count_max;    /* in memory, per metric name */
    uint32_t request_size_max;           /* bytes, decompressed; enforced: receiver */
    uint32_t request_series_count_max;   /* enforced: receiver */
    double sample_rate_max;              /* per second */
    double sample_burst_max;
    int64_t future_ms_max; /* how far ahead of the clock a sample may be; enforced: distributor */
    /* how far behind the newest; 0: none is taken; enforced: storage, by the configuration file's
     * out_of_order_time_window */
    int64_t out_of_order_ms_max;
    /* reads */
    uint64_t query_sample_count_max; /* held at a time */
    uint64_t query_series_count_max;
    uint64_t query_size_max; /* bytes of memory */
    int64_t query_range_ms_max;
    uint32_t query_concurrency_max;
    /* life */
    int64_t retention_ms;
};

/* The defaults of a single node: what keeps one mistake from filling the memory. Where there is a
 * setting too, the same as its default. */
struct limits limits_default(void);

/* Counts and lengths of a series' labels. ERR_LIMIT names the label, its size and the limit. */
enum err limits_check_labels(const struct limits *limits, struct label_set set,
                             struct err_info *info) MUST_USE;
