/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of somebody else's data directory, mapped for reading: they may be larger than memory, and
 * are read through once or a few times. A file that is cut short while it is mapped ends the
 * process, so nothing may write there meanwhile. Threads: one. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

/* Maps a file; an empty one is an empty slice. ERR_NOT_FOUND, ERR_IO: the message names it. */
enum err tool_file_map(const char *path, struct slice *bytes, struct err_info *info) MUST_USE;
void tool_file_unmap(struct slice bytes);

struct tool_names {
    char **items; /* terminated, sorted bytewise; in the arena */
    uint32_t count;
};

/* Entries of a directory. ERR_NOT_FOUND, ERR_IO. */
enum err tool_file_list(const char *path, struct arena *arena, struct tool_names *names,
                        struct err_info *info) MUST_USE;
/* ERR_NOT_FOUND, ERR_IO: it cannot be read. */
enum err tool_file_check(const char *path, struct err_info *info) MUST_USE;
/* Takes a shared flock(2) on a file. *fd is -1 if there is no such file. ERR_EXISTS: another
 * process holds it. */
enum err tool_file_lock(const char *path, int *fd, struct err_info *info) MUST_USE;
void tool_file_unlock(int fd);
/* "dir/name" in the arena, which has no limit. */
char *tool_file_path(struct arena *arena, const char *dir, const char *name);
