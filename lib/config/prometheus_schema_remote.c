/* SPDX-License-Identifier: Apache-2.0 */
#include <strings.h>

#include "config/scalar.h"
#include "config/schema_internal.h"

/* `storage`, `tracing`, `remote_write`, `remote_read`, `otlp`: tables and rules. */

/* ---- storage ---- */

static enum err check_retention(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *percentage = schema_get(value, "percentage");

    if (schema_int(value, "size") < 0)
        return schema_fail(ctx, schema_get(value, "size"),
                           "'storage.tsdb.retention.size' must be greater than or equal to 0, got "
                           "%.*s",
                           SLICE_ARG(schema_text(value, "size")));
    if (!(percentage->f >= 0 && percentage->f <= 100))
        return schema_fail(ctx, percentage,
                           "'storage.tsdb.retention.percentage' must be in the range [0, 100], "
                           "got %.*s",
                           SLICE_ARG(percentage->text));
    return ERR_OK;
}

static const struct schema_field retention_fields[] = {
    DURATION_FIELD("time"),
    SIZE_FIELD("size"),
    FLOAT_FIELD("percentage"),
};
static const struct schema_type retention_type = {
    .name = "retention", SCHEMA_FIELDS(retention_fields), .check = check_retention};

static const struct schema_field encoding_fields[] = {STRING_FIELD("floats")};
static const struct schema_type encoding_type = {.name = "chunk_encoding",
                                                 SCHEMA_FIELDS(encoding_fields)};

static enum err check_tsdb(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *floats = schema_get(schema_get(value, "chunk_encoding"), "floats");

    if (floats->text.len != 0 && !slice_eq(floats->text, SLICE("xor")) &&
        !slice_eq(floats->text, SLICE("xor2")))
        return schema_fail(ctx, floats,
                           "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the "
                           "field must be omitted entirely, got \"%.*s\"",
                           SLICE_ARG(floats->text));
    return ERR_OK;
}

static const struct schema_field tsdb_fields[] = {
    DURATION_FIELD("out_of_order_time_window", .flags = SCHEMA_SERVED),
    FLOAT_FIELD("stale_series_compaction_threshold"),
    STRUCT_FIELD("chunk_encoding", &encoding_type),
    STRUCT_FIELD("retention", &retention_type),
};
static const struct schema_type tsdb_type = {
    .name = "tsdb", SCHEMA_FIELDS(tsdb_fields), .check = check_tsdb};

static const struct schema_field exemplars_fields[] = {
    INT_FIELD("max_exemplars", .flags = SCHEMA_SERVED)};
static const struct schema_type exemplars_type = {.name = "exemplars",
                                                  SCHEMA_FIELDS(exemplars_fields)};

static const struct schema_field storage_fields[] = {
    STRUCT_FIELD("tsdb", &tsdb_type, .flags = SCHEMA_SERVED),
    STRUCT_FIELD("exemplars", &exemplars_type, .flags = SCHEMA_OPTIONAL | SCHEMA_SERVED),
};
const struct schema_type prometheus_schema_storage_type = {.name = "storage",
                                                           SCHEMA_FIELDS(storage_fields)};

/* ---- headers ---- */

static const char *const reserved_headers[] = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

static enum err check_headers(struct schema_ctx *ctx, const struct schema_value *headers,
                              const char *about_authorization)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct schema_value *header = &headers->items[i];

        if (strcasecmp(header->key.data, "authorization") == 0)
            return schema_fail(ctx, header, "%s", about_authorization);
        for (size_t j = 0; j < COUNT_OF(reserved_headers); j++)
            if (strcasecmp(header->key.data, reserved_headers[j]) == 0)
                return schema_fail(ctx, header, "%.*s is a reserved header. It must not be changed",
                                   SLICE_ARG(header->key));
    }
    return ERR_OK;
}

/* ---- tracing ---- */

static const char *const client_types[] = {"http", "grpc", NULL};

static enum err check_tracing(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct slice compression = schema_text(value, "compression");
    const enum err err =
        check_headers(ctx, schema_get(value, "headers"),
                      "custom authorization header configuration is not yet supported");

    if (err != ERR_OK)
        return err;
    if (!schema_has(value, "endpoint"))
        return schema_fail(ctx, value, "tracing endpoint must be set");
    if (compression.len != 0 && !slice_eq(compression, SLICE("gzip")))
        return schema_fail(ctx, value,
                           "invalid compression type %.*s provided, valid options: gzip",
                           SLICE_ARG(compression));
    return ERR_OK;
}

