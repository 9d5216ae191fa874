/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_position.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/fault.h"
#include "base/hash.h"

static const char magic[4] = {'N', 'X', 'R', 'P'};

enum { SLOT_VERSION = 4, SLOT_GENERATION = 8, SLOT_SEQS = 16 };
enum { SLOT_CRC = REMOTE_POSITION_SLOT_SIZE - 4, VERSION = 1 };

STATIC_ASSERT(SLOT_SEQS + 8 * REMOTE_PARTITION_COUNT <= SLOT_CRC, "all numbers fit");

void remote_position_put(uint8_t bytes[REMOTE_POSITION_SLOT_SIZE], uint64_t generation,
                         const uint64_t seqs[REMOTE_PARTITION_COUNT])
{
    memset(bytes, 0, REMOTE_POSITION_SLOT_SIZE);
    memcpy(bytes, magic, sizeof(magic));
    bytes[SLOT_VERSION] = VERSION;
    endian_put_u64le(bytes + SLOT_GENERATION, generation);
    for (size_t i = 0; i < REMOTE_PARTITION_COUNT; i++)
        endian_put_u64le(bytes + SLOT_SEQS + 8 * i, seqs[i]);
    endian_put_u32le(bytes + SLOT_CRC, crc32c(0, bytes, SLOT_CRC));
}

enum err remote_position_get(const uint8_t bytes[REMOTE_POSITION_SLOT_SIZE], uint64_t *generation,
                             uint64_t seqs[REMOTE_PARTITION_COUNT], struct err_info *info)
{
    if (memcmp(bytes, magic, sizeof(magic)) != 0 ||
        endian_get_u32le(bytes + SLOT_CRC) != crc32c(0, bytes, SLOT_CRC))
        return err_set(info, ERR_CORRUPT, "position has a wrong checksum");
    if (bytes[SLOT_VERSION] != VERSION)
        return err_set(info, ERR_VERSION, "position has format version %u, this program reads %d",
                       bytes[SLOT_VERSION], VERSION);
    *generation = endian_get_u64le(bytes + SLOT_GENERATION);
    for (size_t i = 0; i < REMOTE_PARTITION_COUNT; i++)
        seqs[i] = endian_get_u64le(bytes + SLOT_SEQS + 8 * i);
    return ERR_OK;
}

/* Reads both slots; the better one's numbers go to seqs. */
static enum err position_read(struct remote_position *position,
                              uint64_t seqs[REMOTE_PARTITION_COUNT], struct err_info *info)
{
    enum err found = ERR_CORRUPT;

    for (unsigned slot = 0; slot < 2; slot++) {
        uint8_t bytes[REMOTE_POSITION_SLOT_SIZE];
        uint64_t values[REMOTE_PARTITION_COUNT];
        uint64_t generation;
        size_t got = 0;
        enum err err = FAULT("remote.position_read")
                           ? ERR_IO
                           : position->file->ops->read_at(position->file, slot * sizeof(bytes),
                                                          bytes, sizeof(bytes), &got);

        if (err != ERR_OK)
            return err;
        if (got < sizeof(bytes))
            continue;
        err = remote_position_get(bytes, &generation, values, info);
        if (err == ERR_VERSION)
            return err;
        if (err != ERR_OK || (found == ERR_OK && generation <= position->generation))
            continue;
        found = ERR_OK;
        position->generation = generation;
        position->slot = 1 - slot;
        memcpy(seqs, values, sizeof(values));
    }
    return found;
}

enum err remote_position_init(struct remote_position *position, struct env *env, const char *dir,
                              struct slice key, struct err_info *info)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE];
    struct hash_key hash_key;

    hash_key_init(&hash_key, seed);
    *position = (struct remote_position){.env = env};
    if ((size_t)snprintf(position->dir, sizeof(position->dir), "%s", dir) + 64 >=
        sizeof(position->dir))
        return err_set(info, ERR_BAD_INPUT, "%s: the path is too long", dir);
    (void)snprintf(position->path, sizeof(position->path), "%.4096s/%016" PRIx64 ".position",
                   position->dir, hash64(&hash_key, key));
    return ERR_OK;
}

