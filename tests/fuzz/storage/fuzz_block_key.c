/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a block's tables: what parses, prints to the same bytes. */
#include "base/assert.h"
#include "storage/block_key.h"

static void check_index(struct slice key)
{
    struct block_index_key parsed;
    struct buf text;
    struct buf again;

    buf_init(&text, BLOCK_KEY_SIZE_MAX);
    buf_init(&again, BLOCK_KEY_SIZE_MAX);
    if (block_key_parse_index(key, &text, &parsed)) {
        if (parsed.kind == BLOCK_INDEX_SERIES) {
            block_key_series(&again, parsed.tenant, parsed.id);
        } else if (parsed.kind == BLOCK_INDEX_POSTINGS) {
            block_key_postings(&again, parsed.tenant, parsed.name, parsed.value);
        } else if (parsed.kind == BLOCK_INDEX_METADATA) {
            block_key_metadata(&again, parsed.tenant, parsed.name);
        } else {
            block_key_index(&again, parsed.tenant, parsed.kind);
        }
        ASSERT(slice_eq(key, buf_slice(&again)));
    }
    buf_fini(&text);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice key = slice_of(data, size);
    struct block_data_key parsed;
    struct buf text;
    struct buf again;

    check_index(key);
    buf_init(&text, BLOCK_KEY_SIZE_MAX);
    buf_init(&again, BLOCK_KEY_SIZE_MAX);
    if (block_key_parse_data(key, &text, &parsed)) {
        if (parsed.kind == BLOCK_DATA_CHUNK)
            block_key_chunk(&again, parsed.tenant, parsed.id, parsed.t_ms);
        else
            block_key_exemplars(&again, parsed.tenant, parsed.id);
        ASSERT(slice_eq(key, buf_slice(&again)));
    }
    buf_fini(&text);
    buf_fini(&again);
    return 0;
}
