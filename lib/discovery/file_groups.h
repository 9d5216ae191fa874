/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The content of a file of targets: a list of {targets: [host:port], labels: {name: value}}, as
 * JSON or YAML. Unknown keys, empty items and names that no label may have are errors.
 * Pure; threads: any. */

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

enum { FILE_GROUPS_SIZE_MAX = 64 << 20 }; /* bytes of one file */

enum file_groups_format { FILE_GROUPS_YAML, FILE_GROUPS_JSON };

struct file_group {
    const struct slice *targets;
    uint32_t target_count;
    struct label_set labels;
};

struct file_groups {
    const struct file_group *items;
    uint32_t count;
};

/* All of the result lies in the arena or borrows the text. */
enum err file_groups_parse(struct arena *arena, struct slice text, enum file_groups_format format,
                           struct file_groups *groups, struct err_info *info) MUST_USE;
/* By the suffix of a path. */
enum file_groups_format file_groups_format_of(struct slice path);
