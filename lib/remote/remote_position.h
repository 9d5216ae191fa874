/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a receiver has acknowledged, on disk (docs/formats/remote-queue.md): for each partition of
 * the series the first sequence number that it has still to get. Saving is one small write; syncing
 * is left to the owner's pace. A power cut takes it back to the last sync at worst, kill -9 to
 * nothing before the last save.
 *
 * Ownership: a plain struct inside its owner. Threads: one job at a time; every call but init
 * blocks on the disk. */

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    REMOTE_PARTITION_COUNT = 256,
    REMOTE_POSITION_SLOT_SIZE = 4096,
    REMOTE_POSITION_PATH_SIZE = 4096 + 64,
};

struct remote_position {
    struct env *env; /* borrowed */
    char dir[REMOTE_POSITION_PATH_SIZE], path[REMOTE_POSITION_PATH_SIZE];
    struct env_file *file; /* NULL: to be made anew by the next save */
    uint64_t generation;   /* of the last slot written */
    unsigned slot;         /* which the next save writes */
    bool is_dirty;         /* written since the last sync */
};

/* The 256 numbers of a slot's bytes. ERR_CORRUPT; ERR_VERSION for a newer one. */
enum err remote_position_get(const uint8_t bytes[REMOTE_POSITION_SLOT_SIZE], uint64_t *generation,
                             uint64_t seqs[REMOTE_PARTITION_COUNT], struct err_info *info) MUST_USE;
void remote_position_put(uint8_t bytes[REMOTE_POSITION_SLOT_SIZE], uint64_t generation,
                         const uint64_t seqs[REMOTE_PARTITION_COUNT]);

/* Names the file of `key`, whatever bytes that has, in dir. Nothing is opened. BAD_INPUT: the path
 * is too long. */
enum err remote_position_init(struct remote_position *position, struct env *env, const char *dir,
                              struct slice key, struct err_info *info) MUST_USE;
/* Opens and reads it. ERR_NOT_FOUND: there is none yet; ERR_CORRUPT: neither slot is good;
 * ERR_VERSION, ERR_IO ... In all cases it can be saved to, and is closed later. */
enum err remote_position_load(struct remote_position *position,
                              uint64_t seqs[REMOTE_PARTITION_COUNT],
                              struct err_info *info) MUST_USE;
/* After a failure the next save makes a new file. */
enum err remote_position_save(struct remote_position *position,
                              const uint64_t seqs[REMOTE_PARTITION_COUNT]) MUST_USE;
enum err remote_position_sync(struct remote_position *position) MUST_USE;
void remote_position_close(struct remote_position *position);
/* Forgets it on disk; close follows. */
enum err remote_position_remove(struct remote_position *position) MUST_USE;
