/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which blocks to merge next. A pure function of what the blocks cover and weigh.
 *
 *   levels:   one block range, 6, 12, 36, 108, 324 of them (2 h: 12 h, 24 h, 3 d, 9 d, 27 d),
 *             aligned, up to a maximum; blocks in one window of a level become one block once the
 *             window is over.
 *   overlaps: blocks whose windows overlap (early, late and out-of-order flushes) are merged before
 *             that, small ones first and a large one only when as much as an eighth of it has
 *             gathered: so a sample is rewritten a logarithmic number of times. In the newest
 *             window, to which more will come, four must have gathered.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    COMPACT_PICKS_MAX = 64, /* blocks merged at once */
    COMPACT_NEWEST_MIN = 4,
    COMPACT_RATIO = 8,
    COMPACT_SMALL_BYTES = 1 << 20, /* a block up to this is always small */
};

struct compact_candidate {
    int64_t window_t_min_ms, window_t_end_ms; /* [min, end) */
    uint64_t size_bytes;
    bool is_barred; /* has failed of late: neither picked nor skipped over */
};

struct compact_levels {
    int64_t range_ms;     /* of a flush */
    int64_t range_ms_max; /* no block is merged to cover more */
};

/* Fills picks[COMPACT_PICKS_MAX] with indexes of candidates and returns how many: 0, or at least 2.
 */
uint32_t compact_plan(const struct compact_levels *levels,
                      const struct compact_candidate *candidates, uint32_t count, uint32_t *picks);
