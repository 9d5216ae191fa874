/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A group of targets that a discovery source found: label sets, and labels that all of them share.
 *
 * Ownership: immutable and counted; made with one reference. What it points to lives as long.
 * Threads: any. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

struct target_group {
    struct slice source;             /* unique within one discovery: "0", "targets/a.yml:0" */
    const struct label_set *targets; /* each with __address__ */
    uint32_t target_count;
    struct label_set labels; /* a target's own labels win over these */
};

/* What a group is made of; all of it is copied. */
struct target_group_spec {
    struct slice source;
    const struct slice *addresses; /* become __address__ */
    uint32_t address_count;
    struct label_set labels;
};

/* ERR_LIMIT: larger than TARGET_GROUP_SIZE_MAX. */
enum { TARGET_GROUP_SIZE_MAX = 256 << 20 };
enum err target_group_new(const struct target_group_spec *spec,
                          struct target_group **group) MUST_USE;
struct target_group *target_group_ref(struct target_group *group);
/* NULL is fine. */
void target_group_unref(struct target_group *group);
