/* SPDX-License-Identifier: Apache-2.0 */

/* Flushes and upkeep. One flush at a time: who flushes has the slot, and with it the catalog and
 * the list of live blocks. The timer only submits two jobs, upkeep of the head and due flushes, and
 * only those that are not queued or running already. */

#include <stdio.h>

#include "base/list.h"
#include "base/mem.h"
#include "storage/block_writer.h"
#include "storage/db_internal.h"
#include "storage/flush.h"

enum {
    MAINTAIN_EVERY_MS = 1000,
    RETRY_MS_MIN = 2000, /* after a failed flush; doubles up to the maximum */
    RETRY_MS_MAX = 60000,
    DROP_WAIT_MS = 200, /* between two looks at cancel while readers hold up a drop */
    NS_PER_MS = 1000000,
};

/* Somebody who waits for the slot, or for idleness. */
struct db_wait {
    struct list_node node;
    struct env_op op;
};

static uint64_t now_ns(struct db *db)
{
    return env_mono_ns(db->options.env);
}

/* ---- the slot ---- */

/* With the slot on ERR_OK. */
static enum err slot_take(struct db *db, uint64_t deadline_ns)
{
    struct env *env = db->options.env;
    struct db_wait wait = {0};

    pthread_mutex_lock(&db->lock);
    const bool is_closed = db->slot_closed;
    const bool is_free = !db->slot_taken;
    if (!is_closed && is_free)
        db->slot_taken = true;
    else if (!is_closed)
        list_push_back(&db->slot_waiters, &wait.node);
    pthread_mutex_unlock(&db->lock);
    if (is_closed)
        return ERR_CLOSED;
    if (is_free)
        return ERR_OK;
    enum err err = env_wait(env, &wait.op, deadline_ns);
    if (err != ERR_DEADLINE)
        return err;
    pthread_mutex_lock(&db->lock);
    const bool is_waiting = list_node_is_linked(&wait.node);
    if (is_waiting)
        list_remove(&wait.node);
    pthread_mutex_unlock(&db->lock);
    /* No longer in the list: the slot is being handed to us this moment. */
    return is_waiting ? ERR_DEADLINE : env_wait(env, &wait.op, 0);
}

/* Hands the slot to who waits longest. */
static void slot_give(struct db *db)
{
    struct list_node *node;

    pthread_mutex_lock(&db->lock);
    node = list_pop_front(&db->slot_waiters);
    if (node == NULL)
        db->slot_taken = false;
    pthread_mutex_unlock(&db->lock);
    if (node != NULL)
        env_complete(db->options.env, &CONTAINER_OF(node, struct db_wait, node)->op, ERR_OK);
}

/* ---- one window ---- */

struct flush_run {
    struct db *db;
    const struct db_flush_options *options;
};

static bool run_is_cancelled(void *owner)
{
    const struct flush_run *run = owner;

    if (atomic_load_explicit(&run->db->is_stopping, memory_order_relaxed))
        return true;
    return run->options->cancelled != NULL &&
           atomic_load_explicit(run->options->cancelled, memory_order_relaxed);
}

/* Removes what the last failure left, once the catalog surely does not list it. */
static enum err settle_catalog(struct db *db, struct err_info *info)
{
    const enum err err = catalog_mend(db->catalog, info);

    if (err == ERR_OK && db->limbo != NULL) {
        block_doom(db->limbo);
        block_unref(db->limbo);
        db->limbo = NULL;
    }
    return err;
}

/* Makes the block live, for now and after a crash. Takes block. */
static enum err attach(struct db *db, struct block *block, struct err_info *info)
{
    const struct catalog_entry entry = catalog_entry_of(block_get_meta(block));
    const struct catalog_change change = {.attach = &entry, .attach_count = 1};
    const enum err err = catalog_apply(db->catalog, &change, info);

    if (err == ERR_OK) {
        db_blocks_add(db, block);
        return ERR_OK;
    }
    if (catalog_is_unsure(db->catalog)) {
        ASSERT(db->limbo == NULL);
        db->limbo = block;
    } else {
        block_doom(block);
        block_unref(block);
    }
    return err;
}

/* The head lets go of what the block has, when the readers from before have left. Without it the
 * samples are in both, which costs memory but no answer. */
static enum err drop_from_head(struct flush_run *run, struct head_flush *flush,
                               struct err_info *info)
{
    enum err err;

