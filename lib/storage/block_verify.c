/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage/block_chunk.h"
#include "storage/block_internal.h"

/* Both tables are in the order of (tenant, series), so one walk over the index drives another over
 * the data. What postings say of series is compared by sums: each (label pair, series) adds a hash
 * to the sum of its label name, once from the series and once from the postings. So nothing is held
 * but the label names of a tenant. */

enum {
    PROGRESS_BYTES = 256 << 10, /* between two calls of on_progress */
    TENANT_TEXT_MAX = 64,       /* of a tenant's name in a message */
};

struct verify_name {
    struct slice name; /* in tenant_arena */
    uint64_t from_series, from_postings, value_count, value_bytes;
};

struct verify_tops {
    struct block_stats_top metrics, pairs;
};

struct verify {
    struct block *block;
    const struct block_verify_options *options;
    struct block_verify_report report;
    struct err_info *info; /* takes the first fault */
    uint64_t bytes_told;
    struct sst_iter *data;
    bool has_data; /* data stands on a key that no series has claimed yet */
    struct buf index_text, data_text, key_before, key;
    struct arena arena, frame_arena;

    /* Sums for meta.json. */
    uint64_t histogram_count;
    int64_t t_min_ms, t_max_ms, exemplar_t_min_ms, exemplar_t_max_ms;

    /* The present tenant. */
    struct buf tenant;
    bool in_tenant, has_stats;
    uint32_t next_id;
    uint64_t chunk_count, sample_count, chunk_bytes;
    struct arena tenant_arena,
        label_arenas[2]; /* the latter: labels of this series, the one before */
    struct label_set labels_before;
    struct verify_name *names;              /* owned: in order of first occurrence */
    uint32_t name_count, name_cap, name_at; /* the last is where the name asked for last is */
    struct verify_tops *tops;               /* owned */
};

/* ---- faults ---- */

static enum err fault(struct verify *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes a fault. Not ERR_OK once there are enough. */
static enum err fault(struct verify *v, const char *format, ...)
{
    const struct block_verify_options *options = v->options;
    const int tenant_len = v->tenant.len < TENANT_TEXT_MAX ? (int)v->tenant.len : TENANT_TEXT_MAX;
    char text[ERR_MESSAGE_SIZE];
    char message[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(message, sizeof(message), "tenant \"%.*s\": %.*s", tenant_len,
                   v->tenant.len > 0 ? v->tenant.data : "", (int)sizeof(message) / 2, text);
    if (!v->in_tenant)
        (void)snprintf(message, sizeof(message), "%s", text);
    if (v->report.fault_count++ == 0)
        (void)block_corrupt(v->block, v->info, "%s", message);
    if (options != NULL && options->on_fault != NULL)
        options->on_fault(options->owner, message);
    const uint32_t max = options == NULL || options->fault_max == 0 ? 1 : options->fault_max;
    return v->report.fault_count < max ? ERR_OK : ERR_CORRUPT;
}

static enum err progress(struct verify *v)
{
    const struct block_verify_options *options = v->options;
    const uint64_t bytes = v->report.bytes - v->bytes_told;

    if (bytes < PROGRESS_BYTES)
        return ERR_OK;
    v->bytes_told = v->report.bytes;
    if (options != NULL && options->on_progress != NULL &&
        options->on_progress(options->owner, bytes))
        return err_set(v->info, ERR_CANCELLED, "verifying was cancelled");
    return ERR_OK;
}

/* An error of the table itself: of its checksums, or of the disk. */
static enum err table_err(struct verify *v, struct sst_iter *iter)
{
    struct err_info info = {0};
    const enum err err = sst_iter_err(iter, &info);

    if (err == ERR_CORRUPT)
        return fault(v, "%s", info.message);
    if (err != ERR_OK)
        (void)err_set(v->info, err, "block %s: %s", v->block->name, info.message);
    return err;
}

/* ---- data ---- */

/* The next data key, or none. */
static enum err step_data(struct verify *v, bool is_first)
{
    v->has_data = is_first ? sst_iter_seek(v->data, SLICE("")) : sst_iter_next(v->data);
    if (!v->has_data)
        return table_err(v, v->data);
    v->report.bytes += sst_iter_key(v->data).len + sst_iter_value(v->data).len;
    return ERR_OK;
}

/* Drops data keys before v->key, which no series has. */
static enum err skip_data(struct verify *v, const struct slice *before)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && v->has_data &&
           (before == NULL || slice_cmp(sst_iter_key(v->data), *before) < 0)) {
        struct block_data_key key;

        if (!block_key_parse_data(sst_iter_key(v->data), &v->data_text, &key))
            err = fault(v, "data.sst: a key makes no sense");
        else
            err = fault(v, "data.sst: series %u has %s that its index does not name", key.id,
                        key.kind == BLOCK_DATA_CHUNK ? "a chunk" : "exemplars");
        if (err == ERR_OK)
            err = step_data(v, false);
    }
    return err;
}

