/* SPDX-License-Identifier: Apache-2.0 */
#include "config/http_config.h"

#include <strings.h>

#include "config/schema_internal.h"

/* ---- tables ---- */

static const char *const tls_versions[] = {"TLS10", "TLS11", "TLS12", "TLS13", NULL};

static const struct schema_field tls_fields[] = {
    STRING_FIELD("ca", .flags = SCHEMA_SERVED),
    STRING_FIELD("cert", .flags = SCHEMA_SERVED),
    SECRET_FIELD("key", .flags = SCHEMA_SERVED),
    PATH_FIELD("ca_file", .flags = SCHEMA_SERVED),
    PATH_FIELD("cert_file", .flags = SCHEMA_SERVED),
    PATH_FIELD("key_file", .flags = SCHEMA_SERVED),
    STRING_FIELD("ca_ref"),
    STRING_FIELD("cert_ref"),
    STRING_FIELD("key_ref"),
    STRING_FIELD("server_name", .flags = SCHEMA_SERVED),
    BOOL_FIELD("insecure_skip_verify", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    ENUM_FIELD("min_version", tls_versions, "unknown TLS version: %.*s", .flags = SCHEMA_SERVED),
    ENUM_FIELD("max_version", tls_versions, "unknown TLS version: %.*s", .flags = SCHEMA_SERVED),
};

static const struct schema_field basic_auth_fields[] = {
    STRING_FIELD("username", .flags = SCHEMA_SERVED),
    PATH_FIELD("username_file", .flags = SCHEMA_SERVED),
    STRING_FIELD("username_ref"),
    SECRET_FIELD("password", .flags = SCHEMA_SERVED),
    PATH_FIELD("password_file", .flags = SCHEMA_SERVED),
    STRING_FIELD("password_ref"),
};

static const struct schema_field authorization_fields[] = {
    STRING_FIELD("type", .flags = SCHEMA_SERVED),
    SECRET_FIELD("credentials", .flags = SCHEMA_SERVED),
    PATH_FIELD("credentials_file", .flags = SCHEMA_SERVED),
    STRING_FIELD("credentials_ref"),
};

static const struct schema_field oauth2_fields[] = {
    STRING_FIELD("client_id"),
    SECRET_FIELD("client_secret"),
    PATH_FIELD("client_secret_file"),
    STRING_FIELD("client_secret_ref"),
    STRING_FIELD("client_certificate_key_id"),
    SECRET_FIELD("client_certificate_key"),
    STRING_FIELD("client_certificate_key_file"),
    STRING_FIELD("client_certificate_key_ref"),
    STRING_FIELD("grant_type"),
    STRING_FIELD("signature_algorithm"),
    STRING_FIELD("iss"),
    STRING_FIELD("audience"),
    {.key = "claims", .kind = SCHEMA_ANY, .shape = SCHEMA_MAP},
    STRINGS_FIELD("scopes"),
    STRING_FIELD("token_url"),
    {.key = "endpoint_params", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP},
    STRUCT_FIELD("tls_config", &http_config_tls_type),
    HTTP_CONFIG_PROXY_FIELDS(0),
};

static const struct schema_field header_fields[] = {
    STRINGS_FIELD("values", .flags = SCHEMA_SERVED),
    {.key = "secrets", .kind = SCHEMA_SECRET, .shape = SCHEMA_LIST, .flags = SCHEMA_SERVED},
    {.key = "files", .kind = SCHEMA_PATH, .shape = SCHEMA_LIST, .flags = SCHEMA_SERVED},
};

/* ---- checks ---- */

static int count_given(const struct schema_value *value, const char *a, const char *b,
                       const char *c)
{
    return schema_has(value, a) + schema_has(value, b) + schema_has(value, c);
}

static enum err check_tls(struct schema_ctx *ctx, struct schema_value *value)
{
    const int cert_count = count_given(value, "cert", "cert_file", "cert_ref");
    const int key_count = count_given(value, "key", "key_file", "key_ref");

    if (count_given(value, "ca", "ca_file", "ca_ref") > 1)
        return schema_fail(ctx, value, "at most one of ca, ca_file & ca_ref must be configured");
    if (cert_count > 1)
        return schema_fail(ctx, value,
                           "at most one of cert, cert_file & cert_ref must be configured");
    if (key_count > 1)
        return schema_fail(ctx, value, "at most one of key and key_file must be configured");
    if (cert_count != 0 && key_count == 0)
        return schema_fail(ctx, value,
                           "exactly one of key or key_file must be configured when a client "
                           "certificate is configured");
    if (key_count != 0 && cert_count == 0)
        return schema_fail(ctx, value,
                           "exactly one of cert or cert_file must be configured when a client key "
                           "is configured");
    return ERR_OK;
}

const struct schema_type http_config_tls_type = {
    .name = "tls_config", SCHEMA_FIELDS(tls_fields), .check = check_tls};
const struct schema_type http_config_basic_auth_type = {.name = "basic_auth",
                                                        SCHEMA_FIELDS(basic_auth_fields)};
const struct schema_type http_config_authorization_type = {.name = "authorization",
                                                           SCHEMA_FIELDS(authorization_fields)};
const struct schema_type http_config_header_type = {.name = "http_headers",
                                                    SCHEMA_FIELDS(header_fields)};

static enum err check_proxy(struct schema_ctx *ctx, const struct schema_value *value)
{
    const bool has_url = schema_has(value, "proxy_url");
    const bool from_env = schema_bool(value, "proxy_from_environment");

    if (schema_has(value, "proxy_connect_header") && !from_env && !has_url)
        return schema_fail(ctx, value,
                           "if proxy_connect_header is configured, proxy_url or "
                           "proxy_from_environment must also be configured");
    if (from_env && has_url)
        return schema_fail(ctx, value,
                           "if proxy_from_environment is configured, proxy_url must not be "
                           "configured");
    if (from_env && schema_has(value, "no_proxy"))
        return schema_fail(ctx, value,
                           "if proxy_from_environment is configured, no_proxy must not be "
                           "configured");
    if (!has_url && schema_has(value, "no_proxy"))
        return schema_fail(ctx, value,
                           "if no_proxy is configured, proxy_url must also be configured");
    return ERR_OK;
}

static enum err check_oauth2(struct schema_ctx *ctx, struct schema_value *value)
{
    struct slice algorithm = schema_text(value, "signature_algorithm");

    if (!schema_has(value, "client_id"))
        return schema_fail(ctx, value, "oauth2 client_id must be configured");
    if (!schema_has(value, "token_url"))
        return schema_fail(ctx, value, "oauth2 token_url must be configured");
    if (!slice_eq(schema_text(value, "grant_type"),
                  SLICE("urn:ietf:params:oauth:grant-type:jwt-bearer"))) {
        if (count_given(value, "client_secret", "client_secret_file", "client_secret_ref") > 1)
            return schema_fail(ctx, value,
                               "at most one of oauth2 client_secret, client_secret_file & "
                               "client_secret_ref must be configured using "
                               "grant-type=client_credentials");
        return check_proxy(ctx, value);
    }
    if (count_given(value, "client_certificate_key", "client_certificate_key_file",
                    "client_certificate_key_ref") > 1)
        return schema_fail(ctx, value,
                           "at most one of oauth2 client_certificate_key, "
                           "client_certificate_key_file & client_certificate_key_ref must be "
                           "configured using "
                           "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
    if (algorithm.len != 0 && !slice_eq(algorithm, SLICE("RS256")) &&
        !slice_eq(algorithm, SLICE("RS384")) && !slice_eq(algorithm, SLICE("RS512")))
        return schema_fail(ctx, value, "valid signature algorithms are RS256, RS384 and RS512");
    return check_proxy(ctx, value);
}

const struct schema_type http_config_oauth2_type = {
    .name = "oauth2", SCHEMA_FIELDS(oauth2_fields), .check = check_oauth2};

/* Headers that a connection or another setting owns. */
static const char *const reserved_headers[] = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
};

static enum err check_headers(struct schema_ctx *ctx, const struct schema_value *headers)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct schema_value *header = &headers->items[i];

        for (size_t j = 0; j < COUNT_OF(reserved_headers); j++)
            if (strcasecmp(header->key.data, reserved_headers[j]) == 0)
                return schema_fail(ctx, header, "setting header \"%s\" is not allowed",
                                   reserved_headers[j]);
    }
    return ERR_OK;
}

