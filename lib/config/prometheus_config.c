/* SPDX-License-Identifier: Apache-2.0 */
#include "config/prometheus_config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "config/path.h"
#include "config/prometheus_config_internal.h"
#include "config/schema_internal.h"

enum { EXEMPLAR_MAX_DEFAULT = 100000 };

enum {
    ARENA_SIZE_MAX = 1 << 30,
    SCRAPE_FILE_COUNT_MAX = 100000,
    FINGERPRINT_SIZE_MAX = 16 << 20,
};

/* One file's tree: the main one first, then those of scrape_config_files. */
struct part {
    struct part *next;
    struct slice file;
    struct schema_value root;
};

struct loaded {
    struct prometheus_config config;
    _Atomic uint32_t refs;
    struct arena arena; /* owned: all that config points to */
    struct part *parts;
};

/* What loading carries along. */
struct loader {
    const struct prometheus_config_options *options;
    struct loaded *loaded;
    struct err_info *info;
    struct part **parts_end;
    struct part *main;
    struct scrape_config *scrapes;
    uint32_t scrape_cap;
};

static _Atomic uint64_t generation_last;

static struct schema_ctx make_ctx(struct loader *loader, struct slice file)
{
    struct schema_ctx ctx = {.arena = &loader->loaded->arena, .file = file, .info = loader->info};

    if (file.len != 0)
        ctx.dir = path_dir(file);
    if (slice_eq(ctx.dir, SLICE(".")))
        ctx.dir = (struct slice){0};
    return ctx;
}

static enum err no_room(struct loader *loader)
{
    return err_set(loader->info, ERR_LIMIT, "configuration is too large");
}

/* ---- external labels ---- */

static bool is_special_var(char c)
{
    return memchr("*#$@!?-0123456789", c, 17) != NULL;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name after a dollar sign, and in *taken how much of the text it and its braces are. An empty
 * name with *taken > 0 is bad syntax, which vanishes. */
static struct slice variable_name(struct slice s, size_t *taken)
{
    size_t len = 0;

    if (s.data[0] == '{') {
        const char *end = memchr(s.data, '}', s.len);

        if (end == NULL) {
            *taken = 1;
            return (struct slice){0};
        }
        *taken = (size_t)(end - s.data) + 1;
        return slice_of(s.data + 1, *taken - 2);
    }
    if (is_special_var(s.data[0])) {
        *taken = 1;
        return slice_of(s.data, 1);
    }
    while (len < s.len && is_name_char(s.data[len]))
        len++;
    *taken = len;
    return slice_of(s.data, len);
}

static void expand_variable(struct loader *loader, struct slice name, struct buf *out)
{
    char text[256];
    const char *value;

    if (slice_eq(name, SLICE("$"))) {
        buf_add_byte(out, '$');
        return;
    }
    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name));
    value = getenv(text);
    if (value == NULL || value[0] == 0)
        log_warn(loader->options->log, "Empty environment variable", F_SLICE("name", name));
    else
        buf_add_cstr(out, value);
}

static void expand_text(struct loader *loader, struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        size_t taken = 0;
        struct slice name;

        if (text.data[i] != '$' || i + 1 == text.len) {
            buf_add_byte(out, text.data[i]);
            continue;
        }
        name = variable_name(slice_skip(text, i + 1), &taken);
        if (name.len != 0)
            expand_variable(loader, name, out);
        else if (taken == 0)
            buf_add_byte(out, '$');
        i += taken;
    }
}

static enum err expand_external_labels(struct loader *loader, struct schema_value *labels)
{
    enum { VALUE_SIZE_MAX = 1 << 20 };
    enum err err = ERR_OK;
    struct buf text;

    buf_init(&text, VALUE_SIZE_MAX);
    for (uint32_t i = 0; err == ERR_OK && i < labels->count; i++) {
        struct slice *value = &labels->items[i].text;

        if (value->len == 0 || memchr(value->data, '$', value->len) == NULL)
            continue;
        buf_reset(&text);
        expand_text(loader, *value, &text);
        err = text.err;
        *value = arena_printf(&loader->loaded->arena, "%.*s", SLICE_ARG(buf_slice(&text)));
        if (value->data == NULL)
            err = no_room(loader);
    }
    buf_fini(&text);
    return err;
}

/* ---- typed results ---- */

enum err prometheus_config_labels(struct schema_ctx *ctx, const struct schema_value *map,
                                  struct label_set *set)
{
    struct label *labels = ARENA_ARRAY(ctx->arena, struct label, map->count);
    uint32_t count = 0;

