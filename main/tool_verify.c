/* SPDX-License-Identifier: Apache-2.0 */

/* `narthex tsdb verify`: reads every byte of a data directory that no server runs on, and changes
 * none: identity, catalog, all blocks, checkpoints, all segments of the log. Each fault is a line
 * on standard output that names file and place. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/env_real.h"
#include "base/mem.h"
#include "main/tool_file.h"
#include "main/tool_tsdb_internal.h"
#include "storage/block_verify.h"
#include "storage/catalog.h"
#include "storage/checkpoint.h"
#include "storage/identity.h"
#include "storage/wal_dir.h"
#include "storage/wal_format.h"

enum { VERIFY_FAULTS_MAX = 100, VERIFY_CACHE_SIZE = 8 << 20, VERIFY_PATH_SIZE = 1200 };

struct verify {
    const char *dir;
    char blocks_dir[VERIFY_PATH_SIZE], wal_dir[VERIFY_PATH_SIZE];
    struct env env;
    struct hash_key hash_key;
    struct sst_door *door;
    const char *place; /* of what is read: before each fault */
    uint64_t faults, blocks, samples, segments, records;
};

static void on_fault(void *owner, const char *text)
{
    struct verify *verify = owner;

    printf("%s: %s\n", verify->place, text);
    verify->faults++;
}

static void fault(struct verify *verify, const char *place, enum err err,
                  const struct err_info *info)
{
    verify->place = place;
    on_fault(verify, err_message(err, info));
}

/* ---- blocks ---- */

static void check_entry(struct verify *verify, const struct catalog_entry *entry,
                        const struct block_meta *meta)
{
    if (entry->t_min_ms != meta->t_min_ms || entry->t_max_ms != meta->t_max_ms ||
        entry->series_count != meta->series_count || entry->chunk_count != meta->chunk_count ||
        entry->sample_count != meta->sample_count)
        on_fault(verify, "meta.json and the catalog say different things of it");
}

static void verify_block(struct verify *verify, const struct catalog_entry *entry)
{
    const struct block_options options = {.env = &verify->env,
                                          .door = verify->door,
                                          .hash_key = &verify->hash_key,
                                          .dir = verify->blocks_dir};
    const struct block_verify_options verify_options = {
        .fault_max = VERIFY_FAULTS_MAX, .on_fault = on_fault, .owner = verify};
    struct block_verify_report report = {.fault_count = 0};
    char name[ULID_TEXT_LEN + 1], path[2 * VERIFY_PATH_SIZE];
    struct err_info info = {{0}};
    struct block *block;

    ulid_print(entry->ulid, name);
    (void)snprintf(path, sizeof(path), "%s/%s", verify->blocks_dir, name);
    enum err err = block_open(&options, entry->ulid, &block, &info);
    if (err != ERR_OK) {
        fault(verify, path, err, &info);
        return;
    }
    verify->place = path;
    check_entry(verify, entry, block_get_meta(block));
    err = block_verify(block, &verify_options, &report, &info);
    if (err != ERR_OK && report.fault_count == 0) /* the others were told one by one */
        fault(verify, path, err, &info);
    verify->blocks++;
    verify->samples += report.sample_count;
    block_unref(block);
}

static void verify_blocks(struct verify *verify)
{
    struct catalog_state state;
    struct err_info info = {{0}};
    const enum err err = tool_tsdb_read_catalog(verify->dir, &state, &info);

    if (err != ERR_OK) {
        fault(verify, verify->dir, err, &info);
        return;
    }
    for (uint32_t i = 0; i < state.count; i++)
        verify_block(verify, &state.entries[i]);
    catalog_state_fini(&state);
}

/* ---- the log ---- */

struct segment {
    char path[WAL_PATH_SIZE];
    uint64_t number;
    struct slice bytes; /* mapped */
    struct wal_header header;
    bool has_header, is_void;
    uint64_t end; /* UINT64_MAX: not known */
};

