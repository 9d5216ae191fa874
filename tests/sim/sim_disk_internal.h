/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What sim_disk.c (file calls), sim_disk_name.c (names) and sim_disk_crash.c share. */

#include "base/list.h"
#include "sim/sim_disk.h"

/* What a sector of a file is, compared with its durable copy. */
enum sim_sector {
    SIM_SECTOR_CLEAN, /* equal, or lost by a failed sync */
    SIM_SECTOR_DIRTY,
    SIM_SECTOR_SYNCING, /* dirty, and not written since a sync began */
};

struct sim_bytes {
    char *data; /* owned; zeros from size to cap */
    uint64_t size, cap;
};

struct sim_entry {
    struct list_node node;
    char *name; /* owned */
    struct sim_inode *inode;
};

struct sim_inode {
    struct list_node node; /* of disk.inodes, by number */
    uint64_t number;
    bool is_dir, is_locked, is_marked; /* is_marked: reachable, while a crash looks */
    uint32_t links, opens;             /* links: names that reads see */
    struct sim_bytes now, durable;     /* of a file */
    uint8_t *sectors;                  /* enum sim_sector; sector_cap of them */
    uint64_t sector_cap;
    struct list names, durable_names; /* of a directory: struct sim_entry */
};

enum sim_change_kind { SIM_CHANGE_LINK, SIM_CHANGE_UNLINK, SIM_CHANGE_RENAME };

/* A change of a directory that is not durable yet. */
struct sim_change {
    struct list_node node;
    enum sim_change_kind kind;
    struct sim_inode *dir, *inode;
    char *name, *to; /* owned; to: of a rename */
};

struct sim_disk {
    struct sim *sim;
    struct sim_disk_options options;
    struct sim_disk_stats stats;
    struct list inodes;
    struct list journal;          /* struct sim_change, oldest first */
    struct list files, snapshots; /* open files and syncs under way; a crash frees them */
    struct sim_inode *root;
    uint64_t next_number;
    uint64_t fail_in; /* calls until one fails; 0: none will */
    uint64_t stop_in; /* calls that change something until sim_stop */
};

enum sim_call { SIM_CALL_READ, SIM_CALL_WRITE, SIM_CALL_SYNC, SIM_CALL_NAME };

/* Frees open files and syncs under way. */
void sim_disk_drop_open(struct sim_disk *disk);
/* Counts a call, and says whether it is to fail. */
bool sim_disk_fails(struct sim_disk *disk, enum sim_call call);
/* Virtual time for a call, if a fiber made it. */
void sim_disk_pause(struct sim_disk *disk, uint64_t us_max);
bool sim_disk_has_room(struct sim_disk *disk, uint64_t more_bytes);

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir);
void sim_inode_free(struct sim_inode *inode);
void sim_bytes_resize(struct sim_bytes *bytes, uint64_t size);
/* Copies one sector of `from` to the same place of `to`, as far as both reach. */
void sim_bytes_copy_sector(struct sim_bytes *to, const struct sim_bytes *from, uint64_t sector);
enum sim_sector sim_inode_sector(const struct sim_inode *inode, uint64_t sector);
void sim_inode_mark(struct sim_inode *inode, uint64_t sector, enum sim_sector state);

struct sim_entry *sim_names_find(const struct list *names, const char *name);
void sim_names_add(struct list *names, const char *name, struct sim_inode *inode);
void sim_names_remove(struct sim_entry *entry);
void sim_names_clear(struct list *names);
/* Makes a journal entry durable as far as it still makes sense, and frees it. */
bool sim_change_apply(struct sim_change *change);
void sim_change_free(struct sim_change *change);

/* The directory that holds the last part of path, and that part. ERR_NOT_FOUND. */
enum err sim_path_find_dir(struct sim_disk *disk, const char *path, struct sim_inode **dir,
                           const char **name);
/* NULL: not there. */
struct sim_inode *sim_path_find(struct sim_disk *disk, const char *path);
/* Adds to the journal and to what reads see. */
void sim_disk_link(struct sim_disk *disk, struct sim_inode *dir, const char *name,
                   struct sim_inode *inode);

enum err sim_fs_rename(struct env *env, const char *from, const char *to);
enum err sim_fs_unlink(struct env *env, const char *path);
enum err sim_fs_mkdir(struct env *env, const char *path);
enum err sim_fs_rmdir(struct env *env, const char *path);
enum err sim_fs_list(struct env *env, const char *path, env_list_fn *fn, void *owner);
enum err sim_fs_sync_dir(struct env *env, const char *path);
