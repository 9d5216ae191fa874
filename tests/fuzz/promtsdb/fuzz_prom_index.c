/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as the index of a block: all series are read. */
#include "promtsdb/prom_index.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/mem.h"
#include "fuzz_crc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 1 << 20, TOC_SIZE = 52, SERIES_MAX = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = mem_alloc(size + 1);
    struct prom_index index;
    struct prom_series series;
    struct arena arena;

    memcpy(bytes, data, size);
    if (size >= TOC_SIZE) { /* sums are set right, or nothing would come past them */
        uint8_t *toc = bytes + size - TOC_SIZE;

        fuzz_crc_section(bytes, size, endian_get_u64be(toc));
        fuzz_crc_section(bytes, size, endian_get_u64be(toc + 40));
        endian_put_u32be(toc + TOC_SIZE - 4, crc32c(0, toc, TOC_SIZE - 4));
    }
    arena_init(&arena, NULL, ARENA_MAX);
    if (prom_index_open(&index, slice_of(bytes, size), NULL) == ERR_OK) {
        for (uint32_t i = 0; i < index.series_count && i < SERIES_MAX; i++) {
            if (prom_index_series(&index, i, &arena, &series, NULL) != ERR_OK)
                break;
            arena_reset(&arena);
        }
        prom_index_fini(&index);
    }
    arena_fini(&arena);
    mem_free(bytes);
    return 0;
}