static const struct schema_field tracing_fields[] = {
    ENUM_FIELD("client_type", client_types,
               "expected tracing client type to be to be http or grpc, but got %.*s",
               .value = "grpc"),
    STRING_FIELD("endpoint"),
    FLOAT_FIELD("sampling_fraction"),
    BOOL_FIELD("insecure"),
    STRUCT_FIELD("tls_config", &http_config_tls_type),
    {.key = "headers", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP},
    STRING_FIELD("compression"),
    DURATION_FIELD("timeout"),
};
const struct schema_type prometheus_schema_tracing_type = {
    .name = "tracing", SCHEMA_FIELDS(tracing_fields), .check = check_tracing};

/* ---- ways to sign requests ---- */

static enum err check_sigv4(struct schema_ctx *ctx, struct schema_value *value)
{
    if (schema_has(value, "access_key") != schema_has(value, "secret_key"))
        return schema_fail(ctx, value,
                           "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                           "specified in the SigV4 config");
    if (schema_has(value, "external_id") && !schema_has(value, "role_arn"))
        return schema_fail(ctx, value, "external_id can only be used with role_arn");
    return ERR_OK;
}

static const struct schema_field sigv4_fields[] = {
    STRING_FIELD("region"),
    STRING_FIELD("access_key"),
    SECRET_FIELD("secret_key"),
    STRING_FIELD("profile"),
    STRING_FIELD("role_arn"),
    STRING_FIELD("external_id"),
    BOOL_FIELD("use_fips_sts_endpoint"),
    STRING_FIELD("service_name"),
};
const struct schema_type prometheus_schema_sigv4_type = {
    .name = "sigv4", SCHEMA_FIELDS(sigv4_fields), .check = check_sigv4};

static const struct schema_field managed_identity_fields[] = {STRING_FIELD("client_id")};
static const struct schema_type managed_identity_type = {.name = "managed_identity",
                                                         SCHEMA_FIELDS(managed_identity_fields)};
static const struct schema_field workload_identity_fields[] = {
    STRING_FIELD("client_id"), STRING_FIELD("tenant_id"), STRING_FIELD("token_file_path")};
static const struct schema_type workload_identity_type = {.name = "workload_identity",
                                                          SCHEMA_FIELDS(workload_identity_fields)};
static const struct schema_field azure_oauth_fields[] = {
    STRING_FIELD("client_id"), SECRET_FIELD("client_secret"), STRING_FIELD("tenant_id")};
static const struct schema_type azure_oauth_type = {.name = "oauth",
                                                    SCHEMA_FIELDS(azure_oauth_fields)};
static const struct schema_field azure_sdk_fields[] = {STRING_FIELD("tenant_id")};
static const struct schema_type azure_sdk_type = {.name = "sdk", SCHEMA_FIELDS(azure_sdk_fields)};
static const struct schema_field certificate_fields[] = {STRING_FIELD("client_id"),
                                                         STRING_FIELD("tenant_id"),
                                                         STRING_FIELD("certificate_path"),
                                                         STRING_FIELD("certificate_key_path"),
                                                         SECRET_FIELD("certificate_password"),
                                                         BOOL_FIELD("send_certificate_chain")};
static const struct schema_type certificate_type = {.name = "certificate",
                                                    SCHEMA_FIELDS(certificate_fields)};

static const char *const clouds[] = {"", "AzureChina", "AzureGovernment", "AzurePublic", NULL};

static const struct schema_field azuread_fields[] = {
    STRUCT_FIELD("managed_identity", &managed_identity_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("workload_identity", &workload_identity_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("oauth", &azure_oauth_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("sdk", &azure_sdk_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("certificate", &certificate_type, .flags = SCHEMA_OPTIONAL),
    ENUM_FIELD("cloud", clouds, "must provide a cloud in the Azure AD config, got \"%.*s\""),
    STRING_FIELD("scope"),
};

/* What a way of authentication needs, each with its name in messages. */
static enum err check_azure_keys(struct schema_ctx *ctx, const struct schema_value *value,
                                 const char *name, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (!schema_has(value, *keys))
            return schema_fail(ctx, value, "must provide an Azure %s %s in the Azure AD config",
                               name, *keys);
    if (!scalar_is_uuid(schema_text(value, "client_id")))
        return schema_fail(ctx, value, "the provided Azure %s client_id is invalid", name);
    return ERR_OK;
}

static enum err check_azure_way(struct schema_ctx *ctx, const struct schema_value *value)
{
    static const char *const ids[] = {"client_id", "tenant_id", NULL};
    static const char *const oauth[] = {"client_id", "client_secret", "tenant_id", NULL};
    static const char *const cert[] = {"client_id", "tenant_id", "certificate_path", NULL};
    const struct schema_value *managed = schema_get(value, "managed_identity");
    enum err err;

    if (!schema_is_zero(managed) && schema_has(managed, "client_id") &&
        !scalar_is_uuid(schema_text(managed, "client_id")))
        return schema_fail(ctx, managed,
                           "the provided Azure Managed Identity client_id is invalid");
    if (schema_has(value, "workload_identity")) {
        const struct schema_value *way = schema_get(value, "workload_identity");

        err = check_azure_keys(ctx, way, "Workload Identity", ids);
        if (err == ERR_OK && !scalar_is_uuid(schema_text(way, "tenant_id")))
            return schema_fail(ctx, way,
                               "the provided Azure Workload Identity tenant_id is invalid");
        return err;
    }
    if (schema_has(value, "oauth"))
        return check_azure_keys(ctx, schema_get(value, "oauth"), "OAuth", oauth);
    if (schema_has(value, "certificate"))
        return check_azure_keys(ctx, schema_get(value, "certificate"), "Certificate", cert);
    return ERR_OK;
}

static enum err check_azuread(struct schema_ctx *ctx, struct schema_value *value)
{
    const int way_count = schema_has(value, "managed_identity") +
                          schema_has(value, "workload_identity") + schema_has(value, "oauth") +
                          schema_has(value, "sdk") + schema_has(value, "certificate");
    const struct slice scope = schema_text(value, "scope");

    if (way_count == 0)
        return schema_fail(ctx, value,
                           "must provide an Azure Managed Identity, Azure Workload Identity, "
                           "Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config");
    if (way_count > 1)
        return schema_fail(ctx, value,
                           "cannot provide multiple authentication methods in the Azure AD config");
    for (size_t i = 0; i < scope.len; i++) {
        const char c = scope.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr("_ \t\n\f\r:/.-", c, 10) != NULL))
            return schema_fail(ctx, value, "the provided scope contains invalid characters");
    }
    return check_azure_way(ctx, value);
}

static const struct schema_type azuread_type = {
    .name = "azuread", SCHEMA_FIELDS(azuread_fields), .check = check_azuread};

static const struct schema_field google_iam_fields[] = {STRING_FIELD("credentials_file")};
static const struct schema_type google_iam_type = {.name = "google_iam",
                                                   SCHEMA_FIELDS(google_iam_fields)};

/* ---- remote_write ---- */

static enum err check_queue(struct schema_ctx *ctx, const struct schema_value *value)
{
    static const char *const positive[] = {"max_shards", "min_shards", "max_samples_per_send",
                                           "capacity"};

    for (size_t i = 0; i < COUNT_OF(positive); i++) {
        if (schema_int(value, positive[i]) <= 0)
            return schema_fail(ctx, value, "remote write queue %s must be positive", positive[i]);
        if (i == 1 && schema_int(value, "min_shards") > schema_int(value, "max_shards"))
            return schema_fail(ctx, value,
                               "remote write queue min_shards must not be greater than max_shards");
    }
    if (schema_int(value, "max_backoff") < schema_int(value, "min_backoff"))
        return schema_fail(ctx, value,
                           "remote write queue max_backoff must not be less than min_backoff");
    return ERR_OK;
}

static const struct schema_field queue_fields[] = {
    INT_FIELD("capacity", .value = "10000", .flags = SCHEMA_SERVED),
    INT_FIELD("max_shards", .value = "50", .flags = SCHEMA_SERVED),
    INT_FIELD("min_shards", .value = "1", .flags = SCHEMA_SERVED),
    INT_FIELD("max_samples_per_send", .value = "2000", .flags = SCHEMA_SERVED),
    DURATION_FIELD("batch_send_deadline", .value = "5s", .flags = SCHEMA_SERVED),
    DURATION_FIELD("min_backoff", .value = "30ms", .flags = SCHEMA_SERVED),
    DURATION_FIELD("max_backoff", .value = "5s", .flags = SCHEMA_SERVED),
    BOOL_FIELD("retry_on_http_429", .flags = SCHEMA_SERVED),
    DURATION_FIELD("sample_age_limit", .flags = SCHEMA_SERVED),
};
static const struct schema_type queue_type = {.name = "queue_config", SCHEMA_FIELDS(queue_fields)};

/* Metadata goes out once with the samples around it, not all of it each minute. */
static const struct schema_field metadata_fields[] = {
    BOOL_FIELD("send", .value = "true", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    DURATION_FIELD("send_interval", .value = "1m", .flags = SCHEMA_KEEP),
    INT_FIELD("max_samples_per_send", .value = "2000"),
};
static const struct schema_type metadata_type = {.name = "metadata_config",
                                                 SCHEMA_FIELDS(metadata_fields)};

#define ABOUT_AUTHORIZATION                                                                        \
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "      \
    "azuread or google_iam parameter"

static enum err check_remote_write(struct schema_ctx *ctx, struct schema_value *value)
{
    static const char *const ways[] = {"basic_auth", "authorization", "oauth2",
                                       "sigv4",      "azuread",       "google_iam"};
    const struct schema_value *url = schema_get(value, "url");
    const struct schema_value *rules = schema_get(value, "write_relabel_configs");
    int way_count = 0;
    enum err err;

    if (url->node == NULL || url->is_null)
        return schema_fail(ctx, value, "url for remote_write is empty");
    for (uint32_t i = 0; i < rules->count; i++)
        if (rules->items[i].is_null)
            return schema_fail(ctx, &rules->items[i],
                               "empty or null relabeling rule in remote write config");
    err = check_headers(ctx, schema_get(value, "headers"), ABOUT_AUTHORIZATION);
    if (err == ERR_OK)
        err = http_config_check(ctx, value);
    if (err == ERR_OK)
        err = check_queue(ctx, schema_get(value, "queue_config"));
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        way_count += schema_has(value, ways[i]);
    if (err == ERR_OK && way_count > 1)
        return schema_fail(ctx, value,
                           "at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                           "google_iam must be configured");
    return err;
}

static const char *const messages[] = {"prometheus.WriteRequest", "io.prometheus.write.v2.Request",
                                       NULL};

static const struct schema_field remote_write_fields[] = {
    URL_FIELD("url", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    DURATION_FIELD("remote_timeout", .value = "30s", .flags = SCHEMA_SERVED),
    {.key = "headers", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP, .flags = SCHEMA_SERVED},
    STRUCTS_FIELD("write_relabel_configs", &relabel_schema_type, .flags = SCHEMA_SERVED),
    STRING_FIELD("name", .flags = SCHEMA_SERVED),
    BOOL_FIELD("send_exemplars", .flags = SCHEMA_SERVED),
    BOOL_FIELD("send_native_histograms", .flags = SCHEMA_SERVED),
    BOOL_FIELD("round_robin_dns"),
    ENUM_FIELD("protobuf_message", messages,
               "invalid protobuf_message value: unknown type for remote write protobuf message "
               "%.*s, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
               .value = "prometheus.WriteRequest", .flags = SCHEMA_SERVED),
    BOOL_FIELD("failed_request_logging"),
    HTTP_CONFIG_FIELDS(SCHEMA_SERVED, "false"),
    STRUCT_FIELD("queue_config", &queue_type, .flags = SCHEMA_SERVED),
    STRUCT_FIELD("metadata_config", &metadata_type, .flags = SCHEMA_SERVED),
    STRUCT_FIELD("sigv4", &prometheus_schema_sigv4_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("azuread", &azuread_type, .flags = SCHEMA_OPTIONAL),
    STRUCT_FIELD("google_iam", &google_iam_type, .flags = SCHEMA_OPTIONAL),
};
const struct schema_type prometheus_schema_remote_write_type = {
    .name = "remote_write", SCHEMA_FIELDS(remote_write_fields), .check = check_remote_write};

/* ---- remote_read ---- */

static enum err check_remote_read(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *url = schema_get(value, "url");
    enum err err;

    if (url->node == NULL || url->is_null)
        return schema_fail(ctx, value, "url for remote_read is empty");
    err = check_headers(ctx, schema_get(value, "headers"), ABOUT_AUTHORIZATION);
    return err != ERR_OK ? err : http_config_check(ctx, value);
}

static const struct schema_field remote_read_fields[] = {
    URL_FIELD("url", .flags = SCHEMA_KEEP),
    DURATION_FIELD("remote_timeout", .value = "1m"),
    UINT_FIELD("chunked_read_limit", .value = "50000000"),
    {.key = "headers", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP},
    BOOL_FIELD("read_recent"),
    STRING_FIELD("name"),
    HTTP_CONFIG_FIELDS(0, "true"),
    {.key = "required_matchers", .kind = SCHEMA_LABEL, .shape = SCHEMA_MAP},
    BOOL_FIELD("filter_external_labels", .value = "true"),
};
const struct schema_type prometheus_schema_remote_read_type = {
    .name = "remote_read", SCHEMA_FIELDS(remote_read_fields), .check = check_remote_read};

/* ---- otlp ---- */

static struct slice trim(struct slice s)
{
    while (s.len != 0 && memchr(" \t\r\n", s.data[0], 4) != NULL)
        s = slice_skip(s, 1);
    while (s.len != 0 && memchr(" \t\r\n", s.data[s.len - 1], 4) != NULL)
        s.len--;
    return s;
}

static enum err check_attributes(struct schema_ctx *ctx, const struct schema_value *value,
                                 const char *key, const char *adjective)
{
    struct schema_value *list = schema_get(value, key);

    for (uint32_t i = 0; i < list->count; i++) {
        const struct slice name = trim(list->items[i].text);

        if (name.len == 0)
            return schema_fail(ctx, &list->items[i],
                               "invalid '%s': empty %s OTel resource attribute", key, adjective);
        for (uint32_t j = 0; j < i; j++)
            if (slice_eq(name, list->items[j].text))
                return schema_fail(ctx, &list->items[i],
                                   "invalid '%s': duplicated %s OTel resource attribute \"%.*s\"",
                                   key, adjective, SLICE_ARG(name));
        list->items[i].text = arena_printf(ctx->arena, "%.*s", SLICE_ARG(name));
    }
    return ERR_OK;
}

static enum err check_otlp(struct schema_ctx *ctx, struct schema_value *value)
{
    if (schema_bool(value, "promote_all_resource_attributes")) {
        if (schema_get(value, "promote_resource_attributes")->count != 0)
            return schema_fail(ctx, value,
                               "'promote_all_resource_attributes' and "
                               "'promote_resource_attributes' cannot be configured "
                               "simultaneously");
        return check_attributes(ctx, value, "ignore_resource_attributes", "ignored");
    }
    if (schema_get(value, "ignore_resource_attributes")->count != 0)
        return schema_fail(ctx, value,
                           "'ignore_resource_attributes' cannot be configured unless "
                           "'promote_all_resource_attributes' is true");
    return check_attributes(ctx, value, "promote_resource_attributes", "promoted");
}

static const struct schema_field otlp_fields[] = {
    BOOL_FIELD("promote_all_resource_attributes"),
    STRINGS_FIELD("promote_resource_attributes"),
    STRINGS_FIELD("ignore_resource_attributes"),
    STRING_FIELD("translation_strategy", .value = "UnderscoreEscapingWithSuffixes"),
    BOOL_FIELD("keep_identifying_resource_attributes"),
    BOOL_FIELD("convert_histograms_to_nhcb"),
    BOOL_FIELD("promote_scope_metadata"),
    BOOL_FIELD("label_name_underscore_sanitization", .value = "true"),
    BOOL_FIELD("label_name_preserve_multiple_underscores", .value = "true"),
};
const struct schema_type prometheus_schema_otlp_type = {
    .name = "otlp", SCHEMA_FIELDS(otlp_fields), .check = check_otlp};
