/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zstd_block.h"

#include <zstd.h>

#include "base/assert.h"

enum {
    ZSTD_GUESS_MIN = 4096,
    ZSTD_GUESS_MAX = 1 << 20, /* first room for a frame, whatever it declares */
    ZSTD_WINDOW_LOG_MAX = 27,
};

/* Decodes into room that doubles while the frame goes on: a declared length is only a first guess,
 * so it costs no more memory than twice what is really there. */
static enum err zstd_block_stream(ZSTD_DCtx *ctx, struct slice in, size_t size_max,
                                  struct arena *arena, struct slice *out, struct err_info *info)
{
    const unsigned long long declared = ZSTD_getFrameContentSize(in.data, in.len);
    ZSTD_inBuffer from = {in.data, in.len, 0};
    size_t cap = ZSTD_GUESS_MIN, left = 1;
    char *data = NULL;

    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return err_set(info, ERR_BAD_INPUT, "zstd: no frame");
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN) {
        if (declared > size_max)
            return err_set(info, ERR_TOO_LARGE,
                           "zstd: decoded length %llu exceeds the limit of %zu", declared,
                           size_max);
        cap = declared < ZSTD_GUESS_MAX ? (size_t)declared + 1 : ZSTD_GUESS_MAX;
    }
    ZSTD_outBuffer to = {NULL, 0, 0};
    do {
        if (to.pos == to.size) {
            if (to.size > size_max)
                return err_set(info, ERR_TOO_LARGE, "zstd: more than %zu decoded bytes", size_max);
            cap = to.size == 0 ? cap : to.size * 2;
            data = arena_grow(arena, data, to.size, cap);
            if (data == NULL)
                return err_set(info, ERR_LIMIT, "zstd: no memory for %zu decoded bytes", cap);
            to.dst = data;
            to.size = cap;
        }
        const size_t in_before = from.pos, out_before = to.pos;
        left = ZSTD_decompressStream(ctx, &to, &from);
        if (ZSTD_isError(left))
            return err_set(info, ERR_BAD_INPUT, "zstd: %s", ZSTD_getErrorName(left));
        if (left != 0 && from.pos == in_before && to.pos == out_before && to.pos < to.size)
            return err_set(info, ERR_BAD_INPUT, "zstd: the frame is not whole");
    } while (left != 0);
    if (from.pos != in.len)
        return err_set(info, ERR_BAD_INPUT, "zstd: bytes behind the frame");
    if (to.pos > size_max)
        return err_set(info, ERR_TOO_LARGE, "zstd: more than %zu decoded bytes", size_max);
    *out = slice_of(data, to.pos);
    return ERR_OK;
}

enum err zstd_block_decode(struct slice in, size_t size_max, struct arena *arena, struct slice *out,
                           struct err_info *info)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    size_t set;
    enum err err;

    ASSERT(ctx != NULL);
    set = ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    ASSERT(!ZSTD_isError(set));
    err = zstd_block_stream(ctx, in, size_max, arena, out, info);
    ZSTD_freeDCtx(ctx);
    return err;
}
