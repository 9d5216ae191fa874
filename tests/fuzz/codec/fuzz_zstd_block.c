/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as a zstd frame, within a limit. */
#include "codec/zstd_block.h"

#include <stdint.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DECODED_MAX = 1 << 16, ARENA_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct slice out = {NULL, 0};

    arena_init(&arena, NULL, ARENA_MAX);
    if (zstd_block_decode(slice_of(data, size), DECODED_MAX, &arena, &out, NULL) == ERR_OK)
        ASSERT(out.len <= DECODED_MAX);
    arena_fini(&arena);
    return 0;
}
