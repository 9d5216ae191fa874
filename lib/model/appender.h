/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The write interface between roles: scraper, receiver and ruler to distributor, distributor to
 * ingester, ingester to storage. In one process a call, between processes a message.
 *
 *   begin -> resolve? -> add ... add -> commit (one asynchronous answer) | abort
 *
 * A transaction (a request, a scrape) is replayed, seen by readers and lost as a whole: its good
 * samples become visible together, once they are durable; each refused sample has a verdict and is
 * counted with its reason.
 *
 * Ownership: a transaction ends with commit or abort and is not touched afterwards. What is added
 * is copied. Threads: one transaction, one thread at a time; commit's answer comes on any thread
 * and must not block. */

#include <stdbool.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

enum append_origin { APPEND_SCRAPE, APPEND_WRITE, APPEND_RULE, APPEND_IMPORT, APPEND_REPAIR };

struct append_options {
    struct slice tenant; /* borrowed until the transaction ends */
    enum append_origin origin;
    uint64_t map_epoch;    /* of the shard map; 0 in one process */
    uint64_t deadline_ns;  /* monotonic; 0: none */
    struct budget *budget; /* borrowed; may be NULL */
    bool tells_left_out;   /* the result names the items that were taken and not stored anew */
    /* How far behind the tenant's newest time samples may come out of order; 0: none does. */
    int64_t out_of_order_ms;
};

/* name, whether a sender that repeats the sample may succeed, label value for counters, text */
#define APPEND_VERDICT_LIST(XX)                                                                    \
    XX(OK, false, "ok", "stored")                                                                  \
    XX(DUPLICATE_SAME, false, "duplicate_same", "stored already")                                  \
    XX(UNKNOWN_REF, false, "unknown_ref", "series reference is not known any more")                \
    XX(OUT_OF_ORDER, false, "out_of_order", "out of order sample")                                 \
    XX(DUPLICATE, false, "duplicate", "duplicate sample for timestamp")                            \
    XX(TOO_OLD, false, "too_old", "out of bounds")                                                 \
    XX(OUT_OF_WINDOW, false, "out_of_window", "too old sample")                                    \
    XX(TOO_NEW, false, "too_new", "too far in the future")                                         \
    XX(BAD_LABELS, false, "bad_labels", "invalid labels")                                          \
    XX(BAD_HISTOGRAM, false, "bad_histogram", "invalid native histogram")                          \
    XX(BAD_EXEMPLAR, false, "bad_exemplar", "invalid exemplar")                                    \
    XX(LATE_EXEMPLAR, false, "late_exemplar", "out of order exemplar")                             \
    XX(EXEMPLARS_OFF, false, "exemplars_off", "exemplars are switched off")                        \
    XX(BAD_METADATA, false, "bad_metadata", "invalid metadata")                                    \
    XX(LIMIT, false, "limit", "limit exceeded")                                                    \
    XX(RETRY, true, "retry", "not stored, try again")

enum append_verdict {
#define XX(name, retry, label, text) APPEND_##name,
    APPEND_VERDICT_LIST(XX)
#undef XX
        APPEND_VERDICT_COUNT
};

/* Counter label and text of a verdict. */
const char *append_verdict_label(enum append_verdict verdict);
const char *append_verdict_text(enum append_verdict verdict);
static inline bool append_verdict_stored(enum append_verdict verdict)
{
    return verdict == APPEND_OK || verdict == APPEND_DUPLICATE_SAME;
}

enum append_kind {
    APPEND_FLOAT,
    APPEND_HISTOGRAM,
    APPEND_EXEMPLAR,
    APPEND_METADATA,
    APPEND_KIND_COUNT
};

struct append_item {
    enum append_kind kind;
    int64_t t_ms;
    int64_t start_t_ms; /* 0: not known */
    union {
        double v;
        const struct histogram *histogram;
        const struct exemplar *exemplar;
        const struct metadata *metadata;
    };
};

/* Which series: by `ref` if not 0 (an alias that resolve gave; the fast path), else by hash and
 * labels. */
struct series_key {
    uint64_t ref;
    struct hash128 hash;
    struct label_set labels; /* borrowed for the call */
};

/* An item that add took and that was refused, or found stored already, when its series was looked
 * at. `item` counts what add said OK to in this transaction, from 0, of all kinds, in their order.
 */
struct append_left_out {
    uint32_t item;
    enum append_verdict verdict;
};

enum { APPEND_TEXT_SIZE = 200 };

/* What became of a transaction. Samples are counted once, under their verdict. */
struct append_result {
    enum err err;   /* OK: all that could be stored is; else nothing is (UNAVAILABLE, NO_SPACE, IO,
                       DEADLINE ...) */
    bool retryable; /* err != OK and the same transaction may succeed later */
    uint32_t stored[APPEND_KIND_COUNT]; /* by kind, OK and DUPLICATE_SAME together */
    uint32_t counts[APPEND_VERDICT_COUNT];
    char texts[APPEND_VERDICT_COUNT]
              [APPEND_TEXT_SIZE]; /* first refused sample of each: series and reason */
    uint32_t series_created;
    const struct append_left_out *left_out; /* by item; borrowed for the call; only if asked for */
    uint32_t left_out_count;
};

struct append_txn;
/* Borrowed for the call. */
typedef void append_done_fn(void *owner, const struct append_result *result);

struct appender {
    const struct appender_ops *ops;
};

struct appender_ops {
    /* ERR_UNAVAILABLE, ERR_NO_SPACE, ERR_LIMIT: no transaction was made; try later. */
    enum err (*begin)(struct appender *appender, const struct append_options *options,
                      struct append_txn **txn, struct err_info *info);
    /* Finds or makes the series and gives an alias for add, good until the series ends: then add
     * answers UNKNOWN_REF. Labels are checked by the caller. OK, or LIMIT. */
    enum append_verdict (*resolve)(struct append_txn *txn, struct hash128 hash,
                                   struct label_set labels, uint64_t *ref);
    /* A verdict that needs the state of the series may come only with the result: then this says
     * OK. */
    enum append_verdict (*add)(struct append_txn *txn, const struct series_key *key,
                               const struct append_item *item);
    /* Takes txn. done runs exactly once, maybe before commit returns. */
    void (*commit)(struct append_txn *txn, append_done_fn *done, void *owner);
    /* Takes txn. */
    void (*abort)(struct append_txn *txn);
};

/* First member of every implementation's transaction. */
struct append_txn {
    struct appender *appender;
};

static inline enum err appender_begin(struct appender *appender,
                                      const struct append_options *options, struct append_txn **txn,
                                      struct err_info *info)
{
    return appender->ops->begin(appender, options, txn, info);
}

static inline enum append_verdict append_resolve(struct append_txn *txn, struct hash128 hash,
                                                 struct label_set labels, uint64_t *ref)
{
    return txn->appender->ops->resolve(txn, hash, labels, ref);
}

static inline enum append_verdict append_add(struct append_txn *txn, const struct series_key *key,
                                             const struct append_item *item)
{
    return txn->appender->ops->add(txn, key, item);
}

static inline void append_commit(struct append_txn *txn, append_done_fn *done, void *owner)
{
    txn->appender->ops->commit(txn, done, owner);
}

static inline void append_abort(struct append_txn *txn)
{
    txn->appender->ops->abort(txn);
}
