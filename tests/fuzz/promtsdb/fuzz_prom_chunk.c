/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte is an encoding, the rest a chunk: read to its end; a histogram that passes the
 * check is printed. */
#include "promtsdb/prom_chunk.h"

#include "model/histogram_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 1 << 20, SAMPLES_MAX = 200, TEXT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prom_chunk_iter iter;
    struct prom_sample sample;
    struct arena arena;
    struct buf text;

    if (size == 0)
        return 0;
    arena_init(&arena, NULL, ARENA_MAX);
    buf_init(&text, TEXT_MAX);
    prom_chunk_iter_init(&iter, (struct prom_chunk){data[0] & 3, slice_of(data + 1, size - 1)},
                         &arena);
    for (unsigned i = 0; i < SAMPLES_MAX && prom_chunk_iter_next(&iter, &sample); i++) {
        if (sample.kind == SAMPLE_HISTOGRAM && histogram_check(sample.histogram, NULL) == ERR_OK)
            histogram_text_print(&text, sample.histogram);
        buf_reset(&text);
    }
    buf_fini(&text);
    arena_fini(&arena);
    return 0;
}
