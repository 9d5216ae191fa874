/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Protobuf's wire format, read and written in place. Private to this folder.
 *
 *   message = field*      field = tag:varint payload      tag = number << 3 | type
 *   type 0 varint | 1 eight bytes | 2 length:varint bytes | 5 four bytes  (3 and 4, groups:
 * refused)
 *
 * A reader that meets bytes it cannot take stops and is `bad` for good. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/endian.h"
#include "base/slice.h"
#include "base/varint.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum {
    WIRE_FIELD_MAX = (1 << 29) - 1,
    WIRE_HEAD_SIZE_MAX = 5, /* of a tag or a length: they have 32 bits */
};

struct wire_reader {
    const uint8_t *at, *end;
    bool bad;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
    struct slice bytes; /* WIRE_BYTES */
};

static inline void wire_reader_init(struct wire_reader *r, struct slice message)
{
    r->at = (const uint8_t *)message.data;
    r->end = message.len == 0 ? r->at : r->at + message.len;
    r->bad = false;
}

/* The next field; false at the end or when bad. */
bool wire_next(struct wire_reader *r, struct wire_field *field);

void wire_put_varint(struct buf *out, uint64_t value);
void wire_put_tag(struct buf *out, uint32_t number, enum wire_type type);
void wire_put_uint(struct buf *out, uint32_t number, uint64_t value);
void wire_put_sint(struct buf *out, uint32_t number, int64_t value);
void wire_put_double(struct buf *out, uint32_t number, double value);
void wire_put_bytes(struct buf *out, uint32_t number, struct slice bytes);

/* A nested message: begin leaves room for nothing, end inserts the length before what was written
 * since. Costs a move of the nested bytes. */
size_t wire_begin(struct buf *out, uint32_t number);
void wire_end(struct buf *out, size_t mark);
