/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_record.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/varint.h"

static const char segment_magic[4] = {'N', 'X', 'R', 'Q'};
static const char record_magic[4] = {'N', 'X', 'R', 'R'};

/* Offsets in a segment's header; what lies between is zero. */
enum {
    SEGMENT_VERSION = 4,
    SEGMENT_NUMBER = 8,
    SEGMENT_FIRST_SEQ = 16,
    SEGMENT_CREATED = 24,
    SEGMENT_CRC = 44,
};

/* Offsets in a record's header. */
enum {
    RECORD_STORED_SIZE = 4,
    RECORD_RAW_SIZE = 8,
    RECORD_ITEM_COUNT = 12,
    RECORD_FIRST_SEQ = 16,
    RECORD_WRITTEN = 24,
    RECORD_PAYLOAD_CRC = 32,
    RECORD_CRC = 44,
};

STATIC_ASSERT(SEGMENT_CRC + 4 == REMOTE_SEGMENT_HEADER_SIZE, "the CRC ends the header");
STATIC_ASSERT(RECORD_CRC + 4 == REMOTE_RECORD_HEADER_SIZE, "the CRC ends the header");

/* The control byte of an entry: its kind, and what else is there. */
enum { CONTROL_KIND = 7, CONTROL_START = 8, CONTROL_SAME_T = 16, CONTROL_KNOWN = 31 };

void remote_segment_header_put(uint8_t to[REMOTE_SEGMENT_HEADER_SIZE],
                               const struct remote_segment_header *header)
{
    ASSERT(header->number > 0);
    memset(to, 0, REMOTE_SEGMENT_HEADER_SIZE);
    memcpy(to, segment_magic, sizeof(segment_magic));
    to[SEGMENT_VERSION] = REMOTE_RECORD_VERSION;
    endian_put_u64le(to + SEGMENT_NUMBER, header->number);
    endian_put_u64le(to + SEGMENT_FIRST_SEQ, header->first_seq);
    endian_put_u64le(to + SEGMENT_CREATED, (uint64_t)header->created_ms);
    endian_put_u32le(to + SEGMENT_CRC, crc32c(0, to, SEGMENT_CRC));
}

enum err remote_segment_header_get(struct slice bytes, struct remote_segment_header *header,
                                   struct err_info *info)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    struct remote_segment_header got;

    if (bytes.len < REMOTE_SEGMENT_HEADER_SIZE)
        return err_set(info, ERR_CORRUPT, "segment header is cut short: %zu bytes", bytes.len);
    if (memcmp(at, segment_magic, sizeof(segment_magic)) != 0)
        return err_set(info, ERR_CORRUPT, "segment header has no magic number");
    if (endian_get_u32le(at + SEGMENT_CRC) != crc32c(0, at, SEGMENT_CRC))
        return err_set(info, ERR_CORRUPT, "segment header has a wrong checksum");
    if (at[SEGMENT_VERSION] != REMOTE_RECORD_VERSION)
        return err_set(info, ERR_VERSION, "segment has format version %u, this program reads %d",
                       at[SEGMENT_VERSION], REMOTE_RECORD_VERSION);
    got.number = endian_get_u64le(at + SEGMENT_NUMBER);
    got.first_seq = endian_get_u64le(at + SEGMENT_FIRST_SEQ);
    got.created_ms = (int64_t)endian_get_u64le(at + SEGMENT_CREATED);
    if (got.number == 0)
        return err_set(info, ERR_CORRUPT, "segment header has no number");
    *header = got;
    return ERR_OK;
}

void remote_record_header_put(uint8_t to[REMOTE_RECORD_HEADER_SIZE],
                              const struct remote_record_header *header)
{
    ASSERT(header->raw_size > 0 && header->raw_size <= REMOTE_PAYLOAD_SIZE_MAX);
    ASSERT(header->stored_size > 0 && header->stored_size <= header->raw_size);
    memset(to, 0, REMOTE_RECORD_HEADER_SIZE);
    memcpy(to, record_magic, sizeof(record_magic));
    endian_put_u32le(to + RECORD_STORED_SIZE, header->stored_size);
    endian_put_u32le(to + RECORD_RAW_SIZE, header->raw_size);
    endian_put_u32le(to + RECORD_ITEM_COUNT, header->item_count);
    endian_put_u64le(to + RECORD_FIRST_SEQ, header->first_seq);
    endian_put_u64le(to + RECORD_WRITTEN, (uint64_t)header->written_ms);
    endian_put_u32le(to + RECORD_PAYLOAD_CRC, header->payload_crc);
    endian_put_u32le(to + RECORD_CRC, crc32c(0, to, RECORD_CRC));
}

