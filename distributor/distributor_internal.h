/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of this folder share. */

#include "distributor/alias_table.h"
#include "distributor/distributor.h"
#include "distributor/receiver.h"

struct distributor_metrics {
    struct metric_counter samples_in; /* that were added, refused ones included */
    struct metric_family *refused;    /* by reason */
    struct metric_counter *refused_by[APPEND_VERDICT_COUNT];
    struct metric_family *stored; /* by kind */
    struct metric_counter *stored_by[APPEND_KIND_COUNT];
    struct metric_counter requests_failed; /* transactions of which nothing was stored */
};

struct distributor {
    struct appender appender;
    struct distributor_options options;
    struct limits limits;
    struct budget budget;    /* of writes under way */
    _Atomic int name_scheme; /* enum label_scheme */
    _Atomic int64_t out_of_order_ms;
    struct log log;
    struct log_limiter refusal_limiter;
    struct distributor_metrics metrics;
    struct receiver *receiver; /* owned */
};

/* Counts `count` items (0: only the text is wanted) that were never added, under this verdict.
 * Labels (may be NULL) and detail make the text of the first. */
void distributor_txn_refuse(struct append_txn *txn, enum append_verdict verdict, uint32_t count,
                            const struct label_set *labels, const char *detail);
/* Whether the first text of this verdict is still wanted. */
bool distributor_txn_wants_text(const struct append_txn *txn, enum append_verdict verdict);
/* Sets it. */
void distributor_txn_note(struct append_txn *txn, enum append_verdict verdict,
                          struct label_set labels, const struct append_item *item);

static inline enum label_scheme distributor_name_scheme(const struct distributor *distributor)
{
    return (enum label_scheme)atomic_load_explicit(&distributor->name_scheme, memory_order_relaxed);
}
