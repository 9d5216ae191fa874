/* SPDX-License-Identifier: Apache-2.0 */

/* Retention: whole blocks go, the oldest first, when they are too old or all together too large.
 * It must work on a disk that is full to the last byte too, where the line in the catalog that says
 * so finds no room: for that a small file is kept in reserve. */

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "storage/db_internal.h"

enum { RESERVE_SIZE = 256 << 10 };

void db_set_retention(struct db *db, const struct db_retention *retention)
{
    atomic_store(&db->retention_ms, retention->time_ms);
    atomic_store(&db->retention_bytes, retention->size_bytes);
}

/* ---- the reserve ---- */

static void reserve_path(const struct db *db, char path[DB_PATH_SIZE + 16])
{
    (void)snprintf(path, DB_PATH_SIZE + 16, "%s/reserve", db->path);
}

void db_reserve_fill(struct db *db)
{
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE;
    struct env *env = db->options.env;
    char path[DB_PATH_SIZE + 16];
    struct env_file *file;
    uint64_t size = 0;

    reserve_path(db, path);
    if (env->fs->open(env, path, flags, &file) != ERR_OK)
        return;
    enum err err = file->ops->size(file, &size);
    if (err == ERR_OK && size != RESERVE_SIZE)
        err = file->ops->allocate(file, RESERVE_SIZE);
    (void)file->ops->close(file);
    if (err != ERR_OK)
        (void)env->fs->unlink(env, path); /* part of one would never be filled up */
}

static void spend_reserve(struct db *db)
{
    struct env *env = db->options.env;
    char path[DB_PATH_SIZE + 16];

    reserve_path(db, path);
    (void)env->fs->unlink(env, path);
}

/* ---- which blocks go ---- */

struct wal_size {
    struct db *db;
    uint64_t bytes;
};

static enum err add_wal_size(void *owner, const char *name)
{
    struct wal_size *sum = owner;
    struct env *env = sum->db->options.env;
    char path[2 * DB_PATH_SIZE];
    struct env_file *file;
    uint64_t size;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", sum->db->wal_dir, name) >= sizeof(path) ||
        env->fs->open(env, path, ENV_OPEN_READ, &file) != ERR_OK)
        return ERR_OK;
    if (file->ops->size(file, &size) == ERR_OK)
        sum->bytes += size;
    (void)file->ops->close(file);
    return ERR_OK;
}

uint64_t db_wal_size(struct db *db)
{
    struct env *env = db->options.env;
    struct wal_size sum = {.db = db};

    (void)env->fs->list(env, db->wal_dir, add_wal_size, &sum);
    return sum.bytes;
}

/* The newest first. */
static int age_order(const void *a, const void *b)
{
    const struct block_meta *x = block_get_meta(*(struct block *const *)a);
    const struct block_meta *y = block_get_meta(*(struct block *const *)b);

    if (x->t_max_ms != y->t_max_ms)
        return x->t_max_ms > y->t_max_ms ? -1 : 1;
    return -ulid_cmp(x->ulid, y->ulid);
}

struct victims {
    struct ulid *ulids;
    uint32_t count, by_time, by_size;
};

/* Upstream's rules: too old is what ends the whole retention before the newest block does; too
 * large is what passes the limit when log and blocks are summed up from the newest. */
static void choose(struct db *db, const struct db_blocks *blocks, struct victims *victims)
{
    const int64_t time_ms = atomic_load(&db->retention_ms);
    const uint64_t size_max = atomic_load(&db->retention_bytes);
    uint64_t size_bytes = size_max > 0 ? db_wal_size(db) : 0;
    struct block **sorted = mem_alloc(((size_t)blocks->count + 1) * sizeof(*sorted));

    for (uint32_t i = 0; i < blocks->count; i++)
        sorted[i] = blocks->items[i].block;
    qsort((void *)sorted, blocks->count, sizeof(*sorted), age_order);
    for (uint32_t i = 0; i < blocks->count; i++) {
        const struct block_meta *meta = block_get_meta(sorted[i]);
        const uint64_t age_ms =
            (uint64_t)block_get_meta(sorted[0])->t_max_ms - (uint64_t)meta->t_max_ms;
        const bool is_old = time_ms > 0 && age_ms >= (uint64_t)time_ms;

        size_bytes += meta->index.size_bytes + meta->data.size_bytes;
        if (!is_old && (size_max == 0 || size_bytes <= size_max))
            continue;
        victims->by_time += is_old;
        victims->by_size += !is_old;
        victims->ulids[victims->count++] = meta->ulid;
    }
    mem_free((void *)sorted);
}

/* ---- a round ---- */

static enum err detach(struct db *db, const struct victims *victims, struct err_info *info)
{
    const struct db_commit commit = {.detach = victims->ulids, .detach_count = victims->count};
    enum err err = FAULT("db.retain") ? ERR_IO : db_blocks_commit(db, &commit, info);

    if (err == ERR_NO_SPACE) {
        spend_reserve(db);
        err = db_blocks_commit(db, &commit, info);
    }
    return err;
}

/* True: some went. */
static bool retain(struct db *db)
{
    struct db_blocks *blocks = db_blocks_get(db);
    struct victims victims = {.ulids =
                                  mem_alloc(((size_t)blocks->count + 1) * sizeof(struct ulid))};
    struct err_info info = {0};
    enum err err = ERR_OK;

    choose(db, blocks, &victims);
    /* Not before the commit, since it would keep the files of the victims. */
    db_blocks_unref(blocks);
    if (victims.count > 0)
        err = detach(db, &victims, &info);
    if (err != ERR_OK) {
        metric_inc(&db->metrics.retention_failures);
        log_error(&db->log, "blocks past their retention could not be removed, will try again",
                  F_UINT("blocks", victims.count), F_ERR(err, &info));
    } else if (victims.count > 0) {
        metric_add(&db->metrics.time_retentions, victims.by_time);
        metric_add(&db->metrics.size_retentions, victims.by_size);
        log_info(&db->log, "blocks removed by retention", F_UINT("by_time", victims.by_time),
                 F_UINT("by_size", victims.by_size));
    }
    mem_free(victims.ulids);
    return err == ERR_OK && victims.count > 0;
}

void db_retain(struct db *db)
{
    if (atomic_load(&db->retention_ms) <= 0 && atomic_load(&db->retention_bytes) == 0)
        return;
    if (db_slot_take(db, &db->flush_slot, 0) != ERR_OK)
        return;
    if (retain(db))
        db_blocks_bury(db);
    db_slot_give(db, &db->flush_slot);
    db_reserve_fill(db);
}
