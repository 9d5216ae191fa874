/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/settings.h"
#include "main/import_block.h"
#include "main/import_head.h"
#include "main/import_openmetrics.h"
#include "main/import_out.h"
#include "main/tool_file.h"
#include "model/tenant.h"

enum { ULID_LEN = 26, TENANT_LEN_MAX = 150 };

struct import_settings {
    struct slice storage_path, tenant;
    uint64_t memory_max;
    bool dry_run, skip_bad_chunks;
};

#define AT(member) offsetof(struct import_settings, member)

static const struct setting import_setting_table[] = {
    {"storage.path", SETTING_STRING, AT(storage_path), .value = "data", .flags = SETTING_FLAG_ONLY,
     .help = "Data directory of Narthex to import into; made where it is missing."},
    {"tenant", SETTING_STRING, AT(tenant), .value = TENANT_DEFAULT, .flags = SETTING_FLAG_ONLY,
     .help = "Tenant that the series belong to afterwards."},
    {"memory-max", SETTING_SIZE, AT(memory_max), .value = "512MiB", .min = "1MiB", .max = "1PiB",
     .flags = SETTING_FLAG_ONLY,
     .help = "Bound of the samples held in memory; with less of it the source is read more often."},
    {"dry-run", SETTING_BOOL, AT(dry_run), .flags = SETTING_FLAG_ONLY,
     .help = "Read and check everything, write nothing."},
    {"skip-bad-chunks", SETTING_BOOL, AT(skip_bad_chunks), .flags = SETTING_FLAG_ONLY,
     .help = "Leave out a chunk of a block that cannot be read, instead of its block's day."},
};

static const char usage[] =
    "usage: narthex import prometheus DIR [FLAGS...]\n"
    "       narthex import openmetrics FILE [FLAGS...]\n"
    "\n"
    "Imports a Prometheus data directory (blocks, head chunks, write-ahead log), or OpenMetrics\n"
    "text with a timestamp on each sample, into a data directory that no server runs on. What was\n"
    "imported before is left as it is, so an import may be repeated.\n"
    "\n";

static bool is_block_name(const char *name)
{
    return strlen(name) == ULID_LEN && strspn(name, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ULID_LEN;
}

/* Prometheus removes files while it runs: what is read then may be neither whole nor consistent. */
static enum err lock_source(const char *dir, int *lock, struct err_info *info)
{
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    err = tool_file_lock(tool_file_path(&arena, dir, "lock"), lock, info);
    arena_fini(&arena);
    if (err == ERR_EXISTS)
        err_prefix(info, "a Prometheus runs on %s: stop it, or import a snapshot of it", dir);
    return err;
}

static void import_prometheus(struct import *import, const char *dir)
{
    struct import_head_options head = {.dir = dir, .t_blocks_end_ms = INT64_MIN};
    struct tool_names names = {NULL, 0};
    struct err_info info = {{0}};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    err = tool_file_list(dir, &arena, &names, &info);
    if (err != ERR_OK)
        import_fault(import, dir, err, &info);
    for (uint32_t i = 0; err == ERR_OK && i < names.count; i++) {
        struct prom_meta meta;

        if (!is_block_name(names.items[i]))
            continue;
        import_block(import, tool_file_path(&arena, dir, names.items[i]), &meta);
        if (!meta.is_out_of_order && meta.t_end_ms > head.t_blocks_end_ms && meta.ulid[0] != '\0')
            head.t_blocks_end_ms = meta.t_end_ms;
    }
    if (err == ERR_OK)
        import_head(import, &head);
    arena_fini(&arena);
}

static void print_summary(const struct import *import)
{
    const struct import_counts *counts = &import->counts;

    printf("%s %" PRIu64 " samples (%" PRIu64 " of them histograms) and %" PRIu64
           " exemplars in %" PRIu64 " blocks",
           import->store == NULL ? "would import" : "imported", counts->samples, counts->histograms,
           counts->exemplars, counts->blocks);
    if (import->store != NULL)
        printf(" of %" PRIu64 " bytes", counts->size_bytes);
    if (counts->known_blocks > 0)
        printf("; %" PRIu64 " blocks were there already", counts->known_blocks);
    if (counts->faults > 0)
        printf("; %" PRIu64 " faults", counts->faults);
    printf("\n");
}

/* As Mimir has it: tenants become parts of paths. */
static enum err check_tenant(struct slice tenant, struct err_info *info)
{
    const size_t good = strspn(tenant.data, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789!-_.*'()");

    if (tenant.len == 0 || tenant.len > TENANT_LEN_MAX || good != tenant.len ||
        slice_eq_cstr(tenant, ".") || slice_eq_cstr(tenant, ".."))
        return err_set(info, ERR_BAD_INPUT,
                       "tenant \"%.*s\" is empty, too long, or has other than letters, digits and "
                       "!-_.*'()",
                       (int)(tenant.len < 50 ? tenant.len : 50), tenant.data);
    return ERR_OK;
}

static int run(const struct import_settings *settings, const char *kind, const char *path)
{
    const struct tool_store_options options = {.path = settings->storage_path.data, .makes = true};
    struct import import = {.tenant = settings->tenant,
                            .memory_max = settings->memory_max,
                            .skips_bad_chunks = settings->skip_bad_chunks};
    struct tool_store store;
    struct err_info info = {{0}};

    const bool is_prometheus = strcmp(kind, "prometheus") == 0;
    int lock = -1;
    enum err err = check_tenant(settings->tenant, &info);

    if (err == ERR_OK)
        err = tool_file_check(path, &info);
    if (err == ERR_OK && is_prometheus)
        err = lock_source(path, &lock, &info);
    if (err == ERR_OK && !settings->dry_run) {
        err = tool_store_open(&store, &options, &info);
        import.store = &store;
    }
    if (err != ERR_OK) {
        fprintf(stderr, "narthex import: %s\n", err_message(err, &info));
        tool_file_unlock(lock);
        return 1;
    }
    if (is_prometheus)
        import_prometheus(&import, path);
    else
        import_openmetrics(&import, path);
    if (import.store != NULL) {
        err = tool_store_close(&store, &info);

        if (err != ERR_OK)
            import_fault(&import, settings->storage_path.data, err, &info);
    }
    tool_file_unlock(lock);
    print_summary(&import);
    return import.counts.faults == 0 ? 0 : 1;
}

int import_main(int argc, char **argv)
{
    struct import_settings target = {.dry_run = false};
    struct settings settings;
    struct settings_args args;
    struct err_info info = {{0}};
    struct arena arena;
    struct buf help;
    enum err err;
    int status = 2;

    arena_init(&arena, NULL, 0);
    settings_init(&settings, &arena);
    settings_add(&settings, import_setting_table, COUNT_OF(import_setting_table), &target);
    err = settings_parse_flags(&settings, argc - 1, argv + 1, &args, &info);
    if (err != ERR_OK) {
        fprintf(stderr, "narthex import: %s\n", err_message(err, &info));
    } else if (!args.help && args.count == 2 &&
               (strcmp(args.items[0], "prometheus") == 0 ||
                strcmp(args.items[0], "openmetrics") == 0)) {
        status = run(&target, args.items[0], args.items[1]);
    } else {
        buf_init(&help, 1 << 20);
        settings_write_help(&settings, &help);
        fprintf(args.help ? stdout : stderr, "%s%.*s", usage, (int)help.len, help.data);
        buf_fini(&help);
        status = args.help ? 0 : 2;
    }
    arena_fini(&arena);
    return status;
}
