/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* UTF-8 as Go takes it: no surrogates, nothing above U+10FFFF, no overlong forms. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define UTF8_BAD UINT32_C(0xfffd)

#ifdef __cplusplus
extern "C" {
#endif

/* Length of the longest valid prefix. Long runs of ASCII go eight bytes at a time. */
size_t utf8_valid_prefix(struct slice s);

static inline bool utf8_is_valid(struct slice s)
{
    return utf8_valid_prefix(s) == s.len;
}

/* The first code point and its length; a bad byte is UTF8_BAD of length 1. An empty s gives
 * length 0. */
size_t utf8_decode(struct slice s, uint32_t *rune);
/* Returns the length, at most 4; what is no code point is written as UTF8_BAD. */
size_t utf8_encode(char out[4], uint32_t rune);
/* Code points, a bad byte counting as one. */
size_t utf8_count(struct slice s);
/* Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols, and the ASCII space. */
bool utf8_is_print(uint32_t rune);
/* A letter or a decimal digit of any script. */
bool utf8_is_alnum(uint32_t rune);
/* Appends s in double quotes, escaped as Go's strconv.Quote does. */
void utf8_quote(struct buf *out, struct slice s);
/* Lower or upper case, code point by code point, as Go's strings.ToLower and ToUpper. */
void utf8_to_lower(struct buf *out, struct slice s);
void utf8_to_upper(struct buf *out, struct slice s);

#ifdef __cplusplus
}
#endif
