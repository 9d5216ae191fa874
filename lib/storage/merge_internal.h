/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the merged stream and its cursors. */

#include "storage/merge.h"

/* A batch of one input, kept while its samples are merged; reused over cursors. */
struct merge_batch {
    struct sample_columns columns;
    uint32_t at; /* the next sample */
    struct merge_batch *next_free;
};

/* Batches that the cursors of one arena hand on to one another. */
struct merge_pool {
    struct arena *arena;
    struct merge_batch *free;
};

struct merge_stream {
    struct series_stream base;
    struct source_ctx *ctx;
    struct merge_input *inputs;
    struct merge_input **heap; /* by labels; those that stand on a series */
    uint32_t input_count, heap_count;
    struct merge_input **same; /* the inputs that have the series given last */
    uint32_t same_count;       /* those not moved on yet */
    uint32_t limit, given;
    bool one_at_a_time;
    struct arena series_arena; /* of the present series' cursor, with one_at_a_time */
    struct merge_pool pool;
};

struct merge_input {
    struct series_stream *stream;
    struct source_series series;
};

/* A cursor over the `count` series that stream->same stands on; NULL: no room. */
struct sample_cursor *merge_cursor_new(struct merge_stream *stream, uint32_t count);
/* A cursor over others of one series, which it borrows as long as it lives, like pool; NULL: no
 * room. */
struct sample_cursor *merge_cursors(struct merge_pool *pool, struct sample_cursor *const *cursors,
                                    uint32_t count);
