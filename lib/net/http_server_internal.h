/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of a server that its files share: shards (one per reactor), connections, exchanges.
 *
 * An exchange is one request and its answer. Three may hold it: h2o's request (until the answer is
 * sent or the connection is lost), the handler (until it has answered) and its pool job (until done
 * has run). The last one to let go frees it, on the reactor.
 *
 *   HANDLING -> ANSWERED               http_respond
 *   HANDLING -> STREAMING -> ANSWERED  http_stream_begin .. http_stream_end
 *
 * Threads: a shard with all its connections and exchanges belongs to its reactor; of an exchange,
 * the handler's side touches only what is said to be the handler's. */

#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/http_gzip.h"
#include "net/http_request.h"
#include "net/http_route.h"
#include "net/http_server.h"
#include "net/reactor_internal.h"

struct regex;

struct http_shard {
    struct http_server *server;
    struct reactor *reactor;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept;
    struct list conns;     /* open connections */
    struct list exchanges; /* whose h2o request lives */
    size_t conn_count, exchange_count;
    uv_timer_t sweep;
    bool is_open, is_stopping, is_drained;
    struct reactor_task start, stop;
    struct reactor_exit exit;
    uint64_t stopped_ns; /* when the stop was asked for */
};

struct http_server {
    struct http_server_options options; /* its strings are not kept */
    struct slice path_prefix;           /* owned */
    struct regex *cors;                 /* owned; NULL: none */
    struct http_route_table routes;
    struct http_route_table early; /* of a gated server, fixed at its start */
    _Atomic bool is_serving;       /* routes is complete and only read from here on */
    h2o_globalconf_t conf;
    int listen_fd;
    int port;
    char address[80];
    bool is_started, is_stopped;
    uv_poll_t acceptor; /* on the first shard's loop */
    uv_timer_t retry;   /* likewise; when descriptors ran out */
    size_t accept_turn; /* first shard's reactor */
    _Atomic size_t conn_count, request_count;
    _Atomic uint64_t accepted_count, refused_count, cut_count, requests_total;
    struct log_limiter complaints;
    _Atomic uint64_t stop_deadline_ns;
    pthread_mutex_t mutex; /* guards drained_count */
    pthread_cond_t drained;
    size_t drained_count;
    size_t shard_count;
    struct http_shard shards[];
};

struct http_conn {
    uv_tcp_t tcp;
    h2o_socket_t *sock; /* h2o's; NULL once it closed */
    int fd;
    struct http_shard *shard;
    struct list_node node;
    bool is_cut; /* for its size */
    struct reactor_task opened;
};

enum http_exchange_state { HTTP_HANDLING, HTTP_STREAMING, HTTP_ANSWERED };

struct http_exchange {
    struct http_request request;
    enum http_exchange_state state; /* the handler's */
    _Atomic int holders;
    struct http_shard *shard;
    struct http_conn *conn; /* good while h2o is not NULL */
    h2o_req_t *h2o;         /* NULL once disposed; the handler's until it answers */
    struct list_node node;
    struct http_route_entry *entry; /* NULL: no route */
    struct env_job job;
    struct reactor_task task;  /* the answer, on its way to the reactor */
    struct reactor_task ended; /* the last holder let go elsewhere */

    /* The answer: set by the handler's side, then handed to the reactor. */
    int status;
    size_t content_length; /* SIZE_MAX: unknown or none */
    struct http_header *headers;
    size_t header_count;
    struct slice body;
    char *body_owned; /* owned; freed with the exchange */
    bool is_head;

    /* Streaming. */
    struct http_gzip *gzip; /* owned; NULL: plain */
    struct buf zipped;
    struct env_op sent; /* of the chunk under way */
    bool is_streamed;
    bool is_sending;         /* reactor: `sent` is to be completed */
    bool is_started;         /* reactor: the head is out */
    bool is_last, is_broken; /* of the chunk */
    h2o_generator_t generator;

    /* Watching a client that takes nothing. Reactor. */
    size_t queue_size, sent_size;
    uint64_t progress_ns;
};

static inline struct http_exchange *http_exchange_of(const struct http_request *req)
{
    return CONTAINER_OF((struct http_request *)(uintptr_t)req, struct http_exchange, request);
}

/* http_exchange.c */

/* h2o's handler: makes an exchange and dispatches it. */
int http_exchange_on_request(h2o_handler_t *handler, h2o_req_t *h2o);
/* Marks as gone whose clients left, cuts who takes nothing; all of them if `cut_all`. */
void http_exchange_sweep(struct http_shard *shard, bool cut_all);
/* One holder lets go; the last one frees it. Any thread. */
void http_exchange_release(struct http_exchange *exchange);

/* http_server.c */

/* Tells whoever waits in http_server_stop, once nothing is left. */
void http_server_check_drained(struct http_shard *shard);
