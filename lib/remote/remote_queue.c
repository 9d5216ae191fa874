/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_queue.h"

#include <stdio.h>

#include "base/mem.h"
#include "remote/remote_queue_internal.h"

/* The life of a receiver: its work job, its tick, its start and its stop. The job does all that
 * touches files: it saves what was acknowledged and reads on (remote_queue_read.c). It is kicked by
 * new data, by shards that got room or an answer, and once a second. */

enum { RESHARD_TICKS = 10 };

#define TICK_NS UINT64_C(1000000000)
/* A power cut repeats to the receiver what it has acknowledged in this time. */
#define SYNC_NS (2 * TICK_NS)

/* ---- the work job ---- */

void remote_queue_kick(struct remote_queue *queue)
{
    if (atomic_fetch_add(&queue->kicks, 1) != 0)
        return;
    if (env_submit(queue->options.env, ENV_POOL_DISK, &queue->job) != ERR_OK)
        atomic_store(&queue->kicks, 0); /* the pool is full or closed; the tick tries again */
}

static void on_data(struct remote_log_user *user)
{
    remote_queue_kick(CONTAINER_OF(user, struct remote_queue, user));
}

void remote_queue_drop(struct remote_queue *queue, unsigned kind, enum remote_drop reason,
                       uint64_t count)
{
    if (count != 0)
        metric_add(queue->counters.dropped[kind][reason], count);
}

/* Locked: whether nothing is under way, or in a flush nothing left or no hope. */
static bool is_drained(const struct remote_queue *queue)
{
    if (queue->is_stopping)
        return queue->busy == 0 && atomic_load(&queue->kicks) == 0;
    if (queue->has_failed)
        return true;
    if (queue->busy > 0 || !queue->is_at_end || queue->staged_count != 0)
        return false;
    for (uint32_t i = 0; i < queue->shard_count; i++)
        if (queue->shards[i].count != 0)
            return false;
    return true;
}

/* Locked: who is to be told that it is so. */
static struct env_op *queue_take_drained(struct remote_queue *queue)
{
    struct env_op *op = queue->drained;

    if (op == NULL || !is_drained(queue))
        return NULL;
    queue->drained = NULL;
    return op;
}

void remote_queue_shard_idle(struct remote_queue *queue)
{
    struct env_op *op = queue_take_drained(queue);

    if (op != NULL)
        env_complete(queue->options.env, op, ERR_OK);
    remote_queue_kick(queue);
}

/* Locked. What is done with, by partition: all below the oldest item that its shard has. */
static bool queue_take_position(struct remote_queue *queue)
{
    bool changed = false;

    for (uint32_t p = 0; p < REMOTE_PARTITION_COUNT; p++) {
        const struct remote_shard *shard = &queue->shards[p % queue->shard_count];
        const uint64_t seq = shard->count == 0 ? queue->read_seq : remote_shard_at(shard, 0)->seq;

        if (seq > queue->saved[p]) {
            queue->saved[p] = seq;
            changed = true;
        }
    }
    return changed;
}

static uint64_t lowest(const uint64_t seqs[REMOTE_PARTITION_COUNT])
{
    uint64_t min = UINT64_MAX;

    for (uint32_t p = 0; p < REMOTE_PARTITION_COUNT; p++)
        min = seqs[p] < min ? seqs[p] : min;
    return min;
}

/* Saves the position; syncs it now and then, which lets segments go. By the job, or where there is
 * none any more. */
static void queue_save(struct remote_queue *queue, bool syncs)
{
    const uint64_t now_ns = env_mono_ns(queue->options.env);
    uint64_t swallowed;
    enum err err = ERR_OK;
    bool saves;

    pthread_mutex_lock(&queue->lock);
    saves = queue->position_is_dirty;
    queue->position_is_dirty = false;
    /* What was only passed over need not be saved at once. */
    if (queue_take_position(queue))
        saves = saves || syncs || now_ns - queue->position_saved_ns > TICK_NS;
    pthread_mutex_unlock(&queue->lock);
    if (saves) {
        err = remote_position_save(&queue->position, queue->saved);
        queue->position_saved_ns = now_ns;
        if (err == ERR_OK)
            queue->seq_written = lowest(queue->saved);
    }
    if (err == ERR_OK && (syncs || now_ns - queue->position_synced_ns > SYNC_NS)) {
        err = remote_position_sync(&queue->position);
        queue->position_synced_ns = now_ns;
        if (err == ERR_OK && queue->seq_written > queue->seq_marked) {
            queue->seq_marked = queue->seq_written;
            remote_log_mark(queue->options.queue, &queue->user, queue->seq_marked);
        }
    }
    if (err == ERR_OK)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->position_is_dirty = true;
    pthread_mutex_unlock(&queue->lock);
    if (log_limiter_pass(&queue->position_limiter, queue->options.log, &swallowed))
        log_error(queue->options.log,
                  "remote write: the position cannot be saved, a restart would send again",
                  F_STR("path", queue->position.path), F_ERR(err, NULL),
                  F_UINT("lines_left_out", swallowed));
}

