/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as meta.json: what is read is printed and read again. */
#include "promtsdb/prom_meta.h"

#include <stdint.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prom_meta meta, again;
    struct buf text;

    if (prom_meta_parse(slice_of(data, size), &meta, NULL) != ERR_OK)
        return 0;
    buf_init(&text, 1 << 16);
    prom_meta_print(&meta, &text);
    ASSERT(prom_meta_parse(buf_slice(&text), &again, NULL) == ERR_OK);
    ASSERT(again.t_min_ms == meta.t_min_ms && again.sample_count == meta.sample_count);
    buf_fini(&text);
    return 0;
}
