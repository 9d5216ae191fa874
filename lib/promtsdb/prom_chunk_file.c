/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_chunk_file.h"

#include "base/crc32c.h"
#include "promtsdb/prom_dec_internal.h"

enum { HEADER_SIZE = 8, VERSION_PLACE = 4, OUT_OF_ORDER_BIT = 0x80 };

#define SEGMENT_MAGIC UINT32_C(0x85BD40DD)
#define HEAD_MAGIC    UINT32_C(0x0130BC91)

static enum err check_header(struct slice file, uint32_t magic, struct err_info *info)
{
    if (file.len < HEADER_SIZE || endian_get_u32be(file.data) != magic)
        return err_set(info, ERR_CORRUPT, "this is no file of chunks");
    if (file.data[VERSION_PLACE] != 1)
        return err_set(info, ERR_VERSION, "file of chunks: version %u, this program knows 1",
                       (unsigned)(uint8_t)file.data[VERSION_PLACE]);
    return ERR_OK;
}

enum err prom_chunk_file_check(struct slice file, struct err_info *info)
{
    return check_header(file, SEGMENT_MAGIC, info);
}

enum err prom_chunk_file_get(struct slice file, uint64_t offset, struct prom_chunk *chunk,
                             struct err_info *info)
{
    if (offset < HEADER_SIZE || offset > file.len)
        return err_set(info, ERR_CORRUPT, "chunk at byte %llu of %zu", (unsigned long long)offset,
                       file.len);
    struct prom_dec dec = {.rest = slice_skip(file, (size_t)offset)};
    const uint64_t len = prom_dec_uvarint(&dec);
    const struct slice encoding = prom_dec_bytes(&dec, 1);
    const struct slice data = prom_dec_bytes(&dec, len);
    const uint32_t crc = prom_dec_u32(&dec);

    if (dec.failed)
        return err_set(info, ERR_CORRUPT, "chunk at byte %llu is not whole",
                       (unsigned long long)offset);
    /* Encoding and data lie side by side. */
    if (crc32c(0, encoding.data, data.len + 1) != crc)
        return err_set(info, ERR_CORRUPT, "checksum of the chunk at byte %llu does not match",
                       (unsigned long long)offset);
    *chunk = (struct prom_chunk){.encoding = (uint8_t)encoding.data[0], .data = data};
    return ERR_OK;
}

void prom_chunk_file_put_header(struct buf *out)
{
    uint8_t header[HEADER_SIZE] = {0};

    endian_put_u32be(header, SEGMENT_MAGIC);
    header[VERSION_PLACE] = 1;
    buf_add(out, header, sizeof(header));
}

void prom_chunk_file_put(struct buf *out, const struct prom_chunk *chunk)
{
    uint8_t length[VARINT_SIZE_MAX], crc[4];

    buf_add(out, length, varint_put_u64(length, chunk->data.len));
    buf_add(out, &chunk->encoding, 1);
    buf_add_slice(out, chunk->data);
    endian_put_u32be(crc,
                     crc32c(crc32c(0, &chunk->encoding, 1), chunk->data.data, chunk->data.len));
    buf_add(out, crc, sizeof(crc));
}

void prom_head_chunk_iter_init(struct prom_head_chunk_iter *iter, struct slice file)
{
    *iter = (struct prom_head_chunk_iter){.file = file, .at = HEADER_SIZE};
    iter->err = check_header(file, HEAD_MAGIC, &iter->info);
}

static bool is_zero(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

bool prom_head_chunk_iter_next(struct prom_head_chunk_iter *iter, struct prom_head_chunk *chunk)
{
    if (iter->err != ERR_OK || iter->at == iter->file.len)
        return false;
    const struct slice from = slice_skip(iter->file, (size_t)iter->at);
    struct prom_dec dec = {.rest = from};
    struct prom_head_chunk read = {.offset = iter->at};

    read.series_ref = prom_dec_u64(&dec);
    read.t_min_ms = (int64_t)prom_dec_u64(&dec);
    read.t_max_ms = (int64_t)prom_dec_u64(&dec);
    /* Files are made longer than what is in them. */
    if (dec.failed ? is_zero(from)
                   : read.series_ref == 0 && read.t_min_ms == 0 && read.t_max_ms == 0)
        return false;
    const uint8_t encoding = prom_dec_u8(&dec);
    read.chunk.data = prom_dec_text(&dec);
    const size_t size = from.len - dec.rest.len;
    const uint32_t crc = prom_dec_u32(&dec);
    if (dec.failed || crc32c(0, from.data, size) != crc) {
        iter->err = err_set(&iter->info, ERR_CORRUPT, "head chunk at byte %llu: %s",
                            (unsigned long long)iter->at,
                            dec.failed ? "not whole" : "checksum does not match");
        return false;
    }
    read.chunk.encoding = encoding & (uint8_t)~OUT_OF_ORDER_BIT;
    read.is_out_of_order = (encoding & OUT_OF_ORDER_BIT) != 0;
    iter->at += size + 4;
    *chunk = read;
    return true;
}
