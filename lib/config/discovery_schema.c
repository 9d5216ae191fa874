/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "config/scalar.h"
#include "config/schema_internal.h"

/* Discovery kinds that are no cloud's inventory: static, file, HTTP, DNS, Kubernetes, registries.
 * The clouds are in discovery_schema_cloud.c. Defaults and refusals are upstream's. */

#define TYPE(id, text, table, fn)                                                                  \
    const struct schema_type discovery_schema_##id##_type = {                                      \
        .name = (text), SCHEMA_FIELDS(table), .check = (fn)}

/* ---- rules of the lists ---- */

static bool is_discovery_key(const char *key)
{
    const struct slice s = slice_from_cstr(key);

    return slice_has_suffix(s, SLICE("_sd_configs")) || slice_eq(s, SLICE("static_configs"));
}

enum err discovery_schema_check_lists(struct schema_ctx *ctx, const struct schema_value *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        const struct schema_value *list = &value->items[i];

        if (!is_discovery_key(list->field->key))
            continue;
        for (uint32_t j = 0; j < list->count; j++)
            if (list->items[j].is_null)
                return schema_fail(ctx, &list->items[j], "empty or null section in %s",
                                   list->field->key);
    }
    return ERR_OK;
}

enum err discovery_schema_check_targets(struct schema_ctx *ctx, const struct schema_value *value)
{
    const struct schema_value *groups = schema_get(value, "static_configs");

    for (uint32_t i = 0; i < groups->count; i++) {
        const struct schema_value *targets = schema_get(&groups->items[i], "targets");

        for (uint32_t j = 0; j < targets->count; j++) {
            const struct slice target = targets->items[j].text;

            if (target.len != 0 && memchr(target.data, '/', target.len) != NULL)
                return schema_fail(ctx, &targets->items[j], "\"%.*s\" is not a valid hostname",
                                   SLICE_ARG(target));
        }
    }
    return ERR_OK;
}

/* ---- static, file ---- */

static enum err check_static(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *labels = schema_get(value, "labels");

    for (uint32_t i = 0; i < labels->count; i++) {
        const struct schema_value *label = &labels->items[i];

        if (label->key.len == 0 || !utf8_is_valid(label->key))
            return schema_fail(ctx, label, "\"%.*s\" is not a valid label name",
                               SLICE_ARG(label->key));
        if (!utf8_is_valid(label->text))
            return schema_fail(ctx, label, "\"%.*s\" is not a valid label value",
                               SLICE_ARG(label->text));
    }
    return ERR_OK;
}

static const struct schema_field static_fields[] = {
    STRINGS_FIELD("targets", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    {.key = "labels", .kind = SCHEMA_LABEL, .shape = SCHEMA_MAP, .flags = SCHEMA_SERVED},
};
TYPE(static, "static_configs", static_fields, check_static);

/* A star only in the last segment, and a suffix that names the format. */
static bool is_file_pattern(struct slice path)
{
    const char *star = path.len == 0 ? NULL : memchr(path.data, '*', path.len);

    if (!slice_has_suffix(path, SLICE(".json")) && !slice_has_suffix(path, SLICE(".yml")) &&
        !slice_has_suffix(path, SLICE(".yaml")) && !slice_has_suffix(path, SLICE(".JSON")) &&
        !slice_has_suffix(path, SLICE(".YML")) && !slice_has_suffix(path, SLICE(".YAML")))
        return false;
    if (star == NULL)
        return true;
    path = slice_skip(path, (size_t)(star + 1 - path.data));
    return memchr(path.data, '/', path.len) == NULL;
}

static enum err check_file(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *files = schema_get(value, "files");

    if (files->count == 0)
        return schema_fail(ctx, value,
                           "file service discovery config must contain at least one path name");
    for (uint32_t i = 0; i < files->count; i++)
        if (!is_file_pattern(files->items[i].text))
            return schema_fail(ctx, &files->items[i],
                               "path name \"%.*s\" is not valid for file discovery",
                               SLICE_ARG(files->items[i].text));
    return ERR_OK;
}

static const struct schema_field file_fields[] = {
    {.key = "files",
     .kind = SCHEMA_PATH,
     .shape = SCHEMA_LIST,
     .flags = SCHEMA_KEEP | SCHEMA_SERVED},
    DURATION_FIELD("refresh_interval", .value = "5m", .flags = SCHEMA_SERVED),
};
TYPE(file, "file_sd_configs", file_fields, check_file);

/* ---- http, puppetdb, eureka, kuma, uyuni: one URL ---- */

static enum err check_http_url(struct schema_ctx *ctx, const struct schema_value *value)
{
    struct err_info info = {0};
    struct scalar_url url;

    if (!schema_has(value, "url"))
        return schema_fail(ctx, value, "URL is missing");
    if (scalar_parse_url(schema_text(value, "url"), &url, &info) != ERR_OK)
        return schema_fail(ctx, schema_get(value, "url"), "%s", info.message);
    if (!slice_eq(url.scheme, SLICE("http")) && !slice_eq(url.scheme, SLICE("https")))
        return schema_fail(ctx, schema_get(value, "url"), "URL scheme must be 'http' or 'https'");
    if (url.host.len == 0)
        return schema_fail(ctx, schema_get(value, "url"), "host is missing in URL");
    return ERR_OK;
}

static enum err check_http(struct schema_ctx *ctx, struct schema_value *value)
{
    const enum err err = check_http_url(ctx, value);

    return err != ERR_OK ? err : http_config_check(ctx, value);
}

static const struct schema_field http_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    STRING_FIELD("url", .flags = SCHEMA_KEEP),
};
TYPE(http, "http_sd_configs", http_fields, check_http);

