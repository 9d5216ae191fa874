/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An HTTP/1.1 server (h2o) over the reactors: one listener, one table of routes.
 *
 * Life: open (listens, routes can still be added) -> start (accepts) -> stop -> reactor_set_close
 * -> free.
 * Threads: open, route, start, stop and free on one thread that is no reactor; handlers run where
 * their route says. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "net/http.h"
#include "net/http_request.h"
#include "net/reactor.h"

struct http_server;
struct log;
struct metric_family;
struct metric_registry;

/* prometheus_http_requests_total{handler,code}, _request_duration_seconds{handler} and
 * _response_size_bytes{handler}. Private but for its size. */
struct http_server_metrics {
    struct metric_family *requests, *duration, *size;
};

/* Registers zeroed metrics; registry may be NULL. Before the servers that count there open. */
void http_server_metrics_register(struct http_server_metrics *metrics,
                                  struct metric_registry *registry);
/* After those servers were freed. */
void http_server_metrics_unregister(struct http_server_metrics *metrics,
                                    struct metric_registry *registry);

struct http_server_options {
    const char *address;         /* "host:port", ":9090", "[::1]:0"; port 0 takes any */
    const char *path_prefix;     /* routes lie under it: "/prometheus"; NULL: none */
    size_t connection_count_max; /* 0: 512; further clients get 503 */
    size_t body_size_max;        /* 0: 64 MiB; larger is refused with 413 before a handler runs */
    size_t input_size_max;       /* 0: 1 GiB; of all requests that lie in memory; beyond it those
                                    that still arrive are cut off, the largest first */
    uint64_t read_timeout_ms;    /* 0: 5 min; for one request to arrive, and of idle connections */
    uint64_t write_timeout_ms;   /* 0: 1 min; without the client taking any byte */
    size_t compress_size_min;    /* 0: 1,024; smaller answers are not compressed */
    const char *cors_origin;     /* regex of allowed origins, for routes with HTTP_ROUTE_CORS; NULL:
                                    none */
    struct env *env;             /* borrowed: outlives the server; pools for routes, env_wait */
    struct reactor_set *reactors; /* borrowed: outlives the server's stop */
    /* Starts with only the HTTP_ROUTE_EARLY routes; the rest answer 503 until http_server_serve. */
    bool is_gated;
    struct http_server_metrics *metrics; /* borrowed; may serve several servers; NULL: none */
    const struct log *log;               /* borrowed; may be NULL */
};

/* Runs where the route says; answers (http_request.h) now or later. */
typedef void http_handler_fn(struct http_request *req);

enum http_route_flag {
    HTTP_ROUTE_CORS = 1 << 0, /* adds CORS headers by the server's cors_origin, answers OPTIONS */
    HTTP_ROUTE_IDENTITY = 1 << 1, /* is never compressed */
    HTTP_ROUTE_EARLY = 1 << 2,    /* answers while the server is gated */
};

struct http_route {
    unsigned methods; /* bits of enum http_method */
    const char *path; /* "/api/v1/label/{name}/values"; a last segment "*" takes the rest */
    const char *name; /* label `handler` of its metrics; NULL: path */
    http_handler_fn *handler;
    void *owner;          /* borrowed: outlives the server; is req->owner */
    unsigned flags;       /* bits of enum http_route_flag */
    size_t body_size_max; /* 0: the server's; larger gets 413 */
    /* Bodies up to this size are handled on the reactor that received them: for handlers that never
     * block and take well under a millisecond. Larger ones go to `pool`. SIZE_MAX: always inline.
     */
    size_t inline_size_max;
    enum env_pool pool;
    int priority;           /* within the pool */
    uint64_t queue_wait_ms; /* at most this long in the pool's queue, else 503; 0: no limit */
};

/* Listens. An error names the address ("listen 0.0.0.0:9090: address already in use"). */
enum err http_server_open(const struct http_server_options *options, struct http_server **server,
                          struct err_info *info) MUST_USE;

/* Adds a route (copied; its strings are borrowed for ever). Several may share a path with other
 * methods. A literal segment goes before a {param}, that before "*". Before start. */
void http_server_route(struct http_server *server, const struct http_route *route);

/* Begins to accept. A gated server takes further routes (not early ones) until http_server_serve.
 */
void http_server_start(struct http_server *server);

/* Opens the gate: all routes are there now. Once, after start; not for a server that isn't gated.
 */
void http_server_serve(struct http_server *server);

/* Stops accepting, closes idle connections, lets requests under way end; at deadline_ns (monotonic)
 * marks the rest as gone and cuts their connections. Returns when no connection and no request is
 * left: handlers answer soon after they are marked. A second call does nothing. */
void http_server_stop(struct http_server *server, uint64_t deadline_ns);

/* After reactor_set_close. Takes server; NULL is fine. */
void http_server_free(struct http_server *server);

/* "127.0.0.1:9090": where it listens, the port resolved. Borrowed from server. */
const char *http_server_address(const struct http_server *server);
int http_server_port(const struct http_server *server);

struct http_server_stats {
    size_t connection_count, request_count; /* open now; under way now */
    uint64_t accepted_count, refused_count, cut_count, requests_total;
};
void http_server_get_stats(const struct http_server *server, struct http_server_stats *stats);
