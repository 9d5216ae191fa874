/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/target.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "model/relabel.h"

enum { TARGET_SIZE_MAX = 4 << 20, URL_SIZE_MAX = 1 << 20 };

struct counted {
    struct target target;
    _Atomic uint32_t refs;
    struct arena arena; /* owned: all of the target */
};

static const struct {
    const char *name, *text;
} switches[] = {
    {"__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"},
    {"__always_scrape_classic_histograms__", "always scrape classic histograms"},
    {"__scrape_native_histograms__", "scrape native histograms"},
};

/* ---- labels before relabelling ---- */

static void set_default(struct label_builder *builder, const char *name, struct slice value)
{
    if (label_builder_get(builder, slice_from_cstr(name)).len == 0)
        label_builder_set(builder, slice_from_cstr(name), value);
}

static struct slice duration_text(struct arena *arena, int64_t ms)
{
    struct slice text;
    struct buf buf;

    buf_init(&buf, 64);
    time_text_add_duration(&buf, ms);
    text = arena_copy(arena, buf_slice(&buf));
    buf_fini(&buf);
    return text;
}

static struct slice bool_text(bool b)
{
    return b ? SLICE("true") : SLICE("false");
}

static void add_defaults(struct label_builder *builder, const struct scrape_config *scrape)
{
    struct arena *arena = builder->arena;

    set_default(builder, "job", scrape->job_name);
    set_default(builder, "__scrape_interval__", duration_text(arena, scrape->interval_ms));
    set_default(builder, "__scrape_timeout__", duration_text(arena, scrape->timeout_ms));
    set_default(builder, "__metrics_path__", scrape->metrics_path);
    set_default(builder, "__scheme__", scrape->scheme);
    set_default(builder, switches[0].name, bool_text(scrape->convert_classic_histograms));
    set_default(builder, switches[1].name, bool_text(scrape->always_scrape_classic_histograms));
    set_default(builder, switches[2].name, bool_text(scrape->scrape_native_histograms));
    for (uint32_t i = 0; i < scrape->param_count; i++) {
        const struct scrape_param *param = &scrape->params[i];
        const struct slice name = arena_printf(arena, "__param_%.*s", SLICE_ARG(param->name));

        if (param->value_count != 0 && name.data != NULL &&
            label_builder_get(builder, name).len == 0)
            label_builder_set(builder, name, param->values[0]);
    }
}

static void discover(struct label_builder *builder, const struct target_source *source)
{
    label_builder_init(builder, builder->arena, source->group);
    for (uint32_t i = 0; i < source->own.count; i++)
        label_builder_set(builder, source->own.items[i].name, source->own.items[i].value);
    add_defaults(builder, source->scrape);
}

/* ---- checks after relabelling ---- */

static struct slice get(struct label_builder *builder, const char *name)
{
    return label_builder_get(builder, slice_from_cstr(name));
}

static enum err check_times(struct label_builder *builder, struct target *target,
                            struct err_info *info)
{
    struct err_info why = {0};

    target->interval_text = get(builder, "__scrape_interval__");
    target->timeout_text = get(builder, "__scrape_timeout__");
    if (time_text_parse_duration(target->interval_text, &target->interval_ms, &why) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT, "error parsing scrape interval: %s", why.message);
    if (target->interval_ms == 0)
        return err_set(info, ERR_BAD_INPUT, "scrape interval cannot be 0");
    if (time_text_parse_duration(target->timeout_text, &target->timeout_ms, &why) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT, "error parsing scrape timeout: %s", why.message);
    if (target->timeout_ms == 0)
        return err_set(info, ERR_BAD_INPUT, "scrape timeout cannot be 0");
    if (target->timeout_ms > target->interval_ms)
        return err_set(info, ERR_BAD_INPUT,
                       "scrape timeout cannot be greater than scrape interval (\"%.*s\" > "
                       "\"%.*s\")",
                       SLICE_ARG(target->timeout_text), SLICE_ARG(target->interval_text));
    return ERR_OK;
}

static bool is_bool(struct slice text)
{
    static const char *const words[] = {"1", "t", "T", "TRUE",  "true",  "True",
                                        "0", "f", "F", "FALSE", "false", "False"};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_eq_cstr(text, words[i]))
            return true;
    return false;
}

static enum err check_relabelled(struct label_builder *builder, struct target *target,
                                 struct err_info *info)
{
    const struct slice address = get(builder, "__address__");
    const bool has_socket = get(builder, "__unix_socket__").len != 0;
    enum err err;

