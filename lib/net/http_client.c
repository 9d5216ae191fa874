/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_client_internal.h"

/* Bits of call->state. Cancel posts a task that lies in the call, so a call that finishes with that
 * task still under way lets it bring the completion:
 *
 *   STARTED -> +FINISHED                      done runs at once
 *   STARTED -> +CANCEL -> (task) +FINISHED    the task ends it, then done
 *   STARTED -> +CANCEL -> +FINISHED -> (task) done runs in the task */
enum { CALL_STARTED = 1, CALL_CANCEL = 2, CALL_FINISHED = 4 };

static pthread_once_t client_once = PTHREAD_ONCE_INIT;

static void client_init_curl(void)
{
    const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

    ASSERT(code == CURLE_OK);
}

static void client_keep(struct arena *arena, const char **text)
{
    if (*text != NULL)
        *text = arena_copy_cstr(arena, slice_from_cstr(*text));
}

enum err http_client_new(const struct http_client_options *options, struct http_client **client,
                         struct err_info *info)
{
    struct http_client *c;

    if (options->server_name != NULL && options->server_name[0] == '\0')
        return err_set(info, ERR_BAD_INPUT, "server name is empty");
    pthread_once(&client_once, client_init_curl);
    c = mem_zalloc(1, sizeof(*c));
    arena_init(&c->arena, NULL, 0);
    c->options = *options;
    client_keep(&c->arena, &c->options.user_agent);
    client_keep(&c->arena, &c->options.proxy_url);
    client_keep(&c->arena, &c->options.no_proxy);
    client_keep(&c->arena, &c->options.basic_user);
    client_keep(&c->arena, &c->options.basic_password);
    client_keep(&c->arena, &c->options.bearer_token);
    client_keep(&c->arena, &c->options.authorization);
    client_keep(&c->arena, &c->options.ca_file);
    client_keep(&c->arena, &c->options.ca_text);
    client_keep(&c->arena, &c->options.cert_file);
    client_keep(&c->arena, &c->options.cert_text);
    client_keep(&c->arena, &c->options.key_file);
    client_keep(&c->arena, &c->options.key_text);
    client_keep(&c->arena, &c->options.server_name);
    client_keep(&c->arena, &c->options.unix_socket);
    *client = c;
    return ERR_OK;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    arena_fini(&client->arena);
    mem_free(client);
}

void http_call_init(struct http_call *call, struct http_client *client)
{
    *call = (struct http_call){.client = client, .method = HTTP_GET};
    buf_init(&call->buf, SIZE_MAX / 2);
}

void http_call_drop_body(struct http_call *call)
{
    call->body_received = (struct slice){0};
    buf_fini(&call->buf);
    buf_init(&call->buf, SIZE_MAX / 2);
}

void http_call_fini(struct http_call *call)
{
    const int state = atomic_load(&call->state);

    ASSERT(state == 0 || (state & CALL_FINISHED) != 0);
    buf_fini(&call->buf);
    if (call->transfer != NULL) {
        curl_easy_cleanup(call->transfer->easy);
        mem_free(call->transfer);
    }
    call->transfer = NULL;
}

/* Ends a call that is not in curl's hands any more. The owner may free the call in done. */
static void call_finish(struct http_call *call, enum err err)
{
    struct http_transfer *transfer = call->transfer;
    const bool cancel_has_run = transfer->cancel_has_run;
    int state;

    ASSERT(transfer->loop == NULL);
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->connect_to);
    mem_free(transfer->url);
    http_gunzip_free(transfer->gunzip);
    transfer->gunzip = NULL;
    transfer->headers = transfer->connect_to = NULL;
    transfer->url = NULL;
    call->err = err;
    state = atomic_fetch_or(&call->state, CALL_FINISHED);
    if ((state & CALL_CANCEL) == 0 || cancel_has_run)
        call->done(call);
}

static void call_take_result(struct http_transfer *transfer)
{
    struct http_call *call = transfer->call;
    const char *type = NULL;
    curl_off_t size = 0;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &size);
    call->status = (int)status;
    call->content_type = type == NULL ? slice_of(NULL, 0) : slice_from_cstr(type);
    call->wire_size_bytes = (size_t)size;
    call->body_received = buf_slice(&call->buf);
}

