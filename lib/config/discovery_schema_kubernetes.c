/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "config/schema_internal.h"

/* kubernetes_sd_configs: its rules of what goes together, and the selector languages of the
 * Kubernetes API as far as refusing needs them. */

static const char *const roles[] = {"node",          "pod",     "service", "endpoints",
                                    "endpointslice", "ingress", NULL};

/* Which objects may be selected under which role. */
static const struct {
    const char *role, *allowed[4];
} selectors_of_role[] = {
    {"pod", {"pod", "node"}},
    {"service", {"service"}},
    {"endpointslice", {"pod", "service", "endpointslice"}},
    {"endpoints", {"pod", "service", "endpoints"}},
    {"node", {"node"}},
    {"ingress", {"ingress"}},
};

static const struct schema_field namespaces_fields[] = {
    BOOL_FIELD("own_namespace", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("names", .flags = SCHEMA_KEEP),
};
static const struct schema_type namespaces_type = {.name = "namespaces",
                                                   SCHEMA_FIELDS(namespaces_fields)};

static const struct schema_field selector_fields[] = {
    ENUM_FIELD("role", roles, "unknown Kubernetes SD role \"%.*s\""),
    STRING_FIELD("label"),
    STRING_FIELD("field"),
};
static const struct schema_type selector_type = {.name = "selectors",
                                                 SCHEMA_FIELDS(selector_fields)};

static const struct schema_field metadata_fields[] = {
    BOOL_FIELD("node", .flags = SCHEMA_KEEP),       BOOL_FIELD("namespace", .flags = SCHEMA_KEEP),
    BOOL_FIELD("deployment", .flags = SCHEMA_KEEP), BOOL_FIELD("job", .flags = SCHEMA_KEEP),
    BOOL_FIELD("cronjob", .flags = SCHEMA_KEEP),
};
static const struct schema_type metadata_type = {.name = "attach_metadata",
                                                 SCHEMA_FIELDS(metadata_fields)};

/* ---- selectors ---- */

/* a=b, a==b, a!=b, joined by commas; a backslash escapes. */
static enum err check_field_selector(struct schema_ctx *ctx, const struct schema_value *value)
{
    const struct slice text = value->text;
    size_t start = 0;

    while (start < text.len) {
        size_t end = start;
        bool has_sign = false;

        for (; end < text.len && text.data[end] != ','; end++) {
            if (text.data[end] == '\\')
                end++;
            else if (text.data[end] == '=')
                has_sign = true;
        }
        if (end > text.len)
            end = text.len;
        if (!has_sign && end != start)
            return schema_fail(ctx, value, "invalid selector: '%.*s'; can't understand '%.*s'",
                               SLICE_ARG(text), (int)(end - start), text.data + start);
        start = end + 1;
    }
    return ERR_OK;
}

/* One requirement of a label selector: a, !a, a=b, a!=b, a in (b, c), a notin (b), a>1, a<1. */
static bool is_requirement(struct slice s)
{
    size_t key_end = 0;

    while (s.len != 0 && (s.data[0] == ' ' || s.data[0] == '!'))
        s = slice_skip(s, 1);
    while (key_end < s.len && memchr(" =!<>(,)", s.data[key_end], 8) == NULL)
        key_end++;
    if (key_end == 0)
        return false;
    s = slice_skip(s, key_end);
    while (s.len != 0 && s.data[0] == ' ')
        s = slice_skip(s, 1);
    if (s.len == 0 || memchr("=<>", s.data[0], 3) != NULL || slice_has_prefix(s, SLICE("!=")))
        return memchr(s.data != NULL ? s.data : "", '(', s.len) == NULL;
    if (!slice_has_prefix(s, SLICE("in")) && !slice_has_prefix(s, SLICE("notin")))
        return false;
    while (s.len != 0 && s.data[s.len - 1] == ' ')
        s.len--;
    return memchr(s.data, '(', s.len) != NULL && s.data[s.len - 1] == ')';
}

static enum err check_label_selector(struct schema_ctx *ctx, const struct schema_value *value)
{
    const struct slice text = value->text;
    size_t start = 0;
    int depth = 0;

    for (size_t i = 0; i <= text.len && text.len != 0; i++) {
        if (i < text.len && text.data[i] == '(')
            depth++;
        if (i < text.len && text.data[i] == ')')
            depth--;
        if (i < text.len && (text.data[i] != ',' || depth > 0))
            continue;
        if (!is_requirement(slice_of(text.data + start, i - start)))
            return schema_fail(ctx, value, "unable to parse requirement: \"%.*s\"",
                               (int)(i - start), text.data + start);
        start = i + 1;
    }
    return depth == 0
               ? ERR_OK
               : schema_fail(ctx, value, "unable to parse requirement: \"%.*s\"", SLICE_ARG(text));
}

static enum err check_allowed(struct schema_ctx *ctx, struct slice role,
                              const struct schema_value *selector)
{
    const struct slice wanted = schema_text(selector, "role");
    char list[64] = "";
    int len = 0;

    for (size_t i = 0; i < COUNT_OF(selectors_of_role); i++) {
        if (!slice_eq_cstr(role, selectors_of_role[i].role))
            continue;
        for (const char *const *word = selectors_of_role[i].allowed; *word != NULL; word++) {
            if (slice_eq_cstr(wanted, *word))
                return ERR_OK;
            len += snprintf(list + len, sizeof(list) - (size_t)len, "%s%s", len == 0 ? "" : ", ",
                            *word);
        }
    }
    return schema_fail(ctx, selector, "%.*s role supports only %s selectors", SLICE_ARG(role),
                       list);
}

static enum err check_selectors(struct schema_ctx *ctx, const struct schema_value *value)
{
    const struct schema_value *selectors = schema_get(value, "selectors");

    for (uint32_t i = 0; i < selectors->count; i++) {
        const struct schema_value *selector = &selectors->items[i];
        const struct slice role = schema_text(selector, "role");
        enum err err;

        for (uint32_t j = 0; j < i; j++)
            if (slice_eq(role, schema_text(&selectors->items[j], "role")))
                return schema_fail(ctx, selector, "duplicated selector role: %.*s",
                                   SLICE_ARG(role));
        err = check_allowed(ctx, schema_text(value, "role"), selector);
        if (err == ERR_OK)
            err = check_field_selector(ctx, schema_get(selector, "field"));
        if (err == ERR_OK)
            err = check_label_selector(ctx, schema_get(selector, "label"));
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- the section ---- */

static enum err check_kubernetes(struct schema_ctx *ctx, struct schema_value *value)
{
    const bool has_api = schema_has(value, "api_server");
    const bool has_file = schema_has(value, "kubeconfig_file");
    const bool has_own = schema_bool(schema_get(value, "namespaces"), "own_namespace");
    enum err err;

    if (!schema_has(value, "role"))
        return schema_fail(
            ctx, value,
            "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
    err = http_config_check(ctx, value);
    if (err != ERR_OK)
        return err;
    if (has_api && has_file)
        return schema_fail(ctx, value,
                           "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (has_file && !http_config_is_default(value))
        return schema_fail(ctx, value,
                           "cannot use a custom HTTP client configuration together with "
                           "'kubeconfig_file'");
    if (!has_api && !http_config_is_default(value))
        return schema_fail(ctx, value,
                           "to use custom HTTP client configuration please provide the "
                           "'api_server' URL explicitly");
    if (has_api && has_own)
        return schema_fail(ctx, value,
                           "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (has_file && has_own)
        return schema_fail(
            ctx, value,
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    return check_selectors(ctx, value);
}

static const struct schema_field kubernetes_fields[] = {
    URL_FIELD("api_server"),
    ENUM_FIELD("role", roles, "unknown Kubernetes SD role \"%.*s\"", .flags = SCHEMA_KEEP),
    PATH_FIELD("kubeconfig_file", .flags = SCHEMA_KEEP),
    HTTP_CONFIG_FIELDS(0, "true"),
    STRUCT_FIELD("namespaces", &namespaces_type),
    STRUCTS_FIELD("selectors", &selector_type),
    STRUCT_FIELD("attach_metadata", &metadata_type),
};

const struct schema_type discovery_schema_kubernetes_type = {
    .name = "kubernetes_sd_configs", SCHEMA_FIELDS(kubernetes_fields), .check = check_kubernetes};
