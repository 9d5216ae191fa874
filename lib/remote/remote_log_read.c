/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the queue: record by record through a window of the file, over segment after segment. */
#include "base/crc32c.h"
#include "base/fault.h"
#include "base/mem.h"
#include "codec/snappy.h"
#include "remote/remote_log_internal.h"

enum {
    WINDOW_SIZE = 256 << 10,
    PAYLOAD_KEPT = 4 << 20,
    FAILURES_MAX = 8, /* in a row; then the rest of the segment is given up */
};

struct remote_log_reader {
    struct remote_log *log; /* borrowed */
    uint64_t number;        /* of the segment; 0: none yet */
    uint64_t size;          /* of it, what may be read */
    uint64_t offset;        /* of the next record */
    uint64_t seq;           /* the next item's number, as far as is known */
    struct env_file *file;
    char *window; /* owned */
    size_t window_cap, window_len;
    uint64_t window_at; /* offset of its first byte in the file */
    struct arena arena; /* the payload, decompressed */
    unsigned failures;
    bool is_corrupt; /* since the last good record */
};

struct remote_log_reader *remote_log_reader_new(struct remote_log *log, uint64_t seq)
{
    struct remote_log_reader *reader = mem_zalloc(1, sizeof(*reader));

    reader->log = log;
    reader->seq = seq;
    arena_init(&reader->arena, NULL, 0);
    reader->arena.keep_bytes_max = PAYLOAD_KEPT;
    return reader;
}

static void reader_leave_file(struct remote_log_reader *reader)
{
    if (reader->file != NULL)
        (void)reader->file->ops->close(reader->file);
    reader->file = NULL;
    reader->window_len = 0;
}

void remote_log_reader_free(struct remote_log_reader *reader)
{
    if (reader == NULL)
        return;
    reader_leave_file(reader);
    arena_fini(&reader->arena);
    mem_free(reader->window);
    mem_free(reader);
}

/* Where the reader's segment is in the list, or the one that follows where it was. Locked. */
static size_t find_segment(const struct remote_log_reader *reader)
{
    const struct remote_log *log = reader->log;
    size_t i = 0;

    if (reader->number == 0) {
        while (i + 1 < log->segment_count && log->segments[i + 1].first_seq <= reader->seq)
            i++;
        return i;
    }
    while (i < log->segment_count && log->segments[i].number < reader->number)
        i++;
    return i;
}

/* Moves to a segment that is not the reader's. */
static void reader_enter(struct remote_log_reader *reader, const struct remote_log_segment *segment,
                         uint64_t removed_seq, uint64_t *lost)
{
    reader_leave_file(reader);
    reader->number = segment->number;
    reader->offset = REMOTE_SEGMENT_HEADER_SIZE;
    reader->failures = 0;
    /* Other numbers that are not there could not be written and were counted then. */
    if (reader->is_corrupt)
        removed_seq = segment->first_seq;
    if (removed_seq > reader->seq)
        *lost += removed_seq - reader->seq;
    if (segment->first_seq > reader->seq)
        reader->seq = segment->first_seq;
    reader->is_corrupt = false;
}

/* Sees to it that there is something to read in the reader's segment. ERR_END: there is not. */
static enum err reader_place(struct remote_log_reader *reader, uint64_t *lost)
{
    struct remote_log *log = reader->log;

    for (;;) {
        struct remote_log_segment segment = {0};
        uint64_t removed_seq;
        size_t i;

        pthread_mutex_lock(&log->lock);
        i = find_segment(reader);
        if (i < log->segment_count && log->segments[i].number == reader->number &&
            reader->offset >= log->segments[i].size && i + 1 < log->segment_count)
            i++;
        if (i < log->segment_count)
            segment = log->segments[i];
        removed_seq = log->removed_seq;
        pthread_mutex_unlock(&log->lock);
        if (segment.number == 0)
            return ERR_END;
        if (segment.number != reader->number) {
            reader_enter(reader, &segment, removed_seq, lost);
            reader->size = segment.size;
            if (reader->offset >= reader->size)
                continue; /* nothing in it: maybe in the one behind it */
        }
        reader->size = segment.size;
        return reader->offset < reader->size ? ERR_OK : ERR_END;
    }
}

static enum err reader_open(struct remote_log_reader *reader)
{
    struct env *env = reader->log->options.env;
    char path[REMOTE_LOG_PATH_SIZE];

    if (reader->file != NULL)
        return ERR_OK;
    remote_log_segment_path(reader->log, reader->number, path);
    return FAULT("remote.read_open") ? ERR_IO
                                     : env->fs->open(env, path, ENV_OPEN_READ, &reader->file);
}

/* Has `size` bytes at offset in the window. */
static enum err reader_need(struct remote_log_reader *reader, uint64_t offset, size_t size)
{
    const uint64_t end = reader->window_at + reader->window_len;
    size_t want = size > WINDOW_SIZE ? size : WINDOW_SIZE;
    size_t got = 0;
    enum err err;

