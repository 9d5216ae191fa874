/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/utf8.h"
#include "config/schema_internal.h"

/* The top level, `global`, `scrape_configs`, `alerting`: tables and rules. The sections about
 * storage and remote systems are in prometheus_schema_remote.c. */

static const char *const schemes[] = {"", "utf8", "legacy", NULL};
static const char *const escapings[] = {"allow-utf-8", "underscores", "dots", "values", NULL};

enum label_scheme prometheus_schema_name_scheme(const struct schema_value *value)
{
    return slice_eq(schema_text(value, "metric_name_validation_scheme"), SLICE("legacy"))
               ? LABEL_SCHEME_LEGACY
               : LABEL_SCHEME_UTF8;
}

/* ---- scrape protocols ---- */

static const char *const protocols[] = {"OpenMetricsText0.0.1", "OpenMetricsText1.0.0",
                                        "PrometheusProto", "PrometheusText0.0.4",
                                        "PrometheusText1.0.0"};

static bool is_protocol(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(protocols); i++)
        if (slice_eq_cstr(name, protocols[i]))
            return true;
    return false;
}

static enum err check_protocols(struct schema_ctx *ctx, const struct schema_value *list,
                                const char *where)
{
    if (list->count == 0)
        return schema_fail(ctx, list, "scrape_protocols cannot be empty for %s", where);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct slice name = list->items[i].text;

        for (uint32_t j = 0; j < i; j++)
            if (slice_eq(name, list->items[j].text))
                return schema_fail(ctx, &list->items[i],
                                   "duplicated protocol in scrape_protocols: %.*s for %s",
                                   SLICE_ARG(name), where);
        if (!is_protocol(name))
            return schema_fail(ctx, &list->items[i],
                               "scrape_protocols: unknown scrape protocol %.*s, supported: "
                               "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto "
                               "PrometheusText0.0.4 PrometheusText1.0.0] for %s",
                               SLICE_ARG(name), where);
    }
    return ERR_OK;
}

/* Fills an empty list with texts. */
static enum err set_protocols(struct schema_ctx *ctx, struct schema_value *list, bool proto_first)
{
    static const char *const order[] = {"PrometheusProto", "OpenMetricsText1.0.0",
                                        "OpenMetricsText0.0.1", "PrometheusText1.0.0",
                                        "PrometheusText0.0.4"};
    const uint32_t first = proto_first ? 0 : 1;

    list->count = (uint32_t)COUNT_OF(order) - first;
    list->items = ARENA_ARRAY(ctx->arena, struct schema_value, list->count);
    if (list->items == NULL)
        return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
    for (uint32_t i = 0; i < list->count; i++)
        list->items[i] = (struct schema_value){.field = list->field,
                                               .line = list->line,
                                               .is_set = true,
                                               .text = slice_from_cstr(order[first + i])};
    return ERR_OK;
}

/* ---- global ---- */