    do {
        err = head_flush_drop(flush, now_ns(run->db) + (uint64_t)DROP_WAIT_MS * NS_PER_MS);
        if (err == ERR_DEADLINE && run_is_cancelled(run))
            return err_set(info, ERR_CANCELLED, "flush cancelled while readers held it up");
    } while (err == ERR_DEADLINE);
    return err == ERR_OK ? ERR_OK : err_set(info, err, "dropping from the head: %s", err_text(err));
}

/* A block that cannot be read back is not worth keeping: the head has it all. */
static enum err open_written(struct db *db, struct ulid ulid, struct block **block,
                             struct err_info *info)
{
    const struct block_options options = {
        .env = db->options.env, .door = db->door, .hash_key = &db->hash_key, .dir = db->blocks_dir};
    char path[DB_PATH_SIZE + ULID_TEXT_LEN + 2];
    char name[ULID_TEXT_LEN + 1];
    const enum err err = block_open(&options, ulid, block, info);

    if (err == ERR_OK)
        return ERR_OK;
    ulid_print(ulid, name);
    (void)snprintf(path, sizeof(path), "%s/%s", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
    return err;
}

static enum err flush_one(struct flush_run *run, int64_t t_min_ms, int64_t t_end_ms,
                          struct err_info *info)
{
    struct db *db = run->db;
    const struct flush_options options = {.env = db->options.env,
                                          .head = db->head,
                                          .door = db->door,
                                          .hash_key = &db->hash_key,
                                          .dir = db->blocks_dir,
                                          .t_min_ms = t_min_ms,
                                          .t_end_ms = t_end_ms,
                                          .is_cancelled = run_is_cancelled,
                                          .owner = run};
    const uint64_t start_ns = now_ns(db);
    struct flush_result result;
    struct block *block;
    enum err err = flush_window(&options, &result, info);

    if (err == ERR_END) {
        /* What was there is not visible yet, or was dropped: the head learns its oldest time. */
        err = drop_from_head(run, result.flush, info);
        head_flush_close(result.flush);
        return err;
    }
    if (err != ERR_OK)
        return err;
    err = open_written(db, result.meta.ulid, &block, info);
    if (err == ERR_OK)
        err = attach(db, block, info);
    if (err == ERR_OK) {
        char name[ULID_TEXT_LEN + 1];
        const uint64_t took_ns = now_ns(db) - start_ns;

        ulid_print(result.meta.ulid, name);
        metric_inc(&db->metrics.flushes);
        metric_add(&db->metrics.flushed_samples, result.meta.sample_count);
        metric_observe(&db->metrics.flush_seconds, (double)took_ns / 1e9);
        log_info(&db->log, "block written", F_STR("block", name), F_INT("mint", t_min_ms),
                 F_INT("maxt", t_end_ms), F_UINT("series", result.meta.series_count),
                 F_UINT("samples", result.meta.sample_count),
                 F_UINT("bytes", result.meta.index.size_bytes + result.meta.data.size_bytes),
                 F_DUR("took", took_ns));
        err = drop_from_head(run, result.flush, info);
    }
    head_flush_close(result.flush);
    return err;
}

/* ---- a flush ---- */

static enum err flush_windows(struct flush_run *run, uint32_t *count, struct err_info *info)
{
    struct db *db = run->db;
    struct head_due_options due = {.all = run->options->all};
    int64_t t_min_ms;
    int64_t t_end_ms;
    enum err err = settle_catalog(db, info);

    while (err == ERR_OK && head_flush_due(db->head, &due, &t_min_ms, &t_end_ms)) {
        /* Windows come oldest first; one that got samples meanwhile can wait. */
        due.after_ms = t_end_ms;
        due.has_after = true;
        if (run_is_cancelled(run))
            return err_set(info, ERR_CANCELLED, "flush cancelled");
        err = flush_one(run, t_min_ms, t_end_ms, info);
        if (err == ERR_OK)
            ++*count;
    }
    return err;
}

static void note_failure(struct db *db, enum err err, const struct err_info *info)
{
    uint64_t wait_ms = RETRY_MS_MIN;

    if (err == ERR_CANCELLED)
        return;
    for (uint32_t i = 0; i < db->flush_failures_in_row && wait_ms < RETRY_MS_MAX; i++)
        wait_ms *= 2;
    wait_ms = wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX;
    db->flush_failures_in_row++;
    atomic_store(&db->flush_retry_ns, now_ns(db) + wait_ms * NS_PER_MS);
    metric_inc(&db->metrics.flush_failures);
    log_error(&db->log, "flush failed, nothing is lost, will try again", F_ERR(err, info),
              F_DUR("in", wait_ms * NS_PER_MS));
}

enum err db_flush(struct db *db, const struct db_flush_options *options, struct err_info *info)
{
    struct flush_run run = {.db = db, .options = options};
    struct err_info run_info = {0};
    uint32_t count = 0;
    enum err err = slot_take(db, options->deadline_ns);