static struct slice trim(struct slice s)
{
    while (s.len != 0 && (s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\n'))
        s = slice_skip(s, 1);
    while (s.len != 0 &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '\n'))
        s.len--;
    return s;
}

static enum err check_basic_auth(struct schema_ctx *ctx, const struct schema_value *basic)
{
    if (!schema_is_zero(basic) &&
        count_given(basic, "username", "username_file", "username_ref") > 1)
        return schema_fail(ctx, basic,
                           "at most one of basic_auth username, username_file & username_ref must "
                           "be configured");
    if (!schema_is_zero(basic) &&
        count_given(basic, "password", "password_file", "password_ref") > 1)
        return schema_fail(ctx, basic,
                           "at most one of basic_auth password, password_file & password_ref must "
                           "be configured");
    return ERR_OK;
}

static enum err check_authorization(struct schema_ctx *ctx, const struct schema_value *value,
                                    struct schema_value *authorization)
{
    struct schema_value *type = schema_get(authorization, "type");

    if (schema_has(value, "bearer_token") || schema_has(value, "bearer_token_file"))
        return schema_fail(ctx, authorization,
                           "authorization is not compatible with bearer_token & "
                           "bearer_token_file");
    if (count_given(authorization, "credentials", "credentials_file", "credentials_ref") > 1)
        return schema_fail(ctx, authorization,
                           "at most one of authorization credentials & credentials_file must be "
                           "configured");
    type->text = trim(type->text);
    type->text = arena_printf(ctx->arena, "%.*s", SLICE_ARG(type->text));
    if (type->text.len == 0)
        type->text = SLICE("Bearer");
    if (type->text.len == 5 && strncasecmp(type->text.data, "basic", 5) == 0)
        return schema_fail(ctx, authorization,
                           "authorization type cannot be set to \"basic\", use \"basic_auth\" "
                           "instead");
    if (schema_has(value, "basic_auth") || schema_has(value, "oauth2"))
        return schema_fail(ctx, authorization,
                           "at most one of basic_auth, oauth2 & authorization must be configured");
    return ERR_OK;
}

/* The older keys become an authorization section, as upstream shows and uses them. */
static enum err move_bearer(struct schema_ctx *ctx, const struct schema_value *value)
{
    static const struct yaml_node empty = {.kind = YAML_MAP};
    static const struct schema_field field =
        STRUCT_FIELD("authorization", &http_config_authorization_type);
    struct schema_value *authorization = schema_get(value, "authorization");
    struct schema_value *token = schema_get(value, "bearer_token");
    struct schema_value *file = schema_get(value, "bearer_token_file");
    const struct schema_field *own = authorization->field;
    const uint32_t line = schema_is_zero(token) ? file->line : token->line;
    enum err err;