static enum err check_puppetdb(struct schema_ctx *ctx, struct schema_value *value)
{
    const enum err err = check_http_url(ctx, value);

    if (err != ERR_OK)
        return err;
    if (!schema_has(value, "query"))
        return schema_fail(ctx, value, "query missing");
    return http_config_check(ctx, value);
}

static const struct schema_field puppetdb_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    STRING_FIELD("url", .flags = SCHEMA_KEEP),
    STRING_FIELD("query", .flags = SCHEMA_KEEP),
    BOOL_FIELD("include_parameters", .flags = SCHEMA_KEEP),
    INT_FIELD("port", .value = "80", .flags = SCHEMA_KEEP),
};
TYPE(puppetdb, "puppetdb_sd_configs", puppetdb_fields, check_puppetdb);

/* The server's URL must have a scheme and a host. */
static bool has_whole_url(const struct schema_value *value)
{
    struct scalar_url url;

    return scalar_parse_url(schema_text(value, "server"), &url, NULL) == ERR_OK &&
           url.scheme.len != 0 && url.host.len != 0;
}

static enum err check_eureka(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "server"))
        return schema_fail(ctx, value, "eureka_sd: empty or null eureka server");
    if (!has_whole_url(value))
        return schema_fail(ctx, value, "eureka_sd: invalid eureka server URL");
    return http_config_check(ctx, value);
}

static const struct schema_field eureka_fields[] = {
    STRING_FIELD("server"),
    HTTP_CONFIG_FIELDS(0, "true"),
    DURATION_FIELD("refresh_interval", .value = "30s"),
};
TYPE(eureka, "eureka_sd_configs", eureka_fields, check_eureka);

static enum err check_kuma(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "server") || !has_whole_url(value))
        return schema_fail(ctx, value, "kuma SD server must not be empty and have a scheme: %.*s",
                           SLICE_ARG(schema_text(value, "server")));
    return http_config_check(ctx, value);
}

static const struct schema_field kuma_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    DURATION_FIELD("refresh_interval", .value = "15s"),
    DURATION_FIELD("fetch_timeout", .value = "2m"),
    STRING_FIELD("server"),
    STRING_FIELD("client_id"),
};
TYPE(kuma, "kuma_sd_configs", kuma_fields, check_kuma);

static enum err check_uyuni(struct schema_ctx *ctx, struct schema_value *value)
{
    struct err_info info = {0};
    struct scalar_url url;

    if (!schema_has(value, "server"))
        return schema_fail(ctx, value, "Uyuni SD configuration requires server host");
    if (scalar_parse_url(schema_text(value, "server"), &url, &info) != ERR_OK)
        return schema_fail(ctx, value, "Uyuni Server URL is not valid: %s", info.message);
    if (!schema_has(value, "username"))
        return schema_fail(ctx, value, "Uyuni SD configuration requires a username");
    if (!schema_has(value, "password"))
        return schema_fail(ctx, value, "Uyuni SD configuration requires a password");
    return http_config_check(ctx, value);
}

static const struct schema_field uyuni_fields[] = {
    STRING_FIELD("server", .flags = SCHEMA_KEEP),
    STRING_FIELD("username", .flags = SCHEMA_KEEP),
    SECRET_FIELD("password", .flags = SCHEMA_KEEP),
    HTTP_CONFIG_FIELDS(0, "true"),
    STRING_FIELD("entitlement", .value = "monitoring_entitled"),
    STRING_FIELD("separator", .value = ","),
    DURATION_FIELD("refresh_interval", .value = "1m"),
};
TYPE(uyuni, "uyuni_sd_configs", uyuni_fields, check_uyuni);

/* ---- dns ---- */

static enum err check_dns(struct schema_ctx *ctx, struct schema_value *value)
{
    static const char *const types[] = {"SRV", "A", "AAAA", "MX", "NS"};
    const struct slice type = schema_text(value, "type");
    bool is_known = false;

