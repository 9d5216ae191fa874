/* SPDX-License-Identifier: Apache-2.0 */
#include "querier/api_answer.h"

#include <stdio.h>

#include "base/mem.h"

enum {
    API_BUF_MAX = 256 << 20, /* between two polls */
    API_ANNOTATIONS_MAX = 10,
};

#define API_CONTENT_TYPE "application/json"

void api_answer_begin(struct api_answer *answer, struct http_request *req)
{
    *answer = (struct api_answer){.req = req};
    buf_init(&answer->buf, API_BUF_MAX);
    json_writer_init(&answer->json, &answer->buf);
    json_open_object(&answer->json);
    json_member_cstr(&answer->json, "status", "success");
    json_key(&answer->json, "data");
}

static void api_answer_flush(struct api_answer *answer)
{
    if (!answer->is_streaming) {
        http_stream_begin(answer->req,
                          &(struct http_response){.status = 200, .content_type = API_CONTENT_TYPE});
        answer->is_streaming = true;
    }
    if (answer->err == ERR_OK && answer->buf.len > 0)
        answer->err = http_stream_write(answer->req, buf_slice(&answer->buf));
    buf_reset(&answer->buf);
}

bool api_answer_poll(struct api_answer *answer)
{
    if (answer->buf.err != ERR_OK && answer->err == ERR_OK)
        answer->err = answer->buf.err;
    if (answer->err == ERR_OK && answer->buf.len >= API_ANSWER_PART)
        api_answer_flush(answer);
    return answer->err == ERR_OK;
}

/* At most ten of a kind, then how many were left out. */
static void api_answer_annotations(struct json_writer *json, const struct annotations *annotations,
                                   bool is_warning)
{
    const uint32_t count = is_warning ? annotations->warning_count : annotations->info_count;
    uint32_t written = 0;
    char text[64];

    if (count == 0)
        return;
    json_key(json, is_warning ? "warnings" : "infos");
    json_open_array(json);
    for (const struct annotation *at = annotations->first; at != NULL; at = at->next) {
        if (at->is_warning == is_warning && written++ < API_ANNOTATIONS_MAX)
            json_string(json, at->text);
    }
    if (count > API_ANNOTATIONS_MAX) {
        snprintf(text, sizeof(text), "%u more %s annotations omitted", count - API_ANNOTATIONS_MAX,
                 is_warning ? "warning" : "info");
        json_cstr(json, text);
    }
    json_close_array(json);
}

void api_answer_end(struct api_answer *answer, const struct annotations *annotations)
{
    size_t len;
    char *body;

    if (annotations != NULL) {
        api_answer_annotations(&answer->json, annotations, true);
        api_answer_annotations(&answer->json, annotations, false);
    }
    json_close_object(&answer->json);
    if (!api_answer_poll(answer) && !answer->is_streaming) {
        buf_fini(&answer->buf);
        api_answer_error(answer->req, answer->err, NULL);
        return;
    }
    if (answer->is_streaming) {
        api_answer_flush(answer);
        http_stream_end(answer->req, answer->err == ERR_OK);
        buf_fini(&answer->buf);
        return;
    }
    body = buf_take(&answer->buf, &len);
    http_respond(answer->req, &(struct http_response){.status = 200,
                                                      .body_is = HTTP_BODY_OWNED,
                                                      .body = slice_of(body, len),
                                                      .content_type = API_CONTENT_TYPE});
}

static const char *api_error_type(enum err err, int *status)
{
    *status = err_http_status(err);
    switch (*status) {
    case 400:
    case 413:
    case 415:
        *status = 400;
        return "bad_data";
    case 404:
        return "not_found";
    case 422:
        return "execution";
    case 499:
        return "canceled";
    default:
        break;
    }
    if (err == ERR_DEADLINE || err == ERR_FULL)
        return "timeout";
    *status = 500;
    return err == ERR_UNAVAILABLE || err == ERR_CLOSED ? "unavailable" : "internal";
}

void api_answer_error(struct http_request *req, enum err err, const struct err_info *info)
{
    struct json_writer json;
    struct buf buf;
    size_t len;
    int status;
    const char *type = api_error_type(err, &status);
    char *body;

    buf_init(&buf, API_BUF_MAX);
    json_writer_init(&json, &buf);
    json_open_object(&json);
    json_member_cstr(&json, "status", "error");
    json_member_cstr(&json, "errorType", type);
    json_member_cstr(&json, "error", err_message(err, info));
    json_close_object(&json);
    body = buf_take(&buf, &len);
    http_respond(req, &(struct http_response){.status = status,
                                              .body_is = HTTP_BODY_OWNED,
                                              .body = slice_of(body, len),
                                              .content_type = API_CONTENT_TYPE});
}
