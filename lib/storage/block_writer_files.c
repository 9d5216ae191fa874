/* SPDX-License-Identifier: Apache-2.0 */

/* The files of a block under way: tables, meta.json, the directory and its final name. */

#include <stdio.h>

#include "base/fault.h"
#include "storage/block_writer_internal.h"

struct remove_list {
    struct env *env;
    const char *path;
};

static enum err remove_entry(void *owner, const char *name)
{
    const struct remove_list *list = owner;
    char path[WRITER_PATH_SIZE];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", list->path, name) < sizeof(path))
        (void)list->env->fs->unlink(list->env, path);
    return ERR_OK;
}

void block_writer_remove_dir(struct env *env, const char *path)
{
    struct remove_list list = {env, path};

    (void)env->fs->list(env, path, remove_entry, &list);
    (void)env->fs->rmdir(env, path);
}

static enum err write_meta(struct block_writer *w, struct err_info *info)
{
    struct env *env = w->options.env;
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;
    char path[WRITER_PATH_SIZE + 16];
    struct env_file *file;

    (void)snprintf(path, sizeof(path), "%s/meta.json", w->tmp);
    buf_reset(&w->value);
    block_meta_print(&w->meta, &w->value);
    ASSERT(w->value.err == ERR_OK);
    enum err err = FAULT("block.meta_open") ? ERR_IO : env->fs->open(env, path, flags, &file);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    err = FAULT("block.meta_write") ? ERR_IO
                                    : file->ops->write_at(file, 0, w->value.data, w->value.len);
    if (err == ERR_OK)
        err = FAULT("block.meta_sync") ? ERR_IO : file->ops->sync(file);
    const enum err close_err = file->ops->close(file);
    if (err == ERR_OK)
        err = close_err;
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s: %s", path, err_text(err));
}

/* The directory, its files and then its new name made durable. */
static enum err rename_dir(struct block_writer *w, struct err_info *info)
{
    struct env *env = w->options.env;
    enum err err = FAULT("block.sync_dir") ? ERR_IO : env->fs->sync_dir(env, w->tmp);

    if (err == ERR_OK)
        err = FAULT("block.rename") ? ERR_IO : env->fs->rename(env, w->tmp, w->dir);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", w->tmp, err_text(err));
    err = FAULT("block.sync_parent") ? ERR_IO : env->fs->sync_dir(env, w->options.dir);
    if (err != ERR_OK) {
        /* It may or may not be there after a crash; nothing lists it, so a start removes it. */
        block_writer_remove_dir(env, w->dir);
        return err_set(info, err, "%s: %s", w->options.dir, err_text(err));
    }
    return ERR_OK;
}

enum err block_writer_open_tables(struct block_writer *w, struct err_info *info)
{
    char path[WRITER_PATH_SIZE + 16];

    (void)snprintf(path, sizeof(path), "%s/index.sst", w->tmp);
    const enum err err = sst_writer_open(w->options.door, path, SST_INDEX, &w->index, info);
    if (err != ERR_OK)
        return err;
    (void)snprintf(path, sizeof(path), "%s/data.sst", w->tmp);
    return sst_writer_open(w->options.door, path, SST_DATA, &w->data, info);
}

enum err block_writer_publish(struct block_writer *w, struct err_info *info)
{
    struct sst_writer *data = w->data;
    struct sst_writer *index = w->index;

    w->data = NULL;
    enum err err = sst_writer_finish(data, &w->meta.data, info);
    if (err != ERR_OK)
        return err;
    w->index = NULL;
    err = sst_writer_finish(index, &w->meta.index, info);
    if (err == ERR_OK)
        err = write_meta(w, info);
    if (err == ERR_OK)
        err = rename_dir(w, info);
    return err;
}
