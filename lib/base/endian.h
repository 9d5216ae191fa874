/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers in bytes of a fixed order, at any alignment. */

#include <stdint.h>
#include <string.h>

static inline uint16_t endian_get_u16be(const void *from)
{
    uint16_t v;

    memcpy(&v, from, sizeof(v));
    return __builtin_bswap16(v);
}

static inline uint32_t endian_get_u32be(const void *from)
{
    uint32_t v;

    memcpy(&v, from, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t endian_get_u64be(const void *from)
{
    uint64_t v;

    memcpy(&v, from, sizeof(v));
    return __builtin_bswap64(v);
}

static inline uint16_t endian_get_u16le(const void *from)
{
    uint16_t v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static inline uint32_t endian_get_u32le(const void *from)
{
    uint32_t v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static inline uint64_t endian_get_u64le(const void *from)
{
    uint64_t v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static inline void endian_put_u16be(void *to, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(to, &v, sizeof(v));
}

static inline void endian_put_u32be(void *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof(v));
}

static inline void endian_put_u64be(void *to, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(to, &v, sizeof(v));
}

static inline void endian_put_u16le(void *to, uint16_t v)
{
    memcpy(to, &v, sizeof(v));
}

static inline void endian_put_u32le(void *to, uint32_t v)
{
    memcpy(to, &v, sizeof(v));
}

static inline void endian_put_u64le(void *to, uint64_t v)
{
    memcpy(to, &v, sizeof(v));
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the get and put functions are written for little-endian machines"
#endif
