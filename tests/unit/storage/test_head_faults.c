/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <time.h>

#include "base/fault.h"

/* Every fallible call of log and checkpoint fails in turn: what was answered with ok is there, what
 * was refused is not, then and after a crash. */

enum { TXNS = 60, SERIES = 5, SAMPLES_MAX = 4096, POINTS_MAX = 400 };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

enum fate { NOT_BEGUN, STORED, FAILED };

static void write_all(struct head_fixture *f, enum fate *fates)
{
    const struct append_options options = {.tenant = SLICE("t")};

    for (int n = 0; n < TXNS; n++) {
        struct append_txn *txn;
        struct append_result result;

        fates[n] = NOT_BEGUN;
        if (n % 10 == 9)
            head_maintain(f->head);
        if (n == 25 || n == 45)
            (void)(head_checkpoint(f->head, NULL) == ERR_OK);
        if (appender_begin(head_appender(f->head), &options, &txn, NULL) != ERR_OK)
            continue;
        for (unsigned i = 0; i < SERIES; i++)
            (void)txn_put(f, txn, "t", i + (unsigned)n / 20, (struct sample){t0 + n * 1000, n});
        result = txn_finish(f, txn);
        fates[n] = result.err == ERR_OK ? STORED : FAILED;
        assert_int_equal(result.err == ERR_OK ? SERIES : 0, result.stored[APPEND_FLOAT]);
        assert_true(result.err == ERR_OK || result.retryable);
    }
}

static void check_all(struct head_fixture *f, const enum fate *fates)
{
    static struct sample got[SAMPLES_MAX];
    struct sample want[TXNS];

    for (unsigned i = 0; i < SERIES + TXNS / 20; i++) {
        size_t count = 0;

        for (int n = 0; n < TXNS; n++)
            if (fates[n] == STORED && i >= (unsigned)n / 20 && i < (unsigned)n / 20 + SERIES)
                want[count++] = (struct sample){t0 + n * 1000, n};
        check_samples(want, count, got, read_series(f, "t", i, got, SAMPLES_MAX));
    }
}

/* Until writes are taken again. */
static void wait_mended(struct head_fixture *f)
{
    const struct append_options options = {.tenant = SLICE("t")};
    const struct timespec pause = {.tv_nsec = 1000000};
    struct append_txn *txn;

    for (int i = 0; i < 5000; i++) {
        if (appender_begin(head_appender(f->head), &options, &txn, NULL) == ERR_OK) {
            append_abort(txn);
            return;
        }
        head_maintain(f->head);
        nanosleep(&pause, NULL);
    }
    fail_msg("the log stays broken");
}

static void fixture_small(struct head_fixture *f)
{
    fixture_open(f);
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    f->options.wal_segment_size = 4096; /* so that segments follow one another */
    fixture_head_open(f);
}

static void run(struct head_fixture *f)
{
    enum fate fates[TXNS];

    write_all(f, fates);
    fault_disarm();
    check_all(f, fates);
    wait_mended(f);
    fixture_crash(f);
    check_all(f, fates);
    (void)put_one(f, "t", 99, (struct sample){t0 + TXNS * 1000, 1});
    fixture_restart(f);
    check_all(f, fates);
}

static void test_each_call_fails_once(void **state)
{
    static const char *const points[] = {"wal.", "checkpoint."};

    (void)state;
    for (size_t p = 0; p < COUNT_OF(points); p++) {
        uint64_t n = 0, fired = 1;

        while (fired > 0 && n < POINTS_MAX) {
            struct head_fixture f;

            n += n < 60 ? 1 : 7; /* later calls repeat the earlier ones */
            fixture_small(&f);
            fault_arm(points[p], n);
            run(&f);
            fired = fault_fired_count();
            fixture_close(&f);
        }
        assert_int_equal(0, fired);
        assert_true(n > 3);
    }
}

static void test_calls_fail_at_random(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 60)
    {
        struct head_fixture f;

        fixture_small(&f);
        fault_arm_random("", (uint32_t)gen_below(&gen, 300), gen.seed);
        run(&f);
        fixture_close(&f);
    }
}

/* What a start reads may fail too: then it says so, and the next start has all. */
static void test_start_fails_in_turn(void **state)
{
    struct head_fixture f;
    enum fate fates[TXNS];
    uint64_t n = 0;
    enum err err;

    (void)state;
    fixture_small(&f);
    write_all(&f, fates);
    do {
        check_err(ERR_OK, head_stop(f.head, 0));
        head_close(f.head);
        fault_arm("", ++n);
        err = head_open(&f.options, &f.head, NULL);
        if (err != ERR_OK) {
            fault_disarm();
            fixture_head_open(&f);
        }
        fault_disarm();
        check_all(&f, fates);
    } while (err != ERR_OK || n < 10);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails_once),
        cmocka_unit_test(test_calls_fail_at_random),
        cmocka_unit_test(test_start_fails_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
