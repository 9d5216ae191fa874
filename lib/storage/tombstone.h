/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Deletions at work: a source seen through tombstones.
 *
 *   block -> [series that meet a tombstone's matchers lose the samples of its range] -> merge
 *
 * Which tombstones are for which block the catalog says (catalog_deletion_applies). Names and
 * values of labels are those of the source as it lies there: they go when it is rewritten, as
 * upstream's do.
 *
 * Ownership: counted references. Threads: a tombstone never changes; any number at once. */

#include <stdint.h>

#include "base/err.h"
#include "model/source.h"
#include "storage/catalog.h"

struct tombstone;

/* With its expressions compiled. ERR_BAD_INPUT: one of them cannot be. */
enum err tombstone_new(const struct catalog_deletion *deletion, struct tombstone **tombstone,
                       struct err_info *info) MUST_USE;
struct tombstone *tombstone_ref(struct tombstone *tombstone);
void tombstone_unref(struct tombstone *tombstone);
/* Borrowed from it. */
const struct catalog_deletion *tombstone_deletion(const struct tombstone *tombstone);
struct matcher_list tombstone_matchers(const struct tombstone *tombstone);

struct tombstone_list {
    struct tombstone *const *items; /* borrowed, as the tombstones */
    uint32_t count;
};

/* Whether a sample or an exemplar of the tenant is deleted. */
bool tombstone_list_has(struct tombstone_list tombstones, struct slice tenant,
                        struct label_set labels, int64_t t_ms);

/* A source that lives, like all it gives, until the arena's reset. NULL: no room. */
struct source *tombstone_source_new(struct arena *arena, struct source *inner,
                                    struct tombstone_list tombstones);
