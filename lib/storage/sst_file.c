/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/sst_file.h"

#include "base/env.h"
#include "base/fault.h"

enum err sst_file_create(struct env *env, const char *path, struct env_file **file)
{
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;

    if (FAULT("sst.create"))
        return ERR_IO;
    return env->fs->open(env, path, flags, file);
}

enum err sst_file_open(struct env *env, const char *path, struct env_file **file)
{
    if (FAULT("sst.open"))
        return ERR_IO;
    return env->fs->open(env, path, ENV_OPEN_READ, file);
}

enum err sst_file_write(struct env_file *file, uint64_t offset, const void *data, size_t size)
{
    if (FAULT("sst.write"))
        return ERR_IO;
    return file->ops->write_at(file, offset, data, size);
}

enum err sst_file_sync(struct env_file *file)
{
    if (FAULT("sst.sync"))
        return ERR_IO;
    return file->ops->sync(file);
}

enum err sst_file_read(struct env_file *file, uint64_t offset, void *data, size_t size, size_t *got)
{
    if (FAULT("sst.read"))
        return ERR_IO;
    return file->ops->read_at(file, offset, data, size, got);
}

enum err sst_file_size(struct env_file *file, uint64_t *size)
{
    return file->ops->size(file, size);
}

enum err sst_file_close(struct env_file *file)
{
    return file->ops->close(file);
}
