/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/target_group.h"

#include <stdatomic.h>

#include "base/mem.h"

struct counted {
    struct target_group group;
    _Atomic uint32_t refs;
    struct arena arena; /* owned: all of the group */
};

static enum err fill(struct counted *counted, const struct target_group_spec *spec)
{
    struct arena *arena = &counted->arena;
    struct label_set *targets = ARENA_ARRAY(arena, struct label_set, spec->address_count);
    struct label *labels = ARENA_ARRAY(arena, struct label, spec->address_count);

    counted->group.source = arena_copy(arena, spec->source);
    counted->group.labels = label_set_copy(arena, spec->labels);
    if (targets == NULL || labels == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < spec->address_count; i++) {
        labels[i] = (struct label){SLICE("__address__"), arena_copy(arena, spec->addresses[i])};
        targets[i] = (struct label_set){&labels[i], spec->addresses[i].len != 0};
    }
    counted->group.targets = targets;
    counted->group.target_count = spec->address_count;
    return arena->err;
}

enum err target_group_new(const struct target_group_spec *spec, struct target_group **group)
{
    struct counted *counted = mem_zalloc(1, sizeof(*counted));
    enum err err;

    atomic_init(&counted->refs, 1);
    arena_init(&counted->arena, NULL, TARGET_GROUP_SIZE_MAX);
    err = fill(counted, spec);
    if (err != ERR_OK) {
        target_group_unref(&counted->group);
        return err;
    }
    *group = &counted->group;
    return ERR_OK;
}

struct target_group *target_group_ref(struct target_group *group)
{
    struct counted *counted = CONTAINER_OF(group, struct counted, group);

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return group;
}

void target_group_unref(struct target_group *group)
{
    struct counted *counted;

    if (group == NULL)
        return;
    counted = CONTAINER_OF(group, struct counted, group);
    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&counted->arena);
    mem_free(counted);
}
