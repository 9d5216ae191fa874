/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "scraper/scrape_append.h"
#include "scraper/scrape_metrics.h"

enum {
    BODY_SIZE_MAX = 512 << 20,    /* where the configuration sets no limit */
    SCRATCH_SIZE_MAX = 256 << 20, /* labels of one series, headers of one request */
    SNAP_MS_MAX = 2,              /* a scrape this late counts as on its tick */
    COMMIT_WAIT_MS = 60 * 1000,   /* for storage to answer */
};

enum loop_state {
    LOOP_NEW,
    LOOP_WAIT,
    LOOP_READ,
    LOOP_FETCH,
    LOOP_APPEND,
    LOOP_COMMIT,
    LOOP_LEAVE, /* waits for the time of its stale markers */
    LOOP_DONE,
};

/* One scrape under way; the machine's. */
struct scrape {
    int64_t t_ms;        /* of its samples */
    int64_t started_ms;  /* wall clock */
    uint64_t started_ns; /* monotonic */
    bool is_leaving;     /* no fetch: markers for all series and reports */
    enum err err;        /* the first failure of the scrape itself */
    struct err_info info;
    double body_size; /* for scrape_body_size_bytes */
};

struct scrape_loop {
    _Atomic uint32_t refs;
    scrape_loop_done_fn *done;
    void *owner;
    const struct scrape_shared *shared;

    pthread_mutex_t lock; /* guards down to `status` */
    enum loop_state state;
    bool is_stopping; /* no scrape begins any more */
    enum scrape_loop_stop how;
    struct scrape_job *next_job; /* to use from the next tick on; NULL: no change */
    struct target *next_target;
    char forced_error[ERR_MESSAGE_SIZE];
    struct target *target; /* changed by the machine under the lock */
    struct scrape_status status;

    /* The machine's own. */
    struct scrape_job *job;
    struct http_client *unix_client; /* owned; for a target behind a socket */
    struct env_timer timer;
    struct env_job work;
    struct http_call call;
    struct arena request; /* headers of the request under way */
    struct scrape_cache cache;
    struct scrape_report report;
    struct scrape scrape;
    int64_t tick_ms;                           /* wall clock: the tick that the timer is for */
    struct metric_histogram *interval_seconds; /* borrowed from the metrics' family */
    uint64_t last_ns;       /* monotonic: when the scrape before began; 0: none */
    _Atomic int open_parts; /* of APPEND: the worker's job, and the commit's answer */
    bool is_unsettled;      /* cache waits to be told the outcome of the scrape before */
    bool drops_cache;       /* labels come out differently from now on */
    struct scrape_cache_outcome outcome;
};

/* ---- life ---- */

static void loop_free(struct scrape_loop *loop)
{
    http_call_fini(&loop->call);
    http_client_free(loop->unix_client);
    scrape_cache_fini(&loop->cache);
    arena_fini(&loop->request);
    target_unref(loop->target);
    target_unref(loop->next_target);
    scrape_job_unref(loop->job);
    scrape_job_unref(loop->next_job);
    pthread_mutex_destroy(&loop->lock);
    mem_free(loop);
}

struct scrape_loop *scrape_loop_ref(struct scrape_loop *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

void scrape_loop_unref(struct scrape_loop *loop)
{
    if (loop != NULL && atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) == 1)
        loop_free(loop);
}

/* The last act of the machine. */
static void finish(struct scrape_loop *loop)
{
    loop->done(loop->owner, loop);
    scrape_loop_unref(loop);
}

/* ---- ticks ---- */

/* The first tick after now_ms. */
static int64_t tick_after(const struct scrape_loop *loop, int64_t now_ms)
{
    const int64_t interval_ms = loop->target->interval_ms;
    const int64_t offset_ms = target_offset_ms(loop->target, loop->job->offset_seed);
    const int64_t since_ms = now_ms - offset_ms;
    int64_t into_ms = since_ms % interval_ms;

    if (into_ms < 0)
        into_ms += interval_ms;
    return now_ms + interval_ms - into_ms;
}

/* Starts the timer for a time of the wall clock. Under the lock. */
static void arm(struct scrape_loop *loop, int64_t due_ms, int64_t now_ms)
{
    const uint64_t pause_ns = due_ms > now_ms ? (uint64_t)(due_ms - now_ms) * 1000000 : 0;

    env_timer_start(loop->shared->env, &loop->timer, env_mono_ns(loop->shared->env) + pause_ns);
}

