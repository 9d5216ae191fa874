/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a block: bytes that decode give rising times; what decodes whole, encodes and decodes
 * to the same samples again. The first eight bytes are the chunk's first time. */
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "storage/block_chunk.h"

static struct sample samples[BLOCK_CHUNK_COUNT_MAX];

static uint32_t decode(struct block_chunk_reader *reader, bool skips)
{
    int64_t t_ms[BLOCK_FRAME_COUNT_MAX];
    double v[BLOCK_FRAME_COUNT_MAX];
    uint32_t total = 0;
    uint32_t count;

    if (skips && reader->first_t_ms < INT64_MAX - 1000000)
        block_chunk_skip(reader, reader->first_t_ms + 1000000);
    while (block_chunk_next(reader, t_ms, v, &count)) {
        ASSERT(total + count <= BLOCK_CHUNK_COUNT_MAX);
        for (uint32_t i = 0; i < count; i++, total++) {
            ASSERT(total == 0 || t_ms[i] > samples[total - 1].t_ms || skips);
            samples[total] = (struct sample){t_ms[i], v[i]};
        }
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sample first[BLOCK_CHUNK_COUNT_MAX];
    struct block_chunk_reader reader;
    struct buf again;

    if (size < 8)
        return 0;
    const int64_t first_t_ms = (int64_t)endian_get_u64le(data);
    const struct slice bytes = slice_of(data + 8, size - 8);
    block_chunk_open(&reader, bytes, first_t_ms);
    (void)decode(&reader, true);
    block_chunk_open(&reader, bytes, first_t_ms);
    const uint32_t count = decode(&reader, false);
    if (reader.err != ERR_OK || count == 0)
        return 0;
    ASSERT(count == reader.count);
    memcpy(first, samples, count * sizeof(first[0]));
    buf_init(&again, BLOCK_CHUNK_SIZE_MAX);
    block_chunk_encode(&again, first, count);
    ASSERT(again.err == ERR_OK);
    block_chunk_open(&reader, buf_slice(&again), first_t_ms);
    ASSERT(decode(&reader, false) == count);
    ASSERT(memcmp(first, samples, count * sizeof(first[0])) == 0);
    buf_fini(&again);
    return 0;
}
