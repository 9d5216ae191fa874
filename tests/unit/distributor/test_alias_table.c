/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/alias_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"

static struct hash128 hash_of(uint64_t i)
{
    return (struct hash128){i * UINT64_C(0x9e3779b97f4a7c15) + 1, ~i};
}

static uint64_t find_one(struct alias_table *table, struct hash128 hash, uint32_t now_s)
{
    uint64_t ref = 0;

    alias_table_find(table, &(struct alias_batch){&hash, &ref, 1, now_s});
    return ref;
}

static void add_one(struct alias_table *table, struct hash128 hash, uint64_t ref, uint32_t now_s)
{
    if (alias_table_add(table, &(struct alias_batch){&hash, &ref, 1, now_s},
                        alias_table_version(table)))
        alias_table_grow(table, now_s);
}

static void add_range(struct alias_table *table, uint64_t from, uint64_t to, uint32_t now_s)
{
    for (uint64_t i = from; i < to; i++)
        add_one(table, hash_of(i), i + 1, now_s);
}

static size_t count_found(struct alias_table *table, uint64_t from, uint64_t to, uint32_t now_s)
{
    size_t found = 0;

    for (uint64_t i = from; i < to; i++) {
        const uint64_t ref = find_one(table, hash_of(i), now_s);

        if (ref != 0)
            assert_int_equal(ref, i + 1);
        found += ref != 0;
    }
    return found;
}

static void test_finds_what_was_added(void **state)
{
    struct alias_table *table = alias_table_new(1000000);

    (void)state;
    assert_int_equal(count_found(table, 0, 100, 0), 0);
    add_range(table, 0, 50000, 0);
    assert_int_equal(count_found(table, 0, 50000, 0), 50000);
    assert_int_equal(count_found(table, 50000, 60000, 0), 0);
    assert_int_equal(alias_table_stats(table).entries, 50000);
    alias_table_free(table);
}

static void test_batches_match_single_lookups(void **state)
{
    enum { COUNT = 5000 };
    struct alias_table *table = alias_table_new(1000000);
    struct hash128 *hashes = mem_zalloc(COUNT, sizeof(*hashes));
    uint64_t *refs = mem_zalloc(COUNT, sizeof(*refs));

    (void)state;
    add_range(table, 0, COUNT / 2, 0);
    for (uint64_t i = 0; i < COUNT; i++)
        hashes[i] = hash_of(i);
    alias_table_find(table, &(struct alias_batch){hashes, refs, COUNT, 0});
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(refs[i], i < COUNT / 2 ? i + 1 : 0);
    assert_int_equal(alias_table_stats(table).hits, COUNT / 2);
    assert_int_equal(alias_table_stats(table).misses, COUNT / 2);
    mem_free(hashes);
    mem_free(refs);
    alias_table_free(table);
}

/* Series that are asked for all the time stay; a thousand times as many that came and went do not.
 */
static void test_churn_is_forgotten(void **state)
{
    struct alias_table *table = alias_table_new(10000000);

    (void)state;
    add_range(table, 0, 1000, 0);
    for (uint32_t round = 1; round <= 1000; round++) {
        add_range(table, round * 1000, (round + 1) * 1000, round * 60);
        assert_int_equal(count_found(table, 0, 1000, round * 60), 1000);
    }
    assert_true(alias_table_stats(table).entries < 100000);
    assert_true(alias_table_stats(table).evictions > 900000);
    alias_table_free(table);
}

static void test_replacing_keeps_one_entry(void **state)
{
    struct alias_table *table = alias_table_new(1000);

    (void)state;
    add_one(table, hash_of(7), 1, 0);
    add_one(table, hash_of(7), 99, 0);
    assert_int_equal(find_one(table, hash_of(7), 0), 99);
    assert_int_equal(alias_table_stats(table).entries, 1);
    alias_table_free(table);
}

static void test_drop_refuses_what_was_resolved_before(void **state)
{
    struct alias_table *table = alias_table_new(1000);
    const uint64_t version = alias_table_version(table);
    const struct hash128 hash = hash_of(7);
    uint64_t ref = 5;

    (void)state;
    alias_table_drop(table);
    (void)alias_table_add(table, &(struct alias_batch){&hash, &ref, 1, 0}, version);
    assert_int_equal(find_one(table, hash, 0), 0);
    alias_table_free(table);
}

/* Nobody grows it: what does not fit is left out, and nothing else happens. */
static void test_full_table_leaves_out(void **state)
{
    struct alias_table *table = alias_table_new(1000000);

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        const struct hash128 hash = hash_of(i);
        uint64_t ref = i + 1;
        const bool wants = alias_table_add(table, &(struct alias_batch){&hash, &ref, 1, 0}, 0);

        assert_int_equal(i >= 16383, wants);
    }
    assert_int_equal(alias_table_stats(table).entries, 24576);
    assert_int_equal(count_found(table, 0, 24576, 0), 24576);
    alias_table_free(table);
}

static void test_count_is_bounded(void **state)
{
    struct alias_table *table = alias_table_new(2000);

    (void)state;
    add_range(table, 0, 100000, 0);
    assert_true(alias_table_stats(table).entries <= 32768);
    assert_true(alias_table_stats(table).evictions > 0);
    alias_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_added),
        cmocka_unit_test(test_batches_match_single_lookups),
        cmocka_unit_test(test_churn_is_forgotten),
        cmocka_unit_test(test_replacing_keeps_one_entry),
        cmocka_unit_test(test_drop_refuses_what_was_resolved_before),
        cmocka_unit_test(test_full_table_leaves_out),
        cmocka_unit_test(test_count_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
