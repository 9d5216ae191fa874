/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_log.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/fault.h"
#include "base/mem.h"
#include "codec/snappy.h"
#include "remote/remote_log_internal.h"

/* One job at a time writes: it takes all chunks that are there as one group, writes them with one
 * call per segment and syncs, so that many small transactions share a sync. */

enum {
    SEGMENT_SIZE_DEFAULT = 32 << 20,
    BUFFER_SIZE_DEFAULT = 64 << 20,
    SEGMENT_AGE_MS_MAX = 3600 * 1000, /* then a new one, so that old ones can go */
    COMPRESS_SIZE_MIN = 128,
    OUT_SIZE_MAX = 1 << 30,
    OUT_SIZE_KEPT = 4 << 20,
};

static double read_size(const void *metrics)
{
    return (double)atomic_load(
        &CONTAINER_OF(metrics, const struct remote_log, metrics)->size_bytes);
}

static double read_segments(const void *metrics)
{
    return (double)atomic_load(
        &CONTAINER_OF(metrics, const struct remote_log, metrics)->segments_shown);
}

static const struct metric_desc remote_log_metric_descs[] = {
    {"narthex_remote_log_records_total", METRIC_COUNTER,
     offsetof(struct remote_log_metrics, records),
     .help = "Records written to the queue of remote write and synced."},
    {"narthex_remote_log_written_bytes_total", METRIC_COUNTER,
     offsetof(struct remote_log_metrics, written_bytes),
     .help = "Bytes written to the queue of remote write."},
    {"narthex_remote_log_failed_items_total", METRIC_COUNTER,
     offsetof(struct remote_log_metrics, failed_items),
     .help = "Samples and other items that could not be written to the queue of remote write."},
    {"narthex_remote_log_corrupt_total", METRIC_COUNTER,
     offsetof(struct remote_log_metrics, corrupt),
     .help = "Places in the queue of remote write that were not readable and skipped."},
    {"narthex_remote_log_removed_unsent_segments_total", METRIC_COUNTER,
     offsetof(struct remote_log_metrics, removed_unsent),
     .help = "Segments of the queue of remote write removed by its bounds before all was sent."},
    {"narthex_remote_log_sync_seconds", METRIC_HISTOGRAM,
     offsetof(struct remote_log_metrics, sync_seconds),
     .help = "Time of one write and sync of the queue of remote write."},
    {"narthex_remote_log_bytes", METRIC_GAUGE_FN, .read = read_size,
     .help = "Bytes of all segments of the queue of remote write."},
    {"narthex_remote_log_segments", METRIC_GAUGE_FN, .read = read_segments,
     .help = "Segments of the queue of remote write."},
};

/* ---- the queue in memory ---- */

/* Starts the write job unless it is under way. Locked. */
static void log_kick(struct remote_log *log)
{
    if (log->busy)
        return;
    log->job.cancelled = false;
    if (env_submit(log->options.env, ENV_POOL_DISK, &log->job) == ERR_OK)
        log->busy = true;
    /* Else the next transaction or the timer tries again: the buffer's bound holds. */
}

enum err remote_log_begin(struct remote_log *log)
{
    enum err err = ERR_OK;

    pthread_mutex_lock(&log->lock);
    if (log->closed)
        err = ERR_CLOSED;
    else if (log->buffered_bytes >= log->options.buffer_size_max)
        err = ERR_FULL;
    if (err != ERR_OK) {
        log_kick(log);
        pthread_mutex_unlock(&log->lock);
    }
    return err;
}

/* A chunk with room. Locked. */
static struct remote_log_chunk *log_chunk(struct remote_log *log)
{
    struct remote_log_chunk *chunk = log->last;

    if (chunk != NULL && chunk->segment == log->segment &&
        chunk->payload.len < REMOTE_LOG_CHUNK_SIZE)
        return chunk;
    chunk = mem_zalloc(1, sizeof(*chunk));
    chunk->segment = log->segment;
    chunk->first_seq = log->seq_next;
    buf_init(&chunk->payload, REMOTE_PAYLOAD_SIZE_MAX);
    if (log->last != NULL)
        log->last->next = chunk;
    else
        log->first = chunk;
    log->last = chunk;
    return chunk;
}

