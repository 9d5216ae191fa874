/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "config/prometheus_config.h"
#include "remote/remote_log.h"
#include "remote/remote_metrics.h"
#include "remote/remote_queue.h"
#include "remote/remote_tee.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 256 };

#define SECOND_NS UINT64_C(1000000000)
/* What a reload may wait for requests under way, and for the last ones to a receiver that goes. */
#define RELOAD_NS (10 * SECOND_NS)

const struct setting remote_setting_table[] = {
    {"remote.queue_size_max", SETTING_SIZE, offsetof(struct remote_settings, queue_size_max),
     .value = "10GiB", .min = "1MiB", .max = "1PiB",
     .help = "Disk that samples waiting for remote write may take; then the oldest are dropped."},
    {"remote.queue_age_max", SETTING_DURATION, offsetof(struct remote_settings, queue_age_ms_max),
     .value = "0s", .min = "0s", .max = "10y",
     .help = "Samples that have waited longer for remote write are dropped. 0: never."},
    {"remote.queue_buffer_max", SETTING_SIZE, offsetof(struct remote_settings, queue_buffer_max),
     .value = "64MiB", .min = "1MiB", .max = "64GiB",
     .help = "Memory of samples on their way to the queue of remote write; more are not taken."},
    {"remote.segment_size", SETTING_SIZE, offsetof(struct remote_settings, segment_size),
     .value = "32MiB", .min = "64KiB", .max = "512MiB",
     .help = "Size of one preallocated file of the queue of remote write."},
    {"storage.remote.flush-deadline", SETTING_DURATION,
     offsetof(struct remote_settings, flush_deadline_ms), .value = "1m", .min = "0s", .max = "1d",
     .flags = SETTING_FLAG_ONLY,
     .help = "Longest time to send what is left at a stop; the rest is sent after the next start."},
};
const size_t remote_setting_count = COUNT_OF(remote_setting_table);

struct remote {
    struct remote_options options;
    struct log log;
    struct remote_metrics metrics;
    struct remote_tee *tee;
    struct remote_log *queue;     /* NULL: no receiver yet */
    struct remote_queue **queues; /* owned */
    uint32_t queue_count;
    struct remote_log_user guard; /* keeps all of the queue while receivers change */
    struct env_timer tick;
    bool ticks;
};

static void on_tick(struct env_timer *timer)
{
    struct remote *remote = CONTAINER_OF(timer, struct remote, tick);
    struct env *env = remote->options.env;

    remote_log_trim(remote->queue);
    remote_tee_sweep(remote->tee);
    env_timer_start(env, timer, env_mono_ns(env) + SECOND_NS);
}

struct remote *remote_new(const struct remote_options *options)
{
    struct remote *remote = mem_zalloc(1, sizeof(*remote));

    remote->options = *options;
    remote->log = log_make((struct log_sink *)options->log_sink, "remote");
    remote->tick.fn = on_tick;
    remote_metrics_register(&remote->metrics, options->metrics);
    remote->tee = remote_tee_new(&(struct remote_tee_options){.env = options->env,
                                                              .inner = options->inner,
                                                              .log = &remote->log,
                                                              .metrics = options->metrics});
    return remote;
}

struct appender *remote_appender(struct remote *remote)
{
    return remote_tee_appender(remote->tee);
}

static enum err remote_open_queue(struct remote *remote, struct err_info *info)
{
    const struct remote_settings *settings = remote->options.settings;
    struct env *env = remote->options.env;
    char path[PATH_SIZE];
    enum err err;

    if (remote->queue != NULL)
        return ERR_OK;
    if ((size_t)snprintf(path, sizeof(path), "%s/remote", remote->options.path) >= sizeof(path))
        return err_set(info, ERR_BAD_INPUT, "%s: the path is too long", remote->options.path);
    err = env->fs->mkdir(env, remote->options.path);
    if (err != ERR_OK && err != ERR_EXISTS)
        return err_set(info, err, "cannot make %s: %s", remote->options.path, err_text(err));
    err =
        remote_log_open(&(struct remote_log_options){.env = env,
                                                     .log = &remote->log,
                                                     .metrics = remote->options.metrics,
                                                     .path = path,
                                                     .segment_size = settings->segment_size,
                                                     .size_max = settings->queue_size_max,
                                                     .age_ms_max = settings->queue_age_ms_max,
                                                     .buffer_size_max = settings->queue_buffer_max},
                        &remote->queue, info);
    return err;
}

