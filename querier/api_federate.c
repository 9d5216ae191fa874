/* SPDX-License-Identifier: Apache-2.0 */

/* Federation: the newest sample of each series, as another server scrapes it. Stale series are left
 * out; external labels are added, and an empty `instance` where neither has one, so that the
 * scraper does not put its own there. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/exposition_out.h"
#include "model/histogram_math.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"

enum { FEDERATE_ANSWER_MAX = 1 << 30 };

/* The newest sample of a series. */
struct federate_item {
    struct label_set labels;
    int64_t t_ms;
    double v;
    const struct histogram *histogram; /* of floats, in the arena; NULL: v counts */
};

struct federate_call {
    struct query_scope scope;
    struct federate_item *items;
    size_t count, cap;
    struct label_set external; /* with instance */
};

static enum err federate_no_room(struct federate_call *call)
{
    return err_set(&call->scope.info, ERR_LIMIT, "memory limit of the query exceeded");
}

static void federate_fail(struct federate_call *call, enum err err)
{
    char text[ERR_MESSAGE_SIZE + 2];

    snprintf(text, sizeof(text), "%s\n", err_message(err, &call->scope.info));
    http_respond_text(call->scope.req, err_http_status(err), text);
}

static enum err federate_add(struct federate_call *call, const struct federate_item *item)
{
    if (call->count == call->cap) {
        const size_t cap = call->cap == 0 ? 256 : call->cap * 2;

        call->items = arena_grow(&call->scope.arena, call->items, call->cap * sizeof(*call->items),
                                 cap * sizeof(*call->items));
        if (call->items == NULL)
            return federate_no_room(call);
        call->cap = cap;
    }
    call->items[call->count++] = *item;
    return ERR_OK;
}

static enum err federate_series(struct federate_call *call, const struct source_series *series)
{
    struct federate_item item = {.labels = series->labels};
    struct sample_columns columns;
    const struct histogram *last = NULL;
    bool has = false;

    while (sample_cursor_next(series->cursor, &columns)) {
        const uint32_t i = columns.count - 1;

        has = true;
        item.t_ms = columns.t_ms[i];
        item.v = columns.kind == SAMPLE_FLOAT ? columns.v[i] : 0;
        last = columns.kind == SAMPLE_FLOAT ? NULL : columns.histograms[i];
        if (last == NULL) {
            item.histogram = NULL;
            continue;
        }
        item.histogram = histogram_to_float(&call->scope.arena, last);
        if (item.histogram == NULL)
            return federate_no_room(call);
    }
    if (series->cursor->err != ERR_OK)
        return series->cursor->err;
    if (!has || (item.histogram == NULL && sample_value_is_stale(item.v)) ||
        (item.histogram != NULL && histogram_is_stale(item.histogram)))
        return ERR_OK;
    item.labels = label_set_copy(&call->scope.arena, series->labels);
    if (item.labels.count != series->labels.count)
        return federate_no_room(call);
    return federate_add(call, &item);
}

static enum err federate_gather(struct federate_call *call)
{
    struct query_scope *scope = &call->scope;
    struct source *source = scope->querier->options.source;
    const int64_t now_ms = env_now_ms(scope->querier->options.env);
    const int64_t t_min = now_ms - scope->querier->options.settings->lookback_ms;
    struct source_ctx ctx = query_scope_ctx(scope);
    struct matcher_list *lists = NULL;
    uint32_t list_count = 0;
    enum err err =
        api_param_matchers(&scope->params, &scope->arena, &lists, &list_count, &scope->info);

    for (uint32_t i = 0; i < list_count && err == ERR_OK; i++) {
        struct series_stream *stream = NULL;
        struct source_series series;

        err =
            source->ops->select(source, &ctx, lists[i], t_min, now_ms, NULL, &stream, &scope->info);
        while (err == ERR_OK && series_stream_next(stream, &series))
            err = federate_series(call, &series);
        if (err == ERR_OK && stream->err != ERR_OK) {
            scope->info = stream->info;
            err = stream->err;
        }
    }
    return err;
}

/* By name, then as labels are ordered. */
static int compare_items(const void *a, const void *b)
{
    const struct federate_item *x = a, *y = b;
    const int order = slice_cmp(label_set_get(x->labels, SLICE(LABEL_METRIC_NAME)),
                                label_set_get(y->labels, SLICE(LABEL_METRIC_NAME)));

    return order != 0 ? order : label_set_cmp(x->labels, y->labels);
}

