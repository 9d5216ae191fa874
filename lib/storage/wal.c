/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/wal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/wal_dir.h"

/* All work on files is done by one job at a time, so that nothing but the queue needs a lock:
 *
 *   write job:  mend | cut | group | ... until there is nothing to do or a new file is awaited
 *   spare job:  makes and preallocates the next segment meanwhile, then wakes the write job
 *
 * A failed group leaves its requests in `lost`; they are answered once a new segment's header,
 * which ends the failed segment at the group's start, is durable. */

enum {
    SEGMENT_SIZE_DEFAULT = 32 << 20,
    SEGMENT_SIZE_MIN = 4 << 10,
    GROUP_SIZE_MAX = 8 << 20, /* bytes gathered for one write; a larger record goes alone */
    GROUP_COUNT_MAX = 4096,
    MEND_TRIES = 3, /* new segments tried before the log gives up until wal_maintain */
};

struct wal_metrics {
    struct metric_counter groups, records, bytes, abandoned;
    struct metric_histogram sync_seconds, group_records;
};

/* One file, of which `size` bytes are written and durable. */
struct wal_segment {
    struct env_file *file; /* owned; NULL: none */
    uint64_t number;
    uint64_t size; /* 0: not even the header */
};

enum spare_state { SPARE_NONE, SPARE_BUSY, SPARE_READY, SPARE_FAILED };

struct wal {
    struct wal_options options;
    char *dir;             /* owned */
    uint64_t segment_size; /* bytes */
    struct wal_metrics metrics;

    pthread_mutex_t lock; /* guards from here to `job`; calls the pool's submit inside */
    struct wal_record *first, *last;
    _Atomic uint32_t queue_count;
    uint64_t seq_next;
    bool busy; /* the write job is submitted or running */
    enum spare_state spare_state;
    struct wal_segment spare; /* BUSY: its number; READY: its file too */
    uint64_t segment_next;    /* number that the next new file gets */
    struct env_op *drain;     /* borrowed; NULL: nobody waits */
    struct env_op *cut;       /* likewise; results in cut_* */
    uint64_t cut_segment, cut_seq, cut_group;
    _Atomic bool mend_wanted;

    struct env_job job, spare_job;
    _Atomic int failed;    /* enum err; ERR_OK while writes work */
    _Atomic int spare_err; /* enum err: why the next segment could not be made */
    _Atomic bool low_space;
    _Atomic uint64_t written_bytes, segment_number, group_count, record_count;

    /* The write job's own. */
    struct wal_segment current;
    uint64_t prev_segment, prev_end; /* of the next segment's header */
    uint64_t group;                  /* number of the next group */
    struct buf buf;
    struct wal_record *in_flight; /* the group that is being written */
    struct wal_record *lost;      /* failed records to be answered */
    enum err lost_err;
    bool abandoned; /* prev_end cuts off a failed group: the next header must be durable first */
    bool mending;   /* trying to get out of `failed` */
    unsigned mend_tries;
};

static double wal_read_queue(const void *metrics)
{
    const struct wal *wal = CONTAINER_OF(metrics, struct wal, metrics);

    return atomic_load(&wal->queue_count);
}

static double wal_read_failed(const void *metrics)
{
    const struct wal *wal = CONTAINER_OF(metrics, struct wal, metrics);

    return wal_check(wal) == ERR_OK ? 0 : 1;
}

static double wal_read_segment(const void *metrics)
{
    const struct wal *wal = CONTAINER_OF(metrics, struct wal, metrics);

    return (double)atomic_load(&wal->segment_number);
}

static const struct metric_buckets group_buckets = {8, {1, 2, 4, 8, 16, 64, 256, 1024}};

