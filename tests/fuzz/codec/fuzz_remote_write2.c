/* SPDX-License-Identifier: Apache-2.0 */

/* A decompressed request of remote write 2.0: read in place and by protobuf-c, which must agree. */
#include "support/remote2_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;

    arena_init(&arena, NULL, 64 << 20);
    (void)remote2_diff_check(slice_of(data, size), &arena);
    arena_fini(&arena);
    return 0;
}
