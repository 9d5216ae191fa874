/* SPDX-License-Identifier: Apache-2.0 */

/* Deletion. What is deleted lies in blocks: samples of the head that may be meant are flushed
 * first, so that all that were visible at that moment are in blocks, and none that come later. Then
 * one record in the catalog hides them, for now and after a crash. */

#include "storage/db_internal.h"

struct delete_run {
    struct db *db;
    const struct db_delete_options *options;
    struct catalog_deletion *deletions;
    struct matcher_list *lists; /* the selectors, compiled */
};

static enum err compile(struct delete_run *run, struct arena *arena, struct err_info *info)
{
    const struct db_delete_options *options = run->options;
    enum err err = ERR_OK;

    run->deletions = ARENA_ARRAY(arena, struct catalog_deletion, options->selector_count);
    run->lists = ARENA_ARRAY(arena, struct matcher_list, options->selector_count);
    for (uint32_t i = 0; i < options->selector_count; i++) {
        const struct db_selector *selector = &options->selectors[i];
        struct matcher *matchers = ARENA_ARRAY(arena, struct matcher, selector->count);

        for (uint32_t j = 0; j < selector->count && err == ERR_OK; j++)
            err = matcher_init(&matchers[j], arena, &selector->matchers[j], info);
        run->lists[i] = (struct matcher_list){matchers, selector->count};
        run->deletions[i] = (struct catalog_deletion){.tenant = options->tenant,
                                                      .t_min_ms = options->t_min_ms,
                                                      .t_max_ms = options->t_max_ms,
                                                      .matchers = selector->matchers,
                                                      .matcher_count = selector->count};
    }
    return err;
}

/* Whether the head has samples of [t_min, t_max] that are to be deleted. */
static enum err head_is_touched(struct delete_run *run, int64_t t_min_ms, int64_t t_max_ms,
                                bool *is_touched, struct err_info *info)
{
    struct source *source = head_source(run->db->head);
    const struct source_hints hints = {.projection = SOURCE_SERIES_ONLY, .limit = 1};
    struct head_pin *pin = head_pin_new(run->db->head);
    struct series_stream *stream;
    struct source_series series;
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = run->options->tenant, .arena = &arena};
    for (uint32_t i = 0; i < run->options->selector_count && err == ERR_OK && !*is_touched; i++) {
        err = source->ops->select(source, &ctx, run->lists[i], t_min_ms, t_max_ms, &hints, &stream,
                                  info);
        if (err != ERR_OK)
            break;
        *is_touched = series_stream_next(stream, &series);
        err = stream->err;
    }
    arena_fini(&arena);
    head_pin_free(pin);
    return err;
}

/* Moves what is to be deleted from the head into blocks, and makes sure that no log or checkpoint
 * brings it back. */
static enum err move_from_head(struct delete_run *run, struct err_info *info)
{
    const struct db_delete_options *options = run->options;
    struct db *db = run->db;
    const int64_t range_ms = db->options.block_range_ms;
    struct head_stats stats;
    enum err err = ERR_OK;

    head_get_stats(db->head, &stats);
    if (stats.t_min_ms < options->t_min_ms)
        stats.t_min_ms = options->t_min_ms;
    if (stats.t_max_ms > options->t_max_ms)
        stats.t_max_ms = options->t_max_ms;
    for (int64_t t_ms = stats.t_min_ms; t_ms <= stats.t_max_ms && err == ERR_OK;) {
        const int64_t rest = t_ms % range_ms;
        const int64_t start_ms = t_ms - (rest < 0 ? rest + range_ms : rest);
        bool is_touched = false;

        err = head_is_touched(run, t_ms, start_ms + range_ms - 1, &is_touched, info);
        if (err == ERR_OK && is_touched)
            err = db_flush_window(db,
                                  &(struct db_flush_window){.t_min_ms = start_ms,
                                                            .t_end_ms = start_ms + range_ms,
                                                            .deadline_ns = options->deadline_ns,
                                                            .cancelled = options->cancelled},
                                  info);
        t_ms = start_ms + range_ms;
    }
    /* A checkpoint from before the drop may have it still. */
    if (err == ERR_OK && db->dropped_watermark > db->checkpoint_watermark)
        err = db_checkpoint(db, info);
    return err;
}

static enum err delete_all(struct delete_run *run, struct err_info *info)
{
    struct db *db = run->db;
    const struct db_delete_options *options = run->options;
    enum err err = db_slot_take(db, &db->flush_slot, options->deadline_ns);

    if (err != ERR_OK)
        return err_set(info, err, "%s",
                       err == ERR_CLOSED ? "storage is stopping" : "a flush is under way");
    err = db_blocks_settle(db, info);
    if (err == ERR_OK)
        err = move_from_head(run, info);
    if (err == ERR_OK)
        err = db_blocks_commit(db,
                               &(struct db_commit){.deletions = run->deletions,
                                                   .deletion_count = options->selector_count},
                               info);
    db_slot_give(db, &db->flush_slot);
    return err;
}

enum err db_delete(struct db *db, const struct db_delete_options *options, struct err_info *info)
{
    struct delete_run run = {.db = db, .options = options};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    err = compile(&run, &arena, info);
    if (err == ERR_OK)
        err = delete_all(&run, info);
    if (err == ERR_OK) {
        metric_add(&db->metrics.deletions, options->selector_count);
        log_info(&db->log, "series deleted", F_SLICE("tenant", options->tenant),
                 F_UINT("selectors", options->selector_count), F_INT("mint", options->t_min_ms),
                 F_INT("maxt", options->t_max_ms));
    }
    arena_fini(&arena);
    return err;
}
