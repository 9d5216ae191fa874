/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the head share. No other folder, and nothing but head_*.c, includes it.
 *
 *   stripes: hash -> slot        slabs: slot -> hot | cold | state        tenants: label index
 *
 * Lock order (a lock may be taken while those before it are held):
 *   gate > stripe > tenants > slots > index > slab > guards > apply, txn pool, wal, chunk pool
 *
 * gate    the applier holds it while it applies a group, a checkpoint while it copies one slab:
 *         so a copied slab is exactly at the watermark
 * slab    guards the hot structs, chunk lists and marks of its series
 * guards  guards the lists of readers and transactions, and the watermark's publication
 *
 * A guard keeps what its holder may have found from being freed: series are unlinked first, and
 * freed when every guard that was taken before has ended. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "storage/chunk_pool.h"
#include "storage/head.h"
#include "storage/head_chunk.h"
#include "storage/head_exemplars.h"
#include "storage/head_index.h"
#include "storage/head_metadata.h"
#include "storage/head_record.h"
#include "storage/wal.h"

enum {
    HEAD_SLAB_SHIFT = 8,
    HEAD_SLAB_SLOTS = 1 << HEAD_SLAB_SHIFT,
    HEAD_SLAB_COUNT_MAX = 1 << 18, /* 67 million series */
    HEAD_STRIPES = 64,
    HEAD_GEN_MAX = INT32_MAX,
};

/* In a slot's state: the series has no samples and goes unless somebody asks for it. */
#define HEAD_STATE_DYING (UINT32_C(1) << 31)
struct series_cold {
    struct hash128 hash;
    uint32_t *labels; /* owned: pair ids; NULL: the slot is free */
    uint32_t tenant;
    uint16_t label_count;
};

STATIC_ASSERT(sizeof(struct series_hot) + sizeof(struct series_cold) <= 96, "96 bytes a series");

struct head_slab {
    _Alignas(64) struct series_hot hot[HEAD_SLAB_SLOTS];
    struct series_cold cold[HEAD_SLAB_SLOTS];
    _Atomic uint32_t state[HEAD_SLAB_SLOTS]; /* 0: free; gen, maybe with HEAD_STATE_DYING */
    struct head_ooo **ooo; /* owned: by slot; NULL: no series has samples out of order */
    pthread_mutex_t lock;
};

struct head_stripe {
    _Alignas(64) pthread_mutex_t lock;
    struct map map; /* hash.lo to slot */
};

struct head_tenant {
    struct slice name; /* owned */
    uint32_t id;
    struct head_index index;
    _Atomic uint64_t series_count;
    int64_t t_max_ms;           /* the applier's own */
    int64_t t_max_published_ms; /* at the watermark; under the guards lock */
};

/* Keeps what was found alive. A reader's guard also has its watermark. */
struct head_guard {
    struct list_node node;
    uint64_t ticket;
    uint64_t watermark;
};

/* A flush is a reader that its own drop does not wait for. */
enum head_guard_kind { HEAD_GUARD_READER, HEAD_GUARD_FLUSH, HEAD_GUARD_TXN, HEAD_GUARD_KINDS };

/* Something to be done when all guards with tickets below `ticket` have ended. */
struct head_waiter {
    struct head_waiter *next;
    uint64_t ticket;
    struct env_op op;
};

/* Things unlinked at `ticket`. */
struct head_limbo {
    struct head_limbo *next;
    uint64_t ticket;
    struct head_chunk *chunks; /* linked by prev */
    struct head_pair *pairs;
    uint32_t *slots; /* owned */
    size_t slot_count;
};

struct head_metrics {
    struct metric_counter samples_appended, histograms_appended, exemplars_appended, late_exemplars,
        late_appended, too_old, out_of_order, out_of_bound, duplicates, series_created,
        series_removed, unknown_ref, replay_unknown, chunks_created, chunks_removed, checkpoints,
        checkpoints_failed, flushed_samples;
    struct metric_histogram apply_seconds;
};

struct head_txn;

