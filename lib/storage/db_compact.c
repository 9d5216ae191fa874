/* SPDX-License-Identifier: Apache-2.0 */

/* Merging of live blocks. Who merges has the compact slot, and only for the change of the list of
 * blocks the flush slot too: flushes and readers go on meanwhile. */

#include <string.h>

#include "base/mem.h"
#include "storage/block_verify.h"
#include "storage/block_writer.h"
#include "storage/compact.h"
#include "storage/compact_plan.h"
#include "storage/db_internal.h"

enum {
    BAR_MS_MIN = 60000, /* that a block is left alone after a merge failed on it; doubles */
    BAR_MS_MAX = 4 * 3600 * 1000,
};

struct compact_round {
    struct db *db;
    const struct db_compact_options *options;
    struct db_blocks *blocks; /* a reference: as it was when the round began */
};

static bool round_is_cancelled(void *owner)
{
    const struct compact_round *round = owner;

    if (atomic_load_explicit(&round->db->is_stopping, memory_order_relaxed))
        return true;
    return round->options->cancelled != NULL &&
           atomic_load_explicit(round->options->cancelled, memory_order_relaxed);
}

static uint64_t block_size(const struct block *block)
{
    const struct block_meta *meta = block_get_meta(block);

    return meta->index.size_bytes + meta->data.size_bytes;
}

/* ---- blocks that merges failed on ---- */

static struct db_barred *find_barred(struct db *db, struct ulid ulid)
{
    for (uint32_t i = 0; i < db->barred_count; i++)
        if (ulid_cmp(db->barred[i].ulid, ulid) == 0)
            return &db->barred[i];
    return NULL;
}

static void bar_block(struct db *db, struct ulid ulid)
{
    struct db_barred *barred = find_barred(db, ulid);
    uint64_t wait_ms = BAR_MS_MIN;

    if (barred == NULL) {
        db->barred = mem_realloc(db->barred, (size_t)(db->barred_count + 1) * sizeof(*db->barred));
        barred = &db->barred[db->barred_count++];
        *barred = (struct db_barred){.ulid = ulid};
    }
    for (uint32_t i = 0; i < barred->failures && wait_ms < BAR_MS_MAX; i++)
        wait_ms *= 2;
    barred->failures++;
    barred->until_ns = db_now_ns(db) + wait_ms * DB_NS_PER_MS;
}

/* Those that are no longer live need no memory. */
static void trim_barred(struct db *db, const struct db_blocks *blocks)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < db->barred_count; i++) {
        bool is_live = false;

        for (uint32_t j = 0; j < blocks->count && !is_live; j++)
            is_live =
                ulid_cmp(block_get_meta(blocks->items[j].block)->ulid, db->barred[i].ulid) == 0;
        if (is_live)
            db->barred[kept++] = db->barred[i];
    }
    db->barred_count = kept;
}

/* ---- one merge ---- */

/* What a merge writes must fit, and leave what writes and flushes need. */
static enum err check_space(struct compact_round *round, const struct compact_input *inputs,
                            uint32_t count, struct err_info *info)
{
    struct env *env = round->db->options.env;
    struct env_space space;
    uint64_t need_bytes = round->db->options.low_space_bytes;

    if (env->fs->space(env, round->db->blocks_dir, &space) != ERR_OK)
        return ERR_OK; /* the writing will tell */
    for (uint32_t i = 0; i < count; i++)
        need_bytes += block_size(inputs[i].block);
    if (space.free_bytes >= need_bytes)
        return ERR_OK;
    return err_set(info, ERR_NO_SPACE, "a merge may need %llu bytes, %llu are free",
                   (unsigned long long)need_bytes, (unsigned long long)space.free_bytes);
}

/* The inputs must be what is live: retention may have been quicker. */
static bool are_live(struct db *db, const struct compact_input *inputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (catalog_find(db->catalog, block_get_meta(inputs[i].block)->ulid) == NULL)
            return false;
    return true;
}

