/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"

enum { BUF_CAP_MIN = 256 };

void buf_init(struct buf *buf, size_t max)
{
    ASSERT(max > 0);
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->err = ERR_OK;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    size_t cap = buf->cap < BUF_CAP_MIN ? BUF_CAP_MIN : buf->cap;

    if (buf->cap - buf->len >= size && buf->data != NULL)
        return buf->data + buf->len;
    if (size > buf->max || buf->len > buf->max - size) {
        buf->err = ERR_TOO_LARGE;
        return NULL;
    }
    while (cap - buf->len < size)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    buf->data = mem_realloc(buf->data, cap);
    buf->cap = cap;
    return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    char *to = buf_reserve(buf, len);

    if (to == NULL || len == 0)
        return;
    memcpy(to, data, len);
    buf->len += len;
}

void buf_add_slice(struct buf *buf, struct slice s)
{
    buf_add(buf, s.data, s.len);
}

void buf_add_cstr(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_byte(struct buf *buf, char byte)
{
    buf_add(buf, &byte, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int len;
    char *to;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);
    to = buf_reserve(buf, (size_t)len + 1); /* vsnprintf terminates what it writes */
    if (to == NULL)
        return;
    va_start(args, format);
    vsnprintf(to, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

char *buf_take(struct buf *buf, size_t *len)
{
    char *data = buf->data;

    *len = buf->len;
    *buf = (struct buf){.max = buf->max};
    return data;
}
