/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_disk.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_disk_internal.h"
#include "sim/sim_internal.h"

enum {
    SIM_READ_PAUSE_US = 200,
    SIM_WRITE_PAUSE_US = 300,
    SIM_SYNC_PAUSE_US = 10000,
    SIM_SLOW_SYNC_US = 200000, /* one in a hundred */
};

#define SIM_CAPACITY (UINT64_C(1) << 30)

struct sim_file {
    struct env_file file;
    struct list_node node; /* of disk.files */
    struct sim_disk *disk;
    struct sim_inode *inode;
    bool is_lock;
};

/* ---- bytes and sectors ---- */

void sim_bytes_resize(struct sim_bytes *bytes, uint64_t size)
{
    if (size > bytes->cap) {
        uint64_t cap = bytes->cap == 0 ? SIM_PAGE_SIZE : bytes->cap;

        while (cap < size)
            cap *= 2;
        bytes->data = mem_realloc(bytes->data, cap);
        memset(bytes->data + bytes->cap, 0, cap - bytes->cap);
        bytes->cap = cap;
    }
    if (size < bytes->size)
        memset(bytes->data + size, 0, bytes->size - size);
    bytes->size = size;
}

void sim_bytes_copy_sector(struct sim_bytes *to, const struct sim_bytes *from, uint64_t sector)
{
    const uint64_t start = sector * SIM_SECTOR_SIZE;
    uint64_t end = start + SIM_SECTOR_SIZE;

    if (end > to->size)
        end = to->size;
    if (end > from->cap)
        end = from->cap; /* what lies between size and cap is zero */
    if (start < end)
        memcpy(to->data + start, from->data + start, end - start);
}

enum sim_sector sim_inode_sector(const struct sim_inode *inode, uint64_t sector)
{
    return sector < inode->sector_cap ? (enum sim_sector)inode->sectors[sector] : SIM_SECTOR_CLEAN;
}

void sim_inode_mark(struct sim_inode *inode, uint64_t sector, enum sim_sector state)
{
    if (sector >= inode->sector_cap) {
        const uint64_t cap = (sector + 1) * 2;

        inode->sectors = mem_realloc(inode->sectors, cap);
        memset(inode->sectors + inode->sector_cap, SIM_SECTOR_CLEAN, cap - inode->sector_cap);
        inode->sector_cap = cap;
    }
    inode->sectors[sector] = (uint8_t)state;
}

static void sim_inode_mark_range(struct sim_inode *inode, uint64_t start, uint64_t end)
{
    for (uint64_t sector = start / SIM_SECTOR_SIZE; sector * SIM_SECTOR_SIZE < end; sector++)
        sim_inode_mark(inode, sector, SIM_SECTOR_DIRTY);
}

/* Cut or grown by zeros; what was cut counts as changed, for old bytes may come back. */
static void sim_inode_resize(struct sim_inode *inode, uint64_t size)
{
    const uint64_t old = inode->now.size;

    sim_bytes_resize(&inode->now, size);
    sim_inode_mark_range(inode, size < old ? size : old, size < old ? old : size);
}

/* ---- inodes ---- */

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir)
{
    struct sim_inode *inode = mem_zalloc(1, sizeof(*inode));

    inode->number = disk->next_number++;
    inode->is_dir = is_dir;
    list_init(&inode->names);
    list_init(&inode->durable_names);
    list_push_back(&disk->inodes, &inode->node);
    return inode;
}

void sim_inode_free(struct sim_inode *inode)
{
    list_remove(&inode->node);
    sim_names_clear(&inode->names);
    sim_names_clear(&inode->durable_names);
    mem_free(inode->now.data);
    mem_free(inode->durable.data);
    mem_free(inode->sectors);
    mem_free(inode);
}

static uint64_t sim_disk_used(const struct sim_disk *disk)
{
    uint64_t used = 0;

    LIST_EACH(&disk->inodes, node)
    {
        const struct sim_inode *inode = CONTAINER_OF(node, struct sim_inode, node);

        if (inode->links > 0 || inode->opens > 0)
            used += (inode->now.size + SIM_PAGE_SIZE - 1) / SIM_PAGE_SIZE * SIM_PAGE_SIZE;
    }
    return used;
}

static uint64_t sim_disk_capacity(const struct sim_disk *disk)
{
    return disk->options.capacity_bytes != 0 ? disk->options.capacity_bytes : SIM_CAPACITY;
}

bool sim_disk_has_room(struct sim_disk *disk, uint64_t more_bytes)
{
    const bool has_room = sim_disk_used(disk) + more_bytes <= sim_disk_capacity(disk);

    if (!has_room)
        disk->stats.full++;
    return has_room;
}

