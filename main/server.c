/* SPDX-License-Identifier: Apache-2.0 */
#include "main/server.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "config/prometheus_config.h"
#include "main/paths.h"
#include "main/roles.h"
#include "main/version.h"
#include "main/web.h"
#include "net/env_net.h"
#include "remote/remote.h"
#include "scraper/scraper.h"

enum {
    SERVER_LISTENERS_MAX = 8,
    SERVER_QUERY_THREADS_MIN = 4,
    SERVER_MMAP_THRESHOLD = 32 << 20,
    SERVER_TRIM_THRESHOLD = 256 << 20,
};

struct server_metrics {
    struct metric_gauge reload_ok, reload_time_s, ready;
};

struct server {
    int argc; /* the command line: flags go before the file, at each reload too */
    char **argv;
    struct arena arena;
    struct flags flags;
    unsigned roles;
    struct log_sink log_sink;
    struct log log;
    struct env env;
    struct signals signals;
    struct budget budget;
    struct metric_registry *metrics_registry;
    struct server_metrics metrics;
    struct http_server_metrics http_metrics;
    pthread_mutex_t config_lock; /* guards config, which the main thread alone replaces */
    struct prometheus_config *config;
    struct reactor_set *reactors;
    struct http_server *listeners[SERVER_LISTENERS_MAX];
    size_t listener_count;
    struct ingester *ingester;
    struct remote *remote;
    struct hash_key hash_key; /* of series, where no ingester has one */
    struct distributor *distributor;
    struct querier *querier;
    struct scraper *scraper;
    struct web *web;
    bool env_is_open;
};

static double read_one(const void *metrics)
{
    (void)metrics;
    return 1;
}

static const struct metric_desc server_metric_descs[] = {
    {"prometheus_config_last_reload_successful", METRIC_GAUGE,
     offsetof(struct server_metrics, reload_ok),
     .help = "Whether the last reload of the configuration succeeded."},
    {"prometheus_config_last_reload_success_timestamp_seconds", METRIC_GAUGE,
     offsetof(struct server_metrics, reload_time_s),
     .help = "When the configuration in force was loaded."},
    {"prometheus_ready", METRIC_GAUGE, offsetof(struct server_metrics, ready),
     .help = "Whether the server is ready to serve."},
    {"narthex_build_info", METRIC_GAUGE_FN, .read = read_one,
     .fixed = "version=\"" NARTHEX_VERSION "\",revision=\"" NARTHEX_REVISION "\"",
     .help = "Always 1; the labels say what was built."},
};

/* ---- configuration ---- */

static void log_unserved_key(void *owner, struct slice file, uint32_t line, struct slice key_path)
{
    struct server *server = owner;

    log_warn(&server->log, "configuration key is not served by this version and has no effect",
             F_SLICE("key", key_path), F_SLICE("file", file), F_UINT("line", line));
}

static void log_unserved_flag(void *owner, struct slice name)
{
    struct server *server = owner;

    log_warn(&server->log, "flag is not served by this version and has no effect",
             F_SLICE("flag", name));
}

/* Reads the file and checks everything in it, Narthex's own part too, without changing anything. */
static enum err server_load_config(struct server *server, struct flags *flags,
                                   struct prometheus_config **out, struct err_info *info)
{
    const struct prometheus_config_options options = {
        .env = &server->env, .log = &server->log, .path = server->flags.server.config_file.data};
    struct prometheus_config *config;
    enum err err = paths_check_file(options.path, info);

    if (err == ERR_OK)
        err = prometheus_config_load(&options, &config, info);
    if (err != ERR_OK)
        return err;
    if (config->narthex != NULL)
        err = settings_parse_yaml(&flags->settings, config->narthex, info);
    if (err == ERR_OK)
        err = distributor_check_settings(&flags->distributor, info);
    if (err != ERR_OK) {
        prometheus_config_unref(config);
        return err;
    }
    prometheus_config_unserved(config, log_unserved_key, server);
    *out = config;
    return ERR_OK;
}

static void server_note_reload(struct server *server, bool ok)
{
    metric_gauge_set(&server->metrics.reload_ok, ok);
    if (ok)
        metric_gauge_set(&server->metrics.reload_time_s, (double)env_now_ms(&server->env) / 1000);
}

