/* SPDX-License-Identifier: Apache-2.0 */
#include "config/prometheus_config_internal.h"
#include "config/schema_internal.h"

/* The remote_write sections as structs. */

static enum err fill_headers(struct schema_ctx *ctx, const struct schema_value *map,
                             struct remote_write_config *remote)
{
    struct label *headers = ARENA_ARRAY(ctx->arena, struct label, map->count);

    if (headers == NULL)
        return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
    for (uint32_t i = 0; i < map->count; i++)
        headers[i] = (struct label){map->items[i].key, map->items[i].text};
    remote->headers = (struct label_set){headers, map->count};
    return ERR_OK;
}

static void fill_queue(const struct schema_value *value, struct remote_queue_config *queue)
{
    queue->capacity = schema_int(value, "capacity");
    queue->max_shards = schema_int(value, "max_shards");
    queue->min_shards = schema_int(value, "min_shards");
    queue->max_samples_per_send = schema_int(value, "max_samples_per_send");
    queue->batch_send_deadline_ms = schema_int(value, "batch_send_deadline");
    queue->min_backoff_ms = schema_int(value, "min_backoff");
    queue->max_backoff_ms = schema_int(value, "max_backoff");
    queue->sample_age_limit_ms = schema_int(value, "sample_age_limit");
    queue->retry_on_http_429 = schema_bool(value, "retry_on_http_429");
}

enum err prometheus_config_fill_remote_write(struct schema_ctx *ctx,
                                             const struct schema_value *value,
                                             enum label_scheme scheme,
                                             struct remote_write_config *remote)
{
    struct relabel_schema_list rules;
    enum err err;

    *remote = (struct remote_write_config){.value = value};
    remote->url = schema_text(value, "url");
    remote->name = schema_text(value, "name");
    remote->timeout_ms = schema_int(value, "remote_timeout");
    remote->send_exemplars = schema_bool(value, "send_exemplars");
    remote->send_native_histograms = schema_bool(value, "send_native_histograms");
    remote->is_v2 =
        slice_eq(schema_text(value, "protobuf_message"), SLICE("io.prometheus.write.v2.Request"));
    remote->send_metadata = schema_bool(schema_get(value, "metadata_config"), "send");
    fill_queue(schema_get(value, "queue_config"), &remote->queue);
    err = fill_headers(ctx, schema_get(value, "headers"), remote);
    if (err == ERR_OK)
        err = http_config_fill(ctx, value, &remote->http);
    if (err == ERR_OK)
        err = relabel_schema_fill(ctx, schema_get(value, "write_relabel_configs"), scheme, &rules);
    if (err != ERR_OK)
        return err;
    remote->relabel = rules.items;
    remote->relabel_count = rules.count;
    return ERR_OK;
}
