/* SPDX-License-Identifier: Apache-2.0 */
#include "querier/api_answer.h"

#include "base/mem.h"

enum { API_BUF_MAX = 256 << 20 /* between two polls */ };

#define API_CONTENT_TYPE "application/json"

static enum err on_flush(struct api_json *api, void *owner)
{
    struct api_answer *answer = owner;
    enum err err;

    if (!answer->is_streaming) {
        http_stream_begin(answer->req,
                          &(struct http_response){.status = 200, .content_type = API_CONTENT_TYPE});
        answer->is_streaming = true;
    }
    err = http_stream_write(answer->req, buf_slice(api->out));
    buf_reset(api->out);
    return err;
}

void api_answer_begin(struct api_answer *answer, struct http_request *req)
{
    *answer = (struct api_answer){.req = req};
    buf_init(&answer->buf, API_BUF_MAX);
    api_json_init(&answer->api, &answer->buf);
    answer->api.flush = on_flush;
    answer->api.owner = answer;
    answer->api.flush_size = API_ANSWER_PART;
    json_writer_init(&answer->json, &answer->buf);
    api_json_open(&answer->api);
}

bool api_answer_poll(struct api_answer *answer)
{
    if (answer->api.err == ERR_OK && answer->buf.err != ERR_OK)
        answer->api.err = answer->buf.err;
    if (answer->api.err == ERR_OK && answer->buf.len >= API_ANSWER_PART)
        answer->api.err = on_flush(&answer->api, answer);
    return answer->api.err == ERR_OK;
}

static void respond_buf(struct http_request *req, int status, struct buf *buf)
{
    size_t len;
    char *body = buf_take(buf, &len);

    http_respond(req, &(struct http_response){.status = status,
                                              .body_is = HTTP_BODY_OWNED,
                                              .body = slice_of(body, len),
                                              .content_type = API_CONTENT_TYPE});
}

void api_answer_end(struct api_answer *answer, const struct annotations *annotations)
{
    api_json_close(&answer->api, annotations);
    if (answer->is_streaming) {
        if (answer->api.err == ERR_OK && answer->buf.len > 0)
            answer->api.err = on_flush(&answer->api, answer);
        http_stream_end(answer->req, answer->api.err == ERR_OK);
    } else if (api_answer_poll(answer)) {
        if (answer->is_streaming)
            http_stream_end(answer->req, true);
        else
            respond_buf(answer->req, 200, &answer->buf);
    } else {
        api_answer_error(answer->req, answer->api.err, NULL);
    }
    buf_fini(&answer->buf);
}

/* Upstream's codes: a disabled or stopping service is 500, a time-out 503, what cannot be read 400.
 */
static int api_status(enum err err)
{
    const int status = err_http_status(err);

    switch (status) {
    case 405:
    case 409:
    case 413:
    case 415:
        return 400;
    case 503:
        return err == ERR_DEADLINE || err == ERR_FULL ? 503 : 500;
    default:
        return status;
    }
}

void api_answer_error(struct http_request *req, enum err err, const struct err_info *info)
{
    struct api_json api;
    struct buf buf;

    buf_init(&buf, API_BUF_MAX);
    api_json_init(&api, &buf);
    api_json_error(&api, err, err_message(err, info));
    respond_buf(req, api_status(err), &buf);
    buf_fini(&buf);
}
