/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk in memory, as bad as a real one may be.
 *
 * Each file has what reads see (the page cache) and what is durable. A write goes to the first and
 * marks its sectors (512 B); a sync that succeeds makes them durable, and the size. Names work
 * alike: creations, renames, unlinks and mkdirs go to a journal until their directory is synced.
 *
 * A crash keeps what is durable, and of the rest what the seed says: nothing, everything, whole
 * pages, single sectors, sectors up to a place; of the journal a prefix, or any entries. So
 * unsynced writes are lost, reordered and torn, sizes grow without their data, and a file that was
 * synced but whose directory was not is gone.
 *
 * A sync that fails loses a part of the unsynced sectors for good while reads still see them, and a
 * later sync that succeeds does not bring them back: what Linux does.
 *
 * Calls sleep for some virtual microseconds to milliseconds, so that others run meanwhile. */

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

struct sim;
struct sim_disk;

enum { SIM_SECTOR_SIZE = 512, SIM_PAGE_SIZE = 4096 };

struct sim_disk_options {
    uint64_t capacity_bytes; /* 0: 1 GiB */
    /* Chances in 1,000 that a call of this kind fails with ERR_IO. */
    uint32_t read_fail, write_fail, sync_fail, name_fail;
};

struct sim_disk_stats {
    uint64_t reads, writes, syncs, names; /* calls */
    uint64_t failures;                    /* injected */
    uint64_t full;                        /* calls refused for want of space */
    uint64_t used_bytes;
    /* Of all crashes: unsynced sectors that survived, and that did not; journal entries alike. */
    uint64_t sectors_kept, sectors_lost, names_kept, names_lost;
};

struct sim_disk *sim_disk_new(struct sim *sim, const struct sim_disk_options *options);
void sim_disk_free(struct sim_disk *disk);
/* env->fs of the sim. */
extern const struct env_fs_ops sim_disk_fs_ops;

/* What a power cut leaves. Open files are gone. */
void sim_disk_crash(struct sim_disk *disk);
/* What the death of a process leaves: everything but its open files and locks. */
void sim_disk_kill(struct sim_disk *disk);

/* Changes faults and capacity from now on. */
void sim_disk_set_options(struct sim_disk *disk, const struct sim_disk_options *options);
/* The n-th file call from now (from 1) fails with ERR_IO, once; 0: none. */
void sim_disk_fail_nth(struct sim_disk *disk, uint64_t nth);
/* sim_stop in the middle of the n-th call from now that changes something; 0: never. */
void sim_disk_stop_nth(struct sim_disk *disk, uint64_t nth);
void sim_disk_get_stats(const struct sim_disk *disk, struct sim_disk_stats *stats);

/* Flips one random bit of a random durable sector of a random file whose path contains `part`;
 * false: there is none. Not while fibers have it open. */
bool sim_disk_flip_bit(struct sim_disk *disk, const char *part);
