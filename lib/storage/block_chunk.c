/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_chunk.h"

#include <string.h>

#include "base/varint.h"
#include "storage/block_histogram.h"

enum { ENCODING_MASK = 0x7f };

STATIC_ASSERT((int)BLOCK_CHUNK_COUNT_MAX / BLOCK_FRAME_COUNT_MAX *
                          (BLOCK_INTS_SIZE_MAX + BLOCK_FLOATS_SIZE_MAX + 2 * VARINT_SIZE_MAX) +
                      1 + VARINT_SIZE_MAX <
                  BLOCK_CHUNK_FLOATS_SIZE_MAX,
              "the worst chunk fits");
STATIC_ASSERT((int)BLOCK_FRAME_COUNT_MAX == SOURCE_BATCH, "a frame is a batch");
STATIC_ASSERT((int)BLOCK_FRAME_COUNT_MAX == BLOCK_INTS_COUNT_MAX, "a frame is a column");

uint8_t block_chunk_encoding_of(const struct block_chunk_samples *samples)
{
    uint8_t encoding = BLOCK_CHUNK_FLOAT;

    if (samples->kind == SAMPLE_HISTOGRAM)
        encoding =
            samples->histograms[0]->is_float ? BLOCK_CHUNK_FLOAT_HISTOGRAM : BLOCK_CHUNK_HISTOGRAM;
    for (uint32_t i = 0; samples->start_t_ms != NULL && i < samples->count; i++)
        if (samples->start_t_ms[i] != 0)
            return encoding | BLOCK_CHUNK_STARTS;
    return encoding;
}

bool block_chunk_encoding_is_known(uint8_t encoding)
{
    encoding &= ENCODING_MASK;
    return encoding >= BLOCK_CHUNK_FLOAT && encoding <= BLOCK_CHUNK_FLOAT_HISTOGRAM;
}

bool block_chunk_needs_arena(uint8_t encoding)
{
    return encoding != BLOCK_CHUNK_FLOAT;
}

/* ---- writing ---- */

struct chunk_shape {
    uint64_t step; /* between all neighbours; 0: there is none */
    bool has_starts;
};

static void put_uint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

static void put_ints(struct buf *out, const uint64_t *values, uint32_t count)
{
    char *at = buf_reserve(out, BLOCK_INTS_SIZE_MAX);

    if (at != NULL)
        out->len += block_ints_put((uint8_t *)at, values, count);
}

static void put_floats(struct buf *out, const double *values, uint32_t count)
{
    char *at = buf_reserve(out, BLOCK_FLOATS_SIZE_MAX);

    if (at != NULL)
        out->len += block_floats_put((uint8_t *)at, values, count);
}

static void put_times(struct buf *out, const int64_t *t_ms, uint32_t count)
{
    uint64_t column[BLOCK_FRAME_COUNT_MAX];

    for (uint32_t i = 0; i < count; i++)
        column[i] = (uint64_t)t_ms[i] - (uint64_t)t_ms[0];
    put_ints(out, column, count);
}

static void put_starts(struct buf *out, const int64_t *t_ms, const int64_t *start_t_ms,
                       uint32_t count)
{
    uint64_t column[BLOCK_FRAME_COUNT_MAX];

    for (uint32_t i = 0; i < count; i++)
        column[i] = (uint64_t)t_ms[i] - (uint64_t)start_t_ms[i];
    put_ints(out, column, count);
}

/* Puts the size of what was appended from `start` on in front of it. */
static void put_size_before(struct buf *out, size_t start)
{
    const size_t size = out->len - start;
    uint8_t bytes[VARINT_SIZE_MAX];
    const size_t width = varint_put_u64(bytes, size);

    if (buf_reserve(out, width) == NULL)
        return;
    memmove(out->data + start + width, out->data + start, size);
    memcpy(out->data + start, bytes, width);
    out->len += width;
}

/* The step between all neighbours; 0 if there is no such one. Times of a single sample have any. */
static uint64_t common_step(const int64_t *t_ms, uint32_t count)
{
    const uint64_t step = count == 1 ? 1 : (uint64_t)t_ms[1] - (uint64_t)t_ms[0];

    for (uint32_t i = 2; i < count; i++)
        if ((uint64_t)t_ms[i] - (uint64_t)t_ms[i - 1] != step)
            return 0;
    return step;
}