static enum err decode_chunk(struct verify *v, uint32_t id, const struct block_chunk_ref *chunk)
{
    const struct slice value = sst_iter_value(v->data);
    struct block_chunk_reader reader;
    struct sample_columns columns;
    uint64_t histogram_count = 0;

    if (value.len == 0 || (uint8_t)value.data[0] != chunk->encoding)
        return fault(v,
                     "data.sst: series %u: the chunk at %lld has another encoding than its index",
                     id, (long long)chunk->t_min_ms);
    block_chunk_open(&reader, value, chunk->t_min_ms, &v->frame_arena);
    while (block_chunk_next(&reader, &columns)) {
        for (uint32_t i = 0; columns.kind == SAMPLE_HISTOGRAM && i < columns.count; i++)
            histogram_count++;
    }
    if (reader.err != ERR_OK)
        return fault(v, "data.sst: series %u: the chunk at %lld: %s", id,
                     (long long)chunk->t_min_ms, err_text(reader.err));
    v->report.chunk_count++;
    v->report.sample_count += reader.count;
    v->histogram_count += histogram_count;
    v->chunk_bytes += value.len;
    if (reader.count != chunk->count || reader.last_t_ms != chunk->t_max_ms)
        return fault(v,
                     "data.sst: series %u: the chunk at %lld has %u samples up to %lld, its index "
                     "says %u up to %lld",
                     id, (long long)chunk->t_min_ms, reader.count, (long long)reader.last_t_ms,
                     chunk->count, (long long)chunk->t_max_ms);
    return ERR_OK;
}

/* Puts the data iterator on v->key. */
static enum err claim_data(struct verify *v, bool *found)
{
    const struct slice key = buf_slice(&v->key);
    const enum err err = skip_data(v, &key);

    *found = err == ERR_OK && v->has_data && slice_eq(sst_iter_key(v->data), key);
    return err;
}

static enum err verify_chunks(struct verify *v, uint32_t id, const struct block_series *series)
{
    for (uint32_t i = 0; i < series->chunk_count; i++) {
        const struct block_chunk_ref *chunk = &series->chunks[i];
        bool found;

        block_key_chunk(&v->key, buf_slice(&v->tenant), id, chunk->t_min_ms);
        enum err err = claim_data(v, &found);
        if (err == ERR_OK)
            err = found ? decode_chunk(v, id, chunk)
                        : fault(v, "data.sst: series %u: the chunk at %lld is missing", id,
                                (long long)chunk->t_min_ms);
        if (err == ERR_OK && found)
            err = step_data(v, false);
        if (err == ERR_OK)
            err = progress(v);
        if (err != ERR_OK)
            return err;
        v->t_min_ms = chunk->t_min_ms < v->t_min_ms ? chunk->t_min_ms : v->t_min_ms;
        v->t_max_ms = chunk->t_max_ms > v->t_max_ms ? chunk->t_max_ms : v->t_max_ms;
        v->chunk_count++;
        v->sample_count += chunk->count;
    }
    return ERR_OK;
}

static enum err on_exemplar(void *owner, struct label_set series, const struct exemplar *exemplar)
{
    struct verify *v = owner;

    (void)series;
    v->report.exemplar_count++;
    if (exemplar->t_ms < v->exemplar_t_min_ms)
        v->exemplar_t_min_ms = exemplar->t_ms;
    if (exemplar->t_ms > v->exemplar_t_max_ms)
        v->exemplar_t_max_ms = exemplar->t_ms;
    return ERR_OK;
}

static enum err verify_exemplars(struct verify *v, uint32_t id, uint64_t want)
{
    const struct block_exemplar_walk walk = {
        .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX, .fn = on_exemplar, .owner = v};
    const uint64_t before = v->report.exemplar_count;
    bool found;

    if (want == 0)
        return ERR_OK;
    block_key_exemplars(&v->key, buf_slice(&v->tenant), id);
    enum err err = claim_data(v, &found);
    if (err != ERR_OK)
        return err;
    if (!found)
        return fault(v, "data.sst: series %u: its exemplars are missing", id);
    if (block_walk_exemplars(sst_iter_value(v->data), &walk, &v->frame_arena) != ERR_OK)
        err = fault(v, "data.sst: series %u: its exemplars make no sense", id);
    else if (v->report.exemplar_count - before != want)
        err =
            fault(v, "data.sst: series %u has another number of exemplars than its index says", id);
    return err == ERR_OK ? step_data(v, false) : err;
}

