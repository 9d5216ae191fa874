/* SPDX-License-Identifier: Apache-2.0 */

/* Remote read: stored samples as they are, for another server to evaluate. Two kinds of answer: all
 * samples in one message, which is held in memory and limited; and a stream of chunks, of which one
 * series' frame is held at a time. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/remote_read.h"
#include "codec/remote_write.h"
#include "codec/snappy.h"
#include "promtsdb/prom_chunk_writer.h"
#include "querier/querier_internal.h"

enum {
    READ_REQUEST_SIZE_MAX = 32 << 20, /* decompressed; as upstream */
    READ_STREAM_PART = 64 << 10,      /* sent at a time, at least */
    READ_ANSWER_MAX = 1 << 30,        /* of samples, before compression */
};

struct read_call {
    struct query_scope scope;
    struct remote_read_request request;
    struct label_set external;
    struct arena scratch; /* of the series under way; draws from the scope's budget */
    struct buf out;       /* samples: the answer; streamed: the message under way */
    struct buf stream;    /* frames that are not sent yet */
    size_t taken;         /* of the budget, for the bufs */
    struct prom_chunk_writer chunk;
    bool is_streaming;
};

static void read_fail(struct read_call *call, enum err err)
{
    char text[ERR_MESSAGE_SIZE + 2];

    snprintf(text, sizeof(text), "%s\n", err_message(err, &call->scope.info));
    http_respond_text(call->scope.req, err == ERR_TOO_LARGE ? 400 : err_http_status(err), text);
}

static enum err read_no_room(struct read_call *call)
{
    return err_set(&call->scope.info, ERR_LIMIT, "memory limit of the query exceeded");
}

/* What the bufs have grown to is the query's memory. */
static enum err read_charge(struct read_call *call)
{
    const size_t held = call->out.cap + call->stream.cap;
    enum err err = ERR_OK;

    if (call->out.err != ERR_OK || call->stream.err != ERR_OK)
        return read_no_room(call);
    if (held > call->taken) {
        err = budget_take(&call->scope.budget, held - call->taken, &call->scope.info);
        if (err == ERR_OK)
            call->taken = held;
    }
    return err;
}

static enum err read_decode(struct read_call *call)
{
    struct query_scope *scope = &call->scope;
    struct slice message;
    enum err err = snappy_block_decode(scope->req->body, READ_REQUEST_SIZE_MAX, &scope->arena,
                                       &message, &scope->info);

    if (err == ERR_OK)
        err = remote_read_decode(message, &scope->arena, &call->request, &scope->info);
    if (err == ERR_OK)
        err = query_scope_external(scope, &call->external);
    return err;
}

/* An equality with an external label asks for series that don't have it: it is added to them. */
static enum err read_matchers(struct read_call *call, const struct remote_read_query *query,
                              struct matcher_list *list)
{
    struct query_scope *scope = &call->scope;
    struct matcher *matchers = ARENA_ARRAY(&scope->arena, struct matcher, query->matcher_count);

    if (matchers == NULL)
        return read_no_room(call);
    for (uint32_t i = 0; i < query->matcher_count; i++) {
        struct matcher_spec spec = query->matchers[i];
        enum err err;

        if (spec.type == MATCHER_EQUAL && spec.value.len != 0 &&
            slice_eq(label_set_get(call->external, spec.name), spec.value))
            spec.value.len = 0;
        err = matcher_init(&matchers[i], &scope->arena, &spec, &scope->info);
        if (err != ERR_OK)
            return err;
    }
    *list = (struct matcher_list){matchers, query->matcher_count};
    return ERR_OK;
}

static enum err read_select(struct read_call *call, const struct remote_read_query *query,
                            struct source_ctx *ctx, struct series_stream **stream)
{
    struct source *source = call->scope.querier->options.source;
    const struct source_hints hints = {
        .step_ms = query->step_ms,
        .range_ms = query->range_ms,
        .function = query->function,
        .grouping = query->grouping,
        .grouping_count = query->grouping_count,
        .grouping_by = query->grouping_by,
    };
    struct matcher_list list = {0};
    const enum err err = read_matchers(call, query, &list);

