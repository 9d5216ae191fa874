/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Decompression of gzip bodies piece by piece, several members in a row included. curl's own takes
 * a body that ends early for a whole one. Private to net; zlib stays here and in http_gzip.
 *
 * Threads: one owner at a time. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct http_gunzip;

/* The caller frees it with http_gunzip_free. */
struct http_gunzip *http_gunzip_new(void);
/* Takes gunzip; NULL is fine. */
void http_gunzip_free(struct http_gunzip *gunzip);

/* Appends what the next bytes decompress to. Errors: CORRUPT, and TOO_LARGE when out has no room
 * below its maximum; no more bytes are taken after one. */
enum err http_gunzip_write(struct http_gunzip *gunzip, struct slice bytes,
                           struct buf *out) MUST_USE;
/* Whether the bytes so far end with a member. */
bool http_gunzip_is_whole(const struct http_gunzip *gunzip);
