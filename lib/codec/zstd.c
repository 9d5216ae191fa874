/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

enum {
    ZSTD_ROOM_MIN = 64 << 10, /* first guess where a frame doesn't declare its length ... */
    ZSTD_ROOM_RATIO = 16,     /* ... or this many times its size */
    ZSTD_LEVEL = 1,
};

struct zstd_decoder {
    ZSTD_DCtx *ctx; /* owned */
    size_t size_max;
};

struct zstd_decoder *zstd_decoder_new(size_t size_max)
{
    struct zstd_decoder *decoder = mem_alloc(sizeof(*decoder));

    *decoder = (struct zstd_decoder){.ctx = ZSTD_createDCtx(), .size_max = size_max};
    ASSERT(decoder->ctx != NULL);
    return decoder;
}

void zstd_decoder_free(struct zstd_decoder *decoder)
{
    if (decoder == NULL)
        return;
    ZSTD_freeDCtx(decoder->ctx);
    mem_free(decoder);
}

/* Room to decode into, before more is tried. */
static enum err room_of(struct slice in, size_t size_max, size_t *room, struct err_info *info)
{
    const unsigned long long declared = ZSTD_getFrameContentSize(in.data, in.len);
    size_t guess = in.len < size_max / ZSTD_ROOM_RATIO ? in.len * ZSTD_ROOM_RATIO : size_max;

    if (in.len == 0)
        return err_set(info, ERR_BAD_INPUT, "zstd: empty input");
    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return err_set(info, ERR_BAD_INPUT, "zstd: no frame");
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN) {
        if (declared > size_max)
            return err_set(info, ERR_TOO_LARGE,
                           "zstd: decoded length %llu exceeds the limit of %zu", declared,
                           size_max);
        guess = (size_t)declared;
    } else if (guess < ZSTD_ROOM_MIN) {
        guess = size_max < ZSTD_ROOM_MIN ? size_max : ZSTD_ROOM_MIN;
    }
    *room = guess;
    return ERR_OK;
}

enum err zstd_decode(struct zstd_decoder *decoder, struct slice in, struct arena *arena,
                     struct slice *out, struct err_info *info)
{
    const size_t size_max = decoder->size_max;
    size_t room = 0, size = 0;
    char *data = NULL;
    const enum err err = room_of(in, size_max, &room, info);

    if (err != ERR_OK)
        return err;
    for (;;) {
        data = arena_grow(arena, data, size, room);
        if (data == NULL)
            return err_set(info, ERR_LIMIT, "zstd: no memory for %zu decoded bytes", room);
        size = ZSTD_decompressDCtx(decoder->ctx, data, room, in.data, in.len);
        if (!ZSTD_isError(size))
            break;
        if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall)
            return err_set(info, ERR_BAD_INPUT, "zstd: %s", ZSTD_getErrorName(size));
        if (room == size_max)
            return err_set(info, ERR_TOO_LARGE, "zstd: decoded length exceeds the limit of %zu",
                           size_max);
        size = room;
        room = room < size_max / 4 ? (room == 0 ? 1 : room) * 4 : size_max;
    }
    *out = slice_of(data, size);
    return ERR_OK;
}

void zstd_encode(struct buf *out, struct slice in)
{
    const size_t bound = ZSTD_compressBound(in.len);
    char *data = buf_reserve(out, bound);
    size_t size;

    if (data == NULL)
        return;
    size = ZSTD_compress(data, bound, in.data, in.len, ZSTD_LEVEL);
    ASSERT(!ZSTD_isError(size));
    out->len += size;
}