enum err remote_position_load(struct remote_position *position,
                              uint64_t seqs[REMOTE_PARTITION_COUNT], struct err_info *info)
{
    struct env *env = position->env;
    enum err err;

    err = FAULT("remote.position_open")
              ? ERR_IO
              : env->fs->open(env, position->path, ENV_OPEN_READ | ENV_OPEN_WRITE, &position->file);
    if (err == ERR_OK)
        err = position_read(position, seqs, info);
    /* What was read may be in the page cache only, after kill -9. */
    if (err == ERR_OK)
        err = FAULT("remote.position_sync") ? ERR_IO : position->file->ops->sync(position->file);
    if (err == ERR_OK)
        return ERR_OK;
    if (position->file != NULL)
        (void)position->file->ops->close(position->file);
    position->file = NULL;
    return err_set(info, err, "%s: %s", position->path, err_text(err));
}

/* A new file with one slot, in the place of what there was. */
static enum err position_make(struct remote_position *position, const uint8_t *bytes)
{
    struct env *env = position->env;
    char path[REMOTE_POSITION_PATH_SIZE + 8];
    struct env_file *file;
    enum err err;

    (void)snprintf(path, sizeof(path), "%s.tmp", position->path);
    err = FAULT("remote.position_open")
              ? ERR_IO
              : env->fs->open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &file);
    if (err != ERR_OK)
        return err;
    err = FAULT("remote.position_write")
              ? ERR_IO
              : file->ops->write_at(file, 0, bytes, REMOTE_POSITION_SLOT_SIZE);
    if (err == ERR_OK)
        err = FAULT("remote.position_sync") ? ERR_IO : file->ops->sync(file);
    if (err == ERR_OK)
        err = FAULT("remote.position_rename") ? ERR_IO : env->fs->rename(env, path, position->path);
    if (err == ERR_OK)
        err = FAULT("remote.position_sync_dir") ? ERR_IO : env->fs->sync_dir(env, position->dir);
    if (err != ERR_OK) {
        (void)file->ops->close(file);
        return err;
    }
    position->file = file;
    position->slot = 1;
    position->is_dirty = false;
    return ERR_OK;
}

static void position_drop_file(struct remote_position *position)
{
    (void)position->file->ops->close(position->file);
    position->file = NULL;
}

enum err remote_position_save(struct remote_position *position,
                              const uint64_t seqs[REMOTE_PARTITION_COUNT])
{
    uint8_t bytes[REMOTE_POSITION_SLOT_SIZE];
    enum err err;

    remote_position_put(bytes, ++position->generation, seqs);
    if (position->file == NULL)
        return position_make(position, bytes);
    err = FAULT("remote.position_write")
              ? ERR_IO
              : position->file->ops->write_at(position->file, position->slot * sizeof(bytes), bytes,
                                              sizeof(bytes));
    position->is_dirty = true;
    if (err != ERR_OK)
        position_drop_file(position);
    return err;
}

enum err remote_position_sync(struct remote_position *position)
{
    enum err err;

    if (position->file == NULL || !position->is_dirty)
        return ERR_OK;
    err = FAULT("remote.position_sync") ? ERR_IO : position->file->ops->sync(position->file);
    if (err != ERR_OK) {
        position_drop_file(position);
        return err;
    }
    position->is_dirty = false;
    position->slot = 1 - position->slot;
    return ERR_OK;
}

void remote_position_close(struct remote_position *position)
{
    if (position->file != NULL)
        position_drop_file(position);
}

enum err remote_position_remove(struct remote_position *position)
{
    const enum err err = FAULT("remote.position_unlink")
                             ? ERR_IO
                             : position->env->fs->unlink(position->env, position->path);

    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
