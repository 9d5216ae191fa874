/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of a tenant: what reads whole is in order and prints and reads as the same again. */
#include "base/assert.h"
#include "storage/block_stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_stats stats;
    struct arena arena;

    arena_init(&arena, NULL, 64 << 20);
    if (block_stats_parse(slice_of(data, size), &arena, &stats) == ERR_OK) {
        struct block_stats again;
        struct buf out;

        buf_init(&out, 64 << 20);
        block_stats_put(&out, &stats);
        ASSERT(out.err == ERR_OK);
        ASSERT(block_stats_parse(buf_slice(&out), &arena, &again) == ERR_OK);
        ASSERT(again.name_count == stats.name_count && again.pair_count == stats.pair_count);
        buf_fini(&out);
    }
    arena_fini(&arena);
    return 0;
}
