/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "storage/block_chunk.h"
#include "storage/block_internal.h"

enum {
    STREAM_STEP_MAX = 16,    /* ids further ahead than this are sought, not stepped to */
    CURSOR_CHECK_EVERY = 16, /* frames between two looks at deadline and cancel */
};

struct block_stream {
    struct series_stream base;
    struct block_tenant *tenant; /* NULL: nothing to read */
    const uint32_t *ids;
    uint32_t id_count, id_index;
    uint32_t id_at; /* the series under the index iterator, while has_position */
    bool has_position;
    int64_t t_min_ms, t_max_ms;
    struct source_hints hints;
    uint32_t series_given;
    struct block_cursor *data_owner; /* whose chunk is under the data iterator */
    struct buf key;
    uint64_t frames_read;
    struct arena series_arena; /* of the present series, with hints.one_at_a_time */
};

/* One series' samples. The chunk under way is borrowed from the stream's data iterator; when
 * another cursor has moved that meanwhile, the chunk is sought again. */
struct block_cursor {
    struct sample_cursor base;
    struct block_stream *stream;
    const struct block_chunk_ref *chunks;
    uint32_t chunk_count, chunk_index;
    uint32_t id;
    bool in_chunk;
    int64_t from_ms;    /* of the select or the last seek */
    size_t rest_offset; /* of reader.rest in the chunk's value */
    struct block_chunk_reader reader;
    struct arena *arena; /* histograms and start times of a frame; NULL until a chunk has any */
};

static void stream_release(void *ptr)
{
    struct block_stream *stream = ptr;

    buf_fini(&stream->key);
    arena_fini(&stream->series_arena);
}

/* Where a series and its cursor lie. */
static struct arena *series_arena(struct block_stream *stream)
{
    return stream->hints.one_at_a_time ? &stream->series_arena : stream->tenant->ctx->arena;
}

/* ---- cursor ---- */

static bool cursor_fail(struct block_cursor *cursor, enum err err, const char *what)
{
    struct block_stream *stream = cursor->stream;

    cursor->base.err = err;
    if (what != NULL)
        (void)err_set(&stream->base.info, err, "block %s: series %u: %s",
                      stream->tenant->block->name, cursor->id, what);
    if (stream->base.err == ERR_OK)
        stream->base.err = err;
    return false;
}

/* Puts the data iterator on the cursor's chunk. */
static bool cursor_find_chunk(struct block_cursor *cursor, struct slice *value)
{
    struct block_stream *stream = cursor->stream;
    struct block_tenant *tenant = stream->tenant;
    const struct block_chunk_ref *chunk = &cursor->chunks[cursor->chunk_index];
    bool found = false;

    if (tenant->data == NULL)
        tenant->data = sst_iter_new(tenant->block->data);
    block_key_chunk(&stream->key, stream->tenant->tenant, cursor->id, chunk->t_min_ms);
    /* The chunk after the one under the iterator is a step away. */
    if (stream->data_owner == cursor && cursor->chunk_index > 0 && !cursor->in_chunk)
        found = sst_iter_next(tenant->data) &&
                slice_eq(sst_iter_key(tenant->data), buf_slice(&stream->key));
    if (!found)
        found = sst_iter_seek(tenant->data, buf_slice(&stream->key)) &&
                slice_eq(sst_iter_key(tenant->data), buf_slice(&stream->key));
    if (!found) {
        const enum err err = sst_iter_err(tenant->data, &stream->base.info);

        stream->data_owner = NULL;
        if (err == ERR_OK)
            return cursor_fail(cursor, ERR_CORRUPT, "a chunk is missing");
        err_prefix(&stream->base.info, "block %s: series %u", stream->tenant->block->name,
                   cursor->id);
        return cursor_fail(cursor, err, NULL);
    }
    stream->data_owner = cursor;
    *value = sst_iter_value(tenant->data);
    return true;
}

static void release_arena(void *ptr)
{
    arena_fini(ptr);
}

