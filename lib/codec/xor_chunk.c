/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/xor_chunk.h"

#include <string.h>

#include "base/varint.h"

enum {
    XOR_NO_WINDOW = 0xff,
    HEADER_SIZE = 2,
    LEADING_BITS = 5,
    LEADING_MAX = (1 << LEADING_BITS) - 1,
    SIGNIFICANT_BITS = 6, /* 64 is written as 0 */
};

/* A delta-of-delta is one 0 bit when zero, else i+1 ones (a closing 0 below four) and
 * dod_widths[i] bits of two's complement. Both directions read this one table. */
static const uint8_t dod_widths[] = {14, 17, 20, 64};

STATIC_ASSERT(XOR_CHUNK_SAMPLE_SIZE_MAX * 8 >=
                  VARINT_SIZE_MAX * 8 + 2 + LEADING_BITS + SIGNIFICANT_BITS + 64,
              "the worst second sample fits");
STATIC_ASSERT(XOR_CHUNK_SAMPLE_SIZE_MAX >= HEADER_SIZE + VARINT_SIZE_MAX + 8,
              "the worst first sample fits, header included");
STATIC_ASSERT(sizeof(struct xor_encoder) <= 40, "one of these per series in memory");

/* In the range (-2^(width-1), 2^(width-1)], one up from two's complement, as upstream has it. */
static bool dod_fits(int64_t dod, unsigned width)
{
    if (width == 64)
        return true;
    return dod > -((int64_t)1 << (width - 1)) && dod <= (int64_t)1 << (width - 1);
}

static void put_dod(struct bit_writer *w, int64_t dod)
{
    unsigned i = 0;

    if (dod == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    while (!dod_fits(dod, dod_widths[i]))
        i++;
    if (i < COUNT_OF(dod_widths) - 1)
        bit_writer_put(w, (UINT64_C(4) << i) - 2, i + 2); /* i+1 ones and a 0 */
    else
        bit_writer_put(w, 0xf, 4);
    bit_writer_put(w, (uint64_t)dod, dod_widths[i]);
}

static int64_t get_dod(struct bit_reader *r)
{
    unsigned ones = 0, width;
    uint64_t bits;

    while (ones < COUNT_OF(dod_widths) && bit_reader_get(r, 1) == 1)
        ones++;
    if (ones == 0)
        return 0;
    width = dod_widths[ones - 1];
    bits = bit_reader_get(r, width);
    if (width < 64 && bits > UINT64_C(1) << (width - 1))
        bits -= UINT64_C(1) << width;
    return (int64_t)bits;
}

static void put_xor(struct xor_state *s, struct bit_writer *w, uint64_t v_bits)
{
    const uint64_t x = v_bits ^ s->v_bits;
    unsigned leading, trailing, significant;

    s->v_bits = v_bits;
    if (x == 0) {
        bit_writer_put(w, 0, 1);
        return;
    }
    leading = (unsigned)__builtin_clzll(x);
    trailing = (unsigned)__builtin_ctzll(x);
    if (leading > LEADING_MAX)
        leading = LEADING_MAX;
    if (s->leading != XOR_NO_WINDOW && leading >= s->leading && trailing >= s->trailing) {
        bit_writer_put(w, 2, 2);
        bit_writer_put(w, x >> s->trailing, 64u - s->leading - s->trailing);
        return;
    }
    significant = 64 - leading - trailing;
    s->leading = (uint8_t)leading;
    s->trailing = (uint8_t)trailing;
    bit_writer_put(w,
                   UINT64_C(3) << (LEADING_BITS + SIGNIFICANT_BITS) |
                       (uint64_t)leading << SIGNIFICANT_BITS | (significant & 63),
                   2 + LEADING_BITS + SIGNIFICANT_BITS);
    bit_writer_put(w, x >> trailing, significant);
}

/* false: an impossible window. A short read shows in r->overrun. */
static bool get_xor(struct xor_state *s, struct bit_reader *r)
{
    unsigned significant;

    if (bit_reader_get(r, 1) == 0)
        return true;
    if (bit_reader_get(r, 1) == 1) {
        const unsigned leading = (unsigned)bit_reader_get(r, LEADING_BITS);

        significant = (unsigned)bit_reader_get(r, SIGNIFICANT_BITS);
        if (significant == 0)
            significant = 64;
        if (leading + significant > 64)
            return false;
        s->leading = (uint8_t)leading;
        s->trailing = (uint8_t)(64 - leading - significant);
    } else if (s->leading == XOR_NO_WINDOW) {
        return false;
    }
    significant = 64u - s->leading - s->trailing;
    s->v_bits ^= bit_reader_get(r, significant) << s->trailing;
    return true;
}

static uint64_t get_uvarint(struct bit_reader *r)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    uint64_t value = 0;
    unsigned n = 0;

    do {
        bytes[n] = (uint8_t)bit_reader_get(r, 8);
    } while (bytes[n++] >= 0x80 && n < VARINT_SIZE_MAX);
    if (varint_get_u64(bytes, bytes + n, &value) == 0)
        r->overrun = true;
    return value;
}

