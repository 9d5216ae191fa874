/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/wal.h"
#include "storage/wal_dir.h"

/* The headers of all segments are read first: each says where the one before it ends, so that what
 * was cut or abandoned before is not read again. Then the records, segment by segment. */

enum { REPLAY_SEGMENT_SIZE_MAX = 1 << 30 }; /* of a larger file the rest is not ours */

struct replay_segment {
    uint64_t number;
    struct wal_header header;
    bool header_ok;
    bool is_void; /* abandoned before anything of it counted */
    uint64_t end; /* UINT64_MAX: not known */
};

struct replay {
    const struct wal_replay_options *options;
    struct wal_replay_stats *stats;
    struct err_info *info;
    struct replay_segment *segments; /* owned */
    size_t count;
    struct buf buf; /* the segment at hand */
    uint64_t seq, group;
};

/* Lists the segments; unlinks those that the checkpoint has made unnecessary. */
static enum err replay_list(struct replay *replay)
{
    const struct wal_replay_options *options = replay->options;
    struct env *env = options->env;
    struct wal_dir_list list;
    char path[WAL_PATH_SIZE];
    enum err err = wal_dir_list(env, options->dir, WAL_DIR_SEGMENT, &list);

    if (err != ERR_OK)
        return err_set(replay->info, err, "cannot list %s: %s", options->dir, err_text(err));
    if (list.count > 0)
        replay->segments = mem_zalloc(list.count, sizeof(*replay->segments));
    for (size_t i = 0; i < list.count; i++) {
        if (list.numbers[i] >= options->segment_min) {
            replay->segments[replay->count++] =
                (struct replay_segment){.number = list.numbers[i], .end = UINT64_MAX};
            continue;
        }
        wal_dir_segment_path(path, options->dir, list.numbers[i]);
        if (FAULT("wal.unlink") || env->fs->unlink(env, path) != ERR_OK)
            log_warn(options->log, "old log segment cannot be removed", F_STR("path", path));
    }
    wal_dir_list_fini(&list);
    return ERR_OK;
}

/* Reads up to size_max bytes of a segment into buf. */
static enum err replay_read(struct replay *replay, uint64_t number, uint64_t size_max)
{
    struct env *env = replay->options->env;
    char path[WAL_PATH_SIZE];
    struct env_file *file;
    uint64_t size = 0;
    size_t got = 0;
    char *to;
    enum err err;

    buf_reset(&replay->buf);
    wal_dir_segment_path(path, replay->options->dir, number);
    err = FAULT("wal.open_read") ? ERR_IO : env->fs->open(env, path, ENV_OPEN_READ, &file);
    if (err != ERR_OK)
        return err_set(replay->info, err, "cannot open %s: %s", path, err_text(err));
    err = FAULT("wal.size") ? ERR_IO : file->ops->size(file, &size);
    size = size < size_max ? size : size_max;
    if (err == ERR_OK && size > 0) {
        to = buf_reserve(&replay->buf, (size_t)size);
        err = to == NULL          ? ERR_TOO_LARGE
              : FAULT("wal.read") ? ERR_IO
                                  : file->ops->read_at(file, 0, to, (size_t)size, &got);
    }
    if (err == ERR_OK)
        replay->buf.len = got;
    (void)file->ops->close(file);
    if (err != ERR_OK)
        return err_set(replay->info, err, "cannot read %s: %s", path, err_text(err));
    return ERR_OK;
}

static void replay_report(struct replay *replay, uint64_t number, uint64_t offset,
                          const struct err_info *detail)
{
    replay->stats->corruptions++;
    log_error(replay->options->log, "write-ahead log is corrupt", F_UINT("segment", number),
              F_UINT("offset", offset), F_ERR(ERR_CORRUPT, detail));
}

static bool is_zero(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != 0)
            return false;
    return true;
}

/* Reads one header and tells the segments before it what it says about them. */
static enum err replay_header(struct replay *replay, size_t index)
{
    struct replay_segment *segment = &replay->segments[index];
    struct err_info detail = {{0}};
    enum err err = replay_read(replay, segment->number, WAL_HEADER_SIZE);

    if (err != ERR_OK)
        return err;
    err = wal_header_get(buf_slice(&replay->buf), &segment->header, &detail);
    if (err == ERR_OK && segment->header.segment != segment->number)
        err = err_set(&detail, ERR_CORRUPT, "segment header has another number");
    if (err == ERR_VERSION)
        return err_set(replay->info, err, "log segment %llu: %s",
                       (unsigned long long)segment->number, detail.message);
    segment->header_ok = err == ERR_OK;
    segment->is_void = !segment->header_ok && is_zero(buf_slice(&replay->buf));
    if (!segment->header_ok)
        return ERR_OK;
    for (size_t i = index; i-- > 0;) {
        struct replay_segment *older = &replay->segments[i];

        if (older->number < segment->header.prev_segment)
            break;
        if (older->number == segment->header.prev_segment)
            older->end = segment->header.prev_end;
        else
            older->is_void = true;
    }
    return ERR_OK;
}

