/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_index_writer.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/varint.h"

enum {
    VERSION = 2,
    SERIES_ALIGN = 16,
    POSTINGS_ALIGN = 4,
    EMIT_SIZE = 1 << 16,
    PAIR_CAP_MIN = 4,
    TOC_SECTIONS = 6,
};

#define INDEX_MAGIC   UINT32_C(0xBAAAD700)
#define SECTION_MAX   ((size_t)UINT32_MAX)
#define FILE_SIZE_MAX (UINT64_C(1) << 36)
#define PAIR_OF(n, v) ((uint64_t)(n) << 32 | (v))
#define PAIR_NAME(p)  ((uint32_t)((p) >> 32))
#define PAIR_VALUE(p) ((uint32_t)(p))

/* A label pair by the numbers of its texts, and the series that have it. */
struct index_pair {
    uint64_t pair;
    uint32_t *refs; /* owned */
    uint32_t count, cap;
    uint64_t place; /* of its list in the file */
};

struct prom_index_writer {
    struct prom_index_writer_options options;
    struct buf out, entry, section;
    uint64_t at;              /* bytes of the file so far, those in out included */
    struct map pair_map;      /* of PAIR_OF to index in pairs */
    struct index_pair *pairs; /* owned */
    uint32_t pair_count, pair_cap;
    struct index_pair all;
    uint64_t series_place;
};

static enum err emit(struct prom_index_writer *w, bool all, struct err_info *info)
{
    enum err err = ERR_OK;

    if (w->out.err != ERR_OK)
        return err_set(info, w->out.err, "index: a section is too large");
    if (w->out.len > 0 && (all || w->out.len >= EMIT_SIZE)) {
        err = w->options.emit(w->options.owner, buf_slice(&w->out), info);
        buf_reset(&w->out);
    }
    return err;
}

static void put(struct prom_index_writer *w, const void *data, size_t len)
{
    buf_add(&w->out, data, len);
    w->at += len;
}

static void put_u32(struct buf *out, uint32_t v)
{
    uint8_t bytes[4];

    endian_put_u32be(bytes, v);
    buf_add(out, bytes, sizeof(bytes));
}

static void put_u64(struct buf *out, uint64_t v)
{
    uint8_t bytes[8];

    endian_put_u64be(bytes, v);
    buf_add(out, bytes, sizeof(bytes));
}

static void put_uvarint(struct buf *out, uint64_t v)
{
    uint8_t bytes[VARINT_SIZE_MAX];

    buf_add(out, bytes, varint_put_u64(bytes, v));
}

static void put_varint(struct buf *out, int64_t v)
{
    put_uvarint(out, varint_zigzag(v));
}

static void put_text(struct buf *out, struct slice text)
{
    put_uvarint(out, text.len);
    buf_add_slice(out, text);
}

static void pad(struct prom_index_writer *w, unsigned align)
{
    static const uint8_t zeros[SERIES_ALIGN];

    put(w, zeros, (align - w->at % align) % align);
}

/* The section's body with its length before and its checksum behind. */
static enum err put_section(struct prom_index_writer *w, struct err_info *info)
{
    uint8_t bytes[4];

    if (w->section.err != ERR_OK || w->section.len > SECTION_MAX)
        return err_set(info, ERR_LIMIT, "index: a section of 4 GiB or more");
    endian_put_u32be(bytes, (uint32_t)w->section.len);
    put(w, bytes, sizeof(bytes));
    put(w, w->section.data, w->section.len);
    endian_put_u32be(bytes, crc32c_slice(buf_slice(&w->section)));
    put(w, bytes, sizeof(bytes));
    buf_reset(&w->section);
    return emit(w, false, info);
}

static bool pair_eq(const void *key, uint64_t value, void *owner)
{
    const struct prom_index_writer *w = owner;

    return w->pairs[value].pair == *(const uint64_t *)key;
}

enum err prom_index_writer_open(const struct prom_index_writer_options *options,
                                struct prom_index_writer **writer, struct err_info *info)
{
    struct prom_index_writer *w = mem_zalloc(1, sizeof(*w));
    uint8_t header[5];
    enum err err;

    w->options = *options;
    buf_init(&w->out, SIZE_MAX / 2);
    buf_init(&w->entry, SECTION_MAX);
    buf_init(&w->section, SECTION_MAX);
    map_init(&w->pair_map, pair_eq, w);
    endian_put_u32be(header, INDEX_MAGIC);
    header[4] = VERSION;
    put(w, header, sizeof(header));
    put_u32(&w->section, options->text_count);
    for (uint32_t i = 0; i < options->text_count; i++)
        put_text(&w->section, options->texts[i]);
    err = put_section(w, info);
    pad(w, SERIES_ALIGN);
    w->series_place = w->at;
    if (err != ERR_OK)
        prom_index_writer_abort(w);
    else
        *writer = w;
    return err;
}

void prom_index_writer_abort(struct prom_index_writer *w)
{
    if (w == NULL)
        return;
    for (uint32_t i = 0; i < w->pair_count; i++)
        mem_free(w->pairs[i].refs);
    mem_free(w->pairs);
    mem_free(w->all.refs);
    map_fini(&w->pair_map);
    buf_fini(&w->out);
    buf_fini(&w->entry);
    buf_fini(&w->section);
    mem_free(w);
}

/* ---- series ---- */

