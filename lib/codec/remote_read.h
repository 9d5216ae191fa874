/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote read (Prometheus): requests read, answers of both kinds written. Bytes of the streamed
 * kind: docs/formats/remote-read.md.
 *
 *   samples:  ReadResponse   = result_begin series ... result_end ... , one result a query
 *   streamed: frame ...      frame = length:uvarint crc32c:u32be ChunkedReadResponse
 *
 * Ownership: what is decoded borrows the request's bytes and the arena. Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"
#include "model/matcher.h"

enum {
    REMOTE_READ_QUERIES_MAX = 1000,
    REMOTE_READ_MATCHERS_MAX = 1000, /* of one query */
    REMOTE_READ_GROUPING_MAX = 1000,
};

struct remote_read_query {
    int64_t t_min_ms, t_max_ms; /* included */
    const struct matcher_spec *matchers;
    uint32_t matcher_count;
    /* What the asker is going to do with it. */
    int64_t step_ms, range_ms;
    struct slice function;
    const struct slice *grouping;
    uint32_t grouping_count;
    bool grouping_by;
};

struct remote_read_request {
    const struct remote_read_query *queries;
    uint32_t query_count;
    bool is_streamed; /* the first kind that the asker accepts and we have */
};

/* ERR_BAD_INPUT names the fault: malformed, a matcher of an unknown type, names or values that are
 * not UTF-8, no kind of answer that we have, beyond the limits above. ERR_LIMIT: arena. */
enum err remote_read_decode(struct slice message, struct arena *arena,
                            struct remote_read_request *request, struct err_info *info) MUST_USE;

/* One query's part of a ReadResponse; between them remote_write_put_series for each series. */
size_t remote_read_result_begin(struct buf *out);
void remote_read_result_end(struct buf *out, size_t mark);

/* A message of the streamed kind under construction: one series, chunks, the number of its query.
 */
void remote_read_series_begin(struct buf *out, struct label_set labels);
struct remote_read_chunk {
    int64_t t_min_ms, t_max_ms;
    uint8_t encoding; /* 1 XOR, 2 histogram, 3 float histogram: upstream's numbers */
    struct slice data;
};
/* The size of its message, which counts for what a frame may hold. */
size_t remote_read_put_chunk(struct buf *out, const struct remote_read_chunk *chunk);
/* Closes the message that fills `out` and appends it to `stream` as a frame; out is empty again. */
void remote_read_frame_end(struct buf *out, uint32_t query_index, struct buf *stream);

/* Bytes that the labels take in a message, which upstream takes off what a frame may hold. */
size_t remote_read_labels_size(struct label_set labels);