/* One segment's records. *end: where what counts of it ends. */
static enum err replay_records(struct replay *replay, const struct replay_segment *segment,
                               uint64_t *end)
{
    const struct wal_replay_options *options = replay->options;
    struct wal_entry entry;
    struct wal_scan scan;
    enum err err = replay_read(replay, segment->number, REPLAY_SEGMENT_SIZE_MAX);

    if (err != ERR_OK)
        return err;
    wal_scan_init(&scan, buf_slice(&replay->buf), segment->end);
    scan.group = replay->group;
    while (wal_scan_next(&scan, &entry)) {
        err = options->on_record(options->owner, &entry);
        if (err == ERR_CORRUPT)
            replay_report(replay, segment->number, scan.offset, NULL);
        else if (err != ERR_OK)
            return err;
        replay->seq = entry.seq > replay->seq ? entry.seq : replay->seq;
        replay->stats->records++;
    }
    if (scan.ended == WAL_SCAN_TORN) {
        replay->stats->torn_tails++;
        log_info(options->log, "write-ahead log has a torn tail, it is cut",
                 F_UINT("segment", segment->number), F_UINT("offset", scan.offset));
    } else if (scan.ended == WAL_SCAN_CORRUPT) {
        replay_report(replay, segment->number, scan.offset, NULL);
    }
    replay->stats->segments++;
    replay->stats->bytes += scan.offset;
    replay->group = scan.group;
    *end = scan.offset;
    return ERR_OK;
}

/* A segment without a good header: unused, torn in the making, or harmed. Only in the last case has
 * it records. */
static enum err replay_headless(struct replay *replay, struct replay_segment *segment)
{
    struct err_info detail = {{0}};
    struct wal_entry entry;
    struct wal_scan scan;
    enum err err = replay_read(replay, segment->number, REPLAY_SEGMENT_SIZE_MAX);

    if (err != ERR_OK)
        return err;
    wal_scan_init(&scan, buf_slice(&replay->buf), UINT64_MAX);
    if (wal_scan_next(&scan, &entry) || segment->end != UINT64_MAX) {
        (void)err_set(&detail, ERR_CORRUPT, "segment header is invalid");
        replay_report(replay, segment->number, 0, &detail);
    } else {
        segment->is_void = true;
    }
    return ERR_OK;
}

/* When only the process died, the last groups may be in the page cache and nowhere else, or, after
 * a sync that failed, be held as written although they are not. What is replayed will be seen, so
 * it is written once more and synced before that. Only the segment that was in use can be so. */
static enum err replay_make_durable(struct replay *replay, uint64_t number, uint64_t end)
{
    struct env *env = replay->options->env;
    char path[WAL_PATH_SIZE];
    struct env_file *file;
    enum err err = replay_read(replay, number, end);

    if (err != ERR_OK || replay->buf.len == 0)
        return err;
    wal_dir_segment_path(path, replay->options->dir, number);
    err = FAULT("wal.open_again") ? ERR_IO : env->fs->open(env, path, ENV_OPEN_WRITE, &file);
    if (err != ERR_OK)
        return err_set(replay->info, err, "cannot open %s: %s", path, err_text(err));
    err = FAULT("wal.write_again")
              ? ERR_IO
              : file->ops->write_at(file, 0, replay->buf.data, replay->buf.len);
    if (err == ERR_OK)
        err = FAULT("wal.sync_again") ? ERR_IO : file->ops->sync(file);
    (void)file->ops->close(file);
    if (err == ERR_OK)
        err = env->fs->sync_dir(env, replay->options->dir);
    if (err != ERR_OK)
        return err_set(replay->info, err, "cannot sync %s: %s", path, err_text(err));
    return ERR_OK;
}

static enum err replay_all(struct replay *replay, struct wal_start *start)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < replay->count && err == ERR_OK; i++)
        err = replay_header(replay, i);
    for (size_t i = 0; i < replay->count && err == ERR_OK; i++) {
        struct replay_segment *segment = &replay->segments[i];
        const struct wal_header *header = &segment->header;

        start->segment = segment->number + 1;
        if (!segment->is_void && !segment->header_ok)
            err = replay_headless(replay, segment);
        if (err != ERR_OK || segment->is_void)
            continue;
        if (segment->header_ok && header->prev_segment >= replay->options->segment_min &&
            header->prev_segment > start->prev_segment) {
            struct err_info detail = {{0}};

            (void)err_set(&detail, ERR_CORRUPT, "segment %llu is missing",
                          (unsigned long long)header->prev_segment);
            replay_report(replay, segment->number, 0, &detail);
        }
        start->prev_segment = segment->number;
        err = replay_records(replay, segment, &start->prev_end);
    }
    if (err == ERR_OK && start->prev_segment > 0)
        err = replay_make_durable(replay, start->prev_segment, start->prev_end);
    return err;
}

enum err wal_replay(const struct wal_replay_options *options, struct wal_start *start,
                    struct wal_replay_stats *stats, struct err_info *info)
{
    struct replay replay = {.options = options,
                            .stats = stats,
                            .info = info,
                            .seq = options->seq_min,
                            .group = options->group_min};
    struct wal_start got = {.segment = options->segment_min > 0 ? options->segment_min : 1};
    enum err err;

    *stats = (struct wal_replay_stats){0};
    buf_init(&replay.buf, REPLAY_SEGMENT_SIZE_MAX);
    err = replay_list(&replay);
    if (err == ERR_OK)
        err = replay_all(&replay, &got);
    if (err == ERR_OK) {
        got.seq = replay.seq + 1;
        got.group = replay.group + 1;
        *start = got;
    }
    buf_fini(&replay.buf);
    mem_free(replay.segments);
    return err;
}
