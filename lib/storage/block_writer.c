/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_writer.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "storage/block_histogram.h"
#include "storage/block_writer_internal.h"

enum { HISTOGRAM_BYTES_MAX = 256 << 10 }; /* of one chunk, unpacked */

/* ---- series ---- */

static void count_chunk(struct block_writer *w, const struct block_chunk_ref *chunk)
{
    struct block_meta *meta = &w->meta;

    block_format_put_chunk(&w->chunks, chunk, &w->chunk_t_before_ms);
    w->chunk_count++;
    w->tenant_chunks++;
    w->tenant_samples += chunk->count;
    if (meta->chunk_count == 0 || chunk->t_min_ms < meta->t_min_ms)
        meta->t_min_ms = chunk->t_min_ms;
    if (meta->chunk_count == 0 || chunk->t_max_ms > meta->t_max_ms)
        meta->t_max_ms = chunk->t_max_ms;
    meta->chunk_count++;
    meta->sample_count += chunk->count;
    if (w->chunk.kind == SAMPLE_HISTOGRAM)
        meta->histogram_count += chunk->count;
}

static enum err write_chunk(struct block_writer *w, struct err_info *info)
{
    struct writer_chunk *chunk = &w->chunk;
    struct block_chunk_samples samples = {.count = chunk->count,
                                          .kind = chunk->kind,
                                          .t_ms = chunk->t_ms,
                                          .start_t_ms =
                                              chunk->has_starts ? chunk->start_t_ms : NULL};

    if (chunk->kind == SAMPLE_FLOAT)
        samples.v = chunk->v;
    else
        samples.histograms = chunk->histograms;
    const struct block_chunk_ref ref = {.t_min_ms = chunk->t_ms[0],
                                        .t_max_ms = chunk->t_ms[chunk->count - 1],
                                        .count = chunk->count,
                                        .encoding = block_chunk_encoding_of(&samples)};
    block_key_chunk(&w->key, buf_slice(&w->tenant), w->next_id, ref.t_min_ms);
    buf_reset(&w->value);
    block_chunk_encode(&w->value, &samples);
    if (w->key.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a tenant's name is too long for a block");
    ASSERT(w->value.err == ERR_OK);
    const enum err err = sst_writer_add(w->data, buf_slice(&w->key), buf_slice(&w->value), info);
    if (err != ERR_OK)
        return err;
    count_chunk(w, &ref);
    w->tenant_chunk_bytes += w->value.len;
    arena_reset(&chunk->arena);
    chunk->count = 0;
    chunk->has_starts = false;
    return ERR_OK;
}

static enum err end_series(struct block_writer *w, struct err_info *info)
{
    enum err err;

    if (!w->in_series)
        return ERR_OK;
    w->in_series = false;
    if (w->chunk.count > 0) {
        err = write_chunk(w, info);
        if (err != ERR_OK)
            return err;
    }
    if (w->chunk_count == 0 && w->exemplar_count == 0)
        return ERR_OK;
    err = block_writer_put_exemplars(w, info);
    if (err != ERR_OK)
        return err;
    block_key_series(&w->key, buf_slice(&w->tenant), w->next_id);
    buf_reset(&w->value);
    buf_add_slice(&w->value, buf_slice(&w->labels));
    block_format_put_uint(&w->value, w->chunk_count);
    buf_add_slice(&w->value, buf_slice(&w->chunks));
    if (w->exemplar_count > 0)
        block_format_put_uint(&w->value, w->exemplar_count);
    if (w->value.err != ERR_OK || w->labels.err != ERR_OK || w->chunks.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a series' labels are too long for a block");
    err = sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
    if (err != ERR_OK)
        return err;
    block_writer_add_pairs(w, w->next_id, w->tenant_samples - w->samples_before);
    w->meta.series_count++;
    w->next_id++;
    return ERR_OK;
}

static enum err end_tenant(struct block_writer *w, struct err_info *info)
{
    enum err err = end_series(w, info);

