/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples of one series that came out of order, apart from its other chunks. Only head_*.c includes
 * it.
 *
 *   append -> staged samples (sorted) -> sealed chunks (each sorted; they may overlap)
 *
 * A staged sample has the sequence number of its group, so a reader at a watermark takes those up
 * to it. They are sealed once no reader tells them apart: a sealed chunk is seen by all.
 *
 * Of two samples of one time the one that comes first in model/order.h loses. It is left out when
 * nobody can see it without the other; readers settle the rest.
 *
 * Invariants: a sealed chunk does not cross a block window and never changes.
 * Threads: all functions but head_ooo_merge want the lock of the series' slab. */

#include "model/source.h"
#include "storage/head_chunk.h"

struct head_slab;
struct merge_pool;

enum { HEAD_OOO_SAMPLES = 32 }; /* staged until they become a chunk */

struct head_ooo_sample {
    int64_t t_ms;
    uint64_t v_bits;
    uint64_t seq; /* of the group */
};

/* By time; samples of one time in the order in which they came. */
struct head_ooo {
    struct head_chunk *sealed; /* owned: linked by prev, in no order of time */
    uint32_t count, cap;
    struct head_ooo_sample staged[];
};

/* The series' samples out of order; NULL: it has none. */
struct head_ooo *head_ooo_get(const struct head_slab *slab, uint32_t i);
static inline bool head_ooo_has_samples(const struct head_ooo *ooo)
{
    return ooo != NULL && (ooo->count > 0 || ooo->sealed != NULL);
}

/* What an append did. */
enum head_ooo_end {
    HEAD_OOO_ADDED,
    HEAD_OOO_SETTLED, /* against another one of its time: there are no more than before */
    HEAD_OOO_SAME,    /* it was there */
};
struct head_ooo_append {
    struct head_ooo_sample sample;
    unsigned chunks;  /* out: added up: that were sealed */
    uint64_t dropped; /* out: added up: samples that lost when they were sealed */
};
enum head_ooo_end head_ooo_append(struct head *head, struct head_slab *slab, uint32_t i,
                                  struct head_ooo_append *append);
/* A chunk of a checkpoint. Takes it. */
void head_ooo_push(struct head *head, struct head_slab *slab, uint32_t i, struct head_chunk *chunk);
/* Drops as head_chunk_drop does. */
uint64_t head_ooo_drop(struct head *head, struct head_slab *slab, uint32_t i,
                       struct head_drop *drop);
/* Frees what the series has; counts nothing. */
void head_ooo_fini(struct head *head, struct head_slab *slab, uint32_t i);
/* The least time at or above `from_ms`, at most: a chunk says only where it begins. INT64_MAX:
 * there is none. */
int64_t head_ooo_oldest(const struct head_ooo *ooo, int64_t from_ms);
/* The same over all series; takes the slabs' locks. */
int64_t head_ooo_oldest_of_all(struct head *head, int64_t from_ms);
/* Samples and chunks, for the counts of the head. */
void head_ooo_count(const struct head_ooo *ooo, uint64_t *samples, uint64_t *chunks);
/* Calls fn for each chunk, the staged samples made into some; all is borrowed for the call. */
typedef void head_ooo_chunk_fn(void *owner, const struct head_chunk *chunk);
void head_ooo_each_chunk(struct head *head, const struct head_ooo *ooo, head_ooo_chunk_fn *fn,
                         void *owner);

/* ---- reading ---- */

struct head_read_range;

/* What a reader takes of a series while its slab is locked: chunks borrowed under its guard, staged
 * samples copied. */
struct head_ooo_view {
    const struct head_chunk **chunks; /* in the arena */
    struct head_ooo_sample *samples;  /* likewise; each time once */
    uint32_t chunk_count, sample_count;
};

/* ERR_LIMIT: no room in the arena. */
enum err head_ooo_look(const struct head_ooo *ooo, const struct head_read_range *range,
                       struct arena *arena, struct head_ooo_view *view) MUST_USE;
static inline bool head_ooo_view_is_empty(const struct head_ooo_view *view)
{
    return view->chunk_count == 0 && view->sample_count == 0;
}
/* One cursor over the view, which is not empty, and `in_order` (NULL: none). No lock. */
enum err head_ooo_merge(const struct head_ooo_view *view, const struct head_read_range *range,
                        struct merge_pool *pool, struct sample_cursor *in_order,
                        struct sample_cursor **cursor) MUST_USE;