static void arm_next(struct scrape_loop *loop)
{
    const int64_t now_ms = env_now_ms(loop->shared->env);

    loop->tick_ms = tick_after(loop, now_ms);
    loop->state = LOOP_WAIT;
    arm(loop, loop->tick_ms, now_ms);
}

/* The markers stand at the first tick that is missed, and are written only after the one that
 * follows it: if the target came back by then, its newer samples win. Under the lock. */
static void arm_leave(struct scrape_loop *loop)
{
    const int64_t interval_ms = loop->target->interval_ms;

    arm(loop, loop->tick_ms + interval_ms + interval_ms / 10, env_now_ms(loop->shared->env));
}

/* Stopping, with nothing under way: to LEAVE if there is something to mark. Under the lock. True:
 * the machine is done. */
static bool wind_down(struct scrape_loop *loop)
{
    const int64_t now_ms = env_now_ms(loop->shared->env);

    if (loop->how == SCRAPE_LOOP_NOW || loop->last_ns == 0 || loop->state == LOOP_LEAVE) {
        loop->state = LOOP_DONE;
        return true;
    }
    loop->tick_ms = tick_after(loop, now_ms);
    loop->state = LOOP_LEAVE;
    arm_leave(loop);
    return false;
}

/* The end of a scrape, or of a tick without one. */
static void rest(struct scrape_loop *loop)
{
    bool is_done = false;

    pthread_mutex_lock(&loop->lock);
    if (loop->scrape.is_leaving) {
        loop->state = LOOP_DONE;
        is_done = true;
    } else if (loop->is_stopping) {
        is_done = wind_down(loop);
    } else {
        arm_next(loop);
    }
    pthread_mutex_unlock(&loop->lock);
    if (is_done)
        finish(loop);
}

static void miss(struct scrape_loop *loop, enum err err)
{
    metric_inc(&loop->shared->metrics->missed);
    log_warn(&loop->shared->log, "scrape missed", F_SLICE("target", loop->target->url),
             F_ERR(err, NULL));
    rest(loop);
}

/* ---- COMMIT ---- */

static void note_status(struct scrape_loop *loop)
{
    const struct scrape *scrape = &loop->scrape;
    const uint64_t now_ns = env_mono_ns(loop->shared->env);

    pthread_mutex_lock(&loop->lock);
    loop->status.health = scrape->err == ERR_OK ? SCRAPE_HEALTH_UP : SCRAPE_HEALTH_DOWN;
    loop->status.scraped_ms = scrape->started_ms;
    loop->status.duration_s = (double)(now_ns - scrape->started_ns) / 1e9;
    snprintf(loop->status.error, sizeof(loop->status.error), "%s",
             scrape->err == ERR_OK ? "" : err_message(scrape->err, &scrape->info));
    pthread_mutex_unlock(&loop->lock);
}

/* One of the two parts of APPEND ended; the last one goes on. */
static void end_part(struct scrape_loop *loop)
{
    if (atomic_fetch_sub_explicit(&loop->open_parts, 1, memory_order_acq_rel) == 1)
        rest(loop);
}

/* What storage does not take from one target it takes from none, so that these lines would come by
 * the thousand, on a disk that may be full. */
static void note_refusal(struct scrape_loop *loop, enum err err, const struct err_info *info)
{
    const struct scrape_shared *shared = loop->shared;
    uint64_t swallowed;

    metric_inc(&shared->metrics->commit_failures);
    if (log_limiter_pass(shared->refusals, &shared->log, &swallowed))
        log_error(&shared->log, "Scrape was not stored", F_SLICE("target", loop->target->url),
                  F_ERR(err, info), F_UINT("lines_left_out", swallowed));
}

static void on_committed(void *owner, const struct append_result *result)
{
    struct scrape_loop *loop = owner;
    struct scrape_metrics *metrics = loop->shared->metrics;

    loop->outcome.is_stored = result->err == ERR_OK;
    if (result->err == ERR_OK) {
        scrape_metrics_count(metrics, result);
    } else {
        note_refusal(loop, result->err, NULL);
    }
    end_part(loop);
}

/* ---- APPEND ---- */

