/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the commands of `narthex tsdb`. */

#include "base/settings.h"
#include "main/tool_store.h"
#include "model/source.h"

struct tool_tsdb {
    const char *dir;
    struct arena arena; /* of the selectors */
    struct tool_store store;

    /* flags */
    struct slice tenant;
    struct setting_list matches;
    int64_t t_min_ms, t_max_ms;
    int64_t limit;
    bool human_readable;

    struct matcher_list *selectors; /* in the arena */
    uint32_t selector_count;
};

/* With the store open. */
enum err tool_tsdb_dump(struct tool_tsdb *tool, struct err_info *info);
