/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdlib.h>

#include "base/mem.h"
#include "storage/postings.h"
#include "support/gen.h"

enum { ID_END = 300000 };

/* Ids in order: sparse, dense, in runs, or a mix of these over containers. */
static uint32_t random_ids(struct gen *gen, uint32_t *ids)
{
    const uint64_t gap_max = 1 + gen_below(gen, gen_chance(gen, 2) ? 3 : 5000);
    const bool in_runs = gen_chance(gen, 2);
    uint64_t id = gen_below(gen, 1000);
    uint32_t count = 0;

    while (id < ID_END) {
        const uint64_t run = in_runs ? 1 + gen_below(gen, 200) : 1;

        for (uint64_t i = 0; i < run && id < ID_END; i++)
            ids[count++] = (uint32_t)id++;
        id += gen_below(gen, gap_max + (in_runs ? 50 : 0));
        if (gen_chance(gen, 20000))
            break;
    }
    return count;
}

static void check_ids(const uint32_t *want, uint32_t want_count, const struct postings *got)
{
    const uint32_t *ids;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, postings_ids(got, &arena, &ids, &count));
    assert_int_equal(want_count, count);
    assert_memory_equal(want, ids, count * sizeof(*ids));
    arena_fini(&arena);
}

static void test_round_trip(void **state)
{
    uint32_t *ids = mem_alloc(ID_END * sizeof(*ids));
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, 64 << 20);
    GEN_EACH_SEED(&gen, 200)
    {
        uint32_t count = random_ids(&gen, ids);
        struct postings *got;

        if (gen_chance(&gen, 2))
            count = (uint32_t)gen_between(&gen, 1, count < 130 ? count : 130);
        buf_reset(&out);
        postings_encode(&out, ids, count);
        check_err(ERR_OK, postings_decode(buf_slice(&out), ids[count - 1] + 1, &got));
        check_ids(ids, count, got);
        assert_int_equal(count, postings_peek_count(buf_slice(&out)));
        postings_free(got);
        /* An id past the end is corruption, not an answer. */
        check_err(ERR_CORRUPT, postings_decode(buf_slice(&out), ids[count - 1], &got));
    }
    buf_fini(&out);
    mem_free(ids);
}

/* Damaged bytes are refused or are a set of valid ids; never a crash. */
static void test_damage(void **state)
{
    uint32_t *ids = mem_alloc(ID_END * sizeof(*ids));
    struct gen gen;
    struct buf out;

    (void)state;
    buf_init(&out, 64 << 20);
    GEN_EACH_SEED(&gen, 300)
    {
        const uint32_t count = random_ids(&gen, ids);
        const uint32_t used = gen_chance(&gen, 3) && count > 60 ? 60 : count;
        struct postings *got;

        buf_reset(&out);
        postings_encode(&out, ids, used);
        for (int i = 0; i < 20; i++) {
            const size_t reach = gen_chance(&gen, 2) && out.len > 40 ? 40 : out.len;
            char *byte = &out.data[gen_below(&gen, reach)];
            const char before = *byte;
            const size_t len = gen_chance(&gen, 4) ? (size_t)gen_below(&gen, out.len) : out.len;
            char *copy = mem_alloc(len + 1);

            *byte = (char)(*byte ^ (1 << gen_below(&gen, 8)));
            memcpy(copy, out.data, len); /* exactly sized, for the address sanitizer */
            if (postings_decode(slice_of(copy, len), ID_END, &got) == ERR_OK) {
                const uint32_t *list;
                struct arena arena;
                uint32_t list_count;

                arena_init(&arena, NULL, 0);
                check_err(ERR_OK, postings_ids(got, &arena, &list, &list_count));
                for (uint32_t j = 0; j < list_count; j++) {
                    assert_true(list[j] < ID_END);
                    assert_true(j == 0 || list[j] > list[j - 1]);
                }
                arena_fini(&arena);
                postings_free(got);
            }
            mem_free(copy);
            *byte = before;
        }
    }
    buf_fini(&out);
    mem_free(ids);
}

static void test_sets(void **state)
{
    static const uint32_t a_ids[] = {1, 2, 3, 70000, 200000};
    static const uint32_t b_ids[] = {2, 3, 4, 200000};
    static const uint32_t and_ids[] = {2, 3, 200000};
    static const uint32_t or_ids[] = {1, 2, 3, 4, 70000, 200000};
    static const uint32_t not_ids[] = {1, 70000};
    struct postings *a;
    struct postings *b;
    struct postings *set;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    postings_encode(&out, a_ids, COUNT_OF(a_ids));
    check_err(ERR_OK, postings_decode(buf_slice(&out), ID_END, &a));
    buf_reset(&out);
    postings_encode(&out, b_ids, COUNT_OF(b_ids));
    check_err(ERR_OK, postings_decode(buf_slice(&out), ID_END, &b));
    set = postings_new_all(ID_END);
    assert_int_equal(ID_END, postings_count(set));
    postings_and(set, a);
    postings_and(set, b);
    check_ids(and_ids, COUNT_OF(and_ids), set);
    postings_or(set, a);
    postings_or(set, b);
    check_ids(or_ids, COUNT_OF(or_ids), set);
    postings_and_not(a, b);
    check_ids(not_ids, COUNT_OF(not_ids), a);
    postings_free(a);
    postings_free(b);
    postings_free(set);
    set = postings_new_all(0);
    assert_int_equal(0, postings_count(set));
    postings_free(set);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
