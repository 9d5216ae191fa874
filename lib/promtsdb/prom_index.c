/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_index.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "promtsdb/prom_dec_internal.h"

enum {
    MAGIC_SIZE = 4,
    HEADER_SIZE = 5,
    TOC_SIZE = 6 * 8 + 4,
    CRC_SIZE = 4,
    SERIES_ALIGN = 16, /* version 2: a series' reference is its place divided by this */
    SYMBOL_STEP = 16,
    LABEL_SIZE_MIN = 2, /* of two references */
    CHUNK_SIZE_MIN = 3,
};

#define INDEX_MAGIC UINT32_C(0xBAAAD700)

struct toc {
    uint64_t symbols, postings_table;
};

static enum err corrupt(struct err_info *info, const char *what, uint64_t place)
{
    return err_set(info, ERR_CORRUPT, "index: %s at byte %llu", what, (unsigned long long)place);
}

/* The body of a section that begins with its length and ends with a checksum. */
static enum err section(struct slice bytes, uint64_t place, const char *name, struct slice *body,
                        struct err_info *info)
{
    if (place < HEADER_SIZE || place > bytes.len)
        return corrupt(info, name, place);
    struct prom_dec dec = {.rest = slice_skip(bytes, (size_t)place)};
    const struct slice found = prom_dec_bytes(&dec, prom_dec_u32(&dec));
    const uint32_t crc = prom_dec_u32(&dec);

    if (dec.failed)
        return corrupt(info, name, place);
    if (crc32c_slice(found) != crc)
        return err_set(info, ERR_CORRUPT, "index: checksum of %s at byte %llu does not match", name,
                       (unsigned long long)place);
    *body = found;
    return ERR_OK;
}

static enum err read_toc(struct slice bytes, struct toc *toc, struct err_info *info)
{
    if (bytes.len < HEADER_SIZE + TOC_SIZE)
        return err_set(info, ERR_CORRUPT, "index: %zu bytes are too few", bytes.len);
    const struct slice table = slice_skip(bytes, bytes.len - TOC_SIZE);
    struct prom_dec dec = {.rest = table};
    uint64_t places[6];

    for (unsigned i = 0; i < 6; i++)
        places[i] = prom_dec_u64(&dec);
    if (crc32c(0, table.data, TOC_SIZE - CRC_SIZE) != prom_dec_u32(&dec))
        return err_set(info, ERR_CORRUPT,
                       "index: checksum of the table of contents does not match");
    *toc = (struct toc){.symbols = places[0], .postings_table = places[5]};
    return ERR_OK;
}

static enum err open_symbols(struct prom_index *index, uint64_t place, struct err_info *info)
{
    struct slice body = {NULL, 0};
    const enum err err = section(index->bytes, place, "symbols", &body, info);

    if (err != ERR_OK)
        return err;
    struct prom_dec dec = {.rest = body};
    index->symbol_count = prom_dec_u32(&dec);
    index->symbols = dec.rest;
    if (dec.failed || index->symbol_count > dec.rest.len)
        return corrupt(info, "symbols", place);
    index->symbol_places =
        mem_zalloc(index->symbol_count / SYMBOL_STEP + 1, sizeof(*index->symbol_places));
    for (uint32_t i = 0; i < index->symbol_count; i++) {
        if (i % SYMBOL_STEP == 0)
            index->symbol_places[i / SYMBOL_STEP] = (uint32_t)(index->symbols.len - dec.rest.len);
        (void)prom_dec_text(&dec);
    }
    return dec.failed ? corrupt(info, "symbols", place) : ERR_OK;
}

/* The list of all series is the one of the pair of empty texts. */
static enum err open_series_list(struct prom_index *index, uint64_t table_place,
                                 struct err_info *info)
{
    struct slice body = {NULL, 0};
    enum err err;

    if (table_place == 0) /* an index without postings has no series */
        return ERR_OK;
    err = section(index->bytes, table_place, "postings table", &body, info);
    if (err != ERR_OK)
        return err;
    struct prom_dec dec = {.rest = body};
    uint64_t place = 0;
    bool found = false;
    for (uint32_t left = prom_dec_u32(&dec); left > 0 && !found && !dec.failed; left--) {
        const uint64_t text_count = prom_dec_uvarint(&dec);
        const struct slice name = prom_dec_text(&dec);
        const struct slice value = prom_dec_text(&dec);

        place = prom_dec_uvarint(&dec);
        if (text_count != 2)
            dec.failed = true;
        found = name.len == 0 && value.len == 0;
    }
    if (dec.failed)
        return corrupt(info, "postings table", table_place);
    if (!found)
        return ERR_OK;
    err = section(index->bytes, place, "list of all series", &body, info);
    if (err != ERR_OK)
        return err;
    dec = (struct prom_dec){.rest = body};
    index->series_count = prom_dec_u32(&dec);
    index->series = prom_dec_bytes(&dec, (uint64_t)index->series_count * 4);
    return dec.failed ? corrupt(info, "list of all series", place) : ERR_OK;
}

enum err prom_index_open(struct prom_index *index, struct slice bytes, struct err_info *info)
{
    struct prom_index opened = {.bytes = bytes};
    struct toc toc = {0};
    enum err err = read_toc(bytes, &toc, info);

