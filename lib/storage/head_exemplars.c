/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_exemplars.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

enum { NONE = UINT32_MAX, CAP_MIN = 64 };

/* One exemplar; text NULL: a free place. */
struct item {
    struct exemplar exemplar; /* labels in text */
    char *text;               /* owned: label array, then its texts */
    size_t size;              /* of text */
    struct head_ref ref;
    uint64_t seq;
    uint32_t older, newer; /* of its series; NONE */
};

struct head_exemplars {
    pthread_mutex_t lock; /* guards all */
    struct item *items;   /* owned: cap of them; grows up to max, then it is a ring */
    _Atomic uint32_t max; /* written under the lock */
    uint32_t cap;
    uint32_t next; /* place of the next one */
    uint32_t count;
    struct map series; /* by slot: place of its newest */
    uint64_t text_bytes;
};

static bool slot_eq(const void *key, uint64_t value, void *owner)
{
    const struct head_exemplars *exemplars = owner;
    const uint32_t *slot = key;

    return exemplars->items[value].ref.slot == *slot;
}

static uint64_t slot_hash(uint32_t slot)
{
    return (slot + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}

struct head_exemplars *head_exemplars_new(uint32_t max)
{
    struct head_exemplars *exemplars = mem_zalloc(1, sizeof(*exemplars));

    pthread_mutex_init(&exemplars->lock, NULL);
    exemplars->max = max > HEAD_EXEMPLARS_MAX ? HEAD_EXEMPLARS_MAX : max;
    map_init(&exemplars->series, slot_eq, exemplars);
    return exemplars;
}

void head_exemplars_free(struct head_exemplars *exemplars)
{
    if (exemplars == NULL)
        return;
    for (uint32_t i = 0; i < exemplars->cap; i++)
        mem_free(exemplars->items[i].text);
    mem_free(exemplars->items);
    map_fini(&exemplars->series);
    pthread_mutex_destroy(&exemplars->lock);
    mem_free(exemplars);
}

/* ---- chains ---- */

/* Place of the newest of a slot's chain; NONE. */
static uint32_t newest_of(const struct head_exemplars *exemplars, uint32_t slot)
{
    const uint64_t *found = map_find(&exemplars->series, slot_hash(slot), &slot);

    return found == NULL ? NONE : (uint32_t)*found;
}

/* Takes one out of its chain and frees its place. */
static void item_remove(struct head_exemplars *exemplars, uint32_t at)
{
    struct item *item = &exemplars->items[at];
    const uint32_t slot = item->ref.slot;

    if (item->text == NULL)
        return;
    if (item->older != NONE)
        exemplars->items[item->older].newer = item->newer;
    if (item->newer != NONE) {
        exemplars->items[item->newer].older = item->older;
    } else {
        bool removed = map_remove(&exemplars->series, slot_hash(slot), &slot, NULL);

        ASSERT(removed);
        if (item->older != NONE)
            map_insert(&exemplars->series, slot_hash(slot), item->older);
    }
    exemplars->text_bytes -= item->size;
    exemplars->count--;
    mem_free(item->text);
    *item = (struct item){0};
}

/* The newest of a series; the chain of an earlier one in its slot goes. */
static uint32_t newest_of_series(struct head_exemplars *exemplars, struct head_ref ref)
{
    uint32_t at = newest_of(exemplars, ref.slot);

    while (at != NONE && exemplars->items[at].ref.gen != ref.gen) {
        item_remove(exemplars, at);
        at = newest_of(exemplars, ref.slot);
    }
    return at;
}

static enum head_exemplar_end judge(const struct exemplar *newest, const struct exemplar *e)
{
    const bool same_value = sample_value_bits(e->v) == sample_value_bits(newest->v);
    int order;

    if (!e->has_t && !newest->has_t && same_value && label_set_eq(e->labels, newest->labels))
        return HEAD_EXEMPLAR_SAME; /* a target shows it again, at whatever time */
    if (e->t_ms != newest->t_ms)
        return e->t_ms > newest->t_ms ? HEAD_EXEMPLAR_ADDED : HEAD_EXEMPLAR_LATE;
    if (!same_value)
        return e->v < newest->v ? HEAD_EXEMPLAR_LATE : HEAD_EXEMPLAR_ADDED;
    order = label_set_cmp(e->labels, newest->labels);
    return order == 0 ? HEAD_EXEMPLAR_SAME : order < 0 ? HEAD_EXEMPLAR_LATE : HEAD_EXEMPLAR_ADDED;
}

/* ---- adding ---- */

static size_t labels_size(struct label_set labels)
{
    size_t size = labels.count * sizeof(struct label) + 1;

    for (uint32_t i = 0; i < labels.count; i++)
        size += labels.items[i].name.len + labels.items[i].value.len;
    return size;
}

static struct slice put_text(char **at, struct slice text)
{
    char *to = *at;

    if (text.len > 0)
        memcpy(to, text.data, text.len);
    *at += text.len;
    return slice_of(to, text.len);
}

/* A copy of labels into `text`, which has labels_size of room. */
static struct label_set labels_put(char *text, struct label_set labels)
{
    struct label *items = (struct label *)(void *)text;
    char *at = text + labels.count * sizeof(struct label);

    for (uint32_t i = 0; i < labels.count; i++) {
        items[i].name = put_text(&at, labels.items[i].name);
        items[i].value = put_text(&at, labels.items[i].value);
    }
    return (struct label_set){items, labels.count};
}

/* A free place: the next one of the ring. */
static uint32_t place_take(struct head_exemplars *exemplars)
{
    uint32_t at;

    if (exemplars->next == exemplars->cap && exemplars->cap < exemplars->max) {
        const uint32_t grown = exemplars->cap == 0 ? CAP_MIN : exemplars->cap * 2;
        const uint32_t cap = grown < exemplars->max ? grown : exemplars->max;

        exemplars->items = mem_realloc(exemplars->items, cap * sizeof(*exemplars->items));
        memset(exemplars->items + exemplars->cap, 0,
               (cap - exemplars->cap) * sizeof(*exemplars->items));
        exemplars->cap = cap;
    }
    if (exemplars->next == exemplars->cap)
        exemplars->next = 0;
    at = exemplars->next++;
    item_remove(exemplars, at);
    return at;
}

static void item_put(struct head_exemplars *exemplars, struct head_ref ref, uint64_t seq,
                     const struct exemplar *e)
{
    const uint32_t at = place_take(exemplars);
    struct item *item = &exemplars->items[at];
    const uint32_t older = newest_of_series(exemplars, ref); /* the place may have been its */

    *item = (struct item){.exemplar = *e, .ref = ref, .seq = seq, .older = older, .newer = NONE};
    item->size = labels_size(e->labels);
    item->text = mem_alloc(item->size);
    item->exemplar.labels = labels_put(item->text, e->labels);
    if (older != NONE) {
        uint64_t *newest = map_find(&exemplars->series, slot_hash(ref.slot), &ref.slot);

        exemplars->items[older].newer = at;
        *newest = at;
    } else {
        map_insert(&exemplars->series, slot_hash(ref.slot), at);
    }
    exemplars->count++;
    exemplars->text_bytes += item->size;
}

enum head_exemplar_end head_exemplars_add(struct head_exemplars *exemplars, struct head_ref ref,
                                          uint64_t seq, const struct exemplar *e)
{
    enum head_exemplar_end end = HEAD_EXEMPLAR_ADDED;
    uint32_t newest;

    pthread_mutex_lock(&exemplars->lock);
    if (exemplars->max == 0) {
        end = HEAD_EXEMPLAR_OFF;
    } else {
        newest = newest_of_series(exemplars, ref);
        if (newest != NONE)
            end = judge(&exemplars->items[newest].exemplar, e);
        if (end == HEAD_EXEMPLAR_ADDED)
            item_put(exemplars, ref, seq, e);
    }
    pthread_mutex_unlock(&exemplars->lock);
    return end;
}

bool head_exemplars_has(struct head_exemplars *exemplars, struct head_ref ref,
                        const struct exemplar *e)
{
    uint32_t newest;
    bool has;

    pthread_mutex_lock(&exemplars->lock);
    newest = newest_of(exemplars, ref.slot);
    has = newest != NONE && exemplars->items[newest].ref.gen == ref.gen &&
          judge(&exemplars->items[newest].exemplar, e) == HEAD_EXEMPLAR_SAME;
    pthread_mutex_unlock(&exemplars->lock);
    return has;
}

/* ---- all of them ---- */

/* The i-th place from the oldest on. */
static uint32_t place_at(const struct head_exemplars *exemplars, uint32_t i)
{
    return (uint32_t)(((uint64_t)exemplars->next + i) % exemplars->cap);
}

void head_exemplars_resize(struct head_exemplars *exemplars, uint32_t max)
{
    struct item *items;
    uint32_t cap, from;

    max = max > HEAD_EXEMPLARS_MAX ? HEAD_EXEMPLARS_MAX : max;
    pthread_mutex_lock(&exemplars->lock);
    if (max == exemplars->max) {
        pthread_mutex_unlock(&exemplars->lock);
        return;
    }
    items = exemplars->items;
    cap = exemplars->cap;
    from = exemplars->next;
    exemplars->items = NULL;
    exemplars->cap = exemplars->next = exemplars->count = 0;
    exemplars->text_bytes = 0;
    exemplars->max = max;
    map_reset(&exemplars->series);
    for (uint32_t i = 0; i < cap; i++) {
        const struct item *item = &items[((uint64_t)from + i) % cap];

        if (item->text != NULL && max > 0)
            item_put(exemplars, item->ref, item->seq, &item->exemplar);
    }
    pthread_mutex_unlock(&exemplars->lock);
    for (uint32_t i = 0; i < cap; i++)
        mem_free(items[i].text);
    mem_free(items);
}

uint32_t head_exemplars_max(const struct head_exemplars *exemplars)
{
    return exemplars->max;
}

static bool range_has(const struct head_exemplar_range *range, const struct item *item)
{
    return item->text != NULL && item->seq <= range->seq &&
           item->exemplar.t_ms >= range->t_min_ms && item->exemplar.t_ms <= range->t_max_ms;
}

enum err head_exemplars_get(struct head_exemplars *exemplars, struct head_ref ref,
                            const struct head_exemplar_range *range, struct arena *arena,
                            struct head_exemplar_list *list)
{
    enum err err = ERR_OK;
    uint32_t newest, count = 0, at;

    *list = (struct head_exemplar_list){0};
    pthread_mutex_lock(&exemplars->lock);
    newest = newest_of(exemplars, ref.slot);
    for (at = newest; at != NONE; at = exemplars->items[at].older)
        count += exemplars->items[at].ref.gen == ref.gen && range_has(range, &exemplars->items[at]);
    if (count > 0) {
        list->items = ARENA_ARRAY(arena, struct exemplar, count);
        if (list->items == NULL)
            err = ERR_LIMIT;
        list->count = count;
    }
    for (at = newest; at != NONE && err == ERR_OK; at = exemplars->items[at].older) {
        const struct item *item = &exemplars->items[at];
        char *text;

        if (item->ref.gen != ref.gen || !range_has(range, item))
            continue;
        text = arena_alloc(arena, item->size);
        if (text == NULL) {
            err = ERR_LIMIT;
            break;
        }
        list->items[--count] = item->exemplar;
        list->items[count].labels = labels_put(text, item->exemplar.labels);
    }
    pthread_mutex_unlock(&exemplars->lock);
    return err;
}

void head_exemplars_drop(struct head_exemplars *exemplars, const struct head_exemplar_range *range)
{
    pthread_mutex_lock(&exemplars->lock);
    for (uint32_t at = 0; at < exemplars->cap; at++)
        if (range_has(range, &exemplars->items[at]))
            item_remove(exemplars, at);
    pthread_mutex_unlock(&exemplars->lock);
}

void head_exemplars_each(struct head_exemplars *exemplars, head_exemplar_fn *fn, void *owner)
{
    pthread_mutex_lock(&exemplars->lock);
    for (uint32_t i = 0; i < exemplars->cap; i++) {
        const struct item *item = &exemplars->items[place_at(exemplars, i)];

        if (item->text != NULL)
            fn(owner, item->ref, item->seq, &item->exemplar);
    }
    pthread_mutex_unlock(&exemplars->lock);
}

void head_exemplars_get_stats(struct head_exemplars *exemplars, struct head_exemplars_stats *stats)
{
    pthread_mutex_lock(&exemplars->lock);
    *stats = (struct head_exemplars_stats){
        .count = exemplars->count,
        .series = (uint32_t)exemplars->series.count,
        .memory_bytes = sizeof(*exemplars) + exemplars->cap * sizeof(struct item) +
                        map_size_bytes(&exemplars->series) + exemplars->text_bytes};
    for (uint32_t i = 0; i < exemplars->cap; i++) {
        const struct item *item = &exemplars->items[place_at(exemplars, i)];

        if (item->text != NULL) {
            stats->t_oldest_ms = item->exemplar.t_ms;
            break;
        }
    }
    pthread_mutex_unlock(&exemplars->lock);
}
