/* SPDX-License-Identifier: Apache-2.0 */

/* Label sets: which of them are equal, and parts of them. */

#include "promql/series_index.h"

enum { INDEX_CAP_MIN = 16 };

static struct hash128 hash_of(const struct promql_index *index, struct label_set set)
{
    return series_hash(&index->eval->key, (struct slice){0}, set);
}

/* The slot of a set, or the free one where it belongs. */
static uint32_t slot_of(const struct promql_index *index, struct hash128 hash)
{
    const uint32_t mask = index->slot_count - 1;
    uint32_t slot = (uint32_t)hash.lo & mask;

    while (index->slots[slot] != 0 && !hash128_eq(index->hashes[index->slots[slot] - 1], hash))
        slot = (slot + 1) & mask;
    return slot;
}

static enum err index_grow(struct promql_index *index)
{
    struct arena *arena = index->eval->arena;
    const uint32_t cap = index->cap == 0 ? INDEX_CAP_MIN : index->cap * 2;

    index->sets = arena_grow(arena, index->sets, index->cap * sizeof(*index->sets),
                             cap * sizeof(*index->sets));
    index->hashes = arena_grow(arena, index->hashes, index->cap * sizeof(*index->hashes),
                               cap * sizeof(*index->hashes));
    index->slots = ARENA_ARRAY(arena, uint32_t, (size_t)cap * 2);
    if (index->sets == NULL || index->hashes == NULL || index->slots == NULL)
        return promql_eval_no_room(index->eval);
    index->cap = cap;
    index->slot_count = cap * 2;
    for (uint32_t i = 0; i < index->count; i++)
        index->slots[slot_of(index, index->hashes[i])] = i + 1;
    return ERR_OK;
}

void promql_index_init(struct promql_index *index, struct promql_eval *eval)
{
    *index = (struct promql_index){.eval = eval};
}

enum err promql_index_add(struct promql_index *index, struct label_set set, uint32_t *number)
{
    const struct hash128 hash = hash_of(index, set);
    uint32_t slot;

    if (index->count == index->cap) {
        const enum err err = index_grow(index);

        if (err != ERR_OK)
            return err;
    }
    slot = slot_of(index, hash);
    if (index->slots[slot] == 0) {
        index->sets[index->count] = set;
        index->hashes[index->count] = hash;
        index->slots[slot] = ++index->count;
    }
    *number = index->slots[slot] - 1;
    return ERR_OK;
}

bool promql_index_find(const struct promql_index *index, struct label_set set, uint32_t *number)
{
    uint32_t slot;

    if (index->count == 0)
        return false;
    slot = slot_of(index, hash_of(index, set));
    if (index->slots[slot] == 0)
        return false;
    *number = index->slots[slot] - 1;
    return true;
}

static bool is_metadata(struct slice name)
{
    return slice_eq_cstr(name, LABEL_METRIC_NAME) || slice_eq_cstr(name, "__type__") ||
           slice_eq_cstr(name, "__unit__");
}

static bool stays(const struct promql_projection *projection, struct slice name)
{
    if (projection->drops_metadata && is_metadata(name))
        return false;
    if (projection->drops_name && slice_eq_cstr(name, LABEL_METRIC_NAME))
        return false;
    for (uint32_t i = 0; i < projection->names.count; i++) {
        if (slice_eq(projection->names.names[i], name))
            return projection->is_keep;
    }
    return !projection->is_keep;
}

enum err promql_labels_project(struct promql_eval *eval, const struct promql_projection *projection,
                               struct label_set set, struct label_set *out)
{
    struct label *items;
    uint32_t count = 0;

    items = arena_alloc(eval->arena, set.count * sizeof(*items));
    if (items == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < set.count; i++) {
        if (stays(projection, set.items[i].name))
            items[count++] = set.items[i];
    }
    *out = (struct label_set){items, count};
    return ERR_OK;
}

enum err promql_labels_match(struct promql_eval *eval, const struct promql_matching *matching,
                             struct label_set set, struct label_set *out)
{
    const struct promql_projection projection = {
        .names = matching->labels,
        .is_keep = matching->is_on,
        .drops_name = !matching->is_on,
    };

    return promql_labels_project(eval, &projection, set, out);
}

enum err promql_labels_drop_metadata(struct promql_eval *eval, const struct label_set *sets,
                                     uint32_t count, struct label_set **out)
{
    const struct promql_projection projection = {.drops_metadata = true};
    struct label_set *result = ARENA_ARRAY(eval->arena, struct label_set, count);

    if (result == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < count; i++) {
        const enum err err = promql_labels_project(eval, &projection, sets[i], &result[i]);

        if (err != ERR_OK)
            return err;
    }
    *out = result;
    return ERR_OK;
}
