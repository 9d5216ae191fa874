/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/db.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "storage/db_internal.h"

enum { CACHE_SIZE = 64 << 20 };

#define BLOCK_RANGE_MS       (INT64_C(2) * 3600 * 1000)
#define COMPACT_RANGE_MS_MAX (INT64_C(31) * 24 * 3600 * 1000)

/* ---- metrics ---- */

static double read_blocks(const void *metrics)
{
    struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);
    struct db_blocks *blocks = db_blocks_get(db);
    const uint32_t count = blocks->count;

    db_blocks_unref(blocks);
    return count;
}

static double read_bytes(const void *metrics)
{
    struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);
    struct db_blocks *blocks = db_blocks_get(db);
    double bytes = 0;

    for (uint32_t i = 0; i < blocks->count; i++) {
        const struct block_meta *meta = block_get_meta(blocks->items[i].block);

        bytes += (double)(meta->index.size_bytes + meta->data.size_bytes);
    }
    db_blocks_unref(blocks);
    return bytes;
}

static double read_lowest(const void *metrics)
{
    struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);
    struct db_stats stats;

    db_get_stats(db, &stats);
    return stats.t_min_ms > stats.t_max_ms ? 0 : (double)stats.t_min_ms;
}

/* To upstream a flush is a compaction too. */
static double read_compactions(const void *metrics)
{
    const struct db_metrics *m = metrics;

    return (double)(metric_get(&m->flushes) + metric_get(&m->compactions));
}

static double read_compactions_failed(const void *metrics)
{
    const struct db_metrics *m = metrics;

    return (double)(metric_get(&m->flush_failures) + metric_get(&m->compaction_failures));
}

static double read_retention_seconds(const void *metrics)
{
    const struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);

    return (double)atomic_load(&db->retention_ms) / 1000;
}

static double read_retention_bytes(const void *metrics)
{
    const struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);

    return (double)atomic_load(&db->retention_bytes);
}

static double read_tombstones(const void *metrics)
{
    struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);
    struct db_blocks *blocks = db_blocks_get(db);
    const uint32_t count = blocks->tombstone_count;

    db_blocks_unref(blocks);
    return count;
}

static struct sst_cache_stats cache_stats(const void *metrics)
{
    const struct db *db = CONTAINER_OF((void *)(uintptr_t)metrics, struct db, metrics);

    return sst_door_cache_stats(db->door);
}

static double read_cache_bytes(const void *metrics)
{
    return (double)cache_stats(metrics).size_bytes;
}

static double read_cache_hits(const void *metrics)
{
    return (double)cache_stats(metrics).hits;
}

static double read_cache_misses(const void *metrics)
{
    return (double)cache_stats(metrics).misses;
}