struct head {
    struct head_options options;
    char *dir; /* owned */
    struct hash_key hash_key;
    struct appender appender;
    struct source source;
    struct wal *wal;
    struct chunk_pool *chunks;
    struct head_exemplars *exemplars;
    struct head_metadata *metadata;
    uint64_t exemplars_seq; /* in replay: those up to it came with the checkpoint */
    struct head_metrics metrics;

    struct head_stripe stripes[HEAD_STRIPES];
    struct head_slab *_Atomic *slabs; /* owned: HEAD_SLAB_COUNT_MAX, filled from the front */

    pthread_mutex_t slots_lock; /* guards slot_end, free slots, gen_next */
    _Atomic uint32_t slot_end;
    uint32_t *free_slots; /* owned: a stack */
    size_t free_slot_count, free_slot_cap;
    uint32_t gen_next;

    pthread_mutex_t tenants_lock;
    struct map tenant_map;
    struct head_tenant *_Atomic *tenants; /* owned: by id, options.tenant_max of them */
    _Atomic uint32_t tenant_count;

    pthread_mutex_t guards_lock;
    struct list guards[HEAD_GUARD_KINDS];
    uint64_t ticket_next;
    struct head_waiter *waiters;
    uint32_t txn_live_count;    /* between begin and the last thing done for them */
    struct env_op *stop_waiter; /* when the last transaction has ended; borrowed */
    bool stopping;
    _Atomic uint64_t watermark;

    pthread_mutex_t apply_lock; /* guards the queue of groups */
    struct wal_record *apply_first, *apply_last;
    bool apply_busy;
    uint64_t apply_handed, apply_done; /* groups that came, and that are applied */
    uint64_t barrier_target;
    struct env_op *barrier; /* borrowed: completed when apply_done reaches its target */
    struct env_op *idle;    /* borrowed: completed when the job has ended */
    struct env_job apply_job;
    pthread_mutex_t gate;
    uint64_t low_seq; /* the applier's own: no reader and no later one is below it */
    uint64_t *cuts;   /* likewise: watermarks of the readers, rising; owned */
    uint32_t cut_count, cut_cap;

    pthread_mutex_t txns_lock;
    struct head_txn *txns_free; /* unused ones */
    uint32_t txn_count;

    pthread_mutex_t limbo_lock;
    struct head_limbo *limbo, *limbo_last; /* oldest first */
    struct head_limbo *dying;              /* slots marked at the last collection */

    _Atomic uint64_t series_count, chunk_count, sample_count, label_bytes;
    _Atomic int64_t t_min_ms, t_max_ms;            /* of samples in memory; t_min a lower bound */
    _Atomic int64_t t_min_next_ms;                 /* of samples that came since a drop began */
    _Atomic int64_t late_min_ms, late_min_next_ms; /* the same of samples out of order */
    _Atomic int64_t late_flushed_ms;               /* newest time when a window was last dropped */
    _Atomic uint64_t ooo_bytes;                    /* of staged samples */
    _Atomic uint64_t wide_bytes; /* of open wide chunks, and of those too large for the pool */
    _Atomic bool upkeep_busy;    /* one checkpoint at a time */
    _Atomic bool collect_wanted; /* samples were dropped */
    uint64_t collected_ns;       /* when series were last looked through */
    bool closing;
    uint64_t checkpoint_written; /* of wal_stats at the last checkpoint */
    struct head_window *windows; /* owned; for replay */
    uint64_t *slab_seqs;         /* owned; for replay: of the checkpoint */
    uint64_t slab_seq_count;
    struct wal_replay_stats replay;
};

/* ---- series (head_series.c) ---- */

static inline struct head_slab *head_slab_of(const struct head *head, uint32_t slot)
{
    return atomic_load_explicit(&head->slabs[slot >> HEAD_SLAB_SHIFT], memory_order_acquire);
}

