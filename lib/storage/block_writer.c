/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/varint.h"
#include "storage/block_chunk.h"
#include "storage/block_format.h"
#include "storage/block_key.h"
#include "storage/postings.h"

enum {
    WRITER_PATH_SIZE = 1024,
    WRITER_LABELS_CACHED = 64, /* label positions whose last pair is remembered */
    PAIR_CAP_MIN = 8,
};

/* A label name and value of the present tenant, and the series that have it. */
struct writer_pair {
    struct slice name, value; /* in the tenant's arena */
    uint8_t *deltas;          /* owned: ids as varint steps */
    uint32_t len, cap;
    uint32_t count, last_id;
};

struct block_writer {
    struct block_writer_options options;
    char dir[WRITER_PATH_SIZE]; /* the final one */
    char tmp[WRITER_PATH_SIZE];
    struct sst_writer *index, *data; /* owned */
    struct block_meta meta;

    /* The present tenant. */
    struct buf tenant;
    bool in_tenant;
    uint32_t tenant_count;
    struct arena arena;         /* names and values of its pairs */
    struct writer_pair **pairs; /* owned, each too */
    size_t pair_count, pair_cap;
    struct map pair_map;                                  /* hash of name and value to pair */
    struct writer_pair *last_pairs[WRITER_LABELS_CACHED]; /* by position in the series before */
    uint64_t tenant_chunks, tenant_samples;
    uint32_t next_id;

    /* The present series. */
    struct buf labels; /* encoded; and the same as a set: */
    struct label *label_items;
    uint32_t label_count, label_cap;
    struct buf label_text;
    struct buf chunks; /* encoded chunk list */
    uint32_t chunk_count;
    int64_t chunk_t_before_ms;
    struct sample samples[BLOCK_CHUNK_COUNT_MAX]; /* of the chunk under way */
    uint32_t sample_count;
    bool in_series;

    struct buf key, value; /* scratch */
};

/* ---- files ---- */

struct remove_list {
    struct env *env;
    const char *path;
};

static enum err remove_entry(void *owner, const char *name)
{
    const struct remove_list *list = owner;
    char path[WRITER_PATH_SIZE];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", list->path, name) < sizeof(path))
        (void)list->env->fs->unlink(list->env, path);
    return ERR_OK;
}

void block_writer_remove_dir(struct env *env, const char *path)
{
    struct remove_list list = {env, path};

    (void)env->fs->list(env, path, remove_entry, &list);
    (void)env->fs->rmdir(env, path);
}

static enum err write_meta(struct block_writer *w, struct err_info *info)
{
    struct env *env = w->options.env;
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;
    char path[WRITER_PATH_SIZE + 16];
    struct env_file *file;

    (void)snprintf(path, sizeof(path), "%s/meta.json", w->tmp);
    buf_reset(&w->value);
    block_meta_print(&w->meta, &w->value);
    ASSERT(w->value.err == ERR_OK);
    enum err err = FAULT("block.meta_open") ? ERR_IO : env->fs->open(env, path, flags, &file);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    err = FAULT("block.meta_write") ? ERR_IO
                                    : file->ops->write_at(file, 0, w->value.data, w->value.len);
    if (err == ERR_OK)
        err = FAULT("block.meta_sync") ? ERR_IO : file->ops->sync(file);
    const enum err close_err = file->ops->close(file);
    if (err == ERR_OK)
        err = close_err;
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s: %s", path, err_text(err));
}

/* The directory, its files and then its new name made durable. */
static enum err publish(struct block_writer *w, struct err_info *info)
{
    struct env *env = w->options.env;
    enum err err = FAULT("block.sync_dir") ? ERR_IO : env->fs->sync_dir(env, w->tmp);

    if (err == ERR_OK)
        err = FAULT("block.rename") ? ERR_IO : env->fs->rename(env, w->tmp, w->dir);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", w->tmp, err_text(err));
    err = FAULT("block.sync_parent") ? ERR_IO : env->fs->sync_dir(env, w->options.dir);
    if (err != ERR_OK) {
        /* It may or may not be there after a crash; nothing lists it, so a start removes it. */
        block_writer_remove_dir(env, w->dir);
        return err_set(info, err, "%s: %s", w->options.dir, err_text(err));
    }
    return ERR_OK;
}

static enum err open_tables(struct block_writer *w, struct err_info *info)
{
    char path[WRITER_PATH_SIZE + 16];

    (void)snprintf(path, sizeof(path), "%s/index.sst", w->tmp);
    const enum err err = sst_writer_open(w->options.door, path, SST_INDEX, &w->index, info);
    if (err != ERR_OK)
        return err;
    (void)snprintf(path, sizeof(path), "%s/data.sst", w->tmp);
    return sst_writer_open(w->options.door, path, SST_DATA, &w->data, info);
}

/* ---- label pairs ---- */

struct pair_key {
    struct slice name, value;
};

static bool pair_eq(const void *key, uint64_t value, void *owner)
{
    const struct pair_key *want = key;
    const struct writer_pair *pair = map_to_ptr(value);

    (void)owner;
    return slice_eq(pair->value, want->value) && slice_eq(pair->name, want->name);
}

