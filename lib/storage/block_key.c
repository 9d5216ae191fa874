/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_key.h"

#include <string.h>

#include "base/endian.h"

enum { TEXT_ESCAPE = 0x00, TEXT_NUL = 0xff, TEXT_END = 0x01 };

static void put_u32(struct buf *key, uint32_t v)
{
    char bytes[4];

    endian_put_u32be(bytes, v);
    buf_add(key, bytes, sizeof(bytes));
}

/* Two's complement in unsigned order. */
static uint64_t flip_sign(uint64_t v)
{
    return v ^ UINT64_C(0x8000000000000000);
}

void block_key_put_text(struct buf *key, struct slice s)
{
    const char end[2] = {TEXT_ESCAPE, TEXT_END};
    const char nul[2] = {TEXT_ESCAPE, (char)TEXT_NUL};

    while (s.len > 0) {
        const char *at = memchr(s.data, TEXT_ESCAPE, s.len);
        const size_t plain = at == NULL ? s.len : (size_t)(at - s.data);

        buf_add(key, s.data, plain);
        s = slice_skip(s, plain);
        if (s.len > 0) {
            buf_add(key, nul, sizeof(nul));
            s = slice_skip(s, 1);
        }
    }
    buf_add(key, end, sizeof(end));
}

bool block_key_take_text(struct slice *rest, struct buf *text)
{
    struct slice s = *rest;
    const size_t len_before = text->len;

    for (;;) {
        const char *at = s.len == 0 ? NULL : memchr(s.data, TEXT_ESCAPE, s.len);
        const size_t plain = at == NULL ? s.len : (size_t)(at - s.data);

        buf_add(text, s.data, plain);
        s = slice_skip(s, plain);
        if (s.len < 2)
            break;
        const uint8_t what = (uint8_t)s.data[1];
        s = slice_skip(s, 2);
        if (what == TEXT_END && text->err == ERR_OK) {
            *rest = s;
            return true;
        }
        if (what != TEXT_NUL)
            break;
        buf_add_byte(text, '\0');
    }
    text->len = len_before;
    return false;
}

void block_key_index(struct buf *key, struct slice tenant, enum block_index_kind kind)
{
    buf_reset(key);
    block_key_put_text(key, tenant);
    buf_add_byte(key, (char)kind);
}

void block_key_series(struct buf *key, struct slice tenant, uint32_t id)
{
    block_key_index(key, tenant, BLOCK_INDEX_SERIES);
    put_u32(key, id);
}

void block_key_postings_name(struct buf *key, struct slice tenant, struct slice name)
{
    block_key_index(key, tenant, BLOCK_INDEX_POSTINGS);
    block_key_put_text(key, name);
}

void block_key_postings(struct buf *key, struct slice tenant, struct slice name, struct slice value)
{
    block_key_postings_name(key, tenant, name);
    block_key_put_text(key, value);
}

void block_key_chunk(struct buf *key, struct slice tenant, uint32_t id, int64_t t_ms)
{
    char bytes[8];

    buf_reset(key);
    block_key_put_text(key, tenant);
    put_u32(key, id);
    buf_add_byte(key, BLOCK_DATA_CHUNK);
    endian_put_u64be(bytes, flip_sign((uint64_t)t_ms));
    buf_add(key, bytes, sizeof(bytes));
}

void block_key_exemplars(struct buf *key, struct slice tenant, uint32_t id)
{
    buf_reset(key);
    block_key_put_text(key, tenant);
    put_u32(key, id);
    buf_add_byte(key, BLOCK_DATA_EXEMPLARS);
}

void block_key_metadata_tenant(struct buf *key, struct slice tenant)
{
    buf_reset(key);
    buf_add_byte(key, (char)BLOCK_KEY_METADATA);
    block_key_put_text(key, tenant);
}

void block_key_metadata(struct buf *key, struct slice tenant, struct slice metric)
{
    block_key_metadata_tenant(key, tenant);
    block_key_put_text(key, metric);
}

/* Texts are taken as lengths first, since the buf may move while it grows. */
bool block_key_parse_index(struct slice key, struct buf *text, struct block_index_key *out)
{
    uint8_t kind = BLOCK_INDEX_METADATA;
    size_t ends[3] = {0, 0, 0};
    unsigned count = 2;

    buf_reset(text);
    *out = (struct block_index_key){0};
    const bool is_metadata = key.len > 0 && (uint8_t)key.data[0] == BLOCK_KEY_METADATA;
    if (is_metadata)
        key = slice_skip(key, 1);
    if (!block_key_take_text(&key, text) || key.len == 0)
        return false;
    ends[0] = ends[1] = ends[2] = text->len;
    if (!is_metadata) {
        kind = (uint8_t)key.data[0];
        key = slice_skip(key, 1);
        if (kind < BLOCK_INDEX_SERIES || kind > BLOCK_INDEX_STATS)
            return false;
        count = kind == BLOCK_INDEX_POSTINGS ? 3 : 1;
    }
    if (kind == BLOCK_INDEX_SERIES) {
        if (key.len != 4)
            return false;
        out->id = endian_get_u32be(key.data);
        key = slice_skip(key, 4);
    }
    for (unsigned i = 1; i < count; i++) {
        if (!block_key_take_text(&key, text))
            return false;
        for (unsigned j = i; j < 3; j++)
            ends[j] = text->len;
    }
    if (key.len != 0)
        return false;
    out->kind = (enum block_index_kind)kind;
    out->tenant = slice_of(text->data, ends[0]);
    out->name = slice_of(text->data + ends[0], ends[1] - ends[0]);
    out->value = slice_of(text->data + ends[1], ends[2] - ends[1]);
    return true;
}

bool block_key_parse_data(struct slice key, struct buf *text, struct block_data_key *out)
{
    buf_reset(text);
    *out = (struct block_data_key){0};
    if (!block_key_take_text(&key, text) || key.len < 5)
        return false;
    out->tenant = buf_slice(text);
    out->id = endian_get_u32be(key.data);
    const uint8_t kind = (uint8_t)key.data[4];
    key = slice_skip(key, 5);
    if (kind == BLOCK_DATA_CHUNK && key.len == 8) {
        out->kind = BLOCK_DATA_CHUNK;
        out->t_ms = (int64_t)flip_sign(endian_get_u64be(key.data));
        return true;
    }
    out->kind = BLOCK_DATA_EXEMPLARS;
    return kind == BLOCK_DATA_EXEMPLARS && key.len == 0;
}