/* A frame from sample `at` on; returns how many samples it takes. */
static uint32_t put_frame(struct buf *out, const struct block_chunk_samples *samples, uint32_t at,
                          const struct chunk_shape *shape)
{
    const bool is_float = samples->kind == SAMPLE_FLOAT;
    const int64_t *t_ms = samples->t_ms + at;
    const size_t start = out->len;
    uint32_t count = samples->count - at;

    if (!is_float)
        count = block_histogram_run(samples->histograms + at, count);
    else if (count > BLOCK_FRAME_COUNT_MAX)
        count = BLOCK_FRAME_COUNT_MAX;
    if (!is_float)
        buf_add_byte(out, (char)(count - 1));
    if (shape->step == 0) {
        put_uint(out, (uint64_t)t_ms[0] - (uint64_t)samples->t_ms[0]);
        put_times(out, t_ms, count);
    }
    if (shape->has_starts)
        put_starts(out, t_ms, samples->start_t_ms + at, count);
    if (is_float)
        put_floats(out, samples->v + at, count);
    else
        block_histogram_put(out, samples->histograms + at, count);
    put_size_before(out, start);
    return count;
}

void block_chunk_encode(struct buf *out, const struct block_chunk_samples *samples)
{
    const uint8_t encoding = block_chunk_encoding_of(samples);

    ASSERT(samples->count > 0);
    ASSERT(samples->count <= BLOCK_CHUNK_COUNT_MAX);
    const struct chunk_shape shape = {.step = common_step(samples->t_ms, samples->count),
                                      .has_starts = (encoding & BLOCK_CHUNK_STARTS) != 0};
    buf_add_byte(out, (char)encoding);
    put_uint(out, samples->count);
    put_uint(out, shape.step);
    for (uint32_t at = 0; at < samples->count;)
        at += put_frame(out, samples, at, &shape);
}

/* ---- reading ---- */

void block_chunk_open(struct block_chunk_reader *reader, struct slice bytes, int64_t first_t_ms,
                      struct arena *arena)
{
    uint64_t count;

    *reader =
        (struct block_chunk_reader){.first_t_ms = first_t_ms, .arena = arena, .err = ERR_CORRUPT};
    if (bytes.len == 0)
        return;
    reader->encoding = (uint8_t)bytes.data[0];
    if (!block_chunk_encoding_is_known(reader->encoding)) {
        reader->err = (reader->encoding & ENCODING_MASK) == 0 ? ERR_CORRUPT : ERR_VERSION;
        return;
    }
    bytes = slice_skip(bytes, 1);
    if (!varint_take_u64(&bytes, &count) || count == 0 || count > BLOCK_CHUNK_COUNT_MAX ||
        !varint_take_u64(&bytes, &reader->step))
        return;
    /* The last time is one of an int64. */
    if (reader->step != 0 &&
        ((uint64_t)INT64_MAX - (uint64_t)first_t_ms) / reader->step < count - 1)
        return;
    ASSERT(arena != NULL || !block_chunk_needs_arena(reader->encoding));
    reader->err = ERR_OK;
    reader->rest = bytes;
    reader->count = (uint32_t)count;
}

struct frame_head {
    struct slice body; /* behind the head */
    int64_t t_ms;      /* of the first sample */
    uint32_t count;
};

/* The next frame off the front of *rest. */
static bool take_frame(const struct block_chunk_reader *reader, struct slice *rest,
                       struct frame_head *frame)
{
    const uint32_t left = reader->count - reader->read_count;
    uint64_t size;
    uint64_t ahead;

    if (!varint_take_u64(rest, &size) || size > rest->len)
        return false;
    frame->body = slice_of(rest->data, (size_t)size);
    *rest = slice_skip(*rest, (size_t)size);
    frame->count = left < BLOCK_FRAME_COUNT_MAX ? left : BLOCK_FRAME_COUNT_MAX;
    if ((reader->encoding & ENCODING_MASK) != BLOCK_CHUNK_FLOAT) {
        if (frame->body.len == 0 || (uint8_t)frame->body.data[0] >= frame->count)
            return false;
        frame->count = (uint32_t)(uint8_t)frame->body.data[0] + 1;
        frame->body = slice_skip(frame->body, 1);
    }
    if (reader->step != 0)
        ahead = reader->step * reader->read_count;
    else if (!varint_take_u64(&frame->body, &ahead))
        return false;
    frame->t_ms = (int64_t)((uint64_t)reader->first_t_ms + ahead);
    return reader->read_count == 0 ? ahead == 0 : frame->t_ms > reader->last_t_ms;
}

