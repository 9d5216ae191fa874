/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_target.h"

#include "base/mem.h"
#include "model/relabel.h"
#include "remote/remote_position.h"
#include "remote/remote_record.h"

static uint64_t id_hash(uint32_t id)
{
    return (id + 1) * UINT64_C(0x9e3779b97f4a7c15); /* odd factor: ids stay distinct */
}

void remote_targets_init(struct remote_targets *targets)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE];

    hash_key_init(&targets->key, seed);
    map_init(&targets->by_id, NULL, NULL);
}

void remote_targets_fini(struct remote_targets *targets)
{
    uint64_t value;

    for (size_t pos = 0; map_next(&targets->by_id, &pos, &value);)
        remote_target_unref(map_to_ptr(value));
    map_fini(&targets->by_id);
}

void remote_target_unref(struct remote_target *target)
{
    if (target != NULL && atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1)
        mem_free(target);
}

/* One block of memory with the labels and their texts. */
static struct remote_target *target_new(struct label_set labels)
{
    size_t size = sizeof(struct remote_target) + labels.count * sizeof(struct label);
    struct remote_target *target;
    struct label *items;
    char *text;

    for (uint32_t i = 0; i < labels.count; i++)
        size += labels.items[i].name.len + labels.items[i].value.len;
    target = mem_alloc(size);
    *target = (struct remote_target){.is_dropped = labels.count == 0};
    atomic_init(&target->refs, 1);
    items = (struct label *)(target + 1);
    text = (char *)(items + labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        const struct label *from = &labels.items[i];

        memcpy(text, from->name.data, from->name.len);
        items[i].name = slice_of(text, from->name.len);
        text += from->name.len;
        memcpy(text, from->value.data, from->value.len);
        items[i].value = slice_of(text, from->value.len);
        text += from->value.len;
    }
    target->labels = (struct label_set){items, labels.count};
    return target;
}

static enum err make_target(const struct remote_targets *targets, struct slice bytes,
                            struct arena *arena, struct remote_target **out)
{
    struct label_builder builder;
    struct label_set labels;
    enum err err = remote_labels_get(bytes, arena, &labels);

    if (err != ERR_OK)
        return err;
    label_builder_init(&builder, arena, labels);
    for (uint32_t i = 0; i < targets->external.count; i++)
        if (label_builder_get(&builder, targets->external.items[i].name).len == 0)
            label_builder_set(&builder, targets->external.items[i].name,
                              targets->external.items[i].value);
    if (relabel_apply(targets->relabel, targets->relabel_count, &builder))
        labels = label_builder_set_view(&builder);
    else
        labels = (struct label_set){0};
    if (builder.err != ERR_OK || arena->err != ERR_OK)
        return ERR_LIMIT;
    *out = target_new(labels);
    return ERR_OK;
}

enum err remote_targets_define(struct remote_targets *targets, uint32_t id, struct slice labels,
                               uint64_t segment)
{
    const struct hash128 source = hash128(&targets->key, labels);
    uint64_t *found = map_find(&targets->by_id, id_hash(id), NULL);
    struct remote_target *old = found != NULL ? map_to_ptr(*found) : NULL, *target = NULL;
    struct arena arena;
    enum err err;

    if (old != NULL && hash128_eq(old->source, source)) {
        old->segment = segment;
        return ERR_OK;
    }
    arena_init(&arena, NULL, 0);
    err = make_target(targets, labels, &arena, &target);
    arena_fini(&arena);
    if (err != ERR_OK)
        return err;
    target->source = source;
    target->segment = segment;
    target->partition = (uint32_t)(hash64(&targets->key, labels) % REMOTE_PARTITION_COUNT);
    if (found != NULL)
        *found = map_of_ptr(target);
    else
        map_insert(&targets->by_id, id_hash(id), map_of_ptr(target));
    remote_target_unref(old);
    return ERR_OK;
}

struct remote_target *remote_targets_find(const struct remote_targets *targets, uint32_t id,
                                          uint64_t segment)
{
    const uint64_t *found = map_find(&targets->by_id, id_hash(id), NULL);
    struct remote_target *target = found != NULL ? map_to_ptr(*found) : NULL;

    return target != NULL && target->segment == segment ? target : NULL;
}
