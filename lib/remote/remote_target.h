/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Series as one receiver gets them: external labels added, write_relabel_configs applied, once per
 * series and not per sample.
 *
 * Ownership: the map holds a reference of each target, whoever keeps one takes another.
 * Threads: the map belongs to one job at a time; targets are read-only but for their count. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/slice.h"
#include "model/labels.h"

struct relabel_config;

struct remote_target {
    _Atomic uint32_t refs;
    uint32_t partition;
    struct hash128 source; /* of the labels' bytes in the queue */
    uint64_t segment;      /* where it was defined last; the map's own */
    bool is_dropped;       /* relabelling drops it: no labels */
    struct label_set labels;
};

struct remote_targets {
    struct label_set external;            /* borrowed */
    const struct relabel_config *relabel; /* borrowed */
    uint32_t relabel_count;
    struct hash_key key; /* all-zero seed: partitions must be the same in every process */
    struct map by_id;
};

void remote_targets_init(struct remote_targets *targets);
void remote_targets_fini(struct remote_targets *targets);
/* A definition of the queue. ERR_CORRUPT: its bytes are no label set. */
enum err remote_targets_define(struct remote_targets *targets, uint32_t id, struct slice labels,
                               uint64_t segment) MUST_USE;
/* NULL: not defined in this segment. */
struct remote_target *remote_targets_find(const struct remote_targets *targets, uint32_t id,
                                          uint64_t segment);

static inline struct remote_target *remote_target_ref(struct remote_target *target)
{
    atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
    return target;
}

/* NULL is fine. */
void remote_target_unref(struct remote_target *target);