    if (err == ERR_CLOSED)
        return err_set(info, err, "storage is stopping");
    if (err != ERR_OK)
        return err_set(info, err, "another flush is under way");
    if (atomic_load(&db->is_stopping)) {
        slot_give(db);
        return err_set(info, ERR_CLOSED, "storage is stopping");
    }
    err = flush_windows(&run, &count, &run_info);
    if (err == ERR_OK) {
        db->flush_failures_in_row = 0;
        atomic_store(&db->flush_retry_ns, 0);
    } else {
        note_failure(db, err, &run_info);
        (void)err_set(info, err, "%s", err_message(err, &run_info));
    }
    if (count > 0 && !run_is_cancelled(&run)) {
        struct err_info checkpoint_info = {0};
        const enum err checkpoint_err = head_checkpoint(db->head, &checkpoint_info);

        if (checkpoint_err != ERR_OK)
            log_warn(&db->log, "checkpoint failed, will try again",
                     F_ERR(checkpoint_err, &checkpoint_info));
    }
    slot_give(db);
    return err;
}

/* ---- blocks from elsewhere ---- */

/* What a crash left of an earlier try. */
static void remove_remains(struct db *db, const char *name)
{
    char path[DB_PATH_SIZE + ULID_TEXT_LEN + 8];

    (void)snprintf(path, sizeof(path), "%s/%s.tmp", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
    (void)snprintf(path, sizeof(path), "%s/%s", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
}

static enum err write_new_block(struct db *db, const struct db_new_block *new_block,
                                struct ulid ulid, struct err_info *info)
{
    const struct block_writer_options options = {.env = db->options.env,
                                                 .door = db->door,
                                                 .hash_key = &db->hash_key,
                                                 .dir = db->blocks_dir,
                                                 .ulid = ulid,
                                                 .window_t_min_ms = new_block->t_min_ms,
                                                 .window_t_end_ms = new_block->t_end_ms};
    struct block_writer *writer;
    struct block_meta meta;
    enum err err = block_writer_open(&options, &writer, info);

    if (err != ERR_OK)
        return err;
    err = new_block->fill(new_block->owner, writer, info);
    if (err != ERR_OK) {
        block_writer_abort(writer);
        return err;
    }
    return block_writer_finish(writer, &meta, info);
}

enum err db_add_block(struct db *db, const struct db_new_block *new_block, struct block_meta *meta,
                      struct err_info *info)
{
    struct block *block;
    struct ulid ulid;

    if (!ulid_parse(slice_from_cstr(new_block->name), &ulid))
        return err_set(info, ERR_BAD_INPUT, "\"%s\" is no ULID", new_block->name);
    enum err err = slot_take(db, 0);
    if (err != ERR_OK)
        return err_set(info, err, "storage is stopping");
    err = settle_catalog(db, info);
    if (err == ERR_OK && catalog_find(db->catalog, ulid) != NULL)
        err = ERR_EXISTS;
    if (err == ERR_OK) {
        remove_remains(db, new_block->name);
        err = write_new_block(db, new_block, ulid, info);
    }
    if (err == ERR_OK)
        err = open_written(db, ulid, &block, info);
    if (err == ERR_OK) {
        if (meta != NULL)
            *meta = *block_get_meta(block);
        err = attach(db, block, info);
    }
    slot_give(db);
    return err;
}

/* ---- upkeep ---- */

static void flush_due(struct db *db)
{
    const struct db_flush_options options = {0};
    const uint64_t retry_ns = atomic_load(&db->flush_retry_ns);

    if (retry_ns != 0 && now_ns(db) < retry_ns)
        return;
    const enum err err = db_flush(db, &options, NULL);
    (void)err; /* it has logged what went wrong, and the next tick tries again */
}

void db_maintain(struct db *db)
{
    head_maintain(db->head);
    flush_due(db);
}

static void maintain_run(struct env_job *job)
{
    head_maintain(CONTAINER_OF(job, struct db_task, job)->db->head);
}

static void flush_run(struct env_job *job)
{
    flush_due(CONTAINER_OF(job, struct db_task, job)->db);
}

/* The last use of the task, and of the db when a stop waits for it. */
static void task_end(struct db_task *task)
{
    struct db *db = task->db;
    struct env *env = db->options.env;
    struct list_node *node = NULL;

    pthread_mutex_lock(&db->lock);
    task->is_busy = false;
    if (!db->maintain.is_busy && !db->flush.is_busy)
        node = list_pop_front(&db->idle_waiters);
    pthread_mutex_unlock(&db->lock);
    if (node != NULL)
        env_complete(env, &CONTAINER_OF(node, struct db_wait, node)->op, ERR_OK);
}

static void task_done(struct env_job *job)
{
    task_end(CONTAINER_OF(job, struct db_task, job));
}

static void task_start(struct db_task *task, enum env_pool pool)
{
    struct db *db = task->db;
    bool starts;

    pthread_mutex_lock(&db->lock);
    starts = !task->is_busy && !atomic_load(&db->is_stopping);
    if (starts)
        task->is_busy = true;
    pthread_mutex_unlock(&db->lock);
    if (!starts)
        return;
    atomic_store(&task->job.cancelled, false);
    if (env_submit(db->options.env, pool, &task->job) != ERR_OK)
        task_end(task); /* the pool is full or stopping: the next tick tries again */
}

static void on_timer(struct env_timer *timer)
{
    struct db *db = CONTAINER_OF(timer, struct db, timer);

    if (atomic_load(&db->is_stopping))
        return;
    /* A flush takes long, and the log must be looked after meanwhile: two pools. */
    task_start(&db->maintain, ENV_POOL_DISK);
    task_start(&db->flush, ENV_POOL_BACKGROUND);
    env_timer_start(db->options.env, timer, now_ns(db) + db->options.maintain_every_ms * NS_PER_MS);
}

void db_upkeep_start(struct db *db)
{
    struct env *env = db->options.env;

    list_init(&db->slot_waiters);
    list_init(&db->idle_waiters);
    db->maintain.db = db->flush.db = db;
    db->maintain.job.run = maintain_run;
    db->flush.job.run = flush_run;
    db->maintain.job.done = db->flush.job.done = task_done;
    if (db->options.maintain_every_ms == 0)
        db->options.maintain_every_ms = MAINTAIN_EVERY_MS;
    if (env->timer == NULL || env->pool == NULL)
        return;
    db->has_timer = true;
    db->timer.fn = on_timer;
    env_timer_start(env, &db->timer, now_ns(db) + db->options.maintain_every_ms * NS_PER_MS);
}

/* Waits until no task is queued or running. */
static void wait_idle(struct db *db)
{
    struct env *env = db->options.env;
    struct db_wait wait = {0};
    bool is_idle;

    pthread_mutex_lock(&db->lock);
    is_idle = !db->maintain.is_busy && !db->flush.is_busy;
    if (!is_idle)
        list_push_back(&db->idle_waiters, &wait.node);
    pthread_mutex_unlock(&db->lock);
    if (is_idle)
        return;
    (void)env_wait(env, &wait.op, 0);
}

void db_upkeep_end(struct db *db)
{
    if (atomic_exchange(&db->is_stopping, true) || !db->has_timer)
        return;
    env_timer_stop(db->options.env, &db->timer);
    env_cancel(db->options.env, &db->maintain.job);
    env_cancel(db->options.env, &db->flush.job);
    wait_idle(db);
}

/* Who still waits for the slot will not get it. */
static void slot_close(struct db *db)
{
    struct list_node *node;

    do {
        pthread_mutex_lock(&db->lock);
        db->slot_closed = true;
        node = list_pop_front(&db->slot_waiters);
        pthread_mutex_unlock(&db->lock);
        if (node != NULL)
            env_complete(db->options.env, &CONTAINER_OF(node, struct db_wait, node)->op,
                         ERR_CLOSED);
    } while (node != NULL);
}

enum err db_upkeep_stop(struct db *db, uint64_t deadline_ns)
{
    enum err err;

    if (db->has_stop_slot)
        return ERR_OK;
    db_upkeep_end(db);
    err = slot_take(db, deadline_ns);
    if (err != ERR_OK)
        return err;
    db->has_stop_slot = true;
    slot_close(db);
    return ERR_OK;
}
