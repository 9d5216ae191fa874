/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_http.h"

#include "config/path.h"

enum { SECRET_SIZE_MAX = 1 << 20 };

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

enum err remote_http_client(const struct http_config *http,
                            const struct remote_http_options *options, struct http_client **client,
                            struct err_info *info)
{
    const struct http_client_options settings = {
        .reactors = options->reactors,
        .user_agent = options->user_agent,
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
        .unix_socket = options->unix_socket,
    };

    return http_client_new(&settings, client, info);
}

/* ---- headers ---- */

void remote_http_add_header(struct remote_http_headers *headers, struct slice name,
                            struct slice value)
{
    ASSERT(headers->count < headers->cap);
    headers->items[headers->count++] = (struct http_header){name, value};
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
static enum err take_secret(struct env *env, struct arena *arena, struct slice path,
                            struct slice *value, struct err_info *info)
{
    struct buf text;
    enum err err;

    if (path.len == 0)
        return ERR_OK;
    buf_init(&text, SECRET_SIZE_MAX);
    err = path_read(env, path.data, &text, info);
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

static enum err add_authorization(const struct http_config *http, struct env *env,
                                  struct remote_http_headers *headers, struct err_info *info)
{
    struct arena *arena = headers->arena;
    struct slice value = {0};
    enum err err = ERR_OK;

    if (http->has_basic_auth) {
        struct slice user = http->username, password = http->password;

        err = take_secret(env, arena, http->username_file, &user, info);
        if (err == ERR_OK)
            err = take_secret(env, arena, http->password_file, &password, info);
        value = arena_printf(arena, "%.*s:%.*s", SLICE_ARG(user), SLICE_ARG(password));
        value = arena_printf(arena, "Basic %.*s", SLICE_ARG(base64(arena, value)));
    } else if (http->has_authorization) {
        struct slice credentials = http->credentials;

        err = take_secret(env, arena, http->credentials_file, &credentials, info);
        value =
            arena_printf(arena, "%.*s %.*s", SLICE_ARG(http->auth_type), SLICE_ARG(credentials));
    }
    if (err == ERR_OK && value.len != 0)
        remote_http_add_header(headers, SLICE("Authorization"), value);
    return err;
}

static enum err add_own_headers(const struct http_config *http, struct env *env,
                                struct remote_http_headers *headers, struct err_info *info)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < http->header_count; i++) {
        const struct http_config_header *header = &http->headers[i];

        for (uint32_t j = 0; j < header->value_count; j++)
            remote_http_add_header(headers, header->name, header->values[j]);
        for (uint32_t j = 0; j < header->secret_count; j++)
            remote_http_add_header(headers, header->name, header->secrets[j]);
        for (uint32_t j = 0; err == ERR_OK && j < header->file_count; j++) {
            struct slice value = {0};

            err = take_secret(env, headers->arena, header->files[j], &value, info);
            remote_http_add_header(headers, header->name, value);
        }
    }
    return err;
}

enum err remote_http_headers_init(struct remote_http_headers *headers,
                                  const struct http_config *http, size_t more, struct arena *arena)
{
    size_t cap = more + 1;

    for (uint32_t i = 0; i < http->header_count; i++)
        cap += http->headers[i].value_count + http->headers[i].secret_count +
               http->headers[i].file_count;
    *headers = (struct remote_http_headers){.arena = arena, .cap = cap};
    headers->items = ARENA_ARRAY(arena, struct http_header, cap);
    return headers->items == NULL ? ERR_LIMIT : ERR_OK;
}

enum err remote_http_headers_add(struct remote_http_headers *headers,
                                 const struct http_config *http, struct env *env,
                                 struct err_info *info)
{
    enum err err = add_authorization(http, env, headers, info);

    if (err == ERR_OK)
        err = add_own_headers(http, env, headers, info);
    if (err == ERR_OK && headers->arena->err != ERR_OK)
        err = err_set(info, headers->arena->err, "headers are too large");
    return err;
}

bool remote_http_has_files(const struct http_config *http)
{
    bool found =
        (http->has_basic_auth && (http->username_file.len != 0 || http->password_file.len != 0)) ||
        (http->has_authorization && http->credentials_file.len != 0);

    for (uint32_t i = 0; i < http->header_count; i++)
        found = found || http->headers[i].file_count != 0;
    return found;
}