static const struct metric_desc wal_metric_descs[] = {
    {"narthex_wal_groups_total", METRIC_COUNTER, offsetof(struct wal_metrics, groups),
     .help = "Groups written and synced."},
    {"narthex_wal_records_total", METRIC_COUNTER, offsetof(struct wal_metrics, records),
     .help = "Records written and synced."},
    {"narthex_wal_written_bytes_total", METRIC_COUNTER, offsetof(struct wal_metrics, bytes),
     .help = "Bytes written to segments."},
    {"narthex_wal_abandoned_segments_total", METRIC_COUNTER,
     offsetof(struct wal_metrics, abandoned),
     .help = "Segments given up after a failed write or sync."},
    {"prometheus_tsdb_wal_fsync_duration_seconds", METRIC_HISTOGRAM,
     offsetof(struct wal_metrics, sync_seconds), .help = "Duration of write log fsync."},
    {"narthex_wal_group_records", METRIC_HISTOGRAM, offsetof(struct wal_metrics, group_records),
     .buckets = &group_buckets, .help = "Records in a group."},
    {"narthex_wal_queue_records", METRIC_GAUGE_FN, .read = wal_read_queue,
     .help = "Records that wait to be written."},
    {"narthex_wal_refusing", METRIC_GAUGE_FN, .read = wal_read_failed,
     .help = "1 while writes are refused for want of space or after an error."},
    {"prometheus_tsdb_wal_segment_current", METRIC_GAUGE_FN, .read = wal_read_segment,
     .help = "Write log segment index that TSDB is currently writing to."},
};

/* ---- the queue ---- */

/* Appends a list of records to the queue. Locked. */
static void queue_push(struct wal *wal, struct wal_record *record)
{
    record->next = NULL;
    if (wal->last != NULL)
        wal->last->next = record;
    else
        wal->first = record;
    wal->last = record;
    wal->queue_count++;
}

/* Puts a kept record back in front. Locked. */
static void queue_push_front(struct wal *wal, struct wal_record *record)
{
    record->next = wal->first;
    wal->first = record;
    if (wal->last == NULL)
        wal->last = record;
    wal->queue_count++;
}

/* Takes the records that are not kept off the queue; returns their list. Locked. */
static struct wal_record *queue_take_losable(struct wal *wal)
{
    struct wal_record *record = wal->first;
    struct wal_record *out = NULL, **tail = &out;

    wal->first = wal->last = NULL;
    wal->queue_count = 0;
    while (record != NULL) {
        struct wal_record *next = record->next;

        if (record->keep) {
            queue_push(wal, record);
        } else {
            *tail = record;
            tail = &record->next;
        }
        record = next;
    }
    *tail = NULL;
    return out;
}

/* Starts the write job unless it is under way. Locked. */
static enum err wal_kick(struct wal *wal)
{
    enum err err = ERR_OK;

    if (wal->busy)
        return ERR_OK;
    wal->job.cancelled = false;
    err = env_submit(wal->options.env, ENV_POOL_DISK, &wal->job);
    if (err == ERR_OK)
        wal->busy = true;
    return err;
}

enum err wal_append(struct wal *wal, struct wal_record *record)
{
    const uint64_t size_max = wal->segment_size - WAL_HEADER_SIZE;
    enum err err = ERR_OK;

    ASSERT(record->payload.len > 0);
    if (record->payload.len > WAL_PAYLOAD_SIZE_MAX ||
        wal_record_size(record->payload.len) > size_max)
        return ERR_TOO_LARGE;
    pthread_mutex_lock(&wal->lock);
    err = (enum err)atomic_load(&wal->failed);
    if (err != ERR_OK && !record->keep) {
        pthread_mutex_unlock(&wal->lock);
        return err;
    }
    if (err == ERR_OK) /* idle means that nothing is queued but what is kept */
        err = wal_kick(wal);
    if (err == ERR_OK || record->keep) {
        record->seq = wal->seq_next++;
        queue_push(wal, record);
        err = ERR_OK;
    }
    pthread_mutex_unlock(&wal->lock);
    return err;
}

/* ---- the spare segment ---- */

static enum err spare_make(struct wal *wal, uint64_t number, struct env_file **out)
{
    struct env *env = wal->options.env;
    char path[WAL_PATH_SIZE];
    struct env_file *file;
    enum err err;

    wal_dir_segment_path(path, wal->dir, number);
    err = FAULT("wal.open")
              ? ERR_IO
              : env->fs->open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &file);
    if (err != ERR_OK)
        return err;
    err = FAULT("wal.allocate") ? ERR_NO_SPACE : file->ops->allocate(file, wal->segment_size);
    if (err == ERR_OK)
        err = FAULT("wal.allocate_sync") ? ERR_IO : file->ops->sync(file);
    if (err == ERR_OK)
        err = FAULT("wal.sync_dir") ? ERR_IO : env->fs->sync_dir(env, wal->dir);
    if (err == ERR_OK) {
        *out = file;
        return ERR_OK;
    }
    (void)file->ops->close(file);
    (void)env->fs->unlink(env, path); /* its space is needed more than its number */
    return err;
}