/* Nothing is under way: deals the partitions out anew. What the shards hold is read again. */
static void queue_reshard(struct remote_queue *queue)
{
    uint32_t held = 0;

    pthread_mutex_lock(&queue->lock);
    (void)queue_take_position(queue);
    for (uint32_t i = 0; i < queue->shard_count; i++) {
        held += queue->shards[i].count;
        remote_shard_clear(&queue->shards[i]);
    }
    log_info(queue->options.log, "Resharding queues", F_STR("remote_name", queue->name),
             F_UINT("from", queue->shard_count), F_UINT("to", queue->shards_wanted));
    queue->shard_count = queue->shards_wanted;
    metric_gauge_set(queue->counters.shards, queue->shard_count);
    queue->is_resharding = false;
    pthread_mutex_unlock(&queue->lock);
    if (held > 0)
        remote_queue_read_again(queue, lowest(queue->saved));
}

static void on_work_run(struct env_job *job)
{
    struct remote_queue *queue = CONTAINER_OF(job, struct remote_queue, job);
    bool reshards, reads;

    queue->kicks_seen = atomic_load(&queue->kicks);
    queue_save(queue, false);
    pthread_mutex_lock(&queue->lock);
    reshards = queue->is_resharding && queue->busy == 0;
    reads = !queue->is_stopping && (!queue->is_resharding || reshards);
    pthread_mutex_unlock(&queue->lock);
    if (reshards)
        queue_reshard(queue);
    if (reads)
        remote_queue_read(queue);
}

static void on_work_done(struct env_job *job)
{
    struct remote_queue *queue = CONTAINER_OF(job, struct remote_queue, job);
    struct env *env = queue->options.env;
    struct env_op *op;
    /* Once kicks is zero the next kick submits the job, which writes kicks_seen: no look at it
     * then. */
    const uint32_t seen = job->err == ERR_OK ? queue->kicks_seen : atomic_load(&queue->kicks);

    /* Under the lock, so that who waits for the end sees it only once this is over. */
    pthread_mutex_lock(&queue->lock);
    if (atomic_fetch_sub(&queue->kicks, seen) != seen &&
        (job->err != ERR_OK || env_submit(env, ENV_POOL_DISK, job) != ERR_OK))
        atomic_store(&queue->kicks, 0);
    op = queue_take_drained(queue);
    pthread_mutex_unlock(&queue->lock);
    if (op != NULL)
        env_complete(env, op, ERR_OK); /* the queue may be gone after this */
}

/* ---- the tick ---- */

static void show_gauges(struct remote_queue *queue)
{
    const struct remote_counters *counters = &queue->counters;

    for (int kind = 0; kind < APPEND_KIND_COUNT; kind++)
        metric_gauge_set(counters->pending[kind], queue->pending[kind]);
    if (queue->t_ms_max != INT64_MIN)
        metric_gauge_set(counters->highest_t_s, (double)queue->t_ms_max / 1000);
    if (queue->t_ms_sent != INT64_MIN)
        metric_gauge_set(counters->highest_sent_t_s, (double)queue->t_ms_sent / 1000);
}

static void on_tick(struct env_timer *timer)
{
    struct remote_queue *queue = CONTAINER_OF(timer, struct remote_queue, tick);
    const uint64_t now_ns = env_mono_ns(queue->options.env);

    pthread_mutex_lock(&queue->lock);
    show_gauges(queue);
    if (!queue->is_stopping) {
        if (++queue->ticks % RESHARD_TICKS == 0) {
            const uint32_t wanted = remote_reshard_wanted(queue, now_ns);

            if (wanted != queue->shard_count && !queue->is_resharding && !queue->is_flushing) {
                queue->shards_wanted = wanted;
                queue->is_resharding = true;
            }
        }
        env_timer_start(queue->options.env, &queue->tick, now_ns + TICK_NS);
    }
    remote_queue_kick(queue);
    pthread_mutex_unlock(&queue->lock);
}

/* ---- life ---- */

static enum err queue_make_client(struct remote_queue *queue, struct err_info *info)
{
    const enum err err = remote_http_client(
        &queue->section->http,
        &(struct remote_http_options){.reactors = queue->options.reactors, .user_agent = NULL},
        &queue->client, info);

    if (err != ERR_OK)
        err_prefix(info, "remote_write \"%s\"", queue->name);
    return err;
}

