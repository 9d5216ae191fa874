/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/discovery.h"

#include <stdio.h>

#include "base/mem.h"
#include "discovery/discovery_internal.h"

const struct metric_desc discovery_metric_descs[] = {
    {"prometheus_sd_received_updates_total", METRIC_COUNTER,
     offsetof(struct discovery_metrics, received_updates),
     .help = "Updates received from the service discovery providers.", .fixed = "name=\"scrape\""},
    {"prometheus_sd_file_read_errors_total", METRIC_COUNTER,
     offsetof(struct discovery_metrics, read_errors),
     .help = "Files of targets that could not be "
             "read."},
    {"prometheus_sd_file_scan_duration_seconds", METRIC_HISTOGRAM,
     offsetof(struct discovery_metrics, file_scan_seconds),
     .help = "Time of one look at the files of targets."},
    {"prometheus_sd_failed_configs", METRIC_GAUGE,
     offsetof(struct discovery_metrics, failed_configs),
     .help = "Discovery sections that are not served.", .fixed = "name=\"scrape\""},
};
const size_t discovery_metric_count = COUNT_OF(discovery_metric_descs);

/* ---- static ---- */

static void static_start(struct discovery *discovery)
{
    const struct discovery_options *options = &discovery->options;
    const uint32_t count = options->config->fixed.count;
    struct target_group **groups = mem_zalloc(count + 1, sizeof(*groups));
    uint32_t made = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct static_group *from = &options->config->fixed.groups[i];
        char source[16];
        const struct target_group_spec spec = {
            .source = slice_of(source, (size_t)snprintf(source, sizeof(source), "%u", i)),
            .addresses = from->targets,
            .address_count = from->target_count,
            .labels = from->labels};
        const enum err err = target_group_new(&spec, &groups[made]);

        if (err == ERR_OK)
            made++;
        else
            log_error(options->log, "static targets are too many", F_UINT("group", i),
                      F_ERR(err, NULL));
    }
    metric_inc(&options->metrics->received_updates);
    options->update(options->owner, groups, made);
    for (uint32_t i = 0; i < made; i++)
        target_group_unref(groups[i]);
    mem_free(groups);
}

static void static_stop(struct discovery *discovery)
{
    (void)discovery;
}

static void static_free(struct discovery *discovery)
{
    mem_free(discovery);
}

static const struct discovery_ops static_ops = {
    .start = static_start, .stop = static_stop, .free = static_free};

static struct discovery *static_new(const struct discovery_options *options)
{
    struct discovery *discovery = mem_zalloc(1, sizeof(*discovery));

    *discovery = (struct discovery){.ops = &static_ops, .options = *options};
    return discovery;
}

/* ---- all kinds ---- */

enum err discovery_new(const struct discovery_options *options, struct discovery **discovery,
                       struct err_info *info)
{
    switch (options->config->kind) {
    case DISCOVERY_STATIC:
        *discovery = static_new(options);
        return ERR_OK;
    case DISCOVERY_FILE:
        *discovery = discovery_file_new(options);
        return ERR_OK;
    case DISCOVERY_OTHER:
        break;
    }
    return err_set(info, ERR_UNSUPPORTED, "%.*s_sd_configs is not served yet",
                   SLICE_ARG(options->config->name));
}

void discovery_start(struct discovery *discovery)
{
    discovery->ops->start(discovery);
}

void discovery_stop(struct discovery *discovery)
{
    discovery->ops->stop(discovery);
}

void discovery_free(struct discovery *discovery)
{
    if (discovery != NULL)
        discovery->ops->free(discovery);
}
