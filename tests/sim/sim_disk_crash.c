/* SPDX-License-Identifier: Apache-2.0 */
/* What a power cut does to the disk: of all that is not durable, the seed says what survives. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_disk_internal.h"
#include "sim/sim_internal.h"

/* What survives of a file's unsynced sectors. */
enum sim_loss {
    SIM_LOSS_ALL,
    SIM_LOSS_NONE,
    SIM_LOSS_SECTORS, /* each for itself: writes reordered and torn */
    SIM_LOSS_PAGES,   /* page by page */
    SIM_LOSS_TAIL,    /* those before some place survive */
    SIM_LOSS_HEAD,    /* those behind some place survive */
    SIM_LOSS_COUNT
};

static bool sim_sector_survives(struct sim *sim, enum sim_loss loss, uint64_t sector,
                                uint64_t place)
{
    switch (loss) {
    case SIM_LOSS_ALL:
        return false;
    case SIM_LOSS_NONE:
        return true;
    case SIM_LOSS_SECTORS:
        return sim_chance(sim, 2);
    case SIM_LOSS_PAGES: /* a coin per page, from the place and the page alone */
        return ((sector / (SIM_PAGE_SIZE / SIM_SECTOR_SIZE) + 1) * (place | 1) * 2654435761u >>
                20) %
                   2 ==
               0;
    case SIM_LOSS_TAIL:
        return sector < place;
    case SIM_LOSS_HEAD:
        return sector >= place;
    case SIM_LOSS_COUNT:
        break;
    }
    return false;
}

static void sim_crash_file(struct sim_disk *disk, struct sim_inode *inode)
{
    const enum sim_loss loss = (enum sim_loss)sim_below(disk->sim, SIM_LOSS_COUNT);
    const bool keeps_size =
        loss == SIM_LOSS_NONE || (loss != SIM_LOSS_ALL && sim_chance(disk->sim, 2));
    uint64_t place;

    if (keeps_size)
        sim_bytes_resize(&inode->durable, inode->now.size);
    place = sim_below(disk->sim, inode->durable.size / SIM_SECTOR_SIZE + 2);
    for (uint64_t sector = 0; sector < inode->sector_cap; sector++) {
        if (sim_inode_sector(inode, sector) == SIM_SECTOR_CLEAN)
            continue;
        if (sim_sector_survives(disk->sim, loss, sector, place)) {
            sim_bytes_copy_sector(&inode->durable, &inode->now, sector);
            disk->stats.sectors_kept++;
        } else {
            disk->stats.sectors_lost++;
        }
        sim_inode_mark(inode, sector, SIM_SECTOR_CLEAN);
    }
    sim_bytes_resize(&inode->now, 0);
    sim_bytes_resize(&inode->now, inode->durable.size);
    if (inode->durable.size > 0)
        memcpy(inode->now.data, inode->durable.data, inode->durable.size);
}

/* Half of the crashes keep a prefix of the journal, as real file systems do; the others any entries
 * of it, which is all that the standard promises. */
static void sim_crash_journal(struct sim_disk *disk)
{
    const bool is_prefix = sim_chance(disk->sim, 2);
    uint64_t count = 0, keep;

    LIST_EACH(&disk->journal, counted)
    {
        count += counted != NULL;
    }
    keep = sim_below(disk->sim, count + 1);
    LIST_EACH(&disk->journal, node)
    {
        struct sim_change *change = CONTAINER_OF(node, struct sim_change, node);
        const bool survives = is_prefix ? keep > 0 : sim_chance(disk->sim, 2);

        if (keep > 0)
            keep--;
        if (survives && sim_change_apply(change)) {
            disk->stats.names_kept++;
            continue;
        }
        disk->stats.names_lost++;
        if (!survives)
            sim_change_free(change);
    }
}

/* Recursive over directories, which are few levels deep. */
static void sim_crash_dir(struct sim_inode *dir)
{
    dir->is_marked = true;
    sim_names_clear(&dir->names);
    LIST_EACH(&dir->durable_names, node)
    {
        const struct sim_entry *entry = CONTAINER_OF(node, struct sim_entry, node);

        sim_names_add(&dir->names, entry->name, entry->inode);
        entry->inode->links++;
        entry->inode->is_marked = true;
        if (entry->inode->is_dir)
            sim_crash_dir(entry->inode);
    }
}

void sim_disk_crash(struct sim_disk *disk)
{
    disk->fail_in = 0;
    sim_disk_drop_open(disk);
    sim_crash_journal(disk);
    ASSERT(list_is_empty(&disk->journal));
    LIST_EACH(&disk->inodes, node)
    {
        struct sim_inode *inode = CONTAINER_OF(node, struct sim_inode, node);

        inode->is_marked = inode->is_locked = false;
        inode->links = inode->opens = 0;
        if (!inode->is_dir)
            sim_crash_file(disk, inode);
    }
    disk->root->links = 1;
    sim_crash_dir(disk->root);
    LIST_EACH(&disk->inodes, dead)
    {
        struct sim_inode *inode = CONTAINER_OF(dead, struct sim_inode, node);

        if (!inode->is_marked)
            sim_inode_free(inode);
    }
}

/* ---- damage ---- */

struct sim_search {
    const char *part;
    struct sim_inode *found[64];
    uint32_t count;
};

static void sim_search_dir(struct sim_search *search, const struct sim_inode *dir, bool matches)
{
    LIST_EACH(&dir->names, node)
    {
        const struct sim_entry *entry = CONTAINER_OF(node, struct sim_entry, node);
        const bool hit = matches || strstr(entry->name, search->part) != NULL;

        if (entry->inode->is_dir)
            sim_search_dir(search, entry->inode, hit);
        else if (hit && entry->inode->now.size > 0 && search->count < COUNT_OF(search->found))
            search->found[search->count++] = entry->inode;
    }
}

bool sim_disk_flip_bit(struct sim_disk *disk, const char *part)
{
    struct sim_search search = {.part = part};
    struct sim_inode *inode;
    uint64_t at;
    char bit;

    sim_search_dir(&search, disk->root, false);
    if (search.count == 0)
        return false;
    inode = search.found[sim_below(disk->sim, search.count)];
    at = sim_below(disk->sim, inode->now.size);
    bit = (char)(1 << sim_below(disk->sim, 8));
    inode->now.data[at] ^= bit;
    if (at < inode->durable.size)
        inode->durable.data[at] ^= bit;
    return true;
}
