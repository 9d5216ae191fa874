/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A borrowed run of bytes or text; not terminated, may hold NUL. A plain value. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* may be NULL when len is 0 */
    size_t len;
};

/* From a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) ((int)(s).len), ((s).len != 0 ? (s).data : "")

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const char *)data, len};
}

static inline struct slice slice_from_cstr(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_eq_cstr(struct slice a, const char *text)
{
    return slice_eq(a, slice_from_cstr(text));
}

/* Bytewise order, a prefix first. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    const size_t len_min = a.len < b.len ? a.len : b.len;
    const int order = len_min == 0 ? 0 : memcmp(a.data, b.data, len_min);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

static inline bool slice_has_suffix(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0);
}

/* s without its first n bytes; n <= s.len. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
    return n == 0 ? s : (struct slice){s.data + n, s.len - n};
}
