/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Transactions on their way through the head, and how their records are applied. Only head_*.c
 * includes it.
 *
 *   begin -> add ... -> commit -> log -> apply -> answer
 */

#include "storage/head_internal.h"

struct head_txn {
    struct append_txn txn; /* first */
    struct head *head;
    struct head_txn *next;
    struct head_tenant *tenant;
    struct head_guard guard;
    struct wal_record record;
    struct head_record_writer writer;
    struct buf payload;
    struct buf body; /* of the wide entry at hand */
    struct budget *budget;
    size_t taken_bytes; /* of the budget */
    int64_t t_limit_ms; /* samples after it are too new */
    uint64_t deadline_ns;
    uint32_t sample_count;
    enum err err; /* why commit must fail */
    bool tells_left_out;
    struct append_left_out *left_out; /* owned; kept for reuse */
    uint32_t left_out_cap;
    append_done_fn *done;
    void *owner;
    struct append_result result;
};

/* Where a refused sample stands. */
struct head_txn_place {
    int64_t t_ms;
    struct label_set labels;
};

extern const struct appender_ops head_txn_ops;
extern const struct source_ops head_source_ops;

/* Answers a transaction and gives it back. */
void head_txn_finish(struct head_txn *txn, enum err err);
/* Frees those that are unused, and those that were never answered. */
void head_txn_free_all(struct head *head);
/* The wal's on_group. */
void head_apply_group(void *owner, struct wal_record *first, enum err err);
void head_apply_init(struct head *head);
/* Waits until all groups that are durable now are applied. One caller at a time. */
enum err head_apply_barrier(struct head *head) MUST_USE;
/* Waits until the job has ended; nothing is queued any more. */
enum err head_apply_wait_idle(struct head *head) MUST_USE;
/* Writes the text of a refused sample: reason, time and the labels of its series. */
void head_txn_explain(struct append_result *result, enum append_verdict verdict, int64_t t_ms,
                      struct label_set labels);
/* The same with the reason's own text. */
void head_txn_explain_as(struct append_result *result, enum append_verdict verdict,
                         const char *reason, struct head_txn_place place);

struct head_apply {
    struct head *head;
    struct append_result *result; /* NULL in replay */
    struct head_txn *left_out_of; /* whose left-out items are noted; NULL: nobody's */
    uint32_t item;                /* number of the next entry in its record */
    struct head_tenant *tenant;
    uint64_t seq;          /* of the record */
    uint64_t mark_seq;     /* of the group */
    int64_t bound_ms;      /* older samples are out of bounds */
    int64_t late_bound_ms; /* older ones are not taken out of order; INT64_MAX: none is */
    int64_t window_min_ms, window_end_ms;
    struct head_slab *slab; /* locked; NULL: none */
    uint32_t slab_number;
    uint64_t slab_seq; /* in replay: samples up to it are in the slab already */
    uint64_t appended, chunks;
    uint64_t histograms_appended, exemplars_appended, late_exemplars;
    int64_t t_min_ms, t_max_ms; /* of what was appended */
    uint64_t late_appended;
    uint64_t late_settled;                 /* lost against another one of its time */
    int64_t late_min_ms;                   /* of what was appended out of order */
    uint32_t counts[APPEND_VERDICT_COUNT]; /* of this record */
    uint32_t stored[APPEND_KIND_COUNT];    /* of this record, but for floats */
    struct head_entry first[APPEND_VERDICT_COUNT];
    bool replay;
};
/* Judges and appends the samples of one record. ERR_CORRUPT: the payload makes no sense. */
enum err head_apply_record(struct head_apply *apply, struct slice payload) MUST_USE;
/* Locks the slab of a series, once per run of neighbours. False: there is no such series. */
bool head_apply_enter(struct head_apply *apply, struct head_ref ref);
/* Sets the window of a time. */
void head_apply_enter_window(struct head_apply *apply, int64_t t_ms);
/* In replay: a block has what the record at hand has at that time. */
bool head_apply_is_flushed(const struct head_apply *apply, int64_t t_ms);
/* An entry that is more than a time and a float. */
enum append_verdict head_apply_wide(struct head_apply *apply, const struct head_wide_entry *entry);
/* A float of a series whose newest sample is in a wide chunk or a histogram, or one with a start
 * time. */
enum append_verdict head_apply_float(struct head_apply *apply, const struct head_entry *entry,
                                     int64_t start_t_ms);
/* A float that goes apart from those in order, into slot i of the slab at hand. */
enum append_verdict head_apply_late(struct head_apply *apply, uint32_t i,
                                    const struct head_entry *entry);
/* Adds what was counted to the head. */
void head_apply_publish(struct head_apply *apply);
/* The labels of the series in a slot, in the arena. */
enum err head_series_labels(struct head *head, uint32_t slot, struct arena *arena,
                            struct label_set *labels) MUST_USE;
