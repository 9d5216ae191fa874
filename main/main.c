/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "main/check.h"
#include "main/export.h"
#include "main/flags.h"
#include "main/import.h"
#include "main/server.h"
#include "main/tool_tsdb.h"
#include "main/version.h"

static const char usage[] =
    "usage: narthex COMMAND\n"
    "\n"
    "  server [FLAGS...]        run a server; `narthex server --help` lists the flags\n"
    "  check config FILE...     check Prometheus configuration files\n"
    "  import prometheus DIR    history of a Prometheus data directory\n"
    "  import openmetrics FILE  history from OpenMetrics text with timestamps\n"
    "  export prometheus OUT    samples of a data directory as blocks of Prometheus\n"
    "  tsdb list|analyze|dump|verify DIR   look into a data directory\n"
    "  verify DIR               the same as tsdb verify\n"
    "  help [configuration]     this text, or all settings in Markdown\n"
    "  --version                version and revision\n";

static int help_main(int argc, char **argv)
{
    struct flags *flags;
    struct arena arena;
    struct buf text;

    if (argc >= 2 && strcmp(argv[1], "server") == 0)
        return server_main(2, (char *[]){argv[1], "--help", NULL});
    if (argc < 2 || strcmp(argv[1], "configuration") != 0) {
        fputs(usage, argc < 2 ? stdout : stderr);
        return argc < 2 ? 0 : 2;
    }
    flags = mem_alloc(sizeof(*flags));
    arena_init(&arena, NULL, 0);
    buf_init(&text, 1 << 20);
    flags_init(flags, &arena);
    settings_write_markdown(&flags->settings, &text);
    fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    arena_fini(&arena);
    mem_free(flags);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "server") == 0)
        return server_main(argc - 1, argv + 1);
    if (strcmp(command, "check") == 0)
        return check_main(argc - 1, argv + 1);
    if (strcmp(command, "import") == 0)
        return import_main(argc - 1, argv + 1);
    if (strcmp(command, "verify") == 0) {
        char *words[] = {"tsdb", "verify", argc == 3 ? argv[2] : "--help", NULL};

        return tool_tsdb_main(3, words);
    }
    if (strcmp(command, "export") == 0)
        return export_main(argc - 1, argv + 1);
    if (strcmp(command, "tsdb") == 0)
        return tool_tsdb_main(argc - 1, argv + 1);
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0)
        return help_main(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0) {
        printf("narthex, version %s (revision: %s)\n", NARTHEX_VERSION, NARTHEX_REVISION);
        return 0;
    }
    if (command[0] != 0)
        fprintf(stderr, "narthex: unknown command \"%s\"\n\n", command);
    fputs(usage, stderr);
    return 2;
}