    if (err != ERR_OK)
        return err;
    return source->ops->select(source, ctx, list, query->t_min_ms, query->t_max_ms, &hints, stream,
                               &call->scope.info);
}

/* The series' labels and those external ones that it doesn't have; in the scratch. */
static enum err read_merge_labels(struct read_call *call, struct label_set set,
                                  struct label_set *merged)
{
    const struct label_set other = call->external;
    struct label *items =
        ARENA_ARRAY(&call->scratch, struct label, (size_t)set.count + other.count);
    uint32_t i = 0, j = 0, count = 0;

    if (items == NULL)
        return read_no_room(call);
    while (i < set.count || j < other.count) {
        const int order = i == set.count     ? 1
                          : j == other.count ? -1
                                             : slice_cmp(set.items[i].name, other.items[j].name);

        items[count++] = order <= 0 ? set.items[i] : other.items[j];
        i += order <= 0;
        j += order >= 0;
    }
    *merged = (struct label_set){items, count};
    return ERR_OK;
}

/* ---- all samples in one message ---- */

/* The samples of one series, in the scratch. */
struct read_gathered {
    struct sample *samples;
    struct remote_write_histogram *histograms;
    uint32_t sample_count, sample_cap, histogram_count, histogram_cap;
};

/* Room for one batch more. */
static bool read_make_room(struct read_call *call, struct read_gathered *all)
{
    if (all->sample_cap - all->sample_count < SOURCE_BATCH) {
        const uint32_t cap = all->sample_cap * 2 + SOURCE_BATCH;

        all->samples =
            arena_grow(&call->scratch, all->samples, all->sample_cap * sizeof(*all->samples),
                       cap * sizeof(*all->samples));
        all->sample_cap = cap;
    }
    return all->samples != NULL;
}

static bool read_make_histogram_room(struct read_call *call, struct read_gathered *all)
{
    if (all->histogram_cap - all->histogram_count < SOURCE_BATCH) {
        const uint32_t cap = all->histogram_cap * 2 + SOURCE_BATCH;

        all->histograms = arena_grow(&call->scratch, all->histograms,
                                     all->histogram_cap * sizeof(*all->histograms),
                                     cap * sizeof(*all->histograms));
        all->histogram_cap = cap;
    }
    return all->histograms != NULL;
}

static enum err read_gather_batch(struct read_call *call, const struct sample_columns *columns,
                                  struct read_gathered *all)
{
    if (columns->kind == SAMPLE_FLOAT) {
        if (!read_make_room(call, all))
            return read_no_room(call);
        for (uint32_t i = 0; i < columns->count; i++)
            all->samples[all->sample_count++] = (struct sample){columns->t_ms[i], columns->v[i]};
        return ERR_OK;
    }
    if (!read_make_histogram_room(call, all))
        return read_no_room(call);
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct histogram *copy = histogram_copy(&call->scratch, columns->histograms[i]);

        if (copy == NULL)
            return read_no_room(call);
        all->histograms[all->histogram_count++] =
            (struct remote_write_histogram){.h = *copy, .t_ms = columns->t_ms[i]};
    }
    return ERR_OK;
}

static enum err read_put_series(struct read_call *call, const struct source_series *series,
                                uint64_t *sample_count)
{
    const int64_t max = call->scope.querier->options.settings->read_samples_max;
    struct read_gathered all = {0};
    struct sample_columns columns;
    struct label_set labels;
    enum err err;

    arena_reset(&call->scratch);
    err = read_merge_labels(call, series->labels, &labels);
    while (err == ERR_OK && sample_cursor_next(series->cursor, &columns)) {
        *sample_count += columns.count;
        if (max != 0 && *sample_count > (uint64_t)max)
            return err_set(&call->scope.info, ERR_BAD_INPUT, "exceeded sample limit (%" PRId64 ")",
                           max);
        err = read_gather_batch(call, &columns, &all);
    }
    if (err == ERR_OK)
        err = series->cursor->err;
    if (err != ERR_OK || all.sample_count + all.histogram_count == 0)
        return err;
    remote_write_put_series(&call->out, &(struct remote_write_series_out){
                                            .labels = labels,
                                            .samples = all.samples,
                                            .sample_count = all.sample_count,
                                            .histograms = all.histograms,
                                            .histogram_count = all.histogram_count,
                                        });
    return read_charge(call);
}

