/* SPDX-License-Identifier: Apache-2.0 */

/* Upkeep by a timer, which only submits jobs: upkeep of the head, due flushes, due merges; and only
 * those that are not queued or running already. */

#include "storage/db_internal.h"

enum { MAINTAIN_EVERY_MS = 1000 };

void db_maintain(struct db *db)
{
    head_maintain(db->head);
    db_flush_due(db);
    db_retain(db);
    db_compact_due(db);
}

static void maintain_run(struct env_job *job)
{
    head_maintain(CONTAINER_OF(job, struct db_task, job)->db->head);
}

static void flush_run(struct env_job *job)
{
    db_flush_due(CONTAINER_OF(job, struct db_task, job)->db);
}

static void compact_task_run(struct env_job *job)
{
    struct db *db = CONTAINER_OF(job, struct db_task, job)->db;

    db_retain(db); /* first, since it makes room */
    db_compact_due(db);
}

static bool tasks_are_idle(const struct db *db)
{
    return !db->maintain.is_busy && !db->flush.is_busy && !db->compact.is_busy;
}

/* The last use of the task, and of the db when a stop waits for it. */
static void task_end(struct db_task *task)
{
    struct db *db = task->db;
    struct env *env = db->options.env;
    struct list_node *node = NULL;

    pthread_mutex_lock(&db->lock);
    task->is_busy = false;
    if (tasks_are_idle(db))
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
    task_start(&db->compact, ENV_POOL_BACKGROUND);
    env_timer_start(db->options.env, timer,
                    db_now_ns(db) + db->options.maintain_every_ms * DB_NS_PER_MS);
}

static void task_init(struct db *db, struct db_task *task, env_job_fn *run)
{
    task->db = db;
    task->job.run = run;
    task->job.done = task_done;
}

void db_upkeep_start(struct db *db)
{
    struct env *env = db->options.env;

    task_init(db, &db->maintain, maintain_run);
    task_init(db, &db->flush, flush_run);
    task_init(db, &db->compact, compact_task_run);
    db->compact.job.priority = -1; /* after a flush that waits */
    if (db->options.maintain_every_ms == 0)
        db->options.maintain_every_ms = MAINTAIN_EVERY_MS;
    if (env->timer == NULL || env->pool == NULL)
        return;
    db->has_timer = true;
    db->timer.fn = on_timer;
    env_timer_start(env, &db->timer, db_now_ns(db) + db->options.maintain_every_ms * DB_NS_PER_MS);
}

/* Waits until no task is queued or running. */
static void wait_idle(struct db *db)
{
    struct env *env = db->options.env;
    struct db_wait wait = {0};
    bool is_idle;

    pthread_mutex_lock(&db->lock);
    is_idle = tasks_are_idle(db);
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
    env_cancel(db->options.env, &db->compact.job);
    wait_idle(db);
}

enum err db_upkeep_stop(struct db *db, uint64_t deadline_ns)
{
    enum err err;

    if (db->has_stop_slots)
        return ERR_OK;
    db_upkeep_end(db);
    err = db_slot_take(db, &db->compact_slot, deadline_ns);
    if (err != ERR_OK)
        return err;
    err = db_slot_take(db, &db->flush_slot, deadline_ns);
    if (err != ERR_OK) {
        db_slot_give(db, &db->compact_slot);
        return err;
    }
    db->has_stop_slots = true;
    db_slot_close(db, &db->flush_slot);
    db_slot_close(db, &db->compact_slot);
    return ERR_OK;
}
