/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <sys/stat.h>

/* A log and a checkpoint that format version 1 wrote are read for ever. GOLDEN_WRITE=1 writes them
 * anew: with a new version, into a new folder. */

enum { SERIES = 6, ROUNDS = 20, SAMPLES_MAX = 256, PATH_SIZE = 1024 };

#define GOLDEN_DIR NARTHEX_TEST_DATA "/../golden/storage/wal_v1"

static const char *const files[] = {"checkpoint.0000000002", "0000000002.wal"};

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

static struct sample sample_of(unsigned i, int round)
{
    return (struct sample){t0 + round * 15000 + (int64_t)i,
                           i == 0 ? round : (double)round * 0.25 / (i + 1)};
}

static void write_rounds(struct head_fixture *f, int from, int to)
{
    for (int round = from; round < to; round++) {
        struct append_txn *txn = txn_start(f, "anonymous");

        for (unsigned i = 0; i < SERIES; i++)
            assert_int_equal(APPEND_OK, txn_put(f, txn, "anonymous", i, sample_of(i, round)));
        assert_int_equal(SERIES, txn_finish(f, txn).counts[APPEND_OK]);
    }
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
    char path[PATH_SIZE], bytes[8192];
    FILE *from, *to;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", from_dir, name);
    from = fopen(path, "rb");
    assert_non_null(from);
    (void)snprintf(path, sizeof(path), "%s/%s", to_dir, name);
    to = fopen(path, "wb");
    assert_non_null(to);
    while ((size = fread(bytes, 1, sizeof(bytes), from)) > 0)
        assert_int_equal(size, fwrite(bytes, 1, size, to));
    fclose(from);
    assert_int_equal(0, fclose(to));
}

/* The first segment is in the checkpoint, the second lies behind it. */
static void write_golden(struct head_fixture *f)
{
    write_rounds(f, 0, ROUNDS / 2);
    check_err(ERR_OK, head_checkpoint(f->head, NULL));
    write_rounds(f, ROUNDS / 2, ROUNDS);
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    (void)mkdir(GOLDEN_DIR, 0777);
    for (size_t i = 0; i < COUNT_OF(files); i++)
        copy_file(f->dir.path, GOLDEN_DIR, files[i]);
    fixture_head_open(f);
}

static void fixture_small(struct head_fixture *f)
{
    fixture_open(f);
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    f->options.wal_segment_size = 4096;
}

static void test_version_1(void **state)
{
    static struct sample got[SAMPLES_MAX];
    struct head_fixture f;
    struct head_stats stats;

    (void)state;
    fixture_small(&f);
    if (getenv("GOLDEN_WRITE") != NULL) {
        fixture_head_open(&f);
        write_golden(&f);
        fixture_close(&f);
        fixture_small(&f);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++)
        copy_file(GOLDEN_DIR, f.dir.path, files[i]);
    fixture_head_open(&f);
    head_get_stats(f.head, &stats);
    assert_int_equal(0, stats.replay_corruptions);
    assert_int_equal(SERIES, stats.series);
    assert_int_equal(SERIES * ROUNDS, stats.samples);
    for (unsigned i = 0; i < SERIES; i++) {
        struct sample want[ROUNDS];

        for (int round = 0; round < ROUNDS; round++)
            want[round] = sample_of(i, round);
        check_samples(want, ROUNDS, got, read_series(&f, "anonymous", i, got, SAMPLES_MAX));
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version_1)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
