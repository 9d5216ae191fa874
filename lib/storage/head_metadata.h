/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Type, help and unit of metrics, per tenant: what was said last, and up to a few that other
 * senders say. Only head_*.c includes it.
 *
 * It is no sample: it has no time, moves no bound, and is seen as soon as it is durable.
 * Threads: any; one lock inside. */

#include <stdint.h>

#include "base/err.h"
#include "model/sample.h"

struct head_metadata;

enum {
    HEAD_METADATA_SAID_MAX = 4,           /* different ones of a metric; the oldest goes */
    HEAD_METADATA_METRICS_MAX = 100000,   /* per tenant */
    HEAD_METADATA_METRIC_SIZE_MAX = 4096, /* bytes */
    HEAD_METADATA_TEXT_SIZE_MAX = 65536,  /* bytes of help, of unit */
};

struct head_metadata *head_metadata_new(void);
void head_metadata_free(struct head_metadata *metadata);

enum head_metadata_end { HEAD_METADATA_ADDED, HEAD_METADATA_SAME, HEAD_METADATA_FULL };
/* Copies. FULL: the tenant has too many metrics. */
enum head_metadata_end head_metadata_add(struct head_metadata *metadata, uint32_t tenant,
                                         const struct metadata *said);
/* Whether it is known, or how adding it would end. */
enum head_metadata_end head_metadata_look(struct head_metadata *metadata, uint32_t tenant,
                                          const struct metadata *said);

/* Gives those of a tenant, or of one of its metrics (empty: all); of a metric the oldest first, in
 * no order of metrics. Borrowed for the call, which is under the lock. An error from fn ends the
 * walk and is returned. */
typedef enum err head_metadata_fn(void *owner, const struct metadata *said);
enum err head_metadata_each(struct head_metadata *metadata, uint32_t tenant, struct slice metric,
                            head_metadata_fn *fn, void *owner);
uint64_t head_metadata_memory(struct head_metadata *metadata);
