/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as a snappy block under a limit; what decodes is coded and decoded again. */
#include "base/assert.h"
#include "codec/snappy.h"

enum { SIZE_MAX_DECODED = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf buf;
    struct slice out, again;

    arena_init(&arena, NULL, 8 << 20);
    buf_init(&buf, 8 << 20);
    if (snappy_block_decode(slice_of(data, size), SIZE_MAX_DECODED, &arena, &out, NULL) == ERR_OK) {
        ASSERT(out.len <= SIZE_MAX_DECODED);
        snappy_block_encode(&buf, out);
        ASSERT(snappy_block_decode(buf_slice(&buf), SIZE_MAX_DECODED, &arena, &again, NULL) ==
               ERR_OK);
        ASSERT(slice_eq(out, again));
    }
    buf_fini(&buf);
    arena_fini(&arena);
    return 0;
}
