/* SPDX-License-Identifier: Apache-2.0 */

/* The queue's directory: what is there at a start, and what may go. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/fault.h"
#include "base/mem.h"
#include "remote/remote_log_internal.h"

enum { NUMBER_DIGITS = 10, SEGMENTS_MAX = 1 << 20, FILE_SIZE_MAX = 1 << 30 };

static const char suffix[] = ".queue";

void remote_log_segment_path(const struct remote_log *log, uint64_t number,
                             char path[REMOTE_LOG_PATH_SIZE])
{
    (void)snprintf(path, REMOTE_LOG_PATH_SIZE, "%s/%0*" PRIu64 "%s", log->path, NUMBER_DIGITS,
                   number, suffix);
}

struct remote_log_segment *remote_log_segment_add(struct remote_log *log,
                                                  const struct remote_log_segment *segment)
{
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap == 0 ? 16 : log->segment_cap * 2;
        log->segments = mem_realloc(log->segments, log->segment_cap * sizeof(*log->segments));
    }
    log->segments[log->segment_count] = *segment;
    log->segment_count++;
    atomic_store(&log->segments_shown, log->segment_count);
    return &log->segments[log->segment_count - 1];
}

/* ---- a start ---- */

static enum err on_name(void *owner, const char *name)
{
    struct remote_log *log = owner;
    struct remote_log_segment segment = {0};

    if (strlen(name) != NUMBER_DIGITS + sizeof(suffix) - 1 ||
        strcmp(name + NUMBER_DIGITS, suffix) != 0)
        return ERR_OK;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return ERR_OK;
        segment.number = segment.number * 10 + (uint64_t)(name[i] - '0');
    }
    if (segment.number == 0)
        return ERR_OK;
    if (log->segment_count == SEGMENTS_MAX)
        return ERR_LIMIT;
    remote_log_segment_add(log, &segment);
    return ERR_OK;
}

