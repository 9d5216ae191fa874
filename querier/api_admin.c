/* SPDX-License-Identifier: Apache-2.0 */
/* The administrative calls: delete series, clean up after that, make a snapshot. Off unless the
 * operator has switched them on. */
#include "model/tenant.h"
#include "querier/api_answer.h"
#include "querier/api_params.h"
#include "querier/querier_internal.h"
#include "storage/db.h"

enum { ADMIN_WAIT_S = 600 /* for a flush or a merge under way */ };

#define NS_PER_S UINT64_C(1000000000)

/* False: answered already, and there is nothing to end. */
static bool admin_begin(struct query_scope *scope, struct http_request *req)
{
    const struct querier *querier = req->owner;

    if (querier->options.admin_api)
        return query_scope_begin(scope, req);
    api_answer_error(req, ERR_UNAVAILABLE, &(struct err_info){"admin APIs disabled"});
    return false;
}

/* To upstream all that goes wrong inside is internal. */
static void answer_failure(struct query_scope *scope, enum err err)
{
    const bool is_inside = err != ERR_BAD_INPUT && err != ERR_CANCELLED;

    if (is_inside)
        log_error(&scope->querier->log, "administrative call failed", F_ERR(err, &scope->info));
    if (scope->info.message[0] == '\0')
        (void)err_set(&scope->info, err, "%s", err_text(err));
    api_answer_error(scope->req, is_inside ? ERR_INTERNAL : err, &scope->info);
}

static void answer_done(struct query_scope *scope, enum err err)
{
    if (err == ERR_OK)
        http_respond(scope->req, &(struct http_response){.status = 204});
    else
        answer_failure(scope, err);
}

static uint64_t wait_deadline(const struct query_scope *scope)
{
    return scope->req->start_ns + ADMIN_WAIT_S * NS_PER_S;
}

/* ---- delete_series ---- */

static enum err copy_selectors(struct query_scope *scope, const struct matcher_list *lists,
                               uint32_t count, struct db_selector **out)
{
    struct db_selector *selectors = ARENA_ARRAY(&scope->arena, struct db_selector, count);

    if (selectors == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        struct matcher_spec *specs =
            ARENA_ARRAY(&scope->arena, struct matcher_spec, lists[i].count);

        if (specs == NULL)
            return ERR_LIMIT;
        for (uint32_t j = 0; j < lists[i].count; j++)
            specs[j] = (struct matcher_spec){lists[i].items[j].type, lists[i].items[j].name,
                                             lists[i].items[j].value};
        selectors[i] = (struct db_selector){specs, lists[i].count};
    }
    *out = selectors;
    return ERR_OK;
}

static enum err delete_series(struct query_scope *scope)
{
    struct db_delete_options options = {.tenant = SLICE(TENANT_DEFAULT),
                                        .t_min_ms = API_TIME_MIN,
                                        .t_max_ms = API_TIME_MAX,
                                        .deadline_ns = wait_deadline(scope),
                                        .cancelled = &scope->req->is_gone};
    struct matcher_list *lists;
    struct db_selector *selectors;
    uint32_t count;
    enum err err;

    if (!http_params_has(&scope->params, "match[]"))
        return err_set(&scope->info, ERR_BAD_INPUT, "no match[] parameter provided");
    err = api_param_time(&scope->params, "start", &options.t_min_ms, &scope->info);
    if (err == ERR_OK)
        err = api_param_time(&scope->params, "end", &options.t_max_ms, &scope->info);
    if (err != ERR_OK)
        return err;
    err = api_param_matchers(&scope->params, &scope->arena, &lists, &count, &scope->info);
    if (err == ERR_BAD_INPUT)
        err_prefix(&scope->info, "invalid parameter \"match[]\"");
    if (err == ERR_OK)
        err = copy_selectors(scope, lists, count, &selectors);
    if (err != ERR_OK || options.t_min_ms > options.t_max_ms)
        return err;
    options.selectors = selectors;
    options.selector_count = count;
    return db_delete(scope->querier->options.db, &options, &scope->info);
}

static void on_delete_series(struct http_request *req)
{
    struct query_scope scope;

    if (!admin_begin(&scope, req))
        return;
    answer_done(&scope, delete_series(&scope));
    query_scope_end(&scope);
}

/* ---- clean_tombstones ---- */

static void on_clean_tombstones(struct http_request *req)
{
    struct query_scope scope;

    if (!admin_begin(&scope, req))
        return;
    const struct db_compact_options options = {.deadline_ns = wait_deadline(&scope),
                                               .cancelled = &req->is_gone};
    answer_done(&scope, db_clean(scope.querier->options.db, &options, &scope.info));
    query_scope_end(&scope);
}

/* ---- snapshot ---- */

/* What Go's strconv.ParseBool takes. */
static bool parse_bool(struct slice text, bool *out)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (slice_eq(text, slice_from_cstr(yes[i])) || slice_eq(text, slice_from_cstr(no[i]))) {
            *out = slice_eq(text, slice_from_cstr(yes[i]));
            return true;
        }
    }
    return false;
}

static void answer_snapshot(struct query_scope *scope, const char *name)
{
    struct api_answer answer;

    api_answer_begin(&answer, scope->req);
    json_open_object(&answer.json);
    json_member_cstr(&answer.json, "name", name);
    json_close_object(&answer.json);
    api_answer_end(&answer, NULL);
}

static void on_snapshot(struct http_request *req)
{
    char name[DB_SNAPSHOT_NAME_SIZE];
    struct query_scope scope;

    if (!admin_begin(&scope, req))
        return;
    struct db_snapshot_options options = {.deadline_ns = wait_deadline(&scope),
                                          .cancelled = &req->is_gone};
    const struct slice skip_head = http_params_get(&scope.params, "skip_head");
    enum err err = ERR_OK;

    if (skip_head.len > 0 && !parse_bool(skip_head, &options.skip_head))
        err = err_set(&scope.info, ERR_BAD_INPUT,
                      "invalid parameter \"skip_head\": unable to parse boolean: "
                      "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                      SLICE_ARG(skip_head));
    if (err == ERR_OK)
        err = db_snapshot(scope.querier->options.db, &options, name, &scope.info);
    if (err == ERR_OK)
        answer_snapshot(&scope, name);
    else
        answer_failure(&scope, err);
    query_scope_end(&scope);
}

void api_admin_add_routes(struct querier *querier, struct http_server *server)
{
    static const struct {
        const char *path;
        void (*handler)(struct http_request *req);
    } calls[] = {{"/api/v1/admin/tsdb/delete_series", on_delete_series},
                 {"/api/v1/admin/tsdb/clean_tombstones", on_clean_tombstones},
                 {"/api/v1/admin/tsdb/snapshot", on_snapshot}};

    for (size_t i = 0; i < COUNT_OF(calls); i++)
        http_server_route(server, &(struct http_route){.methods = HTTP_POST | HTTP_PUT,
                                                       .path = calls[i].path,
                                                       .handler = calls[i].handler,
                                                       .owner = querier,
                                                       .flags = HTTP_ROUTE_CORS,
                                                       .pool = ENV_POOL_QUERY});
}
