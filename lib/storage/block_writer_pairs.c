/* SPDX-License-Identifier: Apache-2.0 */

/* Postings of the present tenant: ids in memory as varint steps, a list a label pair, written when
 * the tenant ends. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/block_stats.h"
#include "storage/block_writer_internal.h"
#include "storage/postings.h"

enum { PAIR_CAP_MIN = 8 };

struct writer_tops {
    struct block_stats_top metrics, pairs;
};

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

void block_writer_add_pairs(struct block_writer *w, uint32_t id, uint64_t sample_count)
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
        pair->sample_count += sample_count;
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

/* Names with their values, and the pairs with the most series, from the sorted pairs. */
static void sum_pairs(struct block_writer *w, struct block_stats_name *names,
                      struct writer_tops *tops, struct block_stats *stats)
{
    for (size_t i = 0; i < w->pair_count; i++) {
        const struct writer_pair *pair = w->pairs[i];
        const struct block_stats_pair sum = {pair->name, pair->value, pair->count, 0};
        struct block_stats_pair *place;

        if (i == 0 || !slice_eq(pair->name, w->pairs[i - 1]->name))
            names[stats->name_count++] = (struct block_stats_name){.name = pair->name};
        names[stats->name_count - 1].value_count++;
        names[stats->name_count - 1].value_bytes += pair->value.len;
        (void)block_stats_top_add(&tops->pairs, &sum, &place);
        if (slice_eq_cstr(pair->name, "__name__") &&
            block_stats_top_add(&tops->metrics, &sum, &place))
            place->sample_count = pair->sample_count;
    }
}

static enum err write_stats(struct block_writer *w, struct err_info *info)
{
    struct block_stats stats = {.series_count = w->next_id,
                                .chunk_count = w->tenant_chunks,
                                .sample_count = w->tenant_samples,
                                .chunk_bytes = w->tenant_chunk_bytes};
    struct writer_tops *tops = ARENA_NEW(&w->arena, struct writer_tops);
    uint32_t name_count = 0;

    for (size_t i = 0; i < w->pair_count; i++)
        name_count += i == 0 || !slice_eq(w->pairs[i]->name, w->pairs[i - 1]->name);
    struct block_stats_name *names = ARENA_ARRAY(&w->arena, struct block_stats_name, name_count);
    sum_pairs(w, names, tops, &stats);
    stats.names = names;
    stats.metrics = tops->metrics.items;
    stats.metric_count = tops->metrics.count;
    stats.pairs = tops->pairs.items;
    stats.pair_count = tops->pairs.count;
    buf_reset(&w->value);
    block_stats_put(&w->value, &stats);
    block_key_index(&w->key, buf_slice(&w->tenant), BLOCK_INDEX_STATS);
    if (w->key.err != ERR_OK || w->value.err != ERR_OK)
        return err_set(info, ERR_TOO_LARGE, "too many label names for a block");
    return sst_writer_add(w->index, buf_slice(&w->key), buf_slice(&w->value), info);
}

void block_writer_reset_pairs(struct block_writer *w)
{
    for (size_t i = 0; i < w->pair_count; i++) {
        mem_free(w->pairs[i]->deltas);
        mem_free(w->pairs[i]);
    }
    w->pair_count = 0;
    map_reset(&w->pair_map);
    arena_reset(&w->arena);
    memset(w->last_pairs, 0, sizeof(w->last_pairs));
}

enum err block_writer_put_pairs(struct block_writer *w, struct err_info *info)
{
    enum err err = ERR_OK;

    qsort(w->pairs, w->pair_count, sizeof(*w->pairs), pair_order);
    for (size_t i = 0; i < w->pair_count && err == ERR_OK; i++)
        err = write_pair(w, w->pairs[i], info);
    return err == ERR_OK ? write_stats(w, info) : err;
}

void block_writer_init_pairs(struct block_writer *w)
{
    map_init(&w->pair_map, pair_eq, NULL);
    arena_init(&w->arena, NULL, 0);
}
