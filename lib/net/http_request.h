/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A request that a handler got, and its answer.
 *
 *   handler(req) -> http_respond                                   exactly one answer,
 *                -> http_stream_begin, write ..., http_stream_end   from any thread, any time later
 *
 * A client that leaves does not end the request: poll http_request_is_gone (or hand gone_flag on as
 * a cancel flag) and answer all the same; the answer then goes nowhere.
 *
 * Ownership: the request is the server's; after http_respond or http_stream_end it is not touched.
 * `body` and header values lie in the connection's buffer: borrowed until the answer begins. All
 * else of the request and what comes from its arena lives until the answer has been sent.
 * Threads: one at a time; it travels with its job. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "net/http.h"
#include "net/http_params.h"

enum { HTTP_PATH_PARAM_MAX = 4 };

struct http_request {
    enum http_method method;
    struct slice path;  /* as sent, without the query; the server's prefix left out */
    struct slice query; /* after the '?', as sent */
    struct slice body;
    struct slice path_params[HTTP_PATH_PARAM_MAX]; /* decoded; in the order of the route's path */
    void *owner;                                   /* the route's */
    uint64_t start_ns;                             /* monotonic: when it had arrived whole */
    struct arena arena;                            /* for the handler's use */
    _Atomic bool is_gone; /* the client left, or the server must stop now */
};

/* Value of a header, its name in lower case; an empty slice if it is not there. Before the answer
 * begins only. */
struct slice http_request_header(const struct http_request *req, const char *name);

/* The parameters of the URL, and of the body if that is application/x-www-form-urlencoded. Decoded
 * into the request's arena. */
enum err http_request_params(struct http_request *req, struct http_params *params,
                             struct err_info *info) MUST_USE;

/* "10.1.2.3:4567" or "[::1]:4567", in the request's arena. Before the answer begins only. */
struct slice http_request_peer(struct http_request *req);

static inline bool http_request_is_gone(const struct http_request *req)
{
    return atomic_load_explicit(&req->is_gone, memory_order_relaxed);
}

enum http_body {
    HTTP_BODY_STATIC, /* lives for ever, or in the request's arena */
    HTTP_BODY_OWNED,  /* from mem_alloc (buf_take); the answer frees it */
    HTTP_BODY_COPY,   /* is copied */
};

struct http_response {
    int status;
    enum http_body body_is;
    struct slice body;
    const char *content_type;          /* for ever; NULL: "text/plain; charset=utf-8" if a body */
    const struct http_header *headers; /* more of them; copied; no content-type, -length here */
    size_t header_count;
};

/* Answers. Compresses on the calling thread if the client accepts it and the body is large. A
 * response of 204 or 304 and one to HEAD is sent without its body. */
void http_respond(struct http_request *req, const struct http_response *response);

/* Answers with a plain text body; the text is copied. */
void http_respond_text(struct http_request *req, int status, const char *text);

/* Starts a streamed answer, for workers only (it waits for the client to take what was written).
 * response->body is left out. Follow it with writes and exactly one end. */
void http_stream_begin(struct http_request *req, const struct http_response *response);

/* Sends bytes, borrowed for the call; returns when the connection took them. CLOSED: the client
 * left (or took nothing for the server's write timeout); further writes say so again. */
enum err http_stream_write(struct http_request *req, struct slice bytes) MUST_USE;

/* Ends the answer. is_complete false cuts the connection, so that the client sees the break. */
void http_stream_end(struct http_request *req, bool is_complete);