/* An arena of the cursor's own, since its frames end with its next call. */
static bool cursor_make_arena(struct block_cursor *cursor)
{
    struct source_ctx *ctx = cursor->stream->tenant->ctx;
    struct arena *owner = series_arena(cursor->stream);
    struct arena *arena = ARENA_NEW(owner, struct arena);

    if (arena == NULL)
        return cursor_fail(cursor, ERR_LIMIT, "no memory to read a chunk");
    arena_init(arena, ctx->budget, 0);
    if (arena_on_reset(owner, release_arena, arena) != ERR_OK)
        return cursor_fail(cursor, ERR_LIMIT, "no memory to read a chunk");
    cursor->arena = arena;
    return true;
}

static bool cursor_open_chunk(struct block_cursor *cursor)
{
    const struct block_chunk_ref *chunk = &cursor->chunks[cursor->chunk_index];
    struct source_stats *stats = cursor->stream->tenant->ctx->stats;
    struct slice value;

    if (!cursor_find_chunk(cursor, &value))
        return false;
    if (value.len == 0 || (uint8_t)value.data[0] != chunk->encoding)
        return cursor_fail(cursor, ERR_CORRUPT, "a chunk has another encoding than its index");
    if (cursor->arena == NULL && block_chunk_needs_arena(chunk->encoding) &&
        !cursor_make_arena(cursor))
        return false;
    block_chunk_open(&cursor->reader, value, chunk->t_min_ms, cursor->arena);
    if (cursor->reader.err != ERR_OK)
        return cursor_fail(cursor, cursor->reader.err, "a chunk's encoding is not known");
    if (cursor->reader.count != chunk->count)
        return cursor_fail(cursor, ERR_CORRUPT, "a chunk has another count than its index");
    if (stats != NULL) {
        stats->chunks++;
        stats->bytes += value.len;
    }
    cursor->in_chunk = true;
    if (cursor->from_ms > chunk->t_min_ms)
        block_chunk_skip(&cursor->reader, cursor->from_ms);
    cursor->rest_offset = (size_t)(cursor->reader.rest.data - value.data);
    return true;
}

/* Makes the reader's bytes valid again if another cursor has used the iterator. */
static bool cursor_own_chunk(struct block_cursor *cursor)
{
    struct slice value;

    if (cursor->stream->data_owner == cursor)
        return true;
    if (!cursor_find_chunk(cursor, &value))
        return false;
    if (cursor->rest_offset > value.len)
        return cursor_fail(cursor, ERR_CORRUPT, "a chunk has changed");
    cursor->reader.rest = slice_skip(value, cursor->rest_offset);
    return true;
}

/* Decodes the next frame that there is. False at the series' end, or on error. */
static bool cursor_next_frame(struct block_cursor *cursor, struct sample_columns *columns)
{
    struct block_stream *stream = cursor->stream;

    while (cursor->chunk_index < cursor->chunk_count) {
        const struct block_chunk_ref *chunk = &cursor->chunks[cursor->chunk_index];

        if (!cursor->in_chunk && (chunk->t_max_ms < cursor->from_ms)) {
            cursor->chunk_index++;
            if (stream->data_owner == cursor)
                stream->data_owner = NULL;
            continue;
        }
        if (chunk->t_min_ms > stream->t_max_ms)
            return false;
        if (!(cursor->in_chunk ? cursor_own_chunk(cursor) : cursor_open_chunk(cursor)))
            return false;
        const char *start = cursor->reader.rest.data;
        if (block_chunk_next(&cursor->reader, columns)) {
            cursor->rest_offset += (size_t)(cursor->reader.rest.data - start);
            if (cursor->reader.read_count == cursor->reader.count &&
                cursor->reader.last_t_ms != chunk->t_max_ms)
                return cursor_fail(cursor, ERR_CORRUPT, "a chunk ends at another time");
            return true;
        }
        if (cursor->reader.err != ERR_OK)
            return cursor_fail(cursor, cursor->reader.err, "a chunk makes no sense");
        cursor->chunk_index++;
        cursor->in_chunk = false;
    }
    return false;
}