/* Settings of the file that differ from those in force are named: they take effect at the next
 * start. */
struct changed_settings {
    struct server *server;
    const struct settings *wanted;
    const struct setting *setting; /* whose wanted value is looked for */
    struct slice in_force;
};

static void on_wanted_setting(void *owner, const struct setting *setting, struct slice value)
{
    const struct changed_settings *changed = owner;

    if (strcmp(setting->name, changed->setting->name) == 0 && !slice_eq(value, changed->in_force))
        log_warn(&changed->server->log, "setting changed, it takes effect at the next start",
                 F_STR("setting", setting->name), F_SLICE("in_force", changed->in_force),
                 F_SLICE("wanted", value));
}

static void on_setting_in_force(void *owner, const struct setting *setting, struct slice value)
{
    struct changed_settings *changed = owner;

    if ((setting->flags & (SETTING_FLAG_ONLY | SETTING_SECRET)) != 0)
        return;
    changed->setting = setting;
    changed->in_force = value;
    settings_visit(changed->wanted, on_wanted_setting, changed);
}

static void server_name_changed_settings(struct server *server, const struct flags *wanted)
{
    struct changed_settings changed = {.server = server, .wanted = &wanted->settings};

    settings_visit(&server->flags.settings, on_setting_in_force, &changed);
}

static enum err server_load_and_apply(struct server *server, struct err_info *info)
{
    struct prometheus_config *config, *old;
    struct flags *flags = mem_alloc(sizeof(*flags));
    struct settings_args args;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    flags_init(flags, &arena);
    err = settings_parse_flags(&flags->settings, server->argc - 1, server->argv + 1, &args, info);
    if (err == ERR_OK)
        err = server_load_config(server, flags, &config, info);
    if (err == ERR_OK)
        server_name_changed_settings(server, flags);
    arena_fini(&arena);
    mem_free(flags);
    if (err != ERR_OK)
        return err;
    err = server->remote == NULL ? ERR_OK : remote_reload(server->remote, config, info);
    if (err == ERR_OK && server->scraper != NULL)
        err = scraper_reload(server->scraper, config, info);
    if (err != ERR_OK) {
        prometheus_config_unref(config);
        return err;
    }
    if (server->querier != NULL) {
        querier_set_evaluation_interval(server->querier, config->global.evaluation_interval_ms);
        querier_set_external_labels(server->querier, config->global.external_labels);
    }
    if (server->ingester != NULL)
        ingester_set_retention(server->ingester, config->retention_ms,
                               config->retention_size_bytes);
    if (server->distributor != NULL) {
        distributor_set_name_scheme(server->distributor, config->global.name_scheme);
        distributor_set_out_of_order(server->distributor, config->out_of_order_window_ms);
    }
    if (server->ingester != NULL)
        ingester_set_exemplar_max(server->ingester, config->exemplar_max);
    pthread_mutex_lock(&server->config_lock);
    old = server->config;
    server->config = config;
    pthread_mutex_unlock(&server->config_lock);
    prometheus_config_unref(old);
    return ERR_OK;
}

static enum err server_reload(void *owner, struct err_info *info)
{
    struct server *server = owner;
    const enum err err = server_load_and_apply(server, info);

    server_note_reload(server, err == ERR_OK);
    if (err == ERR_OK)
        log_info(&server->log, "Completed loading of configuration file",
                 F_SLICE("filename", server->flags.server.config_file));
    else
        log_error(&server->log, "Error reloading config, the old one stays in force",
                  F_ERR(err, info));
    return err;
}

static void server_print_config(void *owner, struct buf *out)
{
    struct server *server = owner;
    struct prometheus_config *config;

    pthread_mutex_lock(&server->config_lock);
    config = prometheus_config_ref(server->config);
    pthread_mutex_unlock(&server->config_lock);
    prometheus_config_print(config, out);
    prometheus_config_unref(config);
}

/* ---- construction, each step with its undoing in server_fini ---- */

static const char *const server_features[] = {
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-duration-expr",
};

