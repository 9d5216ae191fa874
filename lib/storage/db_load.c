/* SPDX-License-Identifier: Apache-2.0 */

/* The blocks at the open: what the catalog lists is opened, what is bad put aside, what nobody
 * lists removed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "storage/block_writer.h"
#include "storage/db_internal.h"

struct load {
    struct db *db;
    struct db_blocks *list;
    enum err err;
    struct err_info *info;
    bool adopt; /* whole blocks that nobody lists are attached, not removed */
};

struct block_options db_block_options(struct db *db)
{
    return (struct block_options){
        .env = db->options.env, .door = db->door, .hash_key = &db->hash_key, .dir = db->blocks_dir};
}

/* Renames the block to <ULID>.bad, for a person to look at, and takes it off the catalog. Not off
 * the catalog alone: what lies under its own name and is not listed is removed at the next start.
 */
static void put_aside(struct db *db, struct ulid ulid)
{
    struct env *env = db->options.env;
    const struct catalog_change change = {.detach = &ulid, .detach_count = 1, .is_loss = true};
    char from[DB_PATH_SIZE];
    char to[DB_PATH_SIZE];
    char name[ULID_TEXT_LEN + 1];
    struct err_info info = {0};
    enum err err = ERR_TOO_LARGE;

    ulid_print(ulid, name);
    if ((size_t)snprintf(from, sizeof(from), "%s/%s", db->blocks_dir, name) < sizeof(from) &&
        (size_t)snprintf(to, sizeof(to), "%s.bad", from) < sizeof(to))
        err = FAULT("db.put_aside") ? ERR_IO : env->fs->rename(env, from, to);
    if (err == ERR_OK || err == ERR_NOT_FOUND) /* what is not there cannot be lost */
        err = env->fs->sync_dir(env, db->blocks_dir);
    if (err == ERR_OK)
        err = catalog_apply(db->catalog, &change, &info);
    if (err != ERR_OK)
        log_warn(&db->log, "bad block stays listed", F_STR("block", name), F_ERR(err, &info));
}

/* Answers of its time range say that it is missing, so that a part is not passed off as the whole.
 */
static void note_missing(struct db *db, const struct catalog_entry *entry, const char *reason)
{
    char name[ULID_TEXT_LEN + 1];
    struct db_missing *missing;

    db->missing = mem_realloc(db->missing, (size_t)(db->missing_count + 1) * sizeof(*db->missing));
    missing = &db->missing[db->missing_count++];
    missing->t_min_ms = entry->t_min_ms;
    missing->t_max_ms = entry->t_max_ms;
    memcpy(missing->tenant, entry->tenant, sizeof(missing->tenant));
    ulid_print(entry->ulid, name);
    (void)snprintf(missing->text, sizeof(missing->text),
                   "samples may be missing, block %s cannot be read: %s", name, reason);
}

static void load_block(struct load *load, const struct catalog_entry *entry)
{
    struct db *db = load->db;
    const struct block_options options = db_block_options(db);
    char name[ULID_TEXT_LEN + 1];
    struct err_info info = {0};
    struct block *block;
    const struct ulid ulid = entry->ulid; /* the entry may move when another is detached */
    const enum err err = block_open(&options, ulid, &block, &info);

    ulid_print(ulid, name);
    if (err == ERR_OK) {
        db_blocks_push(load->list, block);
        return;
    }
    metric_inc(&db->metrics.quarantined);
    note_missing(db, entry, err_message(err, &info));
    /* What a later version wrote, or what the disk does not give just now, stays where it is. */
    const bool is_bad = err == ERR_CORRUPT || err == ERR_NOT_FOUND;
    if (is_bad)
        log_error(&db->log, "bad block put aside, going on without it", F_STR("block", name),
                  F_ERR(err, &info));
    else
        log_error(&db->log, "block cannot be read, going on without it", F_STR("block", name),
                  F_ERR(err, &info));
    if (is_bad)
        put_aside(db, ulid);
}

static void remove_entry(struct load *load, const char *name)
{
    char path[DB_PATH_SIZE];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", load->db->blocks_dir, name) < sizeof(path))
        block_writer_remove_dir(load->db->options.env, path);
}

/* A block that lost its line in a torn catalog gets it again. */
static void adopt_block(struct load *load, struct ulid ulid, const char *name)
{
    struct db *db = load->db;
    const struct block_options options = db_block_options(db);
    struct err_info info = {0};
    struct block *block;

    enum err err = block_open(&options, ulid, &block, &info);
    if (err == ERR_OK) {
        struct catalog_entry entry = catalog_entry_of(block_get_meta(block));
        /* A deletion that was torn off with the block's line is no more. */
        if (entry.cleaned_version > catalog_version(db->catalog))
            entry.cleaned_version = catalog_version(db->catalog);
        const struct catalog_change change = {.attach = &entry, .attach_count = 1};

        block_unref(block);
        err = catalog_apply(db->catalog, &change, &info);
    }
    if (err == ERR_OK)
        log_warn(&db->log, "block without a line in the catalog listed again",
                 F_STR("block", name));
    else if (err == ERR_CORRUPT || err == ERR_NOT_FOUND)
        remove_entry(load, name);
    else
        log_warn(&db->log, "block without a line in the catalog left alone", F_STR("block", name),
                 F_ERR(err, &info));
}

