/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* querier: the role that answers PromQL and the series API over one source.
 *
 * Ownership: borrows everything of its options; free it after the server that has its routes has
 * stopped. Threads: any; handlers and evaluations run on the query pool. */

#include <stddef.h>

#include "base/budget.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "model/query.h"
#include "model/source.h"

struct db;
struct http_server;
struct querier;

/* What a user may set; names as upstream's. */
struct querier_settings {
    int64_t lookback_ms, timeout_ms;
    int64_t concurrency_max;
    int64_t samples_max;
    uint64_t query_size_max, size_max; /* bytes: of one query, of all */
    int64_t read_samples_max;          /* of one remote read; 0: any */
    int64_t read_frame_size_max;       /* bytes */
};

extern const struct setting querier_setting_table[];
extern const size_t querier_setting_count;

struct querier_options {
    struct env *env;
    struct source *source;
    struct db *db;  /* what the administrative calls work on; NULL: there is none here */
    bool admin_api; /* they are switched on */
    const struct querier_settings *settings;
    const struct log_sink *log_sink; /* NULL: silent */
    struct metric_registry *metrics; /* may be NULL */
    struct budget *budget;           /* of the process; may be NULL */
    int64_t evaluation_interval_ms;  /* step of subqueries that name none */
    bool experimental_functions, extended_range_selectors, binop_fill_modifiers,
        duration_expressions;
};

struct querier *querier_new(const struct querier_options *options);
/* Takes querier; NULL is fine. No query may be under way. */
void querier_free(struct querier *querier);

/* /api/v1/query, query_range, series, labels, label/<name>/values, read; /federate. Before the
 * server starts.
 */
void querier_add_routes(struct querier *querier, struct http_server *server);

/* For the ruler; borrowed from querier. */
struct query_engine *querier_engine(struct querier *querier);

/* Labels that remote read and federation add, at start and when they are reloaded. Copied. */
void querier_set_external_labels(struct querier *querier, struct label_set labels);

/* The global evaluation interval was reloaded. */
void querier_set_evaluation_interval(struct querier *querier, int64_t interval_ms);
