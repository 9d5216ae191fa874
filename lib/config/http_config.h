/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How to call somebody over HTTP, as every section of the configuration that calls out has it
 * inline: credentials, TLS, proxy, headers.
 *
 * Ownership: a plain value inside an immutable configuration; slices are terminated and borrowed
 * from it. Files of credentials are named here and read by the caller before each request. */

#include <stdint.h>

#include "base/slice.h"

enum http_config_tls {
    HTTP_CONFIG_TLS_DEFAULT,
    HTTP_CONFIG_TLS10,
    HTTP_CONFIG_TLS11,
    HTTP_CONFIG_TLS12,
    HTTP_CONFIG_TLS13
};

struct http_config_tls_options {
    struct slice ca, ca_file, cert, cert_file, key, key_file; /* text (PEM) or path; empty: none */
    struct slice server_name;
    bool insecure_skip_verify;
    enum http_config_tls version_min, version_max;
};

/* One header with its values: given, secret, and read from files (white space trimmed). */
struct http_config_header {
    struct slice name;
    const struct slice *values, *secrets, *files;
    uint32_t value_count, secret_count, file_count;
};

struct http_config {
    bool has_basic_auth, has_authorization, has_oauth2;
    struct slice username, username_file, password, password_file; /* of basic_auth */
    struct slice auth_type;                     /* of authorization: "Bearer" unless given */
    struct slice credentials, credentials_file; /* likewise */
    struct http_config_tls_options tls;
    struct slice proxy_url, no_proxy; /* empty: none */
    bool proxy_from_environment;
    bool follow_redirects, enable_http2;
    const struct http_config_header *headers;
    uint32_t header_count;
};
