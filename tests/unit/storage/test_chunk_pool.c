/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "storage/chunk_pool.h"
#include "support/check.h"
#include "support/gen.h"

enum { BLOCKS = 3000, STEPS = 30000 };

struct block {
    uint8_t *bytes;
    size_t size;
    uint8_t mark;
};

static bool block_is_whole(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->bytes[i] != block->mark)
            return false;
    return true;
}

/* Blocks never overlap, are aligned, and all memory goes back. */
static void test_against_model(void **state)
{
    static struct block blocks[BLOCKS];
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 10)
    {
        struct chunk_pool *pool = chunk_pool_new();
        struct chunk_pool_stats stats;
        uint64_t used = 0;

        memset(blocks, 0, sizeof(blocks));
        for (int step = 0; step < STEPS; step++) {
            struct block *block = &blocks[gen_below(&gen, BLOCKS)];

            if (block->bytes == NULL) {
                block->size = 1 + gen_below(&gen, gen_chance(&gen, 10) ? CHUNK_POOL_SIZE_MAX : 300);
                block->mark = (uint8_t)gen_u64(&gen);
                block->bytes = chunk_pool_get(pool, block->size);
                assert_int_equal(0, (uintptr_t)block->bytes % CHUNK_POOL_UNIT);
                memset(block->bytes, block->mark, block->size);
                used += chunk_pool_round(block->size);
            } else {
                assert_true(block_is_whole(block));
                chunk_pool_put(pool, block->bytes, block->size);
                used -= chunk_pool_round(block->size);
                block->bytes = NULL;
            }
        }
        chunk_pool_get_stats(pool, &stats);
        assert_int_equal(used, stats.used_bytes);
        assert_true(stats.size_bytes >= used);
        for (size_t i = 0; i < BLOCKS; i++) {
            if (blocks[i].bytes == NULL)
                continue;
            assert_true(block_is_whole(&blocks[i]));
            chunk_pool_put(pool, blocks[i].bytes, blocks[i].size);
        }
        chunk_pool_get_stats(pool, &stats);
        assert_int_equal(0, stats.used_bytes);
        assert_true(stats.size_bytes <= 4 << 20); /* two spare regions */
        chunk_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
