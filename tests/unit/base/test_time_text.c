/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "base/buf.h"
#include "base/time_text.h"
#include "support/check.h"
#include "support/gen.h"

static void check_duration(const char *text, int64_t want, const char *printed)
{
    struct buf out;
    int64_t ms = -1;

    check_err(ERR_OK, time_text_parse_duration(slice_from_cstr(text), &ms, NULL));
    assert_int_equal(want, ms);
    buf_init(&out, 100);
    time_text_add_duration(&out, ms);
    check_slice(printed, buf_slice(&out));
    buf_fini(&out);
}

static void check_no_duration(const char *text, const char *message)
{
    struct err_info info = {{0}};
    int64_t ms = -1;

    check_err(ERR_BAD_INPUT, time_text_parse_duration(slice_from_cstr(text), &ms, &info));
    check_message(message, &info);
    assert_int_equal(-1, ms);
}

static void test_durations(void **state)
{
    (void)state;
    check_duration("0", 0, "0s");
    check_duration("0s", 0, "0s");
    check_duration("324ms", 324, "324ms");
    check_duration("3s", 3000, "3s");
    check_duration("90s", 90000, "1m30s");
    check_duration("5m", 300000, "5m");
    check_duration("1h", 3600000, "1h");
    check_duration("1h30m", 5400000, "1h30m");
    check_duration("4d1h", 349200000, "4d1h");
    check_duration("2w", 1209600000, "2w");
    check_duration("8d", 691200000, "8d");
    check_duration("3y", INT64_C(94608000000), "3y");
    check_duration("1y2w3d4h5m6s7ms", INT64_C(33019506007), "382d4h5m6s7ms");
    check_no_duration("", "empty duration string");
    check_no_duration("1", "not a valid duration string: \"1\"");
    check_no_duration("1s1m", "not a valid duration string");
    check_no_duration("1m1m", "not a valid duration string");
    check_no_duration("-1w", "not a valid duration string: \"-1w\"");
    check_no_duration("1.5d", "unknown unit \".\" in duration \"1.5d\"");
    check_no_duration("3min", "unknown unit \"min\" in duration \"3min\"");
    check_no_duration("1m2", "not a valid duration string: \"1m2\"");
    check_no_duration("d", "not a valid duration string");
    check_no_duration("293y", "duration out of range");
    check_no_duration("99999999999999999999y", "duration out of range");
}

static void check_rfc3339(const char *text, int64_t want_ns, const char *printed)
{
    struct buf out;
    int64_t ns = -1;

    check_err(ERR_OK, time_text_parse_rfc3339(slice_from_cstr(text), &ns, NULL));
    assert_int_equal(want_ns, ns);
    buf_init(&out, 100);
    time_text_add_rfc3339_ns(&out, ns);
    check_slice(printed, buf_slice(&out));
    buf_fini(&out);
}

static void test_rfc3339(void **state)
{
    static const char *const bad[] = {
        "",
        "2015-06-03",
        "2015-02-30T00:00:00Z",
        "2015-06-03T24:00:00Z",
        "2015-06-03T13:21:58",
        "2015-06-03T13:21:58.Z",
        "2015-06-03T13:21:58+0100",
        "2015-13-03T13:21:58Z",
        "2015-06-03 13:21:58Z",
        "9999-06-03T13:21:58Z",
    };
    int64_t ns;

    (void)state;
    check_rfc3339("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z");
    check_rfc3339("2015-06-03T13:21:58.555Z", INT64_C(1433337718555000000),
                  "2015-06-03T13:21:58.555Z");
    check_rfc3339("2015-06-03T14:21:58.5+01:00", INT64_C(1433337718500000000),
                  "2015-06-03T13:21:58.5Z");
    check_rfc3339("1969-12-31T23:59:59.999999999Z", -1, "1969-12-31T23:59:59.999999999Z");
    check_rfc3339("2000-02-29T00:00:00-00:30", INT64_C(951784200000000000), "2000-02-29T00:30:00Z");
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_err(ERR_BAD_INPUT, time_text_parse_rfc3339(slice_from_cstr(bad[i]), &ns, NULL));
}

static void check_timestamp(const char *text, int64_t want)
{
    int64_t ms = -1;

    check_err(ERR_OK, time_text_parse_timestamp(slice_from_cstr(text), &ms, NULL));
    assert_int_equal(want, ms);
}

static void test_api_times(void **state)
{
    struct err_info info = {{0}};
    int64_t ms;

    (void)state;
    check_timestamp("1543578564.705", INT64_C(1543578564705));
    check_timestamp("-1.5", -1500);
    check_timestamp("0.0006", 1);
    check_timestamp("2015-06-03T14:21:58.555+01:00", INT64_C(1433337718555));
    check_timestamp("292277025-08-18T07:12:54.999999999Z", INT64_C(9223372036854774999));
    check_timestamp("-292273086-05-16T16:47:06Z", -INT64_C(9223372036854774000));
    check_err(ERR_BAD_INPUT, time_text_parse_timestamp(SLICE("foo"), &ms, &info));
    check_message("cannot parse \"foo\" to a valid timestamp", &info);
    check_err(ERR_BAD_INPUT, time_text_parse_timestamp(SLICE("NaN"), &ms, NULL));
    check_err(ERR_BAD_INPUT, time_text_parse_timestamp(SLICE("1e300"), &ms, NULL));
    check_err(ERR_OK, time_text_parse_step(SLICE("123.456"), &ms, NULL));
    assert_int_equal(ms, 123456);
    check_err(ERR_OK, time_text_parse_step(SLICE("15s"), &ms, NULL));
    assert_int_equal(ms, 15000);
    info = (struct err_info){{0}};
    check_err(ERR_BAD_INPUT, time_text_parse_step(SLICE("1e30"), &ms, &info));
    check_message("cannot parse \"1e30\" to a valid duration. It overflows int64", &info);
}

/* Against the C library's calendar. */
static void test_civil(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 5000)
    {
        const time_t seconds = gen_between(&gen, -INT64_C(80000000000), INT64_C(300000000000));
        struct time_text_civil civil;
        struct tm want;

        time_text_to_civil(seconds, &civil);
        gmtime_r(&seconds, &want);
        assert_int_equal(want.tm_year + 1900, civil.year);
        assert_int_equal(want.tm_mon + 1, civil.month);
        assert_int_equal(want.tm_mday, civil.day);
        assert_int_equal(want.tm_hour, civil.hour);
        assert_int_equal(want.tm_min, civil.minute);
        assert_int_equal(want.tm_sec, civil.second);
        assert_int_equal(want.tm_wday, civil.weekday);
        assert_int_equal(want.tm_yday + 1, civil.year_day);
    }
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 2000)
    {
        const int64_t ms = gen_between(&gen, 0, INT64_C(9000000000000));
        const int64_t ns = (int64_t)(gen_u64(&gen) % UINT64_C(9000000000000000000));
        int64_t back = -1;
        struct buf out;

        buf_init(&out, 100);
        time_text_add_duration(&out, ms);
        check_err(ERR_OK, time_text_parse_duration(buf_slice(&out), &back, NULL));
        assert_int_equal(ms, back);
        buf_reset(&out);
        time_text_add_rfc3339_ns(&out, ns);
        check_err(ERR_OK, time_text_parse_rfc3339(buf_slice(&out), &back, NULL));
        assert_int_equal(ns, back);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),  cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_api_times),  cmocka_unit_test(test_civil),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
