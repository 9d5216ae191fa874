/* SPDX-License-Identifier: Apache-2.0 */

/* The list of live blocks and the change of it. */

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "storage/block_writer.h"
#include "storage/db_internal.h"

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
    for (uint32_t i = 0; i < list->count; i++) {
        block_unref(list->items[i].block);
        mem_free((void *)list->items[i].tombstones);
    }
    for (uint32_t i = 0; i < list->tombstone_count; i++)
        tombstone_unref(list->tombstones[i]);
    mem_free((void *)list->tombstones);
    mem_free(list);
}

/* ---- making a list ---- */

static int live_order(const void *a, const void *b)
{
    return ulid_cmp(block_get_meta(((const struct db_live *)a)->block)->ulid,
                    block_get_meta(((const struct db_live *)b)->block)->ulid);
}

struct db_blocks *db_blocks_new(uint32_t cap)
{
    struct db_blocks *list = mem_zalloc(1, sizeof(*list) + (size_t)cap * sizeof(struct db_live));

    list->ref_count = 1;
    return list;
}

void db_blocks_push(struct db_blocks *list, struct block *block)
{
    list->items[list->count++] = (struct db_live){.block = block};
}

static struct tombstone *find_tombstone(const struct db_blocks *list, uint64_t version,
                                        const struct catalog_deletion *deletion)
{
    for (uint32_t i = 0; i < list->tombstone_count; i++) {
        const struct catalog_deletion *have = tombstone_deletion(list->tombstones[i]);

        /* One change may make several, of different texts. */
        if (have->version != version || have->t_min_ms != deletion->t_min_ms ||
            have->t_max_ms != deletion->t_max_ms || have->matcher_count != deletion->matcher_count)
            continue;
        bool same = slice_eq(have->tenant, deletion->tenant);
        for (uint32_t j = 0; j < have->matcher_count && same; j++)
            same = have->matchers[j].type == deletion->matchers[j].type &&
                   slice_eq(have->matchers[j].name, deletion->matchers[j].name) &&
                   slice_eq(have->matchers[j].value, deletion->matchers[j].value);
        if (same)
            return tombstone_ref(list->tombstones[i]);
    }
    return NULL;
}

/* Which tombstones are for the block. */
static void choose_tombstones(struct db *db, const struct db_blocks *list, struct db_live *live)
{
    const struct catalog_entry *entry =
        catalog_find(db->catalog, block_get_meta(live->block)->ulid);

    ASSERT(entry != NULL);
    if (list->tombstone_count == 0)
        return;
    live->tombstones = mem_alloc(list->tombstone_count * sizeof(struct tombstone *));
    for (uint32_t i = 0; i < list->tombstone_count; i++)
        if (catalog_deletion_applies(tombstone_deletion(list->tombstones[i]), entry))
            live->tombstones[live->tombstone_count++] = list->tombstones[i];
}

enum err db_blocks_seal(struct db *db, struct db_blocks *list, const struct db_blocks *old,
                        struct err_info *info)
{
    const uint32_t count = catalog_deletion_count(db->catalog);

    list->version = catalog_version(db->catalog);
    if (count > 0)
        list->tombstones = mem_alloc(count * sizeof(struct tombstone *));
    for (uint32_t i = 0; i < count; i++) {
        const struct catalog_deletion *deletion = catalog_deletion_get(db->catalog, i);
        struct tombstone *tombstone =
            old == NULL ? NULL : find_tombstone(old, deletion->version, deletion);

        if (tombstone == NULL) {
            const enum err err = tombstone_new(deletion, &tombstone, info);

            if (err != ERR_OK)
                return err;
        }
        list->tombstones[list->tombstone_count++] = tombstone;
    }
    qsort(list->items, list->count, sizeof(list->items[0]), live_order);
    for (uint32_t i = 0; i < list->count; i++)
        choose_tombstones(db, list, &list->items[i]);
    return ERR_OK;
}

/* ---- changing the list ---- */