    if (schema_get(value, "names")->count == 0)
        return schema_fail(ctx, value, "DNS-SD config must contain at least one SRV record name");
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        bool is_equal = type.len == strlen(types[i]);

        for (size_t j = 0; is_equal && j < type.len; j++)
            is_equal = (type.data[j] & ~0x20) == types[i][j];
        is_known = is_known || is_equal;
    }
    if (!is_known)
        return schema_fail(ctx, value, "invalid DNS-SD records type %.*s", SLICE_ARG(type));
    if ((type.data[0] & ~0x20) != 'S' && schema_int(value, "port") == 0)
        return schema_fail(ctx, value,
                           "a port is required in DNS-SD configs for all record types except SRV");
    return ERR_OK;
}

static const struct schema_field dns_fields[] = {
    STRINGS_FIELD("names", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "30s"),
    STRING_FIELD("type", .value = "SRV", .flags = SCHEMA_KEEP),
    INT_FIELD("port", .flags = SCHEMA_KEEP),
};
TYPE(dns, "dns_sd_configs", dns_fields, check_dns);

/* ---- consul, nomad, marathon, zookeeper ---- */

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (memchr(" \t\r\n", s.data[i], 4) == NULL)
            return false;
    return true;
}

static enum err check_consul(struct schema_ctx *ctx, struct schema_value *value)
{
    if (is_blank(schema_text(value, "server")))
        return schema_fail(ctx, value, "consul SD configuration requires a server address");
    if ((schema_has(value, "username") || schema_has(value, "password")) &&
        schema_has(value, "basic_auth"))
        return schema_fail(ctx, value,
                           "at most one of consul SD configuration username and password and "
                           "basic auth can be configured");
    if (schema_has(value, "token") &&
        (schema_has(value, "authorization") || schema_has(value, "oauth2")))
        return schema_fail(ctx, value,
                           "at most one of consul SD token, authorization, or oauth2 can be "
                           "configured");
    return http_config_check(ctx, value);
}

