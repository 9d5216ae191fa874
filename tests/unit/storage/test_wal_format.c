/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "storage/head_record.h"
#include "storage/wal_format.h"
#include "support/check.h"
#include "support/gen.h"

enum { SEGMENT_SIZE = 1 << 14, RECORDS_MAX = 64 };

struct record {
    struct wal_entry entry;
    uint64_t offset;
    char payload[256];
};

struct segment {
    uint8_t bytes[SEGMENT_SIZE];
    struct record records[RECORDS_MAX];
    uint32_t count;
    uint64_t end;
};

static void segment_make(struct segment *segment, struct gen *gen)
{
    const struct wal_header header = {.segment = 3, .prev_segment = 2, .prev_end = 4096};
    uint64_t group = 10;
    uint32_t left = 0;

    memset(segment, 0, sizeof(*segment));
    wal_header_put(segment->bytes, &header);
    segment->end = WAL_HEADER_SIZE;
    segment->count = 10 + (uint32_t)gen_below(gen, RECORDS_MAX - 10);
    for (uint32_t i = 0; i < segment->count; i++) {
        struct record *record = &segment->records[i];

        if (left == 0) {
            left = 1 + (uint32_t)gen_below(gen, 4);
            left = left > segment->count - i ? segment->count - i : left;
            group++;
        }
        gen_bytes(gen, record->payload, sizeof(record->payload));
        record->entry = (struct wal_entry){
            .seq = 100 + i,
            .group = group,
            .group_left = --left,
            .kind = gen_chance(gen, 2) ? WAL_SERIES : WAL_SAMPLES,
            .payload = slice_of(record->payload, 1 + gen_below(gen, sizeof(record->payload)))};
        record->offset = segment->end;
        wal_record_put(segment->bytes + segment->end, &record->entry,
                       crc32c_slice(record->entry.payload));
        segment->end += wal_record_size(record->entry.payload.len);
    }
    assert_true(segment->end < SEGMENT_SIZE);
}

/* Scans; every record that comes must be the one that was written. Returns how many came. */
static uint32_t segment_scan(const struct segment *segment, uint64_t end, enum wal_scan_end *ended)
{
    struct wal_entry entry;
    struct wal_scan scan;
    uint32_t count = 0;

    wal_scan_init(&scan, slice_of(segment->bytes, SEGMENT_SIZE), end);
    scan.group = 10;
    while (wal_scan_next(&scan, &entry)) {
        const struct wal_entry *want = &segment->records[count].entry;

        assert_true(count < segment->count);
        assert_int_equal(want->seq, entry.seq);
        assert_int_equal(want->group, entry.group);
        assert_int_equal(want->kind, entry.kind);
        assert_true(slice_eq(want->payload, entry.payload));
        count++;
    }
    *ended = scan.ended;
    return count;
}

static void test_round_trip(void **state)
{
    static struct segment segment;
    struct wal_header header;
    enum wal_scan_end ended;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 200)
    {
        segment_make(&segment, &gen);
        check_err(ERR_OK, wal_header_get(slice_of(segment.bytes, WAL_HEADER_SIZE), &header, NULL));
        assert_int_equal(3, header.segment);
        assert_int_equal(2, header.prev_segment);
        assert_int_equal(4096, header.prev_end);
        assert_int_equal(segment.count, segment_scan(&segment, UINT64_MAX, &ended));
        assert_int_equal(WAL_SCAN_CLEAN, ended);
        assert_int_equal(segment.count, segment_scan(&segment, segment.end, &ended));
        assert_int_equal(WAL_SCAN_CLEAN, ended);
    }
}

/* A flipped bit never gives a wrong record, and is called corruption when a later group tells. */
static void test_flipped_bits(void **state)
{
    static struct segment segment;
    enum wal_scan_end ended;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20)
    {
        segment_make(&segment, &gen);
        for (int n = 0; n < 300; n++) {
            const uint32_t i = (uint32_t)gen_below(&gen, segment.count);
            const struct record *record = &segment.records[i];
            const uint64_t bit =
                gen_below(&gen, (WAL_RECORD_HEADER_SIZE + record->entry.payload.len) * 8);
            uint8_t *byte = &segment.bytes[record->offset + bit / 8];
            const bool told = segment.records[segment.count - 1].entry.group > record->entry.group;

            *byte = (uint8_t)(*byte ^ 1u << bit % 8);
            assert_int_equal(i, segment_scan(&segment, UINT64_MAX, &ended));
            assert_int_equal(told ? WAL_SCAN_CORRUPT : WAL_SCAN_TORN, ended);
            assert_int_equal(i, segment_scan(&segment, segment.end, &ended));
            assert_int_equal(WAL_SCAN_CORRUPT, ended);
            *byte = (uint8_t)(*byte ^ 1u << bit % 8);
        }
    }
}

/* The last group was being written when the power went: any of its 512-byte sectors may be missing.
 * That is a torn tail, and all before it is there. */
