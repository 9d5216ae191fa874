/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parameters of a URL query and of an application/x-www-form-urlencoded body, decoded, in order,
 * each name any number of times. Body parameters come before those of the URL, as Go's ParseForm
 * has it, so the first value of a name is the body's.
 *
 * Ownership: names and values live in the arena given to parse. */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum { HTTP_PARAMS_COUNT_MAX = 10000 };

struct http_param {
    struct slice name, value;
};

struct http_params {
    const struct http_param *items;
    size_t count;
};

/* Decodes "a=1&b=%20&c" and appends to *params, which starts zeroed. BAD_INPUT: a broken % escape
 * or a semicolon between parameters (as Go); LIMIT: too many, or no room in the arena. On failure
 * *params is unchanged. */
enum err http_params_parse(struct http_params *params, struct slice text, struct arena *arena,
                           struct err_info *info) MUST_USE;

/* The first value of a name; an empty slice if there is none. */
struct slice http_params_get(const struct http_params *params, const char *name);

/* Whether the name is there, even with an empty value. */
bool http_params_has(const struct http_params *params, const char *name);

/* Steps over the values of a name, *index starting at 0. False at the end. */
bool http_params_next(const struct http_params *params, const char *name, size_t *index,
                      struct slice *value);

/* Percent-decodes one path segment (a plus stays a plus). BAD_INPUT: a broken escape. */
enum err http_params_decode_path(struct slice text, struct arena *arena,
                                 struct slice *out) MUST_USE;
