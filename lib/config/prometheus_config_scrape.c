/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "config/prometheus_config_internal.h"
#include "config/schema_internal.h"

static const char *const protocol_names[SCRAPE_PROTOCOL_COUNT] = {
    [SCRAPE_PROTOCOL_PROTO] = "PrometheusProto",
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = "PrometheusText1.0.0",
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = "PrometheusText0.0.4",
};

static enum scrape_protocol protocol_of(struct slice name)
{
    for (int i = SCRAPE_PROTOCOL_NONE + 1; i < SCRAPE_PROTOCOL_COUNT; i++)
        if (slice_eq_cstr(name, protocol_names[i]))
            return (enum scrape_protocol)i;
    return SCRAPE_PROTOCOL_NONE;
}

static enum name_escaping escaping_of(struct slice name)
{
    if (slice_eq(name, SLICE("underscores")))
        return ESCAPE_UNDERSCORES;
    if (slice_eq(name, SLICE("dots")))
        return ESCAPE_DOTS;
    return slice_eq(name, SLICE("values")) ? ESCAPE_VALUES : ESCAPE_ALLOW_UTF8;
}

static enum err no_room(struct schema_ctx *ctx)
{
    return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
}

/* ---- discovery ---- */

static enum err fill_static(struct schema_ctx *ctx, const struct schema_value *list,
                            struct discovery_config *config)
{
    struct static_group *groups = ARENA_ARRAY(ctx->arena, struct static_group, list->count);

    if (groups == NULL)
        return no_room(ctx);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct schema_value *targets = schema_get(&list->items[i], "targets");
        enum err err = http_config_texts(ctx, targets, &groups[i].targets);

        groups[i].target_count = targets->count;
        if (err == ERR_OK)
            err = prometheus_config_labels(ctx, schema_get(&list->items[i], "labels"),
                                           &groups[i].labels);
        if (err != ERR_OK)
            return err;
    }
    *config = (struct discovery_config){.kind = DISCOVERY_STATIC,
                                        .name = SLICE("static"),
                                        .fixed = {groups, list->count},
                                        .value = list};
    return ERR_OK;
}

static enum err fill_kind(struct schema_ctx *ctx, const struct schema_value *value,
                          struct discovery_config *config)
{
    struct slice name = slice_from_cstr(value->field->key);

    name.len -= strlen("_sd_configs");
    *config = (struct discovery_config){.kind = DISCOVERY_OTHER, .name = name, .value = value};
    if (!slice_eq(name, SLICE("file")))
        return ERR_OK;
    config->kind = DISCOVERY_FILE;
    config->file.count = schema_get(value, "files")->count;
    config->file.refresh_interval_ms = schema_int(value, "refresh_interval");
    return http_config_texts(ctx, schema_get(value, "files"), &config->file.patterns);
}

static enum err fill_discovery(struct schema_ctx *ctx, const struct schema_value *value,
                               struct scrape_config *scrape)
{
    const struct schema_value *fixed = schema_get(value, "static_configs");
    struct discovery_config *configs;
    uint32_t count = fixed->count != 0;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < value->count; i++)
        if (slice_has_suffix(slice_from_cstr(value->items[i].field->key), SLICE("_sd_configs")))
            count += value->items[i].count;
    configs = ARENA_ARRAY(ctx->arena, struct discovery_config, count);
    if (configs == NULL)
        return no_room(ctx);
    count = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct schema_value *list = &value->items[i];

        if (!slice_has_suffix(slice_from_cstr(list->field->key), SLICE("_sd_configs")))
            continue;
        for (uint32_t j = 0; err == ERR_OK && j < list->count; j++)
            err = fill_kind(ctx, &list->items[j], &configs[count++]);
    }
    if (err == ERR_OK && fixed->count != 0)
        err = fill_static(ctx, fixed, &configs[count++]);
    scrape->discovery = configs;
    scrape->discovery_count = count;
    return err;
}

/* ---- the rest of a scrape section ---- */

static int compare_params(const void *a, const void *b)
{
    const struct scrape_param *x = a, *y = b;

    return slice_cmp(x->name, y->name);
}

static enum err fill_params(struct schema_ctx *ctx, const struct schema_value *map,
                            struct scrape_config *scrape)
{
    struct scrape_param *params = ARENA_ARRAY(ctx->arena, struct scrape_param, map->count);

