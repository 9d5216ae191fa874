/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_head.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/map.h"
#include "base/number.h"
#include "main/import_collect.h"
#include "main/tool_file.h"
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_record.h"
#include "promtsdb/prom_wal.h"

enum { SEGMENT_NAME_LEN = 8, CHUNK_NAME_LEN = 6, KEY_SIZE_MAX = 64 << 20 };

enum file_kind { FILE_WAL, FILE_WBL, FILE_CHUNKS };

struct head_file {
    enum file_kind kind;
    bool is_last; /* of its log: it may end in a record that is not whole */
    const char *path;
    struct slice bytes; /* mapped */
};

struct head {
    struct import *import;
    const struct import_head_options *options;
    struct arena arena;
    struct head_file *files; /* in the arena */
    uint32_t file_count, file_cap;
    struct map ids; /* reference of a series to its number */
    struct import_collect *collect;
    bool scans; /* the first walk: series, times and faults; else samples are handed in */
    uint64_t unknown_refs;
};

/* ---- files ---- */

static enum err add_file(struct head *head, enum file_kind kind, const char *dir, const char *name,
                         struct err_info *info)
{
    struct head_file file = {.kind = kind, .path = tool_file_path(&head->arena, dir, name)};
    const enum err err = tool_file_map(file.path, &file.bytes, info);

    if (err != ERR_OK)
        return err;
    if (head->file_count == head->file_cap) {
        const uint32_t cap = head->file_cap == 0 ? 64 : head->file_cap * 2;

        head->files = arena_grow(&head->arena, head->files, head->file_cap * sizeof(*head->files),
                                 cap * sizeof(*head->files));
        head->file_cap = cap;
    }
    head->files[head->file_count++] = file;
    return ERR_OK;
}

static bool is_number(const char *name, size_t len, uint64_t *number)
{
    return strlen(name) == len && number_parse_uint64(slice_of(name, len), number) == ERR_OK;
}

/* Adds the numbered files of a folder above `after`; a folder that is not there has none. */
static enum err add_folder(struct head *head, enum file_kind kind, const char *dir, int64_t after,
                           struct err_info *info)
{
    const size_t name_len = kind == FILE_CHUNKS ? CHUNK_NAME_LEN : SEGMENT_NAME_LEN;
    struct err_info list_info = {{0}};
    struct tool_names names = {NULL, 0};
    enum err err = tool_file_list(dir, &head->arena, &names, &list_info);
    const uint32_t count_before = head->file_count;

    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err != ERR_OK)
        return err_set(info, err, "%s", list_info.message);
    for (uint32_t i = 0; i < names.count && err == ERR_OK; i++) {
        uint64_t number;

        if (is_number(names.items[i], name_len, &number) && (int64_t)number > after)
            err = add_file(head, kind, dir, names.items[i], info);
    }
    if (head->file_count > count_before)
        head->files[head->file_count - 1].is_last = true;
    return err;
}

/* The newest checkpoint holds what segments up to its number did. */
static enum err add_checkpoint(struct head *head, const char *wal, int64_t *number,
                               struct err_info *info)
{
    static const char prefix[] = "checkpoint.";
    struct err_info list_info = {{0}};
    struct tool_names names = {NULL, 0};
    const char *newest = NULL;
    enum err err = tool_file_list(wal, &head->arena, &names, &list_info);

    *number = -1;
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_OK : err_set(info, err, "%s", list_info.message);
    for (uint32_t i = 0; i < names.count; i++) {
        uint64_t found;

        if (strncmp(names.items[i], prefix, sizeof(prefix) - 1) == 0 &&
            is_number(names.items[i] + sizeof(prefix) - 1, SEGMENT_NAME_LEN, &found)) {
            newest = names.items[i];
            *number = (int64_t)found;
        }
    }
    return newest == NULL
               ? ERR_OK
               : add_folder(head, FILE_WAL, tool_file_path(&head->arena, wal, newest), -1, info);
}

static enum err find_files(struct head *head, struct err_info *info)
{
    const char *dir = head->options->dir;
    const char *wal = tool_file_path(&head->arena, dir, "wal");
    int64_t checkpoint;
    enum err err =
        add_folder(head, FILE_CHUNKS, tool_file_path(&head->arena, dir, "chunks_head"), -1, info);

    if (err == ERR_OK)
        err = add_checkpoint(head, wal, &checkpoint, info);
    if (err == ERR_OK)
        err = add_folder(head, FILE_WAL, wal, checkpoint, info);
    if (err == ERR_OK)
        err = add_folder(head, FILE_WBL, tool_file_path(&head->arena, dir, "wbl"), -1, info);
    return err;
}

/* ---- one entry ---- */