static void wal_check_space(struct wal *wal)
{
    struct env *env = wal->options.env;
    struct env_space space;
    bool low;

    if (wal->options.low_space_bytes == 0)
        return;
    if (FAULT("wal.space") || env->fs->space(env, wal->dir, &space) != ERR_OK)
        return; /* the next write tells more */
    low = space.free_bytes < wal->options.low_space_bytes;
    if (low != atomic_exchange(&wal->low_space, low)) {
        if (low)
            log_error(wal->options.log, "free space is low, writes are refused",
                      F_UINT("free_bytes", space.free_bytes),
                      F_UINT("wanted_bytes", wal->options.low_space_bytes));
        else
            log_info(wal->options.log, "space is free again, writes are taken",
                     F_UINT("free_bytes", space.free_bytes));
    }
}

static void on_spare_run(struct env_job *job)
{
    struct wal *wal = CONTAINER_OF(job, struct wal, spare_job);

    wal_check_space(wal);
    atomic_store(&wal->spare_err, (int)spare_make(wal, wal->spare.number, &wal->spare.file));
}

/* Answers what waits in the queue when the write job cannot run. Locked on entry, not on exit. */
static void wal_fail_queue_unlock(struct wal *wal, enum err err)
{
    struct wal_record *lost = queue_take_losable(wal);

    pthread_mutex_unlock(&wal->lock);
    if (lost != NULL)
        wal->options.on_group(wal->options.owner, lost, err);
}

/* Locked, and the write job is not running. */
static bool wal_has_work(const struct wal *wal)
{
    if (wal->spare_state == SPARE_BUSY && wal->current.file == NULL && wal->cut == NULL)
        return false; /* the next thing is to take the spare */
    if (wal->cut != NULL || atomic_load(&wal->mend_wanted) || wal->mending)
        return true;
    return atomic_load(&wal->failed) == ERR_OK && (wal->first != NULL || wal->abandoned);
}

/* Tells the one who waits that nothing is under way. Locked on entry, not on exit. */
static void wal_unlock_idle(struct wal *wal)
{
    struct env_op *op = NULL;

    if (!wal->busy && wal->spare_state != SPARE_BUSY && !wal_has_work(wal)) {
        op = wal->drain;
        wal->drain = NULL;
    }
    pthread_mutex_unlock(&wal->lock);
    if (op != NULL)
        env_complete(wal->options.env, op, ERR_OK);
}

/* Starts the write job if there is work; fails what is queued if it cannot. Locked on entry, not on
 * exit. */
static void wal_go_on_unlock(struct wal *wal)
{
    enum err err = ERR_OK;

    if (!wal->busy && wal_has_work(wal))
        err = wal_kick(wal);
    if (err == ERR_OK) {
        wal_unlock_idle(wal);
        return;
    }
    wal_fail_queue_unlock(wal, err);
    pthread_mutex_lock(&wal->lock);
    wal_unlock_idle(wal);
}

static void on_spare_done(struct env_job *job)
{
    struct wal *wal = CONTAINER_OF(job, struct wal, spare_job);

    if (job->err != ERR_OK)
        atomic_store(&wal->spare_err, (int)job->err); /* never ran */
    pthread_mutex_lock(&wal->lock);
    wal->spare_state = atomic_load(&wal->spare_err) == ERR_OK ? SPARE_READY : SPARE_FAILED;
    wal_go_on_unlock(wal);
}

/* Has the next segment made unless it is there. Locked. */
static void spare_start(struct wal *wal)
{
    enum err err;

    if (wal->spare_state != SPARE_NONE)
        return;
    wal->spare_job.cancelled = false;
    wal->spare_state = SPARE_BUSY;
    wal->spare = (struct wal_segment){.number = wal->segment_next++};
    err = env_submit(wal->options.env, ENV_POOL_DISK, &wal->spare_job);
    if (err != ERR_OK) {
        wal->spare_state = SPARE_FAILED;
        atomic_store(&wal->spare_err, (int)err);
    }
}

/* ---- the write job ---- */