static void test_torn_tail(void **state)
{
    static struct segment segment, torn;
    enum wal_scan_end ended;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 300)
    {
        uint32_t first = 0;
        uint64_t from;

        segment_make(&segment, &gen);
        for (uint32_t i = 0; i < segment.count; i++)
            if (i == 0 || segment.records[i].entry.group != segment.records[i - 1].entry.group)
                first = i;
        torn = segment;
        from = segment.records[first].offset;
        for (uint64_t at = from; at < segment.end; at = (at / 512 + 1) * 512) {
            const uint64_t to =
                (at / 512 + 1) * 512 < segment.end ? (at / 512 + 1) * 512 : segment.end;

            if (gen_chance(&gen, 2))
                memset(&torn.bytes[at], 0, to - at);
        }
        assert_true(segment_scan(&torn, UINT64_MAX, &ended) >= first);
        assert_int_not_equal(WAL_SCAN_CORRUPT, ended);
    }
}

static void test_header_faults(void **state)
{
    const struct wal_header header = {.segment = 3, .prev_segment = 2, .prev_end = 4096};
    uint8_t bytes[WAL_HEADER_SIZE];
    struct wal_header got;

    (void)state;
    for (unsigned bit = 0; bit < WAL_HEADER_SIZE * 8; bit++) {
        wal_header_put(bytes, &header);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        check_err(ERR_CORRUPT, wal_header_get(slice_of(bytes, sizeof(bytes)), &got, NULL));
    }
    wal_header_put(bytes, &header);
    bytes[4]++; /* a newer version, with a good checksum */
    {
        const uint32_t crc = crc32c(0, bytes, 60);
        struct err_info info = {{0}};

        memcpy(bytes + 60, &crc, sizeof(crc));
        check_err(ERR_VERSION, wal_header_get(slice_of(bytes, sizeof(bytes)), &got, &info));
        check_message("version 2", &info);
    }
    check_err(ERR_CORRUPT, wal_header_get(slice_of(bytes, 63), &got, NULL));
}

/* ---- payloads ---- */

static void test_samples_round_trip(void **state)
{
    static struct head_entry want[1000];
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 300)
    {
        struct head_entry got[HEAD_RECORD_BATCH];
        struct head_record_writer writer;
        struct head_record_reader reader;
        const size_t count = gen_below(&gen, COUNT_OF(want));
        size_t read = 0;
        struct slice tenant;
        struct buf buf;
        unsigned n;

        buf_init(&buf, 1 << 20);
        const int64_t window_ms = gen_chance(&gen, 2) ? 0 : (int64_t)(gen_u64(&gen) >> 1);

        head_record_start_samples(&writer, &buf, SLICE("tenant"), window_ms);
        for (size_t i = 0; i < count; i++) {
            struct head_entry *entry = &want[i];

            *entry = (struct head_entry){.ref = {(uint32_t)gen_u64(&gen), (uint32_t)gen_u64(&gen)},
                                         .t_ms = (int64_t)gen_u64(&gen),
                                         .v_bits = sample_value_bits(gen_value(&gen))};
            if (i > 0 && !gen_chance(&gen, 3)) {
                const uint32_t step = gen_chance(&gen, 3) ? (uint32_t)gen_below(&gen, 3) : 1;

                entry->ref = want[i - 1].ref;
                entry->ref.slot += step;
                entry->ref.gen += step;
                entry->t_ms = want[i - 1].t_ms;
            }
            assert_non_null(buf_reserve(&buf, HEAD_RECORD_ENTRY_SIZE_MAX));
            buf.len += head_record_put_entry(&writer, buf.data + buf.len, entry);
        }
        check_err(ERR_OK, head_record_open_samples(&reader, buf_slice(&buf), &tenant));
        check_slice("tenant", tenant);
        assert_true(reader.out_of_order_ms == window_ms);
        while ((n = head_record_next(&reader, got)) > 0) {
            assert_true(read + n <= count);
            for (unsigned i = 0; i < n; i++, read++)
                assert_true(want[read].ref.slot == got[i].ref.slot &&
                            want[read].ref.gen == got[i].ref.gen &&
                            want[read].t_ms == got[i].t_ms && want[read].v_bits == got[i].v_bits);
        }
        check_err(ERR_OK, reader.err);
        assert_int_equal(count, read);
        buf_fini(&buf);
    }
}

static void test_series_round_trip(void **state)
{
    static struct head_record_series got;
    struct label labels[] = {{SLICE("__name__"), SLICE("up")}, {SLICE("job"), SLICE("node")}};
    const struct label_set set = {labels, 2};
    const struct head_ref ref = {70000, 12345};
    struct buf buf;

    (void)state;
    buf_init(&buf, 1 << 20);
    head_record_put_series(&buf, ref, SLICE("t"), set);
    check_err(ERR_OK, head_record_get_series(buf_slice(&buf), &got));
    assert_int_equal(70000, got.ref.slot);
    assert_int_equal(12345, got.ref.gen);
    check_slice("t", got.tenant);
    assert_true(label_set_eq(set, (struct label_set){got.labels, got.label_count}));
    for (size_t len = 0; len < buf.len; len++)
        check_err(ERR_CORRUPT, head_record_get_series(slice_of(buf.data, len), &got));
    buf_add_byte(&buf, 0);
    check_err(ERR_CORRUPT, head_record_get_series(buf_slice(&buf), &got));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),         cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_torn_tail),          cmocka_unit_test(test_header_faults),
        cmocka_unit_test(test_samples_round_trip), cmocka_unit_test(test_series_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
