/* SPDX-License-Identifier: Apache-2.0 */
/* The series API: label sets, names and values of what has samples in a time range. Several
 * selectors give the union of what each gives. */
#include <stdlib.h>
#include <string.h>

#include "querier/api_answer.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"

struct series_request {
    struct query_scope scope;
    struct matcher_list *lists;
    uint32_t list_count, limit;
    int64_t t_min, t_max;
};

/* Texts or label sets gathered from several selectors. */
struct gathered {
    struct arena *arena;
    void *items; /* array of item_size bytes each */
    size_t count, cap;
};

static enum err series_request_parse(struct series_request *request)
{
    struct query_scope *scope = &request->scope;
    enum err err;

    request->t_min = API_TIME_MIN;
    request->t_max = API_TIME_MAX;
    err = api_param_time(&scope->params, "start", &request->t_min, &scope->info);
    if (err == ERR_OK)
        err = api_param_time(&scope->params, "end", &request->t_max, &scope->info);
    if (err == ERR_OK)
        err = api_param_limit(&scope->params, &request->limit, &scope->info);
    if (err == ERR_OK)
        err = api_param_matchers(&scope->params, &scope->arena, &request->lists,
                                 &request->list_count, &scope->info);
    return err;
}

/* Upstream names the parameter in this call alone. */
static void name_faulty_matcher(struct series_request *request, enum err err)
{
    if (err == ERR_BAD_INPUT && strncmp(request->scope.info.message, "invalid parameter", 17) != 0)
        err_prefix(&request->scope.info, "invalid parameter \"match[]\"");
}

static void *gathered_add(struct gathered *gathered, size_t item_size)
{
    if (gathered->count == gathered->cap) {
        const size_t cap = gathered->cap == 0 ? 64 : gathered->cap * 2;
        void *items = arena_grow(gathered->arena, gathered->items, gathered->cap * item_size,
                                 cap * item_size);

        if (items == NULL)
            return NULL;
        gathered->items = items;
        gathered->cap = cap;
    }
    return (char *)gathered->items + item_size * gathered->count++;
}

static enum err on_text(void *owner, struct slice text)
{
    struct gathered *gathered = owner;
    struct slice *item = gathered_add(gathered, sizeof(*item));

    if (item == NULL)
        return ERR_LIMIT;
    *item = arena_copy(gathered->arena, text);
    return item->data == NULL ? ERR_LIMIT : ERR_OK;
}

static int compare_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int compare_label_sets(const void *a, const void *b)
{
    return label_set_cmp(*(const struct label_set *)a, *(const struct label_set *)b);
}

/* The number of items that an answer with this limit has; notes the cut. */
static size_t series_apply_limit(struct series_request *request, size_t count)
{
    if (request->limit == 0 || count <= request->limit)
        return count;
    annotations_add(&request->scope.annotations, true, SLICE("results truncated due to limit"));
    return request->limit;
}

static void answer_texts(struct series_request *request, struct gathered *gathered)
{
    struct slice *items = gathered->items;
    struct api_answer answer;
    size_t unique = 0;

    if (gathered->count > 0)
        qsort(items, gathered->count, sizeof(*items), compare_slices);
    for (size_t i = 0; i < gathered->count; i++) {
        if (i == 0 || !slice_eq(items[i], items[unique - 1]))
            items[unique++] = items[i];
    }
    unique = series_apply_limit(request, unique);
    api_answer_begin(&answer, request->scope.req);
    json_open_array(&answer.json);
    for (size_t i = 0; i < unique && api_answer_poll(&answer); i++)
        json_string(&answer.json, items[i]);
    json_close_array(&answer.json);
    api_answer_end(&answer, &request->scope.annotations);
}

/* Names (value_of empty) or the values of one label. */
static enum err gather_texts(struct series_request *request, struct slice value_of,
                             struct gathered *gathered)
{
    struct source *source = request->scope.querier->options.source;
    struct source_ctx ctx = query_scope_ctx(&request->scope);
    const struct matcher_list all = {NULL, 0};
    const uint32_t count = request->list_count == 0 ? 1 : request->list_count;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        const struct matcher_list list = request->list_count == 0 ? all : request->lists[i];

        if (value_of.len == 0)
            err = source->ops->label_names(source, &ctx, list, request->t_min, request->t_max,
                                           on_text, gathered);
        else
            err = source->ops->label_values(source, &ctx, value_of, list, request->t_min,
                                            request->t_max, on_text, gathered);
    }
    return err;
}

