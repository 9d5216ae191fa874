/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_block.h"

#include <stdio.h>
#include <string.h>

#include "main/tool_file.h"
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_index.h"
#include "promtsdb/prom_tombstones.h"

enum { CHUNK_DAYS_MAX = 3660 };

struct opened_block {
    struct import *import;
    const char *dir;
    struct arena arena; /* names and paths */
    struct prom_meta meta;
    struct slice index_file;
    struct prom_index index;
    bool has_index;
    struct prom_tombstones stones;
    struct slice *segments; /* mapped; in the arena */
    uint32_t segment_count;
    struct import_days days;
    int64_t t_min_ms, t_end_ms;
};

static enum err read_meta(const char *dir, struct opened_block *block, struct err_info *info)
{
    struct slice text = {NULL, 0};
    enum err err = tool_file_map(tool_file_path(&block->arena, dir, "meta.json"), &text, info);

    if (err != ERR_OK)
        return err;
    err = prom_meta_parse(text, &block->meta, info);
    tool_file_unmap(text);
    return err;
}

static enum err read_tombstones(const char *dir, struct opened_block *block, struct err_info *info)
{
    struct err_info map_info = {{0}};
    struct slice file = {NULL, 0};
    enum err err =
        tool_file_map(tool_file_path(&block->arena, dir, "tombstones"), &file, &map_info);

    if (err == ERR_NOT_FOUND) /* nothing is deleted */
        return ERR_OK;
    if (err != ERR_OK)
        return err_set(info, err, "%s", map_info.message);
    err = prom_tombstones_read(&block->stones, file, info);
    tool_file_unmap(file);
    prom_tombstones_sort(&block->stones);
    return err;
}

static enum err map_segments(const char *dir, struct opened_block *block, struct err_info *info)
{
    const char *chunks = tool_file_path(&block->arena, dir, "chunks");
    struct tool_names names = {NULL, 0};
    enum err err = tool_file_list(chunks, &block->arena, &names, info);

    if (err != ERR_OK)
        return err;
    block->segments = ARENA_ARRAY(&block->arena, struct slice, names.count);
    for (uint32_t i = 0; i < names.count && err == ERR_OK; i++) {
        err = tool_file_map(tool_file_path(&block->arena, chunks, names.items[i]),
                            &block->segments[i], info);
        if (err != ERR_OK)
            break;
        block->segment_count++;
        err = prom_chunk_file_check(block->segments[i], info);
        if (err != ERR_OK)
            err_prefix(info, "%s/%s", chunks, names.items[i]);
    }
    return err;
}

/* Which days its chunks touch, from the index alone. */
static enum err find_days(struct opened_block *block, struct err_info *info)
{
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    block->t_min_ms = INT64_MAX;
    block->t_end_ms = INT64_MIN;
    for (uint32_t i = 0; i < block->index.series_count && err == ERR_OK; i++) {
        struct prom_series series;

        arena_reset(&arena);
        err = prom_index_series(&block->index, i, &arena, &series, info);
        for (uint32_t c = 0; err == ERR_OK && c < series.chunk_count; c++) {
            const struct prom_chunk_meta *chunk = &series.chunks[c];
            const int64_t last = import_day(chunk->t_max_ms);

            if (chunk->t_min_ms < block->meta.t_min_ms || chunk->t_max_ms > block->meta.t_end_ms ||
                last - import_day(chunk->t_min_ms) > CHUNK_DAYS_MAX)
                err = err_set(info, ERR_CORRUPT, "index: a chunk outside of the block's times");
            for (int64_t day = import_day(chunk->t_min_ms); err == ERR_OK && day <= last; day++)
                import_days_add(&block->days, day);
            if (chunk->t_min_ms < block->t_min_ms)
                block->t_min_ms = chunk->t_min_ms;
            if (chunk->t_max_ms >= block->t_end_ms && chunk->t_max_ms < INT64_MAX)
                block->t_end_ms = chunk->t_max_ms + 1;
        }
    }
    arena_fini(&arena);
    return err;
}

static enum err open_block(const char *dir, struct opened_block *block, struct err_info *info)
{
    enum err err = read_meta(dir, block, info);

    if (err == ERR_OK)
        err = tool_file_map(tool_file_path(&block->arena, dir, "index"), &block->index_file, info);
    if (err == ERR_OK)
        err = prom_index_open(&block->index, block->index_file, info);
    if (err != ERR_OK)
        return err;
    block->has_index = true;
    err = read_tombstones(dir, block, info);
    if (err == ERR_OK)
        err = map_segments(dir, block, info);
    return err == ERR_OK ? find_days(block, info) : err;
}

static void close_block(struct opened_block *block)
{
    if (block->has_index)
        prom_index_fini(&block->index);
    tool_file_unmap(block->index_file);
    for (uint32_t i = 0; i < block->segment_count; i++)
        tool_file_unmap(block->segments[i]);
    prom_tombstones_fini(&block->stones);
    import_days_fini(&block->days);
    arena_fini(&block->arena);
}

/* ---- one day of it ---- */

struct day {
    struct import *import;
    const struct opened_block *block;
    int64_t t_min_ms, t_end_ms;
    struct import_out *out;
    struct arena arena; /* of one series */
    int64_t t_last_ms;  /* of that series */
};

