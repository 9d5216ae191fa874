/* SPDX-License-Identifier: Apache-2.0 */
/* Series records of a block's index: labels rise by name, chunks by time. */
#include "base/assert.h"
#include "storage/block_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_series series;
    struct arena arena;

    arena_init(&arena, NULL, 64 << 20);
    if (block_parse_series(slice_of(data, size), &arena, &series) == ERR_OK) {
        ASSERT(series.chunk_count > 0 || series.exemplar_count > 0);
        for (uint32_t i = 1; i < series.labels.count; i++)
            ASSERT(slice_cmp(series.labels.items[i - 1].name, series.labels.items[i].name) < 0);
        for (uint32_t i = 0; i < series.chunk_count; i++) {
            ASSERT(series.chunks[i].t_min_ms <= series.chunks[i].t_max_ms);
            ASSERT(i == 0 || series.chunks[i - 1].t_max_ms < series.chunks[i].t_min_ms);
        }
    }
    arena_fini(&arena);
    return 0;
}
