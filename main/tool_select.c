/* SPDX-License-Identifier: Apache-2.0 */
#include "main/tool_select.h"

#include "model/tenant.h"
#include "promql/parser.h"

#define AT(member) offsetof(struct tool_select, member)

const struct setting tool_select_setting_table[] = {
    {"tenant", SETTING_STRING, AT(tenant), .value = TENANT_DEFAULT, .flags = SETTING_FLAG_ONLY,
     .help = "Tenant whose series are read."},
    {"match", SETTING_LIST, AT(matches), .flags = SETTING_FLAG_ONLY | SETTING_WHOLE,
     .help = "Series selector; may be repeated. Default: all series."},
    {"min-time", SETTING_INT, AT(t_min_ms), .value = "-9223372036854775808",
     .flags = SETTING_FLAG_ONLY, .help = "Earliest time, in Unix milliseconds."},
    {"max-time", SETTING_INT, AT(t_max_ms), .value = "9223372036854775807",
     .flags = SETTING_FLAG_ONLY, .help = "Latest time, in Unix milliseconds."},
};
const size_t tool_select_setting_count = COUNT_OF(tool_select_setting_table);

enum err tool_select_parse(struct tool_select *select, struct err_info *info)
{
    enum err err = ERR_OK;

    arena_init(&select->arena, NULL, 0);
    select->selectors = ARENA_ARRAY(&select->arena, struct matcher_list, select->matches.count);
    for (uint32_t i = 0; i < select->matches.count && err == ERR_OK; i++)
        err = promql_parse_selector(&select->arena, select->matches.items[i], &select->selectors[i],
                                    info);
    return err;
}

void tool_select_fini(struct tool_select *select)
{
    arena_fini(&select->arena);
}

struct tool_walk tool_select_walk(const struct tool_select *select, struct source *source)
{
    return (struct tool_walk){.source = source,
                              .tenant = select->tenant,
                              .selectors = select->selectors,
                              .selector_count = select->matches.count,
                              .t_min_ms = select->t_min_ms,
                              .t_max_ms = select->t_max_ms};
}
