/* SPDX-License-Identifier: Apache-2.0 */
#include "main/export_block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_chunk_writer.h"
#include "promtsdb/prom_index_writer.h"

enum {
    EXPORT_PATH_SIZE = 1200,
    FILE_BUFFER_SIZE = 1 << 20,
    SEGMENT_SIZE_MAX = 512 << 20, /* as upstream's */
    CHUNK_ROOM = 64,              /* length, encoding and checksum around a chunk's bytes */
    META_SIZE_MAX = 1 << 16,
};

struct export_file {
    FILE *file;
    char path[EXPORT_PATH_SIZE];
    uint64_t size;
};

struct export_block {
    char dir[EXPORT_PATH_SIZE], tmp[EXPORT_PATH_SIZE], final[EXPORT_PATH_SIZE];
    struct prom_meta meta;
    struct arena arena; /* texts */
    struct map text_map;
    struct slice *texts; /* owned array */
    uint32_t text_count, text_cap;
    bool is_open; /* tmp is there */
    struct export_file index, segment;
    uint32_t segment_count;
    struct prom_index_writer *writer;
    struct buf chunk_bytes;

    /* The series under way. */
    struct label_set labels;
    struct prom_chunk_writer chunk;
    struct prom_chunk_meta *chunks; /* owned */
    uint32_t chunk_count, chunk_cap;
};

static const struct hash_key hash_key; /* texts of our own blocks: nobody gains from collisions */

static enum err os_error(struct err_info *info, const char *path)
{
    const int reason = errno;

    return err_set(info, err_from_errno(reason), "%s: %s", path, strerror(reason));
}

/* ---- files ---- */

static enum err file_open(struct export_file *file, struct err_info *info)
{
    file->file = fopen(file->path, "wbx");
    file->size = 0;
    if (file->file == NULL)
        return os_error(info, file->path);
    (void)setvbuf(file->file, NULL, _IOFBF, FILE_BUFFER_SIZE);
    return ERR_OK;
}

static enum err file_write(struct export_file *file, struct slice bytes, struct err_info *info)
{
    if (bytes.len > 0 && fwrite(bytes.data, 1, bytes.len, file->file) != bytes.len)
        return os_error(info, file->path);
    file->size += bytes.len;
    return ERR_OK;
}

/* Written, durable, closed. */
static enum err file_finish(struct export_file *file, struct err_info *info)
{
    enum err err = ERR_OK;

    if (file->file == NULL)
        return ERR_OK;
    if (fflush(file->file) != 0 || fdatasync(fileno(file->file)) != 0)
        err = os_error(info, file->path);
    if (fclose(file->file) != 0 && err == ERR_OK)
        err = os_error(info, file->path);
    file->file = NULL;
    return err;
}

static enum err sync_dir(const char *path, struct err_info *info)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_OK;

    if (fd < 0)
        return os_error(info, path);
    if (fsync(fd) != 0)
        err = os_error(info, path);
    (void)close(fd);
    return err;
}

static enum err emit_index(void *owner, struct slice bytes, struct err_info *info)
{
    struct export_block *block = owner;

    return file_write(&block->index, bytes, info);
}

static enum err open_segment(struct export_block *block, struct err_info *info)
{
    enum err err = file_finish(&block->segment, info);

    if (err != ERR_OK)
        return err;
    block->segment_count++;
    (void)snprintf(block->segment.path, sizeof(block->segment.path), "%.1100s/chunks/%06u",
                   block->tmp, block->segment_count);
    err = file_open(&block->segment, info);
    if (err != ERR_OK)
        return err;
    buf_reset(&block->chunk_bytes);
    prom_chunk_file_put_header(&block->chunk_bytes);
    return file_write(&block->segment, buf_slice(&block->chunk_bytes), info);
}

/* ---- texts ---- */

static bool text_eq(const void *key, uint64_t value, void *owner)
{
    const struct export_block *block = owner;

    return slice_eq(block->texts[value], *(const struct slice *)key);
}

struct export_block *export_block_new(const char *dir, const char *ulid)
{
    struct export_block *block = mem_zalloc(1, sizeof(*block));