    if (params == NULL)
        return no_room(ctx);
    for (uint32_t i = 0; i < map->count; i++) {
        const enum err err = http_config_texts(ctx, &map->items[i], &params[i].values);

        if (err != ERR_OK)
            return err;
        params[i].name = map->items[i].key;
        params[i].value_count = map->items[i].count;
    }
    if (map->count > 1)
        qsort(params, map->count, sizeof(*params), compare_params);
    scrape->params = params;
    scrape->param_count = map->count;
    return ERR_OK;
}

static void fill_limits(const struct schema_value *value, struct scrape_limits *limits)
{
    const int64_t size = schema_int(value, "body_size_limit");

    limits->body_size_bytes = size > 0 ? (uint64_t)size : 0;
    limits->samples = schema_get(value, "sample_limit")->u;
    limits->targets = schema_get(value, "target_limit")->u;
    limits->labels = schema_get(value, "label_limit")->u;
    limits->label_name_length = schema_get(value, "label_name_length_limit")->u;
    limits->label_value_length = schema_get(value, "label_value_length_limit")->u;
    limits->keep_dropped_targets = schema_get(value, "keep_dropped_targets")->u;
    limits->native_histogram_buckets = schema_get(value, "native_histogram_bucket_limit")->u;
}

static void fill_scalars(const struct schema_value *value, struct scrape_config *scrape)
{
    const struct schema_value *protocols = schema_get(value, "scrape_protocols");

    scrape->job_name = schema_text(value, "job_name");
    scrape->interval_ms = schema_int(value, "scrape_interval");
    scrape->timeout_ms = schema_int(value, "scrape_timeout");
    scrape->honor_labels = schema_bool(value, "honor_labels");
    scrape->honor_timestamps = schema_bool(value, "honor_timestamps");
    scrape->track_timestamps_staleness = schema_bool(value, "track_timestamps_staleness");
    scrape->enable_compression = schema_bool(value, "enable_compression");
    scrape->scrape_native_histograms = schema_bool(value, "scrape_native_histograms");
    scrape->convert_classic_histograms = schema_bool(value, "convert_classic_histograms_to_nhcb");
    scrape->always_scrape_classic_histograms =
        schema_bool(value, "always_scrape_classic_histograms");
    scrape->extra_scrape_metrics = schema_bool(value, "extra_scrape_metrics");
    for (uint32_t i = 0; i < protocols->count; i++)
        scrape->protocols[scrape->protocol_count++] = protocol_of(protocols->items[i].text);
    scrape->fallback_protocol = protocol_of(schema_text(value, "fallback_scrape_protocol"));
    scrape->metrics_path = schema_text(value, "metrics_path");
    scrape->scheme = schema_text(value, "scheme");
    scrape->failure_log_file = schema_text(value, "scrape_failure_log_file");
    scrape->native_histogram_min_bucket_factor =
        schema_get(value, "native_histogram_min_bucket_factor")->f;
    scrape->name_scheme = prometheus_schema_name_scheme(value);
    scrape->name_escaping = escaping_of(schema_text(value, "metric_name_escaping_scheme"));
    fill_limits(value, &scrape->limits);
}

enum err prometheus_config_fill_scrape(struct schema_ctx *ctx, const struct schema_value *value,
                                       struct scrape_config *scrape)
{
    struct relabel_schema_list rules;
    enum err err;

    *scrape = (struct scrape_config){.value = value};
    fill_scalars(value, scrape);
    err = fill_params(ctx, schema_get(value, "params"), scrape);
    if (err == ERR_OK)
        err = http_config_fill(ctx, value, &scrape->http);
    if (err == ERR_OK)
        err = fill_discovery(ctx, value, scrape);
    if (err == ERR_OK)
        err = relabel_schema_fill(ctx, schema_get(value, "relabel_configs"), scrape->name_scheme,
                                  &rules);
    if (err != ERR_OK)
        return err;
    scrape->relabel = rules.items;
    scrape->relabel_count = rules.count;
    err = relabel_schema_fill(ctx, schema_get(value, "metric_relabel_configs"), scrape->name_scheme,
                              &rules);
    if (err != ERR_OK)
        return err;
    scrape->metric_relabel = rules.items;
    scrape->metric_relabel_count = rules.count;
    return ERR_OK;
}
