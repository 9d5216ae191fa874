/* SPDX-License-Identifier: Apache-2.0 */
#include "remote_log_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/fault.h"

static void test_reads_what_was_written(void **state)
{
    struct log_fixture f;

    (void)state;
    log_fixture_open(&f, NULL);
    log_open(&f);
    for (uint64_t n = 0; n < 5000; n += 50)
        check_err(ERR_OK, log_append(&f, n, 50));
    const struct log_seen seen = log_read_from(&f, 1);
    check_err(ERR_END, seen.err);
    assert_int_equal(5000, seen.count);
    assert_int_equal(0, seen.lost + seen.unknown + seen.missing);
    assert_true(remote_log_seq_next(f.log) == 5001);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_reader_follows_the_writer(void **state)
{
    struct log_fixture f;
    struct remote_log_reader *reader;

    (void)state;
    log_fixture_open(&f, NULL);
    log_open(&f);
    reader = remote_log_reader_new(f.log, 1);
    for (uint64_t n = 0; n < 3000; n += 100) {
        check_err(ERR_OK, log_append(&f, n, 100));
        assert_int_equal(100, log_read_all(reader).count);
    }
    remote_log_reader_free(reader);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_goes_on_after_a_restart(void **state)
{
    struct log_fixture f;

    (void)state;
    log_fixture_open(&f, NULL);
    for (uint64_t n = 0; n < 4000; n += 500) {
        log_open(&f);
        assert_int_equal(n + 1, remote_log_seq_start(f.log));
        check_err(ERR_OK, log_append(&f, n, 500));
        assert_int_equal(n + 500, log_read_from(&f, 1).count);
        log_close(&f);
    }
    log_fixture_close(&f);
}

/* ---- harm ---- */

static void last_segment(const struct log_fixture *f, char path[512])
{
    DIR *dir = opendir(f->path);
    char best[256] = "";

    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strstr(entry->d_name, ".queue") != NULL && strcmp(entry->d_name, best) > 0)
            (void)snprintf(best, sizeof(best), "%s", entry->d_name);
    closedir(dir);
    (void)snprintf(path, 512, "%s/%s", f->path, best);
}

static long file_size(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;

    assert_non_null(file);
    assert_int_equal(0, fseek(file, 0, SEEK_END));
    size = ftell(file);
    fclose(file);
    return size;
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    int byte;

    assert_non_null(file);
    assert_int_equal(0, fseek(file, at, SEEK_SET));
    byte = fgetc(file);
    assert_int_equal(0, fseek(file, at, SEEK_SET));
    assert_int_not_equal(EOF, fputc(byte ^ 0x10, file));
    fclose(file);
}

static void test_cuts_a_torn_tail(void **state)
{
    struct log_fixture f;
    char path[512];
    FILE *file;

    (void)state;
    log_fixture_open(&f, NULL);
    log_open(&f);
    check_err(ERR_OK, log_append(&f, 0, 20));
    log_close(&f);
    last_segment(&f, path);
    const long size = file_size(path);
    file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(26, fwrite("NXRRthis is half a record.", 1, 26, file));
    fclose(file);
    log_open(&f);
    assert_int_equal(size, file_size(path));
    check_err(ERR_OK, log_append(&f, 20, 20));
    const struct log_seen seen = log_read_from(&f, 1);
    assert_int_equal(40, seen.count);
    assert_int_equal(0, seen.lost + seen.missing + seen.unknown);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_skips_and_counts_a_corrupt_middle(void **state)
{
    struct log_fixture f;
    char path[512];

    (void)state;
    /* Every place of a segment in turn: no more is lost than the record that is hit (10 items), or
     * with the first one the series that it defines. */
    for (long at = 0; at < 1500; at += 7) {
        struct log_seen seen;

        log_fixture_open(&f, NULL);
        log_open(&f);
        for (uint64_t n = 0; n < 100; n += 10)
            check_err(ERR_OK, log_append(&f, n, 10));
        log_close(&f);
        last_segment(&f, path);
        assert_true(file_size(path) > 1500);
        flip(path, at);
        log_open(&f);
        check_err(ERR_OK, log_append(&f, 100, 10));
        seen = log_read_from(&f, 1);
        check_err(ERR_END, seen.err);
        assert_int_equal(110, seen.count + seen.lost);
        assert_true(seen.lost == 0 || seen.lost == 10);
        assert_true(seen.lost == 10 || at < REMOTE_SEGMENT_HEADER_SIZE);
        assert_true(seen.next == 110);
        log_close(&f);
        log_fixture_close(&f);
    }
}

static void test_refuses_a_newer_version(void **state)
{
    struct err_info info = {{0}};
    uint8_t bytes[REMOTE_SEGMENT_HEADER_SIZE];
    struct remote_segment_header header = {.number = 1, .first_seq = 1};

    (void)state;
    remote_segment_header_put(bytes, &header);
    check_err(ERR_OK, remote_segment_header_get(slice_of(bytes, sizeof(bytes)), &header, &info));
    assert_int_equal(1, header.number);
    check_err(ERR_CORRUPT, remote_segment_header_get(slice_of(bytes, 20), &header, NULL));
    bytes[4] = REMOTE_RECORD_VERSION + 1;
    endian_put_u32le(bytes + sizeof(bytes) - 4, crc32c(0, bytes, sizeof(bytes) - 4));
    check_err(ERR_VERSION,
              remote_segment_header_get(slice_of(bytes, sizeof(bytes)), &header, &info));
    check_message("version 2", &info);
}

/* ---- bounds ---- */

static void settle(struct log_fixture *f)
{
    remote_log_trim(f->log);
    for (int i = 0; i < 2; i++)
        check_err(ERR_OK, log_append(f, 0, 0)); /* the second comes behind it in the write job */
}

static void test_removes_what_all_have_passed(void **state)
{
    struct remote_log_user slow = {.on_data = nobody_told}, quick = {.on_data = nobody_told};
    struct log_fixture f;

    (void)state;
    log_fixture_open(&f, NULL);
    log_open(&f);
    remote_log_leave(f.log, &f.keeper);
    remote_log_join(f.log, &slow, 1);
    remote_log_join(f.log, &quick, 1);
    for (uint64_t n = 0; n < 20000; n += 500)
        check_err(ERR_OK, log_append(&f, n, 500));
    remote_log_mark(f.log, &quick, 20001);
    settle(&f);
    assert_int_equal(20000, log_read_from(&f, 1).count);
    remote_log_mark(f.log, &slow, 15001);
    settle(&f);
    struct log_seen seen = log_read_from(&f, 15001);
    assert_true(seen.count >= 5000 && seen.count < 8000);
    assert_int_equal(0, seen.lost);
    assert_int_equal(20000, seen.next);
    remote_log_leave(f.log, &slow);
    remote_log_leave(f.log, &quick);
    settle(&f);
    assert_true(log_read_from(&f, 20001).count < 4000);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_drops_and_counts_the_oldest_over_the_bound(void **state)
{
    struct log_fixture f;
    struct log_seen seen;

    (void)state;
    log_fixture_open(&f, NULL);
    f.options.size_max = 64 << 10;
    log_open(&f);
    for (uint64_t n = 0; n < 50000; n += 500)
        check_err(ERR_OK, log_append(&f, n, 500));
    settle(&f);
    seen = log_read_from(&f, 1);
    assert_int_equal(50000, seen.count + seen.lost);
    assert_true(seen.lost > 20000);
    assert_int_equal(50000, seen.next);
    assert_int_equal(0, seen.missing + seen.unknown);
    log_close(&f);
    /* The same after a restart. */
    log_open(&f);
    assert_int_equal(seen.lost, log_read_from(&f, 1).lost);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_drops_what_is_too_old(void **state)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    struct log_fixture f;
    struct log_seen seen;

    (void)state;
    log_fixture_open(&f, NULL);
    f.options.age_ms_max = 30;
    log_open(&f);
    for (uint64_t n = 0; n < 10000; n += 500)
        check_err(ERR_OK, log_append(&f, n, 500));
    nanosleep(&pause, NULL);
    settle(&f);
    seen = log_read_from(&f, 1);
    assert_true(seen.count < 4000);
    assert_int_equal(10000, seen.count + seen.lost);
    log_close(&f);
    log_fixture_close(&f);
}

static void test_refuses_when_too_much_waits(void **state)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct log_fixture f;
    enum err err = ERR_OK;

    (void)state;
    log_fixture_open(&f, NULL);
    f.options.buffer_size_max = 1;
    log_open(&f);
    /* Faster than any disk: one of them finds the one before it still waiting. */
    for (int i = 0; i < 1000 && err == ERR_OK; i++) {
        struct remote_entry entry = {.kind = APPEND_FLOAT};

        err = remote_log_begin(f.log);
        if (err != ERR_OK)
            break;
        check_err(ERR_OK, remote_log_put(f.log, &f.series[0], &entry));
        remote_log_end(f.log, NULL);
    }
    check_err(ERR_FULL, err);
    for (int i = 0; i < 5000 && err == ERR_FULL; i++) {
        nanosleep(&pause, NULL);
        err = log_append(&f, 0, 1);
    }
    check_err(ERR_OK, err);
    log_close(&f);
    log_fixture_close(&f);
}

/* ---- faults ---- */

enum { FAULT_TXNS = 60, FAULT_ITEMS = 40 };

/* One life in which the nth call fails: what was answered is there, now and after a restart. False:
 * no call was left to fail. */
static bool run_with_fault(uint64_t nth)
{
    bool stored[FAULT_TXNS];
    struct log_fixture f;
    struct log_seen seen;
    uint64_t want = 0;
    bool fired;

    log_fixture_open(&f, NULL);
    f.options.segment_size = 2048;
    log_open(&f);
    check_err(ERR_OK, log_append(&f, 0, 1));
    fault_arm("remote.", nth);
    for (uint64_t i = 0; i < FAULT_TXNS; i++) {
        stored[i] = log_append(&f, 1 + i * FAULT_ITEMS, FAULT_ITEMS) == ERR_OK;
        want += stored[i] ? FAULT_ITEMS : 0;
    }
    fired = fault_fired_count() > 0;
    fault_disarm();
    assert_true(want >= (FAULT_TXNS - 1) * FAULT_ITEMS);
    seen = log_read_from(&f, 1);
    check_err(ERR_END, seen.err);
    assert_int_equal(want + 1, seen.count);
    assert_int_equal(0, seen.lost + seen.unknown);
    log_close(&f);
    log_open(&f);
    check_err(ERR_OK, log_append(&f, 1 + FAULT_TXNS * FAULT_ITEMS, 1));
    seen = log_read_from(&f, 1);
    assert_int_equal(want + 2, seen.count);
    assert_int_equal(0, seen.unknown);
    log_close(&f);
    log_fixture_close(&f);
    return fired;
}

static void test_each_call_fails_in_turn(void **state)
{
    uint64_t nth = 1;

    (void)state;
    while (run_with_fault(nth))
        nth++;
    assert_true(nth > 50);
}

static void test_each_call_of_a_start_fails_in_turn(void **state)
{
    struct log_fixture f;
    uint64_t nth = 1;
    bool fired = true;

    (void)state;
    log_fixture_open(&f, NULL);
    log_open(&f);
    for (uint64_t n = 0; n < 3000; n += 100)
        check_err(ERR_OK, log_append(&f, n, 100));
    log_close(&f);
    for (; fired; nth++) {
        struct err_info info = {{0}};
        enum err err;

        fault_arm("remote.", nth);
        err = remote_log_open(&f.options, &f.log, &info);
        fired = fault_fired_count() > 0;
        fault_disarm();
        if (err == ERR_OK) {
            assert_int_equal(3000, log_read_from(&f, 1).count);
            log_close(&f);
        } else {
            assert_true(fired && info.message[0] != '\0');
        }
    }
    assert_true(nth > 5);
    log_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_reader_follows_the_writer),
        cmocka_unit_test(test_goes_on_after_a_restart),
        cmocka_unit_test(test_cuts_a_torn_tail),
        cmocka_unit_test(test_skips_and_counts_a_corrupt_middle),
        cmocka_unit_test(test_refuses_a_newer_version),
        cmocka_unit_test(test_removes_what_all_have_passed),
        cmocka_unit_test(test_drops_and_counts_the_oldest_over_the_bound),
        cmocka_unit_test(test_drops_what_is_too_old),
        cmocka_unit_test(test_refuses_when_too_much_waits),
        cmocka_unit_test(test_each_call_fails_in_turn),
        cmocka_unit_test(test_each_call_of_a_start_fails_in_turn),
    };

    return cmocka_run_group_tests_name("remote_log", tests, NULL, NULL);
}