static void read_header(struct verify *verify, struct segment *segments, size_t index)
{
    struct segment *segment = &segments[index];
    struct err_info info = {{0}};
    const struct slice head =
        slice_of(segment->bytes.data,
                 segment->bytes.len < WAL_HEADER_SIZE ? segment->bytes.len : WAL_HEADER_SIZE);
    const enum err err = wal_header_get(head, &segment->header, &info);

    segment->has_header = err == ERR_OK && segment->header.segment == segment->number;
    if (!segment->has_header) {
        /* One that was made and never used is all zeros. */
        for (size_t i = 0; i < head.len && !segment->is_void; i++)
            if (head.data[i] != 0) {
                fault(verify, segment->path, err == ERR_OK ? ERR_CORRUPT : err, &info);
                break;
            }
        segment->is_void = true;
        return;
    }
    for (size_t i = index; i-- > 0;) {
        if (segments[i].number < segment->header.prev_segment)
            break;
        if (segments[i].number == segment->header.prev_segment)
            segments[i].end = segment->header.prev_end;
        else
            segments[i].is_void = true;
    }
}

static void scan_segment(struct verify *verify, const struct segment *segment, bool is_last,
                         uint64_t *group)
{
    struct err_info info = {{0}};
    struct wal_entry entry;
    struct wal_scan scan;

    wal_scan_init(&scan, segment->bytes, segment->end);
    scan.group = *group;
    while (wal_scan_next(&scan, &entry))
        verify->records++;
    *group = scan.group;
    verify->segments++;
    if (scan.ended == WAL_SCAN_CORRUPT || (scan.ended == WAL_SCAN_TORN && !is_last)) {
        (void)err_set(&info, ERR_CORRUPT, "a record at byte %" PRIu64 " is corrupt", scan.offset);
        fault(verify, segment->path, ERR_CORRUPT, &info);
    }
}

static void verify_segments(struct verify *verify, const struct wal_dir_list *list)
{
    struct segment *segments = mem_zalloc(list->count + 1, sizeof(*segments));
    uint64_t group = 0;
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct segment *segment = &segments[count];
        struct err_info info = {{0}};

        segment->number = list->numbers[i];
        segment->end = UINT64_MAX;
        wal_dir_segment_path(segment->path, verify->wal_dir, segment->number);
        const enum err err = tool_file_map(segment->path, &segment->bytes, &info);
        if (err != ERR_OK) {
            fault(verify, segment->path, err, &info);
            continue;
        }
        read_header(verify, segments, count++);
    }
    for (size_t i = 0; i < count; i++)
        if (!segments[i].is_void)
            scan_segment(verify, &segments[i], segments[i].end == UINT64_MAX, &group);
    for (size_t i = 0; i < count; i++)
        tool_file_unmap(segments[i].bytes);
    mem_free(segments);
}

/* Frames by their checksums; the last one says that it is whole. */
static enum err check_frames(struct slice bytes, struct err_info *info)
{
    size_t at = CHECKPOINT_HEADER_SIZE, size;
    uint8_t kind = 0;

    while (at < bytes.len && kind != CHECKPOINT_END) {
        const struct slice rest = slice_skip(bytes, at);
        const char *payload = rest.data + CHECKPOINT_FRAME_HEADER_SIZE;

        if (rest.len < CHECKPOINT_FRAME_HEADER_SIZE ||
            checkpoint_frame_size(rest.data, &size) != ERR_OK || size == 0 ||
            size > rest.len - CHECKPOINT_FRAME_HEADER_SIZE)
            return err_set(info, ERR_CORRUPT, "the frame at byte %zu is not whole", at);
        if (endian_get_u32le(rest.data + 4) != crc32c(0, payload, size))
            return err_set(info, ERR_CORRUPT,
                           "the checksum of the frame at byte %zu does not match", at);
        kind = (uint8_t)payload[0];
        at += CHECKPOINT_FRAME_HEADER_SIZE + size;
    }
    return kind == CHECKPOINT_END ? ERR_OK : err_set(info, ERR_CORRUPT, "it ends too early");
}