enum err remote_log_put(struct remote_log *log, struct remote_log_series *series,
                        struct remote_entry *entry)
{
    const struct slice labels = series != NULL ? series->labels : (struct slice){0};
    struct remote_log_chunk *chunk;
    size_t before;

    if (labels.len > REMOTE_LOG_ENTRY_SIZE_MAX || entry->body.len > REMOTE_LOG_ENTRY_SIZE_MAX)
        return ERR_TOO_LARGE;
    chunk = log_chunk(log);
    before = chunk->payload.len;
    entry->series = series != NULL ? series->id : 0;
    if (series != NULL && series->defined_in != log->segment) {
        remote_entry_put(&chunk->payload, &chunk->base,
                         &(struct remote_entry){
                             .kind = REMOTE_ENTRY_DEFINE, .series = series->id, .body = labels});
        series->defined_in = log->segment;
    }
    remote_entry_put(&chunk->payload, &chunk->base, entry);
    ASSERT(chunk->payload.err == ERR_OK);
    chunk->item_count++;
    log->seq_next++;
    log->buffered_bytes += chunk->payload.len - before;
    return ERR_OK;
}

void remote_log_end(struct remote_log *log, struct remote_log_wait *wait)
{
    struct remote_log_chunk *chunk = log->last;

    /* With nothing in memory all that was put before is durable, or this transaction is empty. */
    if (chunk == NULL && wait != NULL)
        chunk = log_chunk(log);
    if (wait != NULL) {
        wait->next = chunk->waits;
        chunk->waits = wait;
    }
    if (chunk != NULL)
        log_kick(log);
    pthread_mutex_unlock(&log->lock);
}

void remote_log_locked(struct remote_log *log, void (*fn)(void *owner), void *owner)
{
    pthread_mutex_lock(&log->lock);
    fn(owner);
    pthread_mutex_unlock(&log->lock);
}

/* ---- the file ---- */

/* Leaves the open segment at what is durable of it. The space behind that is given back; should
 * that fail, zeros stay or a tail that readers know to pass over. */
static void file_leave(struct remote_log *log)
{
    struct env_file *file = log->file;

    if (file == NULL)
        return;
    if (!FAULT("remote.truncate"))
        (void)file->ops->truncate(file, log->file_size);
    (void)file->ops->close(file);
    log->file = NULL;
}

static enum err file_start(struct remote_log *log, const struct remote_log_chunk *chunk)
{
    struct env *env = log->options.env;
    const struct remote_segment_header header = {
        .number = chunk->segment, .first_seq = chunk->first_seq, .created_ms = env_now_ms(env)};
    uint8_t bytes[REMOTE_SEGMENT_HEADER_SIZE];
    char path[REMOTE_LOG_PATH_SIZE];
    struct env_file *file;
    enum err err;

    file_leave(log);
    remote_log_segment_path(log, chunk->segment, path);
    err = FAULT("remote.open")
              ? ERR_IO
              : env->fs->open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &file);
    if (err != ERR_OK)
        return err;
    err = FAULT("remote.allocate") ? ERR_NO_SPACE
                                   : file->ops->allocate(file, log->options.segment_size);
    remote_segment_header_put(bytes, &header);
    if (err == ERR_OK)
        err = FAULT("remote.write") ? ERR_IO : file->ops->write_at(file, 0, bytes, sizeof(bytes));
    if (err == ERR_OK)
        err = FAULT("remote.sync") ? ERR_IO : file->ops->sync(file);
    if (err == ERR_OK)
        err = FAULT("remote.sync_dir") ? ERR_IO : env->fs->sync_dir(env, log->path);
    if (err != ERR_OK) {
        (void)file->ops->close(file);
        (void)env->fs->unlink(env, path); /* its space is needed more than its number */
        return err;
    }
    log->file = file;
    log->file_number = chunk->segment;
    log->file_size = sizeof(bytes);
    log->file_created_ms = header.created_ms;
    pthread_mutex_lock(&log->lock);
    remote_log_segment_add(log, &(struct remote_log_segment){.number = chunk->segment,
                                                             .first_seq = chunk->first_seq,
                                                             .created_ms = header.created_ms,
                                                             .size = log->file_size});
    pthread_mutex_unlock(&log->lock);
    atomic_fetch_add(&log->size_bytes, log->file_size);
    return ERR_OK;
}