    if (labels == NULL)
        return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
    for (uint32_t i = 0; i < map->count; i++)
        if (map->items[i].text.len != 0)
            labels[count++] = (struct label){map->items[i].key, map->items[i].text};
    label_sort(labels, count);
    *set = (struct label_set){labels, count};
    return ERR_OK;
}

static enum err fill_global(struct loader *loader, struct schema_ctx *ctx)
{
    const struct schema_value *root = &loader->main->root;
    const struct schema_value *global = schema_get(root, "global");
    const struct schema_value *tsdb = schema_get(schema_get(root, "storage"), "tsdb");
    const struct schema_value *exemplars = schema_get(schema_get(root, "storage"), "exemplars");
    struct prometheus_config *config = &loader->loaded->config;

    config->global.scrape_interval_ms = schema_int(global, "scrape_interval");
    config->global.scrape_timeout_ms = schema_int(global, "scrape_timeout");
    config->global.evaluation_interval_ms = schema_int(global, "evaluation_interval");
    config->global.rule_query_offset_ms = schema_int(global, "rule_query_offset");
    config->global.query_log_file = schema_text(global, "query_log_file");
    config->global.scrape_failure_log_file = schema_text(global, "scrape_failure_log_file");
    config->global.name_scheme = prometheus_schema_name_scheme(global);
    if (tsdb->count != 0) {
        config->out_of_order_window_ms = schema_int(tsdb, "out_of_order_time_window");
        config->retention_ms = schema_int(schema_get(tsdb, "retention"), "time");
        config->retention_size_bytes = (uint64_t)schema_int(schema_get(tsdb, "retention"), "size");
    }
    config->exemplar_max = EXEMPLAR_MAX_DEFAULT; /* upstream's, too, where the key is missing */
    if (exemplars->count != 0)
        config->exemplar_max = schema_int(exemplars, "max_exemplars");
    config->narthex = schema_get(root, "narthex")->node;
    if (config->narthex != NULL && config->narthex->kind == YAML_NULL)
        config->narthex = NULL;
    if (config->narthex != NULL && config->narthex->kind != YAML_MAP)
        return schema_fail(ctx, schema_get(root, "narthex"), "narthex: expected a mapping");
    config->rule_file_count = schema_get(root, "rule_files")->count;
    return http_config_texts(ctx, schema_get(root, "rule_files"), &config->rule_files);
}

/* A section with everything in it, to be compared. */
static enum err print_fingerprint(struct loader *loader, const struct schema_value *value,
                                  struct slice *fingerprint)
{
    struct buf text;
    enum err err;

    buf_init(&text, FINGERPRINT_SIZE_MAX);
    schema_print(value, &(struct schema_print_options){.secrets = true}, &text);
    *fingerprint = arena_copy(&loader->loaded->arena, buf_slice(&text));
    err = text.err != ERR_OK || fingerprint->data == NULL ? no_room(loader) : ERR_OK;
    buf_fini(&text);
    return err;
}

static enum err add_scrape(struct loader *loader, struct schema_ctx *ctx,
                           const struct schema_value *value)
{
    struct prometheus_config *config = &loader->loaded->config;
    struct scrape_config *scrape;
    enum err err;

    if (config->scrape_count == loader->scrape_cap) {
        const uint32_t cap = loader->scrape_cap == 0 ? 8 : loader->scrape_cap * 2;
        struct scrape_config *grown = arena_grow(
            ctx->arena, loader->scrapes, loader->scrape_cap * sizeof(*grown), cap * sizeof(*grown));

        if (grown == NULL)
            return no_room(loader);
        loader->scrapes = grown;
        loader->scrape_cap = cap;
    }
    scrape = &loader->scrapes[config->scrape_count];
    err = prometheus_config_fill_scrape(ctx, value, scrape);
    if (err == ERR_OK)
        err = print_fingerprint(loader, value, &scrape->fingerprint);
    if (err != ERR_OK)
        return err;
    config->scrapes = loader->scrapes;
    config->scrape_count++;
    return err;
}

static enum err add_scrapes(struct loader *loader, struct schema_ctx *ctx,
                            const struct schema_value *root)
{
    const struct schema_value *scrapes = schema_get(root, "scrape_configs");
    enum err err = ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && i < scrapes->count; i++)
        err = add_scrape(loader, ctx, &scrapes->items[i]);
    return err;
}

static enum err add_remote_writes(struct loader *loader, struct schema_ctx *ctx,
                                  const struct schema_value *root)
{
    const struct schema_value *list = schema_get(root, "remote_write");
    struct prometheus_config *config = &loader->loaded->config;
    struct remote_write_config *remotes =
        ARENA_ARRAY(ctx->arena, struct remote_write_config, list->count);
    enum err err = remotes == NULL ? no_room(loader) : ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && i < list->count; i++) {
        err = prometheus_config_fill_remote_write(ctx, &list->items[i], config->global.name_scheme,
                                                  &remotes[i]);
        if (err == ERR_OK)
            err = print_fingerprint(loader, &list->items[i], &remotes[i].fingerprint);
    }
    config->remote_writes = remotes;
    config->remote_write_count = list->count;
    return err;
}

