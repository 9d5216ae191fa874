/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the commands of `narthex tsdb`. */

#include "main/tool_select.h"
#include "main/tool_store.h"

struct tool_tsdb {
    const char *dir;
    struct tool_store store;
    struct tool_select select;
};

/* With the store open. */
enum err tool_tsdb_dump(struct tool_tsdb *tool, struct err_info *info);