static const struct schema_field global_fields[] = {
    DURATION_FIELD("scrape_interval", .flags = SCHEMA_SERVED),
    DURATION_FIELD("scrape_timeout", .flags = SCHEMA_SERVED),
    STRINGS_FIELD("scrape_protocols", .flags = SCHEMA_SERVED, .unserved_word = "PrometheusProto"),
    DURATION_FIELD("evaluation_interval"),
    DURATION_FIELD("rule_query_offset"),
    PATH_FIELD("query_log_file"),
    PATH_FIELD("scrape_failure_log_file"),
    {.key = "external_labels", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP},
    SIZE_FIELD("body_size_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("sample_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("target_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_name_length_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_value_length_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("keep_dropped_targets", .flags = SCHEMA_SERVED),
    ENUM_FIELD("metric_name_validation_scheme", schemes, "unrecognized ValidationScheme: \"%.*s\"",
               .flags = SCHEMA_SERVED),
    STRING_FIELD("metric_name_escaping_scheme", .flags = SCHEMA_SERVED),
    BOOL_FIELD("scrape_native_histograms", .flags = SCHEMA_POINTER),
    BOOL_FIELD("convert_classic_histograms_to_nhcb"),
    BOOL_FIELD("always_scrape_classic_histograms"),
    BOOL_FIELD("extra_scrape_metrics", .flags = SCHEMA_POINTER | SCHEMA_SERVED),
};

static enum err check_external_labels(struct schema_ctx *ctx, const struct schema_value *global)
{
    const struct schema_value *labels = schema_get(global, "external_labels");
    const enum label_scheme scheme = prometheus_schema_name_scheme(global);

    for (uint32_t i = 0; i < labels->count; i++) {
        const struct schema_value *label = &labels->items[i];

        if (!label_name_is_valid(label->key, scheme))
            return schema_fail(ctx, label, "\"%.*s\" is not a valid label name",
                               SLICE_ARG(label->key));
        if (!utf8_is_valid(label->text))
            return schema_fail(ctx, label, "\"%.*s\" is not a valid label value",
                               SLICE_ARG(label->text));
    }
    return ERR_OK;
}

/* Sets a scalar that is zero. */
static enum err set_default(struct schema_ctx *ctx, struct schema_value *value, const char *key,
                            const char *text)
{
    struct schema_value *field = schema_get(value, key);

    return schema_is_zero(field) ? schema_set(ctx, field, text) : ERR_OK;
}

/* A timeout that is not given is the default one, or the interval where that is shorter. */
static void set_timeout(struct schema_value *value, int64_t timeout_ms)
{
    struct schema_value *timeout = schema_get(value, "scrape_timeout");
    const int64_t interval_ms = schema_int(value, "scrape_interval");

    if (timeout->i != 0)
        return;
    timeout->i = timeout_ms < interval_ms ? timeout_ms : interval_ms;
    timeout->is_set = true;
}

static enum err check_global(struct schema_ctx *ctx, struct schema_value *value)
{
    enum { TIMEOUT_MS_DEFAULT = 10 * 1000 };
    enum err err = set_default(ctx, value, "metric_name_validation_scheme", "utf8");

    if (err == ERR_OK)
        err = check_external_labels(ctx, value);
    if (err == ERR_OK)
        err = set_default(ctx, value, "scrape_interval", "1m");
    if (err != ERR_OK)
        return err;
    if (schema_int(value, "scrape_timeout") > schema_int(value, "scrape_interval"))
        return schema_fail(ctx, value, "global scrape timeout greater than scrape interval");
    set_timeout(value, TIMEOUT_MS_DEFAULT);
    err = set_default(ctx, value, "evaluation_interval", "1m");
    if (err == ERR_OK)
        err = set_default(ctx, value, "scrape_native_histograms", "false");
    if (err == ERR_OK)
        err = set_default(ctx, value, "extra_scrape_metrics", "false");
    if (err == ERR_OK && schema_get(value, "scrape_protocols")->node != NULL &&
        !schema_get(value, "scrape_protocols")->is_null)
        err = check_protocols(ctx, schema_get(value, "scrape_protocols"), "global config");
    return err;
}

static const struct schema_type global_type = {
    .name = "global", SCHEMA_FIELDS(global_fields), .check = check_global};

/* ---- scrape_configs ---- */

static const struct schema_field scrape_fields[] = {
    STRING_FIELD("job_name", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    BOOL_FIELD("honor_labels", .flags = SCHEMA_SERVED),
    BOOL_FIELD("honor_timestamps", .value = "true", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    BOOL_FIELD("track_timestamps_staleness", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    {.key = "params", .kind = SCHEMA_STRING, .shape = SCHEMA_MAP_LIST, .flags = SCHEMA_SERVED},
    DURATION_FIELD("scrape_interval", .flags = SCHEMA_SERVED),
    DURATION_FIELD("scrape_timeout", .flags = SCHEMA_SERVED),
    STRINGS_FIELD("scrape_protocols", .flags = SCHEMA_SERVED, .unserved_word = "PrometheusProto"),
    STRING_FIELD("fallback_scrape_protocol", .flags = SCHEMA_SERVED,
                 .unserved_word = "PrometheusProto"),
    BOOL_FIELD("scrape_native_histograms", .flags = SCHEMA_POINTER),
    BOOL_FIELD("always_scrape_classic_histograms", .flags = SCHEMA_POINTER),
    BOOL_FIELD("convert_classic_histograms_to_nhcb", .flags = SCHEMA_POINTER),
    PATH_FIELD("scrape_failure_log_file"),
    STRING_FIELD("metrics_path", .value = "/metrics", .flags = SCHEMA_SERVED),
    STRING_FIELD("scheme", .value = "http", .flags = SCHEMA_SERVED),
    BOOL_FIELD("enable_compression", .value = "true", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    SIZE_FIELD("body_size_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("sample_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("target_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_name_length_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("label_value_length_limit", .flags = SCHEMA_SERVED),
    UINT_FIELD("native_histogram_bucket_limit"),
    FLOAT_FIELD("native_histogram_min_bucket_factor"),
    UINT_FIELD("keep_dropped_targets", .flags = SCHEMA_SERVED),
    ENUM_FIELD("metric_name_validation_scheme", schemes, "unrecognized ValidationScheme: \"%.*s\"",
               .flags = SCHEMA_SERVED),
    STRING_FIELD("metric_name_escaping_scheme", .flags = SCHEMA_SERVED),
    BOOL_FIELD("extra_scrape_metrics", .flags = SCHEMA_POINTER | SCHEMA_SERVED),
    HTTP_CONFIG_FIELDS(SCHEMA_SERVED, "true"),
    STRUCTS_FIELD("relabel_configs", &relabel_schema_type, .flags = SCHEMA_SERVED),
    STRUCTS_FIELD("metric_relabel_configs", &relabel_schema_type, .flags = SCHEMA_SERVED),
    DISCOVERY_FIELDS,
};

static enum err check_no_null(struct schema_ctx *ctx, const struct schema_value *list,
                              const char *message)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].is_null)
            return schema_fail(ctx, &list->items[i], "%s", message);
    return ERR_OK;
}

static enum err check_scrape(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *rules = schema_get(value, "relabel_configs");
    enum err err = discovery_schema_check_lists(ctx, value);

    if (err != ERR_OK)
        return err;
    if (!schema_has(value, "job_name"))
        return schema_fail(ctx, value, "job_name is empty");
    err = http_config_check(ctx, value);
    if (err == ERR_OK && rules->count == 0)
        err = discovery_schema_check_targets(ctx, value);
    if (err == ERR_OK)
        err = check_no_null(ctx, rules, "empty or null target relabeling rule in scrape config");
    if (err == ERR_OK)
        err = check_no_null(ctx, schema_get(value, "metric_relabel_configs"),
                            "empty or null metric relabeling rule in scrape config");
    return err;
}

static const struct schema_type scrape_type = {
    .name = "scrape_configs", SCHEMA_FIELDS(scrape_fields), .check = check_scrape};

static bool is_escaping(struct slice text)
{
    for (const char *const *word = escapings; *word != NULL; word++)
        if (slice_eq_cstr(text, *word))
            return true;
    return false;
}

/* How names that are not legacy ones are asked for, from the section, `global` and the scheme. */
static enum err set_escaping(struct schema_ctx *ctx, const struct schema_value *global,
                             struct schema_value *scrape)
{
    struct schema_value *scheme = schema_get(scrape, "metric_name_validation_scheme");
    struct schema_value *escaping = schema_get(scrape, "metric_name_escaping_scheme");
    const bool is_scheme_own = !schema_is_zero(scheme);
    struct slice from_global = schema_text(global, "metric_name_escaping_scheme");
    enum err err = ERR_OK;

    schema_inherit(scheme, schema_get(global, "metric_name_validation_scheme"));
    if (from_global.len == 0)
        from_global = prometheus_schema_name_scheme(global) == LABEL_SCHEME_LEGACY
                          ? SLICE("underscores")
                          : SLICE("allow-utf-8");
    if (!is_escaping(from_global))
        return schema_fail(ctx, schema_get(global, "metric_name_escaping_scheme"),
                           "unknown global name escaping method specified, must be one of "
                           "'allow-utf-8', 'underscores', 'dots', or 'values', got \"%.*s\"",
                           SLICE_ARG(from_global));
    if (escaping->text.len == 0) {
        if (!is_scheme_own)
            err = schema_set(ctx, escaping, from_global.data);
        else
            err = schema_set(ctx, escaping,
                             prometheus_schema_name_scheme(scrape) == LABEL_SCHEME_LEGACY
                                 ? "underscores"
                                 : "allow-utf-8");
    }
    if (err != ERR_OK)
        return err;
    if (!is_escaping(escaping->text))
        return schema_fail(ctx, escaping,
                           "unknown scrape config name escaping method specified, must be one of "
                           "'allow-utf-8', 'underscores', 'dots', or 'values', got \"%.*s\"",
                           SLICE_ARG(escaping->text));
    if (slice_eq(escaping->text, SLICE("allow-utf-8")) &&
        prometheus_schema_name_scheme(scrape) != LABEL_SCHEME_UTF8)
        return schema_fail(ctx, escaping,
                           "utf8 metric names requested but validation scheme is not set to UTF8");
    return ERR_OK;
}

static enum err set_scrape_protocols(struct schema_ctx *ctx, const struct schema_value *global,
                                     struct schema_value *scrape, const char *where)
{
    struct schema_value *list = schema_get(scrape, "scrape_protocols");
    const struct schema_value *from = schema_get(global, "scrape_protocols");
    const struct slice fallback = schema_text(scrape, "fallback_scrape_protocol");
    enum err err = ERR_OK;

    if (list->node == NULL || list->is_null) {
        if (from->count != 0)
            schema_inherit(list, from);
        else
            err = set_protocols(ctx, list, schema_bool(scrape, "scrape_native_histograms"));
    }
    if (err == ERR_OK)
        err = check_protocols(ctx, list, where);
    if (err == ERR_OK && fallback.len != 0 && !is_protocol(fallback))
        return schema_fail(ctx, schema_get(scrape, "fallback_scrape_protocol"),
                           "invalid fallback_scrape_protocol for %s: unknown scrape protocol "
                           "%.*s, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
                           "PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
                           where, SLICE_ARG(fallback));
    return err;
}

enum err prometheus_schema_check_scrape(struct schema_ctx *ctx, const struct schema_value *global,
                                        struct schema_value *scrape)
{
    static const char *const inherited[] = {
        "body_size_limit",
        "sample_limit",
        "target_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "keep_dropped_targets",
        "scrape_failure_log_file",
        "scrape_native_histograms",
        "extra_scrape_metrics",
    };
    static const char *const switches[] = {"convert_classic_histograms_to_nhcb",
                                           "always_scrape_classic_histograms"};
    char where[128];
    enum err err;

    if (scrape->is_null)
        return schema_fail(ctx, scrape, "empty or null scrape config section");
    schema_inherit(schema_get(scrape, "scrape_interval"), schema_get(global, "scrape_interval"));
    if (schema_int(scrape, "scrape_timeout") > schema_int(scrape, "scrape_interval"))
        return schema_fail(ctx, scrape,
                           "scrape timeout greater than scrape interval for scrape config with "
                           "job name \"%.*s\"",
                           SLICE_ARG(schema_text(scrape, "job_name")));
    set_timeout(scrape, schema_int(global, "scrape_timeout"));
    for (size_t i = 0; i < COUNT_OF(inherited); i++)
        schema_inherit(schema_get(scrape, inherited[i]), schema_get(global, inherited[i]));
    snprintf(where, sizeof(where), "scrape config with job name \"%.*s\"",
             SLICE_ARG(schema_text(scrape, "job_name")));
    err = set_scrape_protocols(ctx, global, scrape, where);
    if (err == ERR_OK)
        err = set_escaping(ctx, global, scrape);
    for (size_t i = 0; err == ERR_OK && i < COUNT_OF(switches); i++)
        err = set_default(ctx, scrape, switches[i],
                          schema_bool(global, switches[i]) ? "true" : "false");
    return err;
}

/* ---- alerting ---- */

static const char *const api_versions[] = {"v2", NULL};

static enum err check_alertmanager(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *rules = schema_get(value, "relabel_configs");
    enum err err = discovery_schema_check_lists(ctx, value);

    if (err == ERR_OK)
        err = http_config_check(ctx, value);
    if (err == ERR_OK && schema_has(value, "sigv4") &&
        (schema_has(value, "basic_auth") || schema_has(value, "authorization") ||
         schema_has(value, "oauth2")))
        return schema_fail(
            ctx, value,
            "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
    if (err == ERR_OK && rules->count == 0)
        err = discovery_schema_check_targets(ctx, value);
    if (err == ERR_OK)
        err = check_no_null(ctx, rules, "empty or null Alertmanager target relabeling rule");
    if (err == ERR_OK)
        err = check_no_null(ctx, schema_get(value, "alert_relabel_configs"),
                            "empty or null Alertmanager alert relabeling rule");
    return err;
}

static const struct schema_field alertmanager_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    STRUCT_FIELD("sigv4", &prometheus_schema_sigv4_type, .flags = SCHEMA_OPTIONAL),
    STRING_FIELD("scheme", .value = "http"),
    STRING_FIELD("path_prefix"),
    DURATION_FIELD("timeout", .value = "10s"),
    ENUM_FIELD("api_version", api_versions,
               "expected Alertmanager api version to be one of [v2] but got %.*s", .value = "v2",
               .flags = SCHEMA_KEEP),
    STRUCTS_FIELD("relabel_configs", &relabel_schema_type),
    STRUCTS_FIELD("alert_relabel_configs", &relabel_schema_type),
    DISCOVERY_FIELDS,
};
static const struct schema_type alertmanager_type = {
    .name = "alertmanagers", SCHEMA_FIELDS(alertmanager_fields), .check = check_alertmanager};

static enum err check_alerting(struct schema_ctx *ctx, struct schema_value *value)
{
    return check_no_null(ctx, schema_get(value, "alert_relabel_configs"),
                         "empty or null alert relabeling rule");
}

static const struct schema_field alerting_fields[] = {
    STRUCTS_FIELD("alert_relabel_configs", &relabel_schema_type),
    STRUCTS_FIELD("alertmanagers", &alertmanager_type),
};
static const struct schema_type alerting_type = {
    .name = "alerting", SCHEMA_FIELDS(alerting_fields), .check = check_alerting};

/* ---- the top level ---- */

static const struct schema_field runtime_fields[] = {INT_FIELD("gogc", .value = "75")};
static const struct schema_type runtime_type = {.name = "runtime", SCHEMA_FIELDS(runtime_fields)};

/* A bracket that is not closed, or a backslash with nothing after it. */
static bool is_bad_pattern(struct slice pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.data[i] == '\\') {
            if (++i == pattern.len)
                return true;
            continue;
        }
        if (pattern.data[i] != '[')
            continue;
        i += i + 1 < pattern.len && pattern.data[i + 1] == '^' ? 2 : 1;
        for (size_t start = i; i < pattern.len && (pattern.data[i] != ']' || i == start); i++)
            i += pattern.data[i] == '\\';
        if (i >= pattern.len)
            return true;
    }
    return false;
}

/* Stars only in the last segment. */
static enum err check_patterns(struct schema_ctx *ctx, const struct schema_value *list,
                               const char *what)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct slice path = list->items[i].text;
        const char *star = path.len == 0 ? NULL : memchr(path.data, '*', path.len);

        if (is_bad_pattern(path) ||
            (star != NULL && memchr(star, '/', path.len - (size_t)(star - path.data)) != NULL))
            return schema_fail(ctx, &list->items[i], "invalid %s file path \"%.*s\"", what,
                               SLICE_ARG(path));
    }
    return ERR_OK;
}

static enum err check_scrapes(struct schema_ctx *ctx, const struct schema_value *root)
{
    const struct schema_value *scrapes = schema_get(root, "scrape_configs");

    for (uint32_t i = 0; i < scrapes->count; i++) {
        const enum err err =
            prometheus_schema_check_scrape(ctx, schema_get(root, "global"), &scrapes->items[i]);

        if (err != ERR_OK)
            return err;
        for (uint32_t j = 0; j < i; j++)
            if (slice_eq(schema_text(&scrapes->items[i], "job_name"),
                         schema_text(&scrapes->items[j], "job_name")))
                return schema_fail(ctx, &scrapes->items[i],
                                   "found multiple scrape configs with job name \"%.*s\"",
                                   SLICE_ARG(schema_text(&scrapes->items[i], "job_name")));
    }
    return ERR_OK;
}

static enum err check_relabels(struct schema_ctx *ctx, const struct schema_value *value,
                               const char *key, enum label_scheme scheme)
{
    struct relabel_schema_list list;

    return relabel_schema_fill(ctx, schema_get(value, key), scheme, &list);
}

static enum err check_alert_rules(struct schema_ctx *ctx, const struct schema_value *root)
{
    const enum label_scheme scheme = prometheus_schema_name_scheme(schema_get(root, "global"));
    const struct schema_value *alerting = schema_get(root, "alerting");
    const struct schema_value *managers = schema_get(alerting, "alertmanagers");
    enum err err = check_relabels(ctx, alerting, "alert_relabel_configs", scheme);

    for (uint32_t i = 0; err == ERR_OK && i < managers->count; i++) {
        err = check_relabels(ctx, &managers->items[i], "alert_relabel_configs", scheme);
        if (err == ERR_OK)
            err = check_relabels(ctx, &managers->items[i], "relabel_configs", scheme);
    }
    return err;
}

static enum err check_remotes(struct schema_ctx *ctx, const struct schema_value *root,
                              const char *key, const char *what)
{
    const struct schema_value *list = schema_get(root, key);

    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].is_null)
            return schema_fail(ctx, &list->items[i], "empty or null %s config section", what);
        for (uint32_t j = 0; j < i; j++)
            if (schema_has(&list->items[i], "name") &&
                slice_eq(schema_text(&list->items[i], "name"),
                         schema_text(&list->items[j], "name")))
                return schema_fail(ctx, &list->items[i],
                                   "found multiple %s configs with job name \"%.*s\"", what,
                                   SLICE_ARG(schema_text(&list->items[i], "name")));
    }
    return ERR_OK;
}