static enum err read_samples_of(struct read_call *call, const struct remote_read_query *query)
{
    const size_t mark = remote_read_result_begin(&call->out);
    struct source_ctx ctx = query_scope_ctx(&call->scope);
    struct series_stream *stream = NULL;
    struct source_series series;
    uint64_t sample_count = 0;
    enum err err = read_select(call, query, &ctx, &stream);

    while (err == ERR_OK && series_stream_next(stream, &series))
        err = read_put_series(call, &series, &sample_count);
    metric_add(&call->scope.querier->metrics.samples, sample_count);
    if (err == ERR_OK && stream->err != ERR_OK) {
        call->scope.info = stream->info;
        err = stream->err;
    }
    remote_read_result_end(&call->out, mark);
    return err;
}

static void read_samples(struct read_call *call)
{
    const struct http_header packed = {SLICE("content-encoding"), SLICE("snappy")};
    enum err err = ERR_OK;
    char *body;
    size_t len;

    for (uint32_t i = 0; i < call->request.query_count && err == ERR_OK; i++)
        err = read_samples_of(call, &call->request.queries[i]);
    arena_release(&call->scope.arena); /* a slow client holds up no flush */
    if (err == ERR_OK) {
        snappy_block_encode(&call->stream, buf_slice(&call->out));
        err = read_charge(call);
    }
    if (err != ERR_OK) {
        read_fail(call, err);
        return;
    }
    body = buf_take(&call->stream, &len);
    http_respond(call->scope.req, &(struct http_response){
                                      .status = 200,
                                      .body_is = HTTP_BODY_OWNED,
                                      .body = slice_of(body, len),
                                      .content_type = "application/x-protobuf",
                                      .headers = &packed,
                                      .header_count = 1,
                                  });
}

/* ---- a stream of chunks ---- */

static enum err read_send(struct read_call *call)
{
    enum err err;

    if (!call->is_streaming) {
        http_stream_begin(call->scope.req,
                          &(struct http_response){
                              .status = 200,
                              .content_type = "application/x-streamed-protobuf; "
                                              "proto=prometheus.ChunkedReadResponse",
                          });
        call->is_streaming = true;
    }
    err = http_stream_write(call->scope.req, buf_slice(&call->stream));
    buf_reset(&call->stream);
    return err;
}

/* The frames of one series. */
struct read_frames {
    struct label_set labels;
    uint32_t query;
    int64_t size_max, left; /* bytes of chunks */
    bool is_open;           /* a message is under way */
};

static enum err read_end_frame(struct read_call *call, struct read_frames *frames)
{
    enum err err;

    if (!frames->is_open)
        return ERR_OK;
    remote_read_frame_end(&call->out, frames->query, &call->stream);
    frames->is_open = false;
    err = read_charge(call);
    if (err == ERR_OK && call->stream.len >= READ_STREAM_PART)
        err = read_send(call);
    return err;
}

/* The chunk that the writer holds. A full frame ends where another chunk follows. */
static enum err read_put_chunk(struct read_call *call, struct read_frames *frames, bool is_last)
{
    const struct prom_chunk_writer *writer = &call->chunk;
    const struct prom_chunk chunk = prom_chunk_writer_chunk(writer);

    if (!frames->is_open) {
        remote_read_series_begin(&call->out, frames->labels);
        frames->left = frames->size_max;
        frames->is_open = true;
    }
    frames->left -= (int64_t)remote_read_put_chunk(
        &call->out, &(struct remote_read_chunk){writer->t_min_ms, writer->t_max_ms, chunk.encoding,
                                                chunk.data});
    prom_chunk_writer_reset(&call->chunk);
    return is_last || frames->left <= 0 ? read_end_frame(call, frames) : ERR_OK;
}

