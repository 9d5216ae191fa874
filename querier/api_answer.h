/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Answers of the API: codec/api_json.h over a request. A short answer goes out whole (and
 * compressed); one that outgrows API_ANSWER_PART is sent while it is made.
 *
 *   api_answer_begin -> write the data to answer->api or answer->json, poll now and then ->
 * api_answer_end
 *
 * Threads: one worker. */

#include "base/buf.h"
#include "base/json.h"
#include "codec/api_json.h"
#include "net/http_request.h"

enum { API_ANSWER_PART = 1 << 20 };

struct api_answer {
    struct http_request *req;
    struct buf buf; /* owned: what is not sent yet */
    struct api_json api;
    struct json_writer json; /* for data that is not a query's result */
    bool is_streaming;
};

/* Opens the envelope. Do not move *answer afterwards. */
void api_answer_begin(struct api_answer *answer, struct http_request *req);
/* Sends what has gathered if it is much. False: the client left, stop writing. */
bool api_answer_poll(struct api_answer *answer);
/* Adds the annotations (may be NULL), closes the envelope and sends the rest. */
void api_answer_end(struct api_answer *answer, const struct annotations *annotations);

/* An error with upstream's kind and status. */
void api_answer_error(struct http_request *req, enum err err, const struct err_info *info);