/* Puts the new block (NULL: nothing was left) in the place of the inputs. Takes block. */
static enum err replace(struct compact_round *round, const struct compact_input *inputs,
                        uint32_t count, struct block *block, struct err_info *info)
{
    struct db *db = round->db;
    struct ulid detach[COMPACT_PICKS_MAX];
    enum err err = db_slot_take(db, &db->flush_slot, 0);

    const bool has_slot = err == ERR_OK;

    if (!has_slot)
        err = err_set(info, ERR_CANCELLED, "compaction cancelled");
    for (uint32_t i = 0; i < count; i++)
        detach[i] = block_get_meta(inputs[i].block)->ulid;
    if (err == ERR_OK && !are_live(db, inputs, count))
        err = err_set(info, ERR_CANCELLED, "a block that was merged is gone");
    if (err != ERR_OK) {
        if (has_slot)
            db_slot_give(db, &db->flush_slot);
        if (block != NULL)
            block_doom(block);
        block_unref(block);
        return err;
    }
    err = db_blocks_commit(
        db, &(struct db_commit){.attach = block, .detach = detach, .detach_count = count}, info);
    if (err == ERR_OK)
        db_blocks_bury(db);
    db_slot_give(db, &db->flush_slot);
    return err;
}

static void note_merge(struct db *db, uint32_t count, const struct block_meta *meta,
                       uint64_t took_ns)
{
    char name[ULID_TEXT_LEN + 1] = "";

    if (meta->sample_count > 0)
        ulid_print(meta->ulid, name);
    metric_inc(&db->metrics.compactions);
    metric_add(&db->metrics.compacted_blocks, count);
    metric_add(&db->metrics.compacted_samples, meta->sample_count);
    metric_add(&db->metrics.compacted_bytes, meta->index.size_bytes + meta->data.size_bytes);
    metric_observe(&db->metrics.compaction_seconds, (double)took_ns / 1e9);
    log_info(&db->log, "blocks merged", F_STR("block", name), F_UINT("blocks", count),
             F_INT("mint", meta->window_t_min_ms), F_INT("maxt", meta->window_t_end_ms),
             F_UINT("series", meta->series_count), F_UINT("samples", meta->sample_count),
             F_UINT("bytes", meta->index.size_bytes + meta->data.size_bytes),
             F_DUR("took", took_ns));
}

/* One block instead of the inputs. */
static enum err merge_blocks(struct compact_round *round, const struct compact_input *inputs,
                             uint32_t count, struct err_info *info)
{
    struct db *db = round->db;
    const struct compact_job job = {.env = db->options.env,
                                    .door = db->door,
                                    .hash_key = &db->hash_key,
                                    .dir = db->blocks_dir,
                                    .inputs = inputs,
                                    .input_count = count,
                                    .cleaned_version = round->blocks->version,
                                    .is_cancelled = round_is_cancelled,
                                    .owner = round};
    const uint64_t start_ns = db_now_ns(db);
    struct block_meta meta = {0};
    struct block *block = NULL;
    enum err err = check_space(round, inputs, count, info);

    if (err == ERR_OK)
        err = compact_run(&job, &meta, info);
    if (err == ERR_OK)
        err = db_blocks_open_written(db, meta.ulid, &block, info);
    else if (err == ERR_END)
        err = ERR_OK;
    if (err != ERR_OK)
        return err;
    err = replace(round, inputs, count, block, info);
    if (err == ERR_OK)
        note_merge(db, count, &meta, db_now_ns(db) - start_ns);
    return err;
}

/* ---- rounds ---- */

/* Retention goes by whole blocks, so none is longer than a tenth of it. */
static int64_t range_ms_max(struct db *db)
{
    const int64_t retention_ms = atomic_load(&db->retention_ms);
    const int64_t max_ms = db->options.compact_range_ms_max;

    return retention_ms > 0 && retention_ms / 10 < max_ms ? retention_ms / 10 : max_ms;
}

static uint32_t plan(struct compact_round *round, uint32_t *picks)
{
    struct db *db = round->db;
    const struct db_blocks *blocks = round->blocks;
    const struct compact_levels levels = {.range_ms = db->options.block_range_ms,
                                          .range_ms_max = range_ms_max(db)};
    struct compact_candidate *candidates =
        mem_zalloc((size_t)blocks->count + 1, sizeof(*candidates));
    const uint64_t now_ns = db_now_ns(db);

    for (uint32_t i = 0; i < blocks->count; i++) {
        const struct block_meta *meta = block_get_meta(blocks->items[i].block);
        const struct db_barred *barred = find_barred(db, meta->ulid);

        candidates[i] =
            (struct compact_candidate){.window_t_min_ms = meta->window_t_min_ms,
                                       .window_t_end_ms = meta->window_t_end_ms,
                                       .size_bytes = block_size(blocks->items[i].block),
                                       .is_barred = barred != NULL && barred->until_ns > now_ns};
    }
    const uint32_t count = compact_plan(&levels, candidates, blocks->count, picks);
    mem_free(candidates);
    return count;
}