static uint32_t find_text(const struct prom_index_writer *w, struct slice text)
{
    uint32_t low = 0, high = w->options.text_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (slice_cmp(w->options.texts[middle], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    ASSERT(low < w->options.text_count && slice_eq(w->options.texts[low], text));
    return low;
}

static void add_ref(struct index_pair *pair, uint32_t ref)
{
    if (pair->count == pair->cap) {
        pair->cap = pair->cap == 0 ? PAIR_CAP_MIN : pair->cap * 2;
        pair->refs = mem_realloc(pair->refs, pair->cap * sizeof(*pair->refs));
    }
    pair->refs[pair->count++] = ref;
}

static void add_pair(struct prom_index_writer *w, uint64_t pair, uint32_t ref)
{
    const uint64_t hash = (pair + 1) * UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t *known = map_find(&w->pair_map, hash, &pair);
    uint32_t at = w->pair_count;

    if (known != NULL) {
        at = (uint32_t)*known;
    } else {
        if (w->pair_count == w->pair_cap) {
            w->pair_cap = w->pair_cap == 0 ? 1024 : w->pair_cap * 2;
            w->pairs = mem_realloc(w->pairs, w->pair_cap * sizeof(*w->pairs));
        }
        w->pairs[w->pair_count++] = (struct index_pair){.pair = pair};
        map_insert(&w->pair_map, hash, at);
    }
    add_ref(&w->pairs[at], ref);
}

static void put_chunks(struct buf *out, const struct prom_chunk_meta *chunks, uint32_t count)
{
    put_uvarint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct prom_chunk_meta *chunk = &chunks[i];

        if (i == 0)
            put_varint(out, chunk->t_min_ms);
        else
            put_uvarint(out, (uint64_t)chunk->t_min_ms - (uint64_t)chunks[i - 1].t_max_ms);
        put_uvarint(out, (uint64_t)chunk->t_max_ms - (uint64_t)chunk->t_min_ms);
        if (i == 0)
            put_uvarint(out, chunk->ref);
        else
            put_varint(out, (int64_t)(chunk->ref - chunks[i - 1].ref));
    }
}

enum err prom_index_writer_series(struct prom_index_writer *w, struct label_set labels,
                                  const struct prom_chunk_meta *chunks, uint32_t chunk_count,
                                  struct err_info *info)
{
    uint8_t size[VARINT_SIZE_MAX], crc[4];
    struct buf *entry = &w->entry;

    pad(w, SERIES_ALIGN);
    if (w->at >= FILE_SIZE_MAX)
        return err_set(info, ERR_LIMIT, "index: more than 64 GiB");
    const uint32_t ref = (uint32_t)(w->at / SERIES_ALIGN);
    buf_reset(entry);
    put_uvarint(entry, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        const uint32_t name = find_text(w, labels.items[i].name);
        const uint32_t value = find_text(w, labels.items[i].value);

        put_uvarint(entry, name);
        put_uvarint(entry, value);
        add_pair(w, PAIR_OF(name, value), ref);
    }
    add_ref(&w->all, ref);
    put_chunks(entry, chunks, chunk_count);
    if (entry->err != ERR_OK)
        return err_set(info, ERR_LIMIT, "index: a series of 4 GiB or more");
    put(w, size, varint_put_u64(size, entry->len));
    put(w, entry->data, entry->len);
    endian_put_u32be(crc, crc32c_slice(buf_slice(entry)));
    put(w, crc, sizeof(crc));
    return emit(w, false, info);
}

/* ---- postings ---- */

static int pair_order(const void *left, const void *right)
{
    const struct index_pair *a = left;
    const struct index_pair *b = right;

    return a->pair < b->pair ? -1 : a->pair > b->pair;
}

static enum err put_list(struct prom_index_writer *w, struct index_pair *pair,
                         struct err_info *info)
{
    pad(w, POSTINGS_ALIGN);
    pair->place = w->at;
    put_u32(&w->section, pair->count);
    for (uint32_t i = 0; i < pair->count; i++)
        put_u32(&w->section, pair->refs[i]);
    return put_section(w, info);
}

static void put_table_entry(struct prom_index_writer *w, struct slice name, struct slice value,
                            uint64_t place)
{
    put_uvarint(&w->section, 2); /* texts */
    put_text(&w->section, name);
    put_text(&w->section, value);
    put_uvarint(&w->section, place);
}

static enum err put_postings(struct prom_index_writer *w, uint64_t toc[TOC_SECTIONS],
                             struct err_info *info)
{
    enum err err;

    /* The texts are sorted, so the order of their numbers is theirs. */
    if (w->pair_count > 1)
        qsort(w->pairs, w->pair_count, sizeof(*w->pairs), pair_order);
    toc[4] = w->at;
    err = put_list(w, &w->all, info);
    for (uint32_t i = 0; i < w->pair_count && err == ERR_OK; i++)
        err = put_list(w, &w->pairs[i], info);
    if (err != ERR_OK)
        return err;
    toc[5] = w->at;
    put_u32(&w->section, w->pair_count + 1);
    put_table_entry(w, SLICE(""), SLICE(""), w->all.place);
    for (uint32_t i = 0; i < w->pair_count; i++)
        put_table_entry(w, w->options.texts[PAIR_NAME(w->pairs[i].pair)],
                        w->options.texts[PAIR_VALUE(w->pairs[i].pair)], w->pairs[i].place);
    return put_section(w, info);
}

enum err prom_index_writer_finish(struct prom_index_writer *w, struct err_info *info)
{
    /* Symbols, series, then the tables of label values, which nobody reads any more. */
    uint64_t toc[TOC_SECTIONS] = {5, w->series_place, 0, 0, 0, 0};
    uint8_t crc[4];

    enum err err = put_postings(w, toc, info);
    if (err == ERR_OK) {
        for (unsigned i = 0; i < TOC_SECTIONS; i++)
            put_u64(&w->section, toc[i]);
        endian_put_u32be(crc, crc32c_slice(buf_slice(&w->section)));
        put(w, w->section.data, w->section.len);
        put(w, crc, sizeof(crc));
        err = emit(w, true, info);
    }
    prom_index_writer_abort(w);
    return err;
}