    if (err == ERR_OK && w->in_tenant && w->next_id > 0) {
        err = block_writer_put_pairs(w, info);
        w->tenant_count++;
        memset(w->meta.tenant, 0, sizeof(w->meta.tenant));
        if (w->tenant_count == 1 && w->tenant.len > 0 && w->tenant.len < BLOCK_TENANT_SIZE &&
            memchr(w->tenant.data, '\0', w->tenant.len) == NULL)
            memcpy(w->meta.tenant, w->tenant.data, w->tenant.len);
    }
    block_writer_reset_pairs(w);
    w->next_id = 0;
    w->tenant_chunks = w->tenant_samples = w->tenant_chunk_bytes = 0;
    w->in_tenant = false;
    return err;
}

static void set_labels(struct block_writer *w, struct label_set labels)
{
    size_t text_size = 0;

    for (uint32_t i = 0; i < labels.count; i++)
        text_size += labels.items[i].name.len + labels.items[i].value.len;
    if (labels.count > w->label_cap) {
        w->label_cap = labels.count * 2;
        w->label_items = mem_realloc(w->label_items, w->label_cap * sizeof(*w->label_items));
    }
    buf_reset(&w->labels);
    buf_reset(&w->label_text);
    block_format_put_uint(&w->labels, labels.count);
    char *at = buf_reserve(&w->label_text, text_size + 1);
    w->label_count = at == NULL ? 0 : labels.count;
    if (at == NULL)
        w->labels.err = ERR_TOO_LARGE;
    for (uint32_t i = 0; i < w->label_count; i++) {
        const struct label *from = &labels.items[i];
        struct label *to = &w->label_items[i];

        block_format_put_text(&w->labels, from->name);
        block_format_put_text(&w->labels, from->value);
        memcpy(at, from->name.data, from->name.len);
        to->name = slice_of(at, from->name.len);
        at += from->name.len;
        memcpy(at, from->value.data, from->value.len);
        to->value = slice_of(at, from->value.len);
        at += from->value.len;
    }
}

/* ---- public ---- */

static void writer_free(struct block_writer *w)
{
    sst_writer_abort(w->index);
    sst_writer_abort(w->data);
    block_writer_reset_pairs(w);
    mem_free(w->pairs);
    map_fini(&w->pair_map);
    arena_fini(&w->arena);
    arena_fini(&w->chunk.arena);
    mem_free(w->exemplars);
    arena_fini(&w->exemplar_arena);
    mem_free(w->metadata);
    arena_fini(&w->metadata_arena);
    buf_fini(&w->tenant);
    buf_fini(&w->labels);
    buf_fini(&w->label_text);
    mem_free(w->label_items);
    buf_fini(&w->chunks);
    buf_fini(&w->key);
    buf_fini(&w->value);
    mem_free(w);
}

enum err block_writer_open(const struct block_writer_options *options, struct block_writer **writer,
                           struct err_info *info)
{
    struct block_writer *w;
    char ulid[ULID_TEXT_LEN + 1];

    ASSERT(options->window_t_min_ms < options->window_t_end_ms);
    ulid_print(options->ulid, ulid);
    w = mem_zalloc(1, sizeof(*w));
    w->options = *options;
    w->meta = (struct block_meta){.ulid = options->ulid,
                                  .window_t_min_ms = options->window_t_min_ms,
                                  .window_t_end_ms = options->window_t_end_ms,
                                  .watermark = options->watermark,
                                  .cleaned_version = options->cleaned_version};
    block_writer_init_pairs(w);
    arena_init(&w->chunk.arena, NULL, 0);
    arena_init(&w->exemplar_arena, NULL, 0);
    arena_init(&w->metadata_arena, NULL, 0);
    buf_init(&w->tenant, BLOCK_KEY_SIZE_MAX);
    buf_init(&w->labels, BLOCK_KEY_SIZE_MAX);
    buf_init(&w->label_text, BLOCK_KEY_SIZE_MAX);
    buf_init(&w->chunks, BLOCK_VALUE_SIZE_MAX);
    buf_init(&w->key, BLOCK_KEY_SIZE_MAX);
    buf_init(&w->value, BLOCK_VALUE_SIZE_MAX);
    enum err err = ERR_OK;
    if ((size_t)snprintf(w->dir, sizeof(w->dir), "%s/%s", options->dir, ulid) >= sizeof(w->dir) ||
        (size_t)snprintf(w->tmp, sizeof(w->tmp), "%s.tmp", w->dir) >= sizeof(w->tmp))
        err = err_set(info, ERR_BAD_INPUT, "%s: path is too long", options->dir);
    if (err == ERR_OK) {
        err = FAULT("block.mkdir") ? ERR_IO : options->env->fs->mkdir(options->env, w->tmp);
        if (err != ERR_OK)
            err_set(info, err, "%s: %s", w->tmp, err_text(err));
    }
    if (err != ERR_OK) {
        writer_free(w);
        return err;
    }
    err = block_writer_open_tables(w, info);
    if (err != ERR_OK) {
        block_writer_abort(w);
        return err;
    }
    *writer = w;
    return ERR_OK;
}

enum err block_writer_series(struct block_writer *w, struct slice tenant, struct label_set labels,
                             struct err_info *info)
{
    enum err err;