static enum err federate_external(struct federate_call *call)
{
    struct query_scope *scope = &call->scope;
    struct label_set set;
    struct label *items;
    enum err err = query_scope_external(scope, &set);

    if (err != ERR_OK)
        return err;
    items = ARENA_ARRAY(&scope->arena, struct label, (size_t)set.count + 1);
    if (items == NULL)
        return federate_no_room(call);
    for (uint32_t i = 0; i < set.count; i++)
        items[i] = set.items[i];
    call->external = (struct label_set){items, set.count};
    if (!label_set_has(set, SLICE("instance"))) {
        items[set.count] = (struct label){SLICE("instance"), {NULL, 0}};
        label_sort(items, set.count + 1);
        call->external.count++;
    }
    return ERR_OK;
}

/* The labels without the name, then the external ones that are not among them. */
static uint32_t federate_labels(const struct federate_call *call, struct label_set set,
                                struct label *labels)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < set.count; i++) {
        if (!slice_eq_cstr(set.items[i].name, LABEL_METRIC_NAME))
            labels[count++] = set.items[i];
    }
    for (uint32_t i = 0; i < call->external.count; i++) {
        if (!label_set_has(set, call->external.items[i].name))
            labels[count++] = call->external.items[i];
    }
    return count;
}

static enum err federate_write(struct federate_call *call, struct exposition_out *exposition)
{
    for (size_t i = 0; i < call->count; i++) {
        const struct federate_item *item = &call->items[i];
        struct exposition_sample sample = {
            .name = label_set_get(item->labels, SLICE(LABEL_METRIC_NAME)),
            .t_ms = item->t_ms,
            .v = item->v,
            .histogram = item->histogram,
        };
        struct label *labels;

        if (sample.name.len == 0 || (i > 0 && label_set_eq(item->labels, item[-1].labels)))
            continue;
        labels = ARENA_ARRAY(&call->scope.arena, struct label,
                             (size_t)item->labels.count + call->external.count);
        if (labels == NULL)
            return federate_no_room(call);
        sample.label_count = federate_labels(call, item->labels, labels);
        sample.labels = labels;
        (void)exposition_out_sample(exposition, &sample);
    }
    exposition_out_finish(exposition);
    return exposition->out->err == ERR_OK ? ERR_OK : federate_no_room(call);
}

static void federate_answer(struct federate_call *call, const struct exposition_format *format)
{
    struct exposition_out exposition;
    struct buf out;
    enum err err;
    char *body;
    size_t len;

    buf_init(&out, FEDERATE_ANSWER_MAX);
    exposition_out_init(&exposition, format, &out);
    err = federate_write(call, &exposition);
    exposition_out_fini(&exposition);
    if (err == ERR_OK) {
        body = buf_take(&out, &len);
        http_respond(call->scope.req,
                     &(struct http_response){.status = 200,
                                             .body_is = HTTP_BODY_OWNED,
                                             .body = slice_of(body, len),
                                             .content_type = exposition_content_type(format)});
    } else {
        federate_fail(call, err);
    }
    buf_fini(&out);
}

static void on_federate(struct http_request *req)
{
    const struct exposition_format format =
        exposition_negotiate(http_request_header(req, "accept"));
    struct federate_call call = {.count = 0};
    enum err err;

    if (!query_scope_begin(&call.scope, req))
        return;
    err = federate_gather(&call);
    if (err == ERR_OK)
        err = federate_external(&call);
    arena_release(&call.scope.arena); /* everything was copied */
    if (err == ERR_OK) {
        if (call.count > 1)
            qsort(call.items, call.count, sizeof(*call.items), compare_items);
        federate_answer(&call, &format);
    } else {
        federate_fail(&call, err);
    }
    query_scope_end(&call.scope);
}

void api_federate_add_routes(struct querier *querier, struct http_server *server)
{
    http_server_route(server, &(struct http_route){
                                  .methods = HTTP_GET | HTTP_HEAD,
                                  .path = "/federate",
                                  .handler = on_federate,
                                  .owner = querier,
                                  .pool = ENV_POOL_QUERY,
                                  .queue_wait_ms = (uint64_t)querier->options.settings->timeout_ms,
                              });
}
