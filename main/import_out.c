/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/endian.h"
#include "base/mem.h"
#include "model/histogram.h"
#include "storage/block_meta.h"
#include "storage/block_writer.h"
#include "storage/ulid.h"

enum { ULID_TIME_SIZE = 6, KEY_SIZE_MAX = 1 << 20 };

/* ---- days ---- */

int64_t import_day(int64_t t_ms)
{
    return t_ms / IMPORT_DAY_MS - (t_ms % IMPORT_DAY_MS < 0);
}

void import_days_add(struct import_days *days, int64_t day)
{
    uint32_t low = 0, high = days->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (days->items[middle] < day)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < days->count && days->items[low] == day)
        return;
    if (days->count == days->cap) {
        days->cap = days->cap == 0 ? 16 : days->cap * 2;
        days->items = mem_realloc(days->items, days->cap * sizeof(*days->items));
    }
    memmove(days->items + low + 1, days->items + low, (days->count - low) * sizeof(*days->items));
    days->items[low] = day;
    days->count++;
}

void import_days_fini(struct import_days *days)
{
    mem_free(days->items);
    *days = (struct import_days){NULL, 0, 0};
}

/* ---- series and samples ---- */

enum err import_out_flush(struct import_out *out, struct err_info *info)
{
    enum err err = ERR_OK;

    if (out->columns.count > 0 && out->writer != NULL)
        err = block_writer_columns(out->writer, &out->columns, info);
    out->columns.count = 0;
    arena_reset(&out->scratch);
    return err;
}

enum err import_out_series(struct import_out *out, struct label_set labels, struct err_info *info)
{
    const enum err err = import_out_flush(out, info);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < labels.count; i++)
        if (labels.items[i].name.len == 0 || labels.items[i].value.len == 0)
            return err_set(info, ERR_CORRUPT, "a series has an empty label name or value");
    out->series_is_counted = false;
    return out->writer == NULL ? ERR_OK
                               : block_writer_series(out->writer, out->tenant, labels, info);
}

/* What a server checks when it takes a histogram; a stale marker has nothing to check. */
static enum err check_histogram(const struct histogram *h, struct err_info *info)
{
    struct err_info why = {{0}};

    if (histogram_is_stale(h) || histogram_check(h, &why) == ERR_OK)
        return ERR_OK;
    return err_set(info, ERR_CORRUPT, "wrong histogram: %s", why.message);
}

enum err import_out_sample(struct import_out *out, const struct prom_sample *sample,
                           struct err_info *info)
{
    struct sample_columns *columns = &out->columns;
    enum err err = ERR_OK;

    if (sample->kind == SAMPLE_HISTOGRAM)
        err = check_histogram(sample->histogram, info);
    if (err == ERR_OK &&
        (columns->count == SOURCE_BATCH || (columns->count > 0 && columns->kind != sample->kind)))
        err = import_out_flush(out, info);
    if (err != ERR_OK)
        return err;
    columns->kind = sample->kind;
    columns->t_ms[columns->count] = sample->t_ms;
    if (sample->kind == SAMPLE_FLOAT) {
        columns->v[columns->count] = sample->v;
    } else {
        columns->histograms[columns->count] = histogram_copy(&out->scratch, sample->histogram);
        out->counts.histograms++;
    }
    columns->count++;
    out->counts.samples++;
    out->counts.series += !out->series_is_counted;
    out->series_is_counted = true;
    return ERR_OK;
}

enum err import_out_exemplar(struct import_out *out, const struct exemplar *exemplar,
                             struct err_info *info)
{
    const enum err err = import_out_flush(out, info);

    if (err != ERR_OK)
        return err;
    out->counts.exemplars++;
    return out->writer == NULL ? ERR_OK : block_writer_exemplar(out->writer, exemplar, info);
}

enum err import_out_metadata(struct import_out *out, const struct metadata *metadata,
                             struct err_info *info)
{
    return out->writer == NULL ? ERR_OK
                               : block_writer_metadata(out->writer, out->tenant, metadata, info);
}

/* ---- blocks ---- */

void import_fault(struct import *import, const char *name, enum err err,
                  const struct err_info *info)
{
    import->counts.faults++;
    fprintf(stderr, "narthex import: %s: %s\n", name, err_message(err, info));
}

