/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

void budget_init(struct budget *budget, struct budget *parent, const char *name, size_t limit_bytes)
{
    *budget = (struct budget){.parent = parent, .name = name, .limit_bytes = limit_bytes};
}

static bool budget_take_one(struct budget *budget, size_t size)
{
    const size_t used =
        atomic_fetch_add_explicit(&budget->used_bytes, size, memory_order_relaxed) + size;
    size_t peak;

    if (budget->limit_bytes != 0 && used > budget->limit_bytes) {
        atomic_fetch_sub_explicit(&budget->used_bytes, size, memory_order_relaxed);
        atomic_fetch_add_explicit(&budget->refusals, 1, memory_order_relaxed);
        return false;
    }
    peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return true;
}

enum err budget_take(struct budget *budget, size_t size, struct err_info *info)
{
    for (struct budget *at = budget; at != NULL; at = at->parent) {
        if (budget_take_one(at, size))
            continue;
        for (struct budget *undo = budget; undo != at; undo = undo->parent)
            atomic_fetch_sub_explicit(&undo->used_bytes, size, memory_order_relaxed);
        return err_set(info, ERR_LIMIT,
                       "memory limit of the %s exceeded: %zu bytes of %zu in use, %zu more needed",
                       at->name, atomic_load_explicit(&at->used_bytes, memory_order_relaxed),
                       at->limit_bytes, size);
    }
    return ERR_OK;
}

void budget_give(struct budget *budget, size_t size)
{
    for (struct budget *at = budget; at != NULL; at = at->parent) {
        const size_t used = atomic_fetch_sub_explicit(&at->used_bytes, size, memory_order_relaxed);
        ASSERT(used >= size);
    }
}