static enum err check_write_rules(struct schema_ctx *ctx, const struct schema_value *root)
{
    const enum label_scheme scheme = prometheus_schema_name_scheme(schema_get(root, "global"));
    const struct schema_value *writes = schema_get(root, "remote_write");
    enum err err = ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && i < writes->count; i++)
        err = check_relabels(ctx, &writes->items[i], "write_relabel_configs", scheme);
    return err;
}

static enum err check_otlp_strategy(struct schema_ctx *ctx, const struct schema_value *root)
{
    const struct schema_value *strategy =
        schema_get(schema_get(root, "otlp"), "translation_strategy");
    const struct slice text = strategy->text;

    if (text.len == 0 || slice_eq(text, SLICE("UnderscoreEscapingWithSuffixes")) ||
        slice_eq(text, SLICE("UnderscoreEscapingWithoutSuffixes")))
        return ERR_OK;
    if (!slice_eq(text, SLICE("NoTranslation")) &&
        !slice_eq(text, SLICE("NoUTF8EscapingWithSuffixes")))
        return schema_fail(ctx, strategy, "unsupported OTLP translation strategy \"%.*s\"",
                           SLICE_ARG(text));
    if (prometheus_schema_name_scheme(schema_get(root, "global")) == LABEL_SCHEME_LEGACY)
        return schema_fail(
            ctx, strategy,
            "OTLP translation strategy \"%.*s\" is not allowed when UTF8 is disabled",
            SLICE_ARG(text));
    return ERR_OK;
}

