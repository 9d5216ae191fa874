/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_read.h"

#include "proto/prometheus_read.pb-c.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/utf8.h"
#include "codec/wire_internal.h"

enum { RESPONSE_SAMPLES = 0, RESPONSE_STREAMED = 1 };

/* Field numbers of the answers. */
enum {
    READ_RESULTS = 1,
    CHUNKED_SERIES = 1,
    CHUNKED_QUERY_INDEX = 2,
    SERIES_LABELS = 1,
    SERIES_CHUNKS = 2,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    CHUNK_T_MIN = 1,
    CHUNK_T_MAX = 2,
    CHUNK_TYPE = 3,
    CHUNK_DATA = 4,
};

static void *on_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void on_free(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static struct slice text_of(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

/* The first kind in the list that there is; an empty list means samples. */
static enum err choose_kind(const Prometheus__Read__ReadRequest *message, bool *is_streamed,
                            struct err_info *info)
{
    *is_streamed = false;
    if (message->n_accepted_response_types == 0)
        return ERR_OK;
    for (size_t i = 0; i < message->n_accepted_response_types; i++) {
        const int32_t type = message->accepted_response_types[i];

        if (type == RESPONSE_SAMPLES || type == RESPONSE_STREAMED) {
            *is_streamed = type == RESPONSE_STREAMED;
            return ERR_OK;
        }
    }
    return err_set(info, ERR_BAD_INPUT,
                   "server does not support any of the requested response types: %d%s; supported: "
                   "SAMPLES, STREAMED_XOR_CHUNKS",
                   message->accepted_response_types[0],
                   message->n_accepted_response_types > 1 ? " ..." : "");
}

static enum err take_matchers(const Prometheus__Read__Query *message, struct arena *arena,
                              struct remote_read_query *query, struct err_info *info)
{
    struct matcher_spec *matchers;

    if (message->n_matchers > REMOTE_READ_MATCHERS_MAX)
        return err_set(info, ERR_BAD_INPUT, "remote read: %zu matchers, the limit is %d",
                       message->n_matchers, REMOTE_READ_MATCHERS_MAX);
    matchers = ARENA_ARRAY(arena, struct matcher_spec, message->n_matchers);
    if (matchers == NULL)
        return err_set(info, ERR_LIMIT, "remote read: no memory for %zu matchers",
                       message->n_matchers);
    for (size_t i = 0; i < message->n_matchers; i++) {
        const Prometheus__Read__LabelMatcher *matcher = message->matchers[i];

        if (matcher->type < MATCHER_EQUAL || matcher->type > MATCHER_NOT_REGEX)
            return err_set(info, ERR_BAD_INPUT, "remote read: invalid matcher type %d",
                           matcher->type);
        matchers[i] = (struct matcher_spec){(enum matcher_type)matcher->type,
                                            text_of(matcher->name), text_of(matcher->value)};
        if (matchers[i].name.len == 0 || !utf8_is_valid(matchers[i].name) ||
            !utf8_is_valid(matchers[i].value))
            return err_set(info, ERR_BAD_INPUT,
                           "remote read: matcher %zu: names and values must be UTF-8, names not "
                           "empty",
                           i);
    }
    query->matchers = matchers;
    query->matcher_count = (uint32_t)message->n_matchers;
    return ERR_OK;
}

static enum err take_hints(const Prometheus__Read__ReadHints *hints, struct arena *arena,
                           struct remote_read_query *query, struct err_info *info)
{
    struct slice *grouping;

    if (hints == NULL)
        return ERR_OK;
    if (hints->n_grouping > REMOTE_READ_GROUPING_MAX)
        return err_set(info, ERR_BAD_INPUT, "remote read: %zu grouping labels, the limit is %d",
                       hints->n_grouping, REMOTE_READ_GROUPING_MAX);
    grouping = ARENA_ARRAY(arena, struct slice, hints->n_grouping);
    if (grouping == NULL)
        return err_set(info, ERR_LIMIT, "remote read: no memory for the hints");
    for (size_t i = 0; i < hints->n_grouping; i++)
        grouping[i] = text_of(hints->grouping[i]);
    query->step_ms = hints->step_ms;
    query->range_ms = hints->range_ms;
    query->function = text_of(hints->func);
    query->grouping = grouping;
    query->grouping_count = (uint32_t)hints->n_grouping;
    query->grouping_by = hints->by;
    return ERR_OK;
}

enum err remote_read_decode(struct slice message, struct arena *arena,
                            struct remote_read_request *request, struct err_info *info)
{
    ProtobufCAllocator allocator = {on_alloc, on_free, arena};
    struct remote_read_query *queries;
    const Prometheus__Read__ReadRequest *read = prometheus__read__read_request__unpack(
        &allocator, message.len, (const uint8_t *)message.data);
    enum err err;

    if (read == NULL)
        return arena->err != ERR_OK
                   ? err_set(info, ERR_LIMIT, "remote read: request too large")
                   : err_set(info, ERR_BAD_INPUT, "remote read: malformed protobuf");
    if (read->n_queries > REMOTE_READ_QUERIES_MAX)
        return err_set(info, ERR_BAD_INPUT, "remote read: %zu queries, the limit is %d",
                       read->n_queries, REMOTE_READ_QUERIES_MAX);
    queries = ARENA_ARRAY(arena, struct remote_read_query, read->n_queries);
    if (queries == NULL)
        return err_set(info, ERR_LIMIT, "remote read: request too large");
    err = choose_kind(read, &request->is_streamed, info);
    for (size_t i = 0; i < read->n_queries && err == ERR_OK; i++) {
        queries[i].t_min_ms = read->queries[i]->start_timestamp_ms;
        queries[i].t_max_ms = read->queries[i]->end_timestamp_ms;
        err = take_matchers(read->queries[i], arena, &queries[i], info);
        if (err == ERR_OK)
            err = take_hints(read->queries[i]->hints, arena, &queries[i], info);
    }
    request->queries = queries;
    request->query_count = (uint32_t)read->n_queries;
    return err;
}

size_t remote_read_result_begin(struct buf *out)
{
    return wire_begin(out, READ_RESULTS);
}

void remote_read_result_end(struct buf *out, size_t mark)
{
    wire_end(out, mark);
}

void remote_read_series_begin(struct buf *out, struct label_set labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        const size_t mark = wire_begin(out, SERIES_LABELS);

        wire_put_bytes(out, LABEL_NAME, labels.items[i].name);
        wire_put_bytes(out, LABEL_VALUE, labels.items[i].value);
        wire_end(out, mark);
    }
}

size_t remote_read_put_chunk(struct buf *out, const struct remote_read_chunk *chunk)
{
    const size_t mark = wire_begin(out, SERIES_CHUNKS);
    size_t size;

    if (chunk->t_min_ms != 0)
        wire_put_uint(out, CHUNK_T_MIN, (uint64_t)chunk->t_min_ms);
    if (chunk->t_max_ms != 0)
        wire_put_uint(out, CHUNK_T_MAX, (uint64_t)chunk->t_max_ms);
    wire_put_uint(out, CHUNK_TYPE, chunk->encoding);
    wire_put_bytes(out, CHUNK_DATA, chunk->data);
    size = out->len - mark;
    wire_end(out, mark);
    return size;
}

/* What was written is the series; it becomes a field of the message. */
static void message_from_series(struct buf *out)
{
    uint8_t head[1 + VARINT_SIZE_MAX];
    const size_t len = out->len;
    size_t size;

    head[0] = CHUNKED_SERIES << 3 | WIRE_BYTES;
    size = 1 + varint_put_u64(head + 1, len);
    if (buf_reserve(out, size) == NULL)
        return;
    memmove(out->data + size, out->data, len);
    memcpy(out->data, head, size);
    out->len += size;
}

void remote_read_frame_end(struct buf *out, uint32_t query_index, struct buf *stream)
{
    uint8_t head[VARINT_SIZE_MAX + 4];
    size_t size;

    message_from_series(out);
    if (query_index != 0)
        wire_put_uint(out, CHUNKED_QUERY_INDEX, query_index);
    size = varint_put_u64(head, out->len);
    endian_put_u32be(head + size, crc32c_slice(buf_slice(out)));
    buf_add(stream, head, size + 4);
    buf_add_slice(stream, buf_slice(out));
    if (out->err != ERR_OK)
        stream->err = out->err;
    buf_reset(out);
}

size_t remote_read_labels_size(struct label_set labels)
{
    size_t size = 0;

    for (uint32_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];

        size += label->name.len == 0 ? 0 : 1 + varint_size(label->name.len) + label->name.len;
        size += label->value.len == 0 ? 0 : 1 + varint_size(label->value.len) + label->value.len;
    }
    return size;
}
