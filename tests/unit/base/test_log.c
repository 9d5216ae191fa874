/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/log.h"
#include "support/check.h"

static int64_t fixed_now_ms(struct env *env)
{
    (void)env;
    return INT64_C(1700000000123);
}

static uint64_t mono_ns = 1;

static uint64_t fixed_mono_ns(struct env *env)
{
    (void)env;
    return mono_ns;
}

static const struct env_clock_ops fixed_clock = {.now_ms = fixed_now_ms, .mono_ns = fixed_mono_ns};
static struct env fixed_env = {.clock = &fixed_clock};

struct fixture {
    int fds[2];
    struct log_sink sink;
    struct log log;
};

static void fixture_init(struct fixture *f, enum log_format format)
{
    assert_int_equal(0, pipe(f->fds));
    log_sink_init(&f->sink, f->fds[1], LOG_INFO, format);
    f->sink.env = &fixed_env;
    f->log = log_make(&f->sink, NULL);
}

static void check_line(struct fixture *f, const char *want)
{
    static char data[1 << 17];
    ssize_t len;

    close(f->fds[1]);
    len = read(f->fds[0], data, sizeof(data));
    assert_true(len >= 0);
    check_slice(want, slice_of(data, (size_t)len));
    close(f->fds[0]);
}

static void test_logfmt(void **state)
{
    struct fixture f;
    struct err_info info = {"no \"x\""};

    (void)state;
    fixture_init(&f, LOG_LOGFMT);
    f.log.component = "tsdb";
    log_debug(&f.log, "not written");
    log_warn(&f.log, "it failed", F_STR("path", "/a b"), F_STR("plain", "abc"), F_STR("empty", ""),
             F_INT("n", -3), F_UINT("u", 4), F_DOUBLE("d", 1.5), F_BOOL("yes", true),
             F_DUR("took", 1500000), F_ERR(ERR_IO, &info), F_ERR(ERR_IO, NULL));
    check_line(&f, "time=2023-11-14T22:13:20.123Z level=WARN msg=\"it failed\" component=tsdb "
                   "path=\"/a b\" plain=abc empty=\"\" n=-3 u=4 d=1.5 yes=true took=1.5ms "
                   "err=\"no \\\"x\\\"\" err=\"input/output error\"\n");
}

static void test_json(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, LOG_JSON);
    log_error(&f.log, "bad", F_STR("a", "x\ny"), F_INT("n", 1), F_DOUBLE("d", NAN));
    check_line(&f, "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"ERROR\",\"msg\":\"bad\","
                   "\"a\":\"x\\ny\",\"n\":1,\"d\":\"NaN\"}\n");
}

static void test_durations(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, LOG_LOGFMT);
    log_info(&f.log, "d", F_DUR("a", 0), F_DUR("b", 999), F_DUR("c", 1001), F_DUR("d", 61000000000),
             F_DUR("e", INT64_C(3600000000000)), F_DUR("f", -1500000000));
    check_line(&f, "time=2023-11-14T22:13:20.123Z level=INFO msg=d a=0s b=999ns "
                   "c=1.001\xc2\xb5s d=1m1s e=1h0m0s f=-1.5s\n");
}

static void test_null_log_and_cut(void **state)
{
    static char large[100000];
    struct fixture f;
    char data[70000];
    ssize_t len;

    (void)state;
    log_error((const struct log *)NULL, "nobody hears", F_INT("n", 1));
    memset(large, 'x', sizeof(large) - 1);
    fixture_init(&f, LOG_LOGFMT);
    log_info(&f.log, "large", F_STR("a", "small"), F_STR("b", large));
    close(f.fds[1]);
    len = read(f.fds[0], data, sizeof(data));
    assert_true(len > 10 && len < 70000);
    assert_memory_equal(data + len - 10, " cut=true\n", 10);
    close(f.fds[0]);
}

static void test_limiter(void **state)
{
    struct log_sink sink;
    struct log log = log_make(&sink, NULL);
    struct log_limiter limiter = {.interval_ns = 100, .burst = 2};
    uint64_t swallowed = 9;

    (void)state;
    log_sink_init(&sink, -1, LOG_INFO, LOG_LOGFMT);
    sink.env = &fixed_env;
    mono_ns = 1000;
    assert_true(log_limiter_pass(&limiter, &log, &swallowed));
    assert_int_equal(0, swallowed);
    assert_true(log_limiter_pass(&limiter, &log, &swallowed));
    assert_false(log_limiter_pass(&limiter, &log, &swallowed));
    assert_false(log_limiter_pass(&limiter, &log, &swallowed));
    mono_ns = 1100;
    assert_true(log_limiter_pass(&limiter, &log, &swallowed));
    assert_int_equal(2, swallowed);
}

static void test_names(void **state)
{
    enum log_level level;
    enum log_format format;

    (void)state;
    check_err(ERR_OK, log_level_parse(SLICE("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    check_err(ERR_BAD_INPUT, log_level_parse(SLICE("loud"), &level));
    check_err(ERR_OK, log_format_parse(SLICE("json"), &format));
    assert_int_equal(format, LOG_JSON);
    check_err(ERR_BAD_INPUT, log_format_parse(SLICE("xml"), &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_durations), cmocka_unit_test(test_null_log_and_cut),
        cmocka_unit_test(test_limiter),   cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
