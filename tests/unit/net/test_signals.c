/* SPDX-License-Identifier: Apache-2.0 */
#include "net/signals.h"

#include <signal.h>
#include <unistd.h>

#include "support/check.h"

static void test_events(void **unused)
{
    struct signals signals;

    (void)unused;
    check_err(ERR_OK, signals_open(&signals, NULL));
    assert_int_equal(SIGNALS_NONE, signals_wait(&signals, 0));
    kill(getpid(), SIGHUP);
    assert_int_equal(SIGNALS_RELOAD, signals_wait(&signals, 1000));
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGHUP);
    assert_int_equal(SIGNALS_RELOAD | SIGNALS_STOP, signals_wait(&signals, 1000));
    signals_raise(&signals, SIGNALS_RELOAD);
    signals_raise(&signals, SIGNALS_RELOAD);
    assert_int_equal(SIGNALS_RELOAD, signals_wait(&signals, 1000));
    assert_int_equal(SIGNALS_NONE, signals_wait(&signals, 10));
    signals_close(&signals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_events)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
