/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/merge.h"

#include "storage/merge_internal.h"

/* ---- streams: a binary heap of inputs, the least labels on top ---- */

static int input_order(const struct merge_input *a, const struct merge_input *b)
{
    return label_set_cmp(a->series.labels, b->series.labels);
}

static void heap_down(struct merge_stream *stream, uint32_t at)
{
    struct merge_input **heap = stream->heap;

    for (;;) {
        uint32_t least = at;

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < stream->heap_count && input_order(heap[child], heap[least]) < 0)
                least = child;
        if (least == at)
            return;
        struct merge_input *moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static void heap_push(struct merge_stream *stream, struct merge_input *input)
{
    struct merge_input **heap = stream->heap;
    uint32_t at = stream->heap_count++;

    while (at > 0 && input_order(input, heap[(at - 1) / 2]) < 0) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = input;
}

static struct merge_input *heap_pop(struct merge_stream *stream)
{
    struct merge_input *top = stream->heap[0];

    stream->heap[0] = stream->heap[--stream->heap_count];
    heap_down(stream, 0);
    return top;
}

static bool stream_fail(struct merge_stream *stream, enum err err, const struct err_info *info)
{
    if (stream->base.err == ERR_OK)
        stream->base.err = err;
    if (info != NULL && info->message[0] != '\0')
        (void)err_set(&stream->base.info, err, "%s", info->message);
    return false;
}

/* Moves the input to its next series and back into the heap, if it has one. */
static bool advance(struct merge_stream *stream, struct merge_input *input)
{
    if (series_stream_next(input->stream, &input->series)) {
        heap_push(stream, input);
        return true;
    }
    if (input->stream->err != ERR_OK)
        return stream_fail(stream, input->stream->err, &input->stream->info);
    return true;
}

static bool merge_next(struct series_stream *base, struct source_series *out)
{
    struct merge_stream *stream = CONTAINER_OF(base, struct merge_stream, base);
    uint32_t count = 0;

    if (base->err != ERR_OK || (stream->limit != 0 && stream->given == stream->limit))
        return false;
    /* Not before now: the series given last may live only as long as its inputs stand on it. */
    while (stream->same_count > 0)
        if (!advance(stream, stream->same[--stream->same_count]))
            return false;
    if (stream->heap_count == 0)
        return false;
    if (stream->one_at_a_time) {
        arena_reset(&stream->series_arena);
        stream->pool.free = NULL;
    }
    do {
        stream->same[count++] = heap_pop(stream);
    } while (stream->heap_count > 0 && input_order(stream->same[0], stream->heap[0]) == 0);
    stream->same_count = count;
    *out = stream->same[0]->series;
    if (out->cursor != NULL) {
        out->cursor = merge_cursor_new(stream, count);
        if (out->cursor == NULL)
            return stream_fail(stream, ERR_LIMIT, NULL);
    }
    stream->given++;
    return true;
}

static const struct series_stream_ops merge_stream_ops = {merge_next};

static void release_series_arena(void *ptr)
{
    arena_fini(ptr);
}

static struct merge_stream *stream_new(const struct source_query *query, uint32_t count)
{
    struct arena *arena = query->ctx->arena;
    struct merge_stream *stream = ARENA_NEW(arena, struct merge_stream);

    if (stream == NULL)
        return NULL;
    stream->inputs = ARENA_ARRAY(arena, struct merge_input, count);
    stream->heap = ARENA_ARRAY(arena, struct merge_input *, count);
    stream->same = ARENA_ARRAY(arena, struct merge_input *, count);
    if (stream->inputs == NULL || stream->heap == NULL || stream->same == NULL)
        return NULL;
    stream->base.ops = &merge_stream_ops;
    stream->ctx = query->ctx;
    stream->limit = query->hints == NULL ? 0 : query->hints->limit;
    stream->one_at_a_time = query->hints != NULL && query->hints->one_at_a_time;
    arena_init(&stream->series_arena, query->ctx->budget, 0);
    if (arena_on_reset(arena, release_series_arena, &stream->series_arena) != ERR_OK)
        return NULL;
    stream->pool.arena = stream->one_at_a_time ? &stream->series_arena : arena;
    return stream;
}

enum err merge_select(struct merge_list sources, const struct source_query *query,
                      struct series_stream **out, struct err_info *info)
{
    struct merge_stream *stream = stream_new(query, sources.count);

    if (stream == NULL)
        return err_set(info, ERR_LIMIT, "no memory to merge sources");
    for (uint32_t i = 0; i < sources.count; i++) {
        struct merge_input *input = &stream->inputs[stream->input_count];
        struct source *source = sources.items[i];
        const enum err err =
            source->ops->select(source, query->ctx, query->matchers, query->t_min_ms,
                                query->t_max_ms, query->hints, &input->stream, info);

        if (err != ERR_OK)
            return err;
        stream->input_count++;
        stream->base.coverage.shards_asked += input->stream->coverage.shards_asked;
        stream->base.coverage.shards_answered += input->stream->coverage.shards_answered;
    }
    for (uint32_t i = 0; i < stream->input_count; i++)
        if (!advance(stream, &stream->inputs[i]))
            break; /* sticky: the stream says so */
    *out = &stream->base;
    return ERR_OK;
}

enum err merge_exemplars(struct merge_list sources, const struct source_query *query,
                         source_exemplar_fn *fn, void *owner)
{
    for (uint32_t i = 0; i < sources.count; i++) {
        struct source *source = sources.items[i];
        const enum err err = source->ops->exemplars(source, query->ctx, query->matchers,
                                                    query->t_min_ms, query->t_max_ms, fn, owner);

        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err merge_metadata(struct merge_list sources, const struct source_query *query,
                        source_metadata_fn *fn, void *owner)
{
    for (uint32_t i = 0; i < sources.count; i++) {
        struct source *source = sources.items[i];
        const enum err err = source->ops->metadata(source, query->ctx, query->name, fn, owner);

        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err merge_estimate(struct merge_list sources, const struct source_query *query,
                        struct source_estimate *estimate)
{
    *estimate = (struct source_estimate){0};
    for (uint32_t i = 0; i < sources.count; i++) {
        struct source *source = sources.items[i];
        struct source_estimate one = {0};
        const enum err err = source->ops->estimate(source, query->ctx, query->matchers,
                                                   query->t_min_ms, query->t_max_ms, &one);

        if (err != ERR_OK)
            return err;
        /* Mostly the same series lie in all of them. */
        estimate->series = one.series > estimate->series ? one.series : estimate->series;
        estimate->samples += one.samples;
        estimate->bytes += one.bytes;
    }
    return ERR_OK;
}
