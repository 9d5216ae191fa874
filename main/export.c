/* SPDX-License-Identifier: Apache-2.0 */
#include "main/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/settings.h"
#include "main/export_block.h"
#include "main/tool_select.h"
#include "main/tool_store.h"
#include "main/tool_walk.h"
#include "model/tenant.h"
#include "storage/ulid.h"

struct export_settings {
    struct slice storage_path;
    struct tool_select select;
    int64_t block_duration_ms;
};

#define AT(member) offsetof(struct export_settings, member)

static const struct setting export_setting_table[] = {
    {"storage.path", SETTING_STRING, AT(storage_path), .value = "data", .flags = SETTING_FLAG_ONLY,
     .help = "Data directory of Narthex to export from."},
    {"block-duration", SETTING_DURATION, AT(block_duration_ms), .value = "18h", .min = "2h",
     .max = "31d", .flags = SETTING_FLAG_ONLY,
     .help = "Longest time range of one block. Prometheus merges blocks by itself."},
};

static const char usage[] =
    "usage: narthex export prometheus OUT [FLAGS...]\n"
    "\n"
    "Writes the samples of a data directory that no server runs on into blocks in the directory\n"
    "OUT, which a Prometheus takes as its own: start it on OUT, or move the blocks into its data\n"
    "directory.\n"
    "\n";

struct export
{
    const struct export_settings *settings;
    struct tool_select *select;
    const char *out;
    struct tool_store store;
    struct export_block *block;
    struct prom_meta sum;
    uint64_t block_count;
};

/* ---- one block ---- */

static enum err add_texts(void *owner, struct label_set labels, struct sample_cursor *cursor,
                          struct err_info *info)
{
    struct export *export = owner;

    (void)cursor;
    (void)info;
    for (uint32_t i = 0; i < labels.count; i++) {
        export_block_text(export->block, labels.items[i].name);
        export_block_text(export->block, labels.items[i].value);
    }
    return ERR_OK;
}

static enum err add_series(void *owner, struct label_set labels, struct sample_cursor *cursor,
                           struct err_info *info)
{
    struct export *export = owner;
    struct sample_columns columns;
    enum err err = export_block_series(export->block, labels, info);

    while (err == ERR_OK && sample_cursor_next(cursor, &columns))
        for (uint32_t i = 0; i < columns.count && err == ERR_OK; i++) {
            struct prom_sample sample = {.t_ms = columns.t_ms[i], .kind = columns.kind};

            if (columns.kind == SAMPLE_FLOAT)
                sample.v = columns.v[i];
            else
                sample.histogram = columns.histograms[i];
            err = export_block_sample(export->block, &sample, info);
        }
    /* The labels end with the walk's piece; so the series does here. */
    return err == ERR_OK ? export_block_series(export->block, (struct label_set){NULL, 0}, info)
                         : err;
}

static enum err write_block(struct export *export, int64_t t_min_ms, int64_t t_max_ms,
                            struct err_info *info)
{
    struct tool_walk walk = tool_select_walk(export->select, db_source(export->store.db));
    char ulid[ULID_TEXT_LEN + 1];
    struct prom_meta meta;
    enum err err;

    ulid_print(ulid_make(&export->store.env), ulid);
    export->block = export_block_new(export->out, ulid);
    walk.t_min_ms = t_min_ms;
    walk.t_max_ms = t_max_ms;
    walk.owner = export;
    walk.fn = add_texts;
    walk.series_only = true;
    err = tool_walk(&walk, info);
    walk.fn = add_series;
    walk.series_only = false;
    if (err == ERR_OK)
        err = export_block_open(export->block, info);
    if (err == ERR_OK)
        err = tool_walk(&walk, info);
    if (err != ERR_OK) {
        export_block_abort(export->block);
        return err;
    }
    err = export_block_finish(export->block, &meta, info);
    if (err != ERR_OK)
        return err == ERR_END ? ERR_OK : err;
    fprintf(stderr,
            "block %s: [%" PRId64 ", %" PRId64 "), %" PRIu64 " series, %" PRIu64 " samples\n", ulid,
            meta.t_min_ms, meta.t_end_ms, meta.series_count, meta.sample_count);
    export->block_count++;
    export->sum.sample_count += meta.sample_count;
    export->sum.histogram_sample_count += meta.histogram_sample_count;
    return ERR_OK;
}

/* ---- all ---- */

static enum err write_blocks(struct export *export, struct err_info *info)
{
    const int64_t range = export->settings->block_duration_ms;
    struct db_stats stats;
    enum err err = ERR_OK;

    db_get_stats(export->store.db, &stats);
    int64_t t_min_ms = stats.t_min_ms;
    int64_t t_max_ms = stats.t_max_ms;
    if (t_min_ms < export->select->t_min_ms)
        t_min_ms = export->select->t_min_ms;
    if (t_max_ms > export->select->t_max_ms)
        t_max_ms = export->select->t_max_ms;
    while (err == ERR_OK && t_min_ms <= t_max_ms) {
        /* Aligned as Prometheus aligns its own ranges, so that it can merge them. */
        const int64_t offset = t_min_ms % range + (t_min_ms % range < 0 ? range : 0);
        int64_t t_last_ms;

        if (__builtin_add_overflow(t_min_ms - offset, range - 1, &t_last_ms) ||
            t_last_ms > t_max_ms)
            t_last_ms = t_max_ms;
        err = write_block(export, t_min_ms, t_last_ms, info);
        if (t_last_ms == t_max_ms)
            break;
        t_min_ms = t_last_ms + 1;
    }
    return err;
}

static enum err make_out(const char *path, struct err_info *info)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(info, err_from_errno(errno), "%s: %s", path, strerror(errno));
}

static int run(struct export_settings *settings, const char *out)
{
    const struct tool_store_options options = {.path = settings->storage_path.data};
    struct export export = {.settings = settings, .select = &settings->select, .out = out};
    struct err_info info = {{0}}, close_info = {{0}};
    enum err err = tool_select_parse(&settings->select, &info);

    if (err == ERR_OK)
        err = tool_store_open(&export.store, &options, &info);
    if (err == ERR_OK) {
        err = make_out(out, &info);
        if (err == ERR_OK)
            err = write_blocks(&export, &info);
        const enum err close_err = tool_store_close(&export.store, &close_info);
        if (err == ERR_OK && close_err != ERR_OK)
            err = err_set(&info, close_err, "%s", close_info.message);
    }
    tool_select_fini(&settings->select);
    if (err != ERR_OK) {
        fprintf(stderr, "narthex export: %s\n", err_message(err, &info));
        return 1;
    }
    printf("exported %" PRIu64 " samples (%" PRIu64 " of them histograms) in %" PRIu64 " blocks\n",
           export.sum.sample_count, export.sum.histogram_sample_count, export.block_count);
    return 0;
}

int export_main(int argc, char **argv)
{
    struct export_settings target = {.block_duration_ms = 0};
    struct settings settings;
    struct settings_args args;
    struct err_info info = {{0}};
    struct arena arena;
    struct buf help;
    int status = 2;

    arena_init(&arena, NULL, 0);
    settings_init(&settings, &arena);
    settings_add(&settings, export_setting_table, COUNT_OF(export_setting_table), &target);
    settings_add(&settings, tool_select_setting_table, tool_select_setting_count, &target.select);
    if (settings_parse_flags(&settings, argc - 1, argv + 1, &args, &info) != ERR_OK) {
        fprintf(stderr, "narthex export: %s\n", info.message);
    } else if (!args.help && args.count == 2 && strcmp(args.items[0], "prometheus") == 0) {
        status = run(&target, args.items[1]);
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
