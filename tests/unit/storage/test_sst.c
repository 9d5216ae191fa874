/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/env_real.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/sst.h"
#include "support/gen.h"
#include "support/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct env env;
    struct sst_door *door;
    char path[TEMP_DIR_PATH_SIZE + 16];
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    f->door = sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    (void)snprintf(f->path, sizeof(f->path), "%s/table.sst", f->dir.path);
}

static void fixture_fini(struct fixture *f)
{
    sst_door_free(f->door);
    temp_dir_fini(&f->dir);
}

static struct slice key_of(char *text, uint32_t number)
{
    (void)snprintf(text, 16, "k%08u", number);
    return slice_of(text, 9);
}

static enum err write_table(struct fixture *f, uint32_t count, struct sst_sum *sum,
                            struct err_info *info)
{
    struct sst_writer *writer;
    enum err err = sst_writer_open(f->door, f->path, SST_DATA, &writer, info);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < count; i++) {
        char text[16];

        err = sst_writer_add(writer, key_of(text, i * 2), SLICE("a value of some length"), info);
        if (err != ERR_OK) {
            sst_writer_abort(writer);
            return err;
        }
    }
    return sst_writer_finish(writer, sum, info);
}

static void test_round_trip(void **state)
{
    struct sst_cache_stats stats;
    struct sst_reader *reader;
    struct err_info info = {0};
    struct sst_iter *iter;
    struct fixture f;
    struct sst_sum sum;
    char text[16];

    (void)state;
    fixture_init(&f);
    check_err_info(ERR_OK, write_table(&f, 5000, &sum, &info), &info);
    check_err_info(ERR_OK, sst_reader_open(f.door, f.path, &sum, &reader, &info), &info);
    check_err_info(ERR_OK, sst_reader_verify(reader, &info), &info);
    iter = sst_iter_new(reader);
    for (uint32_t i = 0; i < 9998; i += 7) {
        assert_true(sst_iter_seek(iter, key_of(text, i)));
        const uint32_t want = (i + 1) / 2 * 2;
        assert_true(slice_eq(key_of(text, want), sst_iter_key(iter)));
        check_slice("a value of some length", sst_iter_value(iter));
    }
    assert_false(sst_iter_seek(iter, key_of(text, 9999)));
    check_err(ERR_OK, sst_iter_err(iter, NULL));
    assert_false(sst_iter_next(iter));
    assert_true(sst_iter_seek(iter, SLICE("")));
    for (uint32_t i = 1; i < 5000; i++)
        assert_true(sst_iter_next(iter));
    assert_false(sst_iter_next(iter));
    check_err(ERR_OK, sst_iter_err(iter, NULL));
    sst_iter_free(iter);
    stats = sst_door_cache_stats(f.door);
    assert_true(stats.size_bytes > 0);
    assert_true(stats.misses > 0);
    assert_true(stats.hits > 0);
    sst_reader_close(reader);
    fixture_fini(&f);
}

static void test_refusals(void **state)
{
    struct sst_reader *reader;
    struct sst_writer *writer;
    struct err_info info = {0};
    struct fixture f;
    struct sst_sum sum;

    (void)state;
    fixture_init(&f);
    check_err(ERR_OK, write_table(&f, 10, &sum, NULL));
    check_err(ERR_EXISTS, sst_writer_open(f.door, f.path, SST_DATA, &writer, &info));
    check_message("table.sst", &info);
    struct sst_sum other = sum;
    other.size_bytes++;
    info.message[0] = '\0';
    check_err(ERR_CORRUPT, sst_reader_open(f.door, f.path, &other, &reader, &info));
    check_message("bytes", &info);
    other = sum;
    other.tail_crc++;
    info.message[0] = '\0';
    check_err(ERR_CORRUPT, sst_reader_open(f.door, f.path, &other, &reader, &info));
    check_message("tail", &info);
    other = sum;
    other.crc++;
    info.message[0] = '\0';
    check_err(ERR_OK, sst_reader_open(f.door, f.path, &other, &reader, &info));
    check_err(ERR_CORRUPT, sst_reader_verify(reader, &info));
    sst_reader_close(reader);
    check_err(ERR_NOT_FOUND, sst_reader_open(f.door, "/nosuch", &sum, &reader, NULL));
    check_err(ERR_OK, f.env.fs->unlink(&f.env, f.path));
    check_err(ERR_OK, sst_writer_open(f.door, f.path, SST_INDEX, &writer, NULL));
    sst_writer_abort(writer);
    fixture_fini(&f);
}

