/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of net share: an env with reactors and pools, a server on a free loopback port,
 * and a raw client that speaks bytes. */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "net/env_net.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/reactor.h"
#include "support/check.h"

#define NET_UNUSED __attribute__((unused))
#define NET_MS     1000000ull
#define NET_SECOND (1000 * NET_MS)

struct net_fixture {
    struct env env;
    struct reactor_set *reactors;
    struct http_server *server;
    int port;
    char base_url[64];
};

NET_UNUSED static uint64_t net_now_ns(void)
{
    return reactor_mono_ns();
}

NET_UNUSED static void net_sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

NET_UNUSED static void net_open_env(struct net_fixture *f)
{
    struct err_info info = {{0}};
    struct env_net_options options = {0};

    memset(f, 0, sizeof(*f));
    env_real_init(&f->env);
    check_err_info(ERR_OK, reactor_set_open(2, &f->reactors, &info), &info);
    options.reactors = f->reactors;
    options.pools[ENV_POOL_QUERY] = (struct env_net_pool){.thread_count = 4, .queue_len_max = 64};
    options.pools[ENV_POOL_DISK] = (struct env_net_pool){.thread_count = 1, .queue_len_max = 2};
    check_err_info(ERR_OK, env_net_open(&f->env, &options, &info), &info);
}

/* options without address, env and reactors. */
NET_UNUSED static void net_open_server(struct net_fixture *f, struct http_server_options options,
                                       const struct http_route *routes, size_t count)
{
    struct err_info info = {{0}};

    options.address = "127.0.0.1:0";
    options.env = &f->env;
    options.reactors = f->reactors;
    check_err_info(ERR_OK, http_server_open(&options, &f->server, &info), &info);
    for (size_t i = 0; i < count; i++)
        http_server_route(f->server, &routes[i]);
    http_server_start(f->server);
    f->port = http_server_port(f->server);
    snprintf(f->base_url, sizeof(f->base_url), "http://127.0.0.1:%d", f->port);
}

NET_UNUSED static void net_close(struct net_fixture *f)
{
    if (f->server != NULL)
        http_server_stop(f->server, net_now_ns() + 5 * NET_SECOND);
    env_net_stop(&f->env);
    reactor_set_close(f->reactors);
    http_server_free(f->server);
    env_net_close(&f->env);
}

/* ---- raw client ---- */

NET_UNUSED static int net_connect(const struct net_fixture *f)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)f->port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(0, connect(fd, (const struct sockaddr *)&addr, sizeof(addr)));
    return fd;
}

NET_UNUSED static void net_send(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

        assert_true(sent > 0);
        text += sent;
        len -= (size_t)sent;
    }
}

NET_UNUSED static void net_send_text(int fd, const char *text)
{
    net_send(fd, text, strlen(text));
}

/* Reads until the end, or `size` bytes, or timeout_ms without any; terminates. -1: timeout. */
NET_UNUSED static ssize_t net_recv(int fd, char *out, size_t size, int timeout_ms)
{
    size_t len = 0;

    out[0] = '\0';
    while (len + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&p, 1, timeout_ms) <= 0)
            return -1;
        got = recv(fd, out + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        out[len] = '\0';
    }
    return (ssize_t)len;
}

/* Reads one response with a Content-Length (or none, then to its head's end). */
NET_UNUSED static size_t net_recv_one(int fd, char *out, size_t size)
{
    size_t len = 0, want = SIZE_MAX;

    out[0] = '\0';
    while (len < want && len + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const size_t step = want == SIZE_MAX ? 1 : want - len;
        ssize_t got;

        assert_int_equal(1, poll(&p, 1, 10000));
        got = recv(fd, out + len, step < size - 1 - len ? step : size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        out[len] = '\0';
        if (want == SIZE_MAX && len >= 4 && memcmp(out + len - 4, "\r\n\r\n", 4) == 0) {
            const char *found = strcasestr(out, "content-length: ");

            want = len + (found == NULL ? 0 : (size_t)strtoul(found + 16, NULL, 10));
        }
    }
    return len;
}

/* Sends a request and reads until the server closes: use with "Connection: close". */
NET_UNUSED static void net_ask(const struct net_fixture *f, const char *request, char *out,
                               size_t size)
{
    const int fd = net_connect(f);

    net_send_text(fd, request);
    assert_true(net_recv(fd, out, size, 10000) >= 0);
    close(fd);
}

#define check_contains(part, text)                                                                 \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" is not in \"%s\"", (part), (text));                                   \
    } while (0)
