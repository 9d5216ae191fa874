/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_chunk.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/varint.h"

enum value_mode { VALUE_CONST = 0, VALUE_XOR = 1, VALUE_INT = 2, VALUE_DECIMAL = 3 };

enum {
    /* Ten bytes for t0 and dt1, a width, then the worst of 64 bits a sample; values: a mode, the
     * first in full, the rest 2 + 5 + 6 + 64 bits. */
    FRAME_SIZE_MAX = 2 * VARINT_SIZE_MAX + 1 + 126 * 8 + 1 + 8 + (127 * 77 + 7) / 8,
    LEADING_BITS = 5,
    LENGTH_BITS = 6,
    LEADING_MAX = (1 << LEADING_BITS) - 1,
    INT_LIMIT_BITS = 53,
    DIGITS_MAX = 6,
};

/* Exact as doubles, so that a quotient is the double nearest to the decimal. */
static const double powers[DIGITS_MAX + 1] = {1, 10, 100, 1000, 10000, 100000, 1000000};

STATIC_ASSERT(BLOCK_CHUNK_COUNT_MAX / BLOCK_FRAME_COUNT_MAX * (FRAME_SIZE_MAX + VARINT_SIZE_MAX) <
                  BLOCK_CHUNK_SIZE_MAX,
              "the worst chunk fits");

/* ---- writing ---- */

struct frame {
    uint8_t bytes[FRAME_SIZE_MAX];
    uint32_t size;
};