static enum err begin(struct scrape_loop *loop, struct append_txn **txn, struct err_info *info)
{
    const struct append_options options = {.tenant = loop->shared->tenant,
                                           .origin = APPEND_SCRAPE,
                                           .deadline_ns = env_mono_ns(loop->shared->env) +
                                                          (uint64_t)COMMIT_WAIT_MS * 1000000};

    return appender_begin(loop->shared->appender, &options, txn, info);
}

static void count_append(struct scrape_loop *loop, const struct scrape_append *append)
{
    struct scrape_metrics *metrics = loop->shared->metrics;

    metric_add(&metrics->duplicates, append->duplicate_count);
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++)
        if (metrics->refused_by[i] != NULL && append->refused[i] != 0)
            metric_add(metrics->refused_by[i], append->refused[i]);
    if (append->has_label_limit_fault)
        metric_inc(&metrics->exceeded_label_limits);
    if (append->has_sample_limit_fault)
        metric_inc(&metrics->exceeded_sample_limit);
}

static void fill_report(struct scrape_loop *loop, const struct scrape_append *append)
{
    const struct scrape *scrape = &loop->scrape;
    const uint64_t now_ns = env_mono_ns(loop->shared->env);
    double *values = loop->report.values;

    values[SCRAPE_REPORT_UP] = scrape->err == ERR_OK;
    values[SCRAPE_REPORT_DURATION] = (double)(now_ns - scrape->started_ns) / 1e9;
    values[SCRAPE_REPORT_SCRAPED] = append->scraped_count;
    values[SCRAPE_REPORT_RELABELLED] = append->relabelled_count;
    values[SCRAPE_REPORT_ADDED] = append->added_series_count;
    values[SCRAPE_REPORT_TIMEOUT] = (double)loop->target->timeout_ms / 1000;
    values[SCRAPE_REPORT_SAMPLE_LIMIT] = (double)loop->job->scrape->limits.samples;
    values[SCRAPE_REPORT_BODY_SIZE] = scrape->body_size;
    metric_observe(&loop->shared->metrics->scrape_seconds, values[SCRAPE_REPORT_DURATION]);
}

static void settle(struct scrape_loop *loop)
{
    if (loop->is_unsettled && scrape_cache_settle(&loop->cache, loop->outcome))
        metric_inc(&loop->shared->metrics->cache_flushes);
    loop->is_unsettled = false;
    if (loop->drops_cache)
        scrape_cache_detach(&loop->cache);
    loop->drops_cache = false;
}

/* Adds the body to the transaction. If that fails it is replaced by an empty one: then append->txn
 * may be NULL. */
static void append_body(struct scrape_loop *loop, struct scrape_append *append)
{
    struct scrape *scrape = &loop->scrape;

    if (scrape->err != ERR_OK || scrape->is_leaving)
        return;
    scrape->err = scrape_append_body(append, loop->call.content_type, loop->call.body_received,
                                     &scrape->info);
    if (scrape->err == ERR_OK)
        return;
    append_abort(append->txn);
    if (begin(loop, &append->txn, NULL) != ERR_OK)
        append->txn = NULL;
}

/* Adds what belongs to the scrape and commits. */
static void complete_append(struct scrape_loop *loop, struct scrape_append *append)
{
    struct scrape *scrape = &loop->scrape;

    loop->outcome =
        (struct scrape_cache_outcome){.is_complete = scrape->err == ERR_OK && !scrape->is_leaving};
    scrape_append_stale(append, loop->outcome.is_complete);
    fill_report(loop, append);
    scrape_append_report(append, &loop->report, scrape->is_leaving);
    count_append(loop, append);
    if (!scrape->is_leaving)
        note_status(loop);
    append_commit(append->txn, on_committed, loop);
}

static void fail_append(struct scrape_loop *loop, enum err err, const struct err_info *info)
{
    note_refusal(loop, err, info);
    loop->outcome = (struct scrape_cache_outcome){0};
    note_status(loop);
    end_part(loop);
}