static void queue_init_shards(struct remote_queue *queue)
{
    const struct remote_queue_config *settings = &queue->section->queue;

    queue->shard_cap = settings->max_shards < REMOTE_SHARDS_MAX ? (uint32_t)settings->max_shards
                                                                : (uint32_t)REMOTE_SHARDS_MAX;
    if (settings->max_shards > REMOTE_SHARDS_MAX)
        log_warn(queue->options.log, "remote write: max_shards is more than is served",
                 F_STR("remote_name", queue->name), F_INT("wanted", settings->max_shards),
                 F_INT("served", REMOTE_SHARDS_MAX));
    queue->shard_count =
        settings->min_shards < queue->shard_cap ? (uint32_t)settings->min_shards : queue->shard_cap;
    queue->shards = mem_zalloc(queue->shard_cap, sizeof(*queue->shards));
    for (uint32_t i = 0; i < queue->shard_cap; i++) {
        remote_shard_init(&queue->shards[i], queue);
        queue->shards[i].call.affinity = i;
    }
}

static void queue_init_counters(struct remote_queue *queue)
{
    const struct remote_queue_config *settings = &queue->section->queue;
    const struct remote_counters *counters = &queue->counters;

    remote_counters_init(&queue->counters, queue->options.metrics, queue->options.name,
                         queue->section->url);
    metric_gauge_set(counters->shards, queue->shard_count);
    metric_gauge_set(counters->shards_desired, queue->shard_count);
    metric_gauge_set(counters->shards_max, queue->shard_cap);
    metric_gauge_set(counters->shards_min, (double)settings->min_shards);
    metric_gauge_set(counters->shard_capacity, (double)settings->capacity);
    metric_gauge_set(counters->send_max, (double)settings->max_samples_per_send);
}

enum err remote_queue_new(const struct remote_queue_options *options, struct remote_queue **out,
                          struct err_info *info)
{
    struct remote_queue *queue = mem_zalloc(1, sizeof(*queue));
    uint8_t seed[HASH_KEY_SEED_SIZE];
    enum err err;

    queue->options = *options;
    queue->options.config = prometheus_config_ref(options->config);
    queue->section = options->section;
    queue->name = mem_copy_text(options->name.data, options->name.len);
    queue->options.name = slice_from_cstr(queue->name);
    queue->options.key =
        slice_of(mem_copy_text(options->key.data, options->key.len), options->key.len);
    pthread_mutex_init(&queue->lock, NULL);
    options->env->clock->random(options->env, seed, sizeof(seed));
    hash_key_init(&queue->symbol_key, seed);
    queue->job = (struct env_job){.run = on_work_run, .done = on_work_done, .priority = -1};
    queue->user.on_data = on_data;
    queue->tick.fn = on_tick;
    queue->t_ms_max = queue->t_ms_sent = INT64_MIN;
    queue->targets = (struct remote_targets){.external = options->config->global.external_labels,
                                             .relabel = options->section->relabel,
                                             .relabel_count = options->section->relabel_count};
    remote_targets_init(&queue->targets);
    remote_queue_metadata_init(queue);
    err = queue_make_client(queue, info);
    if (err == ERR_OK) {
        queue_init_shards(queue);
        err = remote_position_init(&queue->position, options->env, options->dir, queue->options.key,
                                   info);
    }
    if (err != ERR_OK) {
        remote_queue_free(queue, false);
        return err;
    }
    *out = queue;
    return ERR_OK;
}

/* Where to begin. A receiver that is new gets what comes from now on. */
static enum err queue_load_position(struct remote_queue *queue, struct err_info *info)
{
    const uint64_t end = remote_log_seq_next(queue->options.queue);
    const enum err err = remote_position_load(&queue->position, queue->saved, info);

    if (err == ERR_VERSION)
        return err;
    if (err == ERR_OK) {
        log_info(queue->options.log, "remote write: goes on where it was acknowledged",
                 F_STR("remote_name", queue->name),
                 F_UINT("items_behind",
                        end - (lowest(queue->saved) < end ? lowest(queue->saved) : end)));
    } else if (err == ERR_NOT_FOUND) {
        for (uint32_t p = 0; p < REMOTE_PARTITION_COUNT; p++)
            queue->saved[p] = end;
    } else {
        log_error(queue->options.log,
                  "remote write: the position cannot be read, all that is in the queue is sent "
                  "again",
                  F_STR("remote_name", queue->name), F_ERR(err, info));
        memset(queue->saved, 0, sizeof(queue->saved));
    }
    /* Numbers that a damaged queue has lost are given again. */
    for (uint32_t p = 0; p < REMOTE_PARTITION_COUNT; p++)
        if (queue->saved[p] > end)
            queue->saved[p] = end;
    return ERR_OK;
}

enum err remote_queue_start(struct remote_queue *queue, struct err_info *info)
{
    struct env *env = queue->options.env;
    const enum err err = queue_load_position(queue, info);
    uint64_t begin;

