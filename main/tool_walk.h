/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All series of a source in the order of their labels, within a bound of memory: a stream keeps
 * what it gave until its arena ends, so the walk selects piece by piece.
 *
 *   for each label name, for each of its values: series that have it, and none of the names before
 *
 * which is the order of label sets; with ordinary labels a piece is a metric. Memory: the largest
 * piece's series. Threads: one. Blocks. */

#include "base/err.h"
#include "base/slice.h"
#include "model/source.h"

struct tool_walk {
    struct source *source;
    struct slice tenant;
    /* Selectors: a series of any of them; count 0: all. */
    const struct matcher_list *selectors;
    uint32_t selector_count;
    int64_t t_min_ms, t_max_ms; /* both included */
    bool series_only;           /* cursors are NULL */
    /* Borrows for the call. The first error ends the walk. */
    enum err (*fn)(void *owner, struct label_set labels, struct sample_cursor *cursor,
                   struct err_info *info);
    void *owner;
};

enum err tool_walk(const struct tool_walk *walk, struct err_info *info) MUST_USE;