static uint64_t hash_ref(uint64_t ref)
{
    return (ref + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool find_id(struct head *head, uint64_t ref, uint32_t *id)
{
    const uint64_t *found = map_find(&head->ids, hash_ref(ref), NULL);

    if (found == NULL) {
        head->unknown_refs += head->scans;
        return false;
    }
    *id = (uint32_t)*found;
    return true;
}

static enum err take_series(struct head *head, const struct prom_entry *entry)
{
    const uint64_t hash = hash_ref(entry->series_ref);
    uint64_t *known = map_find(&head->ids, hash, NULL);
    uint32_t id;
    const enum err err = import_collect_series(head->collect, entry->labels, &id);

    if (err != ERR_OK)
        return err;
    if (known != NULL)
        *known = id;
    else
        map_insert(&head->ids, hash, id);
    return ERR_OK;
}

static void take_sample(struct head *head, enum file_kind kind, uint64_t ref,
                        const struct prom_sample *sample)
{
    uint32_t id;

    if (kind != FILE_WBL && sample->t_ms < head->options->t_blocks_end_ms)
        return;
    if (!find_id(head, ref, &id))
        return;
    if (head->scans)
        import_collect_note(head->collect, sample->t_ms);
    else if (kind == FILE_WBL)
        import_collect_add_late(head->collect, id, sample);
    else
        import_collect_add(head->collect, id, sample);
}

static void take_exemplar(struct head *head, const struct prom_entry *entry)
{
    const struct exemplar exemplar = {
        .labels = entry->labels, .v = entry->v, .t_ms = entry->t_ms, .has_t = true};
    uint32_t id;

    if (!head->scans && find_id(head, entry->series_ref, &id))
        import_collect_add_exemplar(head->collect, id, &exemplar);
}

static void take_metadata(struct head *head, uint32_t id, struct metadata metadata)
{
    metadata.metric = import_collect_metric(head->collect, id);
    if (metadata.metric.len > 0)
        import_collect_metadata(head->collect, &metadata);
}

static enum err take_entry(struct head *head, enum file_kind kind, uint8_t type,
                           const struct prom_entry *entry)
{
    struct prom_sample sample = {.t_ms = entry->t_ms};
    uint32_t id;

    switch ((enum prom_record_type)type) {
    case PROM_RECORD_SERIES:
        return head->scans ? take_series(head, entry) : ERR_OK;
    case PROM_RECORD_SAMPLES:
        sample.kind = SAMPLE_FLOAT;
        sample.v = entry->v;
        take_sample(head, kind, entry->series_ref, &sample);
        return ERR_OK;
    case PROM_RECORD_HISTOGRAMS:
    case PROM_RECORD_FLOAT_HISTOGRAMS:
    case PROM_RECORD_CUSTOM_HISTOGRAMS:
    case PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS:
        sample.kind = SAMPLE_HISTOGRAM;
        sample.histogram = entry->histogram;
        take_sample(head, kind, entry->series_ref, &sample);
        return ERR_OK;
    case PROM_RECORD_TOMBSTONES:
        if (head->scans && find_id(head, entry->series_ref, &id))
            import_collect_delete(head->collect, id, entry->stone.t_min_ms, entry->stone.t_max_ms);
        return ERR_OK;
    case PROM_RECORD_METADATA:
        if (head->scans && find_id(head, entry->series_ref, &id))
            take_metadata(head, id, entry->metadata);
        return ERR_OK;
    case PROM_RECORD_EXEMPLARS:
        take_exemplar(head, entry);
        return ERR_OK;
    case PROM_RECORD_MARKERS: /* head chunks are read whole, whatever the log says of them */
        return ERR_OK;
    }
    return ERR_OK;
}

/* ---- one file ---- */

static enum err take_record(struct head *head, enum file_kind kind, struct slice bytes,
                            struct arena *arena, struct err_info *info)
{
    struct prom_record record;
    struct prom_entry entry;

    prom_record_init(&record, bytes);
    if (record.err == ERR_OK && !prom_record_is_known(&record))
        return err_set(info, ERR_UNSUPPORTED, "a record of type %u, of a later Prometheus",
                       record.type);
    while (prom_record_next(&record, arena, &entry)) {
        const enum err err = take_entry(head, kind, record.type, &entry);

        if (err != ERR_OK)
            return err_set(info, err, "more series than can be held");
    }
    return record.err == ERR_OK
               ? ERR_OK
               : err_set(info, record.err, "a record of type %u that is corrupt", record.type);
}

/* What is damaged ends its file, not the import. */
static void take_log(struct head *head, const struct head_file *file)
{
    struct err_info info = {{0}};
    enum err err = ERR_OK;
    struct prom_wal wal;
    struct slice record;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    prom_wal_init(&wal, file->bytes);
    while (err == ERR_OK && prom_wal_next(&wal, &record)) {
        err = take_record(head, file->kind, record, &arena, &info);
        arena_reset(&arena);
    }
    if (err == ERR_OK && wal.err != ERR_OK)
        err = err_set(&info, wal.err, "%s", err_message(wal.err, &wal.info));
    if (head->scans && err != ERR_OK) {
        import_fault(head->import, file->path, err, &info);
    } else if (head->scans && wal.is_torn) {
        (void)err_set(&info, ERR_CORRUPT, "ends at byte %zu in a record that is not whole", wal.at);
        if (file->is_last) /* what a kill -9 leaves: it was not acknowledged either */
            fprintf(stderr, "%s: %s\n", file->path, info.message);
        else
            import_fault(head->import, file->path, ERR_CORRUPT, &info);
    }
    prom_wal_fini(&wal);
    arena_fini(&arena);
}

static enum err take_chunk(struct head *head, const struct prom_head_chunk *chunk,
                           struct arena *arena)
{
    const enum file_kind kind = chunk->is_out_of_order ? FILE_WBL : FILE_CHUNKS;
    struct prom_chunk_iter iter;
    struct prom_sample sample;

    prom_chunk_iter_init(&iter, chunk->chunk, arena);
    while (prom_chunk_iter_next(&iter, &sample))
        take_sample(head, kind, chunk->series_ref, &sample);
    return iter.err;
}

static void take_chunks(struct head *head, const struct head_file *file)
{
    struct prom_head_chunk_iter iter;
    struct prom_head_chunk chunk;
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    prom_head_chunk_iter_init(&iter, file->bytes);
    while (err == ERR_OK && prom_head_chunk_iter_next(&iter, &chunk)) {
        err = take_chunk(head, &chunk, &arena);
        arena_reset(&arena);
    }
    if (head->scans && err != ERR_OK) {
        struct err_info info = {{0}};

        (void)err_set(&info, err, "chunk at byte %" PRIu64 " of encoding %u: %s", chunk.offset,
                      chunk.chunk.encoding, err_text(err));
        import_fault(head->import, file->path, err, &info);
    } else if (head->scans && iter.err != ERR_OK) {
        import_fault(head->import, file->path, iter.err, &iter.info);
    }
    arena_fini(&arena);
}

/* Chunks come before the log, as when Prometheus starts; but their series are known from the log
 * alone, so the first walk looks at the logs first. */
static enum err feed(void *owner, struct err_info *info)
{
    struct head *head = owner;

    (void)info;
    for (unsigned pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < head->file_count; i++) {
            const struct head_file *file = &head->files[i];
            const bool is_first = (file->kind == FILE_CHUNKS) != head->scans;

            if (is_first != (pass == 0) || file->bytes.len == 0)
                continue;
            if (file->kind == FILE_CHUNKS)
                take_chunks(head, file);
            else
                take_log(head, file);
        }
    return ERR_OK;
}

/* ---- all ---- */

/* The same files, the same key: a head that has gone on since is another one. */
static struct slice make_key(struct head *head)
{
    struct buf key;
    uint8_t digest[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];

    buf_init(&key, KEY_SIZE_MAX);
    buf_printf(&key, "head %" PRId64 "\n", head->options->t_blocks_end_ms);
    for (uint32_t i = 0; i < head->file_count; i++) {
        digest_sha256(digest, head->files[i].bytes);
        digest_hex(hex, digest, sizeof(digest));
        buf_printf(&key, "%d %s\n", (int)head->files[i].kind, hex);
    }
    ASSERT(key.err == ERR_OK);
    digest_sha256(digest, buf_slice(&key));
    buf_fini(&key);
    return arena_copy(&head->arena, slice_of(digest, sizeof(digest)));
}

void import_head(struct import *import, const struct import_head_options *options)
{
    struct head head = {.import = import, .options = options};
    struct err_info info = {{0}};
    enum err err;

    arena_init(&head.arena, NULL, 0);
    map_init(&head.ids, NULL, NULL);
    head.collect = import_collect_new(import->memory_max);
    err = find_files(&head, &info);
    if (err != ERR_OK) {
        import_fault(import, options->dir, err, &info);
    } else {
        head.scans = true;
        err = feed(&head, &info);
        ASSERT(err == ERR_OK);
        head.scans = false;
        import_collect_seal(head.collect);
        const struct import_collect_source source = {
            .name = tool_file_path(&head.arena, options->dir, "wal"),
            .key = make_key(&head),
            .feed = feed,
            .owner = &head};
        import_collect_put(import, head.collect, &source);
        if (head.unknown_refs > 0)
            fprintf(stderr,
                    "%s: %" PRIu64 " entries are of series that no record names, as "
                    "Prometheus would find too\n",
                    source.name, head.unknown_refs);
    }
    for (uint32_t i = 0; i < head.file_count; i++)
        tool_file_unmap(head.files[i].bytes);
    import_collect_free(head.collect);
    map_fini(&head.ids);
    arena_fini(&head.arena);
}