static const struct metric_desc db_metric_descs[] = {
    {"narthex_block_flushes_total", METRIC_COUNTER, offsetof(struct db_metrics, flushes),
     .help = "Windows of the head written into blocks."},
    {"narthex_block_flush_failures_total", METRIC_COUNTER,
     offsetof(struct db_metrics, flush_failures),
     .help = "Flushes that failed and are tried again; nothing is lost by one."},
    {"narthex_block_flushed_samples_total", METRIC_COUNTER,
     offsetof(struct db_metrics, flushed_samples), .help = "Samples written into blocks."},
    {"narthex_block_flush_seconds", METRIC_HISTOGRAM, offsetof(struct db_metrics, flush_seconds),
     .help = "Time to write one window into a block and attach it."},
    {"narthex_block_quarantined_total", METRIC_COUNTER, offsetof(struct db_metrics, quarantined),
     .help = "Blocks that could not be opened and are left out."},
    {"narthex_block_cache_bytes", METRIC_GAUGE_FN, .read = read_cache_bytes,
     .help = "Decoded table blocks held in memory."},
    {"narthex_block_cache_hits_total", METRIC_COUNTER_FN, .read = read_cache_hits,
     .help = "Table blocks that a read found in memory."},
    {"narthex_block_cache_misses_total", METRIC_COUNTER_FN, .read = read_cache_misses,
     .help = "Table blocks that a read had to take from a file."},
    {"prometheus_tsdb_blocks_loaded", METRIC_GAUGE_FN, .read = read_blocks,
     .help = "Number of currently loaded data blocks"},
    {"prometheus_tsdb_storage_blocks_bytes", METRIC_GAUGE_FN, .read = read_bytes,
     .help = "The number of bytes that are currently used for local storage by all blocks."},
    {"prometheus_tsdb_lowest_timestamp", METRIC_GAUGE_FN, .read = read_lowest,
     .help = "Lowest timestamp value stored in the database. The unit is decided by the library "
             "consumer."},
    {"prometheus_tsdb_compactions_total", METRIC_COUNTER_FN, .read = read_compactions,
     .help = "Total number of compactions that were executed for the partition."},
    {"prometheus_tsdb_compactions_failed_total", METRIC_COUNTER_FN, .read = read_compactions_failed,
     .help = "Total number of compactions that failed for the partition."},
    {"narthex_compactor_merges_total", METRIC_COUNTER, offsetof(struct db_metrics, compactions),
     .help = "Blocks made of others; flushes are not counted."},
    {"narthex_compactor_merge_failures_total", METRIC_COUNTER,
     offsetof(struct db_metrics, compaction_failures),
     .help = "Merges that failed and are tried again; each leaves everything as it was."},
    {"narthex_compactor_merged_blocks_total", METRIC_COUNTER,
     offsetof(struct db_metrics, compacted_blocks), .help = "Blocks that were merged into others."},
    {"narthex_compactor_merged_samples_total", METRIC_COUNTER,
     offsetof(struct db_metrics, compacted_samples), .help = "Samples written by merges."},
    {"narthex_compactor_merged_bytes_total", METRIC_COUNTER,
     offsetof(struct db_metrics, compacted_bytes), .help = "Bytes written by merges."},
    {"narthex_compactor_merging", METRIC_GAUGE, offsetof(struct db_metrics, compacting),
     .help = "1 while blocks are being merged."},
    {"prometheus_tsdb_compaction_duration_seconds", METRIC_HISTOGRAM,
     offsetof(struct db_metrics, compaction_seconds), .help = "Duration of compaction runs"},
    {"prometheus_tsdb_time_retentions_total", METRIC_COUNTER,
     offsetof(struct db_metrics, time_retentions),
     .help = "The number of times that blocks were deleted because the maximum time limit was "
             "exceeded."},
    {"prometheus_tsdb_size_retentions_total", METRIC_COUNTER,
     offsetof(struct db_metrics, size_retentions),
     .help = "The number of times that blocks were deleted because the maximum number of bytes was "
             "exceeded."},
    {"prometheus_tsdb_retention_limit_seconds", METRIC_GAUGE_FN, .read = read_retention_seconds,
     .help = "How long to retain samples in storage."},
    {"prometheus_tsdb_retention_limit_bytes", METRIC_GAUGE_FN, .read = read_retention_bytes,
     .help = "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled"},
    {"narthex_retention_failures_total", METRIC_COUNTER,
     offsetof(struct db_metrics, retention_failures),
     .help = "Removals of old blocks that failed and are tried again."},
    {"narthex_deletions_total", METRIC_COUNTER, offsetof(struct db_metrics, deletions),
     .help = "Selectors whose series were deleted by the administrative API."},
    {"prometheus_tsdb_tombstones", METRIC_GAUGE_FN, .read = read_tombstones,
     .help = "Deletions in force that blocks are not cleaned of yet."},
};

/* ---- open ---- */

/* Makes the entry of `path` in the directory above it durable. */
static enum err sync_parent(struct env *env, const char *path, size_t len)
{
    char parent[DB_PATH_SIZE];

    while (len > 0 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len == 0)
        return env->fs->sync_dir(env, ".");
    while (len > 1 && path[len - 1] == '/')
        len--;
    memcpy(parent, path, len);
    parent[len] = '\0';
    return env->fs->sync_dir(env, parent);
}

/* Makes the directory and those above it. The last one may be there without being durable, when
 * the process that made it died at once, so its entry is synced in any case. */
static enum err make_dirs(struct env *env, const char *path, struct err_info *info)
{
    char part[DB_PATH_SIZE];
    const size_t len = strlen(path);

    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        enum err err = env->fs->mkdir(env, part);
        if (err == ERR_OK || (err == ERR_EXISTS && i == len))
            err = sync_parent(env, path, i);
        if (err != ERR_OK && err != ERR_EXISTS)
            return err_set(info, err, "%s: %s", part, err_text(err));
    }
    return ERR_OK;
}

static enum err set_paths(struct db *db, struct err_info *info)
{
    const char *path = db->options.path;

    if (path[0] == '\0' ||
        (size_t)snprintf(db->path, sizeof(db->path), "%s", path) >= sizeof(db->path) ||
        (size_t)snprintf(db->blocks_dir, sizeof(db->blocks_dir), "%s/blocks", path) >=
            sizeof(db->blocks_dir) ||
        (size_t)snprintf(db->wal_dir, sizeof(db->wal_dir), "%s/wal", path) >= sizeof(db->wal_dir))
        return err_set(info, ERR_BAD_INPUT, "storage path \"%.100s\" is empty or too long", path);
    return ERR_OK;
}

static enum err lock_dir(struct db *db, struct err_info *info)
{
    struct env *env = db->options.env;
    char path[DB_PATH_SIZE + 8];