static void verify_checkpoint(struct verify *verify, uint64_t number)
{
    struct checkpoint_header header;
    struct err_info info = {{0}};
    struct slice bytes = {NULL, 0};
    char path[WAL_PATH_SIZE];

    wal_dir_checkpoint_path(path, verify->wal_dir, number);
    enum err err = tool_file_map(path, &bytes, &info);
    if (err == ERR_OK)
        err = checkpoint_header_get(bytes, &header, &info);
    if (err == ERR_OK)
        err = check_frames(bytes, &info);
    if (err != ERR_OK)
        fault(verify, path, err, &info);
    tool_file_unmap(bytes);
}

static void verify_log(struct verify *verify)
{
    struct wal_dir_list segments = {0}, checkpoints = {0};
    enum err err = wal_dir_list(&verify->env, verify->wal_dir, WAL_DIR_SEGMENT, &segments);

    if (err == ERR_OK)
        err = wal_dir_list(&verify->env, verify->wal_dir, WAL_DIR_CHECKPOINT, &checkpoints);
    if (err != ERR_OK) {
        fault(verify, verify->wal_dir, err, NULL);
    } else {
        for (size_t i = 0; i < checkpoints.count; i++)
            verify_checkpoint(verify, checkpoints.numbers[i]);
        verify_segments(verify, &segments);
    }
    wal_dir_list_fini(&checkpoints);
    wal_dir_list_fini(&segments);
}

/* ---- all ---- */

static void verify_all(struct verify *verify)
{
    struct identity identity;
    struct err_info info = {{0}};
    const enum err err = identity_load(&verify->env, verify->dir, &identity, &info);

    if (err != ERR_OK) {
        fault(verify, verify->dir, err, &info);
        return; /* the hashes of series need its seed */
    }
    hash_key_init(&verify->hash_key, identity.hash_seed);
    verify->door = sst_door_new(&verify->env, (struct sst_door_options){VERIFY_CACHE_SIZE});
    verify_blocks(verify);
    verify_log(verify);
    sst_door_free(verify->door);
}

enum err tool_tsdb_verify(struct tool_tsdb *tool, struct err_info *info)
{
    struct verify *verify = mem_zalloc(1, sizeof(*verify));
    char lock_path[VERIFY_PATH_SIZE];
    struct env_file *lock;
    enum err err;

    env_real_init(&verify->env);
    verify->dir = tool->dir;
    (void)snprintf(verify->blocks_dir, sizeof(verify->blocks_dir), "%.1100s/blocks", tool->dir);
    (void)snprintf(verify->wal_dir, sizeof(verify->wal_dir), "%.1100s/wal", tool->dir);
    (void)snprintf(lock_path, sizeof(lock_path), "%.1100s/lock", tool->dir);
    err = tool_store_check(tool->dir, info);
    if (err != ERR_OK) {
        mem_free(verify);
        return err;
    }
    err = verify->env.fs->lock(&verify->env, lock_path, &lock);
    if (err == ERR_EXISTS) {
        err = err_set(info, err, "data directory %s is in use by another process", tool->dir);
    } else if (err != ERR_OK) {
        err = err_set(info, err, "%s: %s", lock_path, err_text(err));
    } else {
        verify_all(verify);
        (void)lock->ops->close(lock);
        printf("%s: %" PRIu64 " blocks with %" PRIu64 " samples, %" PRIu64
               " log segments with %" PRIu64 " records: %" PRIu64 " faults\n",
               tool->dir, verify->blocks, verify->samples, verify->segments, verify->records,
               verify->faults);
        if (verify->faults > 0)
            err = err_set(info, ERR_CORRUPT, "%" PRIu64 " faults", verify->faults);
    }
    mem_free(verify);
    return err;
}