    if (address.len == 0 && !has_socket)
        return err_set(info, ERR_BAD_INPUT, "no address");
    if (address.len != 0 && memchr(address.data, '/', address.len) != NULL)
        return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is not a valid hostname", SLICE_ARG(address));
    err = check_times(builder, target, info);
    for (size_t i = 0; err == ERR_OK && i < COUNT_OF(switches); i++) {
        const struct slice text = get(builder, switches[i].name);

        if (text.len != 0 && !is_bool(text))
            return err_set(info, ERR_BAD_INPUT, "error parsing %s: \"%.*s\" is no bool",
                           switches[i].text, SLICE_ARG(text));
    }
    return err;
}

/* The labels that do not start with the prefix. */
static enum err filter(struct arena *arena, struct label_set from, struct slice prefix,
                       struct label_set *to)
{
    struct label *items = ARENA_ARRAY(arena, struct label, from.count);

    if (items == NULL)
        return ERR_LIMIT;
    to->count = 0;
    for (uint32_t i = 0; i < from.count; i++)
        if (!slice_has_prefix(from.items[i].name, prefix))
            items[to->count++] = from.items[i];
    to->items = items;
    return ERR_OK;
}

static enum err set_labels(struct label_builder *builder, struct target *target,
                           struct err_info *info)
{
    enum err err;

    if (get(builder, "instance").len == 0)
        label_builder_set(builder, SLICE("instance"), get(builder, "__address__"));
    err =
        filter(builder->arena, label_builder_set_view(builder), SLICE("__meta_"), &target->labels);
    if (err == ERR_OK)
        err = filter(builder->arena, target->labels, SLICE("__"), &target->public_labels);
    if (err != ERR_OK)
        return err_set(info, err, "labels of the target are too large");
    for (uint32_t i = 0; i < target->labels.count; i++)
        if (!utf8_is_valid(target->labels.items[i].value))
            return err_set(info, ERR_BAD_INPUT, "invalid label value for \"%.*s\"",
                           SLICE_ARG(target->labels.items[i].name));
    return ERR_OK;
}

/* ---- URL ---- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           memchr("-_.~", c, 4) != NULL;
}

/* Percent-encodes all but unreserved bytes and those in `also`. */
static void add_escaped(struct buf *out, struct slice s, struct slice also)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];

        if (is_unreserved(c) || (also.len != 0 && memchr(also.data, c, also.len) != NULL))
            buf_add_byte(out, c);
        else if (c == ' ' && also.len == 0)
            buf_add_byte(out, '+');
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static void add_param(struct buf *out, struct slice name, struct slice value, char *separator)
{
    buf_add_byte(out, *separator);
    *separator = '&';
    add_escaped(out, name, (struct slice){0});
    buf_add_byte(out, '=');
    add_escaped(out, value, (struct slice){0});
}

/* The job's parameters, a __param_ label replacing the first value of its name; sorted by name. */
static void add_params(struct buf *out, const struct scrape_config *scrape, struct label_set labels)
{
    const struct slice prefix = SLICE("__param_");
    char separator = '?';
    uint32_t i = 0, j = 0;

    while (i < scrape->param_count || j < labels.count) {
        const struct scrape_param *param = i < scrape->param_count ? &scrape->params[i] : NULL;
        struct slice name;
        int order;

        if (j < labels.count && !slice_has_prefix(labels.items[j].name, prefix)) {
            j++;
            continue;
        }
        name = j < labels.count ? slice_skip(labels.items[j].name, prefix.len) : (struct slice){0};
        order = param == NULL ? 1 : j == labels.count ? -1 : slice_cmp(param->name, name);
        if (order >= 0)
            add_param(out, name, labels.items[j].value, &separator);
        for (uint32_t k = order == 0; order <= 0 && k < param->value_count; k++)
            add_param(out, param->name, param->values[k], &separator);
        i += order <= 0;
        j += order >= 0;
    }
}

static enum err set_url(struct arena *arena, const struct scrape_config *scrape,
                        struct target *target, struct err_info *info)
{
    struct slice host = label_set_get(target->labels, SLICE("__address__"));
    const struct slice path = label_set_get(target->labels, SLICE("__metrics_path__"));
    const struct slice scheme = label_set_get(target->labels, SLICE("__scheme__"));
    struct buf url;