static void run_append(struct env_job *work)
{
    struct scrape_loop *loop = CONTAINER_OF(work, struct scrape_loop, work);
    struct arena scratch;
    struct scrape_append append = {.scrape = loop->job->scrape,
                                   .target = loop->target,
                                   .tenant = loop->shared->tenant,
                                   .hash_key = loop->shared->hash_key,
                                   .cache = &loop->cache,
                                   .scratch = &scratch,
                                   .t_ms = loop->scrape.t_ms};
    struct err_info info = {0};
    enum err err;

    arena_init(&scratch, NULL, SCRATCH_SIZE_MAX);
    settle(loop);
    loop->is_unsettled = true;
    err = begin(loop, &append.txn, &info);
    if (err == ERR_OK)
        append_body(loop, &append);
    if (err == ERR_OK && append.txn == NULL)
        err = ERR_UNAVAILABLE;
    http_call_drop_body(&loop->call); /* thousands of loops rest most of the time */
    arena_fini(&loop->request);
    if (err == ERR_OK)
        complete_append(loop, &append);
    else
        fail_append(loop, err, &info);
    arena_fini(&scratch);
}

static void on_append_done(struct env_job *work)
{
    struct scrape_loop *loop = CONTAINER_OF(work, struct scrape_loop, work);

    if (work->err == ERR_OK) {
        end_part(loop);
        return;
    }
    miss(loop, work->err); /* did not run: no commit is under way */
}

/* Under no lock. */
static void enter_append(struct scrape_loop *loop)
{
    enum err err;

    pthread_mutex_lock(&loop->lock);
    loop->state = LOOP_APPEND;
    pthread_mutex_unlock(&loop->lock);
    loop->work = (struct env_job){.run = run_append, .done = on_append_done};
    atomic_store_explicit(&loop->open_parts, 2, memory_order_relaxed);
    err = env_submit(loop->shared->env, ENV_POOL_INGEST, &loop->work);
    if (err != ERR_OK)
        miss(loop, err);
}

/* ---- FETCH ---- */

static void fail(struct scrape_loop *loop, enum err err, const char *text)
{
    loop->scrape.err = err;
    err_set(&loop->scrape.info, err, "%s", text);
}

static void take_answer(struct scrape_loop *loop)
{
    const struct http_call *call = &loop->call;
    char text[128];

    if (call->err == ERR_TOO_LARGE) {
        metric_inc(&loop->shared->metrics->exceeded_body_size);
        loop->scrape.body_size = -1;
        fail(loop, ERR_LIMIT, "body size limit exceeded");
    } else if (call->err != ERR_OK) {
        fail(loop, call->err, err_message(call->err, &call->info));
    } else if (call->status != 200) {
        snprintf(text, sizeof(text), "server returned HTTP status %d %s", call->status,
                 http_status_text(call->status));
        fail(loop, ERR_IO, text);
    } else {
        loop->scrape.body_size = (double)call->body_received.len;
    }
}

static void on_fetched(struct http_call *call)
{
    struct scrape_loop *loop = call->owner;
    bool is_cancelled;

    pthread_mutex_lock(&loop->lock);
    is_cancelled = loop->is_stopping && loop->how == SCRAPE_LOOP_NOW;
    loop->state = LOOP_APPEND;
    pthread_mutex_unlock(&loop->lock);
    if (is_cancelled) {
        rest(loop);
        return;
    }
    take_answer(loop);
    enter_append(loop);
}

static struct http_client *client_of(struct scrape_loop *loop, struct err_info *info)
{
    const struct slice path = loop->target->unix_socket;

    if (path.len == 0)
        return loop->job->client;
    if (loop->unix_client == NULL &&
        scrape_job_unix_client(loop->job, path.data, &loop->unix_client, info) != ERR_OK)
        return NULL;
    return loop->unix_client;
}

/* Sets up the call. False: it cannot be made, and scrape->err says why. */
static bool prepare_call(struct scrape_loop *loop)
{
    struct scrape *scrape = &loop->scrape;
    const uint64_t limit = loop->job->scrape->limits.body_size_bytes;
    struct http_call *call = &loop->call;
    struct scrape_headers headers;

    arena_reset(&loop->request);
    scrape->err =
        scrape_job_headers(loop->job, loop->target, &loop->request, &headers, &scrape->info);
    if (scrape->err != ERR_OK)
        return false;
    call->client = client_of(loop, &scrape->info);
    if (call->client == NULL) {
        scrape->err = ERR_IO;
        return false;
    }
    call->done = on_fetched;
    call->owner = loop;
    call->url = loop->target->url.data;
    call->headers = headers.items;
    call->header_count = headers.count;
    call->deadline_ns =
        env_mono_ns(loop->shared->env) + (uint64_t)loop->target->timeout_ms * 1000000;
    /* A body that reaches the limit is too large already. */
    call->body_size_max =
        limit != 0 && limit - 1 < BODY_SIZE_MAX ? (size_t)limit - 1 : BODY_SIZE_MAX;
    if (call->body_size_max == 0)
        call->body_size_max = 1;
    call->accepts_compressed = loop->job->scrape->enable_compression;
    call->affinity = loop->target->identity;
    return true;
}

