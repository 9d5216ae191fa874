/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"
#include "storage/head_index.h"

/* The label index against a list of label sets. */

enum { SERIES_MAX = 400 };

struct naive {
    struct test_series series[SERIES_MAX];
    uint32_t ids[SERIES_MAX][4];
    bool is_in[SERIES_MAX];
};

static const char *const regexes[] = {"1.*", ".*", ".+", "a|b", "i-1|i-2|nothing", "", "i-[0-4]"};
static const char *const names[] = {"__name__", "instance", "job", "series", "absent"};
static const char *const values[] = {"metric_1", "metric_2", "i-3", "a", "b", "17", ""};

static void make_matcher(struct gen *gen, struct arena *arena, struct matcher *matcher)
{
    const enum matcher_type type = (enum matcher_type)gen_below(gen, 4);
    const bool is_regex = type == MATCHER_REGEX || type == MATCHER_NOT_REGEX;
    const char *value = is_regex ? regexes[gen_below(gen, COUNT_OF(regexes))]
                                 : values[gen_below(gen, COUNT_OF(values))];
    const struct matcher_spec spec = {type, slice_from_cstr(names[gen_below(gen, COUNT_OF(names))]),
                                      slice_from_cstr(value)};
    struct err_info info = {{0}};

    check_err_info(ERR_OK, matcher_init(matcher, arena, &spec, &info), &info);
}

static void check_select(struct head_index *index, const struct naive *naive, struct gen *gen)
{
    struct matcher matchers[4];
    struct head_slots slots;
    struct arena arena;
    uint32_t at = 0;
    const uint32_t count = (uint32_t)gen_below(gen, COUNT_OF(matchers));

    arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < count; i++)
        make_matcher(gen, &arena, &matchers[i]);
    check_err(ERR_OK,
              head_index_select(index, &arena, (struct matcher_list){matchers, count}, &slots));
    for (uint32_t slot = 0; slot < SERIES_MAX; slot++) {
        if (!naive->is_in[slot] || !matcher_matches_set(matchers, count, naive->series[slot].set))
            continue;
        assert_true(at < slots.count);
        assert_int_equal(slot, slots.items[at++]);
    }
    assert_int_equal(at, slots.count);
    assert_true(head_index_estimate(index, (struct matcher_list){matchers, count}) >= at);
    arena_fini(&arena);
}

static void check_labels(struct head_index *index, const struct naive *naive)
{
    for (uint32_t slot = 0; slot < SERIES_MAX; slot++) {
        const struct label_set set = naive->series[slot].set;
        const struct head_pair *pairs[4];

        if (!naive->is_in[slot])
            continue;
        head_index_get_pairs(index, naive->ids[slot], set.count, pairs);
        for (uint32_t i = 0; i < set.count; i++) {
            assert_true(slice_eq(set.items[i].name, head_pair_label(pairs[i]).name));
            assert_true(slice_eq(set.items[i].value, head_pair_label(pairs[i]).value));
        }
    }
}

static void test_against_list(void **state)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {3};
    static struct naive naive;
    struct hash_key key;
    struct gen gen;

    (void)state;
    hash_key_init(&key, seed);
    for (unsigned i = 0; i < SERIES_MAX; i++)
        (void)series_make(&naive.series[i], i);
    GEN_EACH_SEED(&gen, 20)
    {
        struct head_index index;

        head_index_init(&index, &key);
        memset(naive.is_in, 0, sizeof(naive.is_in));
        for (int step = 0; step < 1500; step++) {
            const uint32_t slot = (uint32_t)gen_below(&gen, SERIES_MAX);
            const struct label_set set = naive.series[slot].set;

            if (naive.is_in[slot])
                head_index_free_pairs(head_index_remove(&index, naive.ids[slot], set.count, slot));
            else
                head_index_add(&index, set, slot, naive.ids[slot]);
            naive.is_in[slot] = !naive.is_in[slot];
            if (step % 20 == 0)
                check_select(&index, &naive, &gen);
            if (step % 300 == 0)
                check_labels(&index, &naive);
        }
        for (uint32_t slot = 0; slot < SERIES_MAX; slot++)
            if (naive.is_in[slot])
                head_index_free_pairs(
                    head_index_remove(&index, naive.ids[slot], naive.series[slot].set.count, slot));
        assert_int_equal(0, atomic_load(&index.pair_count));
        head_index_fini(&index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_list)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