static int compare_segments(const void *a, const void *b)
{
    const struct remote_log_segment *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

bool remote_log_find_record(struct slice bytes, size_t *offset, struct remote_record_header *header)
{
    size_t at = *offset;

    while (bytes.len >= REMOTE_RECORD_HEADER_SIZE && at <= bytes.len - REMOTE_RECORD_HEADER_SIZE) {
        const char *found = memchr(bytes.data + at, 'N', bytes.len - at);

        if (found == NULL)
            return false;
        at = (size_t)(found - bytes.data);
        if (at > bytes.len - REMOTE_RECORD_HEADER_SIZE)
            return false;
        if (remote_record_header_get((const uint8_t *)found, header) &&
            header->stored_size <= bytes.len - at - REMOTE_RECORD_HEADER_SIZE &&
            crc32c(0, found + REMOTE_RECORD_HEADER_SIZE, header->stored_size) ==
                header->payload_crc) {
            *offset = at;
            return true;
        }
        at++;
    }
    return false;
}

/* What a file says of itself. */
struct scanned {
    bool has_header, has_records;
    uint64_t seq_first, seq_end; /* of its records */
    uint64_t valid_size;         /* up to the end of the last valid record */
};

static void scan_bytes(struct slice bytes, struct scanned *scanned)
{
    struct remote_record_header header;
    size_t offset = scanned->has_header ? REMOTE_SEGMENT_HEADER_SIZE : 0;

    scanned->valid_size = offset;
    while (remote_log_find_record(bytes, &offset, &header)) {
        if (!scanned->has_records)
            scanned->seq_first = header.first_seq;
        scanned->has_records = true;
        if (header.first_seq + header.item_count > scanned->seq_end)
            scanned->seq_end = header.first_seq + header.item_count;
        offset += REMOTE_RECORD_HEADER_SIZE + header.stored_size;
        scanned->valid_size = offset;
    }
}

static enum err scan_whole(struct env_file *file, uint64_t size, struct scanned *scanned)
{
    size_t got = 0;
    char *bytes;
    enum err err;

    if (size > FILE_SIZE_MAX)
        return ERR_TOO_LARGE;
    if (size == 0)
        return ERR_OK;
    bytes = mem_alloc((size_t)size);
    err = FAULT("remote.read") ? ERR_IO : file->ops->read_at(file, 0, bytes, (size_t)size, &got);
    if (err == ERR_OK)
        scan_bytes(slice_of(bytes, got), scanned);
    mem_free(bytes);
    return err;
}

/* Reads a segment's header; the last one, and one with a bad header, whole. */
static enum err scan_file(struct remote_log_segment *segment, struct env_file *file, bool is_last,
                          struct scanned *scanned, struct err_info *info)
{
    uint8_t bytes[REMOTE_SEGMENT_HEADER_SIZE];
    struct remote_segment_header header;
    struct err_info why = {{0}};
    uint64_t size = 0;
    size_t got = 0;
    enum err err = FAULT("remote.size") ? ERR_IO : file->ops->size(file, &size);

    if (err == ERR_OK)
        err =
            FAULT("remote.read") ? ERR_IO : file->ops->read_at(file, 0, bytes, sizeof(bytes), &got);
    if (err != ERR_OK)
        return err;
    segment->size = size;
    err = remote_segment_header_get(slice_of(bytes, got), &header, &why);
    if (err == ERR_VERSION)
        return err_set(info, err, "%s", why.message);
    scanned->has_header = err == ERR_OK && header.number == segment->number;
    if (scanned->has_header) {
        segment->first_seq = header.first_seq;
        segment->created_ms = header.created_ms;
    }
    return is_last || !scanned->has_header ? scan_whole(file, size, scanned) : ERR_OK;
}

/* Cuts what is behind the last valid record, so that nobody meets it again. */
static void cut_tail(struct remote_log *log, struct remote_log_segment *segment,
                     struct env_file *file, uint64_t valid_size)
{
    if (segment->size == valid_size)
        return;
    if (!FAULT("remote.truncate") && file->ops->truncate(file, valid_size) == ERR_OK)
        log_debug(log->options.log, "remote write: end of the queue cut",
                  F_UINT("segment", segment->number), F_UINT("bytes", segment->size - valid_size));
    segment->size = valid_size; /* readers stop here all the same */
}

/* *keep: the segment has something to say. */
static enum err scan_segment(struct remote_log *log, struct remote_log_segment *segment,
                             bool is_last, bool *keep, struct err_info *info)
{
    struct env *env = log->options.env;
    struct scanned scanned = {0};
    char path[REMOTE_LOG_PATH_SIZE];
    struct env_file *file;
    enum err err;

    remote_log_segment_path(log, segment->number, path);
    err = FAULT("remote.open") ? ERR_IO
                               : env->fs->open(env, path, ENV_OPEN_READ | ENV_OPEN_WRITE, &file);
    if (err == ERR_OK) {
        err = scan_file(segment, file, is_last, &scanned, info);
        if (err == ERR_OK && (is_last || !scanned.has_header))
            cut_tail(log, segment, file, scanned.valid_size);
        (void)file->ops->close(file);
    }
    if (err != ERR_OK) {
        err_prefix(info, "%s", path);
        return err_set(info, err, "%s: %s", path, err_text(err));
    }
    *keep = scanned.has_header || scanned.has_records;
    if (!scanned.has_header && scanned.has_records) {
        log_error(log->options.log, "remote write: header of a queue segment is corrupt",
                  F_UINT("segment", segment->number));
        metric_inc(&log->metrics.corrupt);
        segment->first_seq = scanned.seq_first;
    }
    if (segment->first_seq > log->seq_next)
        log->seq_next = segment->first_seq;
    if (scanned.seq_end > log->seq_next)
        log->seq_next = scanned.seq_end;
    return ERR_OK;
}

enum err remote_log_scan_dir(struct remote_log *log, struct err_info *info)
{
    struct env *env = log->options.env;
    size_t kept = 0;
    enum err err = FAULT("remote.list") ? ERR_IO : env->fs->list(env, log->path, on_name, log);

    if (err != ERR_OK)
        return err_set(info, err, "cannot list %s: %s", log->path, err_text(err));
    if (log->segment_count > 0)
        qsort(log->segments, log->segment_count, sizeof(*log->segments), compare_segments);
    log->seq_next = 1;
    log->segment = 1;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct remote_log_segment segment = log->segments[i];
        bool keep = false;

        err = scan_segment(log, &segment, i + 1 == log->segment_count, &keep, info);
        if (err != ERR_OK)
            return err;
        log->segment = segment.number + 1;
        if (keep) {
            log->segments[kept++] = segment;
            atomic_fetch_add(&log->size_bytes, segment.size);
            continue;
        }
        /* Made, and never written to. */
        char path[REMOTE_LOG_PATH_SIZE];

        remote_log_segment_path(log, segment.number, path);
        (void)env->fs->unlink(env, path);
    }
    log->segment_count = kept;
    atomic_store(&log->segments_shown, kept);
    log->removed_seq = kept > 0 ? log->segments[0].first_seq : log->seq_next;
    return ERR_OK;
}

