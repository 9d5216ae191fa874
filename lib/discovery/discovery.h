/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Service discovery: one object per element of a *_sd_configs list (all static_configs of a job are
 * one). It tells its owner which groups of targets there are, first soon after start and then
 * whenever that changes. On an error the groups known before stay.
 *
 *   new -> start -> update ... -> stop -> free
 *
 * Kinds: static (here), file (file_discovery.h); each further one is a row in discovery.c and a
 * file of its own.
 * Ownership: borrows the options' pointers until stop has returned.
 * Threads: new, start, stop, free on the owner's thread, no reactor; update comes on a pool worker
 * or from within start, never two at a time. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "config/prometheus_config.h"
#include "discovery/target_group.h"

struct discovery;

/* All groups there are now. They are borrowed for the call: take references. */
typedef void discovery_update_fn(void *owner, struct target_group *const *groups, uint32_t count);

/* Counters that all discoveries of a process share. */
struct discovery_metrics {
    struct metric_counter received_updates, read_errors;
    struct metric_histogram file_scan_seconds;
    struct metric_gauge failed_configs;
};
extern const struct metric_desc discovery_metric_descs[];
extern const size_t discovery_metric_count;

struct discovery_options {
    struct env *env;
    const struct log *log; /* may be NULL */
    const struct discovery_config *config;
    struct discovery_metrics *metrics;
    discovery_update_fn *update;
    void *owner;
};

/* ERR_UNSUPPORTED: this version does not serve the kind; the message names it. */
enum err discovery_new(const struct discovery_options *options, struct discovery **discovery,
                       struct err_info *info) MUST_USE;
void discovery_start(struct discovery *discovery);
/* Returns once no update is under way and none will come. Not from an update. */
void discovery_stop(struct discovery *discovery);
/* After stop, or without a start. Takes discovery; NULL is fine. */
void discovery_free(struct discovery *discovery);
