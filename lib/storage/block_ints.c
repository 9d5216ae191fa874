/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_ints.h"

#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "base/varint.h"
#include "storage/block_unpack.h"

enum ints_kind {
    INTS_CONST,
    INTS_STEP,
    INTS_FOR,
    INTS_DELTA,
    INTS_DOD,
    INTS_LINEAR,
    INTS_SCALED,
    INTS_RUNS
};

STATIC_ASSERT(((int)INTS_RUNS | 8 | 16) < (int)BLOCK_INTS_HEAD_END, "kind and flags fit");

enum {
    INTS_KIND_MASK = 7,
    INTS_ZIGZAG = 8,
    INTS_PATCHED = 16,
    INTS_FLAGS = INTS_ZIGZAG | INTS_PATCHED,
    RUNS_GAIN = 8,      /* one in so many numbers repeats, or runs cannot pay */
    INTS_PAD_WORDS = 2, /* what the kernels may read behind the last word */
};

/* ---- writing ---- */

/* Numbers to be packed, and how. */
struct ints_plan {
    enum ints_kind kind;
    bool zigzag;
    uint32_t skip; /* numbers in front that are not packed: first, step */
    uint64_t step; /* LINEAR */
    uint64_t base;
    unsigned width, width_max;
    uint32_t patch_count;
    uint32_t size;
};