static void fetch(struct scrape_loop *loop)
{
    bool is_cancelled;

    if (!prepare_call(loop)) {
        enter_append(loop);
        return;
    }
    /* Started under the lock, so that a stop meets a call that is under way, or prevents it. */
    pthread_mutex_lock(&loop->lock);
    is_cancelled = loop->is_stopping && loop->how == SCRAPE_LOOP_NOW;
    if (!is_cancelled) {
        loop->state = LOOP_FETCH;
        http_call_start(&loop->call);
    }
    pthread_mutex_unlock(&loop->lock);
    if (is_cancelled)
        rest(loop);
}

/* ---- READ ---- */

static void run_read(struct env_job *work)
{
    (void)work; /* what blocks is in fetch(), which on_read_done calls on this same worker */
}

static void on_read_done(struct env_job *work)
{
    struct scrape_loop *loop = CONTAINER_OF(work, struct scrape_loop, work);

    if (work->err == ERR_OK)
        fetch(loop);
    else
        miss(loop, work->err);
}

static void enter_read(struct scrape_loop *loop)
{
    enum err err;

    loop->work = (struct env_job){.run = run_read, .done = on_read_done};
    err = env_submit(loop->shared->env, ENV_POOL_DISK, &loop->work);
    if (err != ERR_OK)
        miss(loop, err);
}

/* ---- WAIT ---- */

/* The child of the target's interval. */
static struct metric_histogram *interval_histogram(const struct scrape_shared *shared,
                                                   const struct target *target)
{
    return metric_family_histogram(shared->metrics->interval_seconds, &target->interval_text);
}

/* Takes over what update left. Under the lock, between two scrapes. */
static void take_update(struct scrape_loop *loop)
{
    if (loop->next_job == NULL)
        return;
    http_call_fini(&loop->call);
    http_call_init(&loop->call, loop->next_job->client);
    http_client_free(loop->unix_client);
    loop->unix_client = NULL;
    loop->drops_cache = loop->drops_cache || loop->next_job->scrape != loop->job->scrape;
    scrape_job_unref(loop->job);
    target_unref(loop->target);
    loop->job = loop->next_job;
    loop->target = loop->next_target;
    loop->next_job = NULL;
    loop->next_target = NULL;
    loop->interval_seconds = interval_histogram(loop->shared, loop->target);
}

/* The time of a scrape's samples: its tick, if it is on time. */
static int64_t snap(const struct scrape_loop *loop, int64_t now_ms)
{
    int64_t tolerance_ms = loop->target->interval_ms / 100;

    if (tolerance_ms > SNAP_MS_MAX)
        tolerance_ms = SNAP_MS_MAX;
    return now_ms - loop->tick_ms <= tolerance_ms && loop->tick_ms - now_ms <= tolerance_ms
               ? loop->tick_ms
               : now_ms;
}

static void observe_interval(struct scrape_loop *loop, uint64_t now_ns)
{
    if (loop->last_ns != 0)
        metric_observe(loop->interval_seconds, (double)(now_ns - loop->last_ns) / 1e9);
    loop->last_ns = now_ns;
}

/* Under the lock. */
static void begin_scrape(struct scrape_loop *loop)
{
    const int64_t now_ms = env_now_ms(loop->shared->env);
    const uint64_t now_ns = env_mono_ns(loop->shared->env);

    loop->scrape =
        (struct scrape){.t_ms = snap(loop, now_ms), .started_ms = now_ms, .started_ns = now_ns};
    if (loop->state == LOOP_LEAVE) {
        loop->scrape.is_leaving = true;
        loop->scrape.t_ms = loop->tick_ms;
        return;
    }
    observe_interval(loop, now_ns);
    if (loop->forced_error[0] != 0)
        fail(loop, ERR_LIMIT, loop->forced_error);
}

