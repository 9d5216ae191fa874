/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as a chunk: read to the end; what was read in order is written again and read back. */
#include <string.h>

#include "base/assert.h"
#include "codec/xor_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xor_iter it, again;
    struct xor_chunk chunk;
    struct sample sample, back;
    int64_t t_last = 0;
    unsigned count = 0;

    xor_chunk_init(&chunk);
    xor_iter_init(&it, slice_of(data, size));
    while (xor_iter_next(&it, &sample)) {
        if ((count != 0 && sample.t_ms <= t_last) || xor_chunk_append(&chunk, sample) != ERR_OK)
            break;
        t_last = sample.t_ms;
        count++;
    }
    xor_iter_init(&it, slice_of(data, size));
    xor_iter_init(&again, xor_chunk_bytes(&chunk));
    for (unsigned i = 0; i < count; i++) {
        ASSERT(xor_iter_next(&it, &sample));
        ASSERT(xor_iter_next(&again, &back));
        ASSERT(sample.t_ms == back.t_ms);
        ASSERT(sample_value_bits(sample.v) == sample_value_bits(back.v));
    }
    ASSERT(!xor_iter_next(&again, &back) && again.err == ERR_OK);
    return 0;
}