    (void)snprintf(block->dir, sizeof(block->dir), "%.1000s", dir);
    (void)snprintf(block->tmp, sizeof(block->tmp), "%.1000s/%s.tmp-for-creation", dir, ulid);
    (void)snprintf(block->final, sizeof(block->final), "%.1000s/%s", dir, ulid);
    (void)snprintf(block->meta.ulid, sizeof(block->meta.ulid), "%s", ulid);
    block->meta.level = 1;
    block->meta.t_min_ms = INT64_MAX;
    block->meta.t_end_ms = INT64_MIN;
    arena_init(&block->arena, NULL, 0);
    map_init(&block->text_map, text_eq, block);
    buf_init(&block->chunk_bytes, SEGMENT_SIZE_MAX);
    prom_chunk_writer_init(&block->chunk);
    return block;
}

void export_block_text(struct export_block *block, struct slice text)
{
    const uint64_t hash = hash64(&hash_key, text);

    if (map_find(&block->text_map, hash, &text) != NULL)
        return;
    if (block->text_count == block->text_cap) {
        block->text_cap = block->text_cap == 0 ? 1024 : block->text_cap * 2;
        block->texts = mem_realloc(block->texts, block->text_cap * sizeof(*block->texts));
    }
    block->texts[block->text_count] = arena_copy(&block->arena, text);
    map_insert(&block->text_map, hash, block->text_count++);
}

