/* SPDX-License-Identifier: Apache-2.0 */

/* The logs of a real Prometheus, snappy and zstd: all records are read, and every damaged byte is
 * noticed or ends the log. */
#include "promtsdb/prom_wal.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "golden.h"
#include "promtsdb/prom_record.h"

enum { TYPE_COUNT = 11 };

struct counts {
    unsigned records[TYPE_COUNT], entries[TYPE_COUNT];
    bool is_torn;
    enum err err;
};

static struct counts count_segment(struct slice bytes)
{
    struct counts counts = {.err = ERR_OK};
    struct prom_wal wal;
    struct slice bytes_of;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    prom_wal_init(&wal, bytes);
    while (counts.err == ERR_OK && prom_wal_next(&wal, &bytes_of)) {
        struct prom_record record;
        struct prom_entry entry;

        prom_record_init(&record, bytes_of);
        if (prom_record_is_known(&record))
            counts.records[record.type]++;
        while (prom_record_next(&record, &arena, &entry))
            counts.entries[record.type]++;
        counts.err = record.err;
        arena_reset(&arena);
    }
    if (counts.err == ERR_OK)
        counts.err = wal.err;
    counts.is_torn = wal.is_torn;
    prom_wal_fini(&wal);
    arena_fini(&arena);
    return counts;
}

