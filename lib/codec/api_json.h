/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Answers of the query API as JSON, as Prometheus writes them, streamed into a buffer that the
 * caller empties as it grows.
 *
 *   {"status":"success","data": DATA ,"warnings":[...],"infos":[...]}
 *   {"status":"error","errorType":"bad_data","error":"..."}
 *
 * DATA of a query: {"resultType":"matrix","result":[{"metric":{...},"values":[[t,"v"],...]},...]}.
 * Times are seconds with no or exactly three decimals; values are texts, shortest form, with an
 * exponent below 1e-6 and from 1e21. Scalars are printed differently: no exponent ever.
 *
 * Ownership: borrows the buffer. Threads: one at a time. Errors are sticky, in err. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/query.h"

struct api_json;

/* Called when the buffer holds a good portion; takes what is in out and resets it. An error ends
 * the writing and stays in api->err. */
typedef enum err api_json_flush_fn(struct api_json *api, void *owner);

struct api_json {
    struct buf *out;          /* borrowed */
    api_json_flush_fn *flush; /* NULL: all stays in out */
    void *owner;
    size_t flush_size; /* bytes in out that call flush */
    enum err err;      /* sticky: of flush, or out's maximum */
};

void api_json_init(struct api_json *api, struct buf *out);

/* The envelope around one JSON value that the caller writes into out (base/json.h does). */
void api_json_open(struct api_json *api);
/* annotations may be NULL; ten texts of a kind, then how many more. */
void api_json_close(struct api_json *api, const struct annotations *annotations);

/* A whole error answer; the HTTP status is err_http_status(err). */
void api_json_error(struct api_json *api, enum err err, const char *message);
/* "bad_data", "execution", "timeout" ... */
const char *api_json_error_type(enum err err);

/* DATA of a query result, from open to close. */
void api_json_result(struct api_json *api, const struct query_result *result, bool with_stats);

/* Parts of it, for others: {"a":"b"} without HTML escapes; 1435781451.781; [t,"v"] without
 * brackets;
 * {"count":...}. */
void api_json_labels(struct buf *out, struct label_set labels);
void api_json_time(struct buf *out, int64_t t_ms);
void api_json_histogram(struct buf *out, const struct histogram *h);