static int text_order(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

enum err export_block_open(struct export_block *block, struct err_info *info)
{
    char chunks[EXPORT_PATH_SIZE];
    enum err err;

    map_reset(&block->text_map); /* the texts move */
    if (block->text_count > 1)
        qsort(block->texts, block->text_count, sizeof(*block->texts), text_order);
    (void)snprintf(chunks, sizeof(chunks), "%.1100s/chunks", block->tmp);
    if (mkdir(block->tmp, 0777) != 0)
        return os_error(info, block->tmp);
    block->is_open = true;
    if (mkdir(chunks, 0777) != 0)
        return os_error(info, chunks);
    (void)snprintf(block->index.path, sizeof(block->index.path), "%.1100s/index", block->tmp);
    err = file_open(&block->index, info);
    if (err == ERR_OK)
        err = prom_index_writer_open(
            &(struct prom_index_writer_options){.texts = block->texts,
                                                .text_count = block->text_count,
                                                .emit = emit_index,
                                                .owner = block},
            &block->writer, info);
    return err == ERR_OK ? open_segment(block, info) : err;
}

/* ---- series ---- */

static enum err end_chunk(struct export_block *block, struct err_info *info)
{
    const struct prom_chunk chunk = prom_chunk_writer_chunk(&block->chunk);
    enum err err = ERR_OK;

    if (block->chunk.count == 0)
        return ERR_OK;
    if (block->segment.size + chunk.data.len + CHUNK_ROOM > SEGMENT_SIZE_MAX)
        err = open_segment(block, info);
    if (err != ERR_OK)
        return err;
    if (block->chunk_count == block->chunk_cap) {
        block->chunk_cap = block->chunk_cap == 0 ? 64 : block->chunk_cap * 2;
        block->chunks = mem_realloc(block->chunks, block->chunk_cap * sizeof(*block->chunks));
    }
    block->chunks[block->chunk_count++] = (struct prom_chunk_meta){
        .t_min_ms = block->chunk.t_min_ms,
        .t_max_ms = block->chunk.t_max_ms,
        .ref = (uint64_t)(block->segment_count - 1) << 32 | block->segment.size};
    buf_reset(&block->chunk_bytes);
    prom_chunk_file_put(&block->chunk_bytes, &chunk);
    err = block->chunk_bytes.err == ERR_OK
              ? file_write(&block->segment, buf_slice(&block->chunk_bytes), info)
              : err_set(info, ERR_LIMIT, "a chunk is too large");
    prom_chunk_writer_reset(&block->chunk);
    return err;
}

static enum err end_series(struct export_block *block, struct err_info *info)
{
    struct prom_meta *meta = &block->meta;
    enum err err = end_chunk(block, info);

    if (err != ERR_OK || block->chunk_count == 0)
        return err;
    meta->series_count++;
    meta->chunk_count += block->chunk_count;
    if (block->chunks[0].t_min_ms < meta->t_min_ms)
        meta->t_min_ms = block->chunks[0].t_min_ms;
    const int64_t t_max_ms = block->chunks[block->chunk_count - 1].t_max_ms;
    if (t_max_ms >= meta->t_end_ms && t_max_ms < INT64_MAX)
        meta->t_end_ms = t_max_ms + 1;
    err = prom_index_writer_series(block->writer, block->labels, block->chunks, block->chunk_count,
                                   info);
    block->chunk_count = 0;
    return err;
}

enum err export_block_series(struct export_block *block, struct label_set labels,
                             struct err_info *info)
{
    const enum err err = end_series(block, info);

    block->labels = labels;
    return err;
}

enum err export_block_sample(struct export_block *block, const struct prom_sample *sample,
                             struct err_info *info)
{
    if (!prom_chunk_writer_add(&block->chunk, sample)) {
        const enum err err = end_chunk(block, info);

        if (err != ERR_OK)
            return err;
        const bool is_taken = prom_chunk_writer_add(&block->chunk, sample);
        ASSERT(is_taken);
    }
    block->meta.sample_count++;
    if (sample->kind == SAMPLE_FLOAT)
        block->meta.float_sample_count++;
    else
        block->meta.histogram_sample_count++;
    return ERR_OK;
}

/* ---- the end ---- */

static enum err write_meta(struct export_block *block, struct err_info *info)
{
    struct export_file file = {.file = NULL};
    struct buf text;
    enum err err;

    buf_init(&text, META_SIZE_MAX);
    prom_meta_print(&block->meta, &text);
    (void)snprintf(file.path, sizeof(file.path), "%.1100s/meta.json", block->tmp);
    err = file_open(&file, info);
    if (err == ERR_OK)
        err = file_write(&file, buf_slice(&text), info);
    const enum err close_err = file_finish(&file, info);
    buf_fini(&text);
    return err == ERR_OK ? close_err : err;
}

static enum err publish(struct export_block *block, struct err_info *info)
{
    char chunks[EXPORT_PATH_SIZE];
    enum err err;

    (void)snprintf(chunks, sizeof(chunks), "%.1100s/chunks", block->tmp);
    err = sync_dir(chunks, info);
    if (err == ERR_OK)
        err = sync_dir(block->tmp, info);
    if (err != ERR_OK)
        return err;
    if (rename(block->tmp, block->final) != 0)
        return os_error(info, block->final);
    block->is_open = false;
    return sync_dir(block->dir, info);
}

static void remove_tmp(const struct export_block *block)
{
    char path[EXPORT_PATH_SIZE];

    for (uint32_t i = 1; i <= block->segment_count; i++) {
        (void)snprintf(path, sizeof(path), "%.1100s/chunks/%06u", block->tmp, i);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%.1100s/chunks", block->tmp);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%.1100s/index", block->tmp);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%.1100s/meta.json", block->tmp);
    (void)unlink(path);
    (void)rmdir(block->tmp);
}

enum err export_block_finish(struct export_block *block, struct prom_meta *meta,
                             struct err_info *info)
{
    enum err err = end_series(block, info);

    if (err == ERR_OK && block->meta.sample_count == 0)
        err = ERR_END;
    if (err == ERR_OK) {
        err = prom_index_writer_finish(block->writer, info);
        block->writer = NULL;
    }
    if (err == ERR_OK)
        err = file_finish(&block->index, info);
    if (err == ERR_OK)
        err = file_finish(&block->segment, info);
    if (err == ERR_OK)
        err = write_meta(block, info);
    if (err == ERR_OK)
        err = publish(block, info);
    if (err == ERR_OK)
        *meta = block->meta;
    export_block_abort(block);
    return err;
}

void export_block_abort(struct export_block *block)
{
    if (block == NULL)
        return;
    prom_index_writer_abort(block->writer);
    if (block->index.file != NULL)
        (void)fclose(block->index.file);
    if (block->segment.file != NULL)
        (void)fclose(block->segment.file);
    if (block->is_open)
        remove_tmp(block);
    prom_chunk_writer_fini(&block->chunk);
    buf_fini(&block->chunk_bytes);
    map_fini(&block->text_map);
    arena_fini(&block->arena);
    mem_free(block->texts);
    mem_free(block->chunks);
    mem_free(block);
}