static void put_uvarint(struct bit_writer *w, uint64_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    const size_t size = varint_put_u64(bytes, value);

    for (size_t i = 0; i < size; i++)
        bit_writer_put(w, bytes[i], 8);
}

void xor_encoder_init(struct xor_encoder *encoder)
{
    *encoder = (struct xor_encoder){.state.leading = XOR_NO_WINDOW, .bit_count = HEADER_SIZE * 8};
}

enum err xor_encoder_append_uncounted(struct xor_encoder *encoder, uint8_t *bytes, size_t size,
                                      struct sample sample)
{
    struct xor_state *s = &encoder->state;
    struct bit_writer w = {.bytes = bytes, .bit = encoder->bit_count};
    const uint64_t v_bits = sample_value_bits(sample.v);
    const uint64_t dt_ms = (uint64_t)sample.t_ms - (uint64_t)s->t_ms;

    ASSERT(s->count == 0 || sample.t_ms > s->t_ms);
    /* Room for the worst sample is checked once, here, so that nothing below can fail. */
    if (s->count == UINT16_MAX || size < XOR_CHUNK_SAMPLE_SIZE_MAX ||
        (s->count != 0 && size * 8 < w.bit + XOR_CHUNK_SAMPLE_SIZE_MAX * 8))
        return ERR_FULL;
    w.bit_max = (uint32_t)(size * 8);

    switch (s->count) {
    case 0:
        put_uvarint(&w, varint_zigzag(sample.t_ms));
        bit_writer_put(&w, v_bits, 64);
        s->v_bits = v_bits;
        break;
    case 1:
        put_uvarint(&w, dt_ms);
        put_xor(s, &w, v_bits);
        s->dt_ms = dt_ms;
        break;
    default:
        put_dod(&w, (int64_t)(dt_ms - s->dt_ms));
        put_xor(s, &w, v_bits);
        s->dt_ms = dt_ms;
        break;
    }
    s->t_ms = sample.t_ms;
    s->count++;
    encoder->bit_count = w.bit;
    return ERR_OK;
}

enum err xor_encoder_append(struct xor_encoder *encoder, uint8_t *bytes, size_t size,
                            struct sample sample)
{
    const enum err err = xor_encoder_append_uncounted(encoder, bytes, size, sample);

    if (err == ERR_OK)
        xor_encoder_finish(bytes, encoder->state.count);
    return err;
}

enum err xor_encoder_resume(struct xor_encoder *encoder, struct slice bytes)
{
    struct xor_iter it;
    struct sample sample;

    xor_iter_init(&it, bytes);
    while (xor_iter_next(&it, &sample)) {
    }
    if (it.err != ERR_OK || it.count == 0)
        return ERR_CORRUPT;
    encoder->state = it.state;
    encoder->bit_count = it.r.bit;
    return ERR_OK;
}

void xor_chunk_init(struct xor_chunk *c)
{
    xor_encoder_init(&c->encoder);
    memset(c->bytes, 0, HEADER_SIZE);
}

enum err xor_chunk_append(struct xor_chunk *c, struct sample s)
{
    return xor_encoder_append(&c->encoder, c->bytes, sizeof(c->bytes), s);
}

struct slice xor_chunk_bytes(const struct xor_chunk *c)
{
    return slice_of(c->bytes, xor_encoder_size(&c->encoder));
}

void xor_iter_init(struct xor_iter *it, struct slice bytes)
{
    *it = (struct xor_iter){.state.leading = XOR_NO_WINDOW};
    if (bytes.len < HEADER_SIZE || bytes.len > UINT32_MAX / 8) {
        it->err = ERR_CORRUPT;
        return;
    }
    it->r = (struct bit_reader){.bytes = (const uint8_t *)bytes.data,
                                .bit = HEADER_SIZE * 8,
                                .bit_count = (uint32_t)(bytes.len * 8)};
    it->count = endian_get_u16be(bytes.data);
}

bool xor_iter_next(struct xor_iter *it, struct sample *out)
{
    struct xor_state *s = &it->state;
    bool valid = true;

    if (it->err != ERR_OK || s->count == it->count)
        return false;
    switch (s->count) {
    case 0:
        s->t_ms = varint_unzigzag(get_uvarint(&it->r));
        s->v_bits = bit_reader_get(&it->r, 64);
        break;
    case 1:
        s->dt_ms = get_uvarint(&it->r);
        valid = get_xor(s, &it->r);
        break;
    default:
        s->dt_ms += (uint64_t)get_dod(&it->r);
        valid = get_xor(s, &it->r);
        break;
    }
    if (!valid || it->r.overrun) {
        it->err = ERR_CORRUPT;
        return false;
    }
    if (s->count != 0) /* unsigned: hostile bytes must not overflow */
        s->t_ms = (int64_t)((uint64_t)s->t_ms + s->dt_ms);
    s->count++;
    *out = (struct sample){s->t_ms, sample_value_from_bits(s->v_bits)};
    return true;
}
