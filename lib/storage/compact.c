/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/compact.h"

#include "base/fault.h"
#include "storage/block_key.h"
#include "storage/merge.h"

/* An input's series with exemplars, beside the merged stream of samples. */
struct exemplar_input {
    const struct compact_input *input;
    struct block_exemplar_iter *iter;
    struct label_set labels; /* of the series it stands on */
    bool is_over;
};

struct run {
    const struct compact_job *job;
    struct block_writer *writer;
    struct arena arena; /* a tenant's streams */
    struct buf tenant, next, candidate;
    struct exemplar_input *exemplars; /* of the tenant; in arena */
};

/* The next tenant of any input, in run->next. ERR_END: there is none. */
static enum err next_tenant(struct run *run, struct slice after, struct err_info *info)
{
    bool found = false;

    for (uint32_t i = 0; i < run->job->input_count; i++) {
        const enum err err =
            block_next_tenant(run->job->inputs[i].block, after, &run->candidate, info);

        if (err == ERR_END)
            continue;
        if (err != ERR_OK)
            return err;
        if (found && slice_cmp(buf_slice(&run->candidate), buf_slice(&run->next)) >= 0)
            continue;
        buf_reset(&run->next);
        buf_add_slice(&run->next, buf_slice(&run->candidate));
        found = true;
    }
    return found ? ERR_OK : ERR_END;
}

/* ---- exemplars: a series may have them without samples ---- */

static enum err advance_exemplars(struct exemplar_input *input, struct err_info *info)
{
    const enum err err = block_exemplar_iter_next(input->iter, &input->labels, info);

    input->is_over = err == ERR_END;
    return err == ERR_END ? ERR_OK : err;
}

static enum err open_exemplars(struct run *run, struct source_ctx *ctx, struct err_info *info)
{
    const struct compact_job *job = run->job;
    enum err err = ERR_OK;

    run->exemplars = ARENA_ARRAY(&run->arena, struct exemplar_input, job->input_count);
    for (uint32_t i = 0; i < job->input_count && err == ERR_OK; i++) {
        struct exemplar_input *input = &run->exemplars[i];

        input->input = &job->inputs[i];
        err = block_exemplar_iter_open(job->inputs[i].block, ctx, &input->iter, info);
        if (err == ERR_OK)
            err = advance_exemplars(input, info);
    }
    return err;
}

struct exemplar_copy {
    struct run *run;
    const struct exemplar_input *input;
    struct err_info *info;
};

static enum err copy_exemplar(void *owner, struct label_set labels, const struct exemplar *exemplar)
{
    const struct exemplar_copy *copy = owner;

    if (tombstone_list_has(copy->input->input->tombstones, buf_slice(&copy->run->tenant), labels,
                           exemplar->t_ms))
        return ERR_OK;
    return block_writer_exemplar(copy->run->writer, exemplar, copy->info);
}

/* Those of the series begun last. */
static enum err write_exemplars(struct run *run, struct label_set labels, struct err_info *info)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < run->job->input_count && err == ERR_OK; i++) {
        struct exemplar_input *input = &run->exemplars[i];
        struct exemplar_copy copy = {run, input, info};

        if (input->is_over || label_set_cmp(input->labels, labels) != 0)
            continue;
        err = block_exemplar_iter_walk(input->iter, copy_exemplar, &copy);
        if (err == ERR_CORRUPT)
            (void)err_set(info, err, "exemplars of a block make no sense");
        if (err == ERR_OK)
            err = advance_exemplars(input, info);
    }
    return err;
}

/* Series that have exemplars alone and come before `labels`; labels NULL: all that are left. */
static enum err write_lone_exemplars(struct run *run, const struct label_set *labels,
                                     struct err_info *info)
{
    enum err err = ERR_OK;

    while (err == ERR_OK) {
        struct arena scratch;
        const struct exemplar_input *least = NULL;

        for (uint32_t i = 0; i < run->job->input_count; i++) {
            const struct exemplar_input *input = &run->exemplars[i];

            if (!input->is_over && (labels == NULL || label_set_cmp(input->labels, *labels) < 0) &&
                (least == NULL || label_set_cmp(input->labels, least->labels) < 0))
                least = input;
        }
        if (least == NULL)
            break;
        /* A copy: the inputs move on from it while it is written. */
        arena_init(&scratch, NULL, 0);
        const struct label_set copy = label_set_copy(&scratch, least->labels);
        err = block_writer_series(run->writer, buf_slice(&run->tenant), copy, info);
        if (err == ERR_OK)
            err = write_exemplars(run, copy, info);
        arena_fini(&scratch);
    }
    return err;
}

/* ---- series ---- */

static enum err write_samples(struct run *run, struct sample_cursor *cursor, struct err_info *info)
{
    struct sample_columns columns;

    while (sample_cursor_next(cursor, &columns)) {
        const enum err err = block_writer_columns(run->writer, &columns, info);
        if (err != ERR_OK)
            return err;
    }
    return cursor->err;
}