static void serve_texts(struct http_request *req, struct slice raw_name)
{
    struct series_request request = {.limit = 0};
    struct gathered gathered = {NULL, NULL, 0, 0};
    struct slice name = {NULL, 0};
    enum err err;

    if (!query_scope_begin(&request.scope, req))
        return;
    gathered.arena = &request.scope.arena;
    err = series_request_parse(&request);
    if (err == ERR_OK && raw_name.len > 0)
        err = api_param_label_name(raw_name, &request.scope.arena, &name, &request.scope.info);
    if (err == ERR_OK)
        err = gather_texts(&request, name, &gathered);
    if (err == ERR_OK)
        err = query_scope_keep_labels(&request.scope, NULL, 0); /* texts are copies already */
    if (err == ERR_OK)
        answer_texts(&request, &gathered);
    else
        api_answer_error(req, err, &request.scope.info);
    query_scope_end(&request.scope);
}

static void on_labels(struct http_request *req)
{
    serve_texts(req, (struct slice){NULL, 0});
}

static void on_label_values(struct http_request *req)
{
    if (req->path_params[0].len == 0) {
        api_answer_error(req, ERR_BAD_INPUT, &(struct err_info){"invalid label name: \"\""});
        return;
    }
    serve_texts(req, req->path_params[0]);
}

static enum err gather_series(struct series_request *request, struct gathered *gathered)
{
    struct source *source = request->scope.querier->options.source;
    struct source_ctx ctx = query_scope_ctx(&request->scope);
    const struct source_hints hints = {.projection = SOURCE_SERIES_ONLY};

    for (uint32_t i = 0; i < request->list_count; i++) {
        struct series_stream *stream;
        struct source_series series;
        enum err err = source->ops->select(source, &ctx, request->lists[i], request->t_min,
                                           request->t_max, &hints, &stream, &request->scope.info);

        if (err != ERR_OK)
            return err;
        while (series_stream_next(stream, &series)) {
            struct label_set *item = gathered_add(gathered, sizeof(*item));

            if (item == NULL)
                return err_set(&request->scope.info, ERR_LIMIT,
                               "memory limit of the query exceeded");
            *item = series.labels;
        }
        if (stream->err != ERR_OK) {
            request->scope.info = stream->info;
            return stream->err;
        }
    }
    return ERR_OK;
}

static void write_label_set(struct json_writer *json, struct label_set set)
{
    json_open_object(json);
    for (uint32_t i = 0; i < set.count; i++) {
        json_key_slice(json, set.items[i].name);
        json_string(json, set.items[i].value);
    }
    json_close_object(json);
}

static void answer_series(struct series_request *request, struct gathered *gathered)
{
    struct label_set *items = gathered->items;
    struct api_answer answer;
    size_t unique = 0;

    if (gathered->count > 0 && request->list_count > 1)
        qsort(items, gathered->count, sizeof(*items), compare_label_sets);
    for (size_t i = 0; i < gathered->count; i++) {
        if (i == 0 || !label_set_eq(items[i], items[unique - 1]))
            items[unique++] = items[i];
    }
    unique = series_apply_limit(request, unique);
    api_answer_begin(&answer, request->scope.req);
    json_open_array(&answer.json);
    for (size_t i = 0; i < unique && api_answer_poll(&answer); i++)
        write_label_set(&answer.json, items[i]);
    json_close_array(&answer.json);
    api_answer_end(&answer, &request->scope.annotations);
}

static void on_series(struct http_request *req)
{
    struct series_request request = {.limit = 0};
    struct gathered gathered = {NULL, NULL, 0, 0};
    enum err err;

    if (!query_scope_begin(&request.scope, req))
        return;
    gathered.arena = &request.scope.arena;
    err = series_request_parse(&request);
    name_faulty_matcher(&request, err);
    if (err == ERR_OK && request.list_count == 0)
        err = err_set(&request.scope.info, ERR_BAD_INPUT, "no match[] parameter provided");
    if (err == ERR_OK)
        err = gather_series(&request, &gathered);
    if (err == ERR_OK)
        err = query_scope_keep_labels(&request.scope, gathered.items, gathered.count);
    if (err == ERR_OK)
        answer_series(&request, &gathered);
    else
        api_answer_error(req, err, &request.scope.info);
    query_scope_end(&request.scope);
}

void api_series_add_routes(struct querier *querier, struct http_server *server)
{
    const struct http_route routes[] = {
        {.methods = HTTP_GET | HTTP_POST, .path = "/api/v1/series", .handler = on_series},
        {.methods = HTTP_GET | HTTP_POST, .path = "/api/v1/labels", .handler = on_labels},
        {.methods = HTTP_GET, .path = "/api/v1/label/{name}/values", .handler = on_label_values},
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
