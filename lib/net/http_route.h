/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table of routes of one server, most specific first: segment by segment a literal goes before
 * a {param}, that before "*". Built before the server starts, only read afterwards.
 * Private to net. */

#include <stdatomic.h>

#include "net/http_server.h"

enum { HTTP_ROUTE_SEGMENT_MAX = 12, HTTP_ROUTE_STATUS_SLOTS = 16 };

struct metric_counter;
struct metric_histogram;

enum http_segment_kind { HTTP_SEGMENT_LITERAL, HTTP_SEGMENT_PARAM, HTTP_SEGMENT_REST };

struct http_segment {
    enum http_segment_kind kind;
    struct slice text; /* of a literal */
};

struct http_route_entry {
    struct http_route route;
    struct http_segment segments[HTTP_ROUTE_SEGMENT_MAX];
    size_t segment_count;
    struct slice literal; /* the whole path if all of it is literal, else empty */
    /* Filled by the server, on first use. */
    struct metric_counter *_Atomic counters[HTTP_ROUTE_STATUS_SLOTS];
    struct metric_histogram *_Atomic duration, *_Atomic size;
};

struct http_route_table {
    struct http_route_entry **entries; /* owned */
    size_t count;
};

void http_route_table_fini(struct http_route_table *table);
/* Asserts a path of at most HTTP_ROUTE_SEGMENT_MAX segments and HTTP_PATH_PARAM_MAX params. */
void http_route_add(struct http_route_table *table, const struct http_route *route);

/* Finds the entry for a path without its query and sets params[] to the raw texts of its params.
 * For OPTIONS it is also one that has HTTP_ROUTE_CORS and doesn't take the method itself. NULL:
 * then *allowed is the methods that the path would take, 0 if there is no such path. */
struct http_route_entry *http_route_find(const struct http_route_table *table, unsigned method,
                                         struct slice path,
                                         struct slice params[HTTP_PATH_PARAM_MAX],
                                         unsigned *allowed);
