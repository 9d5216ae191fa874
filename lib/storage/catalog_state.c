/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "storage/catalog_internal.h"

void catalog_state_fini(struct catalog_state *state)
{
    for (uint32_t i = 0; i < state->deletion_count; i++)
        mem_free(state->deletions[i]);
    mem_free((void *)state->deletions);
    mem_free(state->gone);
    mem_free(state->entries);
    *state = (struct catalog_state){0};
}

/* The place of the first entry whose ULID is not below. */
static uint32_t find_place(const struct catalog_state *state, struct ulid ulid)
{
    uint32_t low = 0;
    uint32_t high = state->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (ulid_cmp(state->entries[middle].ulid, ulid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_entry *catalog_state_find(const struct catalog_state *state, struct ulid ulid)
{
    const uint32_t at = find_place(state, ulid);

    if (at == state->count || ulid_cmp(state->entries[at].ulid, ulid) != 0)
        return NULL;
    return &state->entries[at];
}

bool catalog_state_attach(struct catalog_state *state, const struct catalog_entry *entry)
{
    const uint32_t at = find_place(state, entry->ulid);

    if (at < state->count && ulid_cmp(state->entries[at].ulid, entry->ulid) == 0) {
        state->entries[at] = *entry;
        return true;
    }
    if (state->count == CATALOG_ENTRIES_MAX)
        return false;
    if (state->count == state->cap) {
        state->cap = state->cap == 0 ? 16 : state->cap * 2;
        state->entries = mem_realloc(state->entries, state->cap * sizeof(*state->entries));
    }
    memmove(&state->entries[at + 1], &state->entries[at],
            (state->count - at) * sizeof(*state->entries));
    state->entries[at] = *entry;
    state->count++;
    return true;
}

bool catalog_state_add_gone(struct catalog_state *state, const struct catalog_gone *gone)
{
    if (state->gone_count == CATALOG_GONE_MAX)
        return false;
    if (state->gone_count == state->gone_cap) {
        state->gone_cap = state->gone_cap == 0 ? 16 : state->gone_cap * 2;
        state->gone = mem_realloc(state->gone, state->gone_cap * sizeof(*state->gone));
    }
    state->gone[state->gone_count++] = *gone;
    return true;
}

bool catalog_state_detach(struct catalog_state *state, struct ulid ulid, bool remember)
{
    struct catalog_entry *entry = catalog_state_find(state, ulid);

    if (entry == NULL)
        return true;
    const struct catalog_gone gone = {ulid, entry->window_t_min_ms, entry->window_t_end_ms,
                                      entry->watermark};
    if (remember && !catalog_state_add_gone(state, &gone))
        return false;
    state->count--;
    memmove(entry, entry + 1,
            (size_t)(&state->entries[state->count] - entry) * sizeof(*state->entries));
    return true;
}

/* ---- deletions ---- */

static char *copy_text(char *at, struct slice from, struct slice *to)
{
    if (from.len > 0)
        memcpy(at, from.data, from.len);
    *to = slice_of(at, from.len);
    return at + from.len;
}

/* One allocation: the struct, its matchers, their texts. */
static struct catalog_deletion *copy_deletion(const struct catalog_deletion *from)
{
    const size_t specs_size = from->matcher_count * sizeof(struct matcher_spec);
    size_t size = sizeof(*from) + specs_size + from->tenant.len;
    struct catalog_deletion *copy;
    struct matcher_spec *specs;
    char *at;

    for (uint32_t i = 0; i < from->matcher_count; i++)
        size += from->matchers[i].name.len + from->matchers[i].value.len;
    copy = mem_alloc(size);
    *copy = *from;
    specs = (struct matcher_spec *)(copy + 1);
    at = copy_text((char *)specs + specs_size, from->tenant, &copy->tenant);
    for (uint32_t i = 0; i < from->matcher_count; i++) {
        specs[i].type = from->matchers[i].type;
        at = copy_text(at, from->matchers[i].name, &specs[i].name);
        at = copy_text(at, from->matchers[i].value, &specs[i].value);
    }
    copy->matchers = specs;
    return copy;
}

bool catalog_state_delete(struct catalog_state *state, const struct catalog_deletion *deletion)
{
    if (state->deletion_count == CATALOG_DELETIONS_MAX)
        return false;
    if (state->deletion_count == state->deletion_cap) {
        state->deletion_cap = state->deletion_cap == 0 ? 16 : state->deletion_cap * 2;
        state->deletions = mem_realloc((void *)state->deletions,
                                       state->deletion_cap * sizeof(struct catalog_deletion *));
    }
    state->deletions[state->deletion_count++] = copy_deletion(deletion);
    return true;
}

bool catalog_deletion_applies(const struct catalog_deletion *deletion,
                              const struct catalog_entry *entry)
{
    return entry->cleaned_version < deletion->version && entry->t_min_ms <= deletion->t_max_ms &&
           entry->t_max_ms >= deletion->t_min_ms &&
           (entry->tenant[0] == '\0' || slice_eq(deletion->tenant, slice_from_cstr(entry->tenant)));
}

void catalog_state_prune(struct catalog_state *state)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < state->deletion_count; i++) {
        struct catalog_deletion *deletion = state->deletions[i];
        bool applies = false;

        for (uint32_t j = 0; j < state->count && !applies; j++)
            applies = catalog_deletion_applies(deletion, &state->entries[j]);
        if (applies)
            state->deletions[kept++] = deletion;
        else
            mem_free(deletion);
    }
    state->deletion_count = kept;
}
