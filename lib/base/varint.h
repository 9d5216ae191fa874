/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* LEB128 varints as protobuf and Prometheus write them; signed ones in zigzag form. Reading is
 * bounded and says no to what is cut or does not fit 64 bits. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { VARINT_SIZE_MAX = 10 };

static inline uint64_t varint_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t varint_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Bytes that v takes. */
static inline size_t varint_size(uint64_t v)
{
    return (size_t)(((64 - __builtin_clzll(v | 1)) + 6) / 7);
}

/* Writes at most VARINT_SIZE_MAX bytes; returns how many. */
static inline size_t varint_put_u64(void *to, uint64_t v)
{
    uint8_t *out = to;
    size_t n = 0;

    while (v >= 0x80) {
        out[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    out[n++] = (uint8_t)v;
    return n;
}

static inline size_t varint_put_i64(void *to, int64_t v)
{
    return varint_put_u64(to, varint_zigzag(v));
}

/* Reads from [from, end). Returns the bytes used; 0 when it is cut short or longer than 64 bits,
 * then *v is untouched. */
static inline size_t varint_get_u64(const void *from, const void *end, uint64_t *v)
{
    const uint8_t *at = from;
    const uint8_t *stop = end;
    uint64_t value = 0;

    if (at < stop && *at < 0x80) { /* most are one byte */
        *v = *at;
        return 1;
    }
    for (unsigned shift = 0; at < stop && shift < 64; shift += 7) {
        const uint64_t byte = *at++;

        if (shift == 63 && byte > 1)
            return 0;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = value;
            return (size_t)(at - (const uint8_t *)from);
        }
    }
    return 0;
}

static inline size_t varint_get_i64(const void *from, const void *end, int64_t *v)
{
    uint64_t raw;
    const size_t n = varint_get_u64(from, end, &raw);

    if (n != 0)
        *v = varint_unzigzag(raw);
    return n;
}

/* Takes a varint off the front of s; false leaves both untouched. */
static inline bool varint_take_u64(struct slice *s, uint64_t *v)
{
    const size_t n = s->len == 0 ? 0 : varint_get_u64(s->data, s->data + s->len, v);

    s->data += n;
    s->len -= n;
    return n != 0;
}

static inline bool varint_take_i64(struct slice *s, int64_t *v)
{
    uint64_t raw;

    if (!varint_take_u64(s, &raw))
        return false;
    *v = varint_unzigzag(raw);
    return true;
}
