/* SPDX-License-Identifier: Apache-2.0 */
#include "config/path.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { GLOB_COUNT_MAX = 100000 };

struct slice path_dir(struct slice path)
{
    const char *slash = path.len == 0 ? NULL : memrchr(path.data, '/', path.len);

    if (slash == NULL)
        return SLICE(".");
    return slash == path.data ? SLICE("/") : slice_of(path.data, (size_t)(slash - path.data));
}

enum err path_read(struct env *env, const char *path, struct buf *out, struct err_info *info)
{
    struct env_file *file;
    enum err err = env->fs->open(env, path, ENV_OPEN_READ, &file);
    uint64_t size = 0;

    if (err != ERR_OK)
        return err_set(info, err, "open %s: %s", path,
                       err == ERR_NOT_FOUND ? "no such file or directory" : err_text(err));
    err = file->ops->size(file, &size);
    if (err == ERR_OK && size > out->max)
        err = ERR_TOO_LARGE;
    while (err == ERR_OK) {
        enum { STEP = 64 * 1024 };
        char *room = buf_reserve(out, STEP);
        size_t got;

        if (room == NULL) { /* exactly full, or grown meanwhile */
            err = out->len < size ? ERR_TOO_LARGE : ERR_OK;
            break;
        }
        err = file->ops->read_at(file, out->len, room, STEP, &got);
        if (err == ERR_OK)
            out->len += got;
        if (err != ERR_OK || got < STEP)
            break;
    }
    if (file->ops->close(file) != ERR_OK && err == ERR_OK)
        err = ERR_IO;
    return err == ERR_OK ? ERR_OK : err_set(info, err, "read %s: %s", path, err_text(err));
}

/* ---- patterns ---- */

struct names {
    bool has_dir;        /* the pattern has a directory before its last segment */
    const char *pattern; /* last segment */
    char **items;        /* owned, each too */
    uint32_t count, cap;
};

static enum err add_name(void *owner, const char *name)
{
    struct names *names = owner;

    if (fnmatch(names->pattern, name, 0) != 0)
        return ERR_OK;
    if (names->count == GLOB_COUNT_MAX)
        return ERR_LIMIT;
    if (names->count == names->cap) {
        names->cap = names->cap == 0 ? 16 : names->cap * 2;
        names->items = mem_realloc(names->items, names->cap * sizeof(*names->items));
    }
    names->items[names->count++] = mem_copy_text(name, strlen(name));
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool file_exists(struct env *env, const char *path)
{
    struct env_file *file;

    if (env->fs->open(env, path, ENV_OPEN_READ, &file) != ERR_OK)
        return false;
    return file->ops->close(file) == ERR_OK;
}

static enum err walk_dir(struct env *env, struct slice dir, struct names *names, path_glob_fn *fn,
                         void *owner)
{
    char path[PATH_SIZE_MAX];
    enum err err;

    snprintf(path, sizeof(path), "%.*s", SLICE_ARG(dir));
    err = env->fs->list(env, path, add_name, names);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    for (uint32_t i = 0; err == ERR_OK && i < names->count; i++) {
        const char *slash = !names->has_dir || slice_has_suffix(dir, SLICE("/")) ? "" : "/";
        const struct slice prefix = names->has_dir ? dir : slice_of(dir.data, 0);

        if ((size_t)snprintf(path, sizeof(path), "%.*s%s%s", SLICE_ARG(prefix), slash,
                             names->items[i]) >= sizeof(path))
            return ERR_LIMIT;
        err = fn(owner, path);
    }
    return err;
}

enum err path_glob(struct env *env, const char *pattern, path_glob_fn *fn, void *owner)
{
    const char *slash = strrchr(pattern, '/');
    struct names names = {.has_dir = slash != NULL, .pattern = slash == NULL ? pattern : slash + 1};
    enum err err;

    if (strlen(pattern) >= PATH_SIZE_MAX)
        return ERR_LIMIT;
    if (strpbrk(names.pattern, "*?[\\") == NULL)
        return file_exists(env, pattern) ? fn(owner, pattern) : ERR_OK;
    err = walk_dir(env, path_dir(slice_from_cstr(pattern)), &names, fn, owner);
    for (uint32_t i = 0; i < names.count; i++)
        mem_free(names.items[i]);
    mem_free(names.items);
    return err;
}
