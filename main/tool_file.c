/* SPDX-License-Identifier: Apache-2.0 */
#include "main/tool_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err os_error(struct err_info *info, const char *path)
{
    const int reason = errno;

    return err_set(info, err_from_errno(reason), "%s: %s", path, strerror(reason));
}

enum err tool_file_map(const char *path, struct slice *bytes, struct err_info *info)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err err = ERR_OK;
    struct stat st;
    void *data;

    if (fd < 0)
        return os_error(info, path);
    if (fstat(fd, &st) != 0) {
        err = os_error(info, path);
    } else if (!S_ISREG(st.st_mode)) {
        err = err_set(info, ERR_IO, "%s: not a file", path);
    } else if (st.st_size == 0) {
        *bytes = (struct slice){NULL, 0};
    } else {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            err = os_error(info, path);
        else
            *bytes = slice_of(data, (size_t)st.st_size);
    }
    (void)close(fd);
    return err;
}

void tool_file_unmap(struct slice bytes)
{
    if (bytes.len > 0)
        (void)munmap((void *)(uintptr_t)bytes.data, bytes.len);
}

static int name_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err tool_file_list(const char *path, struct arena *arena, struct tool_names *names,
                        struct err_info *info)
{
    DIR *dir = opendir(path);
    struct tool_names list = {NULL, 0};
    struct dirent *entry;
    uint32_t cap = 0;

    if (dir == NULL)
        return os_error(info, path);
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (list.count == cap) {
            const uint32_t old = cap;

            cap = cap == 0 ? 64 : cap * 2;
            list.items = arena_grow(arena, list.items, old * sizeof(char *), cap * sizeof(char *));
        }
        list.items[list.count++] = arena_copy_cstr(arena, slice_from_cstr(entry->d_name));
    }
    const enum err err = errno == 0 ? ERR_OK : os_error(info, path);
    (void)closedir(dir);
    if (list.count > 1)
        qsort(list.items, list.count, sizeof(char *), name_order);
    *names = list;
    return err;
}

enum err tool_file_check(const char *path, struct err_info *info)
{
    return access(path, R_OK) == 0 ? ERR_OK : os_error(info, path);
}

enum err tool_file_lock(const char *path, int *fd, struct err_info *info)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);

    *fd = -1;
    if (file < 0)
        return errno == ENOENT ? ERR_OK : os_error(info, path);
    if (flock(file, LOCK_SH | LOCK_NB) != 0) {
        const enum err err = errno == EWOULDBLOCK
                                 ? err_set(info, ERR_EXISTS, "%s is held by another process", path)
                                 : os_error(info, path);

        (void)close(file);
        return err;
    }
    *fd = file;
    return ERR_OK;
}

void tool_file_unlock(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

char *tool_file_path(struct arena *arena, const char *dir, const char *name)
{
    const struct slice text = arena_printf(arena, "%s/%s", dir, name);

    return arena_copy_cstr(arena, text);
}