static void server_check_features(struct server *server)
{
    const struct setting_list *features = &server->flags.server.features;

    for (uint32_t i = 0; i < features->count; i++) {
        bool served = false;

        for (size_t j = 0; j < COUNT_OF(server_features); j++)
            served |= slice_eq_cstr(features->items[i], server_features[j]);
        if (!served)
            log_warn(&server->log, "feature is unknown or not served by this version",
                     F_SLICE("feature", features->items[i]));
    }
}

static enum err server_parse_flags(struct server *server, int argc, char **argv,
                                   struct err_info *info)
{
    struct settings_args args;
    enum err err;

    arena_init(&server->arena, NULL, 0);
    flags_init(&server->flags, &server->arena);
    err = settings_parse_flags(&server->flags.settings, argc - 1, argv + 1, &args, info);
    if (err != ERR_OK) {
        fputs("narthex: `narthex server --help` lists the flags\n", stderr);
        return err;
    }
    if (args.help) {
        struct buf help;

        buf_init(&help, 1 << 20);
        settings_write_help(&server->flags.settings, &help);
        fwrite(help.data, 1, help.len, stdout);
        buf_fini(&help);
        return ERR_END;
    }
    if (args.count > 0)
        return err_set(info, ERR_BAD_INPUT, "unexpected argument \"%s\"", args.items[0]);
    err = flags_check(&server->flags, info);
    if (err != ERR_OK)
        return err;
    if (server->flags.server.storage_tsdb_path.len > 0)
        server->flags.server.storage_path = server->flags.server.storage_tsdb_path;
    return roles_parse(&server->flags.server.targets, &server->roles, info);
}

static enum err server_open_env(struct server *server, struct err_info *info)
{
    const size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    size_t query_threads =
        cores * 2 < SERVER_QUERY_THREADS_MIN ? SERVER_QUERY_THREADS_MIN : cores * 2;
    struct env_net_options options = {.reactors = NULL};
    enum err err;

    if (query_threads > (size_t)server->flags.querier.concurrency_max)
        query_threads = (size_t)server->flags.querier.concurrency_max;
    err = reactor_set_open((size_t)server->flags.server.reactors, &server->reactors, info);
    if (err != ERR_OK)
        return err;
    options.reactors = server->reactors;
    options.pools[ENV_POOL_QUERY].thread_count = query_threads;
    err = env_net_open(&server->env, &options, info);
    if (err != ERR_OK)
        return err;
    server->env_is_open = true;
    env_net_register(&server->env, server->metrics_registry);
    return ERR_OK;
}

/* A block holds two files open and a connection one. The soft limit that systems start programs
 * with is low for the sake of select(), which is not used here. */
static void server_raise_file_limit(struct server *server)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn(&server->log, "cannot raise the limit of open files",
                 F_STR("err", strerror(errno)));
}

/* Path part of the external URL, without a slash at its end; NULL when there is none. */
static const char *server_route_prefix(struct server *server)
{
    struct slice prefix = server->flags.server.route_prefix;
    const struct slice url = server->flags.server.external_url;
    const char *scheme_end = url.len == 0 ? NULL : strstr(url.data, "://");

    if (prefix.len == 0 && scheme_end != NULL) {
        const char *path = strchr(scheme_end + 3, '/');
        if (path != NULL)
            prefix = slice_from_cstr(path);
    }
    while (prefix.len > 0 && prefix.data[prefix.len - 1] == '/')
        prefix.len--;
    return prefix.len == 0 ? NULL : arena_copy_cstr(&server->arena, prefix);
}

/* Takes the ports early, so that a taken one is known before the storage is opened. */
static enum err server_listen(struct server *server, struct err_info *info)
{
    const struct server_settings *settings = &server->flags.server;
    const struct setting_list *addresses = &settings->listen_addresses;