    ASSERT(offset + size <= reader->size);
    if (reader->window_len > 0 && offset >= reader->window_at && offset + size <= end)
        return ERR_OK;
    if (want > reader->size - offset)
        want = (size_t)(reader->size - offset);
    if (want > reader->window_cap) {
        mem_free(reader->window);
        reader->window = mem_alloc(want);
        reader->window_cap = want;
    }
    reader->window_len = 0;
    err = reader_open(reader);
    if (err == ERR_OK)
        err = FAULT("remote.read")
                  ? ERR_IO
                  : reader->file->ops->read_at(reader->file, offset, reader->window, want, &got);
    if (err != ERR_OK)
        return err;
    if (got < size)
        return ERR_CORRUPT;
    reader->window_at = offset;
    reader->window_len = got;
    return ERR_OK;
}

static const char *window_at(const struct remote_log_reader *reader, uint64_t offset)
{
    return reader->window + (offset - reader->window_at);
}

static void reader_note_corrupt(struct remote_log_reader *reader)
{
    struct remote_log *log = reader->log;

    if (!reader->is_corrupt) {
        metric_inc(&log->metrics.corrupt);
        log_error(log->options.log, "remote write: the queue is corrupt, a part is skipped",
                  F_UINT("segment", reader->number), F_UINT("offset", reader->offset));
    }
    reader->is_corrupt = true;
}

/* Moves on by a byte, and over what cannot begin a record. */
static enum err reader_skip(struct remote_log_reader *reader)
{
    const char *found;
    enum err err;

    reader->offset++;
    while (reader->offset < reader->size) {
        err = reader_need(reader, reader->offset, 1);
        if (err != ERR_OK)
            return err;
        const size_t left = reader->window_len - (size_t)(reader->offset - reader->window_at);

        found = memchr(window_at(reader, reader->offset), 'N', left);
        if (found != NULL) {
            reader->offset = reader->window_at + (uint64_t)(found - reader->window);
            return ERR_OK;
        }
        reader->offset += left;
    }
    return ERR_OK;
}

/* The payload of the record at offset, whose header is good. */
static enum err reader_payload(struct remote_log_reader *reader,
                               const struct remote_record_header *header, struct slice *payload)
{
    const size_t size = REMOTE_RECORD_HEADER_SIZE + (size_t)header->stored_size;
    struct slice stored;
    enum err err;

    if (size > reader->size - reader->offset)
        return ERR_CORRUPT;
    err = reader_need(reader, reader->offset, size);
    if (err != ERR_OK)
        return err;
    stored = slice_of(window_at(reader, reader->offset) + REMOTE_RECORD_HEADER_SIZE,
                      header->stored_size);
    if (crc32c_slice(stored) != header->payload_crc)
        return ERR_CORRUPT;
    *payload = stored;
    if (header->stored_size == header->raw_size)
        return ERR_OK;
    arena_reset(&reader->arena);
    err = snappy_block_decode(stored, header->raw_size, &reader->arena, payload, NULL);
    return err == ERR_OK && payload->len == header->raw_size ? ERR_OK : ERR_CORRUPT;
}

/* The record at offset. ERR_CORRUPT: there is none; the offset has moved on. */
static enum err reader_take(struct remote_log_reader *reader, struct remote_log_record *record,
                            uint64_t *lost)
{
    struct remote_record_header header;
    enum err err = ERR_CORRUPT;

    if (reader->size - reader->offset < REMOTE_RECORD_HEADER_SIZE) {
        reader->offset = reader->size;
        return ERR_CORRUPT;
    }
    err = reader_need(reader, reader->offset, REMOTE_RECORD_HEADER_SIZE);
    if (err != ERR_OK && err != ERR_CORRUPT)
        return err;
    if (err != ERR_OK ||
        !remote_record_header_get((const uint8_t *)window_at(reader, reader->offset), &header)) {
        reader_note_corrupt(reader);
        err = reader_skip(reader);
        return err == ERR_OK ? ERR_CORRUPT : err;
    }
    err = reader_payload(reader, &header, &record->payload);
    if (err == ERR_CORRUPT) {
        reader_note_corrupt(reader);
        err = reader_skip(reader);
        return err == ERR_OK ? ERR_CORRUPT : err;
    }
    if (err != ERR_OK)
        return err;
    if (reader->is_corrupt && header.first_seq > reader->seq)
        *lost += header.first_seq - reader->seq;
    reader->is_corrupt = false;
    reader->seq = header.first_seq + header.item_count;
    reader->offset += REMOTE_RECORD_HEADER_SIZE + header.stored_size;
    record->segment = reader->number;
    record->first_seq = header.first_seq;
    record->item_count = header.item_count;
    record->written_ms = header.written_ms;
    return ERR_OK;
}

enum err remote_log_read(struct remote_log_reader *reader, struct remote_log_record *record,
                         uint64_t *lost)
{
    for (;;) {
        enum err err = reader_place(reader, lost);

        if (err != ERR_OK)
            return err;
        err = reader_take(reader, record, lost);
        if (err == ERR_OK)
            reader->failures = 0;
        if (err == ERR_OK)
            return ERR_OK;
        if (err == ERR_CORRUPT)
            continue;
        if (err == ERR_NOT_FOUND) { /* removed meanwhile: the list knows by now */
            reader_leave_file(reader);
            if (reader->failures++ == 0)
                continue;
        }
        if (++reader->failures <= FAILURES_MAX)
            return err;
        log_error(reader->log->options.log, "remote write: a segment of the queue cannot be read",
                  F_UINT("segment", reader->number), F_ERR(err, NULL));
        reader_note_corrupt(reader);
        reader->offset = reader->size;
    }
}
