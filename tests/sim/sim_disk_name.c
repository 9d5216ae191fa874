/* SPDX-License-Identifier: Apache-2.0 */
/* Names: directories as reads see them and as they are durable, and the journal between. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_disk_internal.h"

enum { SIM_NAME_PAUSE_US = 100, SIM_SYNC_DIR_PAUSE_US = 5000 };

static char *sim_copy_text(const char *text)
{
    return mem_copy_text(text, strlen(text));
}

/* ---- lists of names ---- */

struct sim_entry *sim_names_find(const struct list *names, const char *name)
{
    LIST_EACH(names, node)
    {
        struct sim_entry *entry = CONTAINER_OF(node, struct sim_entry, node);

        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

void sim_names_add(struct list *names, const char *name, struct sim_inode *inode)
{
    struct sim_entry *entry = mem_zalloc(1, sizeof(*entry));

    entry->name = sim_copy_text(name);
    entry->inode = inode;
    list_push_back(names, &entry->node);
}

void sim_names_remove(struct sim_entry *entry)
{
    list_remove(&entry->node);
    mem_free(entry->name);
    mem_free(entry);
}

void sim_names_clear(struct list *names)
{
    LIST_EACH(names, node)
    {
        sim_names_remove(CONTAINER_OF(node, struct sim_entry, node));
    }
}

/* ---- the journal ---- */

static void sim_journal_add(struct sim_disk *disk, const struct sim_change *model)
{
    struct sim_change *change = mem_zalloc(1, sizeof(*change));

    *change = *model;
    change->name = sim_copy_text(model->name);
    change->to = model->to != NULL ? sim_copy_text(model->to) : NULL;
    list_push_back(&disk->journal, &change->node);
}

void sim_change_free(struct sim_change *change)
{
    list_remove(&change->node);
    mem_free(change->name);
    mem_free(change->to);
    mem_free(change);
}

bool sim_change_apply(struct sim_change *change)
{
    struct list *names = &change->dir->durable_names;
    struct sim_entry *entry = sim_names_find(names, change->name);
    bool valid = false;

    switch (change->kind) {
    case SIM_CHANGE_LINK:
        valid = entry == NULL;
        if (valid)
            sim_names_add(names, change->name, change->inode);
        break;
    case SIM_CHANGE_UNLINK:
        valid = entry != NULL && entry->inode == change->inode;
        if (valid)
            sim_names_remove(entry);
        break;
    case SIM_CHANGE_RENAME:
        valid = entry != NULL && entry->inode == change->inode;
        if (valid) {
            struct sim_entry *replaced = sim_names_find(names, change->to);

            if (replaced != NULL)
                sim_names_remove(replaced);
            sim_names_remove(entry);
            sim_names_add(names, change->to, change->inode);
        }
        break;
    }
    sim_change_free(change);
    return valid;
}

/* ---- paths ---- */

/* The next part of a path, without slashes and single dots; length 0 at the end. */
static struct slice sim_path_part(const char **path)
{
    for (;;) {
        struct slice part;

        while (**path == '/')
            (*path)++;
        part = slice_of(*path, strcspn(*path, "/"));
        *path += part.len;
        if (!slice_eq_cstr(part, "."))
            return part;
    }
}

enum err sim_path_find_dir(struct sim_disk *disk, const char *path, struct sim_inode **dir,
                           const char **name)
{
    struct sim_inode *at = disk->root;
    struct slice part = sim_path_part(&path);

    for (;;) {
        const struct slice next = sim_path_part(&path);
        const struct sim_entry *entry;
        char *text;

        if (next.len == 0) {
            *dir = at;
            *name = part.data; /* the last part ends with the path, but for slashes */
            return part.len == 0 ? ERR_NOT_FOUND : ERR_OK;
        }
        text = mem_copy_text(part.data, part.len);
        entry = sim_names_find(&at->names, text);
        mem_free(text);
        if (entry == NULL || !entry->inode->is_dir)
            return ERR_NOT_FOUND;
        at = entry->inode;
        part = next;
    }
}

struct sim_inode *sim_path_find(struct sim_disk *disk, const char *path)
{
    struct sim_inode *dir;
    const struct sim_entry *entry;
    const char *name;

    if (strspn(path, "/.") == strlen(path))
        return disk->root;
    if (sim_path_find_dir(disk, path, &dir, &name) != ERR_OK)
        return NULL;
    entry = sim_names_find(&dir->names, name);
    return entry == NULL ? NULL : entry->inode;
}

/* ---- calls ---- */

static struct sim_disk *sim_disk_of_env(struct env *env)
{
    return env->fs_impl;
}

void sim_disk_link(struct sim_disk *disk, struct sim_inode *dir, const char *name,
                   struct sim_inode *inode)
{
    const struct sim_change change = {
        .kind = SIM_CHANGE_LINK, .dir = dir, .inode = inode, .name = (char *)(uintptr_t)name};

    sim_names_add(&dir->names, name, inode);
    inode->links++;
    sim_journal_add(disk, &change);
}

static void sim_disk_unlink_entry(struct sim_disk *disk, struct sim_inode *dir,
                                  struct sim_entry *entry)
{
    struct sim_inode *inode = entry->inode;
    const struct sim_change change = {
        .kind = SIM_CHANGE_UNLINK, .dir = dir, .inode = inode, .name = entry->name};

    sim_journal_add(disk, &change);
    sim_names_remove(entry);
    inode->links--;
}

enum err sim_fs_rename(struct env *env, const char *from, const char *to)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    struct sim_change change = {.kind = SIM_CHANGE_RENAME};
    struct sim_inode *from_dir, *to_dir;
    struct sim_entry *entry, *replaced;
    const char *from_name, *to_name;

    if (sim_disk_fails(disk, SIM_CALL_NAME))
        return ERR_IO;
    if (sim_path_find_dir(disk, from, &from_dir, &from_name) != ERR_OK ||
        sim_path_find_dir(disk, to, &to_dir, &to_name) != ERR_OK)
        return ERR_NOT_FOUND;
    ASSERT(from_dir == to_dir); /* nobody needs more, and its durability would be another story */
    entry = sim_names_find(&from_dir->names, from_name);
    if (entry == NULL)
        return ERR_NOT_FOUND;
    replaced = sim_names_find(&to_dir->names, to_name);
    if (replaced == entry)
        return ERR_OK;
    if (replaced != NULL && replaced->inode->is_dir && !list_is_empty(&replaced->inode->names))
        return ERR_EXISTS;
    change.dir = from_dir;
    change.inode = entry->inode;
    change.name = entry->name;
    change.to = (char *)(uintptr_t)to_name;
    sim_journal_add(disk, &change);
    if (replaced != NULL) {
        replaced->inode->links--;
        sim_names_remove(replaced);
    }
    sim_names_add(&to_dir->names, to_name, entry->inode);
    sim_names_remove(entry);
    sim_disk_pause(disk, SIM_NAME_PAUSE_US);
    return ERR_OK;
}

enum err sim_fs_unlink(struct env *env, const char *path)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    struct sim_inode *dir;
    struct sim_entry *entry;
    const char *name;

