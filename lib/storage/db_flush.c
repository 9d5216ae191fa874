/* SPDX-License-Identifier: Apache-2.0 */

/* Flushes. One at a time: who flushes has the flush slot. */

#include "base/mem.h"
#include "storage/db_internal.h"
#include "storage/flush.h"

enum { DROP_WAIT_MS = 200 /* between two looks at cancel while readers hold up a drop */ };

/* ---- one window ---- */

struct flush_run {
    struct db *db;
    const _Atomic bool *cancelled; /* may be NULL */
    uint64_t drop_deadline_ns;     /* of waiting for readers; 0: none */
};

static bool run_is_cancelled(void *owner)
{
    const struct flush_run *run = owner;

    if (atomic_load_explicit(&run->db->is_stopping, memory_order_relaxed))
        return true;
    return run->cancelled != NULL && atomic_load_explicit(run->cancelled, memory_order_relaxed);
}

/* The head lets go of what the block has, when the readers from before have left. Without it the
 * samples are in both, which costs memory but no answer. */
static enum err drop_from_head(struct flush_run *run, struct head_flush *flush,
                               struct err_info *info)
{
    enum err err;

    do {
        err = head_flush_drop(flush, db_now_ns(run->db) + (uint64_t)DROP_WAIT_MS * DB_NS_PER_MS);
        if (err == ERR_DEADLINE && run_is_cancelled(run))
            return err_set(info, ERR_CANCELLED, "flush cancelled while readers held it up");
        if (err == ERR_DEADLINE && run->drop_deadline_ns != 0 &&
            db_now_ns(run->db) >= run->drop_deadline_ns)
            return err_set(info, err, "queries from before held up a flush for too long");
    } while (err == ERR_DEADLINE);
    if (err != ERR_OK)
        return err_set(info, err, "dropping from the head: %s", err_text(err));
    run->db->dropped_watermark = head_flush_watermark(flush);
    return ERR_OK;
}

static enum err flush_one(struct flush_run *run, int64_t t_min_ms, int64_t t_end_ms,
                          struct err_info *info)
{
    struct db *db = run->db;
    const struct flush_options options = {.env = db->options.env,
                                          .head = db->head,
                                          .door = db->door,
                                          .hash_key = &db->hash_key,
                                          .dir = db->blocks_dir,
                                          .cleaned_version = catalog_version(db->catalog),
                                          .t_min_ms = t_min_ms,
                                          .t_end_ms = t_end_ms,
                                          .is_cancelled = run_is_cancelled,
                                          .owner = run};
    const uint64_t start_ns = db_now_ns(db);
    struct flush_result result;
    struct block *block;
    enum err err = flush_window(&options, &result, info);

    if (err == ERR_END) {
        /* What was there is not visible yet, or was dropped: the head learns its oldest time. */
        err = drop_from_head(run, result.flush, info);
        head_flush_close(result.flush);
        return err;
    }
    if (err != ERR_OK)
        return err;
    err = db_blocks_open_written(db, result.meta.ulid, &block, info);
    if (err == ERR_OK)
        err = db_blocks_commit(db, &(struct db_commit){.attach = block}, info);
    if (err == ERR_OK) {
        char name[ULID_TEXT_LEN + 1];
        const uint64_t took_ns = db_now_ns(db) - start_ns;

        ulid_print(result.meta.ulid, name);
        metric_inc(&db->metrics.flushes);
        metric_add(&db->metrics.flushed_samples, result.meta.sample_count);
        metric_observe(&db->metrics.flush_seconds, (double)took_ns / 1e9);
        log_info(&db->log, "block written", F_STR("block", name), F_INT("mint", t_min_ms),
                 F_INT("maxt", t_end_ms), F_UINT("series", result.meta.series_count),
                 F_UINT("samples", result.meta.sample_count),
                 F_UINT("bytes", result.meta.index.size_bytes + result.meta.data.size_bytes),
                 F_DUR("took", took_ns));
        err = drop_from_head(run, result.flush, info);
    }
    head_flush_close(result.flush);
    return err;
}

/* ---- a flush ---- */

static enum err flush_windows(struct flush_run *run, bool all, uint32_t *count,
                              struct err_info *info)
{
    struct db *db = run->db;
    struct head_due_options due = {.all = all};
    int64_t t_min_ms;
    int64_t t_end_ms;
    enum err err = db_blocks_settle(db, info);

    while (err == ERR_OK && head_flush_due(db->head, &due, &t_min_ms, &t_end_ms)) {
        /* Windows come oldest first; one that got samples meanwhile can wait. */
        due.after_ms = t_end_ms;
        due.has_after = true;
        if (run_is_cancelled(run))
            return err_set(info, ERR_CANCELLED, "flush cancelled");
        err = flush_one(run, t_min_ms, t_end_ms, info);
        if (err == ERR_OK)
            ++*count;
    }
    return err;
}

enum err db_flush_window(struct db *db, const struct db_flush_window *window, struct err_info *info)
{
    struct flush_run run = {
        .db = db, .cancelled = window->cancelled, .drop_deadline_ns = window->deadline_ns};

    if (run_is_cancelled(&run))
        return err_set(info, ERR_CANCELLED, "flush cancelled");
    return flush_one(&run, window->t_min_ms, window->t_end_ms, info);
}

static void note_failure(struct db *db, enum err err, const struct err_info *info)
{
    if (err == ERR_CANCELLED)
        return;
    const uint64_t wait_ns = db_retry_note(db, &db->flush_retry);
    metric_inc(&db->metrics.flush_failures);
    log_error(&db->log, "flush failed, nothing is lost, will try again", F_ERR(err, info),
              F_DUR("in", wait_ns));
}

enum err db_checkpoint(struct db *db, struct err_info *info)
{
    const uint64_t watermark = db->dropped_watermark;
    const enum err err = head_checkpoint(db->head, info);

    if (err == ERR_OK)
        db->checkpoint_watermark = watermark;
    return err;
}

static void write_checkpoint(struct db *db)
{
    struct err_info info = {0};
    const enum err err = db_checkpoint(db, &info);

    if (err != ERR_OK)
        log_warn(&db->log, "checkpoint failed, will try again", F_ERR(err, &info));
}

enum err db_flush(struct db *db, const struct db_flush_options *options, struct err_info *info)
{
    struct flush_run run = {.db = db, .cancelled = options->cancelled};
    struct err_info run_info = {0};
    uint32_t count = 0;
    enum err err = db_slot_take(db, &db->flush_slot, options->deadline_ns);

    if (err == ERR_CLOSED)
        return err_set(info, err, "storage is stopping");
    if (err != ERR_OK)
        return err_set(info, err, "another flush is under way");
    if (atomic_load(&db->is_stopping)) {
        db_slot_give(db, &db->flush_slot);
        return err_set(info, ERR_CLOSED, "storage is stopping");
    }
    err = flush_windows(&run, options->all, &count, &run_info);
    if (err == ERR_OK) {
        db_retry_clear(&db->flush_retry);
    } else {
        note_failure(db, err, &run_info);
        (void)err_set(info, err, "%s", err_message(err, &run_info));
    }
    if (count > 0 && !run_is_cancelled(&run))
        write_checkpoint(db);
    db_blocks_bury(db);
    db_slot_give(db, &db->flush_slot);
    return err;
}

void db_flush_due(struct db *db)
{
    const struct db_flush_options options = {0};

    if (db_retry_waits(db, &db->flush_retry))
        return;
    const enum err err = db_flush(db, &options, NULL);
    (void)err; /* it has logged what went wrong, and the next tick tries again */
}