/* ---- files ---- */

static enum err parse_part(struct loader *loader, const struct schema_type *type, struct slice text,
                           struct part *part)
{
    struct schema_ctx ctx = make_ctx(loader, part->file);
    const struct yaml_options options = {.file = part->file.len == 0 ? NULL : part->file.data,
                                         .size_max = PROMETHEUS_CONFIG_SIZE_MAX};
    struct yaml_node *root;
    enum err err = yaml_parse(ctx.arena, text, &options, &root, loader->info);

    if (err == ERR_OK)
        err = schema_load(&ctx, type, root, &part->root);
    *loader->parts_end = part;
    loader->parts_end = &part->next;
    return err;
}

static struct part *new_part(struct loader *loader, const char *path)
{
    struct arena *arena = &loader->loaded->arena;
    struct part *part = ARENA_NEW(arena, struct part);

    if (part == NULL)
        return NULL;
    if (path != NULL)
        part->file = slice_from_cstr(path);
    if (path != NULL) {
        part->file.data = arena_copy_cstr(arena, part->file);
        if (part->file.data == NULL)
            return NULL;
    }
    return part;
}

static enum err read_part(struct loader *loader, const struct schema_type *type, const char *path,
                          struct part **out)
{
    struct part *part = new_part(loader, path);
    struct buf text;
    enum err err;

    if (part == NULL)
        return no_room(loader);
    buf_init(&text, PROMETHEUS_CONFIG_SIZE_MAX);
    err = path_read(loader->options->env, path, &text, loader->info);
    if (err == ERR_OK)
        err = parse_part(loader, type, buf_slice(&text), part);
    buf_fini(&text);
    *out = part;
    return err;
}

static enum err check_job_name(struct schema_ctx *ctx, const struct loader *loader,
                               const struct schema_value *scrape)
{
    const struct slice name = schema_text(scrape, "job_name");

    for (uint32_t i = 0; i < loader->loaded->config.scrape_count; i++)
        if (slice_eq(loader->scrapes[i].job_name, name))
            return schema_fail(ctx, scrape, "found multiple scrape configs with job name \"%.*s\"",
                               SLICE_ARG(name));
    return ERR_OK;
}

static enum err read_scrape_file(void *owner, const char *path)
{
    struct loader *loader = owner;
    const struct schema_value *scrapes;
    struct schema_ctx ctx;
    struct part *part;
    enum err err = read_part(loader, &prometheus_schema_scrape_file_type, path, &part);

    if (err != ERR_OK)
        return err;
    ctx = make_ctx(loader, part->file);
    scrapes = schema_get(&part->root, "scrape_configs");
    for (uint32_t i = 0; err == ERR_OK && i < scrapes->count; i++) {
        err = prometheus_schema_check_scrape(&ctx, schema_get(&loader->main->root, "global"),
                                             &scrapes->items[i]);
        if (err == ERR_OK)
            err = check_job_name(&ctx, loader, &scrapes->items[i]);
        if (err == ERR_OK)
            err = add_scrape(loader, &ctx, &scrapes->items[i]);
    }
    return err;
}

static enum err read_scrape_files(struct loader *loader)
{
    const struct schema_value *files = schema_get(&loader->main->root, "scrape_config_files");
    enum err err = ERR_OK;

    if (loader->options->env == NULL || loader->options->env->fs == NULL)
        return ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < files->count; i++)
        err = path_glob(loader->options->env, files->items[i].text.data, read_scrape_file, loader);
    return err == ERR_OK ? ERR_OK : err_set(loader->info, err, "%s", err_text(err));
}

static enum err check_agent(struct loader *loader, struct schema_ctx *ctx)
{
    const struct schema_value *root = &loader->main->root;

    if (!loader->options->agent)
        return ERR_OK;
    if (schema_has(schema_get(root, "alerting"), "alertmanagers") ||
        schema_has(schema_get(root, "alerting"), "alert_relabel_configs"))
        return schema_fail(ctx, schema_get(root, "alerting"),
                           "field alerting is not allowed in agent mode");
    if (schema_has(root, "rule_files"))
        return schema_fail(ctx, schema_get(root, "rule_files"),
                           "field rule_files is not allowed in agent mode");
    if (schema_has(root, "remote_read"))
        return schema_fail(ctx, schema_get(root, "remote_read"),
                           "field remote_read is not allowed in agent mode");
    return ERR_OK;
}