/* ---- series, postings ---- */

static struct verify_name *name_of(struct verify *v, struct slice name)
{
    /* Labels come by name, so mostly it is the one after the last. */
    for (uint32_t i = 0; i < v->name_count; i++) {
        v->name_at = v->name_at + 1 < v->name_count ? v->name_at + 1 : 0;
        if (slice_eq(v->names[v->name_at].name, name))
            return &v->names[v->name_at];
    }
    if (v->name_count == v->name_cap) {
        v->name_cap = v->name_cap == 0 ? 64 : v->name_cap * 2;
        v->names = mem_realloc(v->names, v->name_cap * sizeof(*v->names));
    }
    v->names[v->name_count] = (struct verify_name){.name = arena_copy(&v->tenant_arena, name)};
    return &v->names[v->name_count++];
}

/* What one series with this value adds to the sum of a name. */
static uint64_t member_hash(const struct verify *v, struct slice value, uint32_t id)
{
    uint64_t x = hash64(v->block->options.hash_key, value) + id * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static enum err verify_labels(struct verify *v, uint32_t id, struct label_set labels)
{
    struct arena spare = v->label_arenas[0];

    for (uint32_t i = 0; i < labels.count; i++)
        name_of(v, labels.items[i].name)->from_series += member_hash(v, labels.items[i].value, id);
    const bool rises = v->next_id == 0 || label_set_cmp(v->labels_before, labels) < 0;
    /* The labels stay for the next series, in the arena that was this one's. */
    v->label_arenas[0] = v->label_arenas[1];
    v->label_arenas[1] = spare;
    v->labels_before = labels;
    return rises ? ERR_OK : fault(v, "index.sst: series %u: labels out of order", id);
}

static enum err verify_series(struct verify *v, uint32_t id, struct slice value)
{
    struct block_series series;

    arena_reset(&v->label_arenas[0]);
    if (id != v->next_id)
        return fault(v, "index.sst: series %u comes where series %u should", id, v->next_id);
    if (block_parse_series(value, &v->label_arenas[0], &series) != ERR_OK) {
        v->next_id++;
        v->labels_before = (struct label_set){0};
        return fault(v, "index.sst: series %u makes no sense", id);
    }
    v->report.series_count++;
    enum err err = verify_chunks(v, id, &series);
    if (err == ERR_OK)
        err = verify_exemplars(v, id, series.exemplar_count);
    if (err == ERR_OK)
        err = verify_labels(v, id, series.labels);
    v->next_id++;
    return err;
}

static void add_to_tops(struct verify *v, const struct block_stats_pair *pair)
{
    struct block_stats_top *const tops[] = {&v->tops->pairs, &v->tops->metrics};

    for (size_t i = 0; i < 2; i++) {
        struct block_stats_pair *place;

        if (i == 1 && !slice_eq_cstr(pair->name, "__name__"))
            continue;
        if (!block_stats_top_add(tops[i], pair, &place))
            continue;
        place->name = arena_copy(&v->tenant_arena, pair->name);
        place->value = arena_copy(&v->tenant_arena, pair->value);
    }
}

static enum err verify_postings(struct verify *v, const struct block_index_key *key,
                                struct slice value)
{
    struct verify_name *name = name_of(v, key->name);
    struct postings *postings;
    const uint32_t *ids;
    uint32_t count;

    if (postings_decode(value, v->next_id, &postings) != ERR_OK)
        return fault(v, "index.sst: postings of %.*s=\"%.*s\" make no sense", SLICE_ARG(key->name),
                     SLICE_ARG(key->value));
    arena_reset(&v->frame_arena);
    const enum err err = postings_ids(postings, &v->frame_arena, &ids, &count);
    postings_free(postings);
    if (err != ERR_OK)
        return err_set(v->info, err, "no memory for postings");
    for (uint32_t i = 0; i < count; i++)
        name->from_postings += member_hash(v, key->value, ids[i]);
    name->value_count++;
    name->value_bytes += key->value.len;
    const struct block_stats_pair pair = {key->name, key->value, count, 0};
    add_to_tops(v, &pair);
    if (count == 0)
        return fault(v, "index.sst: postings of %.*s=\"%.*s\" are empty", SLICE_ARG(key->name),
                     SLICE_ARG(key->value));
    return progress(v);
}

/* ---- statistics ---- */

static bool same_pairs(const struct block_stats_pair *said, uint32_t count,
                       const struct block_stats_top *top)
{
    if (count != top->count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (said[i].series_count != top->items[i].series_count ||
            !slice_eq(said[i].name, top->items[i].name) ||
            !slice_eq(said[i].value, top->items[i].value))
            return false;
    return true;
}

static bool same_names(struct verify *v, const struct block_stats *stats)
{
    if (stats->name_count != v->name_count)
        return false;
    for (uint32_t i = 0; i < stats->name_count; i++) {
        const struct verify_name *name = name_of(v, stats->names[i].name);

        if (name->value_count != stats->names[i].value_count ||
            name->value_bytes != stats->names[i].value_bytes)
            return false;
    }
    return v->name_count == stats->name_count; /* none was new */
}

static enum err verify_stats(struct verify *v, struct slice value)
{
    struct block_stats stats;
    const char *what = NULL;

    v->has_stats = true;
    arena_reset(&v->arena);
    if (block_stats_parse(value, &v->arena, &stats) != ERR_OK)
        return fault(v, "index.sst: statistics make no sense");
    if (stats.series_count != v->next_id || stats.chunk_count != v->chunk_count ||
        stats.sample_count != v->sample_count || stats.chunk_bytes != v->chunk_bytes)
        what = "numbers";
    else if (!same_names(v, &stats))
        what = "label names";
    else if (!same_pairs(stats.metrics, stats.metric_count, &v->tops->metrics))
        what = "metrics";
    else if (!same_pairs(stats.pairs, stats.pair_count, &v->tops->pairs))
        what = "label pairs";
    return what == NULL ? ERR_OK
                        : fault(v, "index.sst: %s of the statistics are not the series'", what);
}

/* ---- tenants ---- */

static enum err end_tenant(struct verify *v)
{
    enum err err = ERR_OK;

    if (!v->in_tenant)
        return ERR_OK;
    for (uint32_t i = 0; i < v->name_count && err == ERR_OK; i++)
        if (v->names[i].from_series != v->names[i].from_postings)
            err = fault(v, "index.sst: postings of label %.*s are not the series'",
                        SLICE_ARG(v->names[i].name));
    if (err == ERR_OK && !v->has_stats)
        err = fault(v, "index.sst: statistics are missing");
    v->in_tenant = v->has_stats = false;
    v->next_id = 0;
    v->chunk_count = v->sample_count = v->chunk_bytes = 0;
    v->name_count = 0;
    v->tops->metrics.count = v->tops->pairs.count = 0;
    arena_reset(&v->tenant_arena);
    v->labels_before = (struct label_set){0};
    return err;
}

static enum err ignore_metadata(void *owner, const struct metadata *metadata)
{
    (void)owner;
    (void)metadata;
    return ERR_OK;
}

static enum err verify_metadata(struct verify *v, const struct block_index_key *key,
                                struct slice value)
{
    const enum err err = end_tenant(v);

    if (err != ERR_OK)
        return err;
    v->report.metric_count++;
    if (block_walk_metadata(value, key->name, ignore_metadata, NULL) == ERR_OK)
        return ERR_OK;
    return fault(v, "index.sst: metadata of metric %.*s of tenant \"%.*s\" makes no sense",
                 SLICE_ARG(key->name), SLICE_ARG(key->tenant));
}

static enum err verify_index_entry(struct verify *v, const struct block_index_key *key,
                                   struct slice value)
{
    if (key->kind == BLOCK_INDEX_METADATA)
        return verify_metadata(v, key, value);
    if (!v->in_tenant || !slice_eq(buf_slice(&v->tenant), key->tenant)) {
        const enum err err = end_tenant(v);

        if (err != ERR_OK)
            return err;
        buf_reset(&v->tenant);
        buf_add_slice(&v->tenant, key->tenant);
        v->in_tenant = true;
    }
    switch (key->kind) {
    case BLOCK_INDEX_SERIES:
        return verify_series(v, key->id, value);
    case BLOCK_INDEX_POSTINGS:
        return verify_postings(v, key, value);
    case BLOCK_INDEX_STATS:
        return verify_stats(v, value);
    case BLOCK_INDEX_METADATA:
        break;
    }
    return ERR_OK;
}

static enum err verify_index(struct verify *v)
{
    struct sst_iter *iter = sst_iter_new(v->block->index);
    enum err err = step_data(v, true);
    bool more = err == ERR_OK && sst_iter_seek(iter, SLICE(""));

    while (more && err == ERR_OK) {
        const struct slice key = sst_iter_key(iter);
        struct block_index_key parsed;

        v->report.bytes += key.len + sst_iter_value(iter).len;
        if (slice_cmp(buf_slice(&v->key_before), key) >= 0)
            err = fault(v, "index.sst: keys out of order");
        buf_reset(&v->key_before);
        buf_add_slice(&v->key_before, key);
        if (err == ERR_OK)
            err = block_key_parse_index(key, &v->index_text, &parsed)
                      ? verify_index_entry(v, &parsed, sst_iter_value(iter))
                      : fault(v, "index.sst: a key makes no sense");
        if (err == ERR_OK)
            more = sst_iter_next(iter);
    }
    if (err == ERR_OK)
        err = table_err(v, iter);
    if (err == ERR_OK)
        err = end_tenant(v);
    if (err == ERR_OK)
        err = skip_data(v, NULL);
    sst_iter_free(iter);
    return err;
}

/* ---- meta.json and files ---- */

static enum err verify_meta(struct verify *v)
{
    const struct block_meta *meta = &v->block->meta;
    const struct block_verify_report *found = &v->report;
    const char *what = NULL;

    if (found->series_count != meta->series_count || found->chunk_count != meta->chunk_count ||
        found->sample_count != meta->sample_count || v->histogram_count != meta->histogram_count)
        what = "numbers of series, chunks or samples";
    else if (v->t_min_ms != meta->t_min_ms || v->t_max_ms != meta->t_max_ms)
        what = "first or last time";
    else if (found->exemplar_count != meta->exemplar_count ||
             (found->exemplar_count > 0 && (v->exemplar_t_min_ms != meta->exemplar_t_min_ms ||
                                            v->exemplar_t_max_ms != meta->exemplar_t_max_ms)))
        what = "number or times of exemplars";
    return what == NULL ? ERR_OK : fault(v, "meta.json: %s are not those of the tables", what);
}

static enum err verify_file(struct verify *v, struct sst_reader *table)
{
    struct err_info info = {0};
    const enum err err = sst_reader_verify(table, &info);

    if (err == ERR_CORRUPT)
        return fault(v, "%s", info.message);
    if (err != ERR_OK)
        (void)err_set(v->info, err, "block %s: %s", v->block->name, info.message);
    return err;
}

static void verify_init(struct verify *v)
{
    v->t_min_ms = v->exemplar_t_min_ms = INT64_MAX;
    v->t_max_ms = v->exemplar_t_max_ms = INT64_MIN;
    v->data = sst_iter_new(v->block->data);
    v->tops = mem_zalloc(1, sizeof(*v->tops));
    buf_init(&v->index_text, BLOCK_KEY_SIZE_MAX);
    buf_init(&v->data_text, BLOCK_KEY_SIZE_MAX);
    buf_init(&v->key_before, BLOCK_KEY_SIZE_MAX);
    buf_init(&v->key, BLOCK_KEY_SIZE_MAX);
    buf_init(&v->tenant, BLOCK_KEY_SIZE_MAX);
    arena_init(&v->arena, NULL, 0);
    arena_init(&v->frame_arena, NULL, 0);
    arena_init(&v->tenant_arena, NULL, 0);
    arena_init(&v->label_arenas[0], NULL, 0);
    arena_init(&v->label_arenas[1], NULL, 0);
}

static void verify_fini(struct verify *v)
{
    sst_iter_free(v->data);
    mem_free(v->tops);
    mem_free(v->names);
    buf_fini(&v->index_text);
    buf_fini(&v->data_text);
    buf_fini(&v->key_before);
    buf_fini(&v->key);
    buf_fini(&v->tenant);
    arena_fini(&v->arena);
    arena_fini(&v->frame_arena);
    arena_fini(&v->tenant_arena);
    arena_fini(&v->label_arenas[0]);
    arena_fini(&v->label_arenas[1]);
}

enum err block_verify(struct block *block, const struct block_verify_options *options,
                      struct block_verify_report *report, struct err_info *info)
{
    struct verify v = {.block = block, .options = options, .info = info};

    verify_init(&v);
    enum err err = verify_file(&v, block->index);
    if (err == ERR_OK)
        err = verify_file(&v, block->data);
    if (err == ERR_OK)
        err = verify_index(&v);
    if (err == ERR_OK)
        err = verify_meta(&v);
    if (err == ERR_OK && v.report.fault_count > 0)
        err = ERR_CORRUPT;
    if (report != NULL)
        *report = v.report;
    verify_fini(&v);
    return err;
}