    (void)snprintf(path, sizeof(path), "%s/lock", db->path);
    const enum err err = env->fs->lock(env, path, &db->dir_lock);
    if (err == ERR_EXISTS)
        return err_set(info, err, "data directory %s is in use by another process", db->path);
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s: %s", path, err_text(err));
}

static enum err set_flag(void *owner, const char *name)
{
    struct slice text = slice_from_cstr(name);
    struct ulid ulid;

    if (ulid_parse(text, &ulid) || slice_has_suffix(text, SLICE(".wal")))
        *(bool *)owner = true;
    return ERR_OK;
}

/* Whether blocks or a log lie in a directory that has no identity or no catalog (yet): then what is
 * missing was lost, and making a new one would lose them too. */
/* Only a directory that is missing or can be listed counts as empty: a new identity over old data
 * would make them strangers to themselves. */
static enum err check_no_data(struct db *db, const char *dir, const char *missing,
                              struct err_info *info)
{
    struct env *env = db->options.env;
    bool found = false;
    const enum err err = env->fs->list(env, dir, set_flag, &found);

    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err_set(info, err, "%s cannot be listed: %s", dir, err_text(err));
    if (found)
        return err_set(info, ERR_CORRUPT, "%s has data but no file \"%s\": bring it back", db->path,
                       missing);
    return ERR_OK;
}

static enum err load_identity(struct db *db, struct err_info *info)
{
    struct env *env = db->options.env;
    struct err_info load_info = {0};
    enum err err = identity_load(env, db->path, &db->identity, &load_info);

    if (err == ERR_NOT_FOUND) {
        err = check_no_data(db, db->blocks_dir, "identity", info);
        if (err == ERR_OK)
            err = check_no_data(db, db->wal_dir, "identity", info);
        if (err == ERR_OK)
            err = identity_create(env, db->path, &db->identity, info);
    } else if (err != ERR_OK) {
        (void)err_set(info, err, "%s", err_message(err, &load_info));
    }
    if (err == ERR_OK)
        hash_key_init(&db->hash_key, db->identity.hash_seed);
    return err;
}

static enum err load_catalog(struct db *db, struct err_info *info)
{
    struct env *env = db->options.env;
    char path[DB_PATH_SIZE + 16];
    struct env_file *file;

    (void)snprintf(path, sizeof(path), "%s/catalog", db->path);
    enum err err = env->fs->open(env, path, ENV_OPEN_READ, &file);
    if (err == ERR_OK)
        (void)file->ops->close(file);
    if (err == ERR_NOT_FOUND)
        err = check_no_data(db, db->blocks_dir, "catalog", info);
    if (err != ERR_OK)
        return err_set(info, err, "%s cannot be opened: %s", path, err_text(err));
    return catalog_open(env, &db->log, db->path, &db->catalog, info);
}

static enum err open_head(struct db *db, struct err_info *info)
{
    const struct db_options *options = &db->options;
    const uint32_t gone_count = catalog_gone_count(db->catalog);
    struct head_window *windows =
        mem_zalloc((size_t)db->blocks->count + gone_count + 1, sizeof(struct head_window));
    struct head_options head = {.env = options->env,
                                .log = options->log,
                                .registry = options->registry,
                                .dir = db->wal_dir,
                                .hash_key = &db->hash_key,
                                .block_range_ms = options->block_range_ms,
                                .wal_segment_size = options->wal_segment_size,
                                .low_space_bytes = options->low_space_bytes,
                                .checkpoint_bytes = options->checkpoint_bytes,
                                .stop_checkpoint = true,
                                .future_ms_max = options->future_ms_max,
                                .late_ms_max = options->late_ms_max,
                                .series_max = options->series_max,
                                .tenant_series_max = options->tenant_series_max,
                                .exemplar_max = options->exemplar_max,
                                .windows = windows};

    /* Only of blocks that could be opened: what only a bad block has is replayed, if the log still
     * has it. And of those that were merged or deleted since. */
    for (uint32_t i = 0; i < db->blocks->count; i++) {
        const struct catalog_entry *entry =
            catalog_find(db->catalog, block_get_meta(db->blocks->items[i].block)->ulid);

        if (entry->watermark > 0)
            windows[head.window_count++] = (struct head_window){
                entry->window_t_min_ms, entry->window_t_end_ms, entry->watermark};
    }
    for (uint32_t i = 0; i < gone_count; i++) {
        const struct catalog_gone *gone = catalog_gone_get(db->catalog, i);

        if (gone->watermark > 0)
            windows[head.window_count++] =
                (struct head_window){gone->window_t_min_ms, gone->window_t_end_ms, gone->watermark};
    }
    const enum err err = head_open(&head, &db->head, info);
    mem_free(windows);
    return err;
}

static enum err open_all(struct db *db, struct err_info *info)
{
    struct env *env = db->options.env;
    enum err err = set_paths(db, info);

