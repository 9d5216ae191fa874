/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots: <path>/snapshots/<name>/ is a data directory of its own, from which a server starts:
 * identity, a catalog, the files of the blocks by hard links (copies where the file system has
 * none), and what the head holds as blocks more. It gets its name when it is whole and durable. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/time_text.h"
#include "storage/block_writer.h"
#include "storage/db_internal.h"
#include "storage/flush.h"

enum { SNAPSHOT_PATH_SIZE = DB_PATH_SIZE + 200, COPY_SIZE = 1 << 20 };

struct snapshot {
    struct db *db;
    const struct db_snapshot_options *options;
    char dir[SNAPSHOT_PATH_SIZE];    /* of all */
    char tmp[SNAPSHOT_PATH_SIZE];    /* of this one until it is whole */
    char blocks[SNAPSHOT_PATH_SIZE]; /* in tmp */
    struct catalog_entry *entries;   /* owned: what the head gave */
    uint32_t entry_count;
    const char *from, *to; /* of the block being linked */
    struct err_info *info;
};

static bool is_cancelled(void *owner)
{
    const struct snapshot *snapshot = owner;

    if (atomic_load_explicit(&snapshot->db->is_stopping, memory_order_relaxed))
        return true;
    return snapshot->options->cancelled != NULL &&
           atomic_load_explicit(snapshot->options->cancelled, memory_order_relaxed);
}

/* ---- files ---- */

static enum err copy_bytes(struct env_file *from, struct env_file *to)
{
    char *bytes = mem_alloc(COPY_SIZE);
    uint64_t offset = 0;
    size_t got = COPY_SIZE;
    enum err err = ERR_OK;

    while (err == ERR_OK && got == COPY_SIZE) {
        err = from->ops->read_at(from, offset, bytes, COPY_SIZE, &got);
        if (err == ERR_OK && got > 0)
            err = to->ops->write_at(to, offset, bytes, got);
        offset += got;
    }
    mem_free(bytes);
    return err == ERR_OK ? to->ops->sync(to) : err;
}

static enum err copy_file(struct env *env, const char *from, const char *to)
{
    struct env_file *source, *target;
    enum err err = env->fs->open(env, from, ENV_OPEN_READ, &source);

    if (err != ERR_OK)
        return err;
    err = env->fs->open(env, to, ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL,
                        &target);
    if (err == ERR_OK) {
        err = copy_bytes(source, target);
        const enum err close_err = target->ops->close(target);
        err = err == ERR_OK ? close_err : err;
    }
    (void)source->ops->close(source);
    return err;
}

static enum err link_file(void *owner, const char *name)
{
    struct snapshot *snapshot = owner;
    struct env *env = snapshot->db->options.env;
    char from[SNAPSHOT_PATH_SIZE + 200];
    char to[SNAPSHOT_PATH_SIZE + 200];

    if ((size_t)snprintf(from, sizeof(from), "%s/%s", snapshot->from, name) >= sizeof(from) ||
        (size_t)snprintf(to, sizeof(to), "%s/%s", snapshot->to, name) >= sizeof(to))
        return ERR_TOO_LARGE;
    enum err err = FAULT("snapshot.link") ? ERR_IO : env->fs->link(env, from, to);
    if (err == ERR_UNSUPPORTED)
        err = copy_file(env, from, to);
    return err == ERR_OK ? ERR_OK : err_set(snapshot->info, err, "%s: %s", to, err_text(err));
}

static enum err link_block(struct snapshot *snapshot, const struct block *block)
{
    struct db *db = snapshot->db;
    struct env *env = db->options.env;
    char from[SNAPSHOT_PATH_SIZE + 40];
    char to[SNAPSHOT_PATH_SIZE + 40];
    char name[ULID_TEXT_LEN + 1];

    ulid_print(block_get_meta(block)->ulid, name);
    (void)snprintf(from, sizeof(from), "%s/%s", db->blocks_dir, name);
    (void)snprintf(to, sizeof(to), "%s/%s", snapshot->blocks, name);
    snapshot->from = from;
    snapshot->to = to;
    enum err err = env->fs->mkdir(env, to);
    if (err == ERR_OK)
        err = env->fs->list(env, from, link_file, snapshot);
    if (err == ERR_OK)
        err = FAULT("snapshot.sync_block") ? ERR_IO : env->fs->sync_dir(env, to);
    return err == ERR_OK ? ERR_OK : err_set(snapshot->info, err, "%s: %s", to, err_text(err));
}