static const struct schema_field consul_fields[] = {
    STRING_FIELD("server", .value = "localhost:8500"),
    STRING_FIELD("path_prefix"),
    SECRET_FIELD("token"),
    STRING_FIELD("datacenter"),
    STRING_FIELD("namespace"),
    STRING_FIELD("partition"),
    STRING_FIELD("tag_separator", .value = ","),
    STRING_FIELD("scheme", .value = "http"),
    STRING_FIELD("username"),
    SECRET_FIELD("password"),
    BOOL_FIELD("allow_stale", .value = "true", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "30s"),
    STRINGS_FIELD("services"),
    STRINGS_FIELD("tags"),
    {.key = "node_meta", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP},
    STRING_FIELD("filter"),
    STRING_FIELD("health_filter"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(consul, "consul_sd_configs", consul_fields, check_consul);

static enum err check_nomad(struct schema_ctx *ctx, struct schema_value *value)
{
    if (is_blank(schema_text(value, "server")))
        return schema_fail(ctx, value, "nomad SD configuration requires a server address");
    return http_config_check(ctx, value);
}

static const struct schema_field nomad_fields[] = {
    BOOL_FIELD("allow_stale", .value = "true", .flags = SCHEMA_KEEP),
    HTTP_CONFIG_FIELDS(0, "true"),
    STRING_FIELD("namespace", .value = "default", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m", .flags = SCHEMA_KEEP),
    STRING_FIELD("region", .value = "global", .flags = SCHEMA_KEEP),
    STRING_FIELD("server", .value = "http://localhost:4646", .flags = SCHEMA_KEEP),
    STRING_FIELD("tag_separator", .value = ","),
};
TYPE(nomad, "nomad_sd_configs", nomad_fields, check_nomad);

static enum err check_marathon(struct schema_ctx *ctx, struct schema_value *value)
{
    const bool has_token = schema_has(value, "auth_token");
    const bool has_file = schema_has(value, "auth_token_file");

    if (schema_get(value, "servers")->count == 0)
        return schema_fail(ctx, value, "marathon_sd: must contain at least one Marathon server");
    if (has_token && has_file)
        return schema_fail(ctx, value,
                           "marathon_sd: at most one of auth_token & auth_token_file must be "
                           "configured");
    if (!has_token && !has_file)
        return http_config_check(ctx, value);
    if (schema_has(value, "basic_auth"))
        return schema_fail(ctx, value,
                           "marathon_sd: at most one of basic_auth, auth_token & auth_token_file "
                           "must be configured");
    if (schema_has(value, "bearer_token") || schema_has(value, "bearer_token_file"))
        return schema_fail(ctx, value,
                           "marathon_sd: at most one of bearer_token, bearer_token_file, "
                           "auth_token & auth_token_file must be configured");
    if (schema_has(value, "authorization"))
        return schema_fail(ctx, value,
                           "marathon_sd: at most one of auth_token, auth_token_file & "
                           "authorization must be configured");
    return http_config_check(ctx, value);
}

static const struct schema_field marathon_fields[] = {
    STRINGS_FIELD("servers"),      DURATION_FIELD("refresh_interval", .value = "30s"),
    SECRET_FIELD("auth_token"),    STRING_FIELD("auth_token_file"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(marathon, "marathon_sd_configs", marathon_fields, check_marathon);

static enum err check_zookeeper(struct schema_ctx *ctx, const struct schema_value *value,
                                const char *kind)
{
    const struct schema_value *paths = schema_get(value, "paths");

    if (schema_get(value, "servers")->count == 0)
        return schema_fail(ctx, value, "%s SD config must contain at least one Zookeeper server",
                           kind);
    if (paths->count == 0)
        return schema_fail(ctx, value, "%s SD config must contain at least one path", kind);
    for (uint32_t i = 0; i < paths->count; i++)
        if (!slice_has_prefix(paths->items[i].text, SLICE("/")))
            return schema_fail(ctx, &paths->items[i],
                               "%s SD config paths must begin with '/': %.*s", kind,
                               SLICE_ARG(paths->items[i].text));
    return ERR_OK;
}

static enum err check_serverset(struct schema_ctx *ctx, struct schema_value *value)
{
    return check_zookeeper(ctx, value, "serverset");
}

static enum err check_nerve(struct schema_ctx *ctx, struct schema_value *value)
{
    return check_zookeeper(ctx, value, "nerve");
}

static const struct schema_field zookeeper_fields[] = {
    STRINGS_FIELD("servers", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("paths", .flags = SCHEMA_KEEP),
    DURATION_FIELD("timeout", .value = "10s"),
};
TYPE(serverset, "serverset_sd_configs", zookeeper_fields, check_serverset);
TYPE(nerve, "nerve_sd_configs", zookeeper_fields, check_nerve);

/* ---- docker ---- */

static const struct schema_field filter_fields[] = {
    STRING_FIELD("name", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("values", .flags = SCHEMA_KEEP),
};
static const struct schema_type filter_type = {.name = "filters", SCHEMA_FIELDS(filter_fields)};

static enum err check_docker_host(struct schema_ctx *ctx, const struct schema_value *value)
{
    struct err_info info = {0};
    struct scalar_url url;

    if (!schema_has(value, "host"))
        return schema_fail(ctx, value, "host missing");
    if (scalar_parse_url(schema_text(value, "host"), &url, &info) != ERR_OK)
        return schema_fail(ctx, schema_get(value, "host"), "%s", info.message);
    return ERR_OK;
}

static enum err check_docker(struct schema_ctx *ctx, struct schema_value *value)
{
    const enum err err = check_docker_host(ctx, value);

    return err != ERR_OK ? err : http_config_check(ctx, value);
}

static const struct schema_field docker_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    STRING_FIELD("host", .flags = SCHEMA_KEEP),
    INT_FIELD("port", .value = "80", .flags = SCHEMA_KEEP),
    STRUCTS_FIELD("filters", &filter_type, .flags = SCHEMA_KEEP),
    STRING_FIELD("host_networking_host", .value = "localhost", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m", .flags = SCHEMA_KEEP),
    BOOL_FIELD("match_first_network", .value = "true", .flags = SCHEMA_KEEP),
};
TYPE(docker, "docker_sd_configs", docker_fields, check_docker);

static enum err check_dockerswarm(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct slice role = schema_text(value, "role");
    const enum err err = check_docker_host(ctx, value);

    if (err != ERR_OK)
        return err;
    if (role.len == 0)
        return schema_fail(ctx, value, "role missing (one of: tasks, services, nodes)");
    if (!slice_eq(role, SLICE("services")) && !slice_eq(role, SLICE("nodes")) &&
        !slice_eq(role, SLICE("tasks")))
        return schema_fail(ctx, value, "invalid role %.*s, expected tasks, services, or nodes",
                           SLICE_ARG(role));
    return http_config_check(ctx, value);
}

static const struct schema_field dockerswarm_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    STRING_FIELD("host", .flags = SCHEMA_KEEP),
    STRING_FIELD("role", .flags = SCHEMA_KEEP),
    INT_FIELD("port", .value = "80", .flags = SCHEMA_KEEP),
    STRUCTS_FIELD("filters", &filter_type, .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m", .flags = SCHEMA_KEEP),
};
TYPE(dockerswarm, "dockerswarm_sd_configs", dockerswarm_fields, check_dockerswarm);
