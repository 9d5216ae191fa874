/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_floats.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "model/sample.h"

enum floats_way { FLOATS_INT, FLOATS_DECIMAL, FLOATS_MIXED, FLOATS_BITS, FLOATS_XOR };

enum {
    WAY_SHIFT = 5, /* above the first byte of ints */
    LEADING_BITS = 5,
    LENGTH_BITS = 6,
    LEADING_MAX = (1 << LEADING_BITS) - 1,
    INT_LIMIT_BITS = 53,
    DIGITS_MAX = 22,
    MIXED_MAX = 8,      /* values that are no decimals, in one column */
    MIXED_SIZE = 1 + 8, /* bytes each takes */
    SIZE_GOOD = 3,      /* bytes a value from which on other ways are tried */
};

STATIC_ASSERT((int)BLOCK_INTS_HEAD_END == 1 << WAY_SHIFT, "the way lies above the ints' byte");
STATIC_ASSERT((int)BLOCK_FLOATS_SIZE_MAX >=
                  2 + MIXED_MAX * (int)MIXED_SIZE + (int)BLOCK_INTS_SIZE_MAX,
              "all ways fit");

/* Exact as doubles, so that a quotient is the double nearest to the decimal. */
static const double powers[DIGITS_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- writing ---- */

/* The integer i of at most 2^53 for which i / power is v to the last bit. False: there is none (-0,
 * NaN and infinities have none). */
static bool value_to_int(double v, double power, uint64_t *out)
{
    const double limit = (double)(INT64_C(1) << INT_LIMIT_BITS);
    const double scaled = v * power;

    if (!(scaled >= -limit && scaled <= limit))
        return false;
    const int64_t i = llrint(scaled);
    *out = (uint64_t)i;
    return sample_value_bits((double)i / power) == sample_value_bits(v);
}

/* Values as whole numbers over a power of ten, but for a few. */
struct decimals {
    uint64_t ints[BLOCK_FLOATS_COUNT_MAX];
    unsigned digits;
    uint32_t other_count;
    uint8_t others[MIXED_MAX]; /* places of what is no such decimal */
};

/* All values over 10^digits. False at more than `max` that are not; *stop is the last of them. */
static bool scale_all(struct decimals *d, const double *values, uint32_t count, uint32_t max,
                      uint32_t *stop)
{
    const double power = powers[d->digits];

    d->other_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (value_to_int(values[i], power, &d->ints[i]))
            continue;
        if (d->other_count == max) {
            *stop = i;
            return false;
        }
        d->others[d->other_count++] = (uint8_t)i;
        d->ints[i] = i == 0 ? 0 : d->ints[i - 1];
    }
    return true;
}

/* The smallest power of ten that does for all. */
static bool scale_decimals(struct decimals *d, const double *values, uint32_t count)
{
    uint32_t stop = 0;
    uint64_t i;

    for (d->digits = 0; d->digits <= DIGITS_MAX; d->digits++)
        /* What no smaller power could hold comes first, since it likely decides again. */
        if (value_to_int(values[stop], powers[d->digits], &i) &&
            scale_all(d, values, count, 0, &stop))
            return true;
    return false;
}

/* The power that most of a few values ask for, if it leaves out only a few of all. */
static bool scale_mixed(struct decimals *d, const double *values, uint32_t count)
{
    uint8_t votes[DIGITS_MAX + 1] = {0};
    unsigned best = 0;
    unsigned sum = 0;
    uint32_t stop;

    for (uint32_t at = 0; at < count; at += 1 + count / 16) {
        uint64_t i;
        unsigned digits = 0;

        while (digits <= DIGITS_MAX && !value_to_int(values[at], powers[digits], &i))
            digits++;
        if (digits > DIGITS_MAX)
            continue;
        votes[digits]++;
        sum++;
        best = digits > best ? digits : best;
    }
    /* A value of chance digits asks for many of them. */
    while (best > 0 && votes[best] * 4u < sum)
        best--;
    d->digits = best;
    return sum > 0 && scale_all(d, values, count, MIXED_MAX, &stop);
}