/* Appends the chunk's record to `out`. */
static void out_add(struct remote_log *log, const struct remote_log_chunk *chunk)
{
    struct remote_record_header header = {.raw_size = (uint32_t)chunk->payload.len,
                                          .first_seq = chunk->first_seq,
                                          .item_count = chunk->item_count,
                                          .written_ms = env_now_ms(log->options.env)};
    const size_t at = log->out.len;
    uint8_t bytes[REMOTE_RECORD_HEADER_SIZE] = {0};
    size_t stored;

    buf_add(&log->out, bytes, sizeof(bytes)); /* its place */
    if (chunk->payload.len >= COMPRESS_SIZE_MIN)
        snappy_block_encode(&log->out, buf_slice(&chunk->payload));
    stored = log->out.len - at - sizeof(bytes);
    if (stored == 0 || stored >= chunk->payload.len) {
        log->out.len = at + sizeof(bytes);
        buf_add_slice(&log->out, buf_slice(&chunk->payload));
        stored = chunk->payload.len;
    }
    ASSERT(log->out.err == ERR_OK);
    header.stored_size = (uint32_t)stored;
    header.payload_crc = crc32c(0, log->out.data + at + sizeof(bytes), stored);
    remote_record_header_put(bytes, &header);
    memcpy(log->out.data + at, bytes, sizeof(bytes));
}

/* Writes `out` and makes it durable; readers see it from then on. */
static enum err out_flush(struct remote_log *log)
{
    struct env *env = log->options.env;
    const uint64_t start_ns = env_mono_ns(env);
    enum err err;

    if (log->out.len == 0)
        return ERR_OK;
    err = FAULT("remote.write")
              ? ERR_IO
              : log->file->ops->write_at(log->file, log->file_size, log->out.data, log->out.len);
    if (err == ERR_OK)
        err = FAULT("remote.sync") ? ERR_IO : log->file->ops->sync(log->file);
    if (err != ERR_OK)
        return err;
    log->file_size += log->out.len;
    metric_add(&log->metrics.written_bytes, log->out.len);
    metric_observe(&log->metrics.sync_seconds, (double)(env_mono_ns(env) - start_ns) / 1e9);
    atomic_fetch_add(&log->size_bytes, log->out.len);
    pthread_mutex_lock(&log->lock);
    ASSERT(log->segment_count > 0);
    log->segments[log->segment_count - 1].size = log->file_size;
    pthread_mutex_unlock(&log->lock);
    buf_reset(&log->out);
    return ERR_OK;
}

/* ---- the write job ---- */

static void answer(struct remote_log *log, struct remote_log_chunk *chunk, enum err err)
{
    while (chunk->waits != NULL) {
        struct remote_log_wait *wait = chunk->waits;

        chunk->waits = wait->next;
        wait->done(wait, err);
    }
    if (err != ERR_OK)
        metric_add(&log->metrics.failed_items, chunk->item_count);
    else if (chunk->item_count > 0)
        metric_inc(&log->metrics.records);
}

/* The open segment, and chunks that are to follow in it, are given up. */
static void log_give_up(struct remote_log *log, uint64_t segment, enum err err)
{
    log_error(log->options.log, "remote write: the queue cannot be written",
              F_UINT("segment", segment), F_ERR(err, NULL));
    buf_reset(&log->out);
    file_leave(log);
    pthread_mutex_lock(&log->lock);
    log->failed_segment = segment;
    if (log->segment <= segment)
        log->segment = segment + 1;
    pthread_mutex_unlock(&log->lock);
}

/* Answers what was written since the last answer. */
static struct remote_log_chunk *answer_until(struct remote_log *log, struct remote_log_chunk *chunk,
                                             const struct remote_log_chunk *end, enum err err)
{
    while (chunk != end) {
        struct remote_log_chunk *next = chunk->next;

        answer(log, chunk, err);
        buf_fini(&chunk->payload);
        mem_free(chunk);
        chunk = next;
    }
    return chunk;
}

static enum err write_chunk(struct remote_log *log, struct remote_log_chunk **first,
                            struct remote_log_chunk *chunk)
{
    enum err err;