static void add_folder(const char *folder, struct counts *sum)
{
    const struct golden_names names = golden_list(folder, 8);

    assert_true(names.count > 0);
    for (unsigned i = 0; i < names.count; i++) {
        char path[GOLDEN_PATH_SIZE];

        (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/%s", folder, names.items[i]);
        const struct slice file = golden_read(path);
        const struct counts counts = count_segment(file);
        check_err(ERR_OK, counts.err);
        assert_false(counts.is_torn);
        for (unsigned t = 0; t < TYPE_COUNT; t++) {
            sum->records[t] += counts.records[t];
            sum->entries[t] += counts.entries[t];
        }
        mem_free((void *)(size_t)file.data);
    }
}

static void test_golden(void **state)
{
    const struct golden_names checkpoints = golden_list("wal", 19);
    struct counts wal = {.err = ERR_OK}, wbl = {.err = ERR_OK}, checkpoint = {.err = ERR_OK};
    char folder[96];

    (void)state;
    add_folder("wal", &wal);
    add_folder("wbl", &wbl);
    assert_true(checkpoints.count > 0);
    (void)snprintf(folder, sizeof(folder), "wal/%s", checkpoints.items[checkpoints.count - 1]);
    add_folder(folder, &checkpoint);
    assert_true(wal.entries[PROM_RECORD_SAMPLES] > 100);
    assert_true(wal.entries[PROM_RECORD_TOMBSTONES] > 0);
    assert_true(wal.entries[PROM_RECORD_EXEMPLARS] > 0);
    assert_true(wal.entries[PROM_RECORD_HISTOGRAMS] > 20);
    assert_true(wal.entries[PROM_RECORD_FLOAT_HISTOGRAMS] > 20);
    assert_true(wal.entries[PROM_RECORD_CUSTOM_HISTOGRAMS] > 20);
    assert_true(wal.entries[PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS] > 20);
    assert_true(wbl.entries[PROM_RECORD_SAMPLES] > 40);
    assert_true(wbl.entries[PROM_RECORD_MARKERS] > 0);
    assert_true(checkpoint.entries[PROM_RECORD_SERIES] >= 11);
}

static void test_metadata(void **state)
{
    static const uint8_t bytes[] = {PROM_RECORD_METADATA,
                                    0x96,
                                    0x01,
                                    2,
                                    3,
                                    4,
                                    'U',
                                    'N',
                                    'I',
                                    'T',
                                    1,
                                    'B',
                                    4,
                                    'H',
                                    'E',
                                    'L',
                                    'P',
                                    2,
                                    'h',
                                    'i',
                                    4,
                                    'E',
                                    'L',
                                    'S',
                                    'E',
                                    0,
                                    7,
                                    0,
                                    0};
    struct prom_record record;
    struct prom_entry entry;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    prom_record_init(&record, slice_of(bytes, sizeof(bytes)));
    assert_true(prom_record_next(&record, &arena, &entry));
    assert_int_equal(150, entry.series_ref);
    assert_int_equal(METRIC_TYPE_GAUGE, entry.metadata.type);
    check_slice("B", entry.metadata.unit);
    check_slice("hi", entry.metadata.help);
    assert_true(prom_record_next(&record, &arena, &entry));
    assert_int_equal(7, entry.series_ref);
    assert_false(prom_record_next(&record, &arena, &entry));
    check_err(ERR_OK, record.err);
    prom_record_init(&record, slice_of(bytes, sizeof(bytes) - 6));
    assert_false(prom_record_next(&record, &arena, &entry));
    check_err(ERR_CORRUPT, record.err);
    /* Of a later version: known by its type alone. */
    prom_record_init(&record, SLICE("\x0cxyz"));
    assert_false(prom_record_is_known(&record));
    assert_false(prom_record_next(&record, &arena, &entry));
    check_err(ERR_OK, record.err);
    arena_fini(&arena);
}

/* A fragment, uncompressed. */
static size_t put_record(uint8_t *to, uint8_t type, const void *data, uint16_t len)
{
    to[0] = type;
    endian_put_u16be(to + 1, len);
    endian_put_u32be(to + 3, crc32c(0, data, len));
    memcpy(to + 7, data, len);
    return (size_t)len + 7;
}

static unsigned count_records(const uint8_t *bytes, size_t size, enum err *err, bool *is_torn)
{
    struct prom_wal wal;
    struct slice record;
    unsigned count = 0;

    prom_wal_init(&wal, slice_of(bytes, size));
    while (prom_wal_next(&wal, &record))
        count++;
    *err = wal.err;
    *is_torn = wal.is_torn;
    prom_wal_fini(&wal);
    return count;
}

static void test_tail(void **state)
{
    static uint8_t bytes[3 * PROM_WAL_PAGE_SIZE];
    enum err err;
    bool is_torn;

    (void)state;
    size_t size = put_record(bytes, 1, "one", 3);
    size += put_record(bytes + size, 2, "fir", 3);
    assert_int_equal(1, count_records(bytes, size, &err, &is_torn));
    check_err(ERR_OK, err);
    assert_true(is_torn); /* a first fragment and no last one */
    size += put_record(bytes + size, 4, "st", 2);
    assert_int_equal(2, count_records(bytes, size, &err, &is_torn));
    assert_false(is_torn);
    /* Cut anywhere in the last fragment: torn, and what is before it stays. */
    for (size_t cut = size - 8; cut < size; cut++) {
        assert_int_equal(1, count_records(bytes, cut, &err, &is_torn));
        check_err(ERR_OK, err);
        assert_true(is_torn);
    }
    /* The same damage with a page behind it is corruption. */
    (void)put_record(bytes + PROM_WAL_PAGE_SIZE, 1, "two", 3);
    bytes[8] ^= 1;
    assert_int_equal(0, count_records(bytes, PROM_WAL_PAGE_SIZE + 10, &err, &is_torn));
    check_err(ERR_CORRUPT, err);
    bytes[8] ^= 1;
    assert_int_equal(3, count_records(bytes, PROM_WAL_PAGE_SIZE + 10, &err, &is_torn));
    /* A last fragment without a first one. */
    (void)put_record(bytes, 4, "one", 3);
    assert_int_equal(0, count_records(bytes, size, &err, &is_torn));
    check_err(ERR_CORRUPT, err);
}

static void test_damaged(void **state)
{
    const struct golden_names names = golden_list("wal", 8);
    char path[GOLDEN_PATH_SIZE];
    unsigned noticed = 0, tried = 0;

    (void)state;
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/wal/%s", names.items[names.count - 1]);
    const struct slice file = golden_read(path);
    char *bytes = (char *)(size_t)file.data;
    const struct counts want = count_segment(file);
    check_err(ERR_OK, want.err);
    for (size_t i = 0; i < file.len; i++, tried++) {
        bytes[i] ^= 0x41;
        const struct counts got = count_segment(file);
        bytes[i] ^= 0x41;
        noticed += got.err != ERR_OK || got.is_torn;
    }
    assert_int_equal(tried, noticed);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