    if (sim_disk_fails(disk, SIM_CALL_NAME))
        return ERR_IO;
    if (sim_path_find_dir(disk, path, &dir, &name) != ERR_OK)
        return ERR_NOT_FOUND;
    entry = sim_names_find(&dir->names, name);
    if (entry == NULL)
        return ERR_NOT_FOUND;
    if (entry->inode->is_dir)
        return ERR_IO;
    sim_disk_unlink_entry(disk, dir, entry);
    sim_disk_pause(disk, SIM_NAME_PAUSE_US);
    return ERR_OK;
}

enum err sim_fs_mkdir(struct env *env, const char *path)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    struct sim_inode *dir;
    const char *name;

    if (sim_disk_fails(disk, SIM_CALL_NAME))
        return ERR_IO;
    if (sim_path_find_dir(disk, path, &dir, &name) != ERR_OK)
        return ERR_NOT_FOUND;
    if (sim_names_find(&dir->names, name) != NULL)
        return ERR_EXISTS;
    sim_disk_link(disk, dir, name, sim_inode_new(disk, true));
    sim_disk_pause(disk, SIM_NAME_PAUSE_US);
    return ERR_OK;
}

enum err sim_fs_rmdir(struct env *env, const char *path)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    struct sim_inode *dir;
    struct sim_entry *entry;
    const char *name;

    if (sim_disk_fails(disk, SIM_CALL_NAME))
        return ERR_IO;
    if (sim_path_find_dir(disk, path, &dir, &name) != ERR_OK)
        return ERR_NOT_FOUND;
    entry = sim_names_find(&dir->names, name);
    if (entry == NULL)
        return ERR_NOT_FOUND;
    if (!entry->inode->is_dir || !list_is_empty(&entry->inode->names))
        return ERR_IO;
    sim_disk_unlink_entry(disk, dir, entry);
    sim_disk_pause(disk, SIM_NAME_PAUSE_US);
    return ERR_OK;
}

/* The callback may change the directory: it gets a copy of the names. */
enum err sim_fs_list(struct env *env, const char *path, env_list_fn *fn, void *owner)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    const struct sim_inode *dir = sim_path_find(disk, path);
    enum err err = ERR_OK;
    struct list copy;

    if (sim_disk_fails(disk, SIM_CALL_READ))
        return ERR_IO;
    if (dir == NULL || !dir->is_dir)
        return ERR_NOT_FOUND;
    list_init(&copy);
    LIST_EACH(&dir->names, node)
    {
        const struct sim_entry *entry = CONTAINER_OF(node, struct sim_entry, node);

        sim_names_add(&copy, entry->name, entry->inode);
    }
    LIST_EACH(&copy, copy_node)
    {
        if (err == ERR_OK)
            err = fn(owner, CONTAINER_OF(copy_node, struct sim_entry, node)->name);
    }
    sim_names_clear(&copy);
    return err;
}

enum err sim_fs_sync_dir(struct env *env, const char *path)
{
    struct sim_disk *disk = sim_disk_of_env(env);
    struct sim_inode *dir = sim_path_find(disk, path);

    if (dir == NULL || !dir->is_dir)
        return ERR_NOT_FOUND;
    if (sim_disk_fails(disk, SIM_CALL_SYNC))
        return ERR_IO;
    /* Some of the time passes before it is durable, some after: a crash may come in either. */
    sim_disk_pause(disk, SIM_SYNC_DIR_PAUSE_US);
    LIST_EACH(&disk->journal, node)
    {
        struct sim_change *change = CONTAINER_OF(node, struct sim_change, node);

        if (change->dir == dir)
            sim_change_apply(change);
    }
    sim_disk_pause(disk, SIM_SYNC_DIR_PAUSE_US);
    return ERR_OK;
}
