/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "discovery/file_groups.h"

/* The first byte chooses the format. What parses has sorted labels; what does not has a message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file_groups groups;
    struct err_info info = {0};
    struct arena arena;
    enum err err;

    if (size == 0)
        return 0;
    arena_init(&arena, NULL, 64 << 20);
    err = file_groups_parse(&arena, slice_of(data + 1, size - 1),
                            data[0] == 'j' ? FILE_GROUPS_JSON : FILE_GROUPS_YAML, &groups, &info);
    ASSERT((err == ERR_OK) == (info.message[0] == 0));
    for (uint32_t i = 0; err == ERR_OK && i < groups.count; i++)
        ASSERT(label_set_check(groups.items[i].labels, LABEL_SCHEME_UTF8, NULL) == ERR_OK);
    arena_fini(&arena);
    return 0;
}
