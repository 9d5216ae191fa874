/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include "base/assert.h"

static const struct {
    enum http_method method;
    const char *text;
} http_methods[] = {
    {HTTP_GET, "GET"}, {HTTP_HEAD, "HEAD"},     {HTTP_POST, "POST"},
    {HTTP_PUT, "PUT"}, {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"},
};

static const struct {
    int status;
    const char *text;
} http_statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Requested Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Entity"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_method_text(enum http_method method)
{
    for (size_t i = 0; i < COUNT_OF(http_methods); i++)
        if (http_methods[i].method == method)
            return http_methods[i].text;
    return "UNKNOWN";
}

unsigned http_method_parse(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(http_methods); i++)
        if (slice_eq_cstr(text, http_methods[i].text))
            return http_methods[i].method;
    return 0;
}

const char *http_status_text(int status)
{
    for (size_t i = 0; i < COUNT_OF(http_statuses); i++)
        if (http_statuses[i].status == status)
            return http_statuses[i].text;
    return "Unknown";
}