static struct writer_pair *find_pair(struct block_writer *w, const struct label *label)
{
    const struct pair_key key = {label->name, label->value};
    const uint64_t name_hash = hash64(w->options.hash_key, label->name);
    const uint64_t hash =
        hash64(w->options.hash_key, label->value) ^ (name_hash << 1 | name_hash >> 63);
    const uint64_t *found = map_find(&w->pair_map, hash, &key);
    struct writer_pair *pair;

    if (found != NULL)
        return map_to_ptr(*found);
    pair = mem_zalloc(1, sizeof(*pair));
    pair->name = arena_copy(&w->arena, label->name);
    pair->value = arena_copy(&w->arena, label->value);
    if (w->pair_count == w->pair_cap) {
        w->pair_cap = w->pair_cap == 0 ? 1024 : w->pair_cap * 2;
        w->pairs = mem_realloc(w->pairs, w->pair_cap * sizeof(*w->pairs));
    }
    w->pairs[w->pair_count++] = pair;
    map_insert(&w->pair_map, hash, map_of_ptr(pair));
    return pair;
}

static void pair_add(struct writer_pair *pair, uint32_t id)
{
    if (pair->cap - pair->len < VARINT_SIZE_MAX) {
        pair->cap = pair->cap == 0 ? PAIR_CAP_MIN + VARINT_SIZE_MAX : pair->cap * 2;
        pair->deltas = mem_realloc(pair->deltas, pair->cap);
    }
    pair->len += (uint32_t)varint_put_u64(pair->deltas + pair->len, id - pair->last_id);
    pair->last_id = id;
    pair->count++;
}

static void add_pairs(struct block_writer *w, uint32_t id)
{
    for (uint32_t i = 0; i < w->label_count; i++) {
        const struct label *label = &w->label_items[i];
        /* Series in label order share most pairs with the one before. */
        struct writer_pair **last = i < WRITER_LABELS_CACHED ? &w->last_pairs[i] : NULL;
        struct writer_pair *pair = last == NULL ? NULL : *last;

        if (pair == NULL || !slice_eq(pair->value, label->value) ||
            !slice_eq(pair->name, label->name))
            pair = find_pair(w, label);
        if (last != NULL)
            *last = pair;
        pair_add(pair, id);
    }
}

static int pair_order(const void *a, const void *b)
{
    const struct writer_pair *x = *(struct writer_pair *const *)a;
    const struct writer_pair *y = *(struct writer_pair *const *)b;
    const int order = slice_cmp(x->name, y->name);

    return order != 0 ? order : slice_cmp(x->value, y->value);
}

static enum err write_pair(struct block_writer *w, const struct writer_pair *pair,
                           struct err_info *info)
{
    struct slice rest = slice_of(pair->deltas, pair->len);
    uint32_t *ids = mem_alloc((size_t)pair->count * sizeof(*ids));
    uint32_t id = 0;

    for (uint32_t i = 0; i < pair->count; i++) {
        uint64_t step = 0;

        const bool has_step = varint_take_u64(&rest, &step);

        ASSERT(has_step);
        id += (uint32_t)step;
        ids[i] = id;
    }
    buf_reset(&w->value);
    postings_encode(&w->value, ids, pair->count);
    mem_free(ids);
    block_key_postings(&w->key, buf_slice(&w->tenant), pair->name, pair->value);
    if (w->key.err != ERR_OK || w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a label is too long for a block");
    return sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
}

static enum err write_stats(struct block_writer *w, struct err_info *info)
{
    uint32_t name_count = 0;

    for (size_t i = 0; i < w->pair_count; i++)
        name_count += i == 0 || !slice_eq(w->pairs[i]->name, w->pairs[i - 1]->name);
    buf_reset(&w->value);
    buf_add_byte(&w->value, BLOCK_STATS_VERSION);
    block_format_put_uint(&w->value, w->next_id);
    block_format_put_uint(&w->value, w->tenant_chunks);
    block_format_put_uint(&w->value, w->tenant_samples);
    block_format_put_uint(&w->value, name_count);
    for (size_t i = 0; i < w->pair_count;) {
        size_t end = i + 1;

        while (end < w->pair_count && slice_eq(w->pairs[end]->name, w->pairs[i]->name))
            end++;
        block_format_put_text(&w->value, w->pairs[i]->name);
        block_format_put_uint(&w->value, end - i);
        i = end;
    }
    block_key_index(&w->key, buf_slice(&w->tenant), BLOCK_INDEX_STATS);
    if (w->key.err != ERR_OK || w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "too many label names for a block");
    return sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
}

static void reset_tenant(struct block_writer *w)
{
    for (size_t i = 0; i < w->pair_count; i++) {
        mem_free(w->pairs[i]->deltas);
        mem_free(w->pairs[i]);
    }
    w->pair_count = 0;
    map_reset(&w->pair_map);
    arena_reset(&w->arena);
    memset(w->last_pairs, 0, sizeof(w->last_pairs));
    w->next_id = 0;
    w->tenant_chunks = w->tenant_samples = 0;
    w->in_tenant = false;
}

/* ---- series ---- */

static enum err write_chunk(struct block_writer *w, struct err_info *info)
{
    const struct sample *samples = w->samples;
    const struct block_chunk_ref chunk = {.t_min_ms = samples[0].t_ms,
                                          .t_max_ms = samples[w->sample_count - 1].t_ms,
                                          .count = w->sample_count,
                                          .encoding = BLOCK_CHUNK_FLOAT};

