/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env_real.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"

enum {
    ENV_REAL_FILE_MODE = 0640,
    ENV_REAL_DIR_MODE = 0750,
    ENV_REAL_ZEROS_SIZE = 1 << 16, /* written at once where fallocate is not supported */
};

struct env_real_file {
    struct env_file file;
    int fd;
};

static int64_t env_real_now_ms(struct env *env)
{
    struct timespec now;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t env_real_mono_ns(struct env *env)
{
    struct timespec now;

    (void)env;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void env_real_random(struct env *env, void *data, size_t size)
{
    char *at = data;

    (void)env;
    while (size > 0) {
        const ssize_t got = getrandom(at, size, 0);

        if (got < 0) {
            ASSERT(errno == EINTR); /* nothing else can happen to a plain getrandom */
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
}

static int env_real_fd(struct env_file *file)
{
    return CONTAINER_OF(file, struct env_real_file, file)->fd;
}

static enum err env_real_read_at(struct env_file *file, uint64_t offset, void *data, size_t size,
                                 size_t *got)
{
    size_t len = 0;

    if (FAULT("file.read"))
        return ERR_IO;
    while (len < size) {
        const ssize_t n =
            pread(env_real_fd(file), (char *)data + len, size - len, (off_t)(offset + len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *got = len;
    return ERR_OK;
}

static enum err env_real_write_fd(int fd, uint64_t offset, const void *data, size_t size)
{
    for (size_t len = 0; len < size;) {
        const ssize_t n = pwrite(fd, (const char *)data + len, size - len, (off_t)(offset + len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        len += (size_t)n;
    }
    return ERR_OK;
}

static enum err env_real_write_at(struct env_file *file, uint64_t offset, const void *data,
                                  size_t size)
{
    if (FAULT("file.write"))
        return ERR_IO;
    return env_real_write_fd(env_real_fd(file), offset, data, size);
}

static enum err env_real_sync(struct env_file *file)
{
    if (FAULT("file.sync"))
        return ERR_IO;
    return fdatasync(env_real_fd(file)) == 0 ? ERR_OK : err_from_errno(errno);
}

/* Where fallocate is not supported: zeros past the present end. */
static enum err env_real_fill(int fd, uint64_t size)
{
    static const char zeros[ENV_REAL_ZEROS_SIZE];
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    for (uint64_t at = (uint64_t)st.st_size; at < size;) {
        const uint64_t left = size - at;
        const size_t step = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        const enum err err = env_real_write_fd(fd, at, zeros, step);

        if (err != ERR_OK)
            return err;
        at += step;
    }
    return ERR_OK;
}

static enum err env_real_allocate(struct env_file *file, uint64_t size)
{
    const int fd = env_real_fd(file);

    if (FAULT("file.allocate"))
        return ERR_NO_SPACE;
    while (fallocate(fd, 0, 0, (off_t)size) != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return env_real_fill(fd, size);
        if (errno != EINTR)
            return err_from_errno(errno);
    }
    return ERR_OK;
}

static enum err env_real_truncate(struct env_file *file, uint64_t size)
{
    if (FAULT("file.truncate"))
        return ERR_IO;
    return ftruncate(env_real_fd(file), (off_t)size) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err env_real_size(struct env_file *file, uint64_t *size)
{
    struct stat st;

    if (fstat(env_real_fd(file), &st) != 0)
        return err_from_errno(errno);
    *size = (uint64_t)st.st_size;
    return ERR_OK;
}

static enum err env_real_close(struct env_file *file)
{
    const int result = close(env_real_fd(file));

    mem_free(CONTAINER_OF(file, struct env_real_file, file));
    return result == 0 || errno == EINTR ? ERR_OK : err_from_errno(errno);
}

static const struct env_file_ops env_real_file_ops = {
    .read_at = env_real_read_at,
    .write_at = env_real_write_at,
    .sync = env_real_sync,
    .allocate = env_real_allocate,
    .truncate = env_real_truncate,
    .size = env_real_size,
    .close = env_real_close,
};

static struct env_file *env_real_file_new(int fd)
{
    struct env_real_file *real = mem_alloc(sizeof(*real));

    *real = (struct env_real_file){.file = {&env_real_file_ops}, .fd = fd};
    return &real->file;
}

static enum err env_real_open(struct env *env, const char *path, unsigned flags,
                              struct env_file **file)
{
    int mode = O_CLOEXEC;
    int fd;

    (void)env;
    if (FAULT("fs.open"))
        return ERR_IO;
    if ((flags & ENV_OPEN_WRITE) != 0)
        mode |= (flags & ENV_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    if ((flags & ENV_OPEN_CREATE) != 0)
        mode |= O_CREAT;
    if ((flags & ENV_OPEN_EXCL) != 0)
        mode |= O_EXCL;
    if ((flags & ENV_OPEN_TRUNC) != 0)
        mode |= O_TRUNC;
    do
        fd = open(path, mode, ENV_REAL_FILE_MODE);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return err_from_errno(errno);
    *file = env_real_file_new(fd);
    return ERR_OK;
}

static enum err env_real_rename(struct env *env, const char *from, const char *to)
{
    (void)env;
    if (FAULT("fs.rename"))
        return ERR_IO;
    return rename(from, to) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err env_real_link(struct env *env, const char *from, const char *to)
{
    (void)env;
    if (FAULT("fs.link"))
        return ERR_IO;
    if (link(from, to) == 0)
        return ERR_OK;
    return errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP
               ? ERR_UNSUPPORTED
               : err_from_errno(errno);
}

static enum err env_real_unlink(struct env *env, const char *path)
{
    (void)env;
    if (FAULT("fs.unlink"))
        return ERR_IO;
    return unlink(path) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err env_real_mkdir(struct env *env, const char *path)
{
    (void)env;
    if (FAULT("fs.mkdir"))
        return ERR_IO;
    return mkdir(path, ENV_REAL_DIR_MODE) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err env_real_rmdir(struct env *env, const char *path)
{
    (void)env;
    if (FAULT("fs.rmdir"))
        return ERR_IO;
    return rmdir(path) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err env_real_list(struct env *env, const char *path, env_list_fn *fn, void *owner)
{
    DIR *dir;
    enum err err = ERR_OK;

    (void)env;
    if (FAULT("fs.list"))
        return ERR_IO;
    dir = opendir(path);
    if (dir == NULL)
        return err_from_errno(errno);
    while (err == ERR_OK) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            err = err_from_errno(errno);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = fn(owner, entry->d_name);
    }
    closedir(dir);
    return err;
}

static enum err env_real_sync_dir(struct env *env, const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_OK;

    (void)env;
    if (fd < 0)
        return err_from_errno(errno);
    if (FAULT("fs.sync_dir"))
        err = ERR_IO;
    else if (fsync(fd) != 0)
        err = err_from_errno(errno);
    close(fd);
    return err;
}

static enum err env_real_space(struct env *env, const char *path, struct env_space *space)
{
    struct statvfs st;

    (void)env;
    if (statvfs(path, &st) != 0)
        return err_from_errno(errno);
    *space = (struct env_space){
        .free_bytes = (uint64_t)st.f_bavail * st.f_frsize,
        .total_bytes = (uint64_t)st.f_blocks * st.f_frsize,
    };
    return ERR_OK;
}

/* A lock of the open file description: it ends with our descriptor, not with any other one that
 * this process may open and close on the same file. */
static enum err env_real_lock(struct env *env, const char *path, struct env_file **lock)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, ENV_REAL_FILE_MODE);

    (void)env;
    if (fd < 0)
        return err_from_errno(errno);
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        const int reason = errno;

        close(fd);
        return reason == EAGAIN || reason == EACCES ? ERR_EXISTS : err_from_errno(reason);
    }
    *lock = env_real_file_new(fd);
    return ERR_OK;
}

static const struct env_clock_ops env_real_clock_ops = {
    .now_ms = env_real_now_ms,
    .mono_ns = env_real_mono_ns,
    .random = env_real_random,
};

static const struct env_fs_ops env_real_fs_ops = {
    .open = env_real_open,
    .rename = env_real_rename,
    .link = env_real_link,
    .unlink = env_real_unlink,
    .mkdir = env_real_mkdir,
    .rmdir = env_real_rmdir,
    .list = env_real_list,
    .sync_dir = env_real_sync_dir,
    .space = env_real_space,
    .lock = env_real_lock,
};

void env_real_init(struct env *env)
{
    env->clock = &env_real_clock_ops;
    env->fs = &env_real_fs_ops;
}
