/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Answers of the API: the JSON envelope, error kinds and status codes, and long answers sent while
 * they are made.
 *
 *   api_answer_begin -> write JSON to answer->json, api_answer_poll now and then -> api_answer_end
 *
 * A short answer goes out whole (and compressed); one that outgrows API_ANSWER_PART is streamed.
 * Threads: one worker. */

#include "base/buf.h"
#include "base/json.h"
#include "model/source.h"
#include "net/http_request.h"

enum { API_ANSWER_PART = 1 << 20 };

struct api_answer {
    struct http_request *req;
    struct buf buf; /* owned; what is not sent yet */
    struct json_writer json;
    bool is_streaming;
    enum err err; /* sticky: CLOSED once the client has left */
};

/* Opens {"status":"success","data": and leaves the writer where the data goes. */
void api_answer_begin(struct api_answer *answer, struct http_request *req);
/* Sends what has gathered if it is much. False: the client left, stop writing. */
bool api_answer_poll(struct api_answer *answer);
/* Adds warnings and infos (may be NULL), closes the envelope and sends the rest. */
void api_answer_end(struct api_answer *answer, const struct annotations *annotations);

/* {"status":"error","errorType":...,"error":...} with upstream's code for it. */
void api_answer_error(struct http_request *req, enum err err, const struct err_info *info);
