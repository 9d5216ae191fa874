/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_job.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/path.h"

enum { ACCEPT_SIZE_MAX = 1024, SECRET_SIZE_MAX = 1 << 20, FIXED_HEADER_COUNT = 4 };

struct counted {
    struct scrape_job job;
    _Atomic uint32_t refs;
    char accept[ACCEPT_SIZE_MAX];
};

/* ---- Accept ---- */

static const char *const media_types[SCRAPE_PROTOCOL_COUNT] = {
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = "text/plain;version=1.0.0",
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = "text/plain;version=0.0.4",
};

static const char *escaping_text(enum name_escaping escaping)
{
    switch (escaping) {
    case ESCAPE_UNDERSCORES:
        return "underscores";
    case ESCAPE_DOTS:
        return "dots";
    case ESCAPE_VALUES:
        return "values";
    case ESCAPE_ALLOW_UTF8:
        break;
    }
    return "allow-utf-8";
}

/* The wanted formats, most wanted first, each a tenth less than the one before. The protobuf format
 * is left out: it cannot be read yet. */
static void make_accept(const struct scrape_config *scrape, struct buf *out)
{
    unsigned weight = SCRAPE_PROTOCOL_COUNT;

    for (uint32_t i = 0; i < scrape->protocol_count; i++) {
        const enum scrape_protocol protocol = scrape->protocols[i];

        if (media_types[protocol] == NULL)
            continue;
        buf_add_cstr(out, media_types[protocol]);
        if (protocol == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0 || protocol == SCRAPE_PROTOCOL_TEXT_1_0_0)
            buf_printf(out, ";escaping=%s", escaping_text(scrape->name_escaping));
        buf_printf(out, ";q=0.%u,", weight);
        weight--;
    }
    buf_printf(out, "*/*;q=0.%u", weight);
}

/* ---- clients ---- */

static const char *text_or_null(struct slice s)
{
    return s.len == 0 ? NULL : s.data;
}

static enum http_tls tls_version(enum http_config_tls version)
{
    switch (version) {
    case HTTP_CONFIG_TLS10:
        return HTTP_TLS_1_0;
    case HTTP_CONFIG_TLS11:
        return HTTP_TLS_1_1;
    case HTTP_CONFIG_TLS12:
        return HTTP_TLS_1_2;
    case HTTP_CONFIG_TLS13:
        return HTTP_TLS_1_3;
    case HTTP_CONFIG_TLS_DEFAULT:
        break;
    }
    return HTTP_TLS_ANY;
}

enum err scrape_job_unix_client(const struct scrape_job *job, const char *path,
                                struct http_client **client, struct err_info *info)
{
    const struct http_config *http = &job->scrape->http;
    const struct http_client_options options = {
        .reactors = job->shared->reactors,
        .user_agent = job->shared->user_agent,
        .proxy_url = text_or_null(http->proxy_url),
        .proxy_from_environment = http->proxy_from_environment,
        .no_proxy = text_or_null(http->no_proxy),
        .follows_redirects = http->follow_redirects,
        .ca_file = text_or_null(http->tls.ca_file),
        .ca_text = text_or_null(http->tls.ca),
        .cert_file = text_or_null(http->tls.cert_file),
        .cert_text = text_or_null(http->tls.cert),
        .key_file = text_or_null(http->tls.key_file),
        .key_text = text_or_null(http->tls.key),
        .server_name = text_or_null(http->tls.server_name),
        .insecure_skip_verify = http->tls.insecure_skip_verify,
        .tls_min = tls_version(http->tls.version_min),
        .tls_max = tls_version(http->tls.version_max),
        .unix_socket = path,
    };

    return http_client_new(&options, client, info);
}

/* ---- headers ---- */

struct header_list {
    struct arena *arena;
    struct http_header *items;
    size_t count, cap;
};

static void add_header(struct header_list *list, struct slice name, struct slice value)
{
    ASSERT(list->count < list->cap);
    list->items[list->count++] = (struct http_header){name, value};
}

static struct slice trim(struct slice s)
{
    while (s.len != 0 && memchr(" \t\r\n", s.data[0], 4) != NULL)
        s = slice_skip(s, 1);
    while (s.len != 0 && memchr(" \t\r\n", s.data[s.len - 1], 4) != NULL)
        s.len--;
    return s;
}

/* A value as given, or the content of the file that holds it. */
static enum err take_secret(const struct scrape_job *job, struct arena *arena, struct slice path,
                            struct slice *value, struct err_info *info)
{
    struct buf text;
    enum err err;

    if (path.len == 0)
        return ERR_OK;
    buf_init(&text, SECRET_SIZE_MAX);
    err = path_read(job->shared->env, path.data, &text, info);
    if (err == ERR_OK)
        *value = arena_copy(arena, trim(buf_slice(&text)));
    buf_fini(&text);
    return err;
}