/* ---- faults and time ---- */

bool sim_disk_fails(struct sim_disk *disk, enum sim_call call)
{
    const struct sim_disk_options *options = &disk->options;
    const uint32_t chances[] = {options->read_fail, options->write_fail, options->sync_fail,
                                options->name_fail};
    uint64_t *const counts[] = {&disk->stats.reads, &disk->stats.writes, &disk->stats.syncs,
                                &disk->stats.names};
    bool fails = false;

    /* No file is read or written under a lock (docs/locks.md). */
    ASSERT(sim_running == NULL || sim_running->fibers.current->locks_held == 0);
    ++*counts[call];
    sim_note(disk->sim, (uint64_t)call + 1);
    if (call != SIM_CALL_READ && disk->stop_in > 0 && --disk->stop_in == 0)
        sim_stop(disk->sim);
    if (disk->fail_in > 0)
        fails = --disk->fail_in == 0;
    if (chances[call] > 0 && sim_below(disk->sim, 1000) < chances[call])
        fails = true;
    disk->stats.failures += fails;
    return fails;
}

void sim_disk_pause(struct sim_disk *disk, uint64_t us_max)
{
    if (sim_running != NULL)
        sim_sleep(disk->sim, 1000 * (1 + sim_below(disk->sim, us_max)));
}

/* ---- file calls ---- */

static struct sim_file *sim_file_of(struct env_file *file)
{
    return CONTAINER_OF(file, struct sim_file, file);
}

static enum err sim_file_read_at(struct env_file *file, uint64_t offset, void *data, size_t size,
                                 size_t *got)
{
    const struct sim_file *f = sim_file_of(file);
    const struct sim_bytes *bytes = &f->inode->now;
    size_t len = 0;

    if (sim_disk_fails(f->disk, SIM_CALL_READ))
        return ERR_IO;
    if (sim_chance(f->disk->sim, 4)) /* the others are in the page cache */
        sim_disk_pause(f->disk, SIM_READ_PAUSE_US);
    if (offset < bytes->size)
        len = bytes->size - offset < size ? (size_t)(bytes->size - offset) : size;
    if (len > 0)
        memcpy(data, bytes->data + offset, len);
    *got = len;
    return ERR_OK;
}

/* Room for the file to reach `end`. */
static bool sim_file_has_room(const struct sim_file *f, uint64_t end)
{
    return end <= f->inode->now.size || sim_disk_has_room(f->disk, end - f->inode->now.size);
}

static enum err sim_file_write_at(struct env_file *file, uint64_t offset, const void *data,
                                  size_t size)
{
    struct sim_file *f = sim_file_of(file);
    enum err err = ERR_OK;

    if (size == 0)
        return ERR_OK;
    if (sim_disk_fails(f->disk, SIM_CALL_WRITE))
        err = ERR_IO;
    else if (!sim_file_has_room(f, offset + size))
        err = ERR_NO_SPACE;
    if (err != ERR_OK) { /* an unknown part is written, as far as there is room */
        size = (size_t)sim_below(f->disk->sim, size);
        if (!sim_file_has_room(f, offset + size))
            size = offset < f->inode->now.size ? (size_t)(f->inode->now.size - offset) : 0;
    }
    if (size > 0) {
        if (offset + size > f->inode->now.size)
            sim_inode_resize(f->inode, offset + size);
        memcpy(f->inode->now.data + offset, data, size);
        sim_inode_mark_range(f->inode, offset, offset + size);
    }
    sim_disk_pause(f->disk, SIM_WRITE_PAUSE_US);
    return err;
}

/* The dirty sectors of a file as they were when a sync began. */
struct sim_snapshot {
    struct list_node node; /* of disk.snapshots */
    struct sim_bytes bytes;
    uint64_t *sectors; /* owned */
    uint64_t count;
};

