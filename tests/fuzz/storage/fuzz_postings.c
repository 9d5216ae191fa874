/* SPDX-License-Identifier: Apache-2.0 */
/* Stored posting lists: what is taken is a rising list below its bound, which is the first four
 * bytes, and comes back the same. */
#include <string.h>

#include "base/assert.h"
#include "base/endian.h"
#include "storage/postings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct postings *postings;
    struct arena arena;
    const uint32_t *ids;
    const uint32_t *again;
    uint32_t count;
    uint32_t again_count;
    struct buf out;

    if (size < 4)
        return 0;
    const uint32_t id_end = endian_get_u32le(data);
    const struct slice bytes = slice_of(data + 4, size - 4);
    (void)postings_peek_count(bytes);
    if (postings_decode(bytes, id_end, &postings) != ERR_OK)
        return 0;
    /* A list in runs may stand for many ids: those are not written out. */
    if (postings_count(postings) > 1 << 20) {
        postings_free(postings);
        return 0;
    }
    arena_init(&arena, NULL, 0);
    enum err err = postings_ids(postings, &arena, &ids, &count);
    ASSERT(err == ERR_OK);
    ASSERT(count == postings_peek_count(bytes));
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(ids[i] < id_end);
        ASSERT(i == 0 || ids[i] > ids[i - 1]);
    }
    postings_free(postings);
    buf_init(&out, 64 << 20);
    postings_encode(&out, ids, count);
    err = postings_decode(buf_slice(&out), id_end, &postings);
    ASSERT(err == ERR_OK);
    err = postings_ids(postings, &arena, &again, &again_count);
    ASSERT(err == ERR_OK);
    ASSERT(again_count == count);
    ASSERT(memcmp(ids, again, count * sizeof(*ids)) == 0);
    postings_free(postings);
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