enum step { STEP_AGAIN, STEP_WAIT_SPARE, STEP_IDLE };

/* Makes the spare the current segment. */
static enum step wal_take_spare(struct wal *wal, enum err *err)
{
    enum step step = STEP_AGAIN;

    ASSERT(wal->current.file == NULL);
    *err = ERR_OK;
    pthread_mutex_lock(&wal->lock);
    spare_start(wal);
    switch (wal->spare_state) {
    case SPARE_READY:
        wal->current = wal->spare;
        wal->spare = (struct wal_segment){0};
        wal->spare_state = SPARE_NONE;
        break;
    case SPARE_FAILED:
        *err = (enum err)atomic_load(&wal->spare_err);
        wal->spare_state = SPARE_NONE; /* the next try makes a new one */
        break;
    case SPARE_BUSY:
    case SPARE_NONE:
        step = STEP_WAIT_SPARE;
        break;
    }
    pthread_mutex_unlock(&wal->lock);
    return step;
}

/* Closes the current segment; all of its `size` bytes are durable. */
static void wal_leave_current(struct wal *wal)
{
    if (wal->current.file == NULL)
        return;
    if (wal->current.size > 0) {
        wal->prev_segment = wal->current.number;
        wal->prev_end = wal->current.size;
    }
    (void)wal->current.file->ops->close(wal->current.file);
    wal->current = (struct wal_segment){0};
}

/* Writes what is in buf at the end of the current segment and syncs it. */
static enum err wal_write(struct wal *wal)
{
    struct env_file *file = wal->current.file;
    const uint64_t start_ns = env_mono_ns(wal->options.env);
    enum err err;

    err = FAULT("wal.write")
              ? ERR_IO
              : file->ops->write_at(file, wal->current.size, wal->buf.data, wal->buf.len);
    if (err == ERR_OK)
        err = FAULT("wal.sync") ? ERR_IO : file->ops->sync(file);
    if (err != ERR_OK)
        return err;
    wal->current.size += wal->buf.len;
    metric_observe(&wal->metrics.sync_seconds,
                   (double)(env_mono_ns(wal->options.env) - start_ns) / 1e9);
    metric_add(&wal->metrics.bytes, wal->buf.len);
    atomic_fetch_add(&wal->written_bytes, wal->buf.len);
    atomic_store(&wal->segment_number, wal->current.number);
    return ERR_OK;
}

static void wal_add_header(struct wal *wal)
{
    const struct wal_header header = {.segment = wal->current.number,
                                      .prev_segment = wal->prev_segment,
                                      .prev_end = wal->prev_end};
    uint8_t *to = (uint8_t *)buf_reserve(&wal->buf, WAL_HEADER_SIZE);

    ASSERT(to != NULL);
    wal_header_put(to, &header);
    wal->buf.len += WAL_HEADER_SIZE;
}

static void wal_answer(struct wal *wal, struct wal_record *first, enum err err)
{
    if (first != NULL)
        wal->options.on_group(wal->options.owner, first, err);
}

/* Writes are refused until wal_maintain has mended the log. */
static void wal_give_up(struct wal *wal, enum err err)
{
    struct wal_record *lost = wal->lost;
    struct wal_record *queued;

    log_error(wal->options.log, "write-ahead log failed, writes are refused", F_ERR(err, NULL));
    wal->lost = NULL;
    wal->mending = false;
    wal->mend_tries = 0;
    pthread_mutex_lock(&wal->lock);
    atomic_store(&wal->failed, (int)err);
    queued = queue_take_losable(wal);
    pthread_mutex_unlock(&wal->lock);
    wal_answer(wal, lost, err);
    wal_answer(wal, queued, err);
}

/* A group's write or sync failed: nothing of this file behind current.size counts, for ever. */
static void wal_abandon(struct wal *wal, enum err err)
{
    log_error(wal->options.log, "write to the log failed, its segment is abandoned",
              F_ERR(err, NULL), F_UINT("segment", wal->current.number),
              F_UINT("end", wal->current.size));
    metric_inc(&wal->metrics.abandoned);
    wal_leave_current(wal);
    wal->abandoned = true;
    wal->lost_err = err;
}

/* Opens a new segment whose header ends the abandoned one, then answers the lost records. */
static enum step wal_mend(struct wal *wal)
{
    struct wal_record *lost;
    enum err err;