    if (err != ERR_OK)
        return err;
    queue_init_counters(queue);
    begin = lowest(queue->saved);
    queue->replay_end = remote_log_seq_next(queue->options.queue);
    queue->position_is_dirty = true;
    queue->items_seen = remote_log_item_count(queue->options.queue);
    remote_queue_read_again(queue, begin);
    queue->seq_marked = begin;
    remote_log_join(queue->options.queue, &queue->user, begin);
    queue->has_joined = true;
    pthread_mutex_lock(&queue->lock);
    env_timer_start(env, &queue->tick, env_mono_ns(env) + TICK_NS);
    pthread_mutex_unlock(&queue->lock);
    remote_queue_kick(queue);
    return ERR_OK;
}

/* Waits for queue_take_drained(). ERR_DEADLINE: not yet. */
static enum err queue_wait_drained(struct remote_queue *queue, uint64_t deadline_ns)
{
    struct env *env = queue->options.env;
    struct env_op op = {0};
    enum err err;

    pthread_mutex_lock(&queue->lock);
    queue->drained = &op;
    if (queue_take_drained(queue) == &op) {
        pthread_mutex_unlock(&queue->lock);
        return ERR_OK;
    }
    pthread_mutex_unlock(&queue->lock);
    err = env_wait(env, &op, deadline_ns);
    if (err != ERR_DEADLINE)
        return err;
    pthread_mutex_lock(&queue->lock);
    if (queue->drained == &op) {
        queue->drained = NULL;
        pthread_mutex_unlock(&queue->lock);
        return ERR_DEADLINE;
    }
    pthread_mutex_unlock(&queue->lock);
    return env_wait(env, &op, 0); /* on its way */
}

static void queue_flush(struct remote_queue *queue, uint64_t deadline_ns)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_flushing = true;
    for (uint32_t i = 0; i < queue->shard_count; i++)
        remote_shard_step(&queue->shards[i]);
    pthread_mutex_unlock(&queue->lock);
    remote_queue_kick(queue);
    if (queue_wait_drained(queue, deadline_ns) != ERR_OK || queue->has_failed)
        log_warn(queue->options.log, "remote write: not all was sent before the stop, it is kept",
                 F_STR("remote_name", queue->name));
}

void remote_queue_stop(struct remote_queue *queue, enum remote_queue_stop how, uint64_t deadline_ns)
{
    struct env *env = queue->options.env;

    if (!queue->has_joined)
        return;
    if (how == REMOTE_STOP_FLUSH)
        queue_flush(queue, deadline_ns);
    pthread_mutex_lock(&queue->lock);
    queue->is_stopping = true;
    for (uint32_t i = 0; i < queue->shard_count; i++)
        if (queue->shards[i].state == REMOTE_SHARD_BACKOFF)
            remote_shard_cancel(&queue->shards[i]);
    pthread_mutex_unlock(&queue->lock);
    if (queue_wait_drained(queue, deadline_ns) == ERR_DEADLINE) {
        pthread_mutex_lock(&queue->lock);
        for (uint32_t i = 0; i < queue->shard_count; i++)
            remote_shard_cancel(&queue->shards[i]);
        pthread_mutex_unlock(&queue->lock);
        (void)queue_wait_drained(queue, 0);
    }
    for (uint32_t i = 0; i < queue->shard_cap; i++)
        env_timer_stop(env, &queue->shards[i].timer);
    env_timer_stop(env, &queue->tick);
    remote_log_mute(queue->options.queue, &queue->user);
    (void)queue_wait_drained(queue, 0); /* the job that the last tick or the log kicked */
    queue_save(queue, true);
}

void remote_queue_free(struct remote_queue *queue, bool forgets)
{
    if (queue == NULL)
        return;
    if (queue->has_joined) {
        remote_log_leave(queue->options.queue, &queue->user);
        remote_counters_fini(queue->options.metrics, queue->options.name, queue->section->url);
    }
    for (uint32_t i = 0; queue->shards != NULL && i < queue->shard_cap; i++)
        remote_shard_fini(&queue->shards[i]);
    mem_free(queue->shards);
    remote_queue_read_fini(queue);
    http_client_free(queue->client);
    if (forgets && remote_position_remove(&queue->position) != ERR_OK)
        log_warn(queue->options.log, "remote write: the position cannot be removed",
                 F_STR("path", queue->position.path));
    remote_position_close(&queue->position);
    prometheus_config_unref(queue->options.config);
    pthread_mutex_destroy(&queue->lock);
    mem_free((void *)queue->options.key.data);
    mem_free(queue->name);
    mem_free(queue);
}

const struct remote_write_config *remote_queue_section(const struct remote_queue *queue)
{
    return queue->section;
}

struct slice remote_queue_key(const struct remote_queue *queue)
{
    return queue->options.key;
}

const struct prometheus_config *remote_queue_config(const struct remote_queue *queue)
{
    return queue->options.config;
}
