/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Compression of answers, and the choice of it by Accept-Encoding. Private to net; zlib stays here.
 * Threads: one compressor, one thread at a time. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum http_coding { HTTP_CODING_IDENTITY, HTTP_CODING_GZIP, HTTP_CODING_DEFLATE };

/* The coding to use: gzip if it is accepted, else deflate, else none. */
enum http_coding http_gzip_choose(struct slice accept_encoding);
/* "gzip", "deflate", "identity". */
const char *http_gzip_coding_text(enum http_coding coding);

struct http_gzip;

struct http_gzip *http_gzip_new(enum http_coding coding);
void http_gzip_free(struct http_gzip *gzip);

/* Compresses bytes and appends to out what is ready; is_last flushes all. out->err tells of a
 * passed maximum. */
void http_gzip_write(struct http_gzip *gzip, struct slice bytes, bool is_last, struct buf *out);
