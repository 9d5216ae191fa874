/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Byte accounts in a tree: process > tenant > query. Taking from one takes from all above it, or
 * from none. Arenas and caches draw from them; nothing is allocated here.
 * Threads: any, without locks. A budget outlives what draws from it. */

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

struct budget {
    struct budget *parent; /* borrowed: outlives us; NULL at the root */
    const char *name;      /* borrowed; for messages: "query", "process" */
    size_t limit_bytes;    /* 0: only the parents limit */
    _Atomic size_t used_bytes, peak_bytes;
    _Atomic size_t refusals;
};

void budget_init(struct budget *budget, struct budget *parent, const char *name,
                 size_t limit_bytes);

/* ERR_LIMIT (info names the account, its limit and what was asked) when it or a parent has no room;
 * then nothing is taken. budget may be NULL: always granted. */
enum err budget_take(struct budget *budget, size_t size, struct err_info *info) MUST_USE;

/* Gives back what was taken. budget may be NULL. */
void budget_give(struct budget *budget, size_t size);
