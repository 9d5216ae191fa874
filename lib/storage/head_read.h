/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading series of the head at a watermark: what select and flush share. Only head_*.c includes
 * it.
 *
 * The holder of a guard may keep what it finds here: sealed chunks and interned labels are not
 * freed before the guard ends; open chunks are copied.
 * Threads: one reader, one thread at a time. */

#include "storage/head_internal.h"

/* A series and its labels' pairs. */
struct head_read_series {
    uint32_t slot;
    uint32_t pair_count;
    const struct head_pair **pairs; /* in the arena */
};

/* Resolves the slots of one tenant to pairs and sorts them by labels; in the arena. ERR_LIMIT. */
struct head_read_list {
    struct head_read_series *items;
    uint32_t count;
};
enum err head_read_sort(struct head_index *index, const struct head *head, struct arena *arena,
                        const struct head_slots *slots, struct head_read_list *list) MUST_USE;

struct merge_pool;

/* What part of a series is wanted. */
struct head_read_range {
    int64_t t_min_ms, t_max_ms; /* inclusive */
    uint64_t watermark;
    struct source_stats *stats; /* may be NULL */
};

/* Makes a cursor over the visible samples of the range, in the pool's arena; *cursor is NULL when
 * no chunk meets it. ERR_LIMIT: no room in the arena. */
enum err head_read_open(struct head *head, uint32_t slot, const struct head_read_range *range,
                        struct merge_pool *pool, struct sample_cursor **cursor) MUST_USE;

/* An encoded chunk, and how many of its samples may be seen. */
struct head_read_chunk {
    struct slice bytes; /* of a sealed chunk, or a copy */
    int64_t t_max_ms;
    uint32_t visible;
};
/* A cursor over chunks that follow one another in time; the array is copied. NULL: no room. */
struct sample_cursor *head_read_chunks(const struct head_read_chunk *chunks, uint32_t count,
                                       const struct head_read_range *range, struct arena *arena);

/* Whether the cursor, just opened, surely has a sample in its range. */
bool head_read_is_sure(const struct sample_cursor *cursor);

/* The labels as views in the arena; items is NULL when there is no room. */
struct label_set head_read_labels(const struct head_read_series *series, struct arena *arena);