bool remote_record_header_get(const uint8_t *from, struct remote_record_header *header)
{
    struct remote_record_header got;

    if (memcmp(from, record_magic, sizeof(record_magic)) != 0 ||
        endian_get_u32le(from + RECORD_CRC) != crc32c(0, from, RECORD_CRC))
        return false;
    got.stored_size = endian_get_u32le(from + RECORD_STORED_SIZE);
    got.raw_size = endian_get_u32le(from + RECORD_RAW_SIZE);
    got.item_count = endian_get_u32le(from + RECORD_ITEM_COUNT);
    got.first_seq = endian_get_u64le(from + RECORD_FIRST_SEQ);
    got.written_ms = (int64_t)endian_get_u64le(from + RECORD_WRITTEN);
    got.payload_crc = endian_get_u32le(from + RECORD_PAYLOAD_CRC);
    if (got.raw_size == 0 || got.raw_size > REMOTE_PAYLOAD_SIZE_MAX || got.stored_size == 0 ||
        got.stored_size > got.raw_size || got.first_seq > UINT64_MAX - got.item_count)
        return false;
    *header = got;
    return true;
}

/* ---- payloads ---- */

void remote_entry_put(struct buf *out, struct remote_entry_base *base,
                      const struct remote_entry *entry)
{
    const bool has_start = entry->start_t_ms != 0;
    const bool same_t = entry->t_ms == base->t_ms;
    uint8_t head[1 + 4 * VARINT_SIZE_MAX + 8];
    size_t n = 1;

    ASSERT(entry->kind <= REMOTE_ENTRY_DEFINE);
    ASSERT(entry->series <= REMOTE_SERIES_ID_MAX);
    n += varint_put_i64(head + n, (int64_t)entry->series - (int64_t)base->series);
    base->series = entry->series;
    head[0] = (uint8_t)entry->kind;
    if (entry->kind != REMOTE_ENTRY_DEFINE) {
        head[0] |= (uint8_t)((has_start ? CONTROL_START : 0) | (same_t ? CONTROL_SAME_T : 0));
        if (!same_t)
            n += varint_put_i64(head + n, (int64_t)((uint64_t)entry->t_ms - (uint64_t)base->t_ms));
        if (has_start)
            n += varint_put_i64(head + n,
                                (int64_t)((uint64_t)entry->t_ms - (uint64_t)entry->start_t_ms));
        base->t_ms = entry->t_ms;
    }
    if (entry->kind == APPEND_FLOAT) {
        endian_put_u64le(head + n, entry->v_bits);
        buf_add(out, head, n + 8);
        return;
    }
    n += varint_put_u64(head + n, entry->body.len);
    buf_add(out, head, n);
    buf_add_slice(out, entry->body);
}

void remote_entry_reader_init(struct remote_entry_reader *reader, struct slice payload,
                              uint64_t first_seq)
{
    *reader = (struct remote_entry_reader){.rest = payload, .seq = first_seq};
}

static bool take_times(struct remote_entry_reader *reader, uint8_t control,
                       struct remote_entry *entry)
{
    int64_t delta = 0;

    if ((control & CONTROL_SAME_T) == 0 && !varint_take_i64(&reader->rest, &delta))
        return false;
    reader->base.t_ms = (int64_t)((uint64_t)reader->base.t_ms + (uint64_t)delta);
    entry->t_ms = reader->base.t_ms;
    if ((control & CONTROL_START) == 0)
        return true;
    if (!varint_take_i64(&reader->rest, &delta))
        return false;
    entry->start_t_ms = (int64_t)((uint64_t)entry->t_ms - (uint64_t)delta);
    return true;
}

