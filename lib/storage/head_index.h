/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Labels of the series in memory, per tenant: each (name, value) pair once, with the list of the
 * series that carry it.
 *
 *   tenant -> names -> pair ids            series -> pair ids
 *          -> pairs -> text, posting list of slots
 *
 * A pair lives as long as its posting list is not empty; when that ends it is found no more, and
 * the caller frees it when no reader can hold it any more.
 *
 * Threads: any; one lock per tenant inside, which comes after the map stripes' locks. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/slice.h"
#include "model/source.h"
#include "storage/head_postings.h"

struct head_index;

struct head_name {
    struct head_index *index; /* borrowed: the one it is in */
    uint32_t *pairs;          /* owned: ids of its pairs, in no order */
    uint32_t count, cap;
    uint32_t size;
    char text[]; /* size bytes */
};

struct head_pair {
    struct head_pair *next_dead;
    const struct head_name *name; /* borrowed: a name stays as long as its tenant */
    struct head_postings postings;
    uint32_t id;
    uint32_t pos; /* in name->pairs */
    uint32_t size;
    char value[]; /* size bytes */
};

enum { HEAD_INDEX_RECENT = 512 };

struct head_index {
    pthread_rwlock_t lock; /* guards all but the counts */
    const struct hash_key *key;
    struct map name_map, pair_map;               /* to struct head_name *, to pair id */
    struct head_pair **pairs;                    /* owned: by id */
    struct head_pair *recent[HEAD_INDEX_RECENT]; /* found last, by a cheap hash; NULL: none */
    uint32_t *free_ids;                          /* owned */
    uint32_t pair_cap, pair_end, free_count, free_cap;
    struct head_postings all;
    _Atomic uint32_t pair_count;
    _Atomic uint64_t memory_bytes;
};

void head_index_init(struct head_index *index, const struct hash_key *key);
void head_index_fini(struct head_index *index);

/* Gives the labels' pair ids (into ids, labels.count of them) and adds slot to their lists. */
void head_index_add(struct head_index *index, struct label_set labels, uint32_t slot,
                    uint32_t *ids);
/* Takes slot out of the lists. Returns pairs that ended, linked by next_dead: they can no more be
 * found, but their ids and texts are good until head_index_free_pairs. */
struct head_pair *head_index_remove(struct head_index *index, const uint32_t *ids, uint32_t count,
                                    uint32_t slot);
void head_index_free_pairs(struct head_pair *dead);

/* The slots of the series that meet all matchers (count 0: all series), rising; in the arena.
 * ERR_LIMIT: no room there. */
struct head_slots {
    uint32_t *items;
    uint32_t count;
};
enum err head_index_select(struct head_index *index, struct arena *arena,
                           struct matcher_list matchers, struct head_slots *slots) MUST_USE;

/* At most how many series meet the matchers; from the lists' lengths. */
uint32_t head_index_estimate(struct head_index *index, struct matcher_list matchers);

/* Labels of a series as views of interned text, good while a guard is held. */
static inline struct label head_pair_label(const struct head_pair *pair)
{
    return (struct label){slice_of(pair->name->text, pair->name->size),
                          slice_of(pair->value, pair->size)};
}

/* Pairs of ids; the caller holds the lock. */
void head_index_get_pairs(struct head_index *index, const uint32_t *ids, uint32_t count,
                          const struct head_pair **pairs);

/* Names, or values of a name, of all series; unsorted, in the arena, borrowed text that is good
 * while a guard is held. */
struct head_texts {
    struct slice *items;
    uint32_t count;
};
enum err head_index_names(struct head_index *index, struct arena *arena,
                          struct head_texts *texts) MUST_USE;
enum err head_index_values(struct head_index *index, struct arena *arena, struct slice name,
                           struct head_texts *texts) MUST_USE;