    if (chunk->item_count == 0)
        return ERR_OK;
    if (chunk->segment <= log->failed_segment)
        return ERR_IO;
    if (log->file == NULL || log->file_number != chunk->segment) {
        err = out_flush(log);
        *first = answer_until(log, *first, chunk, err);
        if (err != ERR_OK)
            log_give_up(log, log->file_number, err);
        err = file_start(log, chunk);
        if (err != ERR_OK)
            return err;
    }
    out_add(log, chunk);
    return ERR_OK;
}

/* Writes a group and answers it. Frees the chunks. */
static void write_group(struct remote_log *log, struct remote_log_chunk *first)
{
    enum err err = ERR_OK;

    for (struct remote_log_chunk *chunk = first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        err = write_chunk(log, &first, chunk);
        if (err == ERR_OK)
            continue;
        /* Nothing is in `out` of another segment than this one. */
        if (chunk->segment > log->failed_segment)
            log_give_up(log, chunk->segment, err);
        first = answer_until(log, first, next, err);
    }
    err = out_flush(log);
    if (err != ERR_OK)
        log_give_up(log, log->file_number, err);
    (void)answer_until(log, first, NULL, err);
    if (log->out.cap > OUT_SIZE_KEPT)
        buf_fini(&log->out);
}

static void log_tell_users(struct remote_log *log)
{
    pthread_mutex_lock(&log->lock);
    LIST_EACH(&log->users, node)
    {
        struct remote_log_user *user = CONTAINER_OF(node, struct remote_log_user, node);

        if (user->on_data != NULL)
            user->on_data(user);
    }
    /* Full or old: later items go to a new file. */
    if (log->file != NULL && log->segment == log->file_number &&
        (log->file_size >= log->options.segment_size ||
         env_now_ms(log->options.env) - log->file_created_ms > SEGMENT_AGE_MS_MAX))
        log->segment++;
    pthread_mutex_unlock(&log->lock);
}

static void on_write_run(struct env_job *job)
{
    struct remote_log *log = CONTAINER_OF(job, struct remote_log, job);

    for (;;) {
        struct remote_log_chunk *first;
        uint64_t bytes;
        bool trims;

        pthread_mutex_lock(&log->lock);
        first = log->first;
        bytes = log->buffered_bytes;
        log->first = log->last = NULL;
        trims = log->trim_wanted;
        log->trim_wanted = false;
        pthread_mutex_unlock(&log->lock);
        if (first == NULL && !trims)
            return;
        if (first != NULL) {
            write_group(log, first);
            log_tell_users(log);
        }
        remote_log_remove_old(log);
        pthread_mutex_lock(&log->lock);
        log->buffered_bytes -= bytes;
        pthread_mutex_unlock(&log->lock);
    }
}

static void on_write_done(struct env_job *job)
{
    struct remote_log *log = CONTAINER_OF(job, struct remote_log, job);
    struct env_op *op = NULL;

    pthread_mutex_lock(&log->lock);
    log->busy = false;
    if (log->first != NULL || log->trim_wanted)
        log_kick(log);
    if (!log->busy) {
        op = log->idle;
        log->idle = NULL;
    }
    pthread_mutex_unlock(&log->lock);
    if (op != NULL)
        env_complete(log->options.env, op, ERR_OK); /* the log may be gone after this */
}

/* ---- users ---- */

void remote_log_join(struct remote_log *log, struct remote_log_user *user, uint64_t seq)
{
    pthread_mutex_lock(&log->lock);
    user->seq = seq;
    list_push_back(&log->users, &user->node);
    pthread_mutex_unlock(&log->lock);
}

void remote_log_leave(struct remote_log *log, struct remote_log_user *user)
{
    pthread_mutex_lock(&log->lock);
    list_remove(&user->node);
    pthread_mutex_unlock(&log->lock);
}

void remote_log_mute(struct remote_log *log, struct remote_log_user *user)
{
    pthread_mutex_lock(&log->lock);
    user->on_data = NULL;
    pthread_mutex_unlock(&log->lock);
}

void remote_log_mark(struct remote_log *log, struct remote_log_user *user, uint64_t seq)
{
    pthread_mutex_lock(&log->lock);
    ASSERT(seq >= user->seq);
    user->seq = seq;
    if (log->segment_count > 1 && log->segments[1].first_seq <= seq && !log->closed) {
        log->trim_wanted = true;
        log_kick(log);
    }
    pthread_mutex_unlock(&log->lock);
}