static bool take_times(struct frame_head *frame, uint64_t step, int64_t *t_ms)
{
    uint64_t column[BLOCK_FRAME_COUNT_MAX];
    bool rises = true;

    if (step != 0) {
        for (uint32_t i = 0; i < frame->count; i++)
            t_ms[i] = (int64_t)((uint64_t)frame->t_ms + step * i);
        return true;
    }
    if (!block_ints_take(&frame->body, column, frame->count) || column[0] != 0)
        return false;
    for (uint32_t i = 0; i < frame->count; i++)
        t_ms[i] = (int64_t)((uint64_t)frame->t_ms + column[i]);
    for (uint32_t i = 1; i < frame->count; i++)
        rises &= t_ms[i] > t_ms[i - 1];
    return rises;
}

static enum err take_starts(struct block_chunk_reader *reader, struct frame_head *frame,
                            struct sample_columns *columns)
{
    uint64_t column[BLOCK_FRAME_COUNT_MAX];

    int64_t *starts = arena_alloc(reader->arena, frame->count * sizeof(*starts));
    if (starts == NULL)
        return ERR_LIMIT;
    if (!block_ints_take(&frame->body, column, frame->count))
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < frame->count; i++)
        starts[i] = (int64_t)((uint64_t)columns->t_ms[i] - column[i]);
    columns->start_t_ms = starts;
    return ERR_OK;
}

static enum err take_columns(struct block_chunk_reader *reader, struct frame_head *frame,
                             struct sample_columns *columns)
{
    const unsigned encoding = reader->encoding & ENCODING_MASK;

    columns->start_t_ms = NULL;
    columns->kind = encoding == BLOCK_CHUNK_FLOAT ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM;
    columns->count = frame->count;
    if (!take_times(frame, reader->step, columns->t_ms))
        return ERR_CORRUPT;
    if (block_chunk_needs_arena(reader->encoding))
        arena_reset(reader->arena);
    if ((reader->encoding & BLOCK_CHUNK_STARTS) != 0) {
        const enum err err = take_starts(reader, frame, columns);

        if (err != ERR_OK)
            return err;
    }
    if (columns->kind == SAMPLE_FLOAT)
        return block_floats_take(&frame->body, columns->v, frame->count) ? ERR_OK : ERR_CORRUPT;
    return block_histogram_take(&frame->body, reader->arena,
                                encoding == BLOCK_CHUNK_FLOAT_HISTOGRAM, columns->histograms,
                                frame->count);
}

bool block_chunk_next(struct block_chunk_reader *reader, struct sample_columns *columns)
{
    struct slice rest = reader->rest;
    struct frame_head frame;

    if (reader->err != ERR_OK || reader->read_count == reader->count)
        return false;
    reader->err =
        take_frame(reader, &rest, &frame) ? take_columns(reader, &frame, columns) : ERR_CORRUPT;
    if (reader->err == ERR_OK &&
        (frame.body.len != 0 ||
         (reader->read_count + frame.count == reader->count && rest.len != 0)))
        reader->err = ERR_CORRUPT;
    if (reader->err != ERR_OK)
        return false;
    reader->rest = rest;
    reader->read_count += frame.count;
    reader->last_t_ms = columns->t_ms[frame.count - 1];
    return true;
}

void block_chunk_skip(struct block_chunk_reader *reader, int64_t t_ms)
{
    /* A frame ends before t_ms if the one after it starts at or before t_ms. */
    while (reader->err == ERR_OK && reader->read_count < reader->count) {
        struct slice rest = reader->rest;
        struct block_chunk_reader after;
        struct frame_head frame;

        if (!take_frame(reader, &rest, &frame) || reader->read_count + frame.count == reader->count)
            break; /* next() will say so */
        after = *reader;
        after.rest = rest;
        after.read_count += frame.count;
        after.last_t_ms = frame.t_ms;
        if (!take_frame(&after, &rest, &frame) || frame.t_ms > t_ms)
            break;
        *reader = after;
    }
}