static unsigned width_of(uint64_t v)
{
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

static uint32_t bits_size(uint64_t bits)
{
    return (uint32_t)((bits + 7) / 8);
}

/* The width that makes count numbers with these widths shortest. */
static void plan_width(struct ints_plan *plan, const uint8_t *widths, uint32_t count)
{
    uint32_t above = 0; /* numbers wider than w */
    unsigned w = plan->width_max;

    plan->width = w;
    plan->patch_count = 0;
    plan->size = bits_size((uint64_t)count * w);
    while (w > 0) {
        above += widths[w];
        w--;
        /* More patches never pay: each costs a byte and its upper bits. */
        if (above > count / 4)
            break;
        const uint32_t size = bits_size((uint64_t)count * w) + 2 + above +
                              bits_size((uint64_t)above * (plan->width_max - w));
        if (size < plan->size) {
            plan->size = size;
            plan->width = w;
            plan->patch_count = above;
        }
    }
}

static uint64_t packed_of(const struct ints_plan *plan, uint64_t v)
{
    return plan->zigzag ? varint_zigzag((int64_t)v) : v - plan->base;
}

/* Plans numbers[skip .. count) of a kind; keeps the plan if it beats *best. */
static void try_plan(struct ints_plan *best, struct ints_plan plan, const uint64_t *numbers,
                     uint32_t count)
{
    uint8_t widths[65] = {0};

    plan.width_max = 0;
    for (uint32_t i = plan.skip; i < count; i++) {
        const unsigned width = width_of(packed_of(&plan, numbers[i]));

        widths[width]++;
        plan.width_max = width > plan.width_max ? width : plan.width_max;
    }
    plan_width(&plan, widths, count - plan.skip);
    if (!plan.zigzag)
        plan.size += (uint32_t)varint_size(varint_zigzag((int64_t)plan.base));
    if (plan.kind == INTS_LINEAR)
        plan.size += (uint32_t)varint_size(varint_zigzag((int64_t)plan.step));
    for (uint32_t i = 0; i < plan.skip; i++)
        plan.size += (uint32_t)varint_size(varint_zigzag((int64_t)numbers[i]));
    if (plan.size < best->size)
        *best = plan;
}

/* The least number and the widest that is left when it is taken off. */
static uint64_t least(const uint64_t *numbers, uint32_t start, uint32_t count, unsigned *width)
{
    int64_t min = (int64_t)numbers[start];
    int64_t max = min;

    for (uint32_t i = start + 1; i < count; i++) {
        const int64_t v = (int64_t)numbers[i];

        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    *width = width_of((uint64_t)max - (uint64_t)min);
    return (uint64_t)min;
}

/* Returns the width without patches. A kind whose width is not below width_below is left out. */
static unsigned try_kind(struct ints_plan *best, struct ints_plan plan, const uint64_t *numbers,
                         uint32_t count, unsigned width_below)
{
    unsigned width;

    if (count <= plan.skip)
        return 0;
    plan.base = least(numbers, plan.skip, count, &width);
    if (width >= width_below)
        return width;
    try_plan(best, plan, numbers, count);
    /* Zigzag packs outliers below the rest, at the price of a bit. */
    if ((int64_t)plan.base < 0) {
        plan.zigzag = true;
        try_plan(best, plan, numbers, count);
    }
    return width;
}

/* The low `width` bits of each, one after the other; `to` has eight bytes of room behind. */
static uint8_t *put_bits(uint8_t *to, const uint64_t *values, uint32_t count, unsigned width)
{
    const uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
    uint64_t word = 0;
    unsigned used = 0;

    if (width == 0)
        return to;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t v = values[i] & mask;

        word |= v << used;
        used += width;
        if (used < 64)
            continue;
        endian_put_u64le(to, word);
        to += 8;
        used -= 64;
        word = used == 0 ? 0 : v >> (width - used);
    }
    endian_put_u64le(to, word);
    return to + (used + 7) / 8;
}

static uint8_t *put_plan(uint8_t *to, const struct ints_plan *plan, const uint64_t *numbers,
                         uint32_t count)
{
    uint64_t packed[BLOCK_INTS_COUNT_MAX];
    uint64_t upper[BLOCK_INTS_COUNT_MAX];
    uint32_t patch_count = 0;
    uint8_t *places;

    *to++ = (uint8_t)(plan->kind | (plan->zigzag ? INTS_ZIGZAG : 0) |
                      (plan->patch_count > 0 ? INTS_PATCHED : 0));
    for (uint32_t i = 0; i < plan->skip; i++)
        to += varint_put_i64(to, (int64_t)numbers[i]);
    if (plan->kind == INTS_LINEAR)
        to += varint_put_i64(to, (int64_t)plan->step);
    if (!plan->zigzag)
        to += varint_put_i64(to, (int64_t)plan->base);
    *to++ = (uint8_t)plan->width;
    for (uint32_t i = plan->skip; i < count; i++)
        packed[i - plan->skip] = packed_of(plan, numbers[i]);
    if (plan->patch_count > 0) {
        *to++ = (uint8_t)plan->patch_count;
        *to++ = (uint8_t)(plan->width_max - plan->width);
        places = to;
        for (uint32_t i = 0; i < count - plan->skip; i++)
            if (width_of(packed[i]) > plan->width) {
                places[patch_count] = (uint8_t)i;
                upper[patch_count++] = packed[i] >> plan->width;
            }
        ASSERT(patch_count == plan->patch_count);
        to = put_bits(places + patch_count, upper, patch_count, plan->width_max - plan->width);
    }
    return put_bits(to, packed, count - plan->skip, plan->width);
}

/* numbers[i] -= numbers[i - 1], from `start` on. */
static void subtract(uint64_t *numbers, uint32_t start, uint32_t count)
{
    for (uint32_t i = count; i-- > start;)
        numbers[i] -= numbers[i - 1];
}

static bool all_equal(const uint64_t *numbers, uint32_t start, uint32_t count)
{
    for (uint32_t i = start + 1; i < count; i++)
        if (numbers[i] != numbers[start])
            return false;
    return true;
}

/* The greatest divisor of all differences of neighbours, 0 if all are equal. */
static uint64_t common_factor(const uint64_t *deltas, uint32_t count)
{
    uint64_t factor = 0;

    for (uint32_t i = 1; i < count && factor != 1; i++) {
        uint64_t b = (int64_t)deltas[i] < 0 ? 0 - deltas[i] : deltas[i];

        if (b == 0 || b == factor)
            continue;
        while (b != 0) {
            const uint64_t rest = factor % b;

            factor = b;
            b = rest;
        }
    }
    return factor;
}

/* Divides the differences, and makes the column begin at 0. */
static void divide(uint64_t *values, uint64_t *deltas, uint64_t factor, uint32_t count)
{
    values[0] = 0;
    for (uint32_t i = 1; i < count; i++) {
        deltas[i] = (uint64_t)((int64_t)deltas[i] / (int64_t)factor);
        values[i] = values[i - 1] + deltas[i];
    }
    deltas[0] = 0;
}

/* Takes a line through the ends off the numbers; returns its step. */
static uint64_t level(const uint64_t *numbers, uint64_t *linear, uint32_t count)
{
    const int64_t rise = (int64_t)(numbers[count - 1] - numbers[0]);
    const int64_t spans = (int64_t)count - 1;
    /* To the nearest: times that come early or late at the ends have the step all the same. */
    const uint64_t step =
        (uint64_t)(rise / spans + (rise % spans * 2 >= spans) - (rise % spans * 2 <= -spans));

    for (uint32_t i = 0; i < count; i++)
        linear[i] = numbers[i] - step * i;
    return step;
}

static size_t put_column(uint8_t *to, const uint64_t *values, uint32_t count)
{
    struct ints_plan best = {.size = UINT32_MAX};
    uint64_t plain[BLOCK_INTS_COUNT_MAX];
    uint64_t deltas[BLOCK_INTS_COUNT_MAX];
    uint64_t dods[BLOCK_INTS_COUNT_MAX];
    uint64_t linear[BLOCK_INTS_COUNT_MAX];
    const uint64_t *const numbers[] = {
        [INTS_FOR] = plain, [INTS_DELTA] = deltas, [INTS_DOD] = dods, [INTS_LINEAR] = linear};
    uint8_t *const start = to;

    if (all_equal(values, 0, count)) {
        *to++ = INTS_CONST;
        return 1 + varint_put_i64(to, (int64_t)values[0]);
    }
    memcpy(deltas, values, count * sizeof(*values));
    subtract(deltas, 1, count);
    if (all_equal(deltas, 1, count)) {
        *to++ = INTS_STEP;
        to += varint_put_i64(to, (int64_t)values[0]);
        return (size_t)(to - start) + varint_put_i64(to, (int64_t)deltas[1]);
    }
    memcpy(plain, values, count * sizeof(*values));
    const uint64_t factor = common_factor(deltas, count);
    if (factor > 1 && factor <= INT64_MAX) {
        *to++ = INTS_SCALED;
        to += varint_put_i64(to, (int64_t)values[0]);
        to += varint_put_u64(to, factor);
        divide(plain, deltas, factor, count);
    }
    memcpy(dods, deltas, count * sizeof(*values));
    subtract(dods, 2, count);
    (void)try_kind(&best, (struct ints_plan){.kind = INTS_FOR}, plain, count, UINT32_MAX);
    const unsigned width = try_kind(&best, (struct ints_plan){.kind = INTS_DELTA, .skip = 1},
                                    deltas, count, UINT32_MAX);
    (void)try_kind(&best, (struct ints_plan){.kind = INTS_DOD, .skip = 2}, dods, count, width);
    const struct ints_plan line = {.kind = INTS_LINEAR, .step = level(plain, linear, count)};
    (void)try_kind(&best, line, linear, count, width);
    return (size_t)(put_plan(to, &best, numbers[best.kind], count) - start);
}

/* Each number that differs from the one before, and a bit for each whether it does. */
static size_t put_runs(uint8_t *to, const uint64_t *values, uint32_t count)
{
    uint64_t heads[BLOCK_INTS_COUNT_MAX];
    uint64_t bits[BLOCK_INTS_COUNT_MAX / 64] = {0};
    uint32_t head_count = 1;

    heads[0] = values[0];
    for (uint32_t i = 1; i < count; i++)
        if (values[i] != values[i - 1]) {
            bits[(i - 1) / 64] |= UINT64_C(1) << (i - 1) % 64;
            heads[head_count++] = values[i];
        }
    *to = INTS_RUNS;
    memcpy(to + 1, bits, bits_size(count - 1));
    const size_t size = 1 + bits_size(count - 1);
    return size + put_column(to + size, heads, head_count);
}

static uint32_t run_count(const uint64_t *values, uint32_t count)
{
    uint32_t runs = 1;

    for (uint32_t i = 1; i < count; i++)
        runs += values[i] != values[i - 1];
    return runs;
}

size_t block_ints_put(uint8_t *to, const uint64_t *values, uint32_t count)
{
    uint8_t other[BLOCK_INTS_SIZE_MAX];

    ASSERT(count > 0);
    ASSERT(count <= BLOCK_INTS_COUNT_MAX);
    const uint32_t runs = run_count(values, count);
    const size_t size = put_column(to, values, count);
    /* The bits cost an eighth of a byte each: no gain without numbers to leave out. */
    if (runs == 1 || runs > count - count / RUNS_GAIN)
        return size;
    const size_t runs_size = put_runs(other, values, count);
    if (runs_size >= size)
        return size;
    memcpy(to, other, runs_size);
    return runs_size;
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

static bool take_bits(struct slice *rest, uint64_t *values, uint32_t count, unsigned width)
{
    uint64_t words[BLOCK_INTS_COUNT_MAX + INTS_PAD_WORDS];
    const uint32_t size = bits_size((uint64_t)count * width);

    if (size > rest->len)
        return false;
    if (size > 0)
        memcpy(words, rest->data, size);
    memset((char *)words + size, 0, sizeof(words[0]));
    *rest = slice_skip(*rest, size);
    block_unpack(words, values, count, width);
    return true;
}

/* What patches add to the packed numbers, read before these are. */
struct ints_patches {
    uint32_t count;
    uint8_t places[BLOCK_INTS_COUNT_MAX];
    uint64_t upper[BLOCK_INTS_COUNT_MAX];
};

static bool take_patches(struct slice *rest, struct ints_patches *patches, uint32_t count,
                         unsigned width)
{
    uint8_t patch_count;
    uint8_t extra;

    if (!take_byte(rest, &patch_count) || !take_byte(rest, &extra) || patch_count == 0 ||
        patch_count > count || extra == 0 || width + extra > 64 || patch_count > rest->len)
        return false;
    patches->count = patch_count;
    memcpy(patches->places, rest->data, patch_count);
    *rest = slice_skip(*rest, patch_count);
    for (uint32_t i = 0; i < patch_count; i++)
        if (patches->places[i] >= count || (i > 0 && patches->places[i] <= patches->places[i - 1]))
            return false;
    return take_bits(rest, patches->upper, patch_count, extra);
}

static bool take_packed(struct slice *rest, unsigned flags, uint64_t *values, uint32_t count)
{
    struct ints_patches patches;
    int64_t base = 0;
    uint8_t width;

    patches.count = 0;
    if (((flags & INTS_ZIGZAG) == 0 && !varint_take_i64(rest, &base)) || !take_byte(rest, &width) ||
        width > 64)
        return false;
    if ((flags & INTS_PATCHED) != 0 && !take_patches(rest, &patches, count, width))
        return false;
    if (!take_bits(rest, values, count, width))
        return false;
    for (uint32_t i = 0; i < patches.count; i++)
        values[patches.places[i]] |= patches.upper[i] << width;
    if ((flags & INTS_ZIGZAG) != 0) {
        for (uint32_t i = 0; i < count; i++)
            values[i] = (values[i] >> 1) ^ -(values[i] & 1);
    } else if (base != 0) {
        for (uint32_t i = 0; i < count; i++)
            values[i] += (uint64_t)base;
    }
    return true;
}

/* Numbers from their differences, or from the changes of these: the `skip` first are there. */
static void add_up(uint64_t *values, const uint64_t *packed, uint32_t skip, uint32_t count)
{
    uint64_t sum = values[0];

    if (skip == 1) {
        for (uint32_t i = 1; i < count; i++) {
            sum += packed[i - 1];
            values[i] = sum;
        }
        return;
    }
    uint64_t step = values[1];
    sum += step;
    values[1] = sum;
    for (uint32_t i = 2; i < count; i++) {
        step += packed[i - 2];
        sum += step;
        values[i] = sum;
    }
}

static bool take_plain(struct slice *rest, bool has_step, uint64_t *values, uint32_t count)
{
    int64_t first;
    int64_t step = 0;

    if (!varint_take_i64(rest, &first) || (has_step && !varint_take_i64(rest, &step)))
        return false;
    for (uint32_t i = 0; i < count; i++)
        values[i] = (uint64_t)first + (uint64_t)step * i;
    return true;
}

/* A column that packs: of this kind and flags. */
static bool take_packing(struct slice *rest, uint8_t head, uint64_t *values, uint32_t count)
{
    uint64_t packed[BLOCK_INTS_COUNT_MAX]; /* kernels write past the last number */
    int64_t front[2] = {0};
    const unsigned kind = head & INTS_KIND_MASK;

    if (kind < INTS_FOR || kind > INTS_LINEAR || (head & ~(INTS_KIND_MASK | INTS_FLAGS)) != 0)
        return false;
    const uint32_t skip = kind == INTS_LINEAR ? 0 : kind - INTS_FOR;
    if (count <= skip)
        return false;
    for (uint32_t i = 0; i < (kind == INTS_LINEAR ? 1 : skip); i++)
        if (!varint_take_i64(rest, &front[i]))
            return false;
    if (!take_packed(rest, head & INTS_FLAGS, packed, count - skip))
        return false;
    if (skip > 0) {
        values[0] = (uint64_t)front[0];
        if (skip > 1)
            values[1] = (uint64_t)front[1];
        add_up(values, packed, skip, count);
        return true;
    }
    const uint64_t step = (uint64_t)front[0]; /* 0 for FOR */
    for (uint32_t i = 0; i < count; i++)
        values[i] = packed[i] + step * i;
    return true;
}

static bool take_scaled(struct slice *rest, uint64_t *values, uint32_t count)
{
    int64_t first;
    uint64_t factor;
    uint8_t head;

    if (!varint_take_i64(rest, &first) || !varint_take_u64(rest, &factor) ||
        !take_byte(rest, &head) || !take_packing(rest, head, values, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        values[i] = (uint64_t)first + factor * values[i];
    return true;
}

static bool take_column(struct slice *rest, uint8_t head, uint64_t *values, uint32_t count)
{
    switch (head) {
    case INTS_CONST:
    case INTS_STEP:
        return take_plain(rest, head == INTS_STEP, values, count);
    case INTS_SCALED:
        return take_scaled(rest, values, count);
    default:
        return take_packing(rest, head, values, count);
    }
}

static bool take_runs(struct slice *rest, uint64_t *values, uint32_t count)
{
    uint64_t heads[BLOCK_INTS_COUNT_MAX];
    uint64_t bits[BLOCK_INTS_COUNT_MAX / 64] = {0};
    const uint32_t size = bits_size(count - 1);
    uint32_t at = 0;
    uint8_t head;

    if (rest->len < size + 1)
        return false;
    memcpy(bits, rest->data, size);
    if ((count - 1) % 64 != 0) /* what pads the last byte is 0 */
        bits[(count - 1) / 64] &= (UINT64_C(1) << (count - 1) % 64) - 1;
    *rest = slice_skip(*rest, size);
    const uint32_t head_count =
        1 + (uint32_t)(__builtin_popcountll(bits[0]) + __builtin_popcountll(bits[1]));
    if (!take_byte(rest, &head) || !take_column(rest, head, heads, head_count))
        return false;
    values[0] = heads[0];
    for (uint32_t i = 1; i < count; i++) {
        at += (uint32_t)(bits[(i - 1) / 64] >> (i - 1) % 64 & 1);
        values[i] = heads[at];
    }
    return true;
}

bool block_ints_take_body(struct slice *rest, uint8_t head, uint64_t *values, uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(count <= BLOCK_INTS_COUNT_MAX);
    return head == INTS_RUNS ? take_runs(rest, values, count)
                             : take_column(rest, head, values, count);
}

bool block_ints_take(struct slice *rest, uint64_t *values, uint32_t count)
{
    uint8_t head;

    return take_byte(rest, &head) && block_ints_take_body(rest, head, values, count);
}
