/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A fresh directory under TMPDIR (default /tmp), removed with all it holds. */

enum { TEMP_DIR_PATH_SIZE = 256 };

struct temp_dir {
    char path[TEMP_DIR_PATH_SIZE];
};

/* Aborts when there is no room for a directory: no test makes sense then. */
void temp_dir_init(struct temp_dir *dir);
void temp_dir_fini(struct temp_dir *dir);