    if (host.len == 0)
        host = SLICE("localhost");
    buf_init(&url, URL_SIZE_MAX);
    buf_printf(&url, "%.*s%s%.*s", SLICE_ARG(scheme), scheme.len == 0 ? "//" : "://",
               SLICE_ARG(host));
    if (path.len != 0 && path.data[0] != '/')
        buf_add_byte(&url, '/');
    add_escaped(&url, path, SLICE("$&+,/:;=@"));
    add_params(&url, scrape, target->labels);
    target->url = arena_copy(arena, buf_slice(&url));
    if (url.err != ERR_OK || target->url.data == NULL) {
        buf_fini(&url);
        return err_set(info, ERR_LIMIT, "URL of the target is too large");
    }
    buf_fini(&url);
    return ERR_OK;
}

/* ---- hashes ---- */

#define FNV64_START UINT64_C(14695981039346656037)
#define FNV64_PRIME UINT64_C(1099511628211)

static uint64_t fnv64(uint64_t hash, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.data[i]) * FNV64_PRIME;
    return hash;
}

static uint64_t hash_labels(struct label_set labels, struct slice url)
{
    const struct slice separator = SLICE("\xff");
    uint64_t hash = FNV64_START;

    for (uint32_t i = 0; i < labels.count; i++) {
        hash = fnv64(fnv64(hash, labels.items[i].name), separator);
        hash = fnv64(fnv64(hash, labels.items[i].value), separator);
    }
    return fnv64(hash, url);
}

int64_t target_offset_ms(const struct target *target, uint64_t seed)
{
    return (int64_t)((target->identity ^ seed) % (uint64_t)target->interval_ms);
}

uint64_t target_offset_seed(struct slice hostname, struct label_set external_labels)
{
    return hash_labels(external_labels, hostname);
}

/* ---- life ---- */

static enum err build(struct arena *arena, const struct target_source *source,
                      struct target *target, struct err_info *info)
{
    const struct scrape_config *scrape = source->scrape;
    struct label_builder builder = {.arena = arena};
    enum err err;

    discover(&builder, source);
    target->discovered = label_set_copy(arena, label_builder_set_view(&builder));
    if (builder.err != ERR_OK ||
        (target->discovered.items == NULL && target->discovered.count != 0))
        return err_set(info, ERR_LIMIT, "labels of the target are too large");
    if (!relabel_apply(scrape->relabel, scrape->relabel_count, &builder)) {
        target->is_dropped = true;
        return ERR_OK;
    }
    err = check_relabelled(&builder, target, info);
    if (err == ERR_OK)
        err = set_labels(&builder, target, info);
    if (err == ERR_OK && builder.err != ERR_OK)
        err = err_set(info, builder.err, "labels of the target are too large");
    if (err == ERR_OK)
        err = set_url(arena, scrape, target, info);
    if (err != ERR_OK)
        return err;
    target->unix_socket = label_set_get(target->labels, SLICE("__unix_socket__"));
    target->identity = hash_labels(target->labels, target->url);
    target->key = hash_labels(target->public_labels, target->url);
    return ERR_OK;
}

/* Makes what is left borrow nothing of the configuration or the group. */
static enum err own(struct arena *arena, struct target *target, struct err_info *info)
{
    target->labels = label_set_copy(arena, target->labels);
    target->public_labels = label_set_copy(arena, target->public_labels);
    target->interval_text = arena_copy(arena, target->interval_text);
    target->timeout_text = arena_copy(arena, target->timeout_text);
    target->unix_socket = arena_copy(arena, target->unix_socket);
    if (arena->err != ERR_OK)
        return err_set(info, arena->err, "labels of the target are too large");
    return ERR_OK;
}

enum err target_new(const struct target_source *source, struct target **target,
                    struct err_info *info)
{
    struct counted *counted = mem_zalloc(1, sizeof(*counted));
    struct arena scratch;
    enum err err;

    atomic_init(&counted->refs, 1);
    arena_init(&counted->arena, NULL, TARGET_SIZE_MAX);
    arena_init(&scratch, NULL, TARGET_SIZE_MAX);
    err = build(&scratch, source, &counted->target, info);
    if (err == ERR_OK) {
        struct target *t = &counted->target;

        t->discovered = label_set_copy(&counted->arena, t->discovered);
        t->url = arena_copy(&counted->arena, t->url);
        err = own(&counted->arena, t, info);
    }
    arena_fini(&scratch);
    if (err != ERR_OK) {
        target_unref(&counted->target);
        return err;
    }
    *target = &counted->target;
    return ERR_OK;
}

struct target *target_ref(struct target *target)
{
    struct counted *counted = CONTAINER_OF(target, struct counted, target);

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return target;
}

void target_unref(struct target *target)
{
    struct counted *counted;

    if (target == NULL)
        return;
    counted = CONTAINER_OF(target, struct counted, target);
    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&counted->arena);
    mem_free(counted);
}