static enum err put_chunk(struct day *day, const struct prom_series *series,
                          const struct prom_chunk_meta *meta, struct err_info *info)
{
    const struct opened_block *block = day->block;
    const uint64_t segment = meta->ref >> 32;
    struct prom_chunk_iter iter;
    struct prom_chunk chunk;
    struct prom_sample sample;
    size_t stone_count;
    const struct prom_stone *stones =
        prom_tombstones_find(&block->stones, series->ref, &stone_count);
    enum err err;

    if (segment >= block->segment_count)
        return err_set(info, ERR_CORRUPT, "index: a chunk in file %llu of %u",
                       (unsigned long long)segment + 1, block->segment_count);
    err = prom_chunk_file_get(block->segments[segment], meta->ref & UINT32_MAX, &chunk, info);
    if (err != ERR_OK) {
        err_prefix(info, "chunks/%06llu", (unsigned long long)segment + 1);
        return err;
    }
    prom_chunk_iter_init(&iter, chunk, &day->arena);
    while (err == ERR_OK && prom_chunk_iter_next(&iter, &sample)) {
        if (sample.t_ms < day->t_min_ms || sample.t_ms >= day->t_end_ms ||
            prom_tombstones_cover(stones, stone_count, sample.t_ms))
            continue;
        if (sample.t_ms <= day->t_last_ms)
            return err_set(info, ERR_CORRUPT, "chunk %llx: times do not increase",
                           (unsigned long long)meta->ref);
        day->t_last_ms = sample.t_ms;
        err = import_out_sample(day->out, &sample, info);
    }
    if (err == ERR_OK && iter.err != ERR_OK)
        err = err_set(info, iter.err, "chunk %llx of encoding %u: %s",
                      (unsigned long long)meta->ref, chunk.encoding, err_text(iter.err));
    return err;
}

static enum err put_or_skip_chunk(struct day *day, const struct prom_series *series,
                                  const struct prom_chunk_meta *meta, struct err_info *info)
{
    struct err_info chunk_info = {{0}};
    enum err err = put_chunk(day, series, meta, &chunk_info);

    if ((err == ERR_CORRUPT || err == ERR_UNSUPPORTED) && day->import->skips_bad_chunks) {
        import_fault(day->import, day->block->dir, err, &chunk_info);
        err = ERR_OK;
    }
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s", err_message(err, &chunk_info));
}

static enum err put_series(struct day *day, const struct prom_series *series, struct err_info *info)
{
    bool has_series = false;
    enum err err = ERR_OK;

    day->t_last_ms = INT64_MIN;
    for (uint32_t c = 0; c < series->chunk_count && err == ERR_OK; c++) {
        const struct prom_chunk_meta *chunk = &series->chunks[c];

        if (chunk->t_max_ms < day->t_min_ms || chunk->t_min_ms >= day->t_end_ms)
            continue;
        if (!has_series)
            err = import_out_series(day->out, series->labels, info);
        has_series = true;
        if (err == ERR_OK)
            err = put_or_skip_chunk(day, series, chunk, info);
    }
    return err;
}

static enum err fill_day(void *owner, int64_t t_min_ms, int64_t t_end_ms, struct import_out *out,
                         struct err_info *info)
{
    const struct opened_block *block = owner;
    struct day day = {.import = block->import,
                      .block = block,
                      .t_min_ms = t_min_ms,
                      .t_end_ms = t_end_ms,
                      .out = out};
    struct arena last_arena;
    struct label_set last = {NULL, 0};
    enum err err = ERR_OK;

    arena_init(&day.arena, NULL, 0);
    arena_init(&last_arena, NULL, 0);
    for (uint32_t i = 0; i < day.block->index.series_count && err == ERR_OK; i++) {
        struct prom_series series;

        arena_reset(&day.arena);
        err = prom_index_series(&day.block->index, i, &day.arena, &series, info);
        if (err == ERR_OK && i > 0 && label_set_cmp(last, series.labels) >= 0)
            err = err_set(info, ERR_CORRUPT, "index: series number %u is out of order", i);
        if (err == ERR_OK)
            err = put_series(&day, &series, info);
        if (err == ERR_OK) { /* texts lie in the mapped index; only the array is copied */
            arena_reset(&last_arena);
            last = label_set_copy(&last_arena, series.labels);
        }
    }
    arena_fini(&last_arena);
    arena_fini(&day.arena);
    return err;
}

void import_block(struct import *import, const char *dir, struct prom_meta *meta)
{
    struct opened_block block = {.import = import, .dir = dir};
    struct err_info info = {{0}};
    enum err err;

    arena_init(&block.arena, NULL, 0);
    err = open_block(dir, &block, &info);
    *meta = block.meta;
    if (err == ERR_OK) {
        const struct import_source source = {.name = dir,
                                             .key = slice_from_cstr(block.meta.ulid),
                                             .days = block.days.items,
                                             .day_count = block.days.count,
                                             .t_min_ms = block.t_min_ms,
                                             .t_end_ms = block.t_end_ms,
                                             .fill = fill_day,
                                             .owner = &block};
        import_put(import, &source);
    } else {
        import_fault(import, dir, err, &info);
    }
    close_block(&block);
}