/* Sections that are absent or empty have their defaults all the same. */
static enum err set_sections(struct schema_ctx *ctx, struct schema_value *root)
{
    struct schema_value *global = schema_get(root, "global");
    struct schema_value *runtime = schema_get(root, "runtime");
    enum err err = ERR_OK;

    if (global->node == NULL || global->is_null) {
        err = check_global(ctx, global);
        if (err == ERR_OK)
            err = set_default(ctx, global, "metric_name_escaping_scheme", "allow-utf-8");
    }
    if (err == ERR_OK && runtime->is_null)
        err = set_default(ctx, runtime, "gogc", "75");
    return err;
}

static enum err check_root(struct schema_ctx *ctx, struct schema_value *value)
{
    enum err err = set_sections(ctx, value);

    if (err == ERR_OK)
        err = check_patterns(ctx, schema_get(value, "rule_files"), "rule");
    if (err == ERR_OK)
        err = check_patterns(ctx, schema_get(value, "scrape_config_files"), "scrape config");
    if (err == ERR_OK)
        err = check_scrapes(ctx, value);
    if (err == ERR_OK)
        err = check_alert_rules(ctx, value);
    if (err == ERR_OK)
        err = check_remotes(ctx, value, "remote_write", "remote write");
    if (err == ERR_OK)
        err = check_write_rules(ctx, value);
    if (err == ERR_OK)
        err = check_remotes(ctx, value, "remote_read", "remote read");
    if (err == ERR_OK)
        err = check_otlp_strategy(ctx, value);
    return err;
}