static enum err write_series(struct run *run, struct series_stream *stream, struct err_info *info)
{
    const struct compact_job *job = run->job;
    struct source_series series;

    while (series_stream_next(stream, &series)) {
        if (job->is_cancelled != NULL && job->is_cancelled(job->owner))
            return err_set(info, ERR_CANCELLED, "compaction cancelled");
        enum err err = write_lone_exemplars(run, &series.labels, info);
        if (err == ERR_OK)
            err = block_writer_series(run->writer, buf_slice(&run->tenant), series.labels, info);
        if (err == ERR_OK)
            err = write_samples(run, series.cursor, info);
        if (err == ERR_OK)
            err = write_exemplars(run, series.labels, info);
        if (err != ERR_OK && stream->err != ERR_OK)
            (void)err_set(info, err, "%s", err_message(stream->err, &stream->info));
        if (err != ERR_OK)
            return err;
    }
    if (stream->err != ERR_OK)
        return err_set(info, stream->err, "%s", err_message(stream->err, &stream->info));
    return write_lone_exemplars(run, NULL, info);
}

struct metadata_copy {
    struct run *run;
    struct err_info *info;
};

static enum err copy_metadata(void *owner, const struct metadata *metadata)
{
    const struct metadata_copy *copy = owner;

    return block_writer_metadata(copy->run->writer, buf_slice(&copy->run->tenant), metadata,
                                 copy->info);
}

static enum err write_tenant(struct run *run, struct err_info *info)
{
    const struct compact_job *job = run->job;
    struct source_ctx ctx = {.tenant = buf_slice(&run->tenant), .arena = &run->arena};
    const struct source_hints hints = {.one_at_a_time = true};
    const struct source_query query = {
        .ctx = &ctx, .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX, .hints = &hints};
    struct source **sources;
    struct series_stream *stream;

    arena_reset(&run->arena);
    sources = ARENA_ARRAY(&run->arena, struct source *, job->input_count);
    for (uint32_t i = 0; i < job->input_count; i++)
        sources[i] = tombstone_source_new(&run->arena, block_source(job->inputs[i].block),
                                          job->inputs[i].tombstones);
    const struct merge_list list = {sources, job->input_count};
    struct metadata_copy copy = {run, info};
    enum err err = FAULT("compact.select") ? ERR_IO : merge_select(list, &query, &stream, info);
    if (err == ERR_OK)
        err = open_exemplars(run, &ctx, info);
    if (err == ERR_OK)
        err = write_series(run, stream, info);
    return err == ERR_OK ? merge_metadata(list, &query, copy_metadata, &copy) : err;
}

static enum err write_tenants(struct run *run, struct err_info *info)
{
    enum err err = next_tenant(run, (struct slice){NULL, 0}, info);

    while (err == ERR_OK) {
        buf_reset(&run->tenant);
        buf_add_slice(&run->tenant, buf_slice(&run->next));
        err = write_tenant(run, info);
        if (err == ERR_OK)
            err = next_tenant(run, buf_slice(&run->tenant), info);
    }
    return err == ERR_END ? ERR_OK : err;
}

static struct block_writer_options writer_options(const struct compact_job *job)
{
    struct block_writer_options options = {.env = job->env,
                                           .door = job->door,
                                           .hash_key = job->hash_key,
                                           .dir = job->dir,
                                           .ulid = ulid_make(job->env),
                                           .window_t_min_ms = INT64_MAX,
                                           .window_t_end_ms = INT64_MIN,
                                           .cleaned_version = job->cleaned_version};

    for (uint32_t i = 0; i < job->input_count; i++) {
        const struct block_meta *meta = block_get_meta(job->inputs[i].block);

        if (meta->window_t_min_ms < options.window_t_min_ms)
            options.window_t_min_ms = meta->window_t_min_ms;
        if (meta->window_t_end_ms > options.window_t_end_ms)
            options.window_t_end_ms = meta->window_t_end_ms;
    }
    return options;
}

enum err compact_run(const struct compact_job *job, struct block_meta *meta, struct err_info *info)
{
    const struct block_writer_options options = writer_options(job);
    struct run run = {.job = job};
    enum err err = block_writer_open(&options, &run.writer, info);

    if (err != ERR_OK)
        return err;
    arena_init(&run.arena, NULL, 0);
    buf_init(&run.tenant, BLOCK_KEY_SIZE_MAX);
    buf_init(&run.next, BLOCK_KEY_SIZE_MAX);
    buf_init(&run.candidate, BLOCK_KEY_SIZE_MAX);
    err = write_tenants(&run, info);
    if (err == ERR_OK)
        err = block_writer_finish(run.writer, meta, info);
    else
        block_writer_abort(run.writer);
    arena_fini(&run.arena);
    buf_fini(&run.candidate);
    buf_fini(&run.next);
    buf_fini(&run.tenant);
    return err;
}
