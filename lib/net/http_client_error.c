/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/http_client_internal.h"

/* The texts are those that users of Prometheus know from Go's client, since they stand in the
 * targets page, in logs and in other people's scripts: `Get "http://a:1/metrics": dial tcp
 * 127.0.0.1:1: connect: connection refused`. */

enum { ERROR_URL_SIZE = 128, ERROR_TEXT_SIZE = CURL_ERROR_SIZE + 64 };

static void error_lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* "connection refused" */
static void error_errno_text(char *out, size_t size, int errno_value)
{
    snprintf(out, size, "%s", strerror(errno_value));
    error_lower(out);
}

/* The URL without its password. */
static void error_url(char *out, size_t size, const char *url)
{
    const char *scheme_end = strstr(url, "://");
    const char *host = scheme_end == NULL ? url : scheme_end + 3;
    const size_t authority_len = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority_len);
    const char *colon = at == NULL ? NULL : memchr(host, ':', (size_t)(at - host));

    if (colon == NULL)
        snprintf(out, size, "%s", url);
    else
        snprintf(out, size, "%.*s***%s", (int)(colon + 1 - url), url, at);
}

static void error_host(char *out, size_t size, const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK)
        curl_url_get(parts, CURLUPART_HOST, &host, 0);
    snprintf(out, size, "%s", host == NULL ? "?" : host);
    curl_free(host);
    curl_url_cleanup(parts);
}

static enum err error_connect(const struct http_transfer *transfer, char *text)
{
    long os_errno = 0;
    char reason[64];

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (transfer->family == 0 || os_errno == 0) {
        snprintf(text, ERROR_TEXT_SIZE, "%s", transfer->error);
        return ERR_REFUSED;
    }
    error_errno_text(reason, sizeof(reason), (int)os_errno);
    snprintf(text, ERROR_TEXT_SIZE, "dial %s %s: connect: %s",
             transfer->family == AF_UNIX ? "unix" : "tcp", transfer->dialled, reason);
    return ERR_REFUSED;
}

static enum err error_timeout(const struct http_transfer *transfer, char *text)
{
    curl_off_t connected_us = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (reactor_mono_ns() + 1000000 < transfer->call->deadline_ns && connected_us == 0)
        snprintf(text, ERROR_TEXT_SIZE, "dial tcp %s: i/o timeout", transfer->dialled);
    else
        snprintf(text, ERROR_TEXT_SIZE, "context deadline exceeded");
    return ERR_DEADLINE;
}

static enum err error_certificate(const struct http_transfer *transfer, char *text)
{
    const char *reason = transfer->error;
    long verified = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
    switch (verified) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        reason = "x509: certificate signed by unknown authority";
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        reason = "x509: certificate has expired or is not yet valid";
        break;
    default: /* as a name that does not match; curl says it well */
        break;
    }
    snprintf(text, ERROR_TEXT_SIZE, "tls: failed to verify certificate: %s", reason);
    return ERR_IO;
}

static enum err error_transport(const struct http_transfer *transfer, const char *verb, char *text)
{
    long os_errno = 0;
    char reason[64];

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (os_errno == 0) {
        snprintf(text, ERROR_TEXT_SIZE, "%s", transfer->error);
        return ERR_IO;
    }
    error_errno_text(reason, sizeof(reason), (int)os_errno);
    snprintf(text, ERROR_TEXT_SIZE, "%s tcp %s: %s", verb, transfer->dialled, reason);
    return ERR_IO;
}

static enum err error_lookup(const struct http_transfer *transfer, char *text)
{
    char host[100];

    error_host(host, sizeof(host), transfer->call->url);
    snprintf(text, ERROR_TEXT_SIZE, "dial tcp: lookup %s: no such host", host);
    return ERR_IO;
}

static enum err error_text(const struct http_transfer *transfer, CURLcode code, char *text)
{
#define SAY(err, ...) (snprintf(text, ERROR_TEXT_SIZE, __VA_ARGS__), (err))
    const char *detail = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);

    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
        return error_connect(transfer, text);
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_lookup(transfer, text);
    case CURLE_OPERATION_TIMEDOUT:
        return error_timeout(transfer, text);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_certificate(transfer, text);
    case CURLE_GOT_NOTHING:
        return SAY(ERR_IO, "EOF");
    case CURLE_PARTIAL_FILE:
        return SAY(ERR_IO, "unexpected EOF");
    case CURLE_RECV_ERROR:
        return error_transport(transfer, "read", text);
    case CURLE_SEND_ERROR:
        return error_transport(transfer, "write", text);
    case CURLE_TOO_MANY_REDIRECTS:
        return SAY(ERR_IO, "stopped after 10 redirects");
    case CURLE_BAD_CONTENT_ENCODING:
        return SAY(ERR_CORRUPT, "invalid compressed body");
    case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL, or of what answered */
        if (transfer->family != 0)
            return SAY(ERR_IO, "malformed HTTP response");
        return SAY(ERR_BAD_INPUT, "%s", detail);
    case CURLE_WEIRD_SERVER_REPLY:
        return SAY(ERR_IO, "malformed HTTP response");
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return SAY(ERR_BAD_INPUT, "%s", detail);
    default:
        return SAY(ERR_IO, "%s", detail);
    }
#undef SAY
}

enum err http_client_error(const struct http_transfer *transfer, CURLcode code,
                           struct err_info *info)
{
    char url[ERROR_URL_SIZE], text[ERROR_TEXT_SIZE], method[8];
    enum err err;

    if (transfer->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
        return err_set(info, ERR_TOO_LARGE, "body size limit exceeded");
    if (transfer->is_corrupt)
        code = CURLE_BAD_CONTENT_ENCODING;
    err = error_text(transfer, code, text);
    error_url(url, sizeof(url), transfer->call->url);
    snprintf(method, sizeof(method), "%s", http_method_text(transfer->call->method));
    error_lower(method + 1);
    return err_set(info, err, "%s \"%s\": %s", method, url, text);
}
