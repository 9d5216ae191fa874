/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Settings: each module has a struct and a table of its members; one parser fills all of them from
 * flags and from the `narthex:` part of the configuration file, and prints help and documentation.
 *
 *   static const struct setting ingester_settings[] = {
 *       {"storage.block_range", SETTING_DURATION, offsetof(struct ingester_settings,
 * block_range_ms), .value = "2h", .min = "1s", .max = "24h", .help = "Time range of one block."},
 *   };
 *
 * Precedence: flag, file, default. A wrong value's message names the setting, the value and the
 * bound. Ownership: tables and targets are borrowed; texts and lists live in the arena. Threads:
 * one fills them; once filled, what is only read may be read by many. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/yaml.h"

enum setting_type {
    SETTING_BOOL,     /* bool */
    SETTING_INT,      /* int64_t */
    SETTING_SIZE,     /* uint64_t bytes: 512MB, 1GiB (units are powers of 1,024), 4096 */
    SETTING_DURATION, /* int64_t milliseconds: 2h, 30s */
    SETTING_DOUBLE,   /* double */
    SETTING_STRING,   /* struct slice, terminated */
    SETTING_ENUM,     /* int: index into choices */
    SETTING_LIST,     /* struct setting_list: comma-separated, flag repeated, or a YAML list */
};

enum setting_flags {
    SETTING_RELOADABLE = 1 << 0,
    SETTING_SECRET = 1 << 1,    /* printed as <secret> */
    SETTING_FLAG_ONLY = 1 << 2, /* not in the file: config.file itself, storage.path ... */
    SETTING_HIDDEN = 1 << 3,    /* not in help */
    SETTING_WHOLE = 1 << 4,     /* a list whose items may hold commas: one item a flag */
};

struct setting_list {
    struct slice *items; /* terminated */
    uint32_t count;
};

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;
    const char *value;          /* default; NULL: 0, false or empty */
    const char *min, *max;      /* of numbers; NULL: none */
    const char *const *choices; /* of an enum, NULL at its end; of a list: allowed items */
    unsigned flags;             /* enum setting_flags */
    char letter;                /* a short flag, as in -h; 0: none */
    const char *help;
};

struct settings_table;

struct settings {
    struct arena *arena; /* borrowed: outlives us and the targets' texts */
    struct settings_table *tables;
};

void settings_init(struct settings *settings, struct arena *arena);
/* Adds a table and sets the defaults in target (borrowed). Names are unique over all tables. */
void settings_add(struct settings *settings, const struct setting *table, size_t count,
                  void *target);

/* What parsing argv leaves over. */
struct settings_args {
    char **items; /* arguments that are no flags, in order; argv is reordered to hold them */
    int count;
    bool help; /* -h or --help was there */
};

/* --a.b=c, --a.b c, --a.b and --no-a.b for a bool, -x v by letter; "--" ends flags. */
enum err settings_parse_flags(struct settings *settings, int argc, char **argv,
                              struct settings_args *args, struct err_info *info) MUST_USE;
/* A mapping, nested or with dotted keys: {storage: {block_range: 1h}} is storage.block_range.
 * What a flag has set stays. Unknown keys are errors with file and line. */
enum err settings_parse_yaml(struct settings *settings, const struct yaml_node *map,
                             struct err_info *info) MUST_USE;

/* One block per setting, as --help shows it. */
void settings_write_help(const struct settings *settings, struct buf *out);
/* A table of all settings in Markdown. */
void settings_write_markdown(const struct settings *settings, struct buf *out);

/* Visits all settings in order with their present value as text. */
typedef void settings_visit_fn(void *owner, const struct setting *setting, struct slice value);
void settings_visit(const struct settings *settings, settings_visit_fn *fn, void *owner);

/* 512MB, 1GiB, 4096: units are powers of 1,024, as upstream's. */
enum err settings_parse_size(struct slice s, uint64_t *bytes) MUST_USE;