struct removal {
    struct env *env;
    const char *path;
};

static enum err remove_block(void *owner, const char *name)
{
    const struct removal *removal = owner;
    char path[SNAPSHOT_PATH_SIZE + 200];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", removal->path, name) < sizeof(path))
        block_writer_remove_dir(removal->env, path);
    return ERR_OK;
}

/* Snapshots are two directories deep; what fails is left to the next start. */
static void remove_snapshot(struct env *env, const char *path)
{
    char blocks[SNAPSHOT_PATH_SIZE + 200];
    struct removal removal = {env, blocks};

    (void)snprintf(blocks, sizeof(blocks), "%s/blocks", path);
    (void)env->fs->list(env, blocks, remove_block, &removal);
    (void)env->fs->rmdir(env, blocks);
    block_writer_remove_dir(env, path);
}

static enum err remove_unfinished(void *owner, const char *name)
{
    const struct removal *removal = owner;
    char path[SNAPSHOT_PATH_SIZE + 200];

    if (slice_has_suffix(slice_from_cstr(name), SLICE(".tmp")) &&
        (size_t)snprintf(path, sizeof(path), "%s/%s", removal->path, name) < SNAPSHOT_PATH_SIZE)
        remove_snapshot(removal->env, path);
    return ERR_OK;
}

void db_snapshots_clean(struct db *db)
{
    char path[SNAPSHOT_PATH_SIZE];
    struct removal removal = {db->options.env, path};

    (void)snprintf(path, sizeof(path), "%s/snapshots", db->path);
    (void)db->options.env->fs->list(db->options.env, path, remove_unfinished, &removal);
}

/* ---- what goes in ---- */

static enum err add_window(struct snapshot *snapshot, int64_t start_ms)
{
    struct db *db = snapshot->db;
    const struct flush_options options = {.env = db->options.env,
                                          .head = db->head,
                                          .door = db->door,
                                          .hash_key = &db->hash_key,
                                          .dir = snapshot->blocks,
                                          .cleaned_version = catalog_version(db->catalog),
                                          .t_min_ms = start_ms,
                                          .t_end_ms = start_ms + db->options.block_range_ms,
                                          .is_cancelled = is_cancelled,
                                          .owner = snapshot};
    struct flush_result result;
    const enum err err = flush_window(&options, &result, snapshot->info);

    if (err != ERR_OK && err != ERR_END)
        return err;
    head_flush_close(result.flush); /* the head keeps what it has */
    if (err == ERR_END)
        return ERR_OK;
    snapshot->entries = mem_realloc(snapshot->entries, (size_t)(snapshot->entry_count + 1) *
                                                           sizeof(*snapshot->entries));
    snapshot->entries[snapshot->entry_count++] = catalog_entry_of(&result.meta);
    return ERR_OK;
}

static enum err add_head(struct snapshot *snapshot)
{
    struct db *db = snapshot->db;
    const int64_t range_ms = db->options.block_range_ms;
    struct head_stats stats;
    enum err err = ERR_OK;

    head_get_stats(db->head, &stats);
    for (int64_t t_ms = stats.t_min_ms; t_ms <= stats.t_max_ms && err == ERR_OK;) {
        const int64_t rest = t_ms % range_ms;
        const int64_t start_ms = t_ms - (rest < 0 ? rest + range_ms : rest);

        err = add_window(snapshot, start_ms);
        t_ms = start_ms + range_ms;
    }
    return err;
}

static enum err add_blocks(struct snapshot *snapshot)
{
    struct db *db = snapshot->db;
    struct db_blocks *blocks = db_blocks_get(db);
    struct ulid *ulids = mem_alloc(((size_t)blocks->count + 1) * sizeof(*ulids));
    struct catalog_copy copy = {.ulids = ulids};
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < blocks->count && err == ERR_OK; i++) {
        if (is_cancelled(snapshot))
            err = err_set(snapshot->info, ERR_CANCELLED, "snapshot cancelled");
        else
            err = link_block(snapshot, blocks->items[i].block);
        ulids[copy.ulid_count++] = block_get_meta(blocks->items[i].block)->ulid;
    }
    if (err == ERR_OK && !snapshot->options->skip_head)
        err = add_head(snapshot);
    copy.more = snapshot->entries;
    copy.more_count = snapshot->entry_count;
    if (err == ERR_OK)
        err = catalog_write_copy(db->catalog, snapshot->tmp, &copy, snapshot->info);
    mem_free(ulids);
    db_blocks_unref(blocks);
    return err;
}

