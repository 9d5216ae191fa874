/* SPDX-License-Identifier: Apache-2.0 */

/* A compressed body; its first byte is the size of the pieces in which it comes. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/http_gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_gunzip *gunzip = http_gunzip_new();
    enum err err = ERR_OK;
    struct buf out;

    buf_init(&out, 1 << 20);
    for (size_t at = 1; at < size && err == ERR_OK;) {
        const size_t piece = (size_t)data[0] + 1;
        const size_t len = size - at < piece ? size - at : piece;

        err = http_gunzip_write(gunzip, slice_of((const char *)data + at, len), &out);
        at += len;
    }
    if (out.len > out.max)
        abort();
    http_gunzip_free(gunzip);
    buf_fini(&out);
    return 0;
}