    if (wal_take_spare(wal, &err) == STEP_WAIT_SPARE)
        return STEP_WAIT_SPARE;
    if (err == ERR_OK) {
        buf_reset(&wal->buf);
        wal_add_header(wal);
        err = wal_write(wal);
        if (err != ERR_OK)
            wal_leave_current(wal); /* its header may or may not be there: its number is void */
    }
    if (err != ERR_OK) {
        if (++wal->mend_tries >= MEND_TRIES)
            wal_give_up(wal, err);
        return STEP_AGAIN;
    }
    wal->abandoned = wal->mending = false;
    wal->mend_tries = 0;
    if (atomic_exchange(&wal->failed, ERR_OK) != ERR_OK)
        log_info(wal->options.log, "write-ahead log works again");
    lost = wal->lost;
    wal->lost = NULL;
    wal_answer(wal, lost, wal->lost_err);
    return STEP_AGAIN;
}

/* Takes the next group off the queue: as many records as fit `room` bytes, at least one unless none
 * fits. */
static struct wal_record *wal_take_group(struct wal *wal, uint64_t room, uint32_t *count)
{
    struct wal_record *first, *last = NULL;
    uint64_t size = 0;

    *count = 0;
    pthread_mutex_lock(&wal->lock);
    first = wal->first;
    for (struct wal_record *record = first; record != NULL; record = record->next) {
        size += wal_record_size(record->payload.len);
        if (size > room || (*count > 0 && size > GROUP_SIZE_MAX) || *count == GROUP_COUNT_MAX)
            break;
        ++*count;
        last = record;
    }
    if (last != NULL) {
        wal->first = last->next;
        if (wal->first == NULL)
            wal->last = NULL;
        wal->queue_count -= *count;
        last->next = NULL;
    }
    pthread_mutex_unlock(&wal->lock);
    return last == NULL ? NULL : first;
}

/* Splits a failed group: kept records go back to the front of the queue, the others to `lost`. */
static void wal_lose_group(struct wal *wal, struct wal_record *first)
{
    struct wal_record *kept = NULL, **tail = &wal->lost;

    while (*tail != NULL)
        tail = &(*tail)->next;
    while (first != NULL) {
        struct wal_record *next = first->next;

        first->next = NULL;
        if (first->keep) { /* reversed here, and again by pushing to the front */
            first->next = kept;
            kept = first;
        } else {
            *tail = first;
            tail = &first->next;
        }
        first = next;
    }
    pthread_mutex_lock(&wal->lock);
    while (kept != NULL) {
        struct wal_record *next = kept->next;

        queue_push_front(wal, kept);
        kept = next;
    }
    pthread_mutex_unlock(&wal->lock);
}

static void wal_encode_group(struct wal *wal, const struct wal_record *first, uint32_t count)
{
    buf_reset(&wal->buf);
    if (wal->current.size == 0)
        wal_add_header(wal);
    for (const struct wal_record *record = first; record != NULL; record = record->next) {
        const struct wal_entry entry = {.seq = record->seq,
                                        .group = wal->group,
                                        .group_left = --count,
                                        .kind = (enum wal_kind)record->kind,
                                        .payload = record->payload};
        const size_t size = (size_t)wal_record_size(record->payload.len);
        char *to = buf_reserve(&wal->buf, size);

        ASSERT(to != NULL);
        wal_record_put((uint8_t *)to, &entry, record->payload_crc);
        wal->buf.len += size;
    }
    ASSERT(count == 0);
}

/* Writes one group to the current segment, or leaves it when it is full. */
static enum step wal_write_group(struct wal *wal)
{
    const uint64_t used = wal->current.size == 0 ? WAL_HEADER_SIZE : wal->current.size;
    uint32_t count;
    struct wal_record *first = wal_take_group(wal, wal->segment_size - used, &count);
    enum err err;

