/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <dirent.h>
#include <unistd.h>

#include "storage/checkpoint.h"

/* Bad bytes in the files that a start reads: it starts all the same, says so, and never has a
 * sample that was not written. */

enum { SERIES = 40, ROUNDS = 150, SAMPLES_MAX = 4096, PATH_SIZE = 1024 };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

static struct sample sample_of(unsigned i, int round)
{
    return (struct sample){t0 + round * 1000, (double)i * 1000 + round};
}

static void write_rounds(struct head_fixture *f, int from, int to)
{
    for (int round = from; round < to; round++) {
        struct append_txn *txn = txn_start(f, "t");

        for (unsigned i = 0; i < SERIES; i++)
            assert_int_equal(APPEND_OK, txn_put(f, txn, "t", i, sample_of(i, round)));
        assert_int_equal(SERIES, txn_finish(f, txn).counts[APPEND_OK]);
    }
}

/* Samples of each series are some of those that were written, in order, unaltered. Returns how many
 * there are. */
static size_t check_subset(struct head_fixture *f)
{
    static struct sample got[SAMPLES_MAX];
    size_t total = 0;

    for (unsigned i = 0; i < SERIES; i++) {
        const size_t count = read_series(f, "t", i, got, SAMPLES_MAX);

        total += count;
        for (size_t k = 0; k < count; k++) {
            const struct sample want = sample_of(i, (int)((got[k].t_ms - t0) / 1000));

            assert_true(k == 0 || got[k].t_ms > got[k - 1].t_ms);
            assert_true(got[k].t_ms == want.t_ms && got[k].v == want.v);
        }
    }
    return total;
}

/* The path of the file with the greatest name that contains `part`. */
static void find_file(const struct head_fixture *f, const char *part, char path[PATH_SIZE])
{
    DIR *dir = opendir(f->dir.path);
    const struct dirent *entry;
    char best[256] = "";

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, part) != NULL && strcmp(entry->d_name, best) > 0)
            (void)snprintf(best, sizeof(best), "%s", entry->d_name);
    closedir(dir);
    assert_true(best[0] != '\0');
    (void)snprintf(path, PATH_SIZE, "%s/%s", f->dir.path, best);
}

static long file_size(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;

    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    return size;
}

static void flip_bit(const char *path, long bit)
{
    FILE *file = fopen(path, "r+b");
    int byte;

    assert_non_null(file);
    fseek(file, bit / 8, SEEK_SET);
    byte = fgetc(file);
    fseek(file, bit / 8, SEEK_SET);
    fputc(byte ^ 1 << bit % 8, file);
    fclose(file);
}

/* Flips single bits of one file between a stop and a start. */
static void check_flips(const char *part, bool is_checkpoint)
{
    struct gen gen;

    GEN_EACH_SEED(&gen, 60)
    {
        struct head_fixture f;
        struct head_stats stats;
        char path[PATH_SIZE];
        long size;
        size_t total;

        fixture_open(&f);
        write_rounds(&f, 0, ROUNDS / 2);
        check_err(ERR_OK, head_checkpoint(f.head, NULL));
        write_rounds(&f, ROUNDS / 2, ROUNDS);
        check_err(ERR_OK, head_stop(f.head, 0));
        head_close(f.head);
        find_file(&f, part, path);
        size = file_size(path);
        if (!is_checkpoint && size > 16384)
            size = 16384; /* most flips in what is written */
        flip_bit(path, (long)gen_below(&gen, (uint64_t)size * 8));
        if (head_open(&f.options, &f.head, NULL) != ERR_OK) { /* a version that is not ours */
            fixture_env_close(&f);
            temp_dir_fini(&f.dir);
            continue;
        }
        total = check_subset(&f);
        head_get_stats(f.head, &stats);
        assert_true(total == SERIES * ROUNDS || stats.replay_corruptions > 0 ||
                    stats.replay_torn_tails > 0);
        write_rounds(&f, ROUNDS + 10, ROUNDS + 12);
        fixture_restart(&f);
        assert_true(check_subset(&f) >= total + 2 * SERIES || stats.replay_corruptions > 0);
        fixture_close(&f);
    }
}

static void test_checkpoint_flips(void **state)
{
    (void)state;
    check_flips("checkpoint.", true);
}

static void test_segment_flips(void **state)
{
    (void)state;
    check_flips(".wal", false);
}

static void test_cut_checkpoint(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20)
    {
        struct head_fixture f;
        struct head_stats stats;
        char path[PATH_SIZE];

        fixture_open(&f);
        write_rounds(&f, 0, ROUNDS);
        check_err(ERR_OK, head_checkpoint(f.head, NULL));
        check_err(ERR_OK, head_stop(f.head, 0));
        head_close(f.head);
        find_file(&f, "checkpoint.", path);
        assert_int_equal(0, truncate(path, (long)gen_below(&gen, (uint64_t)file_size(path))));
        fixture_head_open(&f);
        (void)check_subset(&f);
        head_get_stats(f.head, &stats);
        assert_true(stats.replay_corruptions > 0);
        fixture_close(&f);
    }
}

static void test_header(void **state)
{
    const struct checkpoint_header header = {.segment = 9, .seq = 100, .group = 50, .gen = 7};
    uint8_t bytes[CHECKPOINT_HEADER_SIZE];
    struct checkpoint_header got;

    (void)state;
    checkpoint_header_put(bytes, &header);
    check_err(ERR_OK, checkpoint_header_get(slice_of(bytes, sizeof(bytes)), &got, NULL));
    assert_int_equal(9, got.segment);
    assert_int_equal(100, got.seq);
    assert_int_equal(50, got.group);
    assert_int_equal(7, got.gen);
    for (unsigned bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        check_err(ERR_CORRUPT, checkpoint_header_get(slice_of(bytes, sizeof(bytes)), &got, NULL));
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_checkpoint_flips),
        cmocka_unit_test(test_segment_flips),
        cmocka_unit_test(test_cut_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