void remote_log_trim(struct remote_log *log)
{
    pthread_mutex_lock(&log->lock);
    if (!log->closed) {
        log->trim_wanted = true;
        log_kick(log);
    }
    pthread_mutex_unlock(&log->lock);
}

uint64_t remote_log_seq_next(struct remote_log *log)
{
    uint64_t seq;

    pthread_mutex_lock(&log->lock);
    seq = log->seq_next;
    pthread_mutex_unlock(&log->lock);
    return seq;
}

uint64_t remote_log_seq_start(const struct remote_log *log)
{
    return log->seq_start;
}

uint64_t remote_log_item_count(const struct remote_log *log)
{
    /* Numbers are given without gaps in one life. */
    return remote_log_seq_next((struct remote_log *)log) - log->seq_start;
}

/* ---- life ---- */

static enum err log_open_dir(struct remote_log *log, struct err_info *info)
{
    struct env *env = log->options.env;
    char path[REMOTE_LOG_PATH_SIZE];
    enum err err;

    if (strlen(log->path) + 32 > sizeof(path))
        return err_set(info, ERR_BAD_INPUT, "%s: the path is too long", log->path);
    err = FAULT("remote.mkdir") ? ERR_IO : env->fs->mkdir(env, log->path);
    if (err != ERR_OK && err != ERR_EXISTS)
        return err_set(info, err, "cannot make %s: %s", log->path, err_text(err));
    (void)snprintf(path, sizeof(path), "%s/lock", log->path);
    err = FAULT("remote.lock") ? ERR_IO : env->fs->lock(env, path, &log->dir_lock);
    if (err == ERR_EXISTS)
        return err_set(info, err, "%s is in use by another process", log->path);
    if (err != ERR_OK)
        return err_set(info, err, "cannot lock %s: %s", log->path, err_text(err));
    return remote_log_scan_dir(log, info);
}

enum err remote_log_open(const struct remote_log_options *options, struct remote_log **out,
                         struct err_info *info)
{
    struct remote_log *log = mem_zalloc(1, sizeof(*log));
    enum err err;

    log->options = *options;
    if (log->options.segment_size == 0)
        log->options.segment_size = SEGMENT_SIZE_DEFAULT;
    if (log->options.buffer_size_max == 0)
        log->options.buffer_size_max = BUFFER_SIZE_DEFAULT;
    log->path = mem_copy_text(options->path, strlen(options->path));
    log->options.path = log->path;
    pthread_mutex_init(&log->lock, NULL);
    list_init(&log->users);
    buf_init(&log->out, OUT_SIZE_MAX);
    log->job = (struct env_job){.run = on_write_run, .done = on_write_done, .priority = 1};
    metric_register(options->metrics, remote_log_metric_descs, COUNT_OF(remote_log_metric_descs),
                    &log->metrics);
    err = log_open_dir(log, info);
    if (err != ERR_OK) {
        remote_log_close(log);
        return err;
    }
    log->seq_start = log->seq_next;
    *out = log;
    return ERR_OK;
}

enum err remote_log_stop(struct remote_log *log, uint64_t deadline_ns)
{
    struct env_op op = {0};
    enum err err = ERR_OK;
    bool waits;

    pthread_mutex_lock(&log->lock);
    log->closed = true;
    if (log->first != NULL)
        log_kick(log);
    waits = log->busy;
    if (waits)
        log->idle = &op;
    pthread_mutex_unlock(&log->lock);
    if (waits)
        err = env_wait(log->options.env, &op, deadline_ns);
    if (err == ERR_DEADLINE)
        (void)env_wait(log->options.env, &op, 0); /* a write under way ends */
    on_write_run(&log->job);                      /* what a full pool had no room for */
    return err;
}

void remote_log_close(struct remote_log *log)
{
    if (log == NULL)
        return;
    ASSERT(!log->busy);
    ASSERT(list_is_empty(&log->users));
    (void)answer_until(log, log->first, NULL, ERR_CLOSED);
    file_leave(log);
    if (log->dir_lock != NULL)
        (void)log->dir_lock->ops->close(log->dir_lock);
    metric_unregister(log->options.metrics, remote_log_metric_descs,
                      COUNT_OF(remote_log_metric_descs), &log->metrics);
    buf_fini(&log->out);
    mem_free(log->segments);
    pthread_mutex_destroy(&log->lock);
    mem_free(log->path);
    mem_free(log);
}
