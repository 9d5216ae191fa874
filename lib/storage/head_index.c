/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_index.h"

#include <string.h>

#include "base/mem.h"

/* A key of pair_map; name_map is asked with the name alone. */
struct pair_key {
    struct slice name, value;
};

static bool name_eq(const void *key, uint64_t value, void *owner)
{
    const struct slice *text = key;
    const struct head_name *name = map_to_ptr(value);

    (void)owner;
    return slice_eq(*text, slice_of(name->text, name->size));
}

static bool pair_eq(const void *key, uint64_t value, void *owner)
{
    const struct pair_key *want = key;
    const struct head_index *index = owner;
    const struct label got = head_pair_label(index->pairs[value]);

    return slice_eq(want->value, got.value) && slice_eq(want->name, got.name);
}

static uint64_t name_hash(const struct head_index *index, struct slice name)
{
    return hash64(index->key, name);
}

/* The name's hash is mixed in, so that a=x and b=x part. */
static uint64_t pair_hash(const struct head_index *index, struct slice name, struct slice value)
{
    return hash64(index->key, value) ^ (hash64(index->key, name) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Series that come together are alike, so most of their pairs were asked for a moment ago. A hash
 * of the value's end, which costs nothing and parts the usual counters, leads to the last pair that
 * was found with it. */
static struct head_pair **index_recent(struct head_index *index, struct slice name,
                                       struct slice value)
{
    uint64_t end = 0;

    memcpy(&end, value.data + (value.len > 8 ? value.len - 8 : 0), value.len > 8 ? 8 : value.len);
    end = (end ^ (uint64_t)name.len << 32 ^ (uint64_t)(uint8_t)name.data[0] << 40) *
          UINT64_C(0x9e3779b97f4a7c15);
    return &index->recent[end >> 55];
}

STATIC_ASSERT(HEAD_INDEX_RECENT == 1 << (64 - 55), "index_recent takes the upper bits");

void head_index_init(struct head_index *index, const struct hash_key *key)
{
    pthread_rwlockattr_t attr;

    *index = (struct head_index){.key = key};
    /* Queries that follow one another must not keep new series out. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&index->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    map_init(&index->name_map, name_eq, index);
    map_init(&index->pair_map, pair_eq, index);
}

void head_index_fini(struct head_index *index)
{
    size_t pos = 0;
    uint64_t value;

    for (uint32_t id = 0; id < index->pair_end; id++) {
        if (index->pairs[id] == NULL)
            continue;
        head_postings_fini(&index->pairs[id]->postings);
        mem_free(index->pairs[id]);
    }
    while (map_next(&index->name_map, &pos, &value)) {
        struct head_name *name = map_to_ptr(value);

        mem_free(name->pairs);
        mem_free(name);
    }
    head_postings_fini(&index->all);
    map_fini(&index->name_map);
    map_fini(&index->pair_map);
    mem_free(index->pairs);
    mem_free(index->free_ids);
    pthread_rwlock_destroy(&index->lock);
}

static struct head_name *index_name(struct head_index *index, struct slice text)
{
    const uint64_t hash = name_hash(index, text);
    const uint64_t *found = map_find(&index->name_map, hash, &text);
    struct head_name *name;

    if (found != NULL)
        return map_to_ptr(*found);
    name = mem_zalloc(1, sizeof(*name) + text.len);
    name->index = index;
    name->size = (uint32_t)text.len;
    memcpy(name->text, text.data, text.len);
    map_insert(&index->name_map, hash, map_of_ptr(name));
    atomic_fetch_add(&index->memory_bytes, sizeof(*name) + text.len);
    return name;
}

static uint32_t index_take_id(struct head_index *index)
{
    if (index->free_count > 0)
        return index->free_ids[--index->free_count];
    if (index->pair_end == index->pair_cap) {
        index->pair_cap = index->pair_cap == 0 ? 64 : index->pair_cap * 2;
        index->pairs = mem_realloc(index->pairs, index->pair_cap * sizeof(*index->pairs));
    }
    return index->pair_end++;
}

static void index_give_id(struct head_index *index, uint32_t id)
{
    if (index->free_count == index->free_cap) {
        index->free_cap = index->free_cap == 0 ? 64 : index->free_cap * 2;
        index->free_ids = mem_realloc(index->free_ids, index->free_cap * sizeof(*index->free_ids));
    }
    index->free_ids[index->free_count++] = id;
}

static size_t pair_size_bytes(const struct head_pair *pair)
{
    return sizeof(*pair) + pair->size + head_postings_size_bytes(&pair->postings);
}

static struct head_pair *index_make_pair(struct head_index *index, const struct label *label,
                                         uint64_t hash)
{
    struct head_name *name = index_name(index, label->name);
    struct head_pair *pair;

    pair = mem_zalloc(1, sizeof(*pair) + label->value.len);
    pair->size = (uint32_t)label->value.len;
    memcpy(pair->value, label->value.data, label->value.len);
    pair->name = name;
    pair->id = index_take_id(index);
    index->pairs[pair->id] = pair;
    if (name->count == name->cap) {
        name->cap = name->cap == 0 ? 4 : name->cap * 2;
        name->pairs = mem_realloc(name->pairs, name->cap * sizeof(*name->pairs));
    }
    pair->pos = name->count;
    name->pairs[name->count++] = pair->id;
    map_insert(&index->pair_map, hash, pair->id);
    atomic_fetch_add(&index->pair_count, 1);
    atomic_fetch_add(&index->memory_bytes, pair_size_bytes(pair));
    return pair;
}

static bool pair_is(const struct head_pair *pair, const struct label *label)
{
    const struct label got = head_pair_label(pair);

    return slice_eq(got.value, label->value) && slice_eq(got.name, label->name);
}

static struct head_pair *index_pair(struct head_index *index, const struct label *label)
{
    struct head_pair **recent = index_recent(index, label->name, label->value);
    const struct pair_key key = {label->name, label->value};
    const uint64_t *found;
    uint64_t hash;

    if (*recent != NULL && pair_is(*recent, label))
        return *recent;
    hash = pair_hash(index, label->name, label->value);
    found = map_find(&index->pair_map, hash, &key);
    *recent = found != NULL ? index->pairs[*found] : index_make_pair(index, label, hash);
    return *recent;
}

void head_index_add(struct head_index *index, struct label_set labels, uint32_t slot, uint32_t *ids)
{
    pthread_rwlock_wrlock(&index->lock);
    for (uint32_t i = 0; i < labels.count; i++) {
        struct head_pair *pair = index_pair(index, &labels.items[i]);

        head_postings_add(&pair->postings, slot);
        ids[i] = pair->id;
    }
    head_postings_add(&index->all, slot);
    pthread_rwlock_unlock(&index->lock);
}

/* Takes a pair without series out of the maps. */
static void index_drop_pair(struct head_index *index, struct head_pair *pair)
{
    const struct label label = head_pair_label(pair);
    const struct pair_key key = {label.name, label.value};
    const uint64_t *found = map_find(&index->name_map, name_hash(index, label.name), &label.name);
    struct head_pair **recent = index_recent(index, label.name, label.value);
    struct head_name *name;
    bool removed;

    ASSERT(found != NULL);
    if (*recent == pair)
        *recent = NULL;
    name = map_to_ptr(*found);
    removed = map_remove(&index->pair_map, pair_hash(index, label.name, label.value), &key, NULL);
    ASSERT(removed);
    name->pairs[pair->pos] = name->pairs[--name->count];
    index->pairs[name->pairs[pair->pos]]->pos = pair->pos;
}

struct head_pair *head_index_remove(struct head_index *index, const uint32_t *ids, uint32_t count,
                                    uint32_t slot)
{
    struct head_pair *dead = NULL;

    pthread_rwlock_wrlock(&index->lock);
    for (uint32_t i = 0; i < count; i++) {
        struct head_pair *pair = index->pairs[ids[i]];

        head_postings_remove(&pair->postings, slot);
        if (pair->postings.count > 0)
            continue;
        index_drop_pair(index, pair);
        pair->next_dead = dead;
        dead = pair;
    }
    head_postings_remove(&index->all, slot);
    pthread_rwlock_unlock(&index->lock);
    return dead;
}

void head_index_free_pairs(struct head_pair *dead)
{
    while (dead != NULL) {
        struct head_pair *next = dead->next_dead;
        struct head_index *index = dead->name->index;

        pthread_rwlock_wrlock(&index->lock);
        index->pairs[dead->id] = NULL;
        index_give_id(index, dead->id);
        pthread_rwlock_unlock(&index->lock);
        atomic_fetch_sub(&index->pair_count, 1);
        atomic_fetch_sub(&index->memory_bytes, sizeof(*dead) + dead->size);
        head_postings_fini(&dead->postings);
        mem_free(dead);
        dead = next;
    }
}

/* ---- reading ---- */

static const struct head_pair *index_find_pair(const struct head_index *index, struct slice name,
                                               struct slice value)
{
    const struct pair_key key = {name, value};
    const uint64_t *found = map_find(&index->pair_map, pair_hash(index, name, value), &key);

    return found == NULL ? NULL : index->pairs[*found];
}

static const struct head_name *index_find_name(const struct head_index *index, struct slice name)
{
    const uint64_t *found = map_find(&index->name_map, name_hash(index, name), &name);

    return found == NULL ? NULL : map_to_ptr(*found);
}

/* Adds the series whose label matches (or, inverted, is there and does not match). */
static void index_add_matching(const struct head_index *index, const struct matcher *matcher,
                               bool inverted, struct head_postings_set *out)
{
    const struct head_name *name = index_find_name(index, matcher->name);
    const struct head_pair *pair;

    if (name == NULL)
        return;
    if (matcher->type == (inverted ? MATCHER_NOT_EQUAL : MATCHER_EQUAL)) {
        pair = index_find_pair(index, matcher->name, matcher->value);
        if (pair != NULL)
            head_postings_set_add(out, &pair->postings);
        return;
    }
    if (matcher->set_count > 0 && matcher->type == (inverted ? MATCHER_NOT_REGEX : MATCHER_REGEX)) {
        for (uint32_t i = 0; i < matcher->set_count; i++) {
            pair = index_find_pair(index, matcher->name, matcher->set[i]);
            if (pair != NULL)
                head_postings_set_add(out, &pair->postings);
        }
        return;
    }
    for (uint32_t i = 0; i < name->count; i++) {
        pair = index->pairs[name->pairs[i]];
        if (matcher_matches(matcher, slice_of(pair->value, pair->size)) != inverted)
            head_postings_set_add(out, &pair->postings);
    }
}

/* Narrows `set` by one matcher; the first one fills it. A matcher that the empty value meets is
 * applied by taking out the series that have the label and do not match. */
static void index_narrow(const struct head_index *index, const struct matcher *matcher, bool first,
                         struct head_postings_set *set)
{
    const bool inverted = matcher_matches_empty(matcher);
    struct head_postings_set found;

    head_postings_set_init(&found);
    index_add_matching(index, matcher, inverted, &found);
    if (inverted)
        head_postings_set_subtract(set, &found);
    else if (first)
        head_postings_set_add_all(set, &found);
    else
        head_postings_set_intersect(set, &found);
    head_postings_set_fini(&found);
}

/* Adds the series that meet all of one list's matchers. Equalities go first, since they are cheap
 * and leave little; what the empty value meets goes last. */
static void index_add_list(const struct head_index *index, struct matcher_list list,
                           struct head_postings_set *out)
{
    struct head_postings_set set;
    bool first = true;

    head_postings_set_init(&set);
    for (int pass = 0; pass < 3; pass++) {
        for (uint32_t i = 0; i < list.count; i++) {
            const struct matcher *matcher = &list.items[i];
            const int want = matcher_matches_empty(matcher)   ? 2
                             : matcher->type == MATCHER_EQUAL ? 0
                                                              : 1;

            if (want != pass)
                continue;
            if (want == 2 && first) {
                head_postings_set_add(&set, &index->all);
                first = false;
            }
            index_narrow(index, matcher, first, &set);
            first = false;
        }
    }
    if (first)
        head_postings_set_add(&set, &index->all);
    head_postings_set_add_all(out, &set);
    head_postings_set_fini(&set);
}

enum err head_index_select(struct head_index *index, struct arena *arena,
                           struct matcher_list matchers, struct head_slots *slots)
{
    struct head_postings_set set;
    enum err err = ERR_OK;
    uint32_t count;

    head_postings_set_init(&set);
    pthread_rwlock_rdlock(&index->lock);
    index_add_list(index, matchers, &set);
    pthread_rwlock_unlock(&index->lock);
    count = head_postings_set_count(&set);
    slots->count = count;
    slots->items = arena_alloc(arena, count * sizeof(*slots->items));
    if (slots->items == NULL)
        err = ERR_LIMIT;
    else
        head_postings_set_get(&set, slots->items);
    head_postings_set_fini(&set);
    return err;
}

uint32_t head_index_estimate(struct head_index *index, struct matcher_list matchers)
{
    uint32_t count_min;

    pthread_rwlock_rdlock(&index->lock);
    count_min = index->all.count;
    for (uint32_t i = 0; i < matchers.count; i++) {
        const struct matcher *matcher = &matchers.items[i];
        const struct head_pair *pair;
        uint32_t count = 0;

        if (matcher_matches_empty(matcher))
            continue;
        if (matcher->type == MATCHER_EQUAL) {
            pair = index_find_pair(index, matcher->name, matcher->value);
            count = pair == NULL ? 0 : pair->postings.count;
        } else if (matcher->type == MATCHER_REGEX && matcher->set_count > 0) {
            for (uint32_t j = 0; j < matcher->set_count; j++) {
                pair = index_find_pair(index, matcher->name, matcher->set[j]);
                count += pair == NULL ? 0 : pair->postings.count;
            }
        } else {
            continue;
        }
        count_min = count < count_min ? count : count_min;
    }
    pthread_rwlock_unlock(&index->lock);
    return count_min;
}

void head_index_get_pairs(struct head_index *index, const uint32_t *ids, uint32_t count,
                          const struct head_pair **pairs)
{
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = index->pairs[ids[i]];
}

enum err head_index_names(struct head_index *index, struct arena *arena, struct head_texts *texts)
{
    size_t pos = 0;
    uint64_t value;
    enum err err = ERR_OK;

    pthread_rwlock_rdlock(&index->lock);
    texts->count = 0;
    texts->items = ARENA_ARRAY(arena, struct slice, index->name_map.count);
    if (texts->items == NULL)
        err = ERR_LIMIT;
    while (err == ERR_OK && map_next(&index->name_map, &pos, &value)) {
        const struct head_name *name = map_to_ptr(value);

        if (name->count > 0)
            texts->items[texts->count++] = slice_of(name->text, name->size);
    }
    pthread_rwlock_unlock(&index->lock);
    return err;
}

enum err head_index_values(struct head_index *index, struct arena *arena, struct slice name,
                           struct head_texts *texts)
{
    const struct head_name *found;
    enum err err = ERR_OK;

    *texts = (struct head_texts){0};
    pthread_rwlock_rdlock(&index->lock);
    found = index_find_name(index, name);
    if (found != NULL) {
        texts->items = ARENA_ARRAY(arena, struct slice, found->count);
        err = texts->items == NULL ? ERR_LIMIT : ERR_OK;
        for (uint32_t i = 0; err == ERR_OK && i < found->count; i++) {
            const struct head_pair *pair = index->pairs[found->pairs[i]];

            texts->items[texts->count++] = slice_of(pair->value, pair->size);
        }
    }
    pthread_rwlock_unlock(&index->lock);
    return err;
}