static size_t put_way(uint8_t *to, enum floats_way way, uint8_t head)
{
    *to = (uint8_t)(way << WAY_SHIFT | head);
    return 1;
}

/* A column of ints at the end; its first byte goes to the front. */
static size_t put_ints(uint8_t *to, enum floats_way way, const struct decimals *d,
                       const double *values, uint32_t count)
{
    uint8_t bytes[BLOCK_INTS_SIZE_MAX];
    const size_t ints_size = block_ints_put(bytes, d->ints, count);
    size_t size = put_way(to, way, bytes[0]);

    if (way == FLOATS_DECIMAL || way == FLOATS_MIXED)
        to[size++] = (uint8_t)d->digits;
    if (way == FLOATS_MIXED) {
        to[size++] = (uint8_t)d->other_count;
        for (uint32_t i = 0; i < d->other_count; i++) {
            to[size] = d->others[i];
            endian_put_u64le(to + size + 1, sample_value_bits(values[d->others[i]]));
            size += MIXED_SIZE;
        }
    }
    memcpy(to + size, bytes + 1, ints_size - 1);
    return size + ints_size - 1;
}

static size_t put_xor(uint8_t *to, const double *values, uint32_t count)
{
    struct bit_writer w = {.bytes = to + 9, .bit_max = (BLOCK_FLOATS_SIZE_MAX - 9) * 8};
    uint64_t before = sample_value_bits(values[0]);
    unsigned leading = 0;
    unsigned length = 0; /* 0: no window yet */

    (void)put_way(to, FLOATS_XOR, 0);
    endian_put_u64le(to + 1, before);
    for (uint32_t i = 1; i < count; i++) {
        const uint64_t now = sample_value_bits(values[i]);
        const uint64_t xor = now ^ before;

        before = now;
        if (xor == 0) {
            bit_writer_put(&w, 0, 1);
            continue;
        }
        const unsigned zeros = (unsigned)__builtin_clzll(xor);
        const unsigned new_leading = zeros < LEADING_MAX ? zeros : LEADING_MAX;
        const unsigned new_length = 64 - new_leading - (unsigned)__builtin_ctzll(xor);
        const bool fits =
            length != 0 && new_leading >= leading && new_leading + new_length <= leading + length;
        /* The old window costs its length, a new one eleven bits more than its own. */
        if (fits && length < new_length + LEADING_BITS + LENGTH_BITS) {
            bit_writer_put(&w, 2, 2);
        } else {
            leading = new_leading;
            length = new_length;
            bit_writer_put(&w, 3, 2);
            bit_writer_put(&w, leading, LEADING_BITS);
            bit_writer_put(&w, length - 1, LENGTH_BITS);
        }
        bit_writer_put(&w, xor >> (64 - leading - length), length);
    }
    bit_writer_put(&w, 0, (8 - w.bit % 8) % 8);
    return 9 + w.bit / 8;
}

/* Keeps the shorter one in `to`. */
static size_t keep_best(uint8_t *to, size_t best, const uint8_t *other, size_t size)
{
    if (size >= best)
        return best;
    memcpy(to, other, size);
    return size;
}

size_t block_floats_put(uint8_t *to, const double *values, uint32_t count)
{
    uint8_t other[BLOCK_FLOATS_SIZE_MAX];
    struct decimals d;
    size_t best = SIZE_MAX;

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_FLOATS_COUNT_MAX);
    if (scale_decimals(&d, values, count))
        best = put_ints(to, d.digits == 0 ? FLOATS_INT : FLOATS_DECIMAL, &d, values, count);
    else if (scale_mixed(&d, values, count))
        best = put_ints(to, FLOATS_MIXED, &d, values, count);
    if (best <= (size_t)SIZE_GOOD * count)
        return best;
    for (uint32_t i = 0; i < count; i++)
        d.ints[i] = sample_value_bits(values[i]);
    best = keep_best(to, best, other, put_ints(other, FLOATS_BITS, &d, values, count));
    if (best > (size_t)SIZE_GOOD * count)
        best = keep_best(to, best, other, put_xor(other, values, count));
    return best;
}

/* ---- reading ---- */

