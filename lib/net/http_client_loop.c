/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"
#include "base/mem.h"
#include "net/http_client_internal.h"

/* curl tells which sockets to watch and when to wake it; the loop tells curl what happened.
 *
 * curl walks all connections that a multi handle keeps at the end of each transfer, so a reactor
 * has several loops, each with its own, and deals calls out to them by affinity. */

enum { CLIENT_CONNECTIONS_KEPT = 16384, CLIENT_SHARE_BITS = 5 };

struct client_socket {
    uv_poll_t poll;
    struct http_client_loop *loop;
    curl_socket_t fd;
};

static void client_check_done(struct http_client_loop *loop)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(loop->multi, &left)) != NULL) {
        struct http_transfer *transfer;
        CURLcode code;

        if (msg->msg != CURLMSG_DONE)
            continue;
        code = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
        http_client_on_done(transfer, code);
    }
}

static void on_client_socket(uv_poll_t *poll, int status, int events)
{
    struct client_socket *watch = CONTAINER_OF(poll, struct client_socket, poll);
    struct http_client_loop *loop = watch->loop;
    int flags = 0, running;

    if (status < 0)
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT; /* curl meets the fault itself, and may retry */
    if ((events & UV_READABLE) != 0)
        flags |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(loop->multi, watch->fd, flags, &running);
    client_check_done(loop);
}

static void on_client_timer(uv_timer_t *timer)
{
    struct http_client_loop *loop = CONTAINER_OF(timer, struct http_client_loop, timer);
    int running;

    curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_check_done(loop);
}

static void on_client_socket_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_poll_t *)handle, struct client_socket, poll));
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *assigned)
{
    struct http_client_loop *loop = owner;
    struct client_socket *watch = assigned;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_client_socket_closed);
            curl_multi_assign(loop->multi, fd, NULL);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = mem_zalloc(1, sizeof(*watch));
        watch->loop = loop;
        watch->fd = fd;
        if (uv_poll_init_socket(reactor_loop(loop->reactor), &watch->poll, fd) != 0) {
            mem_free(watch);
            return -1;
        }
        curl_multi_assign(loop->multi, fd, watch);
    }
    if ((what & CURL_POLL_IN) != 0)
        events |= UV_READABLE;
    if ((what & CURL_POLL_OUT) != 0)
        events |= UV_WRITABLE;
    uv_poll_start(&watch->poll, events, on_client_socket);
    return 0;
}

static int on_curl_timer(CURLM *multi, long wait_ms, void *owner)
{
    struct http_client_loop *loop = owner;

    (void)multi;
    if (wait_ms < 0)
        uv_timer_stop(&loop->timer);
    else
        uv_timer_start(&loop->timer, on_client_timer, (uint64_t)wait_ms, 0);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_timer_t *)handle, struct http_client_loop, timer));
}

static void client_loop_exit(struct reactor_exit *hook)
{
    struct http_client_loop *loop = CONTAINER_OF(hook, struct http_client_loop, exit);

    ASSERT(loop->transfer_count == 0); /* all calls are done before the reactors close */
    curl_multi_cleanup(loop->multi);
    uv_close((uv_handle_t *)&loop->timer, on_timer_closed);
}

static struct http_client_loop *client_loop_new(struct reactor *reactor, uint64_t share)
{
    struct http_client_loop *loop = mem_zalloc(1, sizeof(*loop));

    loop->reactor = reactor;
    loop->share = share;
    loop->multi = curl_multi_init();
    ASSERT(loop->multi != NULL);
    uv_timer_init(reactor_loop(reactor), &loop->timer);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)CLIENT_CONNECTIONS_KEPT);
    curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    loop->exit.fn = client_loop_exit;
    reactor_on_exit(reactor, &loop->exit);
    return loop;
}

struct http_client_loop *http_client_loop_get(uint64_t affinity)
{
    const uint64_t share = affinity * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CLIENT_SHARE_BITS);
    struct reactor *reactor = reactor_current();
    void **slot = reactor_client_slot(reactor);
    struct http_client_loop *loop = *slot;

    while (loop != NULL && loop->share != share)
        loop = loop->next;
    if (loop == NULL) {
        loop = client_loop_new(reactor, share);
        loop->next = *slot;
        *slot = loop;
    }
    return loop;
}

enum err http_client_loop_add(struct http_client_loop *loop, struct http_transfer *transfer)
{
    if (FAULT("net.client.start") || curl_multi_add_handle(loop->multi, transfer->easy) != CURLM_OK)
        return ERR_INTERNAL;
    transfer->loop = loop;
    loop->transfer_count++;
    return ERR_OK;
}

void http_client_loop_remove(struct http_transfer *transfer)
{
    ASSERT(transfer->loop != NULL);
    curl_multi_remove_handle(transfer->loop->multi, transfer->easy);
    transfer->loop->transfer_count--;
    transfer->loop = NULL;
}
