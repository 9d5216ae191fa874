/* SPDX-License-Identifier: Apache-2.0 */

/* Forms and queries, path segments, and the Accept-Encoding header: all that net itself parses of a
 * request. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/http_gzip.h"
#include "net/http_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that a read past the end is found. */
    char *copy = malloc(size > 0 ? size : 1);
    const struct slice text = slice_of(copy, size);
    struct http_params params = {0};
    struct err_info info = {{0}};
    struct arena arena;
    struct slice out;

    if (size > 0)
        memcpy(copy, data, size);
    arena_init(&arena, NULL, 1 << 20);
    if (http_params_parse(&params, text, &arena, &info) == ERR_OK) {
        size_t total = 0;

        for (size_t i = 0; i < params.count; i++)
            total += params.items[i].name.len + params.items[i].value.len;
        ASSERT(total <= size);
    } else {
        ASSERT(params.count == 0);
        ASSERT(info.message[0] != '\0');
    }
    if (http_params_decode_path(text, &arena, &out) == ERR_OK)
        ASSERT(out.len <= size);
    (void)http_gzip_choose(text);
    arena_fini(&arena);
    free(copy);
    return 0;
}