    if (err != ERR_OK)
        return err;
    if (endian_get_u32be(bytes.data) != INDEX_MAGIC)
        return err_set(info, ERR_CORRUPT, "index: this is no index file");
    opened.version = (uint8_t)bytes.data[MAGIC_SIZE];
    /* What is read here is the same in 2 and 3. */
    if (opened.version < 1 || opened.version > 3)
        return err_set(info, ERR_VERSION, "index: version %u, this program knows 1 to 3",
                       opened.version);
    err = open_symbols(&opened, toc.symbols, info);
    if (err == ERR_OK)
        err = open_series_list(&opened, toc.postings_table, info);
    if (err != ERR_OK) {
        prom_index_fini(&opened);
        return err;
    }
    *index = opened;
    return ERR_OK;
}

void prom_index_fini(struct prom_index *index)
{
    mem_free(index->symbol_places);
    *index = (struct prom_index){.bytes = {NULL, 0}};
}

/* Version 1 refers to a symbol by its place in the file, version 2 by its number. */
static struct slice symbol(const struct prom_index *index, struct prom_dec *failure, uint64_t ref)
{
    struct prom_dec dec = {.rest = index->symbols};
    uint32_t skip = 0;

    if (index->version == 1) {
        const uint64_t base = (uint64_t)(index->symbols.data - index->bytes.data);

        if (ref < base || ref - base >= index->symbols.len)
            dec.failed = true;
        else
            dec.rest = slice_skip(dec.rest, (size_t)(ref - base));
    } else if (ref >= index->symbol_count) {
        dec.failed = true;
    } else {
        dec.rest = slice_skip(dec.rest, index->symbol_places[ref / SYMBOL_STEP]);
        skip = (uint32_t)(ref % SYMBOL_STEP);
    }
    while (skip-- > 0)
        (void)prom_dec_text(&dec);
    const struct slice text = prom_dec_text(&dec);
    failure->failed |= dec.failed;
    return text;
}

/* Appends to `time` a distance that must not leave 64 bits. */
static int64_t later(struct prom_dec *dec, int64_t time)
{
    const uint64_t distance = prom_dec_uvarint(dec);
    int64_t sum = 0;

    if (distance > INT64_MAX || __builtin_add_overflow(time, (int64_t)distance, &sum))
        dec->failed = true;
    return sum;
}

static void read_chunks(struct prom_dec *dec, struct prom_series *series)
{
    int64_t t = 0;
    uint64_t ref = 0;

    for (uint32_t i = 0; i < series->chunk_count && !dec->failed; i++) {
        struct prom_chunk_meta *chunk = &series->chunks[i];

        if (i == 0) {
            chunk->t_min_ms = prom_dec_varint(dec);
            chunk->t_max_ms = later(dec, chunk->t_min_ms);
            ref = prom_dec_uvarint(dec);
        } else {
            /* Upstream adds these as unsigned, so chunks that overlap wrap around. */
            chunk->t_min_ms = (int64_t)((uint64_t)t + prom_dec_uvarint(dec));
            chunk->t_max_ms = later(dec, chunk->t_min_ms);
            ref += (uint64_t)prom_dec_varint(dec);
        }
        t = chunk->t_max_ms;
        chunk->ref = ref;
    }
}

enum err prom_index_series(const struct prom_index *index, uint32_t number, struct arena *arena,
                           struct prom_series *series, struct err_info *info)
{
    ASSERT(number < index->series_count);
    const uint32_t ref = endian_get_u32be(index->series.data + (size_t)number * 4);
    const uint64_t place = index->version == 1 ? ref : (uint64_t)ref * SERIES_ALIGN;

    if (place < HEADER_SIZE || place > index->bytes.len)
        return corrupt(info, "series", place);
    struct prom_dec outer = {.rest = slice_skip(index->bytes, (size_t)place)};
    const struct slice body = prom_dec_text(&outer);
    const uint32_t crc = prom_dec_u32(&outer);
    if (outer.failed)
        return corrupt(info, "series", place);
    if (crc32c_slice(body) != crc)
        return corrupt(info, "checksum does not match of the series", place);

    struct prom_dec dec = {.rest = body};
    struct prom_series read = {.ref = ref};
    read.labels.count = prom_dec_count(&dec, LABEL_SIZE_MIN);
    struct label *labels = ARENA_ARRAY(arena, struct label, read.labels.count);
    if (labels == NULL)
        return err_set(info, ERR_LIMIT, "index: no memory for a series of %u labels",
                       read.labels.count);
    for (uint32_t i = 0; i < read.labels.count; i++) {
        labels[i].name = symbol(index, &dec, prom_dec_uvarint(&dec));
        labels[i].value = symbol(index, &dec, prom_dec_uvarint(&dec));
        if (i > 0 && slice_cmp(labels[i - 1].name, labels[i].name) >= 0)
            dec.failed = true;
    }
    read.labels.items = labels;
    read.chunk_count = prom_dec_count(&dec, CHUNK_SIZE_MIN);
    read.chunks = ARENA_ARRAY(arena, struct prom_chunk_meta, read.chunk_count);
    if (read.chunks == NULL)
        return err_set(info, ERR_LIMIT, "index: no memory for a series of %u chunks",
                       read.chunk_count);
    read_chunks(&dec, &read);
    if (dec.failed)
        return corrupt(info, "series", place);
    *series = read;
    return ERR_OK;
}
