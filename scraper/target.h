/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One endpoint to scrape, as discovery and relabelling made it.
 *
 *   discovered labels = target's own > its group's > defaults of the job (__scrape_interval__ ...)
 *     -> relabel_configs -> checks -> labels (without __meta_*) -> public labels (without __*)
 *
 * Ownership: immutable and counted, made with one reference; borrows nothing. Threads: any. */

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "config/prometheus_config.h"
#include "model/labels.h"

struct target {
    struct label_set discovered; /* before relabelling */
    bool is_dropped;             /* by relabelling: only `discovered` is set */
    struct label_set labels;     /* after it, without __meta_* */
    struct label_set public_labels;
    struct slice url;         /* terminated */
    struct slice unix_socket; /* terminated; empty: none */
    struct slice interval_text, timeout_text;
    int64_t interval_ms, timeout_ms;
    uint64_t identity; /* hash of labels and url: equal ones are one target */
    uint64_t key;      /* hash of public labels and url: whose series these are */
};

struct target_source {
    const struct scrape_config *scrape;
    struct label_set own, group;
};

/* ERR_BAD_INPUT: no target can be made of it; the message says why as upstream does. A dropped one
 * is no error. */
enum err target_new(const struct target_source *source, struct target **target,
                    struct err_info *info) MUST_USE;
struct target *target_ref(struct target *target);
/* NULL is fine. */
void target_unref(struct target *target);

/* Where in each interval its ticks lie, in milliseconds from multiples of the interval since 1970:
 * stable over restarts, spread over targets, different for each seed. */
int64_t target_offset_ms(const struct target *target, uint64_t seed);
/* The seed of a server: its host's name and external labels. */
uint64_t target_offset_seed(struct slice hostname, struct label_set external_labels);