struct put {
    struct import *import;
    const struct import_source *source;
    struct import_out out;
    int64_t t_min_ms, t_end_ms;
};

static enum err put_fill(void *owner, struct block_writer *writer, struct err_info *info)
{
    struct put *put = owner;
    const struct import_source *source = put->source;

    put->out.writer = writer;
    enum err err = source->fill(source->owner, put->t_min_ms, put->t_end_ms, &put->out, info);
    if (err == ERR_OK)
        err = import_out_flush(&put->out, info);
    return err;
}

/* The name's time is the window's, its random part a digest of where the samples come from. */
static void name_block(const struct put *put, char name[ULID_TEXT_LEN + 1])
{
    uint8_t digest[DIGEST_SHA256_SIZE], number[16];
    struct ulid ulid;
    struct buf key;

    buf_init(&key, KEY_SIZE_MAX);
    buf_add_cstr(&key, "narthex import 1\n");
    endian_put_u64be(number, put->import->tenant.len);
    endian_put_u64be(number + 8, (uint64_t)put->t_min_ms);
    buf_add(&key, number, sizeof(number));
    buf_add_slice(&key, put->import->tenant);
    buf_add_slice(&key, put->source->key);
    ASSERT(key.err == ERR_OK);
    digest_sha256(digest, buf_slice(&key));
    buf_fini(&key);
    endian_put_u64be(number, put->t_min_ms < 0 ? 0 : (uint64_t)put->t_min_ms << 16);
    memcpy(ulid.bytes, number, ULID_TIME_SIZE);
    memcpy(ulid.bytes + ULID_TIME_SIZE, digest, ULID_SIZE - ULID_TIME_SIZE);
    ulid_print(ulid, name);
}

static void add_counts(struct import_counts *sum, const struct import_counts *counts)
{
    sum->series += counts->series;
    sum->samples += counts->samples;
    sum->histograms += counts->histograms;
    sum->exemplars += counts->exemplars;
}

static void put_day(struct put *put)
{
    struct import *import = put->import;
    struct err_info info = {{0}};
    struct block_meta meta = {.series_count = 0};
    char name[ULID_TEXT_LEN + 1];
    enum err err;

    name_block(put, name);
    const struct db_new_block new_block = {.name = name,
                                           .t_min_ms = put->t_min_ms,
                                           .t_end_ms = put->t_end_ms,
                                           .fill = put_fill,
                                           .owner = put};
    put->out = (struct import_out){.tenant = import->tenant};
    arena_init(&put->out.scratch, NULL, 0);
    if (import->store == NULL) {
        err = put_fill(put, NULL, &info);
        if (err == ERR_OK && put->out.counts.samples == 0)
            err = ERR_END;
    } else {
        err = db_add_block(import->store->db, &new_block, &meta, &info);
    }
    arena_fini(&put->out.scratch);
    if (err == ERR_EXISTS) {
        import->counts.known_blocks++;
        fprintf(stderr, "%s: block %s is there already\n", put->source->name, name);
    } else if (err == ERR_OK) {
        import->counts.blocks++;
        import->counts.size_bytes += meta.index.size_bytes + meta.data.size_bytes;
        add_counts(&import->counts, &put->out.counts);
        fprintf(stderr, "%s: block %s, %" PRIu64 " series, %" PRIu64 " samples\n",
                put->source->name, name, put->out.counts.series, put->out.counts.samples);
    } else if (err != ERR_END) { /* END: all of its samples are deleted */
        import_fault(import, put->source->name, err, &info);
    }
}

void import_put(struct import *import, const struct import_source *source)
{
    struct put *put = mem_zalloc(1, sizeof(*put));

    put->import = import;
    put->source = source;
    for (uint32_t i = 0; i < source->day_count; i++) {
        put->t_min_ms = source->days[i] * IMPORT_DAY_MS;
        put->t_end_ms = put->t_min_ms + IMPORT_DAY_MS;
        if (put->t_min_ms < source->t_min_ms)
            put->t_min_ms = source->t_min_ms;
        if (put->t_end_ms > source->t_end_ms)
            put->t_end_ms = source->t_end_ms;
        if (put->t_min_ms < put->t_end_ms)
            put_day(put);
    }
    mem_free(put);
}
