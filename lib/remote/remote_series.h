/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The series that pass the tee: a number for the queue, the labels to define it with, and the
 * reference of the storage behind. Whoever adds samples names a series by our own reference.
 *
 * Ownership: the table owns its series; a pointer is good until a sweep takes the series, which
 * happens only after it has rested longer than any transaction lasts.
 * Threads: any. Looking up by reference takes no lock. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "model/labels.h"
#include "remote/remote_log.h"

struct remote_series_table;

struct remote_series {
    struct remote_log_series log;
    _Atomic uint32_t generation; /* 0: free */
    _Atomic uint32_t used_s;     /* of the monotonic clock, when it was last named */
    _Atomic uint64_t inner_ref;  /* of the storage behind; 0: none */
    struct hash128 hash;
    /* The newest sample, where no storage judges the order. Guarded by the log's transaction. */
    int64_t t_ms;
    uint64_t v_bits;
    bool has_sample;
    uint32_t next_free; /* slot + 1; 0: none */
};

struct remote_series_table *remote_series_table_new(void);
/* Takes table; NULL is fine. */
void remote_series_table_free(struct remote_series_table *table);

/* Finds or makes it. NULL: there are too many, or its labels are too large. */
struct remote_series *remote_series_resolve(struct remote_series_table *table, struct hash128 hash,
                                            struct label_set labels, uint32_t now_s);
/* NULL: not one of ours, or gone. */
struct remote_series *remote_series_get(const struct remote_series_table *table, uint64_t ref);
uint64_t remote_series_ref(const struct remote_series *series);
/* Frees what was not named since, among the next few thousand series. */
void remote_series_sweep(struct remote_series_table *table, uint32_t before_s);
uint64_t remote_series_count(const struct remote_series_table *table);