    if (first == NULL) {
        ASSERT(used > WAL_HEADER_SIZE); /* any record fits an empty segment */
        wal_leave_current(wal);
        return STEP_AGAIN;
    }
    wal_encode_group(wal, first, count);
    wal->in_flight = first;
    err = wal_write(wal);
    wal->in_flight = NULL;
    if (err != ERR_OK) {
        wal_abandon(wal, err);
        wal_lose_group(wal, first);
        return STEP_AGAIN;
    }
    wal->group++;
    metric_inc(&wal->metrics.groups);
    metric_add(&wal->metrics.records, count);
    metric_observe(&wal->metrics.group_records, count);
    atomic_fetch_add(&wal->group_count, 1);
    atomic_fetch_add(&wal->record_count, count);
    wal_answer(wal, first, ERR_OK);
    if (wal->current.size > wal->segment_size / 2) {
        pthread_mutex_lock(&wal->lock);
        spare_start(wal);
        pthread_mutex_unlock(&wal->lock);
    }
    return STEP_AGAIN;
}

static void wal_do_cut(struct wal *wal)
{
    struct env_op *op;

    wal_leave_current(wal);
    pthread_mutex_lock(&wal->lock);
    op = wal->cut;
    wal->cut = NULL;
    wal->cut_segment = wal->spare_state == SPARE_BUSY || wal->spare_state == SPARE_READY
                           ? wal->spare.number
                           : wal->segment_next;
    wal->cut_seq = (wal->first != NULL ? wal->first->seq : wal->seq_next) - 1;
    wal->cut_group = wal->group - 1;
    pthread_mutex_unlock(&wal->lock);
    env_complete(wal->options.env, op, ERR_OK);
}

/* What wal_maintain asks for. */
static void wal_do_maintain(struct wal *wal)
{
    wal_check_space(wal);
    pthread_mutex_lock(&wal->lock);
    if (wal->spare_state == SPARE_FAILED) {
        wal->spare_state = SPARE_NONE;
        spare_start(wal);
    }
    pthread_mutex_unlock(&wal->lock);
    if (atomic_load(&wal->failed) != ERR_OK)
        wal->mending = true;
}

/* One thing of what there is to do, the most urgent first. */
static enum step wal_step(struct wal *wal)
{
    bool has_cut, has_records;
    enum step step;
    enum err err;

    pthread_mutex_lock(&wal->lock);
    has_cut = wal->cut != NULL;
    has_records = wal->first != NULL;
    pthread_mutex_unlock(&wal->lock);
    if (has_cut) {
        wal_do_cut(wal);
        return STEP_AGAIN;
    }
    if (atomic_exchange(&wal->mend_wanted, false))
        wal_do_maintain(wal);
    if (wal->mending)
        return wal_mend(wal);
    if (atomic_load(&wal->failed) != ERR_OK)
        return STEP_IDLE;
    if (wal->abandoned)
        return wal_mend(wal);
    if (!has_records)
        return STEP_IDLE;
    if (wal->current.file == NULL) {
        step = wal_take_spare(wal, &err);
        if (err != ERR_OK)
            wal_give_up(wal, err);
        return step;
    }
    return wal_write_group(wal);
}

static void on_write_run(struct env_job *job)
{
    struct wal *wal = CONTAINER_OF(job, struct wal, job);

    while (wal_step(wal) == STEP_AGAIN)
        ;
}

static void on_write_done(struct env_job *job)
{
    struct wal *wal = CONTAINER_OF(job, struct wal, job);

    pthread_mutex_lock(&wal->lock);
    wal->busy = false;
    if (job->err != ERR_OK) { /* it never ran: the pool is being stopped */
        wal_fail_queue_unlock(wal, job->err);
        pthread_mutex_lock(&wal->lock);
    }
    wal_go_on_unlock(wal);
}

/* ---- the public part ---- */

enum err wal_open(const struct wal_options *options, const struct wal_start *start,
                  struct wal **out, struct err_info *info)
{
    struct wal *wal;
    enum err err;

