/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which series and times a command looks at: --tenant, --match, --min-time, --max-time. */

#include "base/settings.h"
#include "main/tool_walk.h"

struct tool_select {
    struct slice tenant;
    struct setting_list matches;
    int64_t t_min_ms, t_max_ms; /* both included */

    struct arena arena;
    struct matcher_list *selectors; /* in the arena */
};

extern const struct setting tool_select_setting_table[];
extern const size_t tool_select_setting_count;

/* Once the flags are parsed. ERR_BAD_INPUT: a selector is wrong. fini in any case. */
enum err tool_select_parse(struct tool_select *select, struct err_info *info) MUST_USE;
void tool_select_fini(struct tool_select *select);
/* A walk over it, but for what is done with the series. */
struct tool_walk tool_select_walk(const struct tool_select *select, struct source *source);
