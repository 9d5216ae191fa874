/* SPDX-License-Identifier: Apache-2.0 */
#include "querier/querier.h"

#include "base/mem.h"
#include "model/tenant.h"
#include "querier/api_answer.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"

const struct setting querier_setting_table[] = {
    {"query.lookback-delta", SETTING_DURATION, offsetof(struct querier_settings, lookback_ms),
     .value = "5m", .min = "1ms", .max = "10y",
     .help = "How far back an instant selector looks for a sample."},
    {"query.timeout", SETTING_DURATION, offsetof(struct querier_settings, timeout_ms),
     .value = "2m", .min = "1ms", .max = "1d",
     .help = "Time after which a query is ended, its wait in the queue included."},
    {"query.max-concurrency", SETTING_INT, offsetof(struct querier_settings, concurrency_max),
     .value = "20", .min = "1", .max = "1000", .help = "Most queries that run at a time."},
    {"query.max-samples", SETTING_INT, offsetof(struct querier_settings, samples_max),
     .value = "50000000", .min = "1", .max = "1000000000000",
     .help = "Most samples that one query may hold in memory."},
    {"query.max-memory", SETTING_SIZE, offsetof(struct querier_settings, query_size_max),
     .value = "1GiB", .min = "1MiB", .max = "1PiB", .help = "Most memory that one query may use."},
    {"query.max-total-memory", SETTING_SIZE, offsetof(struct querier_settings, size_max),
     .value = "4GiB", .min = "1MiB", .max = "1PiB",
     .help = "Most memory that all queries together may use."},
    {"storage.remote.read-sample-limit", SETTING_INT,
     offsetof(struct querier_settings, read_samples_max), .value = "50000000", .min = "0",
     .max = "1000000000000",
     .help = "Most samples that one query of a remote read that is not streamed gives; 0: any."},
    {"storage.remote.read-max-bytes-in-frame", SETTING_INT,
     offsetof(struct querier_settings, read_frame_size_max), .value = "1048576", .min = "1",
     .max = "67108864",
     .help = "Bytes of a frame of a streamed remote read, after which the next one begins."},
};
const size_t querier_setting_count = COUNT_OF(querier_setting_table);

static double read_memory(const void *metrics)
{
    const struct querier *querier = CONTAINER_OF(metrics, const struct querier, metrics);
    return (double)atomic_load_explicit(&querier->budget.used_bytes, memory_order_relaxed);
}

static double read_concurrency(const void *metrics)
{
    const struct querier *querier = CONTAINER_OF(metrics, const struct querier, metrics);
    return (double)querier->options.settings->concurrency_max;
}

static const struct metric_desc querier_metric_descs[] = {
    {"prometheus_engine_queries", METRIC_GAUGE, offsetof(struct querier_metrics, queries),
     .help = "Queries under way."},
    {"prometheus_engine_queries_concurrent_max", METRIC_GAUGE_FN, .read = read_concurrency,
     .help = "Most queries that run at a time."},
    {"prometheus_engine_query_duration_histogram_seconds", METRIC_HISTOGRAM,
     offsetof(struct querier_metrics, duration), .labels = "slice",
     .help = "Time of queries by part."},
    {"prometheus_engine_query_samples_total", METRIC_COUNTER,
     offsetof(struct querier_metrics, samples), .help = "Samples that queries read."},
    {"narthex_querier_failures_total", METRIC_COUNTER, offsetof(struct querier_metrics, failures),
     .help = "Queries that ended with an error."},
    {"narthex_querier_memory_bytes", METRIC_GAUGE_FN, .read = read_memory,
     .help = "Memory that queries hold now."},
};

static uint64_t querier_mono_ns(void *owner)
{
    return env_mono_ns(owner);
}

struct querier *querier_new(const struct querier_options *options)
{
    struct querier *querier = mem_zalloc(1, sizeof(*querier));
    const struct slice eval = SLICE("inner_eval"), queue = SLICE("queue_time");

    querier->options = *options;
    pthread_mutex_init(&querier->external_lock, NULL);
    arena_init(&querier->external_arena, NULL, 0);
    querier->log = log_make((struct log_sink *)options->log_sink, "querier");
    budget_init(&querier->budget, options->budget, "queries", options->settings->size_max);
    struct promql_engine_options engine = {
        .source = options->source,
        .lookback_ms = options->settings->lookback_ms,
        .subquery_step_ms = options->evaluation_interval_ms,
        .samples_max = (uint64_t)options->settings->samples_max,
        .features = {options->experimental_functions, options->extended_range_selectors,
                     options->binop_fill_modifiers, options->duration_expressions},
        .mono_ns = querier_mono_ns,
        .mono_owner = options->env,
        .timeout_ns = (uint64_t)options->settings->timeout_ms * 1000000,
    };