static bool take_body(struct remote_entry_reader *reader, struct remote_entry *entry)
{
    uint64_t len;

    if (!varint_take_u64(&reader->rest, &len) || len > reader->rest.len)
        return false;
    entry->body = slice_of(reader->rest.data, (size_t)len);
    reader->rest = slice_skip(reader->rest, (size_t)len);
    return true;
}

static bool take_entry(struct remote_entry_reader *reader, struct remote_entry *entry)
{
    const uint8_t control = (uint8_t)reader->rest.data[0];
    int64_t delta, series;

    *entry = (struct remote_entry){.kind = control & CONTROL_KIND, .seq = reader->seq};
    if ((control & ~CONTROL_KNOWN) != 0 || entry->kind > REMOTE_ENTRY_DEFINE ||
        (entry->kind == REMOTE_ENTRY_DEFINE && control != REMOTE_ENTRY_DEFINE))
        return false;
    reader->rest = slice_skip(reader->rest, 1);
    if (!varint_take_i64(&reader->rest, &delta))
        return false;
    if (delta < -(int64_t)REMOTE_SERIES_ID_MAX || delta > REMOTE_SERIES_ID_MAX)
        return false;
    series = (int64_t)reader->base.series + delta;
    if (series < 0 || series > REMOTE_SERIES_ID_MAX)
        return false;
    reader->base.series = entry->series = (uint32_t)series;
    if (entry->kind == REMOTE_ENTRY_DEFINE)
        return take_body(reader, entry);
    if (!take_times(reader, control, entry))
        return false;
    reader->seq++;
    if (entry->kind != APPEND_FLOAT)
        return take_body(reader, entry);
    if (reader->rest.len < 8)
        return false;
    entry->v_bits = endian_get_u64le(reader->rest.data);
    reader->rest = slice_skip(reader->rest, 8);
    return true;
}

bool remote_entry_next(struct remote_entry_reader *reader, struct remote_entry *entry)
{
    if (reader->err != ERR_OK || reader->rest.len == 0)
        return false;
    if (take_entry(reader, entry))
        return true;
    reader->err = ERR_CORRUPT;
    return false;
}

static void put_text(struct buf *out, struct slice text)
{
    uint8_t head[VARINT_SIZE_MAX];

    buf_add(out, head, varint_put_u64(head, text.len));
    buf_add_slice(out, text);
}

void remote_labels_put(struct buf *out, struct label_set labels)
{
    uint8_t head[VARINT_SIZE_MAX];

    ASSERT(labels.count <= REMOTE_LABEL_COUNT_MAX);
    buf_add(out, head, varint_put_u64(head, labels.count));
    for (uint32_t i = 0; i < labels.count; i++) {
        put_text(out, labels.items[i].name);
        put_text(out, labels.items[i].value);
    }
}

static bool take_text(struct slice *rest, struct slice *text)
{
    uint64_t len;

    if (!varint_take_u64(rest, &len) || len > rest->len)
        return false;
    *text = slice_of(rest->data, (size_t)len);
    *rest = slice_skip(*rest, (size_t)len);
    return true;
}

enum err remote_labels_get(struct slice bytes, struct arena *arena, struct label_set *labels)
{
    struct label *items;
    uint64_t count;

    /* A label takes two bytes at least. */
    if (!varint_take_u64(&bytes, &count) || count > REMOTE_LABEL_COUNT_MAX || count > bytes.len / 2)
        return ERR_CORRUPT;
    items = ARENA_ARRAY(arena, struct label, count);
    if (items == NULL && count != 0)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++) {
        if (!take_text(&bytes, &items[i].name) || !take_text(&bytes, &items[i].value) ||
            items[i].value.len == 0)
            return ERR_CORRUPT;
        if (i > 0 && slice_cmp(items[i - 1].name, items[i].name) >= 0)
            return ERR_CORRUPT;
    }
    if (bytes.len != 0)
        return ERR_CORRUPT;
    *labels = (struct label_set){items, (uint32_t)count};
    return ERR_OK;
}
