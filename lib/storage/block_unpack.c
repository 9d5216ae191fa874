/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_unpack.h"

#include <string.h>

#include "base/assert.h"

/* With the width a constant and the loop unrolled, each number is one or two shifts and a mask with
 * constant operands, and no number waits for another. */
#define UNPACK_KERNEL(width)                                                                       \
    static void unpack_##width(const uint64_t *in, uint64_t *out)                                  \
    {                                                                                              \
        _Pragma("GCC unroll 64") for (unsigned i = 0; i < 64; i++)                                 \
        {                                                                                          \
            const unsigned bit = i * (width);                                                      \
            const unsigned shift = bit % 64;                                                       \
            uint64_t v = in[bit / 64] >> shift;                                                    \
                                                                                                   \
            if (shift + (width) > 64)                                                              \
                v |= in[bit / 64 + 1] << (64 - shift);                                             \
            out[i] = v & (UINT64_MAX >> (64 - (width)));                                           \
        }                                                                                          \
    }

#define UNPACK_WIDTH(width) UNPACK_KERNEL(width)
#include "storage/block_unpack_widths.inc"
#undef UNPACK_WIDTH

static void unpack_0(const uint64_t *in, uint64_t *out)
{
    (void)in;
    memset(out, 0, 64 * sizeof(*out));
}

static void unpack_64(const uint64_t *in, uint64_t *out)
{
    memcpy(out, in, 64 * sizeof(*out));
}

typedef void unpack_fn(const uint64_t *in, uint64_t *out);

#define UNPACK_WIDTH(width) unpack_##width,
static unpack_fn *const kernels[65] = {
    unpack_0,
#include "storage/block_unpack_widths.inc"
    unpack_64,
};
#undef UNPACK_WIDTH

void block_unpack(const uint64_t *words, uint64_t *values, uint32_t count, unsigned width)
{
    ASSERT(count <= 128);
    ASSERT(width <= 64);
    for (uint32_t i = 0; i < count; i += 64)
        kernels[width](words + (size_t)i / 64 * width, values + i);
}
