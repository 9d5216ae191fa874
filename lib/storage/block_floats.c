/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_floats.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "model/sample.h"

enum floats_way { FLOATS_CONST, FLOATS_XOR, FLOATS_INT, FLOATS_DECIMAL };

enum {
    LEADING_BITS = 5,
    LENGTH_BITS = 6,
    LEADING_MAX = (1 << LEADING_BITS) - 1,
    INT_LIMIT_BITS = 53,
    DIGITS_MAX = 6,
};

STATIC_ASSERT((int)BLOCK_FLOATS_SIZE_MAX >= 2 + (int)BLOCK_INTS_SIZE_MAX, "both ways fit");

/* Exact as doubles, so that a quotient is the double nearest to the decimal. */
static const double powers[DIGITS_MAX + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000};

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

/* The values as integers over the smallest power of ten that does for all of them. */
static bool values_to_ints(uint64_t *ints, unsigned *digits, const double *values, uint32_t count)
{
    uint32_t done = 0;

    for (*digits = 0; *digits <= DIGITS_MAX; ++*digits) {
        const double power = powers[*digits];

        /* What no smaller power could hold comes first, since it likely decides again. */
        if (!value_to_int(values[done], power, &ints[done]))
            continue;
        for (done = 0; done < count; done++)
            if (!value_to_int(values[done], power, &ints[done]))
                break;
        if (done == count)
            return true;
    }
    return false;
}

static size_t put_ints(uint8_t *to, const uint64_t *ints, unsigned digits, uint32_t count)
{
    size_t size = 0;

    to[size++] = digits == 0 ? FLOATS_INT : FLOATS_DECIMAL;
    if (digits > 0)
        to[size++] = (uint8_t)digits;
    return size + block_ints_put(to + size, ints, count);
}

static size_t put_xor(uint8_t *to, const double *values, uint32_t count)
{
    struct bit_writer w = {.bytes = to + 9, .bit_max = (BLOCK_FLOATS_SIZE_MAX - 9) * 8};
    uint64_t before = sample_value_bits(values[0]);
    unsigned leading = 0;
    unsigned length = 0; /* 0: no window yet */

    to[0] = FLOATS_XOR;
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

static bool is_constant(const double *values, uint32_t count)
{
    const uint64_t bits = sample_value_bits(values[0]);

    for (uint32_t i = 1; i < count; i++)
        if (sample_value_bits(values[i]) != bits)
            return false;
    return true;
}

size_t block_floats_put(uint8_t *to, const double *values, uint32_t count)
{
    uint64_t ints[BLOCK_FLOATS_COUNT_MAX];
    uint8_t other[BLOCK_FLOATS_SIZE_MAX];
    unsigned digits;

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_FLOATS_COUNT_MAX);
    if (is_constant(values, count)) {
        to[0] = FLOATS_CONST;
        endian_put_u64le(to + 1, sample_value_bits(values[0]));
        return 9;
    }
    if (!values_to_ints(ints, &digits, values, count))
        return put_xor(to, values, count);
    const size_t size = put_ints(to, ints, digits, count);
    const size_t xor_size = put_xor(other, values, count);
    if (size <= xor_size)
        return size;
    memcpy(to, other, xor_size);
    return xor_size;
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

static bool take_ints(struct slice *rest, double power, double *v, uint32_t count)
{
    uint64_t ints[BLOCK_FLOATS_COUNT_MAX];

    if (!block_ints_take(rest, ints, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        v[i] = (double)(int64_t)ints[i] / power;
    return true;
}

bool block_floats_take(struct slice *rest, double *v, uint32_t count)
{
    uint8_t digits;
    uint8_t way;

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_FLOATS_COUNT_MAX);
    if (!take_byte(rest, &way))
        return false;
    if (way == FLOATS_XOR)
        return take_xor(rest, v, count);
    if (way == FLOATS_INT)
        return take_ints(rest, 1, v, count);
    if (way == FLOATS_DECIMAL)
        return take_byte(rest, &digits) && digits > 0 && digits <= DIGITS_MAX &&
               take_ints(rest, powers[digits], v, count);
    if (way != FLOATS_CONST || rest->len < 8)
        return false;
    const double value = sample_value_from_bits(endian_get_u64le(rest->data));
    for (uint32_t i = 0; i < count; i++)
        v[i] = value;
    *rest = slice_skip(*rest, 8);
    return true;
}
