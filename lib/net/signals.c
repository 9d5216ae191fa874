/* SPDX-License-Identifier: Apache-2.0 */
#include "net/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void signals_wanted(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

enum err signals_open(struct signals *signals, struct err_info *info)
{
    sigset_t set;
    int signal_fd, wake_fd;

    signals_wanted(&set);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return err_set(info, ERR_IO, "signalfd: %s", strerror(errno));
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        const int saved = errno;

        close(signal_fd);
        return err_set(info, ERR_IO, "eventfd: %s", strerror(saved));
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals->signal_fd = signal_fd;
    signals->wake_fd = wake_fd;
    atomic_init(&signals->raised, 0);
    return ERR_OK;
}

void signals_close(struct signals *signals)
{
    close(signals->signal_fd);
    close(signals->wake_fd);
}

static unsigned signals_read(struct signals *signals)
{
    struct signalfd_siginfo got;
    unsigned events = SIGNALS_NONE;

    while (read(signals->signal_fd, &got, sizeof(got)) == (ssize_t)sizeof(got))
        events |= got.ssi_signo == SIGHUP ? SIGNALS_RELOAD : SIGNALS_STOP;
    return events;
}

unsigned signals_wait(struct signals *signals, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = signals->signal_fd, .events = POLLIN},
                           {.fd = signals->wake_fd, .events = POLLIN}};
    unsigned events;

    do {
        uint64_t count;
        const int ready = poll(fds, 2, timeout_ms);

        if (ready == 0)
            return SIGNALS_NONE;
        if (read(signals->wake_fd, &count, sizeof(count)) < 0)
            ASSERT(errno == EAGAIN);
        events = signals_read(signals) | atomic_exchange(&signals->raised, 0);
    } while (events == SIGNALS_NONE);
    return events;
}

void signals_raise(struct signals *signals, enum signals_event event)
{
    const uint64_t one = 1;

    atomic_fetch_or(&signals->raised, event);
    if (write(signals->wake_fd, &one, sizeof(one)) < 0)
        ASSERT(errno == EAGAIN); /* the counter is full, so the waiter is awake */
}