void http_client_on_done(struct http_transfer *transfer, CURLcode code)
{
    struct http_call *call = transfer->call;
    enum err err = ERR_OK;

    http_client_loop_remove(transfer);
    if (code == CURLE_OK && transfer->gunzip != NULL && !http_gunzip_is_whole(transfer->gunzip))
        code = CURLE_PARTIAL_FILE;
    if (code == CURLE_OK)
        call_take_result(transfer);
    else
        err = http_client_error(transfer, code, &call->info);
    call_finish(call, err);
}

static void call_on_begin(struct reactor_task *task)
{
    struct http_call *call = CONTAINER_OF(task, struct http_call, begin);
    struct http_transfer *transfer = call->transfer;
    enum err err = http_client_setup(transfer, &call->info);

    if (err == ERR_OK) {
        err = http_client_loop_add(http_client_loop_get(call->affinity), transfer);
        if (err != ERR_OK)
            err_set(&call->info, err, "cannot start a request");
    }
    if (err != ERR_OK)
        call_finish(call, err);
}

static void call_on_cancel(struct reactor_task *task)
{
    struct http_call *call = CONTAINER_OF(task, struct http_call, cancel);
    struct http_transfer *transfer = call->transfer;

    if ((atomic_load(&call->state) & CALL_FINISHED) != 0) {
        call->done(call);
        return;
    }
    transfer->cancel_has_run = true;
    http_client_loop_remove(transfer);
    err_set(&call->info, ERR_CANCELLED, "context canceled");
    call_finish(call, ERR_CANCELLED);
}

static struct reactor *call_reactor(const struct http_call *call)
{
    struct reactor_set *set = call->client->options.reactors;

    return reactor_set_get(set, call->affinity % reactor_set_count(set));
}

void http_call_start(struct http_call *call)
{
    const int state = atomic_load(&call->state);

    ASSERT(state == 0 || (state & CALL_FINISHED) != 0);
    ASSERT(call->url != NULL);
    ASSERT(call->done != NULL);
    ASSERT(call->deadline_ns != 0);
    if (call->transfer == NULL) {
        call->transfer = mem_zalloc(1, sizeof(*call->transfer));
        call->transfer->easy = curl_easy_init();
        ASSERT(call->transfer->easy != NULL);
    }
    call->transfer->call = call;
    call->transfer->is_too_large = call->transfer->cancel_has_run = false;
    call->transfer->is_corrupt = false;
    call->transfer->family = 0;
    call->transfer->dialled[0] = call->transfer->error[0] = '\0';
    call->err = ERR_OK;
    call->status = 0;
    call->content_type = call->body_received = slice_of(NULL, 0);
    call->wire_size_bytes = 0;
    call->info.message[0] = '\0';
    buf_reset(&call->buf);
    call->begin.fn = call_on_begin;
    call->cancel.fn = call_on_cancel;
    atomic_store(&call->state, CALL_STARTED);
    reactor_post(call_reactor(call), &call->begin);
}

void http_call_cancel(struct http_call *call)
{
    int state = atomic_load(&call->state);

    do
        if (state != CALL_STARTED)
            return;
    while (!atomic_compare_exchange_weak(&call->state, &state, CALL_STARTED | CALL_CANCEL));
    reactor_post(call_reactor(call), &call->cancel);
}

struct slice http_call_header(const struct http_call *call, const char *name)
{
    struct curl_header *header;

    if (call->transfer == NULL ||
        curl_easy_header(call->transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return slice_of(NULL, 0);
    return slice_from_cstr(header->value);
}

static void call_on_run_done(struct http_call *call)
{
    env_complete(call->owner, &call->op, call->err);
}

enum err http_call_run(struct http_call *call, struct env *env)
{
    void *owner = call->owner;
    http_call_fn *done = call->done;
    enum err err;

    call->op = (struct env_op){0};
    call->owner = env;
    call->done = call_on_run_done;
    http_call_start(call);
    err = env_wait(env, &call->op, 0);
    call->owner = owner;
    call->done = done;
    return err;
}
