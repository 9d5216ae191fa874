/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a block: bytes that decode give rising times; what decodes whole, encodes and decodes
 * to the same samples again. The first eight bytes are the chunk's first time. */
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "storage/block_chunk.h"

static int64_t t_ms[BLOCK_CHUNK_COUNT_MAX];
static int64_t start_t_ms[BLOCK_CHUNK_COUNT_MAX];
static double v[BLOCK_CHUNK_COUNT_MAX];
static const struct histogram *histograms[BLOCK_CHUNK_COUNT_MAX];

/* Reads all; histograms are copied into the arena. */
static uint32_t decode(struct block_chunk_reader *reader, struct arena *copies)
{
    static struct sample_columns columns;
    uint32_t total = 0;

    while (block_chunk_next(reader, &columns)) {
        ASSERT(columns.count > 0);
        ASSERT(total + columns.count <= BLOCK_CHUNK_COUNT_MAX);
        for (uint32_t i = 0; i < columns.count; i++, total++) {
            ASSERT(total == 0 || columns.t_ms[i] > t_ms[total - 1]);
            t_ms[total] = columns.t_ms[i];
            start_t_ms[total] = columns.start_t_ms == NULL ? 0 : columns.start_t_ms[i];
            if (columns.kind == SAMPLE_FLOAT)
                v[total] = columns.v[i];
            else
                histograms[total] = histogram_copy(copies, columns.histograms[i]);
        }
    }
    return total;
}

static void encode(struct buf *out, const struct block_chunk_reader *reader)
{
    struct block_chunk_samples samples = {
        .count = reader->count, .t_ms = t_ms, .start_t_ms = start_t_ms};

    if ((reader->encoding & ~BLOCK_CHUNK_STARTS) == BLOCK_CHUNK_FLOAT) {
        samples.kind = SAMPLE_FLOAT;
        samples.v = v;
    } else {
        samples.kind = SAMPLE_HISTOGRAM;
        samples.histograms = histograms;
    }
    block_chunk_encode(out, &samples);
    ASSERT(out->err == ERR_OK);
}

static void check_again(const struct block_chunk_reader *first, struct arena *arena)
{
    struct block_chunk_reader reader;
    struct buf bytes[2];
    struct arena copies;

    buf_init(&bytes[0], 64 << 20);
    buf_init(&bytes[1], 64 << 20);
    arena_init(&copies, NULL, 0);
    encode(&bytes[0], first);
    block_chunk_open(&reader, buf_slice(&bytes[0]), first->first_t_ms, arena);
    ASSERT(decode(&reader, &copies) == first->count);
    ASSERT(reader.err == ERR_OK);
    encode(&bytes[1], &reader);
    ASSERT(slice_eq(buf_slice(&bytes[0]), buf_slice(&bytes[1])));
    buf_fini(&bytes[0]);
    buf_fini(&bytes[1]);
    arena_fini(&copies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_chunk_reader reader;
    struct arena arena;
    struct arena copies;

    if (size < 8)
        return 0;
    const int64_t first_t_ms = (int64_t)endian_get_u64le(data);
    const struct slice bytes = slice_of(data + 8, size - 8);
    arena_init(&arena, NULL, 256 << 20);
    arena_init(&copies, NULL, 0);
    block_chunk_open(&reader, bytes, first_t_ms, &arena);
    if (first_t_ms < INT64_MAX - 1000000)
        block_chunk_skip(&reader, first_t_ms + 1000000);
    (void)decode(&reader, &copies);
    arena_reset(&copies);
    block_chunk_open(&reader, bytes, first_t_ms, &arena);
    const uint32_t count = decode(&reader, &copies);
    if (reader.err == ERR_OK && count > 0) {
        ASSERT(count == reader.count);
        check_again(&reader, &arena);
    }
    arena_fini(&arena);
    arena_fini(&copies);
    return 0;
}