enum { NAMES_MAX = 3 * CATALOG_ENTRIES_MAX };

/* The names first, then what becomes of them: a listing may not survive changes. */
struct name_list {
    struct arena arena;
    struct slice *items;
    size_t count, cap;
};

static enum err add_name(void *owner, const char *name)
{
    struct name_list *names = owner;

    if (names->count == NAMES_MAX)
        return ERR_LIMIT;
    if (names->count == names->cap) {
        const size_t cap = names->cap == 0 ? 64 : names->cap * 2;

        names->items = arena_grow(&names->arena, names->items, names->cap * sizeof(*names->items),
                                  cap * sizeof(*names->items));
        names->cap = cap;
    }
    names->items[names->count++] =
        slice_from_cstr(arena_copy_cstr(&names->arena, slice_from_cstr(name)));
    return ERR_OK;
}

static bool is_temporary(struct slice name)
{
    struct ulid ulid;

    return slice_has_suffix(name, SLICE(".tmp")) &&
           ulid_parse(slice_of(name.data, name.len - 4), &ulid);
}

static void sort_out(struct load *load, struct slice name)
{
    struct ulid ulid;

    if (is_temporary(name)) {
        remove_entry(load, name.data);
    } else if (ulid_parse(name, &ulid)) {
        if (catalog_find(load->db->catalog, ulid) != NULL)
            return;
        if (load->adopt && !catalog_is_gone(load->db->catalog, ulid))
            adopt_block(load, ulid, name.data);
        else
            remove_entry(load, name.data);
    } else if (!slice_has_suffix(name, SLICE(".bad"))) {
        log_warn(&load->db->log, "what is this among the blocks? left alone",
                 F_SLICE("name", name));
    }
}

static enum err clean_dir(struct load *load)
{
    struct env *env = load->db->options.env;
    struct name_list names = {0};
    enum err err;

    arena_init(&names.arena, NULL, 0);
    err = env->fs->list(env, load->db->blocks_dir, add_name, &names);
    for (size_t i = 0; i < names.count && err == ERR_OK; i++)
        sort_out(load, names.items[i]);
    arena_fini(&names.arena);
    if (err != ERR_OK)
        return err_set(load->info, err, "%s: %s", load->db->blocks_dir, err_text(err));
    return ERR_OK;
}

enum err db_blocks_load(struct db *db, struct err_info *info)
{
    struct load load = {.db = db, .info = info, .adopt = catalog_had_torn_tail(db->catalog)};
    enum err err = clean_dir(&load);

    if (err != ERR_OK)
        return err;
    load.list = db_blocks_new(catalog_count(db->catalog));
    /* Backwards, since a bad block leaves the catalog; then in the order of the catalog. */
    for (uint32_t i = catalog_count(db->catalog); i > 0; i--)
        load_block(&load, catalog_get(db->catalog, i - 1));
    db->blocks = load.list;
    return db_blocks_seal(db, load.list, NULL, info);
}

/* ---- burial ---- */

enum { BURY_MIN = 32 /* blocks gone, before it is worth a look at the directory */ };

struct burial {
    struct db *db;
    struct name_list names; /* what lies in the directory, sorted */
};

static int name_order(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static bool is_over(void *owner, const struct catalog_gone *gone)
{
    const struct burial *burial = owner;
    char name[ULID_TEXT_LEN + 1];
    struct slice key;

    if (gone->watermark > burial->db->checkpoint_watermark)
        return false;
    ulid_print(gone->ulid, name);
    key = slice_from_cstr(name);
    return burial->names.count == 0 ||
           bsearch(&key, burial->names.items, burial->names.count, sizeof(key), name_order) == NULL;
}

void db_blocks_bury(struct db *db)
{
    struct env *env = db->options.env;
    struct burial burial = {.db = db};

    if (catalog_gone_count(db->catalog) < BURY_MIN)
        return;
    arena_init(&burial.names.arena, NULL, 0);
    enum err err = env->fs->list(env, db->blocks_dir, add_name, &burial.names);
    /* What is not there must not be there after a crash either. */
    if (err == ERR_OK)
        err = FAULT("db.bury_sync") ? ERR_IO : env->fs->sync_dir(env, db->blocks_dir);
    if (err == ERR_OK) {
        if (burial.names.count > 0)
            qsort(burial.names.items, burial.names.count, sizeof(struct slice), name_order);
        catalog_bury(db->catalog, is_over, &burial);
    }
    arena_fini(&burial.names.arena);
}
