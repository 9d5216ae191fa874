/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "net/http_client_internal.h"

enum { CLIENT_REDIRECT_MAX = 10, CLIENT_DEADLINE_MS_MAX = 1 << 30 };

#define CLIENT_BODY_SIZE_MAX ((size_t)64 << 20)

/* Remembers the address, for the message if it fails. */
static curl_socket_t on_curl_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_transfer *transfer = owner;
    const struct sockaddr *addr = &address->addr;
    char host[INET6_ADDRSTRLEN] = "";

    (void)purpose;
    if (FAULT("net.client.socket"))
        return CURL_SOCKET_BAD;
    transfer->family = address->family;
    if (address->family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(transfer->dialled, sizeof(transfer->dialled), "%s:%u", host, ntohs(in->sin_port));
    } else if (address->family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(transfer->dialled, sizeof(transfer->dialled), "[%s]:%u", host,
                 ntohs(in6->sin6_port));
    } else {
        snprintf(transfer->dialled, sizeof(transfer->dialled), "%s",
                 transfer->call->client->options.unix_socket);
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool body_is_compressed(const struct http_transfer *transfer)
{
    return slice_eq_cstr(http_call_header(transfer->call, "content-encoding"), "gzip");
}

static size_t on_curl_compressed(struct http_transfer *transfer, struct slice bytes)
{
    const enum err err = http_gunzip_write(transfer->gunzip, bytes, &transfer->call->buf);

    transfer->is_too_large = err == ERR_TOO_LARGE;
    transfer->is_corrupt = err == ERR_CORRUPT;
    return err == ERR_OK ? bytes.len : 0;
}

static size_t on_curl_body(char *data, size_t size, size_t count, void *owner)
{
    struct http_transfer *transfer = owner;
    struct buf *buf = &transfer->call->buf;
    const size_t len = size * count;

    if (transfer->gunzip == NULL && buf->len == 0 && body_is_compressed(transfer))
        transfer->gunzip = http_gunzip_new();
    if (transfer->gunzip != NULL)
        return on_curl_compressed(transfer, slice_of(data, len));
    /* The buffer may have room beyond this call's maximum, from one before. */
    if (len > buf->max - buf->len) {
        transfer->is_too_large = true;
        return 0;
    }
    buf_add(buf, data, len);
    return len;
}

static void setup_header(struct http_transfer *transfer, const char *line)
{
    struct curl_slist *list = curl_slist_append(transfer->headers, line);

    ASSERT(list != NULL);
    transfer->headers = list;
}

static bool setup_header_is_safe(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '\r' || s.data[i] == '\n' || s.data[i] == '\0')
            return false;
    return true;
}

static enum err setup_headers(struct http_transfer *transfer, struct err_info *info)
{
    const struct http_call *call = transfer->call;
    bool has_type = false;
    struct buf line;
    enum err err = ERR_OK;

    buf_init(&line, CURL_MAX_HTTP_HEADER);
    for (size_t i = 0; i < call->header_count && err == ERR_OK; i++) {
        const struct http_header *header = &call->headers[i];

        buf_reset(&line);
        buf_add_slice(&line, header->name);
        /* curl takes "Name;" for a header without value. */
        buf_add_cstr(&line, header->value.len > 0 ? ": " : ";");
        buf_add_slice(&line, header->value);
        if (line.err != ERR_OK || !setup_header_is_safe(buf_slice(&line))) {
            err = err_set(info, ERR_BAD_INPUT, "invalid header \"%.*s\"", SLICE_ARG(header->name));
            break;
        }
        buf_add_byte(&line, '\0');
        setup_header(transfer, line.data);
        if (header->name.len == 12 && strncasecmp(header->name.data, "content-type", 12) == 0)
            has_type = true;
    }
    buf_fini(&line);
    if (err != ERR_OK)
        return err;
    setup_header(transfer, "Expect:"); /* no pause before a body */
    if (!has_type)
        setup_header(transfer, "Content-Type:");
    return ERR_OK;
}

static void setup_method(struct http_transfer *transfer)
{
    const struct http_call *call = transfer->call;
    CURL *easy = transfer->easy;

    switch (call->method) {
    case HTTP_GET:
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    case HTTP_HEAD:
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    case HTTP_POST:
    case HTTP_PUT:
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.len > 0 ? call->body.data : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        break;
    case HTTP_DELETE:
    case HTTP_OPTIONS:
    case HTTP_METHOD_ANY:
        break;
    }
    if (call->method != HTTP_POST)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http_method_text(call->method));
}

static void setup_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};

    curl_easy_setopt(easy, option, &blob);
}

static void setup_tls_versions(CURL *easy, const struct http_client_options *options)
{
    static const long min[] = {[HTTP_TLS_ANY] = CURL_SSLVERSION_DEFAULT,
                               [HTTP_TLS_1_0] = CURL_SSLVERSION_TLSv1_0,
                               [HTTP_TLS_1_1] = CURL_SSLVERSION_TLSv1_1,
                               [HTTP_TLS_1_2] = CURL_SSLVERSION_TLSv1_2,
                               [HTTP_TLS_1_3] = CURL_SSLVERSION_TLSv1_3};
    static const long max[] = {[HTTP_TLS_ANY] = CURL_SSLVERSION_MAX_NONE,
                               [HTTP_TLS_1_0] = CURL_SSLVERSION_MAX_TLSv1_0,
                               [HTTP_TLS_1_1] = CURL_SSLVERSION_MAX_TLSv1_1,
                               [HTTP_TLS_1_2] = CURL_SSLVERSION_MAX_TLSv1_2,
                               [HTTP_TLS_1_3] = CURL_SSLVERSION_MAX_TLSv1_3};

    curl_easy_setopt(easy, CURLOPT_SSLVERSION, min[options->tls_min] | max[options->tls_max]);
}

