/* SPDX-License-Identifier: Apache-2.0 */

/* `narthex tsdb list`: the live blocks as the catalog has them, which needs no lock. */

#include <inttypes.h>
#include <stdio.h>

#include "base/time_text.h"
#include "main/tool_file.h"
#include "main/tool_tsdb_internal.h"
#include "storage/catalog.h"

enum err tool_tsdb_read_catalog(const char *dir, struct catalog_state *state, struct err_info *info)
{
    struct slice bytes = {NULL, 0};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    err = tool_file_map(tool_file_path(&arena, dir, "catalog"), &bytes, info);
    if (err == ERR_OK) {
        err = catalog_state_read(state, bytes, info);
        tool_file_unmap(bytes);
        if (err != ERR_OK)
            err_prefix(info, "%s/catalog", dir);
    }
    arena_fini(&arena);
    return err;
}

static void print_time(int64_t t_ms, bool human_readable)
{
    struct buf text;

    buf_init(&text, 64);
    if (human_readable)
        time_text_add_rfc3339_ms(&text, t_ms);
    else
        buf_printf(&text, "%" PRId64, t_ms);
    printf("%-24.*s  ", (int)text.len, text.data);
    buf_fini(&text);
}

static void print_size(uint64_t bytes, bool human_readable)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    unsigned unit = 0;

    while (human_readable && size >= 1024 && unit + 1 < COUNT_OF(units)) {
        size /= 1024;
        unit++;
    }
    if (unit == 0)
        printf("%-12" PRIu64 "  ", bytes);
    else
        printf("%-8.1f %-3s  ", size, units[unit]);
}

enum err tool_tsdb_list(struct tool_tsdb *tool, struct err_info *info)
{
    struct catalog_state state;
    const enum err err = tool_tsdb_read_catalog(tool->dir, &state, info);

    if (err != ERR_OK)
        return err;
    printf("%-26s  %-24s  %-24s  %-12s  %-12s  %-12s  %-12s  %s\n", "BLOCK ULID", "MIN TIME",
           "MAX TIME", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE", "TENANT");
    for (uint32_t i = 0; i < state.count; i++) {
        const struct catalog_entry *entry = &state.entries[i];
        char name[ULID_TEXT_LEN + 1];

        ulid_print(entry->ulid, name);
        printf("%s  ", name);
        print_time(entry->t_min_ms, tool->human_readable);
        print_time(entry->t_max_ms, tool->human_readable);
        printf("%-12" PRIu64 "  %-12" PRIu64 "  %-12" PRIu64 "  ", entry->sample_count,
               entry->chunk_count, entry->series_count);
        print_size(entry->size_bytes, tool->human_readable);
        printf("%s\n", entry->tenant[0] != '\0' ? entry->tenant : "(several)");
    }
    catalog_state_fini(&state);
    return ERR_OK;
}
