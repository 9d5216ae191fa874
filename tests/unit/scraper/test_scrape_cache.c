/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/gen.h"

#include <stdio.h>
#include <string.h>

#include "scraper/scrape_cache.h"

static struct hash_key key;

static struct scrape_series *see(struct scrape_cache *cache, const char *text, uint64_t ref)
{
    struct scrape_series *series =
        scrape_cache_find(cache, METRIC_TYPE_GAUGE, slice_from_cstr(text));

    if (series == NULL)
        series = scrape_cache_add(cache, METRIC_TYPE_GAUGE, slice_from_cstr(text));
    series->ref = ref;
    series->seen_iter = cache->iter;
    series->is_pending = true;
    return series;
}

struct stale {
    uint64_t refs[64];
    uint32_t count;
};

static void on_stale(void *owner, struct scrape_series *series)
{
    struct stale *stale = owner;

    stale->refs[stale->count++] = series->ref;
}

static uint32_t stale_count(struct scrape_cache *cache, bool is_complete)
{
    struct stale stale = {0};

    scrape_cache_stale(cache, is_complete, on_stale, &stale);
    return stale.count;
}

static const struct scrape_cache_outcome good = {true, true}, failed = {true, false},
                                         lost = {false, true};

static void test_stale(void **state)
{
    struct scrape_cache cache;

    (void)state;
    scrape_cache_init(&cache, &key);
    see(&cache, "a", 1);
    see(&cache, "b", 2);
    assert_int_equal(stale_count(&cache, true), 0);
    scrape_cache_settle(&cache, good);
    see(&cache, "a", 1);
    assert_int_equal(stale_count(&cache, true), 1); /* b is gone */
    scrape_cache_settle(&cache, lost);              /* nothing of it was stored */
    see(&cache, "a", 1);
    assert_int_equal(stale_count(&cache, true), 1); /* so its marker is due again */
    scrape_cache_settle(&cache, good);
    assert_null(scrape_cache_find(&cache, METRIC_TYPE_GAUGE, SLICE("b")));
    assert_int_equal(stale_count(&cache, false), 1); /* a failed scrape ends all */
    scrape_cache_settle(&cache, failed);
    assert_int_equal(stale_count(&cache, false), 0); /* once */
    assert_non_null(scrape_cache_find(&cache, METRIC_TYPE_GAUGE, SLICE("a")));
    scrape_cache_fini(&cache);
}

/* One series under two texts is not gone while one of them is there. */
static void test_two_texts(void **state)
{
    struct scrape_cache cache;

    (void)state;
    scrape_cache_init(&cache, &key);
    see(&cache, "a{x=\"1\",y=\"2\"}", 1);
    scrape_cache_settle(&cache, good);
    see(&cache, "a{y=\"2\",x=\"1\"}", 1);
    assert_int_equal(stale_count(&cache, true), 0);
    scrape_cache_fini(&cache);
}

static void test_type_is_in_key(void **state)
{
    struct scrape_cache cache;

    (void)state;
    scrape_cache_init(&cache, &key);
    see(&cache, "a", 1);
    assert_null(scrape_cache_find(&cache, METRIC_TYPE_HISTOGRAM, SLICE("a")));
    scrape_cache_fini(&cache);
}

static void test_detach(void **state)
{
    struct scrape_cache cache;

    (void)state;
    scrape_cache_init(&cache, &key);
    see(&cache, "a", 1);
    see(&cache, "b", 2);
    scrape_cache_settle(&cache, good);
    scrape_cache_detach(&cache);
    assert_null(scrape_cache_find(&cache, METRIC_TYPE_GAUGE, SLICE("a")));
    see(&cache, "a", 1);
    assert_int_equal(stale_count(&cache, true), 1); /* b; a came back under the same ref */
    scrape_cache_settle(&cache, good);
    assert_int_equal(cache.count, 1);
    scrape_cache_fini(&cache);
}

/* Scrapes that fail with ever new series do not fill the memory. */
static void test_growth(void **state)
{
    struct scrape_cache cache;
    bool was_cut = false;

    (void)state;
    scrape_cache_init(&cache, &key);
    for (int i = 0; i < 3000; i++) {
        char text[32];

        snprintf(text, sizeof(text), "a%d", i);
        see(&cache, text, (uint64_t)i + 1);
        was_cut = scrape_cache_settle(&cache, failed) || was_cut;
        assert_true(cache.count <= 1001);
    }
    assert_true(was_cut);
    scrape_cache_fini(&cache);
}

/* Against a naive model: which of 16 series get a marker, over random scrapes. */
static void run_random(struct gen *gen)
{
    bool was[16] = {false};
    struct scrape_cache cache;

    scrape_cache_init(&cache, &key);
    for (int i = 0; i < 50; i++) {
        const bool is_complete = gen_below(gen, 4) != 0, is_stored = gen_below(gen, 4) != 0;
        bool is_there[16];
        uint32_t want = 0;

        for (uint32_t j = 0; j < 16; j++) {
            char text[8];

            is_there[j] = gen_below(gen, 3) != 0;
            snprintf(text, sizeof(text), "s%u", j);
            if (is_there[j])
                see(&cache, text, j + 1);
            want += was[j] && !(is_complete && is_there[j]);
        }
        if (stale_count(&cache, is_complete) != want)
            fail_msg("scrape %d: %u markers, not %u", i, stale_count(&cache, is_complete), want);
        scrape_cache_settle(&cache, (struct scrape_cache_outcome){is_stored, is_complete});
        for (uint32_t j = 0; is_stored && j < 16; j++)
            was[j] = is_complete && is_there[j];
    }
    scrape_cache_fini(&cache);
}

static void test_random(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    run_random(&gen);
}

int main(void)
{
    const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stale),          cmocka_unit_test(test_two_texts),
        cmocka_unit_test(test_type_is_in_key), cmocka_unit_test(test_detach),
        cmocka_unit_test(test_growth),         cmocka_unit_test(test_random),
    };

    hash_key_init(&key, seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
