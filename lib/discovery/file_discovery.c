/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>

#include "base/list.h"
#include "base/mem.h"
#include "config/path.h"
#include "discovery/discovery_internal.h"
#include "discovery/file_groups.h"

/* Targets from files. The files are looked at again and again: by their content, since a change
 * must be seen whatever the file system tells about it. The pause is a second, more when a look is
 * slow (so that looking takes at most a hundredth of one core), and never more than
 * refresh_interval.
 *
 * A file that cannot be read or parsed keeps the groups it had; one that is gone takes them with
 * it. */

enum {
    PAUSE_NS_MIN = 1000000000,
    PAUSE_FACTOR = 100,
    ARENA_SIZE_MAX = 512 << 20,
};

/* A file known from the last look. */
struct known_file {
    struct list_node node;
    char *path;    /* owned */
    char *content; /* owned; of the last good look, NULL: none was good */
    size_t content_len;
    struct target_group **groups; /* owned, one reference each */
    uint32_t group_count;
    bool is_seen;
};

struct file_discovery {
    struct discovery base;
    struct env_timer timer;
    struct env_job job;
    struct env_op idle;   /* complete when stop had to wait for a run and it has ended */
    pthread_mutex_t lock; /* guards the two below, and starting the timer against stop */
    bool is_running, is_stopping;
    /* The job's own. */
    struct list files;
    bool is_changed, has_told;
    uint64_t pause_ns;
};

static void forget_groups(struct known_file *file)
{
    for (uint32_t i = 0; i < file->group_count; i++)
        target_group_unref(file->groups[i]);
    mem_free(file->groups);
    file->groups = NULL;
    file->group_count = 0;
}

static void forget_file(struct known_file *file)
{
    list_remove(&file->node);
    forget_groups(file);
    mem_free(file->path);
    mem_free(file->content);
    mem_free(file);
}

static struct known_file *find_file(struct file_discovery *d, const char *path)
{
    struct known_file *file;

    LIST_EACH(&d->files, node)
    {
        file = CONTAINER_OF(node, struct known_file, node);
        if (strcmp(file->path, path) == 0)
            return file;
    }
    file = mem_zalloc(1, sizeof(*file));
    file->path = mem_copy_text(path, strlen(path));
    list_push_back(&d->files, &file->node);
    return file;
}

/* ---- one look at one file ---- */

static enum err add_filepath(struct arena *arena, const char *path, struct label_set labels,
                             struct label_set *out)
{
    struct label_builder builder;

    label_builder_init(&builder, arena, labels);
    label_builder_set(&builder, SLICE("__meta_filepath"), slice_from_cstr(path));
    *out = label_builder_set_view(&builder);
    return builder.err;
}

/* Makes the groups of a parsed file; on an error none. */
static enum err make_groups(struct arena *arena, const char *path, const struct file_groups *from,
                            struct target_group **groups)
{
    enum err err = ERR_OK;
    uint32_t i;

    for (i = 0; err == ERR_OK && i < from->count; i++) {
        struct target_group_spec spec = {.addresses = from->items[i].targets,
                                         .address_count = from->items[i].target_count};

        spec.source = arena_printf(arena, "%s:%u", path, i);
        err = add_filepath(arena, path, from->items[i].labels, &spec.labels);
        if (err == ERR_OK)
            err = target_group_new(&spec, &groups[i]);
    }
    for (uint32_t j = 0; err != ERR_OK && j + 1 < i; j++)
        target_group_unref(groups[j]);
    return err;
}

static enum err parse_content(struct known_file *file, struct slice content, struct err_info *info)
{
    struct target_group **groups;
    struct file_groups parsed;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, ARENA_SIZE_MAX);
    err = file_groups_parse(&arena, content, file_groups_format_of(slice_from_cstr(file->path)),
                            &parsed, info);
    if (err == ERR_OK) {
        groups = mem_zalloc(parsed.count + 1, sizeof(*groups));
        err = make_groups(&arena, file->path, &parsed, groups);
        if (err == ERR_OK) {
            forget_groups(file);
            file->groups = groups;
            file->group_count = parsed.count;
        } else {
            mem_free(groups);
        }
    }
    arena_fini(&arena);
    return err;
}

/* Reads a file whose content is new. */
static enum err take_content(struct file_discovery *d, struct known_file *file, struct buf *content,
                             struct err_info *info)
{
    const enum err err = parse_content(file, buf_slice(content), info);

    /* A bad content is kept too, so that it is reported once and not at every look. */
    mem_free(file->content);
    file->content = buf_take(content, &file->content_len);
    if (err == ERR_OK)
        d->is_changed = true;
    return err;
}

static enum err look_at_file(void *owner, const char *path)
{
    struct file_discovery *d = owner;
    const struct discovery_options *options = &d->base.options;
    struct known_file *file = find_file(d, path);
    struct err_info info = {0};
    struct buf content;
    enum err err;

    file->is_seen = true;
    buf_init(&content, FILE_GROUPS_SIZE_MAX);
    err = path_read(options->env, path, &content, &info);
    if (err == ERR_OK &&
        !(file->content != NULL &&
          slice_eq(buf_slice(&content), slice_of(file->content, file->content_len))))
        err = take_content(d, file, &content, &info);
    buf_fini(&content);
    if (err != ERR_OK) {
        metric_inc(&options->metrics->read_errors);
        log_error(options->log, "Error reading file", F_STR("path", path), F_ERR(err, &info));
    }
    return env_job_cancelled(&d->job) ? ERR_CANCELLED : ERR_OK;
}

