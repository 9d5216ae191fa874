/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The world, handed in: clock, randomness, files, pools, timers, messages and the one wait. Storage
 * and cluster reach the world only through this, so that the simulator (tests/sim) can run them on
 * one thread and one seed, with a disk that loses, reorders, tears and fills.
 *
 * The real clock, randomness and files are in base (env_real.h); real pools, timers and messages in
 * net; all simulated ones in tests/sim. An env is put together once, in main or in a test.
 *
 * Threads: an env is shared by all threads. Calls on files block and are made by pool jobs only
 * (and by main before the threads start). No lock is held across env_wait. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct env;

/* ---- files ---- */

enum env_open {
    ENV_OPEN_READ = 1 << 0,
    ENV_OPEN_WRITE = 1 << 1,
    ENV_OPEN_CREATE = 1 << 2, /* creates if missing */
    ENV_OPEN_EXCL = 1 << 3,   /* with CREATE: ERR_EXISTS if there */
    ENV_OPEN_TRUNC = 1 << 4,
};

struct env_file {
    const struct env_file_ops *ops;
};

struct env_file_ops {
    /* Reads up to size bytes at offset; *got < size only at the end of the file. */
    enum err (*read_at)(struct env_file *file, uint64_t offset, void *data, size_t size,
                        size_t *got);
    /* Writes all of it, or fails with an unknown part written. */
    enum err (*write_at)(struct env_file *file, uint64_t offset, const void *data, size_t size);
    /* fdatasync. After a failure nothing of this file may be trusted; never retry. */
    enum err (*sync)(struct env_file *file);
    /* Reserves size bytes from offset 0, zero-filled, the file size included, so that a later sync
     * moves no metadata. */
    enum err (*allocate)(struct env_file *file, uint64_t size);
    enum err (*truncate)(struct env_file *file, uint64_t size);
    enum err (*size)(struct env_file *file, uint64_t *size);
    /* Takes file. An error means that unsynced data may be lost. */
    enum err (*close)(struct env_file *file);
};

/* One entry of a directory; "." and ".." are left out. */
typedef enum err env_list_fn(void *owner, const char *name);

struct env_space {
    uint64_t free_bytes, total_bytes; /* free: for an unprivileged process */
};

/* Paths are terminated, relative ones against the working directory. */
struct env_fs_ops {
    enum err (*open)(struct env *env, const char *path, unsigned flags, struct env_file **file);
    enum err (*rename)(struct env *env, const char *from, const char *to); /* replaces `to` */
    /* A second name of a file. ERR_UNSUPPORTED: not on this file system, or not across two. */
    enum err (*link)(struct env *env, const char *from, const char *to);
    enum err (*unlink)(struct env *env, const char *path);
    enum err (*mkdir)(struct env *env, const char *path); /* ERR_EXISTS if there */
    enum err (*rmdir)(struct env *env, const char *path);
    enum err (*list)(struct env *env, const char *path, env_list_fn *fn, void *owner);
    /* Makes creations, renames and unlinks in this directory durable. */
    enum err (*sync_dir)(struct env *env, const char *path);
    enum err (*space)(struct env *env, const char *path, struct env_space *space);
    /* An exclusive lock that ends with the process. ERR_EXISTS: another process holds it. */
    enum err (*lock)(struct env *env, const char *path, struct env_file **lock);
};

/* ---- operations and waiting ---- */

/* Something under way that one worker may wait for. Complete it exactly once, from any thread. */
struct env_op {
    _Atomic int state; /* private to the env */
    enum err err;      /* valid once complete */
    void *waiter;      /* private to the env */
};

/* ---- pools ---- */

enum env_pool {
    ENV_POOL_INGEST,
    ENV_POOL_QUERY,
    ENV_POOL_DISK,
    ENV_POOL_BACKGROUND,
    ENV_POOL_COUNT
};

struct env_job;
/* Straight-line code on a worker; polls env_job_cancelled() at least every few milliseconds. */
typedef void env_job_fn(struct env_job *job);

/* Embedded in the operation that owns it: the owner's memory stays until `done` has run. */
struct env_job {
    env_job_fn *run;
    env_job_fn *done; /* runs after run, or instead of it, exactly once, on the worker; may be NULL,
                         may free the job */
    uint64_t deadline_ns; /* on the env's monotonic clock; 0: none. Past it, run is skipped */
    int priority;         /* higher first within its pool; 0 is normal */
    enum err err; /* at done: ERR_OK if run ran, ERR_CANCELLED, ERR_DEADLINE or ERR_CLOSED if not */
    _Atomic bool cancelled; /* set by env_cancel */
    struct env_job *next;   /* private to the env while queued */
    uint64_t queued_ns;     /* when it was submitted */
};

