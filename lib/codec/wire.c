/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/wire_internal.h"

/* The payload of a field whose tag was read. false: cut short, or of a type that we refuse. */
static bool wire_payload(struct wire_reader *r, struct wire_field *field)
{
    uint64_t length;
    size_t size;

    switch (field->type) {
    case WIRE_VARINT:
        size = varint_get_u64(r->at, r->end, &field->value);
        r->at += size;
        return size != 0;
    case WIRE_FIXED64:
        if (r->end - r->at < 8)
            return false;
        field->value = endian_get_u64le(r->at);
        r->at += 8;
        return true;
    case WIRE_FIXED32:
        if (r->end - r->at < 4)
            return false;
        field->value = endian_get_u32le(r->at);
        r->at += 4;
        return true;
    case WIRE_BYTES:
        size = varint_get_u64(r->at, r->end, &length);
        r->at += size;
        if (size == 0 || size > WIRE_HEAD_SIZE_MAX || length > (uint64_t)(r->end - r->at))
            return false;
        field->bytes = slice_of(r->at, (size_t)length);
        r->at += length;
        return true;
    default: /* groups, and numbers that are no type */
        return false;
    }
}

bool wire_next(struct wire_reader *r, struct wire_field *field)
{
    uint64_t tag;
    size_t size;

    if (r->bad || r->at == r->end)
        return false;
    size = varint_get_u64(r->at, r->end, &tag);
    r->at += size;
    if (size == 0 || size > WIRE_HEAD_SIZE_MAX || tag >> 3 == 0 || tag >> 3 > WIRE_FIELD_MAX) {
        r->bad = true;
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum wire_type)(tag & 7);
    r->bad = !wire_payload(r, field);
    return !r->bad;
}

void wire_put_varint(struct buf *out, uint64_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX];

    buf_add(out, bytes, varint_put_u64(bytes, value));
}

void wire_put_tag(struct buf *out, uint32_t number, enum wire_type type)
{
    wire_put_varint(out, (uint64_t)number << 3 | (uint64_t)type);
}

void wire_put_uint(struct buf *out, uint32_t number, uint64_t value)
{
    wire_put_tag(out, number, WIRE_VARINT);
    wire_put_varint(out, value);
}

void wire_put_sint(struct buf *out, uint32_t number, int64_t value)
{
    wire_put_uint(out, number, varint_zigzag(value));
}

void wire_put_double(struct buf *out, uint32_t number, double value)
{
    uint64_t bits;
    uint8_t bytes[8];

    memcpy(&bits, &value, sizeof(bits));
    endian_put_u64le(bytes, bits);
    wire_put_tag(out, number, WIRE_FIXED64);
    buf_add(out, bytes, sizeof(bytes));
}

void wire_put_bytes(struct buf *out, uint32_t number, struct slice bytes)
{
    wire_put_tag(out, number, WIRE_BYTES);
    wire_put_varint(out, bytes.len);
    buf_add_slice(out, bytes);
}

size_t wire_begin(struct buf *out, uint32_t number)
{
    wire_put_tag(out, number, WIRE_BYTES);
    return out->len;
}

void wire_end(struct buf *out, size_t mark)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    const size_t length = out->len - mark;
    const size_t size = varint_put_u64(bytes, length);

    if (out->err != ERR_OK || buf_reserve(out, size) == NULL)
        return;
    memmove(out->data + mark + size, out->data + mark, length);
    memcpy(out->data + mark, bytes, size);
    out->len += size;
}
