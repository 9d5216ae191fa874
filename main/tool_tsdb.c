/* SPDX-License-Identifier: Apache-2.0 */
#include "main/tool_tsdb.h"

#include <stdio.h>
#include <string.h>

#include "main/tool_tsdb_internal.h"

struct tsdb_command {
    const char *name, *help;
    enum err (*run)(struct tool_tsdb *tool, struct err_info *info);
    bool needs_store;
};

static const struct tsdb_command tsdb_commands[] = {
    {"list", "the blocks: times, counts, sizes", tool_tsdb_list, false},
    {"analyze", "where series come from: churn, most common labels, bytes per sample",
     tool_tsdb_analyze, true},
    {"dump", "all samples as text, as promtool prints them", tool_tsdb_dump, true},
    {"verify", "read every byte and say what is bad, where", tool_tsdb_verify, false},
};

#define AT(member) offsetof(struct tool_tsdb, member)

static const struct setting tsdb_setting_table[] = {
    {"human-readable", SETTING_BOOL, AT(human_readable), .flags = SETTING_FLAG_ONLY, .letter = 'r',
     .help = "list: print times and sizes for people."},
    {"limit", SETTING_INT, AT(limit), .value = "20", .min = "0", .max = "1000000",
     .flags = SETTING_FLAG_ONLY, .help = "analyze: how many items to show in each list."},
};

static enum err run_on_store(struct tool_tsdb *tool, const struct tsdb_command *command,
                             struct err_info *info)
{
    const struct tool_store_options options = {.path = tool->dir};
    struct err_info close_info = {{0}};
    enum err err = tool_store_open(&tool->store, &options, info);

    if (err != ERR_OK)
        return err;
    err = command->run(tool, info);
    const enum err close_err = tool_store_close(&tool->store, &close_info);
    return err == ERR_OK && close_err != ERR_OK ? err_set(info, close_err, "%s", close_info.message)
                                                : err;
}

static int run(struct tool_tsdb *tool, const struct tsdb_command *command)
{
    struct err_info info = {{0}};
    enum err err = tool_select_parse(&tool->select, &info);

    if (err == ERR_OK)
        err = command->needs_store ? run_on_store(tool, command, &info) : command->run(tool, &info);
    tool_select_fini(&tool->select);
    if (err == ERR_OK)
        return 0;
    fprintf(stderr, "narthex tsdb %s: %s\n", command->name, err_message(err, &info));
    return 1;
}

static void print_help(FILE *to, const struct settings *settings)
{
    struct buf help;

    fprintf(to, "usage: narthex tsdb COMMAND DIR [FLAGS...]\n\n"
                "Commands for a data directory that no server runs on:\n\n");
    for (size_t i = 0; i < COUNT_OF(tsdb_commands); i++)
        fprintf(to, "  %-10s %s\n", tsdb_commands[i].name, tsdb_commands[i].help);
    buf_init(&help, 1 << 20);
    settings_write_help(settings, &help);
    fprintf(to, "\n%.*s", (int)help.len, help.data);
    buf_fini(&help);
}

int tool_tsdb_main(int argc, char **argv)
{
    struct tool_tsdb tool = {.dir = NULL};
    const struct tsdb_command *command = NULL;
    struct settings settings;
    struct settings_args args;
    struct err_info info = {{0}};
    struct arena arena;
    int status = 2;

    arena_init(&arena, NULL, 0);
    settings_init(&settings, &arena);
    settings_add(&settings, tool_select_setting_table, tool_select_setting_count, &tool.select);
    settings_add(&settings, tsdb_setting_table, COUNT_OF(tsdb_setting_table), &tool);
    if (settings_parse_flags(&settings, argc - 1, argv + 1, &args, &info) != ERR_OK) {
        fprintf(stderr, "narthex tsdb: %s\n", info.message);
        arena_fini(&arena);
        return 2;
    }
    for (size_t i = 0; args.count == 2 && i < COUNT_OF(tsdb_commands); i++)
        if (strcmp(args.items[0], tsdb_commands[i].name) == 0)
            command = &tsdb_commands[i];
    if (args.help || command == NULL) {
        print_help(args.help ? stdout : stderr, &settings);
        status = args.help ? 0 : 2;
    } else {
        tool.dir = args.items[1];
        status = run(&tool, command);
    }
    arena_fini(&arena);
    return status;
}