static void on_timer(struct env_timer *timer)
{
    struct scrape_loop *loop = CONTAINER_OF(timer, struct scrape_loop, timer);
    bool is_due;

    pthread_mutex_lock(&loop->lock);
    is_due = loop->state == LOOP_LEAVE ? loop->how != SCRAPE_LOOP_NOW : !loop->is_stopping;
    if (is_due) {
        if (loop->state == LOOP_WAIT)
            take_update(loop);
        begin_scrape(loop);
        loop->state = LOOP_READ;
    }
    pthread_mutex_unlock(&loop->lock);
    if (!is_due)
        return; /* stop goes on from here */
    if (loop->scrape.is_leaving || loop->scrape.err != ERR_OK)
        enter_append(loop);
    else if (loop->job->has_files)
        enter_read(loop);
    else
        fetch(loop);
}

/* ---- from outside ---- */

struct scrape_loop *scrape_loop_new(const struct scrape_loop_options *options)
{
    struct scrape_loop *loop = mem_zalloc(1, sizeof(*loop));

    atomic_init(&loop->refs, 1);
    loop->done = options->done;
    loop->owner = options->owner;
    loop->shared = options->job->shared;
    loop->job = scrape_job_ref(options->job);
    loop->target = target_ref(options->target);
    loop->timer.fn = on_timer;
    loop->interval_seconds = interval_histogram(loop->shared, loop->target);
    pthread_mutex_init(&loop->lock, NULL);
    arena_init(&loop->request, NULL, SCRATCH_SIZE_MAX);
    scrape_cache_init(&loop->cache, loop->shared->hash_key);
    http_call_init(&loop->call, loop->job->client);
    return loop;
}

void scrape_loop_start(struct scrape_loop *loop)
{
    ASSERT(loop->state == LOOP_NEW);
    scrape_loop_ref(loop);
    pthread_mutex_lock(&loop->lock);
    arm_next(loop);
    pthread_mutex_unlock(&loop->lock);
}

void scrape_loop_force_error(struct scrape_loop *loop, const char *error)
{
    pthread_mutex_lock(&loop->lock);
    snprintf(loop->forced_error, sizeof(loop->forced_error), "%s", error);
    pthread_mutex_unlock(&loop->lock);
}

void scrape_loop_update(struct scrape_loop *loop, struct scrape_job *job, struct target *target)
{
    pthread_mutex_lock(&loop->lock);
    ASSERT(target->key == loop->target->key);
    scrape_job_unref(loop->next_job);
    target_unref(loop->next_target);
    loop->next_job = scrape_job_ref(job);
    loop->next_target = target_ref(target);
    pthread_mutex_unlock(&loop->lock);
}

/* Marks the loop as stopping and cancels what may be cancelled. */
static void begin_stop(struct scrape_loop *loop, enum scrape_loop_stop how)
{
    pthread_mutex_lock(&loop->lock);
    loop->is_stopping = true;
    if (how == SCRAPE_LOOP_NOW)
        loop->how = SCRAPE_LOOP_NOW;
    if (how == SCRAPE_LOOP_NOW && loop->state == LOOP_FETCH)
        http_call_cancel(&loop->call);
    pthread_mutex_unlock(&loop->lock);
}

void scrape_loop_stop(struct scrape_loop *loop, enum scrape_loop_stop how)
{
    bool is_done = false;

    begin_stop(loop, how);
    env_timer_stop(loop->shared->env, &loop->timer); /* on_timer is not running from here on */
    pthread_mutex_lock(&loop->lock);
    if (loop->state == LOOP_WAIT || (loop->state == LOOP_LEAVE && loop->how == SCRAPE_LOOP_NOW))
        is_done = wind_down(loop);
    else if (loop->state == LOOP_LEAVE) /* entered meanwhile, and its timer was stopped just now */
        arm_leave(loop);
    pthread_mutex_unlock(&loop->lock);
    if (is_done)
        finish(loop);
}

struct target *scrape_loop_look(struct scrape_loop *loop, struct scrape_status *status)
{
    struct target *target;

    pthread_mutex_lock(&loop->lock);
    target = target_ref(loop->next_target != NULL ? loop->next_target : loop->target);
    *status = loop->status;
    pthread_mutex_unlock(&loop->lock);
    return target;
}
