/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Exemplars in memory: one ring for the whole process, so that the oldest makes room for the newest
 * whatever its series, and in it a chain for each series. Only head_*.c includes it.
 *
 *   ring:  [ e3 | e4 | e5 | . | e1 | e2 ]      series -> its newest <-> ... <-> its oldest
 *
 * Invariants: a chain rises by (time, value, labels), as upstream has it; an exemplar's series is
 * known by slot and generation, so one of a series that has ended is never given.
 * Threads: any; one lock inside, which comes after a slab's. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/sample.h"
#include "storage/head_record.h"

struct head_exemplars;

enum {
    HEAD_EXEMPLAR_RUNES_MAX = 128, /* of all names and values, as upstream */
    HEAD_EXEMPLARS_MAX = 1 << 20,
};

struct head_exemplars *head_exemplars_new(uint32_t max);
void head_exemplars_free(struct head_exemplars *exemplars);
/* How many there may be; the oldest go. 0: none are kept. */
void head_exemplars_resize(struct head_exemplars *exemplars, uint32_t max);
uint32_t head_exemplars_max(const struct head_exemplars *exemplars);

enum head_exemplar_end {
    HEAD_EXEMPLAR_ADDED,
    HEAD_EXEMPLAR_SAME, /* it is the newest of its series */
    HEAD_EXEMPLAR_LATE, /* it comes before the newest of its series */
    HEAD_EXEMPLAR_OFF,  /* none are kept */
};
/* seq: of the group that brings it. Copies. */
enum head_exemplar_end head_exemplars_add(struct head_exemplars *exemplars, struct head_ref ref,
                                          uint64_t seq, const struct exemplar *exemplar);

/* Whether it is the newest of its series: a sender that repeats it needs no log record. */
bool head_exemplars_has(struct head_exemplars *exemplars, struct head_ref ref,
                        const struct exemplar *exemplar);

/* What part is wanted: times are inclusive, groups up to seq. */
struct head_exemplar_range {
    int64_t t_min_ms, t_max_ms;
    uint64_t seq;
};
struct head_exemplar_list {
    struct exemplar *items; /* in the arena, the oldest first */
    uint32_t count;
};
/* ERR_LIMIT: no room in the arena. */
enum err head_exemplars_get(struct head_exemplars *exemplars, struct head_ref ref,
                            const struct head_exemplar_range *range, struct arena *arena,
                            struct head_exemplar_list *list) MUST_USE;
/* Drops those of the range. */
void head_exemplars_drop(struct head_exemplars *exemplars, const struct head_exemplar_range *range);

/* Gives all, the oldest first, under the lock; all is borrowed for the call. */
typedef void head_exemplar_fn(void *owner, struct head_ref ref, uint64_t seq,
                              const struct exemplar *exemplar);
void head_exemplars_each(struct head_exemplars *exemplars, head_exemplar_fn *fn, void *owner);

struct head_exemplars_stats {
    uint32_t count, series;
    uint64_t memory_bytes;
    int64_t t_oldest_ms; /* of the exemplar that goes next; 0: there is none */
};
void head_exemplars_get_stats(struct head_exemplars *exemplars, struct head_exemplars_stats *stats);