/* ---- which receivers there are to be ---- */

/* What a receiver's position is kept under: its name, or its URL and the how many-th it is with
 * that. */
static struct slice section_key(const struct prometheus_config *config, uint32_t index,
                                struct arena *arena)
{
    const struct remote_write_config *section = &config->remote_writes[index];
    unsigned nth = 0;

    if (section->name.len != 0)
        return arena_printf(arena, "name:%.*s", SLICE_ARG(section->name));
    for (uint32_t i = 0; i < index; i++)
        nth += config->remote_writes[i].name.len == 0 &&
               slice_eq(config->remote_writes[i].url, section->url);
    return arena_printf(arena, "url:%.*s#%u", SLICE_ARG(section->url), nth);
}

/* As it is labelled in metrics: upstream shortens a hash of the section likewise. */
static struct slice section_name(const struct remote_write_config *section, struct arena *arena)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE];
    struct hash_key key;

    if (section->name.len != 0)
        return section->name;
    hash_key_init(&key, seed);
    return arena_printf(arena, "%06" PRIx64, hash64(&key, section->fingerprint) >> 40);
}

static enum err check_sections(const struct prometheus_config *config, struct err_info *info)
{
    for (uint32_t i = 0; i < config->remote_write_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (slice_eq(config->remote_writes[i].fingerprint,
                         config->remote_writes[j].fingerprint))
                return err_set(info, ERR_BAD_INPUT,
                               "duplicate remote write configs are not allowed, found duplicate "
                               "for URL: %.*s",
                               SLICE_ARG(config->remote_writes[i].url));
    return ERR_OK;
}

static bool same_labels(const struct prometheus_config *a, const struct prometheus_config *b)
{
    return label_set_eq(a->global.external_labels, b->global.external_labels) &&
           a->global.name_scheme == b->global.name_scheme;
}

/* One receiver of the new configuration: one that goes on, or a new one. */
struct wanted {
    struct remote_queue *queue;
    bool is_new;
};

static struct remote_queue *find_queue(const struct remote *remote, struct slice key)
{
    for (uint32_t i = 0; i < remote->queue_count; i++)
        if (slice_eq(remote_queue_key(remote->queues[i]), key))
            return remote->queues[i];
    return NULL;
}

static enum err make_wanted(struct remote *remote, struct prometheus_config *config, uint32_t index,
                            struct wanted *wanted, struct err_info *info)
{
    const struct remote_write_config *section = &config->remote_writes[index];
    struct remote_queue *old;
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    const struct slice key = section_key(config, index, &arena);

    old = find_queue(remote, key);
    if (old != NULL && slice_eq(remote_queue_section(old)->fingerprint, section->fingerprint) &&
        same_labels(remote_queue_config(old), config)) {
        *wanted = (struct wanted){.queue = old};
    } else {
        char path[PATH_SIZE];

        (void)snprintf(path, sizeof(path), "%s/remote", remote->options.path);
        wanted->is_new = true;
        err =
            remote_queue_new(&(struct remote_queue_options){.env = remote->options.env,
                                                            .reactors = remote->options.reactors,
                                                            .log = &remote->log,
                                                            .queue = remote->queue,
                                                            .dir = path,
                                                            .metrics = &remote->metrics,
                                                            .config = config,
                                                            .section = section,
                                                            .key = key,
                                                            .name = section_name(section, &arena)},
                             &wanted->queue, info);
    }
    arena_fini(&arena);
    return err;
}

static bool is_wanted(const struct wanted *wanted, uint32_t count, const struct remote_queue *queue)
{
    for (uint32_t i = 0; i < count; i++)
        if (wanted[i].queue == queue)
            return true;
    return false;
}

static bool has_successor(const struct wanted *wanted, uint32_t count,
                          const struct remote_queue *queue)
{
    for (uint32_t i = 0; i < count; i++)
        if (wanted[i].queue != queue &&
            slice_eq(remote_queue_key(wanted[i].queue), remote_queue_key(queue)))
            return true;
    return false;
}

/* Ends the receivers that do not go on as they are. */
static void end_old(struct remote *remote, const struct wanted *wanted, uint32_t count)
{
    const uint64_t deadline_ns = env_mono_ns(remote->options.env) + RELOAD_NS;

    for (uint32_t i = 0; i < remote->queue_count; i++) {
        struct remote_queue *queue = remote->queues[i];
        bool goes_on;

        if (is_wanted(wanted, count, queue))
            continue;
        goes_on = has_successor(wanted, count, queue);
        remote_queue_stop(queue, goes_on ? REMOTE_STOP_NOW : REMOTE_STOP_FLUSH, deadline_ns);
        remote_queue_free(queue, !goes_on);
    }
}

static enum err start_new(struct remote *remote, const struct wanted *wanted, uint32_t count,
                          struct err_info *info)
{
    enum err result = ERR_OK;

