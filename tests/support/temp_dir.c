/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WALK_FDS_MAX = 16 };

void temp_dir_init(struct temp_dir *dir)
{
    const char *base = getenv("TMPDIR");
    const int len = snprintf(dir->path, sizeof(dir->path), "%s/narthex-test-XXXXXX",
                             base != NULL && base[0] != '\0' ? base : "/tmp");

    if (len < 0 || len >= TEMP_DIR_PATH_SIZE || mkdtemp(dir->path) == NULL) {
        perror("temporary directory");
        abort();
    }
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    if (remove(path) != 0)
        perror(path);
    return 0;
}

void temp_dir_fini(struct temp_dir *dir)
{
    if (dir->path[0] == '\0')
        return;
    nftw(dir->path, on_entry, WALK_FDS_MAX, FTW_DEPTH | FTW_PHYS);
    dir->path[0] = '\0';
}