    if (schema_is_zero(token) && schema_is_zero(file))
        return ERR_OK;
    err = schema_load(ctx, field.type, &empty, authorization);
    if (err != ERR_OK)
        return err;
    authorization->field = own;
    authorization->line = line;
    schema_inherit(schema_get(authorization, "credentials"), token);
    schema_inherit(schema_get(authorization, "credentials_file"), file);
    token->text = file->text = (struct slice){0};
    return schema_set(ctx, schema_get(authorization, "type"), "Bearer");
}

enum err http_config_check(struct schema_ctx *ctx, struct schema_value *value)
{
    struct schema_value *authorization = schema_get(value, "authorization");
    const bool has_bearer =
        schema_has(value, "bearer_token") || schema_has(value, "bearer_token_file");
    enum err err;

    if (schema_has(value, "bearer_token") && schema_has(value, "bearer_token_file"))
        return schema_fail(ctx, value,
                           "at most one of bearer_token & bearer_token_file must be configured");
    if (has_bearer && (schema_has(value, "basic_auth") || schema_has(value, "oauth2")))
        return schema_fail(ctx, value,
                           "at most one of basic_auth, oauth2, bearer_token & bearer_token_file "
                           "must be configured");
    err = check_basic_auth(ctx, schema_get(value, "basic_auth"));
    if (err != ERR_OK)
        return err;
    err = schema_is_zero(authorization) ? move_bearer(ctx, value)
                                        : check_authorization(ctx, value, authorization);
    if (err != ERR_OK)
        return err;
    if (schema_has(value, "oauth2") && schema_has(value, "basic_auth"))
        return schema_fail(ctx, value,
                           "at most one of basic_auth, oauth2 & authorization must be configured");
    err = check_proxy(ctx, value);
    return err != ERR_OK ? err : check_headers(ctx, schema_get(value, "http_headers"));
}

bool http_config_is_default(const struct schema_value *value)
{
    static const struct schema_field fields[] = {HTTP_CONFIG_FIELDS(0, "true")};

    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (!schema_is_default(schema_get(value, fields[i].key)))
            return false;
    return true;
}

/* ---- the typed form ---- */

enum err http_config_texts(struct schema_ctx *ctx, const struct schema_value *list,
                           const struct slice **texts)
{
    struct slice *items = ARENA_ARRAY(ctx->arena, struct slice, list->count);

    if (items == NULL)
        return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
    for (uint32_t i = 0; i < list->count; i++)
        items[i] = list->items[i].text;
    *texts = items;
    return ERR_OK;
}

static enum err fill_headers(struct schema_ctx *ctx, const struct schema_value *map,
                             struct http_config *http)
{
    struct http_config_header *headers =
        ARENA_ARRAY(ctx->arena, struct http_config_header, map->count);
    enum err err = headers == NULL ? ERR_LIMIT : ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && i < map->count; i++) {
        const struct schema_value *values = schema_get(&map->items[i], "values");
        const struct schema_value *secrets = schema_get(&map->items[i], "secrets");
        const struct schema_value *files = schema_get(&map->items[i], "files");