static bool is_detached(const struct db_commit *commit, const struct block *block)
{
    for (uint32_t i = 0; i < commit->detach_count; i++)
        if (ulid_cmp(commit->detach[i], block_get_meta(block)->ulid) == 0)
            return true;
    return false;
}

/* Puts the list that the catalog now speaks of in force. */
static void replace_list(struct db *db, const struct db_commit *commit)
{
    /* Only who has the flush slot changes the list, so it is the same until it is replaced. */
    struct db_blocks *old = db_blocks_get(db);
    struct db_blocks *list = db_blocks_new(old->count + 1);
    struct err_info info = {0};

    for (uint32_t i = 0; i < old->count; i++) {
        if (is_detached(commit, old->items[i].block))
            block_doom(old->items[i].block);
        else
            db_blocks_push(list, block_ref(old->items[i].block));
    }
    if (commit->attach != NULL)
        db_blocks_push(list, commit->attach);
    const enum err err = db_blocks_seal(db, list, old, &info);
    ASSERT(err == ERR_OK); /* db_blocks_commit has compiled what is new */
    pthread_mutex_lock(&db->lock);
    ASSERT(db->blocks == old);
    db->blocks = list;
    pthread_mutex_unlock(&db->lock);
    db_blocks_unref(old); /* the db's */
    db_blocks_unref(old); /* ours */
}

static enum err check_deletions(const struct db_commit *commit, struct err_info *info)
{
    for (uint32_t i = 0; i < commit->deletion_count; i++) {
        struct tombstone *tombstone;
        const enum err err = tombstone_new(&commit->deletions[i], &tombstone, info);

        if (err != ERR_OK)
            return err;
        tombstone_unref(tombstone);
    }
    return ERR_OK;
}

static void drop_block(struct block *block)
{
    if (block == NULL)
        return;
    block_doom(block);
    block_unref(block);
}

enum err db_blocks_settle(struct db *db, struct err_info *info)
{
    const enum err err = catalog_mend(db->catalog, info);

    if (err == ERR_OK) {
        drop_block(db->limbo);
        db->limbo = NULL;
    }
    return err;
}

enum err db_blocks_commit(struct db *db, const struct db_commit *commit, struct err_info *info)
{
    struct catalog_entry *entries;
    struct catalog_change change = {.detach = commit->detach,
                                    .detach_count = commit->detach_count,
                                    .deletions = commit->deletions,
                                    .deletion_count = commit->deletion_count};
    enum err err = check_deletions(commit, info);

    /* What the catalog is unsure about is another block: this one it does not know. */
    if (err == ERR_OK)
        err = db_blocks_settle(db, info);
    if (err != ERR_OK) {
        drop_block(commit->attach);
        return err;
    }
    entries = mem_alloc(((size_t)commit->cleaned_count + 1) * sizeof(*entries));
    change.attach = entries;
    if (commit->attach != NULL)
        entries[change.attach_count++] = catalog_entry_of(block_get_meta(commit->attach));
    for (uint32_t i = 0; i < commit->cleaned_count; i++) {
        struct catalog_entry *entry = &entries[change.attach_count++];

        *entry = *catalog_find(db->catalog, commit->cleaned[i]);
        entry->cleaned_version = commit->cleaned_version;
    }
    err = catalog_apply(db->catalog, &change, info);
    mem_free(entries);
    if (err == ERR_OK) {
        replace_list(db, commit);
        return ERR_OK;
    }
    if (catalog_is_unsure(db->catalog)) {
        ASSERT(db->limbo == NULL);
        db->limbo = commit->attach;
    } else {
        drop_block(commit->attach);
    }
    return err;
}

enum err db_blocks_open_written(struct db *db, struct ulid ulid, struct block **block,
                                struct err_info *info)
{
    const struct block_options options = db_block_options(db);
    char path[DB_PATH_SIZE + ULID_TEXT_LEN + 2];
    char name[ULID_TEXT_LEN + 1];
    const enum err err = block_open(&options, ulid, block, info);

    if (err == ERR_OK)
        return ERR_OK;
    ulid_print(ulid, name);
    (void)snprintf(path, sizeof(path), "%s/%s", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
    return err;
}
