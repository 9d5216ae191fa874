/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the program sim_storage share: the model of what was sent, against which every
 * read is checked, and the run of one seed.
 *
 * A sample's value names its transaction and its place in it, so a read sample says all that is to
 * be known about itself. Of two samples of one series and time the greater value wins: a sample may
 * be missing if a greater one is there. */

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "model/appender.h"
#include "model/source.h"

enum {
    SIM_SENDERS = 4,
    SIM_TENANTS = 2,
    SIM_TXN_SAMPLES_MAX = 60,
    SIM_TXN_PLACES = 64, /* places a transaction's values number */
    SIM_TXN_MAX = 1 << 14,
    SIM_WINDOW_MS = 600000, /* in which samples may come out of order */
    SIM_LATE_MS_MAX = 300000,
};

enum sim_txn_state {
    SIM_TXN_PENDING, /* sent, no answer yet */
    SIM_TXN_UNKNOWN, /* sent, and a crash came before the answer: whole or not at all */
    SIM_TXN_ACKED,   /* must be there */
    SIM_TXN_REFUSED, /* must not be there */
};

enum sim_fate {
    SIM_LIVE,
    SIM_MAYBE,   /* a deletion that failed, was cut off or is under way means it: there or not */
    SIM_DELETED, /* a deletion that was acknowledged */
};

struct sim_sample {
    uint32_t series; /* of the sender */
    int64_t t_ms;
    bool is_late; /* refused on purpose by its verdict, never there */
    enum sim_fate fate;
};

struct sim_txn {
    uint64_t id;
    uint32_t sender;
    enum sim_txn_state state;
    bool was_seen;   /* a read had it: it must not go away again */
    bool may_return; /* refused by a log that could write nothing that says so: a crash may bring it
                        back, whole */
    uint32_t sample_count, late_count;
    bool has_window; /* what comes out of order is taken */
    struct sim_sample samples[SIM_TXN_SAMPLES_MAX];
    struct env_op op;
    enum err err; /* of the answer */
};

struct sim_model {
    struct sim_txn **txns; /* owned; by id */
    uint64_t count, cap;
    uint64_t acked, refused, reads, deletions;
    struct sim_deletion *deleting; /* the one under way; one at a time */
    const char *failure;           /* NULL: all is well */
    char text[300];
};

void sim_model_init(struct sim_model *model);
void sim_model_fini(struct sim_model *model);
struct sim_txn *sim_model_new_txn(struct sim_model *model, uint32_t sender);
/* The answer of a transaction, as append_done_fn gave it. */
void sim_model_answer(struct sim_model *model, struct sim_txn *txn,
                      const struct append_result *result);
/* All that is pending is unknown from now on. */
void sim_model_crash(struct sim_model *model);

/* A deletion of one sender's series [series_first, series_last] in [t_min, t_max]. Begun: what it
 * means may go at any moment. Ended well: what was acknowledged (or seen) before it began is gone,
 * for good. */
struct sim_deletion {
    uint32_t sender, series_first, series_last;
    int64_t t_min_ms, t_max_ms;
    uint64_t txn_count; /* those known when it began */
    uint64_t *must_go;  /* owned: by id, bits of the samples */
};
void sim_model_delete_begin(struct sim_model *model, struct sim_deletion *deletion);
void sim_model_delete_end(struct sim_model *model, struct sim_deletion *deletion, enum err err);

double sim_model_value(const struct sim_txn *txn, uint32_t place);
struct slice sim_model_tenant(uint32_t sender);

/* A read of one sender's samples in three steps: which transactions it must have, the samples, the
 * verdict. */
struct sim_check {
    struct sim_model *model;
    uint32_t sender;
    uint64_t *must; /* owned: ids acknowledged (or seen) before the read began */
    uint64_t must_count;
    uint64_t *seen; /* owned: by id, one bit per sample */
    uint64_t *gone; /* owned: likewise, what was deleted before the read began */
    bool is_final;  /* nothing is under way: what was unknown becomes known */
};

void sim_check_begin(struct sim_check *check, struct sim_model *model, uint32_t sender);
/* False: model->failure says why. */
bool sim_check_sample(struct sim_check *check, struct label_set labels, int64_t t_ms, double v);
bool sim_check_end(struct sim_check *check);

/* The time of a sample that the sender sent to the series not long ago; false: there is none. */
bool sim_model_recent(const struct sim_model *model, uint32_t sender, uint32_t series,
                      uint64_t choice, int64_t *t_ms);

/* Sets the failure unless there is one; returns false. */
bool sim_fail(struct sim_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct sim_storage_options {
    uint64_t seed;
    bool is_verbose;
};

struct sim_storage_result {
    uint64_t steps, trace, acked, refused, unknown, reads, crashes, flushes, merges, deletions,
        blocks;
};

/* One life of a data directory. False: result is what was reached, message says what went wrong. */
bool sim_storage_run(const struct sim_storage_options *options, struct sim_storage_result *result,
                     char *message, size_t message_size);
