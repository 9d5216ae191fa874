/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_gunzip.h"

#include <zlib.h>

#include "base/mem.h"

enum { GUNZIP_STEP_SIZE = 32 * 1024, GUNZIP_INPUT_MAX = 1 << 30 };

struct http_gunzip {
    z_stream stream;
    bool is_in_member, has_member;
};

static void *gunzip_alloc(void *opaque, uInt count, uInt size)
{
    (void)opaque;
    return mem_zalloc(count, size);
}

static void gunzip_release(void *opaque, void *ptr)
{
    (void)opaque;
    mem_free(ptr);
}

struct http_gunzip *http_gunzip_new(void)
{
    struct http_gunzip *gunzip = mem_zalloc(1, sizeof(*gunzip));
    int got;

    gunzip->stream.zalloc = gunzip_alloc;
    gunzip->stream.zfree = gunzip_release;
    got = inflateInit2(&gunzip->stream, MAX_WBITS + 16); /* 16: with gzip's header and trailer */
    ASSERT(got == Z_OK);
    return gunzip;
}

void http_gunzip_free(struct http_gunzip *gunzip)
{
    if (gunzip == NULL)
        return;
    inflateEnd(&gunzip->stream);
    mem_free(gunzip);
}

/* Decompresses until the input is used up or a step of output is full. */
static enum err gunzip_step(struct http_gunzip *gunzip, struct buf *out)
{
    z_stream *stream = &gunzip->stream;
    unsigned char step[GUNZIP_STEP_SIZE];
    size_t len;
    int got;

    if (!gunzip->is_in_member && stream->avail_in > 0) {
        if (gunzip->has_member && inflateReset(stream) != Z_OK)
            return ERR_CORRUPT;
        gunzip->is_in_member = true;
        gunzip->has_member = true;
    }
    stream->next_out = step;
    stream->avail_out = sizeof(step);
    got = inflate(stream, Z_NO_FLUSH);
    if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
        return ERR_CORRUPT;
    len = sizeof(step) - stream->avail_out;
    if (len > out->max - out->len)
        return ERR_TOO_LARGE;
    buf_add(out, step, len);
    if (got == Z_STREAM_END)
        gunzip->is_in_member = false;
    return ERR_OK;
}

enum err http_gunzip_write(struct http_gunzip *gunzip, struct slice bytes, struct buf *out)
{
    z_stream *stream = &gunzip->stream;
    enum err err = ERR_OK;

    ASSERT(bytes.len <= GUNZIP_INPUT_MAX);
    if (bytes.len == 0)
        return ERR_OK;
    stream->next_in = (unsigned char *)(uintptr_t)bytes.data;
    stream->avail_in = (uInt)bytes.len;
    do {
        err = gunzip_step(gunzip, out);
    } while (err == ERR_OK &&
             (stream->avail_in > 0 || (stream->avail_out == 0 && gunzip->is_in_member)));
    return err;
}

bool http_gunzip_is_whole(const struct http_gunzip *gunzip)
{
    return gunzip->has_member && !gunzip->is_in_member;
}
