/* SPDX-License-Identifier: Apache-2.0 */
#include "main/flags.h"

static const char *const level_choices[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_choices[] = {"logfmt", "json", NULL};

#define AT(member) offsetof(struct server_settings, member)

static const struct setting server_setting_table[] = {
    {"config.file", SETTING_STRING, AT(config_file), .value = "prometheus.yml",
     .flags = SETTING_FLAG_ONLY, .help = "Prometheus configuration file."},
    {"target", SETTING_LIST, AT(targets), .value = "all", .flags = SETTING_FLAG_ONLY,
     .help = "Roles that this process runs: all, scraper, distributor, ingester, querier. Without "
             "ingester, samples go to remote_write only."},
    {"storage.path", SETTING_STRING, AT(storage_path), .value = "data", .flags = SETTING_FLAG_ONLY,
     .help = "Directory of the write-ahead log and the blocks."},
    {"storage.tsdb.path", SETTING_STRING, AT(storage_tsdb_path), .flags = SETTING_FLAG_ONLY,
     .help = "The same, by upstream's name."},
    {"web.listen-address", SETTING_LIST, AT(listen_addresses), .value = "0.0.0.0:9090",
     .flags = SETTING_FLAG_ONLY,
     .help = "Address to listen on; may be repeated. Port 0 takes a free one."},
    {"web.external-url", SETTING_STRING, AT(external_url), .flags = SETTING_FLAG_ONLY,
     .help = "URL under which this server is reached from outside; its path is the default route "
             "prefix."},
    {"web.route-prefix", SETTING_STRING, AT(route_prefix), .flags = SETTING_FLAG_ONLY,
     .help = "Prefix of all routes. Default: the path of web.external-url."},
    {"web.cors.origin", SETTING_STRING, AT(cors_origin), .value = ".*", .flags = SETTING_FLAG_ONLY,
     .help =
         "Regular expression of the origins that may call the API from a browser, fully anchored."},
    {"web.read-timeout", SETTING_DURATION, AT(read_timeout_ms), .value = "5m", .min = "100ms",
     .max = "1d", .flags = SETTING_FLAG_ONLY,
     .help = "Longest time for one request to arrive, and of idle connections."},
    {"web.max-connections", SETTING_INT, AT(connections_max), .value = "512", .min = "1",
     .max = "1000000", .flags = SETTING_FLAG_ONLY,
     .help = "Most connections at a time; further ones get 503."},
    {"web.max-body-size", SETTING_SIZE, AT(body_size_max), .value = "64MiB", .min = "1KiB",
     .max = "1GiB", .help = "Largest request body; larger ones get 413."},
    {"web.enable-lifecycle", SETTING_BOOL, AT(enable_lifecycle), .flags = SETTING_FLAG_ONLY,
     .help = "Reload and quit by HTTP: POST /-/reload, POST /-/quit."},
    {"web.enable-admin-api", SETTING_BOOL, AT(enable_admin_api), .flags = SETTING_FLAG_ONLY,
     .help = "The administrative API under /api/v1/admin/tsdb: delete series, clean up, snapshot."},
    {"web.enable-remote-write-receiver", SETTING_BOOL, AT(enable_remote_write_receiver),
     .value = "true", .flags = SETTING_FLAG_ONLY,
     .help = "Take remote write on /api/v1/write and /api/v1/push."},
    {"server.reactors", SETTING_INT, AT(reactors), .value = "0", .min = "0", .max = "256",
     .help = "Network threads; 0: one per core."},
    {"server.memory_max", SETTING_SIZE, AT(memory_max), .value = "0", .max = "1PiB",
     .help = "Budget of the process for queries and caches; 0: no limit of its own."},
    {"server.stop_timeout", SETTING_DURATION, AT(stop_timeout_ms), .value = "30s", .min = "1s",
     .max = "1h", .help = "Longest time that requests under way get at a stop."},
    {"log.level", SETTING_ENUM, AT(log_level), .value = "info", .choices = level_choices,
     .flags = SETTING_FLAG_ONLY, .help = "Least severe level that is logged."},
    {"log.format", SETTING_ENUM, AT(log_format), .value = "logfmt", .choices = format_choices,
     .flags = SETTING_FLAG_ONLY, .help = "Form of log lines."},
    {"enable-feature", SETTING_LIST, AT(features), .flags = SETTING_FLAG_ONLY,
     .help = "Features of upstream that are off by default, comma-separated."},
};

/* Flags of upstream's server that are accepted, so that start scripts stay as they are, and warned
 * of when given. */
static const char *const known_names[] = {
    "config.auto-reload",
    "config.auto-reload-interval",
    "agent",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "auto-gomemlimit.ratio",
    "auto-gomemlimit.refresh-interval",
    "web.config.file",
    "web.max-notifications-subscribers",
    "web.user-assets",
    "web.remote-write-receiver.accepted-protobuf-messages",
    "web.enable-otlp-receiver",
    "web.console.templates",
    "web.console.libraries",
    "web.page-title",
    "web.search.max-limit",
    "storage.tsdb.retention",
    "storage.tsdb.no-lockfile",
    "storage.tsdb.head-chunks-write-queue-size",
    "storage.tsdb.delay-compact-file.path",
    "storage.tsdb.wal-compression",
    "storage.tsdb.wal-compression-type",
    "storage.tsdb.min-block-duration",
    "storage.tsdb.max-block-duration",
    "storage.tsdb.wal-segment-size",
    "storage.tsdb.max-block-chunk-segment-size",
    "storage.tsdb.block-reload-interval",
    "storage.tsdb.allow-overlapping-blocks",
    "storage.agent.path",
    "storage.agent.wal-compression",
    "storage.agent.retention.min-time",
    "storage.agent.retention.max-time",
    "storage.agent.no-lockfile",
    "storage.remote.read-concurrent-limit",
    "rules.alert.for-outage-tolerance",
    "rules.alert.for-grace-period",
    "rules.alert.resend-delay",
    "rules.max-concurrent-evals",
    "alertmanager.notification-queue-capacity",
    "alertmanager.notification-batch-size",
    "alertmanager.drain-notification-queue-on-shutdown",
    "scrape.adjust-timestamps",
    "scrape.timestamp-tolerance",
};

static const char *const known_bools[] = {
    "config.auto-reload",
    "agent",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "web.enable-otlp-receiver",
    "storage.tsdb.no-lockfile",
    "storage.tsdb.wal-compression",
    "storage.tsdb.allow-overlapping-blocks",
    "storage.agent.wal-compression",
    "storage.agent.no-lockfile",
    "alertmanager.drain-notification-queue-on-shutdown",
    "scrape.adjust-timestamps",
};

struct flags_known {
    struct setting rows[COUNT_OF(known_names)];
    union {
        bool on;
        struct slice text;
    } values[COUNT_OF(known_names)];
};

static bool known_is_bool(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(known_bools); i++) {
        if (strcmp(known_bools[i], name) == 0)
            return true;
    }
    return false;
}