/* All that follows from the main file's tree. */
static enum err finish(struct loader *loader)
{
    struct schema_ctx ctx = make_ctx(loader, loader->main->file);
    struct schema_value *labels =
        schema_get(schema_get(&loader->main->root, "global"), "external_labels");
    enum err err = check_agent(loader, &ctx);

    if (err == ERR_OK)
        err = expand_external_labels(loader, labels);
    if (err == ERR_OK)
        err =
            prometheus_config_labels(&ctx, labels, &loader->loaded->config.global.external_labels);
    if (err == ERR_OK)
        err = fill_global(loader, &ctx);
    if (err == ERR_OK)
        err = add_scrapes(loader, &ctx, &loader->main->root);
    if (err == ERR_OK)
        err = add_remote_writes(loader, &ctx, &loader->main->root);
    return err == ERR_OK ? read_scrape_files(loader) : err;
}

static struct loaded *loaded_new(void)
{
    struct loaded *loaded = mem_zalloc(1, sizeof(*loaded));

    atomic_init(&loaded->refs, 1);
    arena_init(&loaded->arena, NULL, ARENA_SIZE_MAX);
    loaded->config.generation = atomic_fetch_add(&generation_last, 1) + 1;
    return loaded;
}

static enum err load(struct loader *loader, const struct slice *text)
{
    const char *path = loader->options->path;
    enum err err;

    loader->parts_end = &loader->loaded->parts;
    if (text == NULL) {
        err = read_part(loader, &prometheus_schema_type, path, &loader->main);
    } else {
        loader->main = new_part(loader, path);
        if (loader->main == NULL)
            return no_room(loader);
        err = parse_part(loader, &prometheus_schema_type, *text, loader->main);
    }
    if (err != ERR_OK)
        return err;
    loader->loaded->config.path = loader->main->file;
    return finish(loader);
}

static enum err load_new(const struct prometheus_config_options *options, const struct slice *text,
                         struct prometheus_config **config, struct err_info *info)
{
    struct loader loader = {.options = options, .loaded = loaded_new(), .info = info};
    const enum err err = load(&loader, text);

    if (err != ERR_OK) {
        prometheus_config_unref(&loader.loaded->config);
        return err_set(info, err, "%s", err_text(err));
    }
    *config = &loader.loaded->config;
    return ERR_OK;
}

enum err prometheus_config_load(const struct prometheus_config_options *options,
                                struct prometheus_config **config, struct err_info *info)
{
    ASSERT(options->path != NULL);
    return load_new(options, NULL, config, info);
}

enum err prometheus_config_parse(const struct prometheus_config_options *options, struct slice text,
                                 struct prometheus_config **config, struct err_info *info)
{
    return load_new(options, &text, config, info);
}

struct prometheus_config *prometheus_config_ref(struct prometheus_config *config)
{
    struct loaded *loaded = CONTAINER_OF(config, struct loaded, config);

    atomic_fetch_add_explicit(&loaded->refs, 1, memory_order_relaxed);
    return config;
}

void prometheus_config_unref(struct prometheus_config *config)
{
    struct loaded *loaded;

    if (config == NULL)
        return;
    loaded = CONTAINER_OF(config, struct loaded, config);
    if (atomic_fetch_sub_explicit(&loaded->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&loaded->arena);
    mem_free(loaded);
}

/* ---- what is asked of a loaded one ---- */

struct unserved {
    prometheus_config_unserved_fn *fn;
    void *owner;
    struct slice file;
};

static void on_unserved(void *owner, uint32_t line, struct slice path)
{
    const struct unserved *unserved = owner;

    unserved->fn(unserved->owner, unserved->file, line, path);
}

uint32_t prometheus_config_unserved(const struct prometheus_config *config,
                                    prometheus_config_unserved_fn *fn, void *owner)
{
    const struct loaded *loaded = CONTAINER_OF(config, const struct loaded, config);
    struct unserved unserved = {.fn = fn, .owner = owner};
    uint32_t count = 0;

    for (const struct part *part = loaded->parts; part != NULL; part = part->next) {
        unserved.file = part->file;
        count += schema_unserved(&part->root, on_unserved, &unserved);
    }
    return count;
}

void prometheus_config_print(const struct prometheus_config *config, struct buf *out)
{
    const struct loaded *loaded = CONTAINER_OF(config, const struct loaded, config);

    schema_print(&loaded->parts->root, &(struct schema_print_options){.secrets = false}, out);
}

void prometheus_config_print_scrape(const struct scrape_config *scrape, struct buf *out)
{
    schema_print(scrape->value, &(struct schema_print_options){.secrets = false}, out);
}