/* Keeps the samples of [from, t_max]. */
static void trim(struct sample_columns *columns, int64_t from_ms, int64_t t_max_ms)
{
    uint32_t start = 0;
    uint32_t end = columns->count;

    while (start < end && columns->t_ms[start] < from_ms)
        start++;
    while (end > start && columns->t_ms[end - 1] > t_max_ms)
        end--;
    columns->count = end - start;
    if (start > 0 && columns->count > 0) {
        memmove(columns->t_ms, columns->t_ms + start, columns->count * sizeof(columns->t_ms[0]));
        if (columns->kind == SAMPLE_FLOAT)
            memmove(columns->v, columns->v + start, columns->count * sizeof(columns->v[0]));
        else
            memmove((void *)columns->histograms, (const void *)(columns->histograms + start),
                    columns->count * sizeof(columns->histograms[0]));
        if (columns->start_t_ms != NULL)
            columns->start_t_ms += start;
    }
}

static bool cursor_next(struct sample_cursor *base, struct sample_columns *columns)
{
    struct block_cursor *cursor = CONTAINER_OF(base, struct block_cursor, base);
    struct block_stream *stream = cursor->stream;
    struct source_ctx *ctx = stream->tenant->ctx;

    columns->count = 0;
    while (base->err == ERR_OK) {
        if (++stream->frames_read % CURSOR_CHECK_EVERY == 0) {
            base->err = source_ctx_check(ctx);
            if (base->err != ERR_OK)
                break;
        }
        if (!cursor_next_frame(cursor, columns))
            break;
        if (columns->t_ms[0] > stream->t_max_ms) {
            cursor->chunk_index = cursor->chunk_count;
            break;
        }
        trim(columns, cursor->from_ms, stream->t_max_ms);
        if (columns->count > 0) {
            if (ctx->stats != NULL)
                ctx->stats->samples += columns->count;
            return true;
        }
    }
    columns->count = 0;
    /* The query may have many cursors, which live as long as it: this one needs no more memory. */
    if (cursor->arena != NULL)
        arena_fini(cursor->arena);
    return false;
}

static void cursor_seek(struct sample_cursor *base, int64_t t_ms)
{
    struct block_cursor *cursor = CONTAINER_OF(base, struct block_cursor, base);

    if (base->err != ERR_OK || t_ms <= cursor->from_ms)
        return;
    cursor->from_ms = t_ms;
    if (!cursor->in_chunk)
        return;
    if (cursor->chunks[cursor->chunk_index].t_max_ms < t_ms) {
        cursor->chunk_index++;
        cursor->in_chunk = false;
    } else if (cursor_own_chunk(cursor)) {
        const char *start = cursor->reader.rest.data;

        block_chunk_skip(&cursor->reader, t_ms);
        cursor->rest_offset += (size_t)(cursor->reader.rest.data - start);
    }
}

static const struct sample_cursor_ops block_cursor_ops = {cursor_next, cursor_seek};

/* ---- stream ---- */

static bool stream_fail(struct block_stream *stream, enum err err)
{
    if (stream->base.err == ERR_OK)
        stream->base.err = err;
    return false;
}

/* Puts the index iterator on the record of `id`. */
static bool stream_find(struct block_stream *stream, uint32_t id, struct slice *value)
{
    struct block_tenant *tenant = stream->tenant;
    bool found = stream->has_position && id - stream->id_at <= STREAM_STEP_MAX;
    enum err err;

    for (uint32_t i = stream->id_at; found && i < id; i++)
        found = sst_iter_next(tenant->index);
    stream->id_at = id;
    stream->has_position = true;
    if (found) {
        block_key_series(&tenant->key, tenant->tenant, id);
        *value = sst_iter_value(tenant->index);
        if (slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key)))
            return true;
    }
    err = block_read_series(tenant, id, value, &stream->base.info);
    if (err != ERR_OK) {
        stream->has_position = false;
        return stream_fail(stream, err);
    }
    return true;
}

static bool chunks_overlap(const struct block_series *series, int64_t t_min_ms, int64_t t_max_ms)
{
    for (uint32_t i = 0; i < series->chunk_count; i++) /* none: it has exemplars only */
        if (series->chunks[i].t_min_ms <= t_max_ms && series->chunks[i].t_max_ms >= t_min_ms)
            return true;
    return false;
}

