/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Evaluation as a service: ruler (and HTTP API) to query engine. Blocking, straight-line: called on
 * a query worker. Ownership: the result lives in the options' arena. Threads: an engine evaluates
 * on any number of threads at once, each with its own options, arena and result. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/source.h"

struct query_options {
    struct slice tenant;
    struct slice expr;             /* borrowed for the call */
    int64_t start_ms, end_ms;      /* equal: an instant query */
    int64_t step_ms;               /* > 0 in a range query, 0 in an instant one */
    int64_t lookback_ms;           /* 0: the engine's default */
    uint64_t deadline_ns;          /* monotonic; 0: the engine's default */
    const _Atomic bool *cancelled; /* may be NULL */
    uint32_t limit;                /* series of the result; 0: all */
    struct budget *budget;         /* may be NULL */
    struct arena *arena;           /* borrowed; holds the result */
};

enum query_value { QUERY_SCALAR, QUERY_STRING, QUERY_VECTOR, QUERY_MATRIX };

struct query_point {
    int64_t t_ms;
    double v;
    const struct histogram *histogram; /* not NULL: the point is a histogram */
};

struct query_series {
    struct label_set labels;
    const struct query_point *points; /* a vector's series has one */
    uint32_t point_count;
};

struct query_stats {
    struct source_stats read;
    uint64_t peak_bytes, eval_ns, queue_ns;
};

struct query_result {
    enum query_value value;
    struct query_point scalar; /* QUERY_SCALAR; t_ms of a QUERY_STRING too */
    struct slice string;
    const struct query_series *series;
    uint32_t series_count;
    bool is_truncated; /* by limit */
    struct annotations annotations;
    struct query_stats stats;
};

struct query_engine {
    const struct query_engine_ops *ops;
};

struct query_engine_ops {
    /* BAD_INPUT: does not parse. EXEC, LIMIT, DEADLINE, CANCELLED: as their names say. */
    enum err (*eval)(struct query_engine *engine, const struct query_options *options,
                     struct query_result *result, struct err_info *info);
};

static inline enum err query_eval(struct query_engine *engine, const struct query_options *options,
                                  struct query_result *result, struct err_info *info)
{
    return engine->ops->eval(engine, options, result, info);
}
