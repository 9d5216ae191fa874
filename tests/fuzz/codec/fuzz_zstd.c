/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as zstd frames under a limit; what decodes is coded and decoded again. */
#include "base/assert.h"
#include "codec/zstd.h"

enum { SIZE_MAX_DECODED = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zstd_decoder *decoder = zstd_decoder_new(SIZE_MAX_DECODED);
    struct arena arena;
    struct buf buf;
    struct slice out, again;

    arena_init(&arena, NULL, 8 << 20);
    buf_init(&buf, 8 << 20);
    if (zstd_decode(decoder, slice_of(data, size), &arena, &out, NULL) == ERR_OK) {
        ASSERT(out.len <= SIZE_MAX_DECODED);
        zstd_encode(&buf, out);
        ASSERT(zstd_decode(decoder, buf_slice(&buf), &arena, &again, NULL) == ERR_OK);
        ASSERT(slice_eq(out, again));
    }
    zstd_decoder_free(decoder);
    buf_fini(&buf);
    arena_fini(&arena);
    return 0;
}
