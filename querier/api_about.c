/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about series and metrics: exemplars of the selectors of a query, and metadata. */
#include <stdlib.h>

#include "base/number.h"
#include "promql/parser.h"
#include "querier/api_answer.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"

/* An array in the request's arena. */
struct items {
    struct arena *arena;
    void *data;
    size_t count, cap;
};

static void *items_add(struct items *items, size_t size)
{
    if (items->count == items->cap) {
        const size_t cap = items->cap == 0 ? 64 : items->cap * 2;
        void *data = arena_grow(items->arena, items->data, items->cap * size, cap * size);

        if (data == NULL)
            return NULL;
        items->data = data;
        items->cap = cap;
    }
    return (char *)items->data + size * items->count++;
}

/* ---- exemplars ---- */

struct found {
    struct label_set series;
    struct exemplar exemplar;
};

static void add_selectors(const struct promql_expr *expr, struct items *lists, enum err *err);

static void add_selector(const struct promql_expr *expr, struct items *lists, enum err *err)
{
    struct matcher_list *list = items_add(lists, sizeof(*list));

    if (list == NULL)
        *err = ERR_LIMIT;
    else
        *list = (struct matcher_list){expr->selector.matchers, expr->selector.matcher_count};
}

static void add_of_args(const struct promql_call *call, struct items *lists, enum err *err)
{
    for (uint32_t i = 0; i < call->arg_count; i++)
        add_selectors(call->args[i], lists, err);
}

/* All selectors in an expression. */
static void add_selectors(const struct promql_expr *expr, struct items *lists, enum err *err)
{
    if (expr == NULL || *err != ERR_OK)
        return;
    switch (expr->kind) {
    case PROMQL_SELECTOR:
        add_selector(expr, lists, err);
        break;
    case PROMQL_RANGE:
        add_selectors(expr->range.selector, lists, err);
        break;
    case PROMQL_SUBQUERY:
        add_selectors(expr->subquery.expr, lists, err);
        break;
    case PROMQL_CALL:
        add_of_args(&expr->call, lists, err);
        break;
    case PROMQL_AGGREGATE:
        add_selectors(expr->aggregate.param, lists, err);
        add_selectors(expr->aggregate.expr, lists, err);
        break;
    case PROMQL_BINARY:
        add_selectors(expr->binary.lhs, lists, err);
        add_selectors(expr->binary.rhs, lists, err);
        break;
    case PROMQL_UNARY:
        add_selectors(expr->unary.expr, lists, err);
        break;
    case PROMQL_PAREN:
        add_selectors(expr->paren, lists, err);
        break;
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
    case PROMQL_DURATION:
        break;
    }
}

static enum err on_exemplar(void *owner, struct label_set series, const struct exemplar *exemplar)
{
    struct items *items = owner;
    const struct found *last =
        items->count == 0 ? NULL : (const struct found *)items->data + items->count - 1;
    const bool same = last != NULL && label_set_eq(last->series, series);
    const struct label_set set = same ? last->series : label_set_copy(items->arena, series);
    struct found *found = items_add(items, sizeof(*found));

    if (found == NULL)
        return ERR_LIMIT;
    found->series = set;
    found->exemplar = *exemplar;
    found->exemplar.labels = label_set_copy(items->arena, exemplar->labels);
    return items->arena->err;
}

static int order_doubles(double a, double b)
{
    return a < b ? -1 : a > b;
}

static int found_cmp(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = label_set_cmp(x->series, y->series);

    if (order == 0 && x->exemplar.t_ms != y->exemplar.t_ms)
        order = x->exemplar.t_ms < y->exemplar.t_ms ? -1 : 1;
    if (order == 0)
        order = order_doubles(x->exemplar.v, y->exemplar.v);
    return order != 0 ? order : label_set_cmp(x->exemplar.labels, y->exemplar.labels);
}

static void write_labels(struct json_writer *json, const char *key, struct label_set set)
{
    json_key(json, key);
    json_open_object(json);
    for (uint32_t i = 0; i < set.count; i++) {
        json_key_slice(json, set.items[i].name);
        json_string(json, set.items[i].value);
    }
    json_close_object(json);
}

