/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of this folder share. */

#include <pthread.h>

#include "model/query.h"
#include "net/http_server.h"
#include "promql/engine.h"
#include "querier/querier.h"

struct querier_metrics {
    struct metric_gauge queries;    /* under way */
    struct metric_family *duration; /* by slice */
    struct metric_histogram *duration_eval, *duration_queue;
    struct metric_counter samples, failures;
};

struct querier {
    struct querier_options options;
    struct log log;
    struct budget budget;         /* of all queries */
    struct promql_engine *engine; /* owned */
    struct querier_metrics metrics;
    pthread_mutex_t external_lock; /* guards the two below */
    struct arena external_arena;
    struct label_set external;
};

/* The memory and the limits of one request that reads; lives on its worker's stack. */
struct query_scope {
    struct querier *querier;
    struct http_request *req;
    struct http_params params;
    struct budget budget;
    struct arena arena; /* draws from budget */
    uint64_t deadline_ns;
    struct source_stats stats;
    struct annotations annotations;
    struct err_info info;
};

/* Reads the parameters; false: answered already, and there is nothing to end. */
bool query_scope_begin(struct query_scope *scope, struct http_request *req);
/* Before the answer, which a slow client may take minutes to read: ends all reads, so that they
 * hold up no flush. What was read and is not in the arena itself is gone then; these two copy it
 * first, and fail with LIMIT where that leaves no room. */
enum err query_scope_keep_result(struct query_scope *scope, struct query_result *result) MUST_USE;
enum err query_scope_keep_labels(struct query_scope *scope, struct label_set *sets,
                                 size_t count) MUST_USE;
/* A copy of the external labels. LIMIT: no room. */
enum err query_scope_external(struct query_scope *scope, struct label_set *labels) MUST_USE;
/* Gives everything back. After the answer. */
void query_scope_end(struct query_scope *scope);
/* A context for the source. */
struct source_ctx query_scope_ctx(struct query_scope *scope);

void api_query_add_routes(struct querier *querier, struct http_server *server);
void api_about_add_routes(struct querier *querier, struct http_server *server);
void api_series_add_routes(struct querier *querier, struct http_server *server);
void api_read_add_routes(struct querier *querier, struct http_server *server);
void api_federate_add_routes(struct querier *querier, struct http_server *server);
/* Those that need the storage itself. */
void api_admin_add_routes(struct querier *querier, struct http_server *server);