    options->env->clock->random(options->env, engine.hash_seed, sizeof(engine.hash_seed));
    querier->engine = promql_engine_new(&engine);
    metric_register(options->metrics, querier_metric_descs, COUNT_OF(querier_metric_descs),
                    &querier->metrics);
    querier->metrics.duration_eval = metric_family_histogram(querier->metrics.duration, &eval);
    querier->metrics.duration_queue = metric_family_histogram(querier->metrics.duration, &queue);
    return querier;
}

void querier_free(struct querier *querier)
{
    if (querier == NULL)
        return;
    metric_unregister(querier->options.metrics, querier_metric_descs,
                      COUNT_OF(querier_metric_descs), &querier->metrics);
    promql_engine_free(querier->engine);
    arena_fini(&querier->external_arena);
    pthread_mutex_destroy(&querier->external_lock);
    mem_free(querier);
}

void querier_add_routes(struct querier *querier, struct http_server *server)
{
    api_query_add_routes(querier, server);
    api_series_add_routes(querier, server);
    api_about_add_routes(querier, server);
    api_read_add_routes(querier, server);
    api_federate_add_routes(querier, server);
    if (querier->options.db != NULL)
        api_admin_add_routes(querier, server);
}

void querier_set_external_labels(struct querier *querier, struct label_set labels)
{
    pthread_mutex_lock(&querier->external_lock);
    arena_reset(&querier->external_arena);
    querier->external = label_set_copy(&querier->external_arena, labels);
    pthread_mutex_unlock(&querier->external_lock);
}

enum err query_scope_external(struct query_scope *scope, struct label_set *labels)
{
    struct querier *querier = scope->querier;
    uint32_t count;

    pthread_mutex_lock(&querier->external_lock);
    count = querier->external.count;
    *labels = label_set_copy(&scope->arena, querier->external);
    pthread_mutex_unlock(&querier->external_lock);
    return labels->count == count
               ? ERR_OK
               : err_set(&scope->info, ERR_LIMIT, "memory limit of the query exceeded");
}

struct query_engine *querier_engine(struct querier *querier)
{
    return promql_engine_query(querier->engine);
}

void querier_set_evaluation_interval(struct querier *querier, int64_t interval_ms)
{
    promql_engine_set_subquery_step(querier->engine, interval_ms);
}

bool query_scope_begin(struct query_scope *scope, struct http_request *req)
{
    struct querier *querier = req->owner;
    const int64_t timeout_max_ms = querier->options.settings->timeout_ms;
    int64_t timeout_ms = timeout_max_ms;
    enum err err;

    *scope = (struct query_scope){.querier = querier, .req = req};
    err = http_request_params(req, &scope->params, &scope->info);
    if (err == ERR_OK)
        err = api_param_duration(&scope->params, "timeout", &timeout_ms, &scope->info);
    if (err != ERR_OK) {
        api_answer_error(req, err, &scope->info);
        return false;
    }
    if (timeout_ms < 0 || timeout_ms > timeout_max_ms)
        timeout_ms = timeout_max_ms;
    scope->deadline_ns = req->start_ns + (uint64_t)timeout_ms * 1000000;
    budget_init(&scope->budget, &querier->budget, "query",
                querier->options.settings->query_size_max);
    arena_init(&scope->arena, &scope->budget, 0);
    scope->annotations.arena = &scope->arena;
    metric_gauge_add(&querier->metrics.queries, 1);
    metric_observe(querier->metrics.duration_queue,
                   (double)(env_mono_ns(querier->options.env) - req->start_ns) / 1e9);
    return true;
}

void query_scope_end(struct query_scope *scope)
{
    metric_gauge_add(&scope->querier->metrics.queries, -1);
    arena_fini(&scope->arena);
}

struct source_ctx query_scope_ctx(struct query_scope *scope)
{
    return (struct source_ctx){
        .tenant = SLICE(TENANT_DEFAULT),
        .deadline_ns = scope->deadline_ns,
        .cancelled = &scope->req->is_gone,
        .budget = &scope->budget,
        .arena = &scope->arena,
        .stats = &scope->stats,
        .annotations = &scope->annotations,
        .mono_ns = querier_mono_ns,
        .mono_owner = scope->querier->options.env,
    };
}
