/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fields off the front of untrusted bytes, with one sticky failure: read freely, look at `failed`
 * once. After a failure everything reads as zero. A plain value over borrowed bytes. */

#include "base/endian.h"
#include "base/slice.h"
#include "base/varint.h"
#include "model/sample.h"

struct prom_dec {
    struct slice rest;
    bool failed;
};

static inline struct slice prom_dec_bytes(struct prom_dec *dec, uint64_t len)
{
    if (dec->failed || len > dec->rest.len) {
        dec->failed = true;
        return (struct slice){NULL, 0};
    }
    const struct slice bytes = slice_of(dec->rest.data, (size_t)len);

    dec->rest = slice_skip(dec->rest, (size_t)len);
    return bytes;
}

static inline uint8_t prom_dec_u8(struct prom_dec *dec)
{
    const struct slice bytes = prom_dec_bytes(dec, 1);

    return bytes.len == 0 ? 0 : (uint8_t)bytes.data[0];
}

static inline uint32_t prom_dec_u32(struct prom_dec *dec)
{
    const struct slice bytes = prom_dec_bytes(dec, 4);

    return bytes.len == 0 ? 0 : endian_get_u32be(bytes.data);
}

static inline uint64_t prom_dec_u64(struct prom_dec *dec)
{
    const struct slice bytes = prom_dec_bytes(dec, 8);

    return bytes.len == 0 ? 0 : endian_get_u64be(bytes.data);
}

static inline double prom_dec_double(struct prom_dec *dec)
{
    return sample_value_from_bits(prom_dec_u64(dec));
}

static inline uint64_t prom_dec_uvarint(struct prom_dec *dec)
{
    uint64_t v = 0;

    if (dec->failed || !varint_take_u64(&dec->rest, &v))
        dec->failed = true;
    return v;
}

static inline int64_t prom_dec_varint(struct prom_dec *dec)
{
    return varint_unzigzag(prom_dec_uvarint(dec));
}

static inline struct slice prom_dec_text(struct prom_dec *dec)
{
    return prom_dec_bytes(dec, prom_dec_uvarint(dec));
}

/* A count of things that take at least item_size_min bytes each: what does not fit in the rest is
 * a failure, before any memory is asked for. */
static inline uint32_t prom_dec_count(struct prom_dec *dec, size_t item_size_min)
{
    const uint64_t count = prom_dec_uvarint(dec);

    if (count > dec->rest.len / item_size_min || count > UINT32_MAX)
        dec->failed = true;
    return dec->failed ? 0 : (uint32_t)count;
}