/* ---- one look at all of them ---- */

static void tell(struct file_discovery *d)
{
    const struct discovery_options *options = &d->base.options;
    struct target_group **groups;
    uint32_t count = 0;

    LIST_EACH(&d->files, node)
    count += CONTAINER_OF(node, struct known_file, node)->group_count;
    groups = mem_zalloc(count + 1, sizeof(*groups));
    count = 0;
    LIST_EACH(&d->files, node)
    {
        const struct known_file *file = CONTAINER_OF(node, struct known_file, node);

        for (uint32_t i = 0; i < file->group_count; i++)
            groups[count++] = file->groups[i];
    }
    metric_inc(&options->metrics->received_updates);
    options->update(options->owner, groups, count);
    mem_free(groups);
}

static void look(struct file_discovery *d)
{
    const struct discovery_options *options = &d->base.options;
    enum err err = ERR_OK;

    d->is_changed = false;
    LIST_EACH(&d->files, node)
    CONTAINER_OF(node, struct known_file, node)->is_seen = false;
    for (uint32_t i = 0; err == ERR_OK && i < options->config->file.count; i++)
        err = path_glob(options->env, options->config->file.patterns[i].data, look_at_file, d);
    if (err == ERR_CANCELLED)
        return;
    if (err != ERR_OK) {
        log_error(options->log, "Error listing files", F_ERR(err, NULL));
        return;
    }
    LIST_EACH(&d->files, node)
    {
        struct known_file *file = CONTAINER_OF(node, struct known_file, node);

        if (file->is_seen)
            continue;
        d->is_changed = true;
        forget_file(file);
    }
    if (!d->is_changed && d->has_told)
        return;
    d->has_told = true;
    tell(d);
}

static void on_job(struct env_job *job)
{
    struct file_discovery *d = CONTAINER_OF(job, struct file_discovery, job);
    const struct discovery_options *options = &d->base.options;
    const uint64_t start_ns = env_mono_ns(options->env);
    const uint64_t refresh_ns = (uint64_t)options->config->file.refresh_interval_ms * 1000000;
    uint64_t took_ns;

    look(d);
    took_ns = env_mono_ns(options->env) - start_ns;
    metric_observe(&options->metrics->file_scan_seconds, (double)took_ns / 1e9);
    d->pause_ns = took_ns * PAUSE_FACTOR;
    if (d->pause_ns > refresh_ns)
        d->pause_ns = refresh_ns;
    if (d->pause_ns < PAUSE_NS_MIN)
        d->pause_ns = PAUSE_NS_MIN;
}

/* Ends a run: the next one is due after the pause, or stop is told that there is none. */
static void finish_run(struct file_discovery *d)
{
    struct env *env = d->base.options.env;
    bool is_stopping;

    pthread_mutex_lock(&d->lock);
    d->is_running = false;
    is_stopping = d->is_stopping;
    if (!is_stopping)
        env_timer_start(env, &d->timer, env_mono_ns(env) + d->pause_ns);
    pthread_mutex_unlock(&d->lock);
    if (is_stopping)
        env_complete(env, &d->idle, ERR_OK); /* the owner may free d here */
}

static void on_job_done(struct env_job *job)
{
    finish_run(CONTAINER_OF(job, struct file_discovery, job));
}

static void on_timer(struct env_timer *timer)
{
    struct file_discovery *d = CONTAINER_OF(timer, struct file_discovery, timer);

    pthread_mutex_lock(&d->lock);
    d->is_running = !d->is_stopping;
    pthread_mutex_unlock(&d->lock);
    if (!d->is_running)
        return;
    d->job = (struct env_job){.run = on_job, .done = on_job_done};
    if (env_submit(d->base.options.env, ENV_POOL_DISK, &d->job) != ERR_OK) /* full: later */
        finish_run(d);
}

static void file_start(struct discovery *discovery)
{
    struct file_discovery *d = CONTAINER_OF(discovery, struct file_discovery, base);
    struct env *env = d->base.options.env;

    env_timer_start(env, &d->timer, env_mono_ns(env));
}

static void file_stop(struct discovery *discovery)
{
    struct file_discovery *d = CONTAINER_OF(discovery, struct file_discovery, base);
    struct env *env = d->base.options.env;
    bool was_running;

    pthread_mutex_lock(&d->lock);
    was_running = d->is_running;
    d->is_stopping = true;
    pthread_mutex_unlock(&d->lock);
    env_timer_stop(env, &d->timer);
    if (!was_running)
        return;
    env_cancel(env, &d->job);
    (void)!env_wait(env, &d->idle, 0);
}

static void file_free(struct discovery *discovery)
{
    struct file_discovery *d = CONTAINER_OF(discovery, struct file_discovery, base);

    LIST_EACH(&d->files, node)
    forget_file(CONTAINER_OF(node, struct known_file, node));
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

static const struct discovery_ops file_ops = {
    .start = file_start, .stop = file_stop, .free = file_free};

struct discovery *discovery_file_new(const struct discovery_options *options)
{
    struct file_discovery *d = mem_zalloc(1, sizeof(*d));

    d->base = (struct discovery){.ops = &file_ops, .options = *options};
    d->timer.fn = on_timer;
    d->pause_ns = PAUSE_NS_MIN;
    list_init(&d->files);
    pthread_mutex_init(&d->lock, NULL);
    return &d->base;
}