/* A merge that met bad bytes: which block has them? It is left out of merges for a while. */
static void bar_bad_blocks(struct db *db, const struct compact_input *inputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct err_info info = {0};
        const enum err err = block_verify(inputs[i].block, NULL, NULL, &info);
        char name[ULID_TEXT_LEN + 1];

        if (err != ERR_CORRUPT)
            continue;
        ulid_print(block_get_meta(inputs[i].block)->ulid, name);
        log_error(&db->log, "block is bad, left out of merges", F_STR("block", name),
                  F_ERR(err, &info));
        bar_block(db, block_get_meta(inputs[i].block)->ulid);
    }
}

/* ERR_END: there is nothing to merge. */
static enum err merge_next(struct compact_round *round, struct err_info *info)
{
    struct compact_input inputs[COMPACT_PICKS_MAX];
    uint32_t picks[COMPACT_PICKS_MAX];
    const uint32_t count = plan(round, picks);

    if (count == 0)
        return ERR_END;
    for (uint32_t i = 0; i < count; i++) {
        const struct db_live *live = &round->blocks->items[picks[i]];

        inputs[i] = (struct compact_input){live->block, {live->tombstones, live->tombstone_count}};
    }
    metric_gauge_set(&round->db->metrics.compacting, 1);
    const enum err err = merge_blocks(round, inputs, count, info);
    metric_gauge_set(&round->db->metrics.compacting, 0);
    if (err == ERR_CORRUPT)
        bar_bad_blocks(round->db, inputs, count);
    return err;
}

static void note_failure(struct db *db, enum err err, const struct err_info *info)
{
    const uint64_t wait_ns = db_retry_note(db, &db->compact_retry);

    metric_inc(&db->metrics.compaction_failures);
    log_error(&db->log, "merge of blocks failed, nothing has changed, will try again",
              F_ERR(err, info), F_DUR("in", wait_ns));
}

enum err db_compact(struct db *db, const struct db_compact_options *options, struct err_info *info)
{
    struct compact_round round = {.db = db, .options = options};
    struct err_info round_info = {0};
    enum err err = db_slot_take(db, &db->compact_slot, options->deadline_ns);

    if (err == ERR_CLOSED)
        return err_set(info, err, "storage is stopping");
    if (err != ERR_OK)
        return err_set(info, err, "another merge of blocks is under way");
    do {
        if (round_is_cancelled(&round)) {
            err = err_set(&round_info, ERR_CANCELLED, "compaction cancelled");
            break;
        }
        round.blocks = db_blocks_get(db);
        trim_barred(db, round.blocks);
        err = merge_next(&round, &round_info);
        db_blocks_unref(round.blocks);
    } while (err == ERR_OK);
    if (err == ERR_END)
        db_retry_clear(&db->compact_retry);
    else if (err != ERR_CANCELLED)
        note_failure(db, err, &round_info);
    db_slot_give(db, &db->compact_slot);
    return err == ERR_END ? ERR_OK : err_set(info, err, "%s", err_message(err, &round_info));
}

/* ---- cleaning ---- */

/* Whether the block has anything that its deletions mean. */
static enum err is_touched(const struct db_live *live, bool *touched, struct err_info *info)
{
    struct source *source = block_source(live->block);
    const struct source_hints hints = {.projection = SOURCE_SERIES_ONLY, .limit = 1};
    struct series_stream *stream;
    struct source_series series;
    struct arena arena;
    enum err err = ERR_OK;

    *touched = false;
    for (uint32_t i = 0; i < live->tombstone_count && err == ERR_OK && !*touched; i++) {
        const struct catalog_deletion *deletion = tombstone_deletion(live->tombstones[i]);

        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.tenant = deletion->tenant, .arena = &arena};
        err = source->ops->select(source, &ctx, tombstone_matchers(live->tombstones[i]),
                                  deletion->t_min_ms, deletion->t_max_ms, &hints, &stream, info);
        if (err == ERR_OK) {
            *touched = series_stream_next(stream, &series);
            err = stream->err;
            if (err != ERR_OK)
                (void)err_set(info, err, "%s", err_message(err, &stream->info));
        }
        arena_fini(&arena);
    }
    return err;
}