    mem_free(remote->queues);
    remote->queues = mem_zalloc(count + 1, sizeof(struct remote_queue *));
    remote->queue_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum err err = ERR_OK;

        if (wanted[i].is_new)
            err = remote_queue_start(wanted[i].queue, info);
        if (err == ERR_OK) {
            remote->queues[remote->queue_count++] = wanted[i].queue;
            continue;
        }
        remote_queue_free(wanted[i].queue, false);
        result = err;
    }
    remote_tee_set_log(remote->tee, remote->queue_count > 0 ? remote->queue : NULL);
    return result;
}

enum err remote_reload(struct remote *remote, struct prometheus_config *config,
                       struct err_info *info)
{
    const uint32_t count = config->remote_write_count;
    struct wanted *wanted;
    uint32_t made = 0;
    enum err err = check_sections(config, info);

    if (err == ERR_OK && count == 0 && remote->options.inner == NULL)
        err = err_set(info, ERR_BAD_INPUT,
                      "without the target \"ingester\" there is no storage: the configuration must "
                      "have at least one remote_write section");
    if (err == ERR_OK && count > 0)
        err = remote_open_queue(remote, info);
    if (err != ERR_OK || (count == 0 && remote->queue_count == 0))
        return err;
    wanted = mem_zalloc(count + 1, sizeof(*wanted));
    for (; err == ERR_OK && made < count; made++)
        err = make_wanted(remote, config, made, &wanted[made], info);
    if (err != ERR_OK) {
        for (uint32_t i = 0; i < made; i++)
            if (wanted[i].is_new)
                remote_queue_free(wanted[i].queue, false);
        mem_free(wanted);
        return err;
    }
    if (remote->queue != NULL)
        remote_log_join(remote->queue, &remote->guard, 0);
    end_old(remote, wanted, count);
    err = start_new(remote, wanted, count, info);
    if (remote->queue != NULL)
        remote_log_leave(remote->queue, &remote->guard);
    mem_free(wanted);
    if (!remote->ticks) {
        remote->ticks = true;
        env_timer_start(remote->options.env, &remote->tick,
                        env_mono_ns(remote->options.env) + SECOND_NS);
    }
    return err;
}

/* ---- the end ---- */

void remote_stop(struct remote *remote)
{
    const uint64_t now_ns = env_mono_ns(remote->options.env);
    const uint64_t deadline_ns =
        now_ns + (uint64_t)remote->options.settings->flush_deadline_ms * 1000000 + 1;

    if (remote->queue == NULL)
        return;
    env_timer_stop(remote->options.env, &remote->tick);
    (void)(remote_log_stop(remote->queue, deadline_ns) == ERR_OK); /* what failed is counted */
    for (uint32_t i = 0; i < remote->queue_count; i++)
        remote_queue_stop(remote->queues[i], REMOTE_STOP_FLUSH, deadline_ns);
}

void remote_free(struct remote *remote)
{
    if (remote == NULL)
        return;
    for (uint32_t i = 0; i < remote->queue_count; i++)
        remote_queue_free(remote->queues[i], false);
    mem_free(remote->queues);
    remote_tee_free(remote->tee);
    remote_log_close(remote->queue);
    remote_metrics_unregister(&remote->metrics, remote->options.metrics);
    mem_free(remote);
}