        headers[i] = (struct http_config_header){.name = map->items[i].key,
                                                 .value_count = values->count,
                                                 .secret_count = secrets->count,
                                                 .file_count = files->count};
        err = http_config_texts(ctx, values, &headers[i].values);
        if (err == ERR_OK)
            err = http_config_texts(ctx, secrets, &headers[i].secrets);
        if (err == ERR_OK)
            err = http_config_texts(ctx, files, &headers[i].files);
    }
    http->headers = headers;
    http->header_count = map->count;
    return err;
}

static enum http_config_tls tls_version(struct slice text)
{
    for (unsigned i = 0; tls_versions[i] != NULL; i++)
        if (slice_eq_cstr(text, tls_versions[i]))
            return (enum http_config_tls)(HTTP_CONFIG_TLS10 + i);
    return HTTP_CONFIG_TLS_DEFAULT;
}

static void fill_tls(const struct schema_value *value, struct http_config_tls_options *tls)
{
    tls->ca = schema_text(value, "ca");
    tls->ca_file = schema_text(value, "ca_file");
    tls->cert = schema_text(value, "cert");
    tls->cert_file = schema_text(value, "cert_file");
    tls->key = schema_text(value, "key");
    tls->key_file = schema_text(value, "key_file");
    tls->server_name = schema_text(value, "server_name");
    tls->insecure_skip_verify = schema_bool(value, "insecure_skip_verify");
    tls->version_min = tls_version(schema_text(value, "min_version"));
    tls->version_max = tls_version(schema_text(value, "max_version"));
}

enum err http_config_fill(struct schema_ctx *ctx, const struct schema_value *value,
                          struct http_config *http)
{
    const struct schema_value *basic = schema_get(value, "basic_auth");
    const struct schema_value *authorization = schema_get(value, "authorization");

    http->has_basic_auth = !schema_is_zero(basic);
    http->has_authorization = !schema_is_zero(authorization);
    http->has_oauth2 = schema_has(value, "oauth2");
    if (http->has_basic_auth) {
        http->username = schema_text(basic, "username");
        http->username_file = schema_text(basic, "username_file");
        http->password = schema_text(basic, "password");
        http->password_file = schema_text(basic, "password_file");
    }
    if (http->has_authorization) {
        http->auth_type = schema_text(authorization, "type");
        http->credentials = schema_text(authorization, "credentials");
        http->credentials_file = schema_text(authorization, "credentials_file");
    }
    fill_tls(schema_get(value, "tls_config"), &http->tls);
    http->proxy_url = schema_text(value, "proxy_url");
    http->no_proxy = schema_text(value, "no_proxy");
    http->proxy_from_environment = schema_bool(value, "proxy_from_environment");
    http->follow_redirects = schema_bool(value, "follow_redirects");
    http->enable_http2 = schema_bool(value, "enable_http2");
    return fill_headers(ctx, schema_get(value, "http_headers"), http);
}