static void write_exemplar(struct json_writer *json, const struct exemplar *exemplar)
{
    char value[NUMBER_TEXT_SIZE];
    struct buf time;

    json_open_object(json);
    write_labels(json, "labels", exemplar->labels);
    json_key(json, "value");
    json_string(json, slice_of(value, number_format_double(value, exemplar->v, NUMBER_API)));
    json_key(json, "timestamp");
    buf_init(&time, 64);
    api_json_time(&time, exemplar->t_ms);
    json_raw(json, buf_slice(&time));
    buf_fini(&time);
    json_close_object(json);
}

/* A flush may have shown an exemplar twice: each is given once. */
static void answer_exemplars(struct query_scope *scope, const struct items *items)
{
    struct found *found = items->data;
    struct api_answer answer;

    if (items->count > 1)
        qsort(found, items->count, sizeof(*found), found_cmp);
    api_answer_begin(&answer, scope->req);
    json_open_array(&answer.json);
    for (size_t i = 0; i < items->count && api_answer_poll(&answer);) {
        const struct label_set series = found[i].series;

        json_open_object(&answer.json);
        write_labels(&answer.json, "seriesLabels", series);
        json_key(&answer.json, "exemplars");
        json_open_array(&answer.json);
        for (; i < items->count && label_set_eq(series, found[i].series); i++)
            if (i == 0 || found_cmp(&found[i - 1], &found[i]) != 0)
                write_exemplar(&answer.json, &found[i].exemplar);
        json_close_array(&answer.json);
        json_close_object(&answer.json);
    }
    json_close_array(&answer.json);
    api_answer_end(&answer, &scope->annotations);
}

struct exemplars_request {
    struct query_scope scope;
    int64_t t_min, t_max;
    struct items lists, found;
};

static enum err exemplars_parse(struct exemplars_request *request)
{
    struct query_scope *scope = &request->scope;
    const struct querier_options *options = &scope->querier->options;
    const struct promql_features features = {
        options->experimental_functions, options->extended_range_selectors,
        options->binop_fill_modifiers, options->duration_expressions};
    struct promql_expr *expr;
    enum err err;

    request->t_min = API_TIME_MIN;
    request->t_max = API_TIME_MAX;
    err = api_param_time(&scope->params, "start", &request->t_min, &scope->info);
    if (err == ERR_OK)
        err = api_param_time(&scope->params, "end", &request->t_max, &scope->info);
    if (err == ERR_OK && request->t_max < request->t_min)
        err = err_set(&scope->info, ERR_BAD_INPUT,
                      "end timestamp must not be before start timestamp");
    if (err == ERR_OK)
        err = promql_parse(&scope->arena, http_params_get(&scope->params, "query"), &features,
                           &expr, &scope->info);
    if (err == ERR_OK)
        add_selectors(expr, &request->lists, &err);
    return err;
}

static enum err exemplars_gather(struct exemplars_request *request)
{
    struct query_scope *scope = &request->scope;
    struct source *source = scope->querier->options.source;
    struct source_ctx ctx = query_scope_ctx(scope);
    const struct matcher_list *lists = request->lists.data;
    enum err err = ERR_OK;

    for (size_t i = 0; i < request->lists.count && err == ERR_OK; i++)
        err = source->ops->exemplars(source, &ctx, lists[i], request->t_min, request->t_max,
                                     on_exemplar, &request->found);
    return err;
}

static void on_query_exemplars(struct http_request *req)
{
    struct exemplars_request request = {.t_min = 0};
    enum err err;

    if (!query_scope_begin(&request.scope, req))
        return;
    request.lists.arena = request.found.arena = &request.scope.arena;
    err = exemplars_parse(&request);
    if (err == ERR_OK)
        err = exemplars_gather(&request);
    if (err == ERR_OK)
        err = query_scope_keep_labels(&request.scope, NULL, 0); /* all are copies already */
    if (err == ERR_OK && request.lists.count == 0)
        http_respond(req, &(struct http_response){.status = 204}); /* as upstream */
    else if (err == ERR_OK)
        answer_exemplars(&request.scope, &request.found);
    else
        api_answer_error(req, err, &request.scope.info);
    query_scope_end(&request.scope);
}

/* ---- metadata ---- */

static const char *metric_type_text(enum metric_type type)
{
    static const char *const texts[] = {
        [METRIC_TYPE_UNKNOWN] = "unknown",   [METRIC_TYPE_COUNTER] = "counter",
        [METRIC_TYPE_GAUGE] = "gauge",       [METRIC_TYPE_HISTOGRAM] = "histogram",
        [METRIC_TYPE_SUMMARY] = "summary",   [METRIC_TYPE_GAUGEHISTOGRAM] = "gaugehistogram",
        [METRIC_TYPE_STATESET] = "stateset", [METRIC_TYPE_INFO] = "info",
    };

    return (size_t)type < COUNT_OF(texts) ? texts[type] : "unknown";
}