/* ---- what may go ---- */

/* The lowest number that somebody needs. Locked. */
static uint64_t lowest_mark(const struct remote_log *log)
{
    uint64_t seq = log->seq_next;

    LIST_EACH(&log->users, node)
    {
        const struct remote_log_user *user = CONTAINER_OF(node, struct remote_log_user, node);

        if (user->seq < seq)
            seq = user->seq;
    }
    return seq;
}

/* Takes the first segment off the list if it must go; never the last. Locked. */
static bool take_old(struct remote_log *log, struct remote_log_segment *taken, bool *is_needed)
{
    const struct remote_log_options *options = &log->options;
    const int64_t now_ms = env_now_ms(options->env);
    bool is_over;

    /* Once closed, those who have left may come back at the next start. */
    if (log->segment_count < 2 || log->closed)
        return false;
    *is_needed = log->segments[1].first_seq > lowest_mark(log);
    is_over = (options->size_max != 0 && atomic_load(&log->size_bytes) > options->size_max) ||
              (options->age_ms_max != 0 && log->segments[1].created_ms != 0 &&
               log->segments[1].created_ms < now_ms - options->age_ms_max);
    if (*is_needed && !is_over)
        return false;
    *taken = log->segments[0];
    log->removed_seq = log->segments[1].first_seq;
    log->segment_count--;
    memmove(log->segments, log->segments + 1, log->segment_count * sizeof(*log->segments));
    atomic_store(&log->segments_shown, log->segment_count);
    return true;
}

void remote_log_remove_old(struct remote_log *log)
{
    struct env *env = log->options.env;
    struct remote_log_segment taken;
    char path[REMOTE_LOG_PATH_SIZE];
    bool is_needed, took;

    for (;;) {
        enum err err;

        pthread_mutex_lock(&log->lock);
        took = take_old(log, &taken, &is_needed);
        pthread_mutex_unlock(&log->lock);
        if (!took)
            return;
        remote_log_segment_path(log, taken.number, path);
        err = FAULT("remote.unlink") ? ERR_IO : env->fs->unlink(env, path);
        atomic_fetch_sub(&log->size_bytes, taken.size);
        if (err != ERR_OK)
            log_warn(log->options.log, "remote write: cannot remove a segment of the queue",
                     F_STR("path", path), F_ERR(err, NULL));
        if (!is_needed)
            continue;
        metric_inc(&log->metrics.removed_unsent);
        log_error(log->options.log,
                  "remote write: the queue is over its bounds, the oldest samples are dropped "
                  "before they were sent",
                  F_UINT("segment", taken.number), F_UINT("bytes", taken.size));
    }
}
