/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that a configuration names: joining, reading, and lists by pattern, through an env.
 * Threads: any; these calls block. */

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"

enum { PATH_SIZE_MAX = 4096 };

/* What stands before the last slash: "." where there is none, "/" for a file of the root. */
struct slice path_dir(struct slice path);

/* The whole file into out (empty before, its max the limit). The message names the file. */
enum err path_read(struct env *env, const char *path, struct buf *out,
                   struct err_info *info) MUST_USE;

/* An error from fn ends the walk and is returned. */
typedef enum err path_glob_fn(void *owner, const char *path);

/* Calls fn for each existing file that matches, sorted by name. Only the last segment may hold
 * *, ? or [...]. A missing directory has no files. */
enum err path_glob(struct env *env, const char *pattern, path_glob_fn *fn, void *owner) MUST_USE;
