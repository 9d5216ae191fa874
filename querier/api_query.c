/* SPDX-License-Identifier: Apache-2.0 */
/* Instant and range queries. */
#include <inttypes.h>

#include "base/time_text.h"
#include "model/tenant.h"
#include "querier/api_answer.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"

enum { API_POINTS_MAX = 11000 };

static enum err parse_common(struct query_scope *scope, struct query_options *options)
{
    const struct querier *querier = scope->querier;
    struct slice lookback;
    enum err err;

    *options = (struct query_options){
        .tenant = SLICE(TENANT_DEFAULT),
        .expr = http_params_get(&scope->params, "query"),
        .lookback_ms = querier->options.settings->lookback_ms,
        .deadline_ns = scope->deadline_ns,
        .cancelled = &scope->req->is_gone,
        .budget = &scope->budget,
        .arena = &scope->arena,
    };
    lookback = http_params_get(&scope->params, "lookback_delta");
    if (lookback.len > 0) {
        err = time_text_parse_step(lookback, &options->lookback_ms, &scope->info);
        if (err != ERR_OK) {
            err_prefix(&scope->info, "error parsing lookback delta duration");
            return err;
        }
    }
    if (options->lookback_ms <= 0)
        options->lookback_ms = querier->options.settings->lookback_ms;
    return api_param_limit(&scope->params, &options->limit, &scope->info);
}

static enum err parse_instant(struct query_scope *scope, struct query_options *options)
{
    enum err err = parse_common(scope, options);

    if (err != ERR_OK)
        return err;
    options->start_ms = env_now_ms(scope->querier->options.env);
    err = api_param_time(&scope->params, "time", &options->start_ms, &scope->info);
    options->end_ms = options->start_ms;
    return err;
}

static enum err parse_range(struct query_scope *scope, struct query_options *options)
{
    struct err_info *info = &scope->info;
    enum err err = parse_common(scope, options);

    if (err == ERR_OK)
        err = api_param_time_required(&scope->params, "start", &options->start_ms, info);
    if (err == ERR_OK)
        err = api_param_time_required(&scope->params, "end", &options->end_ms, info);
    if (err != ERR_OK)
        return err;
    if (options->end_ms < options->start_ms)
        return err_set(info, ERR_BAD_INPUT,
                       "invalid parameter \"end\": end timestamp must not be before start time");
    if (http_params_get(&scope->params, "step").len == 0)
        return err_set(info, ERR_BAD_INPUT,
                       "invalid parameter \"step\": cannot parse \"\" to a valid duration");
    err = api_param_duration(&scope->params, "step", &options->step_ms, info);
    if (err != ERR_OK)
        return err;
    if (options->step_ms <= 0)
        return err_set(
            info, ERR_BAD_INPUT,
            "invalid parameter \"step\": zero or negative query resolution step widths are "
            "not accepted. Try a positive integer");
    if (((uint64_t)options->end_ms - (uint64_t)options->start_ms) / (uint64_t)options->step_ms >
        API_POINTS_MAX)
        return err_set(
            info, ERR_BAD_INPUT,
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
            "query resolution (?step=XX)");
    return ERR_OK;
}

static void query_note(struct query_scope *scope, uint64_t began_ns, enum err err, uint64_t samples)
{
    struct querier *querier = scope->querier;

    metric_observe(querier->metrics.duration_eval,
                   (double)(env_mono_ns(querier->options.env) - began_ns) / 1e9);
    metric_add(&querier->metrics.samples, samples);
    if (err != ERR_OK)
        metric_inc(&querier->metrics.failures);
}

static void serve_query(struct http_request *req,
                        enum err (*parse)(struct query_scope *scope, struct query_options *options))
{
    struct query_scope scope;
    struct query_options options;
    struct query_result result = {.value = QUERY_VECTOR};
    struct slice stats;
    struct api_answer answer;
    uint64_t began_ns;
    enum err err;

    if (!query_scope_begin(&scope, req))
        return;
    began_ns = env_mono_ns(scope.querier->options.env);
    err = parse(&scope, &options);
    if (err == ERR_OK) {
        err = query_eval(querier_engine(scope.querier), &options, &result, &scope.info);
        query_note(&scope, began_ns, err, result.stats.read.samples);
        if (err == ERR_BAD_INPUT)
            err_prefix(&scope.info, "invalid parameter \"query\"");
    }
    if (err == ERR_OK)
        err = query_scope_keep_result(&scope, &result);
    if (err != ERR_OK) {
        api_answer_error(req, err, &scope.info);
        query_scope_end(&scope);
        return;
    }
    if (result.is_truncated)
        annotations_add(&result.annotations, true, SLICE("results truncated due to limit"));
    stats = http_params_get(&scope.params, "stats");
    api_answer_begin(&answer, req);
    api_json_result(&answer.api, &result, stats.len > 0);
    api_answer_end(&answer, &result.annotations);
    query_scope_end(&scope);
}

static void on_query(struct http_request *req)
{
    serve_query(req, parse_instant);
}

static void on_query_range(struct http_request *req)
{
    serve_query(req, parse_range);
}

void api_query_add_routes(struct querier *querier, struct http_server *server)
{
    const struct http_route routes[] = {
        {.methods = HTTP_GET | HTTP_POST, .path = "/api/v1/query", .handler = on_query},
        {.methods = HTTP_GET | HTTP_POST, .path = "/api/v1/query_range", .handler = on_query_range},
    };

    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        struct http_route route = routes[i];

        route.owner = querier;
        route.flags = HTTP_ROUTE_CORS;
        route.pool = ENV_POOL_QUERY;
        route.queue_wait_ms = (uint64_t)querier->options.settings->timeout_ms;
        http_server_route(server, &route);
    }
}
