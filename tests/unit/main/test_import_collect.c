/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_collect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"

enum { SERIES_COUNT = 300, SAMPLE_COUNT = 100, STEP_MS = 1000 };

struct feeding {
    struct import_collect *collect;
    uint32_t ids[SERIES_COUNT];
    unsigned rounds;
};

static const struct histogram_span span = {0, 2};
static const int64_t deltas[] = {3, -1};

static struct prom_sample sample_of(uint32_t series, uint32_t i, const struct histogram *h)
{
    struct prom_sample sample = {.t_ms = (int64_t)i * STEP_MS, .v = (double)(series * i) / 7};

    if (series % 10 == 0) {
        sample.kind = SAMPLE_HISTOGRAM;
        sample.histogram = h;
    }
    return sample;
}

/* Series in no order; one sample in ten comes late, and each late one comes twice. */
static enum err feed(void *owner, struct err_info *info)
{
    struct feeding *feeding = owner;
    const struct histogram h = {.schema = 1,
                                .i = {.count = 5, .positive_deltas = deltas},
                                .positive_spans = &span,
                                .positive_span_count = 1,
                                .positive_count = 2};

    (void)info;
    feeding->rounds++;
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++)
        for (uint32_t s = 0; s < SERIES_COUNT; s++) {
            const struct prom_sample sample = sample_of(s, i, &h);

            if (i % 10 != 5)
                import_collect_add(feeding->collect, feeding->ids[s], &sample);
            else
                for (unsigned twice = 0; twice < 2; twice++)
                    import_collect_add_late(feeding->collect, feeding->ids[s], &sample);
            import_collect_add(feeding->collect, feeding->ids[s], &sample); /* not newer */
        }
    return ERR_OK;
}

static void check_memory(uint64_t memory_max, unsigned rounds_min, unsigned rounds_max)
{
    struct import import = {.tenant = SLICE("t"), .memory_max = memory_max};
    struct feeding feeding = {.collect = import_collect_new(memory_max)};
    const struct import_collect_source source = {
        .name = "test", .key = SLICE("key"), .feed = feed, .owner = &feeding};

    for (uint32_t s = 0; s < SERIES_COUNT; s++) {
        char text[16];
        uint32_t again;

        (void)snprintf(text, sizeof(text), "%u", (s * 7919) % SERIES_COUNT);
        const struct label label = {SLICE("n"), slice_from_cstr(text)};
        const struct label_set labels = {&label, 1};
        check_err(ERR_OK, import_collect_series(feeding.collect, labels, &feeding.ids[s]));
        check_err(ERR_OK, import_collect_series(feeding.collect, labels, &again));
        assert_int_equal(feeding.ids[s], again);
    }
    import_collect_delete(feeding.collect, feeding.ids[3], 0, 9 * STEP_MS);
    import_collect_note(feeding.collect, 0);
    import_collect_note(feeding.collect, (SAMPLE_COUNT - 1) * STEP_MS);
    import_collect_seal(feeding.collect);
    const int error = dup(STDERR_FILENO), null_fd = open("/dev/null", O_WRONLY);
    dup2(null_fd, STDERR_FILENO);
    import_collect_put(&import, feeding.collect, &source);
    dup2(error, STDERR_FILENO);
    close(error);
    close(null_fd);
    assert_int_equal(0, import.counts.faults);
    assert_int_equal(1, import.counts.blocks);
    assert_int_equal(SERIES_COUNT, import.counts.series);
    assert_int_equal(SERIES_COUNT * SAMPLE_COUNT - 10, import.counts.samples);
    assert_int_equal(SERIES_COUNT / 10 * SAMPLE_COUNT, import.counts.histograms);
    assert_in_range(feeding.rounds, rounds_min, rounds_max);
    import_collect_free(feeding.collect);
}

/* What does not fit in one round comes in the next ones; nothing is lost or doubled. */
static void test_rounds(void **state)
{
    (void)state;
    check_memory(UINT64_C(1) << 30, 1, 1);
    check_memory(200000, 3, 100);
    check_memory(1, SERIES_COUNT, SERIES_COUNT);
}

static void test_days(void **state)
{
    static const int64_t times[] = {-1, IMPORT_DAY_MS, 0, 3 * (int64_t)IMPORT_DAY_MS + 5, 1, -1};
    static const int64_t want[] = {-1, 0, 1, 3};
    struct import_days days = {NULL, 0, 0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(times); i++)
        import_days_add(&days, import_day(times[i]));
    assert_int_equal(COUNT_OF(want), days.count);
    assert_memory_equal(want, days.items, sizeof(want));
    import_days_fini(&days);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
