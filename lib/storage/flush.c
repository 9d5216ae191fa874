/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/flush.h"

static enum err write_samples(struct block_writer *writer, struct sample_cursor *cursor,
                              struct err_info *info)
{
    struct sample_columns columns;

    while (sample_cursor_next(cursor, &columns)) {
        const enum err err = block_writer_columns(writer, &columns, info);
        if (err != ERR_OK)
            return err;
    }
    return cursor->err == ERR_OK
               ? ERR_OK
               : err_set(info, cursor->err, "reading the head: %s", err_text(cursor->err));
}

static enum err write_exemplars(struct block_writer *writer, const struct head_flush_series *series,
                                struct err_info *info)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < series->exemplar_count && err == ERR_OK; i++)
        err = block_writer_exemplar(writer, &series->exemplars[i], info);
    return err;
}

struct write_metadata {
    struct block_writer *writer;
    struct err_info *info;
};

static enum err on_metadata(void *owner, struct slice tenant, const struct metadata *metadata)
{
    const struct write_metadata *write = owner;

    return block_writer_metadata(write->writer, tenant, metadata, write->info);
}

static enum err write_series(const struct flush_options *options, struct head_flush *flush,
                             struct block_writer *writer, struct err_info *info)
{
    struct head_flush_series series;
    enum err err = ERR_OK;

    while (err == ERR_OK && head_flush_next(flush, &series)) {
        if (options->is_cancelled != NULL && options->is_cancelled(options->owner))
            return err_set(info, ERR_CANCELLED, "flush cancelled");
        err = block_writer_series(writer, series.tenant, series.labels, info);
        if (err == ERR_OK && series.cursor != NULL)
            err = write_samples(writer, series.cursor, info);
        if (err == ERR_OK)
            err = write_exemplars(writer, &series, info);
    }
    if (err == ERR_OK && head_flush_err(flush) != ERR_OK)
        err = err_set(info, head_flush_err(flush), "reading the head: %s",
                      err_text(head_flush_err(flush)));
    return err;
}

enum err flush_window(const struct flush_options *options, struct flush_result *result,
                      struct err_info *info)
{
    struct block_writer_options writer_options = {.env = options->env,
                                                  .door = options->door,
                                                  .hash_key = options->hash_key,
                                                  .dir = options->dir,
                                                  .ulid = ulid_make(options->env),
                                                  .window_t_min_ms = options->t_min_ms,
                                                  .window_t_end_ms = options->t_end_ms,
                                                  .cleaned_version = options->cleaned_version};
    struct block_writer *writer;
    struct head_flush *flush;
    enum err err = head_flush_open(options->head, options->t_min_ms, options->t_end_ms, &flush);

    if (err != ERR_OK)
        return err_set(info, err, "reading the head: %s", err_text(err));
    writer_options.watermark = head_flush_watermark(flush);
    err = block_writer_open(&writer_options, &writer, info);
    if (err == ERR_OK) {
        struct write_metadata metadata = {writer, info};

        err = write_series(options, flush, writer, info);
        if (err == ERR_OK)
            err = head_flush_metadata(flush, on_metadata, &metadata);
        if (err == ERR_OK)
            err = block_writer_finish(writer, &result->meta, info);
        else
            block_writer_abort(writer);
    }
    if (err != ERR_OK && err != ERR_END) {
        head_flush_close(flush);
        return err;
    }
    result->flush = flush;
    return err;
}