/* ---- a snapshot ---- */

static void make_name(struct db *db, char name[DB_SNAPSHOT_NAME_SIZE])
{
    struct time_text_civil civil;

    time_text_to_civil(env_now_ms(db->options.env) / 1000, &civil);
    (void)snprintf(name, DB_SNAPSHOT_NAME_SIZE, "%04d%02d%02dT%02d%02d%02dZ-%016" PRIx64,
                   (int)civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
                   env_random_u64(db->options.env) >> 1);
}

static enum err make_dirs(struct snapshot *snapshot)
{
    struct env *env = snapshot->db->options.env;
    enum err err = env->fs->mkdir(env, snapshot->dir);

    if (err == ERR_EXISTS)
        err = ERR_OK;
    else if (err == ERR_OK)
        err = env->fs->sync_dir(env, snapshot->db->path);
    if (err == ERR_OK)
        err = FAULT("snapshot.mkdir") ? ERR_IO : env->fs->mkdir(env, snapshot->tmp);
    if (err == ERR_OK)
        err = env->fs->mkdir(env, snapshot->blocks);
    return err == ERR_OK ? ERR_OK
                         : err_set(snapshot->info, err, "%s: %s", snapshot->tmp, err_text(err));
}

static enum err fill_and_publish(struct snapshot *snapshot, const char *name)
{
    struct db *db = snapshot->db;
    struct env *env = db->options.env;
    char from[SNAPSHOT_PATH_SIZE + 200];
    char to[SNAPSHOT_PATH_SIZE + 200];
    enum err err = make_dirs(snapshot);

    if (err == ERR_OK)
        err = add_blocks(snapshot);
    if (err != ERR_OK)
        return err;
    (void)snprintf(from, sizeof(from), "%s/identity", db->path);
    (void)snprintf(to, sizeof(to), "%s/identity", snapshot->tmp);
    err = copy_file(env, from, to);
    if (err == ERR_OK)
        err = env->fs->sync_dir(env, snapshot->blocks);
    if (err == ERR_OK)
        err = env->fs->sync_dir(env, snapshot->tmp);
    (void)snprintf(to, sizeof(to), "%s/%s", snapshot->dir, name);
    if (err == ERR_OK)
        err = FAULT("snapshot.rename") ? ERR_IO : env->fs->rename(env, snapshot->tmp, to);
    if (err == ERR_OK)
        err = env->fs->sync_dir(env, snapshot->dir);
    return err == ERR_OK ? ERR_OK : err_set(snapshot->info, err, "%s: %s", to, err_text(err));
}

enum err db_snapshot(struct db *db, const struct db_snapshot_options *options,
                     char name[DB_SNAPSHOT_NAME_SIZE], struct err_info *info)
{
    struct snapshot snapshot = {.db = db, .options = options, .info = info};
    char made[DB_SNAPSHOT_NAME_SIZE];
    enum err err = db_slot_take(db, &db->flush_slot, options->deadline_ns);

    if (err != ERR_OK)
        return err_set(info, err, "%s",
                       err == ERR_CLOSED ? "storage is stopping" : "a flush is under way");
    make_name(db, made);
    (void)snprintf(snapshot.dir, sizeof(snapshot.dir), "%s/snapshots", db->path);
    (void)snprintf(snapshot.tmp, sizeof(snapshot.tmp), "%s/snapshots/%s.tmp", db->path, made);
    (void)snprintf(snapshot.blocks, sizeof(snapshot.blocks), "%s/snapshots/%s.tmp/blocks", db->path,
                   made);
    err = fill_and_publish(&snapshot, made);
    if (err != ERR_OK) {
        char path[SNAPSHOT_PATH_SIZE + DB_SNAPSHOT_NAME_SIZE];

        remove_snapshot(db->options.env, snapshot.tmp);
        /* It has its name already when that could not be made durable. */
        (void)snprintf(path, sizeof(path), "%s/%s", snapshot.dir, made);
        remove_snapshot(db->options.env, path);
    }
    db_slot_give(db, &db->flush_slot);
    mem_free(snapshot.entries);
    if (err == ERR_OK) {
        memcpy(name, made, sizeof(made));
        log_info(&db->log, "snapshot made", F_STR("name", name));
    }
    return err;
}
