/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What HTTP server and client share: methods, headers, status texts. Plain values. */

#include <stddef.h>

#include "base/slice.h"

/* Bits, so that a route can take several. */
enum http_method {
    HTTP_GET = 1 << 0,
    HTTP_HEAD = 1 << 1,
    HTTP_POST = 1 << 2,
    HTTP_PUT = 1 << 3,
    HTTP_DELETE = 1 << 4,
    HTTP_OPTIONS = 1 << 5,
    HTTP_METHOD_ANY = (1 << 6) - 1,
};

/* A server gives and wants names in lower case; a client sends them as they are written. */
struct http_header {
    struct slice name, value;
};

/* "GET" ...; "UNKNOWN" for no single known method. */
const char *http_method_text(enum http_method method);

/* The method of a request line, case-sensitive; 0 for one that no route can take. */
unsigned http_method_parse(struct slice text);

/* The reason phrase, "Not Found" ...; "Unknown" for a code that has none. */
const char *http_status_text(int status);
