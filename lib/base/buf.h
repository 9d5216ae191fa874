/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing buffer on the heap with a hard maximum and a sticky error: write freely, look at
 * buf->err once at the end (ERR_TOO_LARGE when the maximum would have been passed; what did not fit
 * was left out whole).
 * Ownership: a plain struct; buf_fini frees. Threads: one owner at a time. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *data; /* owned */
    size_t len, cap;
    size_t max; /* bytes; > 0 */
    enum err err;
};

#ifdef __cplusplus
extern "C" {
#endif

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);
/* Empty again, memory kept. */
void buf_reset(struct buf *buf);
/* Room for `size` more bytes at the end, not yet counted in len; NULL sets err. Add to len what was
 * used. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_slice(struct buf *buf, struct slice s);
void buf_add_cstr(struct buf *buf, const char *text);
void buf_add_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The content; borrowed until the next change. */
struct slice buf_slice(const struct buf *buf);
/* Moves the bytes out, *len of them; the caller frees them with mem_free. NULL if empty. */
char *buf_take(struct buf *buf, size_t *len);

#ifdef __cplusplus
}
#endif
