/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The PromQL engine: parses, plans and evaluates one query per call of query_eval(), over any
 * source. Pure: no thread, no clock but the one handed in.
 *
 * Ownership: the engine borrows source and clock; a result lives in the query's arena, which must
 * draw from the query's budget. Threads: any number of evaluations at once, each with its own
 * arena. */

#include "base/err.h"
#include "base/hash.h"
#include "model/query.h"
#include "model/source.h"
#include "promql/parser.h"

struct promql_engine;

struct promql_engine_options {
    struct source *source;    /* borrowed: outlives the engine */
    int64_t lookback_ms;      /* 0: 5 minutes */
    int64_t subquery_step_ms; /* of [range:]; 0: 1 minute */
    uint64_t samples_max;     /* held by one query at a time; 0: 50,000,000 */
    struct promql_features features;
    uint64_t (*mono_ns)(void *owner); /* the clock of deadlines; NULL: none is checked */
    void *mono_owner;
    uint64_t timeout_ns; /* of a query without a deadline of its own; 0: none */
    uint8_t
        hash_seed[HASH_KEY_SEED_SIZE]; /* random, so that nobody can choose labels that collide */
};

/* The caller frees it with promql_engine_free. */
struct promql_engine *promql_engine_new(const struct promql_engine_options *options);
/* Takes engine; NULL is fine. No evaluation may be under way. */
void promql_engine_free(struct promql_engine *engine);
/* For query_eval(). Errors: BAD_INPUT (does not parse), EXEC, LIMIT, DEADLINE, CANCELLED, and
 * those of the source. Borrowed from the engine. */
struct query_engine *promql_engine_query(struct promql_engine *engine);
/* The next evaluations use this step for [range:]. Any thread. */
void promql_engine_set_subquery_step(struct promql_engine *engine, int64_t step_ms);