/* A lower bound of all times in memory; INT64_MAX: there are none. */
static inline int64_t head_t_min(const struct head *head)
{
    const int64_t in_order_ms = atomic_load(&head->t_min_ms);
    const int64_t late_ms = atomic_load(&head->late_min_ms);

    return late_ms < in_order_ms ? late_ms : in_order_ms;
}

static inline uint32_t head_slab_index(uint32_t slot)
{
    return slot & (HEAD_SLAB_SLOTS - 1);
}

struct head_series_key {
    struct head_tenant *tenant;
    struct hash128 hash;
    struct label_set labels;
};

/* NULL: not there. With `create`, NULL means that tenant_max is reached. */
struct head_tenant *head_tenant_find(struct head *head, struct slice name);
struct head_tenant *head_tenant_make(struct head *head, struct slice name);
static inline struct head_tenant *head_tenant_at(const struct head *head, uint32_t id)
{
    return atomic_load_explicit(&head->tenants[id], memory_order_acquire);
}

/* The slab is locked. */
bool head_series_has_samples(const struct head_slab *slab, uint32_t i);
/* Finds or makes the series; a new one's log record is queued before this returns. ERR_LIMIT,
 * ERR_TOO_LARGE. */
enum err head_series_resolve(struct head *head, const struct head_series_key *key,
                             struct head_ref *ref, bool *created) MUST_USE;
/* Whether the reference is to a series that lives and may be appended to. */
static inline bool head_series_is(const struct head *head, struct head_ref ref)
{
    const struct head_slab *slab;

    if (ref.slot >= atomic_load_explicit(&head->slot_end, memory_order_acquire))
        return false;
    slab = head_slab_of(head, ref.slot);
    return slab != NULL && atomic_load_explicit(&slab->state[head_slab_index(ref.slot)],
                                                memory_order_relaxed) == ref.gen;
}
/* Puts a series where the log or the checkpoint had it; what lay there or had the same labels ends.
 * ERR_CORRUPT: an impossible slot. Before threads start. */
enum err head_series_restore(struct head *head, const struct head_series_key *key,
                             struct head_ref ref) MUST_USE;
/* Marks series without samples; ends those marked before that nobody asked for; frees what no guard
 * holds. */
struct head_collect_options {
    bool mark; /* also look for series without samples: walks all of them */
};
void head_series_collect(struct head *head, const struct head_collect_options *options);
void head_series_init(struct head *head);
/* Frees everything. */
void head_series_fini(struct head *head);
/* Gives memory to be freed when today's guards have ended. Takes chunks. */
void head_series_retire_chunks(struct head *head, struct head_chunk *chunks);
/* After replay: makes all slots that no series has free to be used. */
void head_series_find_free(struct head *head);
/* A queued series record that will not be written any more, or has been. */
void head_series_free_record(struct wal_record *record);

/* ---- guards (head_guard.c) ---- */

void head_guard_enter(struct head *head, struct head_guard *guard, enum head_guard_kind kind);
void head_guard_leave(struct head *head, struct head_guard *guard, enum head_guard_kind kind);
/* A transaction begins; false: the head is stopping. Its guard is entered. */
bool head_guard_begin_txn(struct head *head, struct head_guard *guard);
/* The last thing done for a transaction whose guard has left: the head may go after it. */
void head_guard_end_txn(struct head *head);
/* A ticket above all guards taken so far. */
uint64_t head_guard_ticket(struct head *head);
/* Whether all guards below the ticket have ended. */
bool head_guard_passed(struct head *head, uint64_t ticket);
/* Waits until the readers' guards below the ticket have ended. */
enum err head_guard_wait_readers(struct head *head, uint64_t ticket, uint64_t deadline_ns) MUST_USE;

/* ---- recovery, checkpoint ---- */

/* Reads checkpoint and log. Before threads start. */
enum err head_recover(struct head *head, struct wal_start *start, struct err_info *info) MUST_USE;
/* Writes a checkpoint; gives it up at the deadline (0: none). One caller at a time. */
enum err head_checkpoint_write(struct head *head, uint64_t deadline_ns,
                               struct err_info *info) MUST_USE;