static struct sim_snapshot *sim_snapshot_new(struct sim_disk *disk, struct sim_inode *inode)
{
    const uint64_t end = (inode->now.size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE;
    struct sim_snapshot *snapshot = mem_zalloc(1, sizeof(*snapshot));

    list_push_back(&disk->snapshots, &snapshot->node);
    sim_bytes_resize(&snapshot->bytes, inode->now.size);
    snapshot->sectors = mem_alloc((end + 1) * sizeof(uint64_t));
    for (uint64_t sector = 0; sector < end; sector++) {
        if (sim_inode_sector(inode, sector) == SIM_SECTOR_CLEAN)
            continue;
        sim_bytes_copy_sector(&snapshot->bytes, &inode->now, sector);
        snapshot->sectors[snapshot->count++] = sector;
        sim_inode_mark(inode, sector, SIM_SECTOR_SYNCING);
    }
    return snapshot;
}

static void sim_snapshot_free(struct sim_snapshot *snapshot)
{
    list_remove(&snapshot->node);
    mem_free(snapshot->bytes.data);
    mem_free(snapshot->sectors);
    mem_free(snapshot);
}

/* What the sync achieved. A failed one loses sectors for good, while reads see them still. */
static void sim_snapshot_commit(struct sim_snapshot *snapshot, struct sim *sim,
                                struct sim_inode *inode, bool fails)
{
    if (!fails || sim_chance(sim, 2))
        sim_bytes_resize(&inode->durable, snapshot->bytes.size);
    for (uint64_t i = 0; i < snapshot->count; i++) {
        const uint64_t sector = snapshot->sectors[i];

        if (!fails || sim_chance(sim, 2))
            sim_bytes_copy_sector(&inode->durable, &snapshot->bytes, sector);
        if (sim_inode_sector(inode, sector) == SIM_SECTOR_SYNCING)
            sim_inode_mark(inode, sector, SIM_SECTOR_CLEAN);
    }
}

static enum err sim_file_sync(struct env_file *file)
{
    struct sim_file *f = sim_file_of(file);
    const bool fails = sim_disk_fails(f->disk, SIM_CALL_SYNC);
    struct sim_snapshot *snapshot = sim_snapshot_new(f->disk, f->inode);

    sim_disk_pause(f->disk, sim_chance(f->disk->sim, 100) ? SIM_SLOW_SYNC_US : SIM_SYNC_PAUSE_US);
    sim_snapshot_commit(snapshot, f->disk->sim, f->inode, fails);
    sim_snapshot_free(snapshot);
    return fails ? ERR_IO : ERR_OK;
}

static enum err sim_file_allocate(struct env_file *file, uint64_t size)
{
    struct sim_file *f = sim_file_of(file);

    if (sim_disk_fails(f->disk, SIM_CALL_WRITE))
        return ERR_IO;
    if (!sim_file_has_room(f, size))
        return ERR_NO_SPACE;
    if (size > f->inode->now.size)
        sim_inode_resize(f->inode, size);
    sim_disk_pause(f->disk, SIM_WRITE_PAUSE_US);
    return ERR_OK;
}

static enum err sim_file_truncate(struct env_file *file, uint64_t size)
{
    struct sim_file *f = sim_file_of(file);

    if (sim_disk_fails(f->disk, SIM_CALL_WRITE))
        return ERR_IO;
    if (!sim_file_has_room(f, size))
        return ERR_NO_SPACE;
    sim_inode_resize(f->inode, size);
    sim_disk_pause(f->disk, SIM_WRITE_PAUSE_US);
    return ERR_OK;
}

static enum err sim_file_size(struct env_file *file, uint64_t *size)
{
    *size = sim_file_of(file)->inode->now.size;
    return ERR_OK;
}

static enum err sim_file_close(struct env_file *file)
{
    struct sim_file *f = sim_file_of(file);

    ASSERT(f->inode->opens > 0);
    f->inode->opens--;
    if (f->is_lock)
        f->inode->is_locked = false;
    list_remove(&f->node);
    mem_free(f);
    return ERR_OK;
}

static const struct env_file_ops sim_file_ops = {
    .read_at = sim_file_read_at,
    .write_at = sim_file_write_at,
    .sync = sim_file_sync,
    .allocate = sim_file_allocate,
    .truncate = sim_file_truncate,
    .size = sim_file_size,
    .close = sim_file_close,
};

static struct env_file *sim_file_new(struct sim_disk *disk, struct sim_inode *inode)
{
    struct sim_file *f = mem_zalloc(1, sizeof(*f));

    *f = (struct sim_file){.file = {&sim_file_ops}, .disk = disk, .inode = inode};
    list_push_back(&disk->files, &f->node);
    inode->opens++;
    return &f->file;
}

static enum err sim_fs_open(struct env *env, const char *path, unsigned flags,
                            struct env_file **file)
{
    struct sim_disk *disk = env->fs_impl;
    struct sim_inode *dir, *inode;
    const struct sim_entry *entry;
    const char *name;