static const struct schema_field root_fields[] = {
    STRUCT_FIELD("global", &global_type, .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    STRUCT_FIELD("runtime", &runtime_type),
    STRUCT_FIELD("alerting", &alerting_type),
    {.key = "rule_files", .kind = SCHEMA_PATH, .shape = SCHEMA_LIST},
    {.key = "scrape_config_files",
     .kind = SCHEMA_PATH,
     .shape = SCHEMA_LIST,
     .flags = SCHEMA_SERVED},
    STRUCTS_FIELD("scrape_configs", &scrape_type, .flags = SCHEMA_SERVED),
    STRUCT_FIELD("storage", &prometheus_schema_storage_type, .flags = SCHEMA_SERVED),
    STRUCT_FIELD("tracing", &prometheus_schema_tracing_type, .flags = SCHEMA_OPTIONAL),
    STRUCTS_FIELD("remote_write", &prometheus_schema_remote_write_type, .flags = SCHEMA_SERVED),
    STRUCTS_FIELD("remote_read", &prometheus_schema_remote_read_type),
    STRUCT_FIELD("otlp", &prometheus_schema_otlp_type),
    {.key = "narthex", .kind = SCHEMA_ANY, .flags = SCHEMA_SERVED},
};

const struct schema_type prometheus_schema_type = {
    .name = "the configuration", SCHEMA_FIELDS(root_fields), .check = check_root};

static const struct schema_field scrape_file_fields[] = {
    STRUCTS_FIELD("scrape_configs", &scrape_type, .flags = SCHEMA_SERVED),
};

const struct schema_type prometheus_schema_scrape_file_type = {
    .name = "the scrape configuration file", SCHEMA_FIELDS(scrape_file_fields)};
