/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signals as events of the main thread: SIGTERM and SIGINT ask to stop, SIGHUP to reload; any
 * thread can raise the same events (POST /-/quit). SIGPIPE is ignored.
 * Threads: open before any other thread starts (they inherit the mask); wait on one thread; raise
 * on any. */

#include "base/err.h"

enum signals_event {
    SIGNALS_NONE = 0,
    SIGNALS_STOP = 1 << 0,
    SIGNALS_RELOAD = 1 << 1,
};

struct signals {
    int signal_fd, wake_fd;
    _Atomic unsigned raised;
};

enum err signals_open(struct signals *signals, struct err_info *info) MUST_USE;
void signals_close(struct signals *signals);

/* Blocks until events are there, at most timeout_ms (-1: for ever; then SIGNALS_NONE). Gives a set
 * of enum signals_event. */
unsigned signals_wait(struct signals *signals, int timeout_ms);

void signals_raise(struct signals *signals, enum signals_event event);