/* Bytes that are no table, with a sum that fits them: an error, whatever they are. */
static void test_noise(void **state)
{
    struct sst_sum good;
    struct fixture f;
    struct gen gen;

    (void)state;
    fixture_init(&f);
    check_err(ERR_OK, write_table(&f, 300, &good, NULL));
    FILE *file = fopen(f.path, "rb");
    char *bytes = mem_alloc(good.size_bytes);
    assert_non_null(file);
    assert_int_equal(good.size_bytes, fread(bytes, 1, good.size_bytes, file));
    (void)fclose(file);
    gen_init(&gen, 6);
    for (int i = 0; i < 400; i++) {
        const size_t at = (size_t)gen_below(&gen, good.size_bytes - 53); /* not the footer */
        const char before = bytes[at];
        struct sst_sum sum = good;
        struct sst_reader *reader;
        struct sst_door *door =
            sst_door_new(&f.env, (struct sst_door_options){.cache_size_bytes = 1 << 16});

        bytes[at] = (char)(before ^ (1 << gen_below(&gen, 8)));
        file = fopen(f.path, "wb");
        assert_int_equal(good.size_bytes, fwrite(bytes, 1, good.size_bytes, file));
        (void)fclose(file);
        const size_t tail = sum.size_bytes < SST_TAIL_SIZE_MAX ? sum.size_bytes : SST_TAIL_SIZE_MAX;
        /* A sum of the damaged bytes, so that the table's own checksums are all there is. */
        sum.tail_crc = crc32c(0, bytes + sum.size_bytes - tail, tail);
        if (sst_reader_open(door, f.path, &sum, &reader, NULL) == ERR_OK) {
            struct sst_iter *iter = sst_iter_new(reader);
            uint32_t count = 0;

            for (bool more = sst_iter_seek(iter, SLICE("")); more; more = sst_iter_next(iter))
                count++;
            assert_true(count == 300 || sst_iter_err(iter, NULL) == ERR_CORRUPT);
            sst_iter_free(iter);
            sst_reader_close(reader);
        }
        sst_door_free(door);
        bytes[at] = before;
    }
    mem_free(bytes);
    fixture_fini(&f);
}

static void test_faults(void **state)
{
    struct fixture f;
    struct sst_sum sum;
    uint64_t nth = 1;

    (void)state;
    fixture_init(&f);
    for (;; nth++) {
        struct err_info info = {0};

        fault_arm("sst.", nth);
        const enum err err = write_table(&f, 100, &sum, &info);
        const bool fired = fault_fired_count() > 0;
        fault_disarm();
        if (!fired) {
            check_err(ERR_OK, err);
            break;
        }
        check_err(ERR_IO, err);
        check_message("table.sst", &info);
        (void)f.env.fs->unlink(&f.env, f.path);
    }
    assert_true(nth > 3);
    for (nth = 1;; nth++) {
        struct sst_reader *reader = NULL;

        fault_arm("sst.", nth);
        enum err err = sst_reader_open(f.door, f.path, &sum, &reader, NULL);
        if (err == ERR_OK) {
            struct sst_iter *iter = sst_iter_new(reader);

            if (!sst_iter_seek(iter, SLICE("k")))
                err = sst_iter_err(iter, NULL);
            sst_iter_free(iter);
        }
        const bool fired = fault_fired_count() > 0;
        fault_disarm();
        sst_reader_close(reader);
        check_err(fired ? ERR_IO : ERR_OK, err);
        if (!fired)
            break;
    }
    assert_true(nth > 2);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
