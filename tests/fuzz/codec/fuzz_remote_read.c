/* SPDX-License-Identifier: Apache-2.0 */

/* A decompressed request of remote read; what is taken keeps its limits. */
#include "base/assert.h"
#include "codec/remote_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_read_request request;
    struct arena arena;

    arena_init(&arena, NULL, 16 << 20);
    if (remote_read_decode(slice_of(data, size), &arena, &request, NULL) == ERR_OK) {
        ASSERT(request.query_count <= REMOTE_READ_QUERIES_MAX);
        for (uint32_t i = 0; i < request.query_count; i++) {
            const struct remote_read_query *query = &request.queries[i];

            ASSERT(query->matcher_count <= REMOTE_READ_MATCHERS_MAX);
            ASSERT(query->grouping_count <= REMOTE_READ_GROUPING_MAX);
            for (uint32_t j = 0; j < query->matcher_count; j++)
                ASSERT(query->matchers[j].name.len != 0);
        }
    }
    arena_fini(&arena);
    return 0;
}