static unsigned width_of(uint64_t v)
{
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

static struct bit_writer bits_after(struct frame *frame)
{
    return (struct bit_writer){
        .bytes = frame->bytes, .bit = frame->size * 8, .bit_max = FRAME_SIZE_MAX * 8};
}

static void end_bits(struct frame *frame, struct bit_writer *w)
{
    bit_writer_put(w, 0, (8 - w->bit % 8) % 8);
    frame->size = w->bit / 8;
}

/* Differences wrap: two times may be further apart than an int64 holds. */
static uint64_t step_of(const struct sample *s)
{
    return (uint64_t)s[1].t_ms - (uint64_t)s[0].t_ms;
}

static void put_times(struct frame *frame, const struct sample *samples, uint32_t count)
{
    uint64_t all = 0;

    if (count < 2)
        return;
    frame->size += (uint32_t)varint_put_u64(frame->bytes + frame->size, step_of(samples));
    if (count < 3)
        return;
    for (uint32_t i = 2; i < count; i++)
        all |= varint_zigzag((int64_t)(step_of(samples + i - 1) - step_of(samples + i - 2)));
    const unsigned width = width_of(all);
    frame->bytes[frame->size++] = (uint8_t)width;
    struct bit_writer w = bits_after(frame);
    for (uint32_t i = 2; i < count; i++)
        bit_writer_put(
            &w, varint_zigzag((int64_t)(step_of(samples + i - 1) - step_of(samples + i - 2))),
            width);
    end_bits(frame, &w);
}

/* The integer i of at most 2^53 for which i / power is v to the last bit. False: there is none (-0,
 * NaN and infinities have none). */
static bool value_to_int(double v, double power, int64_t *out)
{
    const double limit = (double)(INT64_C(1) << INT_LIMIT_BITS);
    const double scaled = v * power;

    if (!(scaled >= -limit && scaled <= limit))
        return false;
    *out = llrint(scaled);
    return sample_value_bits((double)*out / power) == sample_value_bits(v);
}

/* The values as integers over the smallest power of ten that does for all of them. */
struct int_values {
    int64_t values[BLOCK_FRAME_COUNT_MAX];
    unsigned digits, width;
};

static bool values_to_ints(struct int_values *ints, const struct sample *samples, uint32_t count)
{
    uint32_t done = 0;
    uint64_t all = 0;

    for (ints->digits = 0; ints->digits <= DIGITS_MAX; ints->digits++) {
        /* What no smaller power could hold comes first, since it likely decides again. */
        if (!value_to_int(samples[done].v, powers[ints->digits], &ints->values[done]))
            continue;
        for (done = 0; done < count; done++)
            if (!value_to_int(samples[done].v, powers[ints->digits], &ints->values[done]))
                break;
        if (done == count)
            break;
    }
    if (ints->digits > DIGITS_MAX)
        return false;
    for (uint32_t i = 1; i < count; i++)
        all |= varint_zigzag(ints->values[i] - ints->values[i - 1]);
    ints->width = width_of(all);
    return true;
}

static void put_ints(struct frame *frame, const struct int_values *ints, uint32_t count)
{
    frame->bytes[frame->size++] = ints->digits == 0 ? VALUE_INT : VALUE_DECIMAL;
    if (ints->digits > 0)
        frame->bytes[frame->size++] = (uint8_t)ints->digits;
    frame->size += (uint32_t)varint_put_i64(frame->bytes + frame->size, ints->values[0]);
    frame->bytes[frame->size++] = (uint8_t)ints->width;
    struct bit_writer w = bits_after(frame);
    for (uint32_t i = 1; i < count; i++)
        bit_writer_put(&w, varint_zigzag(ints->values[i] - ints->values[i - 1]), ints->width);
    end_bits(frame, &w);
}

/* A xor is one 0 bit when nothing changed; 10 and the bits inside the window before; or 11, leading
 * zeros, length - 1 and the bits of a new window. */
static void put_xor(struct frame *frame, const struct sample *samples, uint32_t count)
{
    uint64_t before = sample_value_bits(samples[0].v);
    unsigned leading = 0;
    unsigned length = 0; /* 0: no window yet */

    frame->bytes[frame->size++] = VALUE_XOR;
    endian_put_u64le(frame->bytes + frame->size, before);
    frame->size += 8;
    struct bit_writer w = bits_after(frame);
    for (uint32_t i = 1; i < count; i++) {
        const uint64_t now = sample_value_bits(samples[i].v);
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
    end_bits(frame, &w);
}

static bool is_constant(const struct sample *samples, uint32_t count)
{
    const uint64_t bits = sample_value_bits(samples[0].v);

    for (uint32_t i = 1; i < count; i++)
        if (sample_value_bits(samples[i].v) != bits)
            return false;
    return true;
}

static void put_values(struct frame *frame, const struct sample *samples, uint32_t count)
{
    const uint32_t start = frame->size;
    uint8_t best[FRAME_SIZE_MAX];
    struct int_values ints;

    if (is_constant(samples, count)) {
        frame->bytes[frame->size++] = VALUE_CONST;
        endian_put_u64le(frame->bytes + frame->size, sample_value_bits(samples[0].v));
        frame->size += 8;
        return;
    }
    put_xor(frame, samples, count);
    if (!values_to_ints(&ints, samples, count))
        return;
    const uint32_t xor_size = frame->size - start;
    memcpy(best, frame->bytes + start, xor_size);
    frame->size = start;
    put_ints(frame, &ints, count);
    if (frame->size - start <= xor_size)
        return;
    memcpy(frame->bytes + start, best, xor_size);
    frame->size = start + xor_size;
}

static void put_varint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

void block_chunk_encode(struct buf *out, const struct sample *samples, uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(count <= BLOCK_CHUNK_COUNT_MAX);
    buf_add_byte(out, BLOCK_CHUNK_FLOAT);
    put_varint(out, count);
    for (uint32_t at = 0; at < count; at += BLOCK_FRAME_COUNT_MAX) {
        const uint32_t rest = count - at;
        const uint32_t frame_count = rest < BLOCK_FRAME_COUNT_MAX ? rest : BLOCK_FRAME_COUNT_MAX;
        struct frame frame;

        frame.size = (uint32_t)varint_put_u64(frame.bytes, (uint64_t)samples[at].t_ms -
                                                               (uint64_t)samples[0].t_ms);
        put_times(&frame, samples + at, frame_count);
        put_values(&frame, samples + at, frame_count);
        put_varint(out, frame.size);
        buf_add(out, frame.bytes, frame.size);
    }
}

/* ---- reading ---- */

void block_chunk_open(struct block_chunk_reader *reader, struct slice bytes, int64_t first_t_ms)
{
    uint64_t count;

    *reader = (struct block_chunk_reader){.first_t_ms = first_t_ms, .err = ERR_CORRUPT};
    if (bytes.len == 0)
        return;
    if (bytes.data[0] != BLOCK_CHUNK_FLOAT) {
        reader->err = bytes.data[0] == 0 ? ERR_CORRUPT : ERR_VERSION;
        return;
    }
    bytes = slice_skip(bytes, 1);
    if (!varint_take_u64(&bytes, &count) || count == 0 || count > BLOCK_CHUNK_COUNT_MAX)
        return;
    reader->err = ERR_OK;
    reader->rest = bytes;
    reader->count = (uint32_t)count;
}

/* A packed run's bits, as a reader that ends where `rest` ends. */
static struct bit_reader bits_of(struct slice rest)
{
    return (struct bit_reader){.bytes = (const uint8_t *)rest.data,
                               .bit_count = (uint32_t)rest.len * 8};
}

static bool take_byte(struct slice *rest, uint8_t *v)
{
    if (rest->len == 0)
        return false;
    *v = (uint8_t)rest->data[0];
    *rest = slice_skip(*rest, 1);
    return true;
}

/* Drops the whole bytes that r has read. False if it read more than there was. */
static bool take_bits(struct slice *rest, const struct bit_reader *r)
{
    if (r->overrun)
        return false;
    *rest = slice_skip(*rest, (r->bit + 7) / 8);
    return true;
}

static bool get_times(struct slice *rest, int64_t *t_ms, uint32_t count)
{
    uint64_t step;
    uint8_t width;

    if (count < 2)
        return true;
    if (!varint_take_u64(rest, &step))
        return false;
    t_ms[1] = (int64_t)((uint64_t)t_ms[0] + step);
    if (t_ms[1] <= t_ms[0])
        return false;
    if (count < 3)
        return true;
    if (!take_byte(rest, &width) || width > 64)
        return false;
    struct bit_reader r = bits_of(*rest);
    for (uint32_t i = 2; i < count; i++) {
        step += (uint64_t)varint_unzigzag(bit_reader_get(&r, width));
        t_ms[i] = (int64_t)((uint64_t)t_ms[i - 1] + step);
        if (t_ms[i] <= t_ms[i - 1])
            return false;
    }
    return take_bits(rest, &r);
}

static bool get_xor(struct slice *rest, double *v, uint32_t count)
{
    unsigned leading = 0;
    unsigned length = 0;

    if (rest->len < 8)
        return false;
    uint64_t bits = endian_get_u64le(rest->data);
    *rest = slice_skip(*rest, 8);
    v[0] = sample_value_from_bits(bits);
    struct bit_reader r = bits_of(*rest);
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
    return take_bits(rest, &r);
}

static bool get_int(struct slice *rest, double power, double *v, uint32_t count)
{
    int64_t now;
    uint8_t width;

    if (!varint_take_i64(rest, &now) || !take_byte(rest, &width) || width > 64)
        return false;
    v[0] = (double)now / power;
    struct bit_reader r = bits_of(*rest);
    for (uint32_t i = 1; i < count; i++) {
        now = (int64_t)((uint64_t)now + (uint64_t)varint_unzigzag(bit_reader_get(&r, width)));
        v[i] = (double)now / power;
    }
    return take_bits(rest, &r);
}

static bool get_values(struct slice *rest, double *v, uint32_t count)
{
    uint8_t digits;
    uint8_t mode;

    if (!take_byte(rest, &mode))
        return false;
    if (mode == VALUE_XOR)
        return get_xor(rest, v, count);
    if (mode == VALUE_INT)
        return get_int(rest, 1, v, count);
    if (mode == VALUE_DECIMAL)
        return take_byte(rest, &digits) && digits <= DIGITS_MAX &&
               get_int(rest, powers[digits], v, count);
    if (mode != VALUE_CONST || rest->len < 8)
        return false;
    for (uint32_t i = 0; i < count; i++)
        v[i] = sample_value_from_bits(endian_get_u64le(rest->data));
    *rest = slice_skip(*rest, 8);
    return true;
}

/* The next frame's bytes off the front of *rest, and its first time. */
static bool take_frame(const struct block_chunk_reader *reader, struct slice *rest,
                       struct slice *frame, int64_t *t_ms)
{
    uint64_t size;
    uint64_t ahead;

    if (!varint_take_u64(rest, &size) || size > rest->len)
        return false;
    *frame = slice_of(rest->data, (size_t)size);
    *rest = slice_skip(*rest, (size_t)size);
    if (!varint_take_u64(frame, &ahead))
        return false;
    *t_ms = (int64_t)((uint64_t)reader->first_t_ms + ahead);
    return reader->read_count == 0 ? ahead == 0 : *t_ms > reader->last_t_ms;
}

static uint32_t frame_count_of(const struct block_chunk_reader *reader)
{
    const uint32_t rest = reader->count - reader->read_count;

    return rest < BLOCK_FRAME_COUNT_MAX ? rest : BLOCK_FRAME_COUNT_MAX;
}

bool block_chunk_next(struct block_chunk_reader *reader, int64_t *t_ms, double *v, uint32_t *count)
{
    struct slice rest = reader->rest;
    struct slice frame;

    if (reader->err != ERR_OK || reader->read_count == reader->count)
        return false;
    const uint32_t frame_count = frame_count_of(reader);
    if (!take_frame(reader, &rest, &frame, &t_ms[0]) || !get_times(&frame, t_ms, frame_count) ||
        !get_values(&frame, v, frame_count) || frame.len != 0 ||
        (reader->read_count + frame_count == reader->count && rest.len != 0)) {
        reader->err = ERR_CORRUPT;
        return false;
    }
    reader->rest = rest;
    reader->read_count += frame_count;
    reader->last_t_ms = t_ms[frame_count - 1];
    *count = frame_count;
    return true;
}

void block_chunk_skip(struct block_chunk_reader *reader, int64_t t_ms)
{
    /* A frame ends before t_ms if the one after it starts at or before t_ms. */
    while (reader->err == ERR_OK && reader->count - reader->read_count > BLOCK_FRAME_COUNT_MAX) {
        struct slice rest = reader->rest;
        struct block_chunk_reader after;
        struct slice frame;
        int64_t first;

        if (!take_frame(reader, &rest, &frame, &first))
            break; /* next() will say so */
        after = *reader;
        after.rest = rest;
        after.read_count += BLOCK_FRAME_COUNT_MAX;
        after.last_t_ms = first;
        if (!take_frame(&after, &rest, &frame, &first) || first > t_ms)
            break;
        *reader = after;
    }
}
