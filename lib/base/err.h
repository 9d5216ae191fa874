/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Error codes. Every function that can fail returns `enum err`; results go through out pointers
 * that are untouched on failure. A code is born with its HTTP status and the text a person sees.
 * Detail is added once, at the boundary that knows the context, into a `struct err_info`. */

#include <stdarg.h>
#include <stdbool.h>

#include "base/assert.h"

/* name, HTTP status, text */
#define ERR_LIST(XX)                                                                               \
    XX(OK, 200, "ok")                                                                              \
    XX(BAD_INPUT, 400, "bad input")                                                                \
    XX(UNAUTHORIZED, 401, "unauthorized")                                                          \
    XX(FORBIDDEN, 403, "forbidden")                                                                \
    XX(NOT_FOUND, 404, "not found")                                                                \
    XX(METHOD, 405, "method not allowed")                                                          \
    XX(EXISTS, 409, "exists already")                                                              \
    XX(TOO_LARGE, 413, "too large")                                                                \
    XX(UNSUPPORTED, 415, "unsupported")                                                            \
    XX(LIMIT, 422, "limit exceeded")                                                               \
    XX(EXEC, 422, "execution failed")                                                              \
    XX(RATE, 429, "too many requests")                                                             \
    XX(CANCELLED, 499, "cancelled")                                                                \
    XX(CORRUPT, 500, "corrupt data")                                                               \
    XX(VERSION, 500, "format version not supported")                                               \
    XX(IO, 500, "input/output error")                                                              \
    XX(INTERNAL, 500, "internal error")                                                            \
    XX(NO_SPACE, 503, "no space left")                                                             \
    XX(UNAVAILABLE, 503, "unavailable")                                                            \
    XX(FULL, 503, "full")                                                                          \
    XX(CLOSED, 503, "closed")                                                                      \
    XX(REFUSED, 502, "connection refused")                                                         \
    XX(DEADLINE, 503, "deadline exceeded")                                                         \
    XX(END, 500, "end of input")

enum err {
#define XX(name, status, text) ERR_##name,
    ERR_LIST(XX)
#undef XX
};

enum { ERR_MESSAGE_SIZE = 256 };

/* A message for people. Zero-initialise it; it keeps the first message written. Always terminated;
 * a longer text is cut with "..." at its end. */
struct err_info {
    char message[ERR_MESSAGE_SIZE];
};

#ifdef __cplusplus
extern "C" {
#endif

/* Short lower-case text of a code; never NULL. */
const char *err_text(enum err err);

/* The HTTP status that an answer with this error carries. */
int err_http_status(enum err err);

/* The code for an errno value: ENOSPC and EDQUOT are NO_SPACE, ENOENT is NOT_FOUND ... else IO. */
enum err err_from_errno(int errno_value);

/* Writes the message unless one is there already; info may be NULL. Returns err, so that a failing
 * function ends in `return err_set(info, ERR_BAD_INPUT, "...", ...)`. */
enum err err_set(struct err_info *info, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message, for a caller that knows more of the context. info may be
 * NULL. */
void err_prefix(struct err_info *info, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* info's message, or the code's text while there is none. */
const char *err_message(enum err err, const struct err_info *info);

#ifdef __cplusplus
}
#endif