static void flags_add_known(struct flags *flags, struct arena *arena)
{
    struct flags_known *known = ARENA_NEW(arena, struct flags_known);

    ASSERT(known != NULL);
    for (size_t i = 0; i < COUNT_OF(known_names); i++) {
        known->rows[i] = (struct setting){
            .name = known_names[i],
            .type = known_is_bool(known_names[i]) ? SETTING_BOOL : SETTING_STRING,
            .offset = offsetof(struct flags_known, values) + i * sizeof(known->values[0]),
            .flags = SETTING_HIDDEN | SETTING_FLAG_ONLY,
            .help = "Known, but not served by this version.",
        };
    }
    flags->known = known;
    settings_add(&flags->settings, known->rows, COUNT_OF(known->rows), known);
}

void flags_init(struct flags *flags, struct arena *arena)
{
    memset(flags, 0, sizeof(*flags));
    settings_init(&flags->settings, arena);
    settings_add(&flags->settings, server_setting_table, COUNT_OF(server_setting_table),
                 &flags->server);
    settings_add(&flags->settings, distributor_setting_table, distributor_setting_count,
                 &flags->distributor);
    settings_add(&flags->settings, ingester_setting_table, ingester_setting_count,
                 &flags->ingester);
    settings_add(&flags->settings, querier_setting_table, querier_setting_count, &flags->querier);
    settings_add(&flags->settings, remote_setting_table, remote_setting_count, &flags->remote);
    flags_add_known(flags, arena);
}

static bool known_is_given(const struct flags_known *known, size_t i)
{
    return known->rows[i].type == SETTING_BOOL ? known->values[i].on
                                               : known->values[i].text.len != 0;
}

enum err flags_check(const struct flags *flags, struct err_info *info)
{
    for (size_t i = 0; i < COUNT_OF(known_names); i++) {
        if (strcmp(known_names[i], "web.config.file") == 0 && known_is_given(flags->known, i))
            return err_set(info, ERR_UNSUPPORTED,
                           "--web.config.file is not served by this version: without its TLS and "
                           "passwords the server would be open to anyone");
    }
    return ERR_OK;
}

void flags_unserved(const struct flags *flags, flags_unserved_fn *fn, void *owner)
{
    const struct flags_known *known = flags->known;

    for (size_t i = 0; i < COUNT_OF(known_names); i++) {
        if (known_is_given(known, i))
            fn(owner, slice_from_cstr(known_names[i]));
    }
}

bool flags_has_feature(const struct flags *flags, const char *feature)
{
    for (uint32_t i = 0; i < flags->server.features.count; i++) {
        if (slice_eq_cstr(flags->server.features.items[i], feature))
            return true;
    }
    return false;
}