    if (addresses->count > SERVER_LISTENERS_MAX)
        return err_set(info, ERR_BAD_INPUT, "web.listen-address: %u addresses, the limit is %d",
                       addresses->count, SERVER_LISTENERS_MAX);
    for (uint32_t i = 0; i < addresses->count; i++) {
        const struct http_server_options options = {
            .address = addresses->items[i].data,
            .path_prefix = server_route_prefix(server),
            .connection_count_max = (size_t)settings->connections_max,
            .body_size_max = (size_t)settings->body_size_max,
            .read_timeout_ms = (uint64_t)settings->read_timeout_ms,
            .cors_origin = settings->cors_origin.data,
            .env = &server->env,
            .reactors = server->reactors,
            .is_gated = true,
            .metrics = &server->http_metrics,
            .log = &server->log,
        };
        const enum err err = http_server_open(&options, &server->listeners[i], info);

        if (err != ERR_OK)
            return err;
        server->listener_count++;
    }
    return ERR_OK;
}

static enum err server_open_ingester(struct server *server, struct err_info *info)
{
    const struct ingester_options options = {
        .env = &server->env,
        .path = server->flags.server.storage_path.data,
        .settings = &server->flags.ingester,
        .future_ms_max = server->flags.distributor.future_ms_max,
        .log_sink = &server->log_sink,
        .metrics = server->metrics_registry,
    };

    enum err err;

    if ((server->roles & ROLE_INGESTER) == 0)
        return ERR_OK;
    err = paths_check_data_dir(options.path, info);
    if (err == ERR_OK)
        err = ingester_open(&options, &server->ingester, info);
    if (err == ERR_OK)
        ingester_set_retention(server->ingester, server->config->retention_ms,
                               server->config->retention_size_bytes);
    return err;
}

/* Stands before the storage, or in its place. */
static enum err server_make_remote(struct server *server, struct err_info *info)
{
    const char *path = server->flags.server.storage_path.data;
    enum err err;

    if ((server->roles & (ROLE_SCRAPER | ROLE_DISTRIBUTOR | ROLE_INGESTER)) == 0)
        return ERR_OK;
    err = server->ingester != NULL ? ERR_OK : paths_check_data_dir(path, info);
    if (err != ERR_OK)
        return err;
    server->remote = remote_new(&(struct remote_options){
        .env = &server->env,
        .reactors = server->reactors,
        .inner = server->ingester != NULL ? ingester_appender(server->ingester) : NULL,
        .path = path,
        .settings = &server->flags.remote,
        .log_sink = &server->log_sink,
        .metrics = server->metrics_registry,
    });
    return remote_reload(server->remote, server->config, info);
}

static const struct hash_key *server_hash_key(struct server *server)
{
    uint8_t seed[HASH_KEY_SEED_SIZE];

    if (server->ingester != NULL)
        return ingester_hash_key(server->ingester);
    server->env.clock->random(&server->env, seed, sizeof(seed));
    hash_key_init(&server->hash_key, seed);
    return &server->hash_key;
}

/* A scraper has one before it even where nobody else may write. */
static void server_make_distributor(struct server *server, const struct hash_key *hash_key)
{
    if ((server->roles & (ROLE_DISTRIBUTOR | ROLE_SCRAPER)) == 0)
        return;
    server->distributor = distributor_new(&(struct distributor_options){
        .env = &server->env,
        .ingester = remote_appender(server->remote),
        .hash_key = hash_key,
        .settings = &server->flags.distributor,
        .log_sink = &server->log_sink,
        .metrics = server->metrics_registry,
        .budget = &server->budget,
        .name_scheme = server->config->global.name_scheme,
    });
}

static void server_make_querier(struct server *server)
{
    if ((server->roles & ROLE_QUERIER) == 0)
        return;
    server->querier = querier_new(&(struct querier_options){
        .env = &server->env,
        .source = ingester_source(server->ingester),
        .db = ingester_db(server->ingester),
        .admin_api = server->flags.server.enable_admin_api,
        .settings = &server->flags.querier,
        .log_sink = &server->log_sink,
        .metrics = server->metrics_registry,
        .budget = &server->budget,
        .evaluation_interval_ms = server->config->global.evaluation_interval_ms,
        .experimental_functions =
            flags_has_feature(&server->flags, "promql-experimental-functions"),
        .extended_range_selectors =
            flags_has_feature(&server->flags, "promql-extended-range-selectors"),
        .binop_fill_modifiers = flags_has_feature(&server->flags, "promql-binop-fill-modifiers"),
        .duration_expressions = flags_has_feature(&server->flags, "promql-duration-expr"),
    });
    querier_set_external_labels(server->querier, server->config->global.external_labels);
}

