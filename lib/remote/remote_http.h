/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From an http_config section of the configuration to a client and the headers of a request:
 * whoever calls out does it the same way.
 *
 * Ownership: headers borrow the configuration and live in the arena. Threads: plain values; reading
 * credentials from files blocks. */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/err.h"
#include "config/http_config.h"
#include "net/http_client.h"

struct remote_http_options {
    struct reactor_set *reactors; /* borrowed, as in http_client_options */
    const char *user_agent;
    const char *unix_socket; /* NULL: none */
};

enum err remote_http_client(const struct http_config *http,
                            const struct remote_http_options *options, struct http_client **client,
                            struct err_info *info) MUST_USE;

struct remote_http_headers {
    struct arena *arena;
    struct http_header *items;
    size_t count, cap;
};

/* Room for the section's headers and `more` of the caller's. ERR_LIMIT: the arena has none. */
enum err remote_http_headers_init(struct remote_http_headers *headers,
                                  const struct http_config *http, size_t more,
                                  struct arena *arena) MUST_USE;
void remote_http_add_header(struct remote_http_headers *headers, struct slice name,
                            struct slice value);
/* Adds Authorization and the section's own ones. */
enum err remote_http_headers_add(struct remote_http_headers *headers,
                                 const struct http_config *http, struct env *env,
                                 struct err_info *info) MUST_USE;
/* Whether that reads files. */
bool remote_http_has_files(const struct http_config *http);