    ASSERT(start->segment > start->prev_segment);
    ASSERT(start->seq > 0 && start->group > 0);
    err = options->env->fs->mkdir(options->env, options->dir);
    if (err != ERR_OK && err != ERR_EXISTS)
        return err_set(info, err, "cannot make the directory %s: %s", options->dir, err_text(err));
    wal = mem_zalloc(1, sizeof(*wal));
    wal->options = *options;
    wal->dir = mem_copy_text(options->dir, strlen(options->dir));
    wal->options.dir = wal->dir;
    wal->segment_size =
        options->segment_size == 0 ? SEGMENT_SIZE_DEFAULT : options->segment_size & ~UINT64_C(7);
    if (wal->segment_size < SEGMENT_SIZE_MIN)
        wal->segment_size = SEGMENT_SIZE_MIN;
    pthread_mutex_init(&wal->lock, NULL);
    buf_init(&wal->buf, (size_t)wal->segment_size + WAL_HEADER_SIZE);
    wal->segment_next = start->segment;
    wal->prev_segment = start->prev_segment;
    wal->prev_end = start->prev_end;
    wal->seq_next = start->seq;
    wal->group = start->group;
    wal->job = (struct env_job){.run = on_write_run, .done = on_write_done, .priority = 1};
    wal->spare_job = (struct env_job){.run = on_spare_run, .done = on_spare_done, .priority = 1};
    metric_register(options->registry, wal_metric_descs, COUNT_OF(wal_metric_descs), &wal->metrics);
    *out = wal;
    return ERR_OK;
}

enum err wal_close(struct wal *wal)
{
    enum err err = ERR_OK;

    if (wal == NULL)
        return ERR_OK;
    metric_unregister(wal->options.registry, wal_metric_descs, COUNT_OF(wal_metric_descs),
                      &wal->metrics);
    wal_answer(wal, wal->in_flight, ERR_CLOSED);
    wal_answer(wal, wal->lost, ERR_CLOSED);
    wal_answer(wal, wal->first, ERR_CLOSED);
    if (wal->current.file != NULL)
        err = wal->current.file->ops->close(wal->current.file);
    if (wal->spare_state == SPARE_READY)
        (void)wal->spare.file->ops->close(wal->spare.file);
    pthread_mutex_destroy(&wal->lock);
    buf_fini(&wal->buf);
    mem_free(wal->dir);
    mem_free(wal);
    return err;
}

void wal_drain(struct wal *wal, struct env_op *op)
{
    pthread_mutex_lock(&wal->lock);
    ASSERT(wal->drain == NULL);
    wal->drain = op;
    wal_unlock_idle(wal);
}

enum err wal_check(const struct wal *wal)
{
    const enum err failed = (enum err)atomic_load(&wal->failed);

    if (failed != ERR_OK)
        return failed;
    if (atomic_load(&wal->low_space))
        return ERR_NO_SPACE;
    return (enum err)atomic_load(&wal->spare_err);
}

void wal_maintain(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    atomic_store(&wal->mend_wanted, true);
    wal_go_on_unlock(wal);
}

enum err wal_cut(struct wal *wal, struct wal_cut *out)
{
    struct env_op op = {0};
    enum err err;

    pthread_mutex_lock(&wal->lock);
    if (wal->cut != NULL) {
        pthread_mutex_unlock(&wal->lock);
        return ERR_EXISTS;
    }
    wal->cut = &op;
    err = wal_kick(wal);
    if (err != ERR_OK)
        wal->cut = NULL;
    pthread_mutex_unlock(&wal->lock);
    if (err == ERR_OK)
        err = env_wait(wal->options.env, &op, 0);
    if (err != ERR_OK)
        return err;
    *out =
        (struct wal_cut){.segment = wal->cut_segment, .seq = wal->cut_seq, .group = wal->cut_group};
    return ERR_OK;
}

enum err wal_remove_below(struct wal *wal, uint64_t segment)
{
    struct env *env = wal->options.env;
    struct wal_dir_list list;
    char path[WAL_PATH_SIZE];
    enum err err = wal_dir_list(env, wal->dir, WAL_DIR_SEGMENT, &list);

    for (size_t i = 0; err == ERR_OK && i < list.count && list.numbers[i] < segment; i++) {
        wal_dir_segment_path(path, wal->dir, list.numbers[i]);
        err = FAULT("wal.unlink") ? ERR_IO : env->fs->unlink(env, path);
    }
    wal_dir_list_fini(&list);
    if (err != ERR_OK)
        return err;
    return FAULT("wal.sync_dir") ? ERR_IO : env->fs->sync_dir(env, wal->dir);
}

void wal_get_stats(struct wal *wal, struct wal_stats *stats)
{
    *stats = (struct wal_stats){.written_bytes = atomic_load(&wal->written_bytes),
                                .segment = atomic_load(&wal->segment_number),
                                .groups = atomic_load(&wal->group_count),
                                .records = atomic_load(&wal->record_count),
                                .queue_count = atomic_load(&wal->queue_count)};
}