static struct sample_cursor *new_cursor(struct block_stream *stream, uint32_t id,
                                        const struct block_series *series)
{
    struct block_cursor *cursor = ARENA_NEW(series_arena(stream), struct block_cursor);

    if (cursor == NULL)
        return NULL;
    cursor->base.ops = &block_cursor_ops;
    cursor->stream = stream;
    cursor->chunks = series->chunks;
    cursor->chunk_count = series->chunk_count;
    cursor->id = id;
    cursor->from_ms = stream->t_min_ms;
    return &cursor->base;
}

static bool stream_accepts(const struct block_stream *stream, struct hash128 hash)
{
    const struct source_hints *hints = &stream->hints;

    return hints->shard_count == 0 || hash.lo % hints->shard_count == hints->shard_index;
}

static bool stream_next(struct series_stream *base, struct source_series *out)
{
    struct block_stream *stream = CONTAINER_OF(base, struct block_stream, base);
    struct block_tenant *tenant = stream->tenant;

    while (base->err == ERR_OK && stream->id_index < stream->id_count) {
        const uint32_t id = stream->ids[stream->id_index];
        struct block_series series;
        struct slice value;
        enum err err;

        if (stream->hints.limit != 0 && stream->series_given >= stream->hints.limit)
            return false;
        err = source_ctx_check(tenant->ctx);
        if (err != ERR_OK)
            return stream_fail(stream, err);
        if (!stream_find(stream, id, &value))
            return false;
        stream->id_index++;
        if (stream->hints.one_at_a_time) {
            arena_reset(&stream->series_arena);
            stream->data_owner = NULL; /* the cursor before is no more */
        }
        err = block_parse_series(value, series_arena(stream), &series);
        if (err == ERR_CORRUPT)
            (void)block_corrupt(tenant->block, &base->info, "series %u makes no sense", id);
        if (err != ERR_OK)
            return stream_fail(stream, err);
        const struct hash128 hash =
            series_hash(tenant->block->options.hash_key, tenant->tenant, series.labels);
        if (!chunks_overlap(&series, stream->t_min_ms, stream->t_max_ms) ||
            !stream_accepts(stream, hash))
            continue;
        *out = (struct source_series){.labels = series.labels, .hash = hash};
        if (stream->hints.projection != SOURCE_SERIES_ONLY) {
            out->cursor = new_cursor(stream, id, &series);
            if (out->cursor == NULL)
                return stream_fail(stream, ERR_LIMIT);
        }
        stream->series_given++;
        if (tenant->ctx->stats != NULL)
            tenant->ctx->stats->series++;
        return true;
    }
    return false;
}

static const struct series_stream_ops block_stream_ops = {stream_next};

enum err block_select(struct block *block, const struct source_query *query,
                      struct series_stream **out, struct err_info *info)
{
    struct source_ctx *ctx = query->ctx;
    struct block_stream *stream = ARENA_NEW(ctx->arena, struct block_stream);
    struct postings *ids;
    enum err err;

    if (stream == NULL || arena_on_reset(ctx->arena, stream_release, stream) != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory to read a block");
    arena_init(&stream->series_arena, ctx->budget, 0);
    stream->base.ops = &block_stream_ops;
    stream->base.coverage = (struct source_coverage){1, 1};
    stream->t_min_ms = query->t_min_ms;
    stream->t_max_ms = query->t_max_ms;
    if (query->hints != NULL)
        stream->hints = *query->hints;
    buf_init(&stream->key, BLOCK_KEY_SIZE_MAX);
    *out = &stream->base;
    if (!block_overlaps(block, query->t_min_ms, query->t_max_ms))
        return ERR_OK;
    err = block_tenant_open(block, ctx, &stream->tenant, info);
    if (err != ERR_OK || stream->tenant->series_count == 0)
        return err;
    err = block_match(stream->tenant, query->matchers, &ids, info);
    if (err == ERR_OK)
        err = postings_ids(ids, ctx->arena, &stream->ids, &stream->id_count);
    if (err == ERR_LIMIT)
        (void)err_set(info, err, "no memory for the series of a block");
    return err;
}
