/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as a file of head chunks, as a segment of a block, and as tombstones. */
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_tombstones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OFFSETS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice bytes = slice_of(data, size);
    struct prom_head_chunk_iter iter;
    struct prom_head_chunk head_chunk;
    struct prom_chunk chunk;
    struct prom_tombstones stones = {.count = 0};

    prom_head_chunk_iter_init(&iter, bytes);
    while (prom_head_chunk_iter_next(&iter, &head_chunk)) {
    }
    if (prom_chunk_file_check(bytes, NULL) == ERR_OK)
        for (uint64_t at = 0; at < size + 2 && at < OFFSETS_MAX; at++)
            if (prom_chunk_file_get(bytes, at, &chunk, NULL) == ERR_OK)
                break;
    if (prom_tombstones_read(&stones, bytes, NULL) == ERR_OK)
        prom_tombstones_sort(&stones);
    prom_tombstones_fini(&stones);
    return 0;
}