/* The block is as its deletions want it already: only its line says so from now on. */
static enum err mark_clean(struct compact_round *round, const struct db_live *live,
                           struct err_info *info)
{
    struct db *db = round->db;
    const struct ulid ulid = block_get_meta(live->block)->ulid;
    enum err err = db_slot_take(db, &db->flush_slot, 0);

    if (err != ERR_OK)
        return err_set(info, ERR_CANCELLED, "cleaning cancelled");
    if (catalog_find(db->catalog, ulid) != NULL)
        err = db_blocks_commit(db,
                               &(struct db_commit){.cleaned = &ulid,
                                                   .cleaned_count = 1,
                                                   .cleaned_version = round->blocks->version},
                               info);
    db_slot_give(db, &db->flush_slot);
    return err;
}

static enum err clean_block(struct compact_round *round, const struct db_live *live,
                            struct err_info *info)
{
    const struct compact_input input = {live->block, {live->tombstones, live->tombstone_count}};
    bool touched;
    enum err err = is_touched(live, &touched, info);

    if (err != ERR_OK)
        return err;
    if (!touched)
        return mark_clean(round, live, info);
    metric_gauge_set(&round->db->metrics.compacting, 1);
    err = merge_blocks(round, &input, 1, info);
    metric_gauge_set(&round->db->metrics.compacting, 0);
    return err;
}

/* The next block with deletions that was not looked at yet, in a list of blocks of its own: else
 * the files of those before would lie there until the end. */
static const struct db_live *next_unclean(struct compact_round *round, const struct buf *tried)
{
    const struct ulid *ulids = (const struct ulid *)(const void *)tried->data;
    const size_t count = tried->len / sizeof(*ulids);

    for (uint32_t i = 0; i < round->blocks->count; i++) {
        const struct db_live *live = &round->blocks->items[i];
        bool is_tried = live->tombstone_count == 0;

        for (size_t j = 0; j < count && !is_tried; j++)
            is_tried = ulid_cmp(ulids[j], block_get_meta(live->block)->ulid) == 0;
        if (!is_tried)
            return live;
    }
    return NULL;
}

/* Each block once, also when one fails: the others are not worse for it. */
static enum err clean_blocks(struct compact_round *round, struct err_info *info)
{
    struct db *db = round->db;
    enum err first_err = ERR_OK;
    struct buf tried;

    buf_init(&tried, CATALOG_ENTRIES_MAX * sizeof(struct ulid));
    for (enum err err = ERR_OK; err != ERR_CANCELLED;) {
        struct err_info block_info = {0};

        round->blocks = db_blocks_get(db);
        const struct db_live *live = next_unclean(round, &tried);
        if (live == NULL) {
            db_blocks_unref(round->blocks);
            break;
        }
        buf_add(&tried, &block_get_meta(live->block)->ulid, sizeof(struct ulid));
        err = round_is_cancelled(round) ? err_set(&block_info, ERR_CANCELLED, "cleaning cancelled")
                                        : clean_block(round, live, &block_info);
        db_blocks_unref(round->blocks);
        if (err != ERR_OK && first_err == ERR_OK)
            first_err = err_set(info, err, "%s", err_message(err, &block_info));
    }
    buf_fini(&tried);
    return first_err;
}

enum err db_clean(struct db *db, const struct db_compact_options *options, struct err_info *info)
{
    struct compact_round round = {.db = db, .options = options};
    enum err err = db_slot_take(db, &db->compact_slot, options->deadline_ns);

    if (err != ERR_OK)
        return err_set(info, err, "%s",
                       err == ERR_CLOSED ? "storage is stopping"
                                         : "a merge of blocks is under way");
    err = clean_blocks(&round, info);
    if (err != ERR_OK && err != ERR_CANCELLED)
        metric_inc(&db->metrics.compaction_failures);
    db_slot_give(db, &db->compact_slot);
    return err;
}

void db_compact_due(struct db *db)
{
    const struct db_compact_options options = {0};

    if (db_retry_waits(db, &db->compact_retry))
        return;
    const enum err err = db_compact(db, &options, NULL);
    (void)err; /* it has logged what went wrong, and a later tick tries again */
}
