/* SPDX-License-Identifier: Apache-2.0 */

/* Blocks from elsewhere. */

#include <stdio.h>

#include "storage/block_writer.h"
#include "storage/db_internal.h"

/* What a crash left of an earlier try. */
static void remove_remains(struct db *db, const char *name)
{
    char path[DB_PATH_SIZE + ULID_TEXT_LEN + 8];

    (void)snprintf(path, sizeof(path), "%s/%s.tmp", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
    (void)snprintf(path, sizeof(path), "%s/%s", db->blocks_dir, name);
    block_writer_remove_dir(db->options.env, path);
}

static enum err write_new_block(struct db *db, const struct db_new_block *new_block,
                                struct ulid ulid, struct err_info *info)
{
    const struct block_writer_options options = {.env = db->options.env,
                                                 .door = db->door,
                                                 .hash_key = &db->hash_key,
                                                 .dir = db->blocks_dir,
                                                 .ulid = ulid,
                                                 .window_t_min_ms = new_block->t_min_ms,
                                                 .window_t_end_ms = new_block->t_end_ms,
                                                 .cleaned_version = catalog_version(db->catalog)};
    struct block_writer *writer;
    struct block_meta meta;
    enum err err = block_writer_open(&options, &writer, info);

    if (err != ERR_OK)
        return err;
    err = new_block->fill(new_block->owner, writer, info);
    if (err != ERR_OK) {
        block_writer_abort(writer);
        return err;
    }
    return block_writer_finish(writer, &meta, info);
}

enum err db_add_block(struct db *db, const struct db_new_block *new_block, struct block_meta *meta,
                      struct err_info *info)
{
    struct block *block;
    struct ulid ulid;

    if (!ulid_parse(slice_from_cstr(new_block->name), &ulid))
        return err_set(info, ERR_BAD_INPUT, "\"%s\" is no ULID", new_block->name);
    enum err err = db_slot_take(db, &db->flush_slot, 0);
    if (err != ERR_OK)
        return err_set(info, err, "storage is stopping");
    err = db_blocks_settle(db, info);
    /* The files of one that is gone may still be read, and end with their last reader. */
    if (err == ERR_OK &&
        (catalog_find(db->catalog, ulid) != NULL || catalog_is_gone(db->catalog, ulid)))
        err = ERR_EXISTS;
    if (err == ERR_OK) {
        remove_remains(db, new_block->name);
        err = write_new_block(db, new_block, ulid, info);
    }
    if (err == ERR_OK)
        err = db_blocks_open_written(db, ulid, &block, info);
    if (err == ERR_OK) {
        if (meta != NULL)
            *meta = *block_get_meta(block);
        err = db_blocks_commit(db, &(struct db_commit){.attach = block}, info);
    }
    db_slot_give(db, &db->flush_slot);
    return err;
}