    if (sim_disk_fails(disk, SIM_CALL_NAME))
        return ERR_IO;
    if (sim_path_find_dir(disk, path, &dir, &name) != ERR_OK)
        return ERR_NOT_FOUND;
    entry = sim_names_find(&dir->names, name);
    if (entry != NULL && (flags & ENV_OPEN_EXCL) != 0)
        return ERR_EXISTS;
    if (entry == NULL && (flags & ENV_OPEN_CREATE) == 0)
        return ERR_NOT_FOUND;
    if (entry != NULL && entry->inode->is_dir)
        return ERR_IO;
    if (entry != NULL) {
        inode = entry->inode;
    } else {
        inode = sim_inode_new(disk, false);
        sim_disk_link(disk, dir, name, inode);
    }
    if ((flags & ENV_OPEN_TRUNC) != 0)
        sim_inode_resize(inode, 0);
    *file = sim_file_new(disk, inode);
    sim_disk_pause(disk, SIM_READ_PAUSE_US);
    return ERR_OK;
}

static enum err sim_fs_lock(struct env *env, const char *path, struct env_file **lock)
{
    struct env_file *file;
    struct sim_file *f;
    enum err err = sim_fs_open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &file);

    if (err != ERR_OK)
        return err;
    f = sim_file_of(file);
    if (f->inode->is_locked) {
        err = sim_file_close(file);
        return err != ERR_OK ? err : ERR_EXISTS;
    }
    f->inode->is_locked = f->is_lock = true;
    *lock = file;
    return ERR_OK;
}

static enum err sim_fs_space(struct env *env, const char *path, struct env_space *space)
{
    struct sim_disk *disk = env->fs_impl;
    const uint64_t used = sim_disk_used(disk), total = sim_disk_capacity(disk);

    if (sim_path_find(disk, path) == NULL)
        return ERR_NOT_FOUND;
    *space =
        (struct env_space){.free_bytes = total > used ? total - used : 0, .total_bytes = total};
    return ERR_OK;
}

/* Like a file system without them. */
static enum err sim_fs_link(struct env *env, const char *from, const char *to)
{
    (void)env, (void)from, (void)to;
    return ERR_UNSUPPORTED;
}

const struct env_fs_ops sim_disk_fs_ops = {
    .open = sim_fs_open,
    .rename = sim_fs_rename,
    .link = sim_fs_link,
    .unlink = sim_fs_unlink,
    .mkdir = sim_fs_mkdir,
    .rmdir = sim_fs_rmdir,
    .list = sim_fs_list,
    .sync_dir = sim_fs_sync_dir,
    .space = sim_fs_space,
    .lock = sim_fs_lock,
};

/* ---- the disk ---- */

struct sim_disk *sim_disk_new(struct sim *sim, const struct sim_disk_options *options)
{
    struct sim_disk *disk = mem_zalloc(1, sizeof(*disk));

    disk->sim = sim;
    disk->options = *options;
    list_init(&disk->inodes);
    list_init(&disk->journal);
    list_init(&disk->files);
    list_init(&disk->snapshots);
    disk->root = sim_inode_new(disk, true);
    disk->root->links = 1;
    return disk;
}

void sim_disk_drop_open(struct sim_disk *disk)
{
    LIST_EACH(&disk->files, node)
    {
        struct sim_file *f = CONTAINER_OF(node, struct sim_file, node);

        f->inode->opens--;
        if (f->is_lock)
            f->inode->is_locked = false;
        mem_free(f);
    }
    list_init(&disk->files);
    LIST_EACH(&disk->snapshots, snapshot_node)
    {
        sim_snapshot_free(CONTAINER_OF(snapshot_node, struct sim_snapshot, node));
    }
}

void sim_disk_kill(struct sim_disk *disk)
{
    disk->fail_in = 0;
    sim_disk_drop_open(disk);
}

void sim_disk_free(struct sim_disk *disk)
{
    sim_disk_drop_open(disk);
    LIST_EACH(&disk->journal, node)
    {
        sim_change_free(CONTAINER_OF(node, struct sim_change, node));
    }
    LIST_EACH(&disk->inodes, inode_node)
    {
        sim_inode_free(CONTAINER_OF(inode_node, struct sim_inode, node));
    }
    mem_free(disk);
}

void sim_disk_set_options(struct sim_disk *disk, const struct sim_disk_options *options)
{
    disk->options = *options;
}

void sim_disk_fail_nth(struct sim_disk *disk, uint64_t nth)
{
    disk->fail_in = nth;
}

void sim_disk_stop_nth(struct sim_disk *disk, uint64_t nth)
{
    disk->stop_in = nth;
}

void sim_disk_get_stats(const struct sim_disk *disk, struct sim_disk_stats *stats)
{
    *stats = disk->stats;
    stats->used_bytes = sim_disk_used(disk);
}
