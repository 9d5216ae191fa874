/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* HTTP client (libcurl) on the reactors. A client is a set of settings (TLS, credentials, proxy)
 * that many calls share; connections are kept and used again. A call is an operation embedded in
 * its owner:
 *
 *   init -> set fields -> start -> done (exactly once, on a reactor, never inside start)
 *        -> start again, results of the last call forgotten ... -> fini
 *
 * Ownership: what a call's fields point to is borrowed from start until done. The result is
 * borrowed from the call until its next start or fini.
 * Threads: a call belongs to its owner except from start to done; cancel from any thread. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"
#include "net/http.h"
#include "net/reactor.h"

struct http_client;
struct http_transfer;

enum http_tls {
    HTTP_TLS_ANY, /* what the TLS library takes: 1.2 and 1.3 */
    HTTP_TLS_1_0,
    HTTP_TLS_1_1,
    HTTP_TLS_1_2,
    HTTP_TLS_1_3,
};

/* All strings are copied; NULL: not set. */
struct http_client_options {
    struct reactor_set *reactors; /* borrowed: closed after the last call is done */
    const char *user_agent;       /* NULL: "Narthex" */
    const char *proxy_url;        /* NULL or "": none, whatever the environment says */
    bool proxy_from_environment;
    const char *no_proxy;   /* comma-separated hosts */
    bool follows_redirects; /* at most 10 */
    const char *basic_user, *basic_password;
    const char *bearer_token;
    const char *authorization; /* a whole header value, instead of basic and bearer */
    const char *ca_file, *ca_text;
    const char *cert_file, *cert_text, *key_file, *key_text;
    const char *server_name; /* checked against the certificate instead of the URL's host */
    bool insecure_skip_verify;
    enum http_tls tls_min, tls_max;
    const char *unix_socket;     /* path; connects there whatever the URL's host */
    uint64_t connect_timeout_ms; /* 0: only the call's deadline */
};

enum err http_client_new(const struct http_client_options *options, struct http_client **client,
                         struct err_info *info) MUST_USE;
/* After its last call is done. Takes client; NULL is fine. */
void http_client_free(struct http_client *client);

struct http_call;
typedef void http_call_fn(struct http_call *call);

struct http_call {
    /* To set before start. */
    struct http_client *client; /* borrowed */
    http_call_fn *done;         /* must not block; may start the call again, or free it */
    void *owner;
    enum http_method method; /* GET after init */
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    struct slice body;       /* with POST and PUT */
    uint64_t deadline_ns;    /* monotonic; required */
    size_t body_size_max;    /* of the answer, decompressed; 0: 64 MiB */
    bool accepts_compressed; /* asks for gzip and decompresses */
    uint64_t affinity;       /* calls with the same number share a reactor, so its connections */

    /* The result, valid once done. An answer of any status is ERR_OK. */
    enum err err; /* REFUSED, DEADLINE, CANCELLED, TOO_LARGE, BAD_INPUT (URL), IO ... */
    int status;
    struct slice content_type; /* of the last answer; empty if there was none */
    struct slice body_received;
    size_t wire_size_bytes; /* body as it came, before decompression */
    struct err_info info;   /* the text a user sees: "dial tcp 127.0.0.1:1: connect: connection
                               refused", "context deadline exceeded" */

    /* Private. */
    struct buf buf;
    struct reactor_task begin, cancel;
    _Atomic int state;
    struct http_transfer *transfer;
    struct env_op op;
};

void http_call_init(struct http_call *call, struct http_client *client);
void http_call_fini(struct http_call *call);

void http_call_start(struct http_call *call);

/* Gives the memory of the received body back, for calls that rest long. Between done and the next
 * start. */
void http_call_drop_body(struct http_call *call);

/* done follows soon with ERR_CANCELLED unless it is already on its way. Only between start and
 * done: the owner makes sure that the call is not finished and gone. */
void http_call_cancel(struct http_call *call);

/* Value of a header of the answer, its name in lower case; an empty slice if there is none. */
struct slice http_call_header(const struct http_call *call, const char *name);

/* start and wait, for workers; call->done is not used. Returns call->err. */
enum err http_call_run(struct http_call *call, struct env *env) MUST_USE;