static void setup_tls(CURL *easy, const struct http_client_options *options)
{
    setup_tls_versions(easy, options);
    if (options->insecure_skip_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (options->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (options->ca_text != NULL)
        setup_blob(easy, CURLOPT_CAINFO_BLOB, options->ca_text);
    if (options->cert_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
    if (options->cert_text != NULL)
        setup_blob(easy, CURLOPT_SSLCERT_BLOB, options->cert_text);
    if (options->key_file != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
    if (options->key_text != NULL)
        setup_blob(easy, CURLOPT_SSLKEY_BLOB, options->key_text);
}

static void setup_auth(struct http_transfer *transfer, const struct http_client_options *options)
{
    CURL *easy = transfer->easy;

    if (options->authorization != NULL) {
        struct buf line;

        buf_init(&line, CURL_MAX_HTTP_HEADER);
        buf_printf(&line, "Authorization: %s", options->authorization);
        buf_add_byte(&line, '\0');
        if (line.err == ERR_OK)
            setup_header(transfer, line.data);
        buf_fini(&line);
    } else if (options->bearer_token != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, options->bearer_token);
    } else if (options->basic_user != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, options->basic_user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD,
                         options->basic_password == NULL ? "" : options->basic_password);
    }
}

static void setup_connection(CURL *easy, const struct http_client_options *options)
{
    if (!options->proxy_from_environment)
        curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy_url == NULL ? "" : options->proxy_url);
    if (options->no_proxy != NULL)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, options->no_proxy);
    if (options->unix_socket != NULL)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
    if (options->connect_timeout_ms > 0)
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options->follows_redirects ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)CLIENT_REDIRECT_MAX);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     options->user_agent == NULL ? "Narthex" : options->user_agent);
}

/* curl checks a certificate against the URL's host: so the URL names the wanted server, the
 * connection goes to the real one, and Host says what it would have said. */
static enum err setup_server_name(struct http_transfer *transfer, const char *server_name,
                                  struct err_info *info)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *url = NULL;
    enum err err = ERR_OK;
    struct buf text;

    buf_init(&text, CURL_MAX_HTTP_HEADER);
    if (curl_url_set(parts, CURLUPART_URL, transfer->call->url, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
        err = err_set(info, ERR_BAD_INPUT, "invalid URL \"%s\"", transfer->call->url);
    } else if (strcmp(scheme, "https") == 0) {
        curl_url_set(parts, CURLUPART_HOST, server_name, 0);
        if (curl_url_get(parts, CURLUPART_URL, &url, 0) != CURLUE_OK) {
            err = err_set(info, ERR_BAD_INPUT, "invalid server name \"%s\"", server_name);
        } else {
            buf_printf(&text, "%s:%s:%s:%s", server_name, port, host, port);
            buf_add_byte(&text, '\0');
            transfer->connect_to = curl_slist_append(NULL, text.data);
            buf_reset(&text);
            buf_printf(&text, "Host: %s:%s", host, port);
            buf_add_byte(&text, '\0');
            setup_header(transfer, text.data);
            transfer->url = mem_copy_text(url, strlen(url));
        }
    }
    buf_fini(&text);
    curl_free(url);
    curl_free(port);
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parts);
    return err;
}

static void setup_limits(struct http_transfer *transfer)
{
    struct http_call *call = transfer->call;
    const uint64_t now_ns = reactor_mono_ns();
    uint64_t left_ms = call->deadline_ns <= now_ns ? 1 : (call->deadline_ns - now_ns) / 1000000 + 1;

    if (left_ms > CLIENT_DEADLINE_MS_MAX)
        left_ms = CLIENT_DEADLINE_MS_MAX;
    call->buf.max = call->body_size_max > 0 ? call->body_size_max : CLIENT_BODY_SIZE_MAX;
    curl_easy_setopt(transfer->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->buf.max);
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
}

enum err http_client_setup(struct http_transfer *transfer, struct err_info *info)
{
    const struct http_call *call = transfer->call;
    const struct http_client_options *options = &call->client->options;
    CURL *easy = transfer->easy;
    enum err err;

    curl_easy_reset(easy);
    err = setup_headers(transfer, info);
    if (err == ERR_OK && options->server_name != NULL)
        err = setup_server_name(transfer, options->server_name, info);
    if (err != ERR_OK)
        return err;
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url != NULL ? transfer->url : call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Names are looked up for each new connection; a cache of them is walked whole by every
     * transfer, which with thousands of targets costs more than all else. */
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_curl_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    if (call->accepts_compressed)
        setup_header(transfer, "Accept-Encoding: gzip");
    setup_method(transfer);
    setup_tls(easy, options);
    setup_auth(transfer, options);
    setup_connection(easy, options);
    setup_limits(transfer);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (transfer->connect_to != NULL)
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to);
    return ERR_OK;
}
