/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_tombstones.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "promtsdb/prom_dec_internal.h"

enum { HEADER_SIZE = 5, CRC_SIZE = 4, CAP_FIRST = 64 };

#define STONES_MAGIC UINT32_C(0x0130BA30)

void prom_tombstones_fini(struct prom_tombstones *stones)
{
    mem_free(stones->items);
    *stones = (struct prom_tombstones){.items = NULL};
}

void prom_tombstones_add(struct prom_tombstones *stones, struct prom_stone stone)
{
    if (stones->count == stones->cap) {
        stones->cap = stones->cap == 0 ? CAP_FIRST : stones->cap * 2;
        stones->items = mem_realloc(stones->items, stones->cap * sizeof(*stones->items));
    }
    stones->items[stones->count++] = stone;
}

static int stone_order(const void *left, const void *right)
{
    const struct prom_stone *a = left;
    const struct prom_stone *b = right;

    if (a->series_ref != b->series_ref)
        return a->series_ref < b->series_ref ? -1 : 1;
    if (a->t_min_ms != b->t_min_ms)
        return a->t_min_ms < b->t_min_ms ? -1 : 1;
    return 0;
}

void prom_tombstones_sort(struct prom_tombstones *stones)
{
    if (stones->count > 1)
        qsort(stones->items, stones->count, sizeof(*stones->items), stone_order);
}

enum err prom_tombstones_read(struct prom_tombstones *stones, struct slice file,
                              struct err_info *info)
{
    const size_t count_before = stones->count;

    if (file.len < HEADER_SIZE + CRC_SIZE || endian_get_u32be(file.data) != STONES_MAGIC)
        return err_set(info, ERR_CORRUPT, "tombstones: this is no such file");
    if (file.data[HEADER_SIZE - 1] != 1)
        return err_set(info, ERR_VERSION, "tombstones: version %u, this program knows 1",
                       (unsigned)(uint8_t)file.data[HEADER_SIZE - 1]);
    const struct slice body = slice_of(file.data + HEADER_SIZE, file.len - HEADER_SIZE - CRC_SIZE);
    if (crc32c_slice(body) != endian_get_u32be(file.data + file.len - CRC_SIZE))
        return err_set(info, ERR_CORRUPT, "tombstones: checksum does not match");
    struct prom_dec dec = {.rest = body};
    while (dec.rest.len > 0 && !dec.failed) {
        struct prom_stone stone = {.series_ref = prom_dec_uvarint(&dec)};

        stone.t_min_ms = prom_dec_varint(&dec);
        stone.t_max_ms = prom_dec_varint(&dec);
        if (!dec.failed)
            prom_tombstones_add(stones, stone);
    }
    if (!dec.failed)
        return ERR_OK;
    stones->count = count_before;
    return err_set(info, ERR_CORRUPT, "tombstones: the entry at byte %zu is not whole",
                   HEADER_SIZE + body.len - dec.rest.len);
}

const struct prom_stone *prom_tombstones_find(const struct prom_tombstones *stones,
                                              uint64_t series_ref, size_t *count)
{
    size_t low = 0, high = stones->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (stones->items[middle].series_ref < series_ref)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < stones->count && stones->items[high].series_ref == series_ref;)
        high++;
    *count = high - low;
    return *count == 0 ? NULL : stones->items + low;
}

bool prom_tombstones_cover(const struct prom_stone *stones, size_t count, int64_t t_ms)
{
    for (size_t i = 0; i < count; i++)
        if (t_ms >= stones[i].t_min_ms && t_ms <= stones[i].t_max_ms)
            return true;
    return false;
}