    block_key_chunk(&w->key, buf_slice(&w->tenant), w->next_id, chunk.t_min_ms);
    buf_reset(&w->value);
    block_chunk_encode(&w->value, samples, w->sample_count);
    if (w->key.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a tenant's name is too long for a block");
    const enum err err = sst_writer_add(w->data, buf_slice(&w->key), buf_slice(&w->value), info);
    if (err != ERR_OK)
        return err;
    block_format_put_chunk(&w->chunks, &chunk, &w->chunk_t_before_ms);
    w->chunk_count++;
    w->tenant_samples += chunk.count;
    w->meta.sample_count += chunk.count;
    if (w->meta.chunk_count == 0 || chunk.t_min_ms < w->meta.t_min_ms)
        w->meta.t_min_ms = chunk.t_min_ms;
    if (w->meta.chunk_count == 0 || chunk.t_max_ms > w->meta.t_max_ms)
        w->meta.t_max_ms = chunk.t_max_ms;
    w->meta.chunk_count++;
    w->tenant_chunks++;
    w->sample_count = 0;
    return ERR_OK;
}

static enum err end_series(struct block_writer *w, struct err_info *info)
{
    enum err err;

    if (!w->in_series)
        return ERR_OK;
    w->in_series = false;
    if (w->sample_count > 0) {
        err = write_chunk(w, info);
        if (err != ERR_OK)
            return err;
    }
    if (w->chunk_count == 0)
        return ERR_OK;
    block_key_series(&w->key, buf_slice(&w->tenant), w->next_id);
    buf_reset(&w->value);
    buf_add_slice(&w->value, buf_slice(&w->labels));
    block_format_put_uint(&w->value, w->chunk_count);
    buf_add_slice(&w->value, buf_slice(&w->chunks));
    if (w->value.err != ERR_OK || w->labels.err != ERR_OK || w->chunks.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "a series' labels are too long for a block");
    err = sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
    if (err != ERR_OK)
        return err;
    add_pairs(w, w->next_id);
    w->meta.series_count++;
    w->next_id++;
    return ERR_OK;
}

static enum err end_tenant(struct block_writer *w, struct err_info *info)
{
    enum err err = end_series(w, info);

    if (err == ERR_OK && w->in_tenant && w->next_id > 0) {
        qsort(w->pairs, w->pair_count, sizeof(*w->pairs), pair_order);
        for (size_t i = 0; i < w->pair_count && err == ERR_OK; i++)
            err = write_pair(w, w->pairs[i], info);
        if (err == ERR_OK)
            err = write_stats(w, info);
        w->tenant_count++;
        memset(w->meta.tenant, 0, sizeof(w->meta.tenant));
        if (w->tenant_count == 1 && w->tenant.len > 0 && w->tenant.len < BLOCK_TENANT_SIZE &&
            memchr(w->tenant.data, '\0', w->tenant.len) == NULL)
            memcpy(w->meta.tenant, w->tenant.data, w->tenant.len);
    }
    reset_tenant(w);
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
    reset_tenant(w);
    mem_free(w->pairs);
    map_fini(&w->pair_map);
    arena_fini(&w->arena);
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
                                  .watermark = options->watermark};
    map_init(&w->pair_map, pair_eq, NULL);
    arena_init(&w->arena, NULL, 0);
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
    err = open_tables(w, info);
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
    w->sample_count = 0;
    w->in_series = true;
    return ERR_OK;
}

enum err block_writer_samples(struct block_writer *w, const struct sample *samples, uint32_t count,
                              struct err_info *info)
{
    ASSERT(w->in_series);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(samples[i].t_ms >= w->options.window_t_min_ms);
        ASSERT(samples[i].t_ms < w->options.window_t_end_ms);
        ASSERT(w->sample_count == 0 || samples[i].t_ms > w->samples[w->sample_count - 1].t_ms);
        w->samples[w->sample_count++] = samples[i];
        if (w->sample_count == BLOCK_CHUNK_COUNT_MAX) {
            const enum err err = write_chunk(w, info);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

enum err block_writer_finish(struct block_writer *w, struct block_meta *meta, struct err_info *info)
{
    enum err err = end_tenant(w, info);

    if (err == ERR_OK && w->meta.sample_count == 0)
        err = ERR_END;
    if (err == ERR_OK) {
        struct sst_writer *data = w->data;

        w->data = NULL;
        err = sst_writer_finish(data, &w->meta.data, info);
    }
    if (err == ERR_OK) {
        struct sst_writer *index = w->index;

        w->index = NULL;
        err = sst_writer_finish(index, &w->meta.index, info);
    }
    if (err == ERR_OK)
        err = write_meta(w, info);
    if (err == ERR_OK)
        err = publish(w, info);
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