static bool take_byte(struct slice *rest, uint8_t *v)
{
    if (rest->len == 0)
        return false;
    *v = (uint8_t)rest->data[0];
    *rest = slice_skip(*rest, 1);
    return true;
}

static bool take_xor(struct slice *rest, double *v, uint32_t count)
{
    unsigned leading = 0;
    unsigned length = 0;

    if (rest->len < 8 || rest->len > UINT32_MAX / 8)
        return false;
    uint64_t bits = endian_get_u64le(rest->data);
    *rest = slice_skip(*rest, 8);
    v[0] = sample_value_from_bits(bits);
    struct bit_reader r = {.bytes = (const uint8_t *)rest->data,
                           .bit_count = (uint32_t)rest->len * 8};
    for (uint32_t i = 1; i < count; i++) {
        if (bit_reader_get(&r, 1) != 0) {
            if (bit_reader_get(&r, 1) != 0) {
                leading = (unsigned)bit_reader_get(&r, LEADING_BITS);
                length = (unsigned)bit_reader_get(&r, LENGTH_BITS) + 1;
            }
            if (length == 0 || leading + length > 64)
                return false;
            bits ^= bit_reader_get(&r, length) << (64 - leading - length);
        }
        v[i] = sample_value_from_bits(bits);
    }
    if (r.overrun)
        return false;
    *rest = slice_skip(*rest, (r.bit + 7) / 8);
    return true;
}

static bool take_decimals(struct slice *rest, uint8_t head, unsigned digits, double *v,
                          uint32_t count)
{
    uint64_t ints[BLOCK_FLOATS_COUNT_MAX];

    if (digits > DIGITS_MAX || !block_ints_take_body(rest, head, ints, count))
        return false;
    if (digits == 0) {
        for (uint32_t i = 0; i < count; i++)
            v[i] = (double)(int64_t)ints[i];
    } else {
        const double power = powers[digits];

        for (uint32_t i = 0; i < count; i++)
            v[i] = (double)(int64_t)ints[i] / power;
    }
    return true;
}

static bool take_mixed(struct slice *rest, uint8_t head, double *v, uint32_t count)
{
    struct slice others;
    uint8_t other_count;
    uint8_t digits;

    if (!take_byte(rest, &digits) || !take_byte(rest, &other_count) || other_count == 0 ||
        other_count > MIXED_MAX || rest->len < (size_t)other_count * MIXED_SIZE)
        return false;
    others = *rest;
    *rest = slice_skip(*rest, (size_t)other_count * MIXED_SIZE);
    if (!take_decimals(rest, head, digits, v, count))
        return false;
    for (uint32_t i = 0; i < other_count; i++) {
        const uint8_t place = (uint8_t)others.data[0];

        if (place >= count)
            return false;
        v[place] = sample_value_from_bits(endian_get_u64le(others.data + 1));
        others = slice_skip(others, MIXED_SIZE);
    }
    return true;
}

static bool take_values_bits(struct slice *rest, uint8_t head, double *v, uint32_t count)
{
    uint64_t ints[BLOCK_FLOATS_COUNT_MAX];

    STATIC_ASSERT(sizeof(*ints) == sizeof(*v), "bits of a double");
    if (!block_ints_take_body(rest, head, ints, count))
        return false;
    memcpy(v, ints, count * sizeof(*v));
    return true;
}

bool block_floats_take(struct slice *rest, double *v, uint32_t count)
{
    uint8_t digits;
    uint8_t head;

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_FLOATS_COUNT_MAX);
    if (!take_byte(rest, &head))
        return false;
    const unsigned way = head >> WAY_SHIFT;
    head &= (1u << WAY_SHIFT) - 1;
    switch (way) {
    case FLOATS_INT:
        return take_decimals(rest, head, 0, v, count);
    case FLOATS_DECIMAL:
        return take_byte(rest, &digits) && digits > 0 &&
               take_decimals(rest, head, digits, v, count);
    case FLOATS_MIXED:
        return take_mixed(rest, head, v, count);
    case FLOATS_BITS:
        return take_values_bits(rest, head, v, count);
    case FLOATS_XOR:
        return head == 0 && take_xor(rest, v, count);
    default:
        return false;
    }
}