    if (err == ERR_OK)
        err = make_dirs(env, db->path, info);
    if (err == ERR_OK)
        err = lock_dir(db, info);
    if (err == ERR_OK)
        err = load_identity(db, info);
    if (err == ERR_OK)
        err = make_dirs(env, db->blocks_dir, info);
    if (err == ERR_OK)
        err = make_dirs(env, db->wal_dir, info);
    if (err == ERR_OK)
        err = load_catalog(db, info);
    if (err == ERR_OK) {
        const size_t cache = db->options.cache_size_bytes;

        err = env->fs->sync_dir(env, db->path);
        if (err != ERR_OK)
            return err_set(info, err, "%s: %s", db->path, err_text(err));
        db->door = sst_door_new(env, (struct sst_door_options){cache == 0 ? CACHE_SIZE : cache});
        err = db_blocks_load(db, info);
    }
    if (err == ERR_OK)
        err = open_head(db, info);
    return err;
}

enum err db_open(const struct db_options *options, struct db **out, struct err_info *info)
{
    struct db *db = mem_zalloc(1, sizeof(*db));

    db->source.ops = &db_read_ops;
    db->options = *options;
    db_set_retention(db, &options->retention);
    if (db->options.block_range_ms == 0)
        db->options.block_range_ms = BLOCK_RANGE_MS;
    if (db->options.compact_range_ms_max == 0)
        db->options.compact_range_ms_max = COMPACT_RANGE_MS_MAX;
    db->log = log_make(options->log == NULL ? NULL : options->log->sink, "storage");
    pthread_mutex_init(&db->lock, NULL);
    list_init(&db->idle_waiters);
    db_slot_init(&db->flush_slot);
    db_slot_init(&db->compact_slot);
    const enum err err = open_all(db, info);

    if (err != ERR_OK) {
        db_close(db);
        return err;
    }
    /* Not before the list of blocks is there, at which a scrape may look. */
    metric_register(options->registry, db_metric_descs, COUNT_OF(db_metric_descs), &db->metrics);
    db->has_metrics = true;
    db_snapshots_clean(db);
    db_upkeep_start(db);
    *out = db;
    return ERR_OK;
}

enum err db_stop(struct db *db, uint64_t deadline_ns)
{
    const enum err err = db_upkeep_stop(db, deadline_ns);

    if (err != ERR_OK)
        return err;
    return head_stop(db->head, deadline_ns);
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    db_upkeep_end(db);
    if (db->has_metrics)
        metric_unregister(db->options.registry, db_metric_descs, COUNT_OF(db_metric_descs),
                          &db->metrics);
    head_close(db->head);
    db_blocks_unref(db->blocks);
    block_unref(db->limbo);
    catalog_close(db->catalog);
    mem_free(db->barred);
    mem_free(db->missing);
    sst_door_free(db->door);
    if (db->dir_lock != NULL)
        (void)db->dir_lock->ops->close(db->dir_lock);
    pthread_mutex_destroy(&db->lock);
    mem_free(db);
}

struct appender *db_appender(struct db *db)
{
    return head_appender(db->head);
}

struct source *db_source(struct db *db)
{
    return &db->source;
}

void db_set_exemplar_max(struct db *db, uint32_t max)
{
    head_set_exemplar_max(db->head, max);
}

const struct hash_key *db_hash_key(const struct db *db)
{
    return &db->hash_key;
}

void db_get_stats(struct db *db, struct db_stats *stats)
{
    struct db_blocks *blocks = db_blocks_get(db);

    *stats = (struct db_stats){.quarantined = metric_get(&db->metrics.quarantined),
                               .flushes = metric_get(&db->metrics.flushes),
                               .flush_failures = metric_get(&db->metrics.flush_failures),
                               .compactions = metric_get(&db->metrics.compactions),
                               .compaction_failures = metric_get(&db->metrics.compaction_failures),
                               .tombstones = blocks->tombstone_count};
    head_get_stats(db->head, &stats->head);
    stats->t_min_ms = stats->head.t_min_ms;
    stats->t_max_ms = stats->head.t_max_ms;
    for (uint32_t i = 0; i < blocks->count; i++) {
        const struct block_meta *meta = block_get_meta(blocks->items[i].block);
        const bool is_empty = stats->t_min_ms > stats->t_max_ms;

        stats->blocks++;
        stats->block_bytes += meta->index.size_bytes + meta->data.size_bytes;
        stats->block_samples += meta->sample_count;
        stats->block_series += meta->series_count;
        if (is_empty || meta->t_min_ms < stats->t_min_ms)
            stats->t_min_ms = meta->t_min_ms;
        if (is_empty || meta->t_max_ms > stats->t_max_ms)
            stats->t_max_ms = meta->t_max_ms;
    }
    db_blocks_unref(blocks);
}