static struct slice base64(struct arena *arena, struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t len = (s.len + 2) / 3 * 4;
    char *out = arena_alloc(arena, len + 1);

    if (out == NULL)
        return (struct slice){0};
    for (size_t i = 0, o = 0; i < s.len; i += 3, o += 4) {
        const size_t left = s.len - i;
        const uint32_t bits = (uint32_t)(unsigned char)s.data[i] << 16 |
                              (left > 1 ? (uint32_t)(unsigned char)s.data[i + 1] << 8 : 0) |
                              (left > 2 ? (uint32_t)(unsigned char)s.data[i + 2] : 0);

        for (size_t j = 0; j < 4; j++)
            out[o + j] = j <= left ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
    return slice_of(out, len);
}

static enum err add_authorization(const struct scrape_job *job, struct header_list *list,
                                  struct err_info *info)
{
    const struct http_config *http = &job->scrape->http;
    struct slice value = {0};
    enum err err = ERR_OK;

    if (http->has_basic_auth) {
        struct slice user = http->username, password = http->password;

        err = take_secret(job, list->arena, http->username_file, &user, info);
        if (err == ERR_OK)
            err = take_secret(job, list->arena, http->password_file, &password, info);
        value = arena_printf(list->arena, "%.*s:%.*s", SLICE_ARG(user), SLICE_ARG(password));
        value = arena_printf(list->arena, "Basic %.*s", SLICE_ARG(base64(list->arena, value)));
    } else if (http->has_authorization) {
        struct slice credentials = http->credentials;

        err = take_secret(job, list->arena, http->credentials_file, &credentials, info);
        value = arena_printf(list->arena, "%.*s %.*s", SLICE_ARG(http->auth_type),
                             SLICE_ARG(credentials));
    }
    if (err == ERR_OK && value.len != 0)
        add_header(list, SLICE("Authorization"), value);
    return err;
}

static enum err add_own_headers(const struct scrape_job *job, struct header_list *list,
                                struct err_info *info)
{
    const struct http_config *http = &job->scrape->http;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < http->header_count; i++) {
        const struct http_config_header *header = &http->headers[i];

        for (uint32_t j = 0; j < header->value_count; j++)
            add_header(list, header->name, header->values[j]);
        for (uint32_t j = 0; j < header->secret_count; j++)
            add_header(list, header->name, header->secrets[j]);
        for (uint32_t j = 0; err == ERR_OK && j < header->file_count; j++) {
            struct slice value = {0};

            err = take_secret(job, list->arena, header->files[j], &value, info);
            add_header(list, header->name, value);
        }
    }
    return err;
}

static size_t count_headers(const struct http_config *http)
{
    size_t count = FIXED_HEADER_COUNT;

    for (uint32_t i = 0; i < http->header_count; i++)
        count += http->headers[i].value_count + http->headers[i].secret_count +
                 http->headers[i].file_count;
    return count;
}

enum err scrape_job_headers(const struct scrape_job *job, const struct target *target,
                            struct arena *arena, struct scrape_headers *headers,
                            struct err_info *info)
{
    struct header_list list = {.arena = arena, .cap = count_headers(&job->scrape->http)};
    char timeout[NUMBER_TEXT_SIZE];
    enum err err;

    list.items = ARENA_ARRAY(arena, struct http_header, list.cap);
    if (list.items == NULL)
        return err_set(info, ERR_LIMIT, "headers are too large");
    add_header(&list, SLICE("Accept"), job->accept);
    if (!job->scrape->enable_compression)
        add_header(&list, SLICE("Accept-Encoding"), SLICE("identity"));
    add_header(&list, SLICE("X-Prometheus-Scrape-Timeout-Seconds"),
               arena_copy(arena, slice_of(timeout, number_format_double(
                                                       timeout, (double)target->timeout_ms / 1000,
                                                       NUMBER_FIXED))));
    err = add_authorization(job, &list, info);
    if (err == ERR_OK)
        err = add_own_headers(job, &list, info);
    if (err == ERR_OK && arena->err != ERR_OK)
        err = err_set(info, arena->err, "headers are too large");
    *headers = (struct scrape_headers){list.items, list.count};
    return err;
}

static bool has_files(const struct http_config *http)
{
    bool found =
        (http->has_basic_auth && (http->username_file.len != 0 || http->password_file.len != 0)) ||
        (http->has_authorization && http->credentials_file.len != 0);

    for (uint32_t i = 0; i < http->header_count; i++)
        found = found || http->headers[i].file_count != 0;
    return found;
}

/* ---- life ---- */

enum err scrape_job_new(const struct scrape_shared *shared, struct prometheus_config *config,
                        const struct scrape_config *scrape, struct scrape_job **job,
                        struct err_info *info)
{
    struct counted *counted = mem_zalloc(1, sizeof(*counted));
    struct buf accept;
    enum err err;

    counted->job = (struct scrape_job){
        .shared = shared,
        .config = prometheus_config_ref(config),
        .scrape = scrape,
        .offset_seed = target_offset_seed(shared->hostname, config->global.external_labels),
        .has_files = has_files(&scrape->http)};
    atomic_init(&counted->refs, 1);
    buf_init(&accept, ACCEPT_SIZE_MAX);
    make_accept(scrape, &accept);
    ASSERT(accept.err == ERR_OK);
    memcpy(counted->accept, accept.data, accept.len);
    counted->job.accept = slice_of(counted->accept, accept.len);
    buf_fini(&accept);
    err = scrape_job_unix_client(&counted->job, NULL, &counted->job.client, info);
    if (err != ERR_OK) {
        err_prefix(info, "scrape job \"%.*s\"", SLICE_ARG(scrape->job_name));
        scrape_job_unref(&counted->job);
        return err;
    }
    *job = &counted->job;
    return ERR_OK;
}

struct scrape_job *scrape_job_ref(struct scrape_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return job;
}

void scrape_job_unref(struct scrape_job *job)
{
    struct counted *counted;

    if (job == NULL)
        return;
    counted = CONTAINER_OF(job, struct counted, job);
    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    http_client_free(job->client);
    prometheus_config_unref(job->config);
    mem_free(counted);
}
