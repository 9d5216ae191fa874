/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_gzip.h"

#include <limits.h>
#include <zlib.h>

#include "base/mem.h"

/* Level 1 takes a third of the time of zlib's default 6 and gives JSON that is a sixth larger. */
enum { GZIP_LEVEL = 1, GZIP_STEP_SIZE = 32 * 1024, GZIP_INPUT_MAX = 1 << 30 };

struct http_gzip {
    z_stream stream;
};

static struct slice gzip_trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static struct slice gzip_cut(struct slice *rest, char at)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->data, at, rest->len);
    const size_t len = found == NULL ? rest->len : (size_t)(found - rest->data);
    const struct slice head = slice_of(rest->data, len);

    *rest = slice_skip(*rest, found == NULL ? len : len + 1);
    return gzip_trim(head);
}

/* Whether "gzip;q=0.5" still wants the coding: any q but zero does. */
static bool gzip_weight_is_zero(struct slice params)
{
    while (params.len > 0) {
        struct slice one = gzip_cut(&params, ';');

        if (!slice_has_prefix(one, SLICE("q=")))
            continue;
        one = slice_skip(one, 2);
        for (size_t i = 0; i < one.len; i++)
            if (one.data[i] != '0' && one.data[i] != '.')
                return false;
        return true;
    }
    return false;
}

enum http_coding http_gzip_choose(struct slice accept_encoding)
{
    enum http_coding coding = HTTP_CODING_IDENTITY;

    while (accept_encoding.len > 0) {
        struct slice params = gzip_cut(&accept_encoding, ',');
        const struct slice name = gzip_cut(&params, ';');

        if (gzip_weight_is_zero(params))
            continue;
        if (slice_eq_cstr(name, "gzip"))
            return HTTP_CODING_GZIP;
        if (slice_eq_cstr(name, "deflate"))
            coding = HTTP_CODING_DEFLATE;
    }
    return coding;
}

const char *http_gzip_coding_text(enum http_coding coding)
{
    switch (coding) {
    case HTTP_CODING_GZIP:
        return "gzip";
    case HTTP_CODING_DEFLATE:
        return "deflate";
    case HTTP_CODING_IDENTITY:
        break;
    }
    return "identity";
}

static void *gzip_alloc(void *opaque, uInt count, uInt size)
{
    (void)opaque;
    return mem_zalloc(count, size);
}

static void gzip_release(void *opaque, void *ptr)
{
    (void)opaque;
    mem_free(ptr);
}

struct http_gzip *http_gzip_new(enum http_coding coding)
{
    struct http_gzip *gzip = mem_zalloc(1, sizeof(*gzip));
    /* "deflate" of HTTP is the zlib format; 16 more asks for a gzip header and trailer. */
    const int window_bits = coding == HTTP_CODING_GZIP ? MAX_WBITS + 16 : MAX_WBITS;
    int got;

    ASSERT(coding != HTTP_CODING_IDENTITY);
    gzip->stream.zalloc = gzip_alloc;
    gzip->stream.zfree = gzip_release;
    got = deflateInit2(&gzip->stream, GZIP_LEVEL, Z_DEFLATED, window_bits, MAX_MEM_LEVEL - 1,
                       Z_DEFAULT_STRATEGY);
    ASSERT(got == Z_OK);
    return gzip;
}

void http_gzip_free(struct http_gzip *gzip)
{
    if (gzip == NULL)
        return;
    deflateEnd(&gzip->stream);
    mem_free(gzip);
}

void http_gzip_write(struct http_gzip *gzip, struct slice bytes, bool is_last, struct buf *out)
{
    z_stream *stream = &gzip->stream;
    int got = Z_OK;

    do {
        const struct slice part =
            slice_of(bytes.data, bytes.len < GZIP_INPUT_MAX ? bytes.len : GZIP_INPUT_MAX);
        const int flush = is_last && part.len == bytes.len ? Z_FINISH : Z_NO_FLUSH;

        bytes = slice_skip(bytes, part.len);
        stream->next_in = (Bytef *)(uintptr_t)part.data;
        stream->avail_in = (uInt)part.len;
        do {
            char *room = buf_reserve(out, GZIP_STEP_SIZE);

            if (room == NULL)
                return;
            stream->next_out = (Bytef *)room;
            stream->avail_out = GZIP_STEP_SIZE;
            got = deflate(stream, flush);
            ASSERT(got != Z_STREAM_ERROR);
            out->len += GZIP_STEP_SIZE - stream->avail_out;
        } while (stream->avail_out == 0);
    } while (bytes.len > 0);
    ASSERT(!is_last || got == Z_STREAM_END);
}
