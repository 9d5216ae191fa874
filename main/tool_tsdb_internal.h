/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the commands of `narthex tsdb`. */

#include "main/tool_select.h"
#include "main/tool_store.h"

struct catalog_state;

struct tool_tsdb {
    const char *dir;
    struct tool_store store; /* open for the commands that say so */
    struct tool_select select;
    bool human_readable;
    int64_t limit;
};

/* These need the store. */
enum err tool_tsdb_dump(struct tool_tsdb *tool, struct err_info *info);
enum err tool_tsdb_analyze(struct tool_tsdb *tool, struct err_info *info);
/* These read the files as they are. */
enum err tool_tsdb_list(struct tool_tsdb *tool, struct err_info *info);
enum err tool_tsdb_verify(struct tool_tsdb *tool, struct err_info *info);

/* Reads <dir>/catalog; catalog_state_fini when it is ERR_OK. */
enum err tool_tsdb_read_catalog(const char *dir, struct catalog_state *state,
                                struct err_info *info) MUST_USE;