struct env_pool_ops {
    /* ERR_FULL: the pool's bounded queue has no room (nothing will run). ERR_CLOSED: stopping. */
    enum err (*submit)(struct env *env, enum env_pool pool, struct env_job *job);
    /* Any thread. Queued: done runs soon with ERR_CANCELLED. Running: run sees env_job_cancelled().
     */
    void (*cancel)(struct env *env, struct env_job *job);
    /* Blocks the calling worker until op is complete, or until deadline_ns (0: none) gives
     * ERR_DEADLINE: then op is still under way and must be waited for again or be made to end. Else
     * op->err. */
    enum err (*wait)(struct env *env, struct env_op *op, uint64_t deadline_ns);
    void (*complete)(struct env *env, struct env_op *op, enum err err);
};

/* ---- timers ---- */

struct env_timer;
typedef void env_timer_fn(struct env_timer *timer);

/* Embedded in its owner. `fn` runs on a reactor (one at a time per timer) and never blocks. */
struct env_timer {
    env_timer_fn *fn;
    uint64_t due_ns; /* on the monotonic clock */
    void *impl;      /* private to the env; zero at first */
    _Atomic int state;
};

struct env_timer_ops {
    /* One shot; starting a started timer moves it. */
    void (*start)(struct env *env, struct env_timer *timer, uint64_t due_ns);
    /* Returns once fn is not running and will not run. Not from fn itself, which may simply not
     * restart. */
    void (*stop)(struct env *env, struct env_timer *timer);
};

/* ---- messages ---- */

struct env_call;
typedef void env_call_fn(struct env_call *call);

/* Bytes to a node, bytes back. Embedded in its owner; `done` runs exactly once, never inside start.
 */
struct env_call {
    env_call_fn *done;
    const char *node;     /* borrowed until done: "host:port" */
    const char *method;   /* borrowed until done */
    struct slice request; /* borrowed until done */
    struct slice reply;   /* valid in done only */
    size_t reply_size_max;
    uint64_t deadline_ns; /* required */
    enum err err;
    void *impl; /* private to the env */
};

struct env_call_ops {
    void (*start)(struct env *env, struct env_call *call);
    void (*cancel)(struct env *env, struct env_call *call); /* done follows with ERR_CANCELLED */
};

/* ---- the env ---- */

struct env_clock_ops {
    int64_t (*now_ms)(struct env *env);   /* wall clock, Unix milliseconds */
    uint64_t (*mono_ns)(struct env *env); /* monotonic */
    void (*random)(struct env *env, void *data, size_t size);
};

struct env {
    const struct env_clock_ops *clock;
    const struct env_fs_ops *fs;
    const struct env_pool_ops *pool;   /* NULL where nothing may submit or wait */
    const struct env_timer_ops *timer; /* likewise */
    const struct env_call_ops *call;   /* NULL until the cluster joins */
    void *clock_impl, *fs_impl, *pool_impl, *timer_impl, *call_impl;
};

static inline int64_t env_now_ms(struct env *env)
{
    return env->clock->now_ms(env);
}

static inline uint64_t env_mono_ns(struct env *env)
{
    return env->clock->mono_ns(env);
}

static inline uint64_t env_random_u64(struct env *env)
{
    uint64_t value;

    env->clock->random(env, &value, sizeof(value));
    return value;
}

static inline enum err env_submit(struct env *env, enum env_pool pool, struct env_job *job)
{
    return env->pool->submit(env, pool, job);
}

static inline void env_cancel(struct env *env, struct env_job *job)
{
    env->pool->cancel(env, job);
}

static inline bool env_job_cancelled(const struct env_job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

static inline enum err env_wait(struct env *env, struct env_op *op, uint64_t deadline_ns)
{
    return env->pool->wait(env, op, deadline_ns);
}

static inline void env_complete(struct env *env, struct env_op *op, enum err err)
{
    env->pool->complete(env, op, err);
}

static inline void env_timer_start(struct env *env, struct env_timer *timer, uint64_t due_ns)
{
    env->timer->start(env, timer, due_ns);
}

static inline void env_timer_stop(struct env *env, struct env_timer *timer)
{
    env->timer->stop(env, timer);
}
