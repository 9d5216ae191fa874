/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/snappy.h"

#include <snappy-c.h>

enum {
    /* The densest element is a copy: 3 bytes give 64. */
    SNAPPY_RATIO_MAX = 22,
};

enum err snappy_block_size(struct slice in, size_t size_max, size_t *size, struct err_info *info)
{
    size_t declared;

    if (in.len == 0)
        return err_set(info, ERR_BAD_INPUT, "snappy: empty input");
    if (snappy_uncompressed_length(in.data, in.len, &declared) != SNAPPY_OK)
        return err_set(info, ERR_BAD_INPUT, "snappy: corrupt length");
    if (declared > size_max)
        return err_set(info, ERR_TOO_LARGE, "snappy: decoded length %zu exceeds the limit of %zu",
                       declared, size_max);
    if (declared / SNAPPY_RATIO_MAX > in.len)
        return err_set(info, ERR_BAD_INPUT, "snappy: declared length %zu in %zu bytes", declared,
                       in.len);
    *size = declared;
    return ERR_OK;
}

enum err snappy_block_decode(struct slice in, size_t size_max, struct arena *arena,
                             struct slice *out, struct err_info *info)
{
    size_t size = 0;
    const enum err err = snappy_block_size(in, size_max, &size, info);
    char *data;

    if (err != ERR_OK)
        return err;
    data = arena_alloc(arena, size);
    if (data == NULL)
        return err_set(info, ERR_LIMIT, "snappy: no memory for %zu decoded bytes", size);
    if (snappy_uncompress(in.data, in.len, data, &size) != SNAPPY_OK)
        return err_set(info, ERR_BAD_INPUT, "snappy: corrupt input");
    *out = slice_of(data, size);
    return ERR_OK;
}

void snappy_block_encode(struct buf *out, struct slice in)
{
    size_t size = snappy_max_compressed_length(in.len);
    char *data = buf_reserve(out, size);
    snappy_status status;

    if (data == NULL)
        return;
    status = snappy_compress(in.data, in.len, data, &size);
    ASSERT(status == SNAPPY_OK);
    out->len += size;
}
