/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of the HTTP client: a call's curl handle (transfer), and the curl multi handle of a
 * reactor that drives all transfers there (loop). */

#include <curl/curl.h>
#include <uv.h>

#include "base/arena.h"
#include "net/http_client.h"
#include "net/http_gunzip.h"
#include "net/reactor_internal.h"

struct http_client {
    struct http_client_options options; /* its strings lie in the arena */
    struct arena arena;
};

struct http_client_loop {
    struct reactor *reactor;
    struct http_client_loop *next; /* of the same reactor */
    uint64_t share;                /* which of its calls */
    CURLM *multi;
    uv_timer_t timer;
    size_t transfer_count;
    struct reactor_exit exit;
};

struct http_transfer {
    struct http_call *call;
    struct http_client_loop *loop; /* NULL: not under way */
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    char *url;                  /* owned; the one that curl gets, if not the call's */
    struct http_gunzip *gunzip; /* owned; NULL: the body comes as it is, or hasn't begun */
    bool is_too_large, is_corrupt, cancel_has_run;
    int family;       /* of the address dialled last; 0: none */
    char dialled[80]; /* "127.0.0.1:9090", or the path of a Unix socket */
    char error[CURL_ERROR_SIZE];
};

/* http_client_loop.c. On the reactor's thread. */

/* The loop for a call of this affinity on the reactor that runs this. */
struct http_client_loop *http_client_loop_get(uint64_t affinity);
enum err http_client_loop_add(struct http_client_loop *loop,
                              struct http_transfer *transfer) MUST_USE;
void http_client_loop_remove(struct http_transfer *transfer);

/* http_client.c */

/* curl is done with a transfer. */
void http_client_on_done(struct http_transfer *transfer, CURLcode code);

/* http_client_setup.c: turns a call and its client into curl's options. */
enum err http_client_setup(struct http_transfer *transfer, struct err_info *info) MUST_USE;

/* http_client_error.c: the code and the text for what curl reports. */
enum err http_client_error(const struct http_transfer *transfer, CURLcode code,
                           struct err_info *info);
