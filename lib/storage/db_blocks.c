/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "storage/block_writer.h"
#include "storage/db_internal.h"

/* ---- lists ---- */

static struct db_blocks *list_new(uint32_t cap)
{
    struct db_blocks *list = mem_zalloc(1, sizeof(*list) + (size_t)cap * sizeof(struct block *));

    list->ref_count = 1;
    return list;
}

struct db_blocks *db_blocks_get(struct db *db)
{
    struct db_blocks *list;

    pthread_mutex_lock(&db->lock);
    list = db->blocks;
    atomic_fetch_add_explicit(&list->ref_count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&db->lock);
    return list;
}

void db_blocks_unref(struct db_blocks *list)
{
    if (list == NULL || atomic_fetch_sub_explicit(&list->ref_count, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < list->count; i++)
        block_unref(list->items[i]);
    mem_free(list);
}

static int block_order(const void *a, const void *b)
{
    return ulid_cmp(block_get_meta(*(struct block *const *)a)->ulid,
                    block_get_meta(*(struct block *const *)b)->ulid);
}

void db_blocks_add(struct db *db, struct block *block)
{
    /* Only who has the flush slot changes the list, so it is the same until it is replaced. */
    struct db_blocks *old = db_blocks_get(db);
    struct db_blocks *list = list_new(old->count + 1);

    for (uint32_t i = 0; i < old->count; i++)
        list->items[list->count++] = block_ref(old->items[i]);
    list->items[list->count++] = block;
    qsort(list->items, list->count, sizeof(struct block *), block_order);
    pthread_mutex_lock(&db->lock);
    ASSERT(db->blocks == old);
    db->blocks = list;
    pthread_mutex_unlock(&db->lock);
    db_blocks_unref(old); /* the db's */
    db_blocks_unref(old); /* ours */
}

/* ---- load ---- */

struct load {
    struct db *db;
    struct db_blocks *list;
    enum err err;
    struct err_info *info;
    bool adopt; /* whole blocks that nobody lists are attached, not removed */
};

static struct block_options block_options_of(struct db *db)
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
    const struct catalog_change change = {.detach = &ulid, .detach_count = 1};
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

static void load_block(struct load *load, const struct catalog_entry *entry)
{
    struct db *db = load->db;
    const struct block_options options = block_options_of(db);
    char name[ULID_TEXT_LEN + 1];
    struct err_info info = {0};
    struct block *block;
    const struct ulid ulid = entry->ulid; /* the entry may move when another is detached */
    const enum err err = block_open(&options, ulid, &block, &info);

    ulid_print(ulid, name);
    if (err == ERR_OK) {
        load->list->items[load->list->count++] = block;
        return;
    }
    metric_inc(&db->metrics.quarantined);
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
    const struct block_options options = block_options_of(db);
    struct err_info info = {0};
    struct block *block;

    enum err err = block_open(&options, ulid, &block, &info);
    if (err == ERR_OK) {
        const struct catalog_entry entry = catalog_entry_of(block_get_meta(block));
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
        if (load->adopt)
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
    load.list = list_new(catalog_count(db->catalog));
    /* Backwards, since a bad block leaves the catalog; then in the order of the catalog. */
    for (uint32_t i = catalog_count(db->catalog); i > 0; i--)
        load_block(&load, catalog_get(db->catalog, i - 1));
    qsort(load.list->items, load.list->count, sizeof(struct block *), block_order);
    db->blocks = load.list;
    return ERR_OK;
}
