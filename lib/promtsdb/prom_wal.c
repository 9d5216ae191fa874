/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_wal.h"

#include "base/crc32c.h"
#include "codec/snappy.h"
#include "codec/zstd.h"
#include "promtsdb/prom_dec_internal.h"

enum {
    HEADER_SIZE = 7,
    TYPE_MASK = 7,
    SNAPPY_FLAG = 8,
    ZSTD_FLAG = 16,
    DECODED_KEPT_MAX = 1 << 20,
};

enum fragment_type { PAGE_END, FULL, FIRST, MIDDLE, LAST };

struct fragment {
    uint8_t type, flags;
    struct slice data;
};

void prom_wal_init(struct prom_wal *wal, struct slice segment)
{
    *wal = (struct prom_wal){.bytes = segment};
    buf_init(&wal->record, PROM_WAL_RECORD_SIZE_MAX);
    arena_init(&wal->decoded, NULL, PROM_WAL_RECORD_SIZE_MAX + (1 << 20));
    wal->decoded.keep_bytes_max = DECODED_KEPT_MAX;
}

void prom_wal_fini(struct prom_wal *wal)
{
    buf_fini(&wal->record);
    arena_fini(&wal->decoded);
    zstd_decoder_free(wal->zstd);
}

static bool corrupt(struct prom_wal *wal, const char *what)
{
    wal->err = err_set(&wal->info, ERR_CORRUPT, "log: %s at byte %zu", what, wal->at);
    return false;
}

/* The rest of the page is zeros; to its end. */
static bool skip_page(struct prom_wal *wal)
{
    const size_t end = (wal->at / PROM_WAL_PAGE_SIZE + 1) * PROM_WAL_PAGE_SIZE;

    for (; wal->at < end && wal->at < wal->bytes.len; wal->at++)
        if (wal->bytes.data[wal->at] != 0)
            return corrupt(wal, "a byte that is not zero behind the end of a page's content");
    return true;
}

static bool is_all_zero(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

/* What does not fit any more, or is not what it was written as: with nothing but zeros in the pages
 * behind it, it is the end. */
static bool torn(struct prom_wal *wal, const char *what)
{
    const size_t end = (wal->at / PROM_WAL_PAGE_SIZE + 1) * PROM_WAL_PAGE_SIZE;

    if (end < wal->bytes.len && !is_all_zero(slice_skip(wal->bytes, end)))
        return corrupt(wal, what);
    wal->is_torn = true;
    return false;
}

static bool next_fragment(struct prom_wal *wal, struct fragment *fragment)
{
    while (wal->at < wal->bytes.len) {
        const uint8_t header = (uint8_t)wal->bytes.data[wal->at];
        const size_t page_left = PROM_WAL_PAGE_SIZE - wal->at % PROM_WAL_PAGE_SIZE;
        struct prom_dec dec = {.rest = slice_skip(wal->bytes, wal->at)};

        if ((header & TYPE_MASK) == PAGE_END) {
            if (!skip_page(wal))
                return false;
            continue;
        }
        (void)prom_dec_u8(&dec);
        const struct slice length = prom_dec_bytes(&dec, 2);
        const uint32_t crc = prom_dec_u32(&dec);
        const uint16_t len = length.len == 0 ? 0 : endian_get_u16be(length.data);
        const struct slice data = prom_dec_bytes(&dec, len);
        if ((size_t)HEADER_SIZE + len > page_left)
            return torn(wal, "a fragment longer than its page");
        if (dec.failed)
            return torn(wal, "a fragment that is not whole");
        if (crc32c_slice(data) != crc)
            return torn(wal, "a fragment whose checksum does not match");
        *fragment = (struct fragment){
            .type = header & TYPE_MASK, .flags = header & (SNAPPY_FLAG | ZSTD_FLAG), .data = data};
        wal->at += (size_t)HEADER_SIZE + len;
        return true;
    }
    return false;
}

static struct zstd_decoder *zstd_of(struct prom_wal *wal)
{
    if (wal->zstd == NULL)
        wal->zstd = zstd_decoder_new(PROM_WAL_RECORD_SIZE_MAX);
    return wal->zstd;
}

static bool decode(struct prom_wal *wal, uint8_t flags, struct slice whole, struct slice *record)
{
    struct err_info info = {{0}};
    enum err err = ERR_OK;

    arena_reset(&wal->decoded);
    if ((flags & SNAPPY_FLAG) != 0)
        err = snappy_block_decode(whole, PROM_WAL_RECORD_SIZE_MAX, &wal->decoded, record, &info);
    else if ((flags & ZSTD_FLAG) != 0)
        err = zstd_decode(zstd_of(wal), whole, &wal->decoded, record, &info);
    else
        *record = whole;
    if (err == ERR_OK)
        return true;
    wal->err = err_set(&wal->info, ERR_CORRUPT, "log: record before byte %zu: %s", wal->at,
                       err_message(err, &info));
    return false;
}

bool prom_wal_next(struct prom_wal *wal, struct slice *record)
{
    struct fragment fragment = {0};
    bool has_first = false;

    if (wal->err != ERR_OK || wal->is_torn)
        return false;
    buf_reset(&wal->record);
    while (next_fragment(wal, &fragment)) {
        const bool begins = fragment.type == FULL || fragment.type == FIRST;

        if (fragment.type > LAST || begins == has_first)
            return corrupt(wal, "a fragment out of its order before the one");
        if (fragment.type == FULL)
            return decode(wal, fragment.flags, fragment.data, record);
        has_first = true;
        buf_add_slice(&wal->record, fragment.data);
        if (wal->record.err != ERR_OK)
            return corrupt(wal, "a record larger than any before the one");
        if (fragment.type == LAST)
            return decode(wal, fragment.flags, buf_slice(&wal->record), record);
    }
    if (has_first && wal->err == ERR_OK)
        wal->is_torn = true;
    return false;
}