static enum err read_add_batch(struct read_call *call, const struct sample_columns *columns,
                               struct read_frames *frames)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < columns->count && err == ERR_OK; i++) {
        const bool is_float = columns->kind == SAMPLE_FLOAT;
        const struct prom_sample sample = {
            .t_ms = columns->t_ms[i],
            .kind = columns->kind,
            .v = is_float ? columns->v[i] : 0,
            .histogram = is_float ? NULL : columns->histograms[i],
        };

        if (prom_chunk_writer_add(&call->chunk, &sample))
            continue;
        err = read_put_chunk(call, frames, false);
        if (!prom_chunk_writer_add(&call->chunk, &sample))
            return err_set(&call->scope.info, ERR_INTERNAL, "a sample fits no chunk");
    }
    return err;
}

static enum err read_stream_series(struct read_call *call, const struct source_series *series,
                                   uint32_t query, uint64_t *sample_count)
{
    struct read_frames frames = {.query = query};
    struct sample_columns columns;
    enum err err;

    arena_reset(&call->scratch);
    err = read_merge_labels(call, series->labels, &frames.labels);
    frames.size_max = call->scope.querier->options.settings->read_frame_size_max -
                      (int64_t)remote_read_labels_size(frames.labels);
    prom_chunk_writer_reset(&call->chunk);
    while (err == ERR_OK && sample_cursor_next(series->cursor, &columns)) {
        *sample_count += columns.count;
        err = read_add_batch(call, &columns, &frames);
    }
    if (err == ERR_OK)
        err = series->cursor->err;
    if (err == ERR_OK && call->chunk.count != 0)
        err = read_put_chunk(call, &frames, true);
    return err;
}

static enum err read_stream_query(struct read_call *call, uint32_t query)
{
    struct source_ctx ctx = query_scope_ctx(&call->scope);
    struct series_stream *stream = NULL;
    struct source_series series;
    uint64_t sample_count = 0;
    enum err err = read_select(call, &call->request.queries[query], &ctx, &stream);

    while (err == ERR_OK && series_stream_next(stream, &series)) {
        err = read_stream_series(call, &series, query, &sample_count);
        if (err == ERR_OK)
            err = source_ctx_check(&ctx);
    }
    metric_add(&call->scope.querier->metrics.samples, sample_count);
    if (err == ERR_OK && stream->err != ERR_OK) {
        call->scope.info = stream->info;
        err = stream->err;
    }
    return err;
}

static void read_chunks(struct read_call *call)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < call->request.query_count && err == ERR_OK; i++)
        err = read_stream_query(call, i);
    if (err != ERR_OK && !call->is_streaming) {
        read_fail(call, err);
        return;
    }
    if (err == ERR_OK)
        err = read_send(call);
    if (err != ERR_OK && err != ERR_CLOSED)
        log_warn(&call->scope.querier->log, "remote read broke off", F_ERR(err, &call->scope.info));
    http_stream_end(call->scope.req, err == ERR_OK);
}

static void on_read(struct http_request *req)
{
    struct read_call call = {.is_streaming = false};
    enum err err;

    if (!query_scope_begin(&call.scope, req))
        return;
    arena_init(&call.scratch, &call.scope.budget, 0);
    buf_init(&call.out, READ_ANSWER_MAX);
    buf_init(&call.stream, READ_ANSWER_MAX);
    prom_chunk_writer_init(&call.chunk);
    err = read_decode(&call);
    if (err != ERR_OK)
        read_fail(&call, err);
    else if (call.request.is_streamed)
        read_chunks(&call);
    else
        read_samples(&call);
    if (err != ERR_OK)
        metric_inc(&call.scope.querier->metrics.failures);
    prom_chunk_writer_fini(&call.chunk);
    buf_fini(&call.out);
    buf_fini(&call.stream);
    arena_fini(&call.scratch);
    budget_give(&call.scope.budget, call.taken);
    query_scope_end(&call.scope);
}

void api_read_add_routes(struct querier *querier, struct http_server *server)
{
    http_server_route(server, &(struct http_route){
                                  .methods = HTTP_POST,
                                  .path = "/api/v1/read",
                                  .handler = on_read,
                                  .owner = querier,
                                  .body_size_max = READ_REQUEST_SIZE_MAX,
                                  .flags = HTTP_ROUTE_IDENTITY,
                                  .pool = ENV_POOL_QUERY,
                                  .queue_wait_ms = (uint64_t)querier->options.settings->timeout_ms,
                              });
}