static enum err server_make_scraper(struct server *server, const struct hash_key *hash_key,
                                    struct err_info *info)
{
    if ((server->roles & ROLE_SCRAPER) == 0)
        return ERR_OK;
    return scraper_new(
        &(struct scraper_options){
            .env = &server->env,
            .reactors = server->reactors,
            .appender = distributor_appender(server->distributor),
            .hash_key = hash_key,
            .log_sink = &server->log_sink,
            .metrics = server->metrics_registry,
        },
        &server->scraper, info);
}

static void server_add_routes(struct server *server, struct http_server *listener)
{
    if (server->ingester != NULL)
        ingester_add_routes(server->ingester, listener);
    if ((server->roles & ROLE_DISTRIBUTOR) != 0 &&
        server->flags.server.enable_remote_write_receiver)
        distributor_add_routes(server->distributor, listener);
    if (server->querier != NULL)
        querier_add_routes(server->querier, listener);
    if (server->scraper != NULL)
        scraper_add_routes(server->scraper, listener);
}

/* The routes that belong to no role answer from here on, so that probes know a long start from a
 * dead server. */
static void server_begin_accepting(struct server *server)
{
    server->web = web_new(&(struct web_options){
        .env = &server->env,
        .metrics = server->metrics_registry,
        .flags = &server->flags,
        .signals = &server->signals,
        .reload = server_reload,
        .print_config = server_print_config,
        .owner = server,
    });
    for (size_t i = 0; i < server->listener_count; i++) {
        web_add_routes(server->web, server->listeners[i]);
        http_server_start(server->listeners[i]);
        log_info(&server->log, "Listening on",
                 F_STR("address", http_server_address(server->listeners[i])));
    }
}

static void server_begin_serving(struct server *server)
{
    char roles[128];

    for (size_t i = 0; i < server->listener_count; i++) {
        server_add_routes(server, server->listeners[i]);
        http_server_serve(server->listeners[i]);
    }
    web_set_ready(server->web, true);
    metric_gauge_set(&server->metrics.ready, 1);
    roles_print(server->roles, roles, sizeof(roles));
    log_info(&server->log, "Server is ready to receive web requests.", F_STR("target", roles));
}

static enum err server_open_roles(struct server *server, struct err_info *info)
{
    const struct hash_key *hash_key;
    enum err err = server_open_ingester(server, info);

    if (err == ERR_OK)
        err = server_make_remote(server, info);
    if (err != ERR_OK)
        return err;
    if (server->ingester != NULL)
        ingester_set_exemplar_max(server->ingester, server->config->exemplar_max);
    hash_key = server_hash_key(server);
    server_make_distributor(server, hash_key);
    if (server->distributor != NULL)
        distributor_set_out_of_order(server->distributor, server->config->out_of_order_window_ms);
    server_make_querier(server);
    err = server_make_scraper(server, hash_key, info);
    if (err == ERR_OK && server->scraper != NULL)
        err = scraper_reload(server->scraper, server->config, info);
    if (err == ERR_OK)
        server_begin_serving(server);
    return err;
}

static enum err server_open(struct server *server, int argc, char **argv, struct err_info *info)
{
    enum err err = server_parse_flags(server, argc, argv, info);

    if (err != ERR_OK)
        return err;
    env_real_init(&server->env);
    atomic_store(&server->log_sink.level, server->flags.server.log_level);
    server->log_sink.format = (enum log_format)server->flags.server.log_format;
    err = signals_open(&server->signals, info);
    if (err != ERR_OK)
        return err;
    log_info(&server->log, "Starting Narthex", F_STR("version", NARTHEX_VERSION),
             F_STR("revision", NARTHEX_REVISION));
    err = server_load_config(server, &server->flags, &server->config, info);
    if (err != ERR_OK)
        return err;
    flags_unserved(&server->flags, log_unserved_flag, server);
    server_check_features(server);
    server_raise_file_limit(server);
    budget_init(&server->budget, NULL, "process", (size_t)server->flags.server.memory_max);
    server->metrics_registry = metric_registry_new();
    metric_register_process(server->metrics_registry);
    metric_register(server->metrics_registry, server_metric_descs, COUNT_OF(server_metric_descs),
                    &server->metrics);
    server_note_reload(server, true);
    http_server_metrics_register(&server->http_metrics, server->metrics_registry);
    err = server_open_env(server, info);
    if (err == ERR_OK)
        err = server_listen(server, info);
    if (err != ERR_OK)
        return err;
    server_begin_accepting(server);
    return server_open_roles(server, info);
}

