/* SPDX-License-Identifier: Apache-2.0 */
#include "main/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err paths_check_file(const char *path, struct err_info *info)
{
    struct stat st;
    int reason = 0;

    if (access(path, R_OK) != 0 || stat(path, &st) != 0)
        reason = errno;
    else if (S_ISDIR(st.st_mode))
        reason = EISDIR;
    if (reason == 0 || reason == ENOENT) /* the reader has its own text for a missing one */
        return ERR_OK;
    return err_set(info, err_from_errno(reason), "open %s: %s", path, strerror(reason));
}

/* Cuts path to its parent. False when there is none above it. */
static bool to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL) {
        const bool was_here = strcmp(path, ".") == 0;

        (void)snprintf(path, 2, ".");
        return !was_here;
    }
    if (slash == path && path[1] == '\0')
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

enum err paths_check_data_dir(const char *path, struct err_info *info)
{
    char at[PATH_MAX];
    struct stat st;
    int reason = 0;

    if (path[0] == '\0' || (size_t)snprintf(at, sizeof(at), "%s", path) >= sizeof(at))
        return ERR_OK; /* storage says so */
    while (stat(at, &st) != 0) {
        reason = errno;
        if (reason != ENOENT || !to_parent(at))
            return err_set(info, err_from_errno(reason), "data directory %s: %s", path,
                           strerror(reason));
    }
    reason = 0;
    if (!S_ISDIR(st.st_mode))
        reason = ENOTDIR;
    else if (access(at, W_OK | X_OK) != 0)
        reason = errno;
    if (reason == 0)
        return ERR_OK;
    if (strcmp(at, path) == 0)
        return err_set(info, err_from_errno(reason), "data directory %s: %s", path,
                       strerror(reason));
    return err_set(info, err_from_errno(reason), "data directory %s cannot be made in %s: %s", path,
                   at, strerror(reason));
}