    if (tenant.len > 0 && (uint8_t)tenant.data[0] == BLOCK_KEY_METADATA)
        return err_set(info, ERR_BAD_INPUT, "a tenant's name begins with byte FF");
    if (w->in_tenant && slice_eq(tenant, buf_slice(&w->tenant))) {
        err = end_series(w, info);
    } else {
        err = end_tenant(w, info);
        buf_reset(&w->tenant);
        buf_add_slice(&w->tenant, tenant);
        w->in_tenant = true;
    }
    if (err != ERR_OK)
        return err;
    if (labels.count > BLOCK_LABELS_MAX)
        return err_set(info, ERR_TOO_LARGE, "a series has too many labels for a block");
    ASSERT(w->next_id < UINT32_MAX);
    set_labels(w, labels);
    buf_reset(&w->chunks);
    w->chunk_count = 0;
    w->chunk_t_before_ms = 0;
    w->samples_before = w->tenant_samples;
    w->exemplar_count = 0;
    arena_reset(&w->exemplar_arena);
    w->in_series = true;
    return ERR_OK;
}

/* Whether the sample columns[at] can go into the chunk under way. */
static bool chunk_takes(const struct writer_chunk *chunk, const struct sample_columns *columns,
                        uint32_t at)
{
    if (chunk->count == 0)
        return true;
    if (chunk->kind != columns->kind || chunk->count == BLOCK_CHUNK_COUNT_MAX)
        return false;
    return chunk->kind == SAMPLE_FLOAT ||
           (chunk->histograms[0]->is_float == columns->histograms[at]->is_float &&
            chunk->arena.taken_bytes < HISTOGRAM_BYTES_MAX);
}

/* Adds samples from columns[at] on, as many as go together; returns how many. */
static uint32_t add_samples(struct writer_chunk *chunk, const struct sample_columns *columns,
                            uint32_t at)
{
    const uint32_t room = BLOCK_CHUNK_COUNT_MAX - chunk->count;
    const uint32_t to = chunk->count;
    uint32_t count = columns->count - at;

    chunk->kind = columns->kind;
    count = columns->kind == SAMPLE_HISTOGRAM ? 1 : count < room ? count : room;
    memcpy(chunk->t_ms + to, columns->t_ms + at, count * sizeof(chunk->t_ms[0]));
    if (columns->start_t_ms != NULL && !chunk->has_starts) {
        memset(chunk->start_t_ms, 0, to * sizeof(chunk->start_t_ms[0]));
        chunk->has_starts = true;
    }
    if (columns->start_t_ms != NULL)
        memcpy(chunk->start_t_ms + to, columns->start_t_ms + at,
               count * sizeof(chunk->start_t_ms[0]));
    else if (chunk->has_starts)
        memset(chunk->start_t_ms + to, 0, count * sizeof(chunk->start_t_ms[0]));
    if (columns->kind == SAMPLE_FLOAT)
        memcpy(chunk->v + to, columns->v + at, count * sizeof(chunk->v[0]));
    else
        chunk->histograms[to] = histogram_copy(&chunk->arena, columns->histograms[at]);
    chunk->count += count;
    return count;
}

static void check_times(const struct block_writer *w, const struct sample_columns *columns)
{
    const struct writer_chunk *chunk = &w->chunk;

    if (columns->count == 0)
        return;
    ASSERT(columns->t_ms[0] >= w->options.window_t_min_ms);
    ASSERT(columns->t_ms[columns->count - 1] < w->options.window_t_end_ms);
    ASSERT(chunk->count == 0 || columns->t_ms[0] > chunk->t_ms[chunk->count - 1]);
    ASSERT(w->chunk_count == 0 || columns->t_ms[0] > w->chunk_t_before_ms);
    for (uint32_t i = 1; i < columns->count; i++)
        ASSERT(columns->t_ms[i] > columns->t_ms[i - 1]);
}

enum err block_writer_columns(struct block_writer *w, const struct sample_columns *columns,
                              struct err_info *info)
{
    ASSERT(w->in_series);
    check_times(w, columns);
    for (uint32_t at = 0; at < columns->count;) {
        if (columns->kind == SAMPLE_HISTOGRAM && !block_histogram_fits(columns->histograms[at]))
            return err_set(info, ERR_TOO_LARGE, "a histogram is too large for a block");
        if (!chunk_takes(&w->chunk, columns, at)) {
            const enum err err = write_chunk(w, info);

            if (err != ERR_OK)
                return err;
        }
        at += add_samples(&w->chunk, columns, at);
    }
    return ERR_OK;
}

enum err block_writer_finish(struct block_writer *w, struct block_meta *meta, struct err_info *info)
{
    enum err err = end_tenant(w, info);

    if (err == ERR_OK && w->meta.sample_count == 0)
        err = ERR_END;
    if (err == ERR_OK)
        err = block_writer_put_metadata(w, info);
    if (err == ERR_OK)
        err = block_writer_publish(w, info);
    if (err != ERR_OK) {
        block_writer_abort(w);
        return err;
    }
    *meta = w->meta;
    writer_free(w);
    return ERR_OK;
}

void block_writer_abort(struct block_writer *w)
{
    if (w == NULL)
        return;
    sst_writer_abort(w->index);
    sst_writer_abort(w->data);
    w->index = w->data = NULL;
    block_writer_remove_dir(w->options.env, w->tmp);
    writer_free(w);
}