/* Until a signal says stop. */
static void server_serve(struct server *server)
{
    for (;;) {
        const unsigned events = signals_wait(&server->signals, -1);

        if ((events & SIGNALS_STOP) != 0)
            return;
        if ((events & SIGNALS_RELOAD) != 0)
            web_reload(server->web);
    }
}

/* Ends what brings samples in, then requests, then storage. False: something that was acknowledged
 * may be lost. */
static bool server_stop(struct server *server)
{
    const uint64_t deadline_ns =
        env_mono_ns(&server->env) + (uint64_t)server->flags.server.stop_timeout_ms * 1000000;
    enum err err = ERR_OK;

    log_info(&server->log, "Stopping");
    web_set_ready(server->web, false);
    if (server->scraper != NULL)
        scraper_stop(server->scraper);
    for (size_t i = 0; i < server->listener_count; i++)
        http_server_stop(server->listeners[i], deadline_ns);
    if (server->ingester != NULL)
        err = ingester_stop(server->ingester, deadline_ns);
    if (err != ERR_OK)
        log_error(&server->log, "storage did not stop in time", F_ERR(err, NULL));
    if (server->remote != NULL)
        remote_stop(server->remote);
    return err == ERR_OK;
}

/* Frees what there is, the last made first. */
static void server_fini(struct server *server)
{
    if (server->env_is_open)
        env_net_stop(&server->env);
    reactor_set_close(server->reactors);
    scraper_free(server->scraper);
    for (size_t i = 0; i < server->listener_count; i++)
        http_server_free(server->listeners[i]);
    web_free(server->web);
    querier_free(server->querier);
    distributor_free(server->distributor);
    remote_free(server->remote);
    ingester_free(server->ingester);
    if (server->env_is_open) {
        env_net_unregister(&server->env, server->metrics_registry);
        env_net_close(&server->env);
    }
    if (server->metrics_registry != NULL)
        http_server_metrics_unregister(&server->http_metrics, server->metrics_registry);
    if (server->metrics_registry != NULL)
        metric_unregister(server->metrics_registry, server_metric_descs,
                          COUNT_OF(server_metric_descs), &server->metrics);
    metric_registry_free(server->metrics_registry);
    if (server->config != NULL)
        prometheus_config_unref(server->config);
    signals_close(&server->signals);
    arena_fini(&server->arena);
}

int server_main(int argc, char **argv)
{
    struct server *server = mem_zalloc(1, sizeof(*server));
    struct err_info info = {{0}};
    bool clean = false;
    enum err err;

    /* Buffers of a request come and go: giving them back to the kernel each time costs more than
     * all the rest. */
    mallopt(M_MMAP_THRESHOLD, SERVER_MMAP_THRESHOLD);
    mallopt(M_TRIM_THRESHOLD, SERVER_TRIM_THRESHOLD);
    log_sink_init(&server->log_sink, STDERR_FILENO, LOG_INFO, LOG_LOGFMT);
    server->log = log_make(&server->log_sink, NULL);
    server->signals.signal_fd = server->signals.wake_fd = -1;
    pthread_mutex_init(&server->config_lock, NULL);
    server->argc = argc;
    server->argv = argv;
    err = server_open(server, argc, argv, &info);
    if (err == ERR_OK) {
        server_serve(server);
        clean = server_stop(server);
        log_info(&server->log, "See you next time!");
    } else if (err != ERR_END) {
        log_error(&server->log, "Error starting the server", F_ERR(err, &info));
        if (server->web != NULL)
            (void)server_stop(server);
    }
    server_fini(server);
    pthread_mutex_destroy(&server->config_lock);
    mem_free(server);
    return err == ERR_END || (err == ERR_OK && clean) ? 0 : 1;
}