struct metadata_request {
    struct query_scope scope;
    int64_t limit, limit_per_metric; /* negative: none; of the latter 0 too */
    struct slice metric;
    struct items items;
};

static enum err on_metadata_found(void *owner, const struct metadata *said)
{
    struct items *items = owner;
    struct metadata *to = items_add(items, sizeof(*to));

    if (to == NULL)
        return ERR_LIMIT;
    *to = (struct metadata){.type = said->type,
                            .metric = arena_copy(items->arena, said->metric),
                            .help = arena_copy(items->arena, said->help),
                            .unit = arena_copy(items->arena, said->unit)};
    return items->arena->err;
}

static int metadata_cmp(const void *a, const void *b)
{
    const struct metadata *x = a, *y = b;
    int order = slice_cmp(x->metric, y->metric);

    if (order == 0 && x->type != y->type)
        order = x->type < y->type ? -1 : 1;
    if (order == 0)
        order = slice_cmp(x->unit, y->unit);
    return order != 0 ? order : slice_cmp(x->help, y->help);
}

/* As upstream's strconv.Atoi, and its text. */
static enum err param_number(struct query_scope *scope, const char *name, int64_t *out)
{
    const struct slice text = http_params_get(&scope->params, name);

    if (text.len == 0 || number_parse_int64(text, out) == ERR_OK)
        return ERR_OK;
    return err_set(&scope->info, ERR_BAD_INPUT, "%s must be a number", name);
}

static void write_metadata(struct json_writer *json, const struct metadata *said)
{
    json_open_object(json);
    json_member_cstr(json, "type", metric_type_text(said->type));
    json_member(json, "unit", said->unit);
    json_member(json, "help", said->help);
    json_close_object(json);
}

static void answer_metadata(struct metadata_request *request)
{
    struct metadata *items = request->items.data;
    const size_t count = request->items.count;
    struct api_answer answer;
    int64_t metrics = 0;

    if (count > 1)
        qsort(items, count, sizeof(*items), metadata_cmp);
    api_answer_begin(&answer, request->scope.req);
    json_open_object(&answer.json);
    for (size_t i = 0; i < count && api_answer_poll(&answer); metrics++) {
        const struct slice metric = items[i].metric;
        int64_t given = 0;

        if (request->limit >= 0 && metrics >= request->limit)
            break;
        json_key_slice(&answer.json, metric);
        json_open_array(&answer.json);
        for (; i < count && slice_eq(metric, items[i].metric); i++) {
            if (i > 0 && metadata_cmp(&items[i - 1], &items[i]) == 0)
                continue;
            if (request->limit_per_metric <= 0 || given++ < request->limit_per_metric)
                write_metadata(&answer.json, &items[i]);
        }
        json_close_array(&answer.json);
    }
    json_close_object(&answer.json);
    api_answer_end(&answer, &request->scope.annotations);
}

static void on_metadata(struct http_request *req)
{
    struct metadata_request request = {.limit = -1, .limit_per_metric = -1};
    struct query_scope *scope = &request.scope;
    struct source *source;
    struct source_ctx ctx;
    enum err err;

    if (!query_scope_begin(scope, req))
        return;
    request.items.arena = &scope->arena;
    source = scope->querier->options.source;
    ctx = query_scope_ctx(scope);
    err = param_number(scope, "limit", &request.limit);
    if (err == ERR_OK)
        err = param_number(scope, "limit_per_metric", &request.limit_per_metric);
    if (err == ERR_OK)
        err = source->ops->metadata(source, &ctx, http_params_get(&scope->params, "metric"),
                                    on_metadata_found, &request.items);
    if (err == ERR_OK)
        err = query_scope_keep_labels(scope, NULL, 0); /* all are copies already */
    if (err == ERR_OK)
        answer_metadata(&request);
    else
        api_answer_error(req, err, &scope->info);
    query_scope_end(scope);
}

void api_about_add_routes(struct querier *querier, struct http_server *server)
{
    const struct http_route routes[] = {
        {.methods = HTTP_GET | HTTP_POST,
         .path = "/api/v1/query_exemplars",
         .handler = on_query_exemplars},
        {.methods = HTTP_GET, .path = "/api/v1/metadata", .handler = on_metadata},
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
