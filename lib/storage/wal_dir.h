/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of the log's files: NNNNNNNNNN.wal and checkpoint.NNNNNNNNNN in one directory.
 * Threads: any; a list has one owner at a time. */

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"

enum { WAL_PATH_SIZE = 4096 };

/* A longer path is cut; head_open refuses such directories. */
void wal_dir_segment_path(char path[WAL_PATH_SIZE], const char *dir, uint64_t number);
void wal_dir_checkpoint_path(char path[WAL_PATH_SIZE], const char *dir, uint64_t number);

/* Numbers of the files of one kind, rising. wal_dir_list makes it, wal_dir_list_fini frees it. */
struct wal_dir_list {
    uint64_t *numbers; /* owned */
    size_t count, cap;
};

enum wal_dir_kind { WAL_DIR_SEGMENT, WAL_DIR_CHECKPOINT, WAL_DIR_CHECKPOINT_TMP };

/* A missing directory is an empty one. */
enum err wal_dir_list(struct env *env, const char *dir, enum wal_dir_kind kind,
                      struct wal_dir_list *list) MUST_USE;
void wal_dir_list_fini(struct wal_dir_list *list);
