/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "storage/sealed_json.h"

enum { IDENTITY_PATH_SIZE = 1024 };

static bool parse_digit(char c, uint8_t *digit)
{
    if (c >= '0' && c <= '9')
        *digit = (uint8_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *digit = (uint8_t)(c - 'a' + 10);
    else
        return false;
    return true;
}

static bool parse_seed(struct slice text, uint8_t seed[HASH_KEY_SEED_SIZE])
{
    if (text.len != 2 * (size_t)HASH_KEY_SEED_SIZE)
        return false;
    for (size_t i = 0; i < HASH_KEY_SEED_SIZE; i++) {
        uint8_t high;
        uint8_t low;

        if (!parse_digit(text.data[2 * i], &high) || !parse_digit(text.data[2 * i + 1], &low))
            return false;
        seed[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static enum err parse_object(const struct json_value *root, struct identity *identity,
                             struct err_info *info)
{
    struct sealed_json_reader reader = {.object = root};
    struct identity parsed = {0};
    const int64_t version = sealed_json_int(&reader, "version");

    if (reader.bad == NULL && version != IDENTITY_VERSION)
        return err_set(info, ERR_VERSION, "identity: version %lld, this program knows %d",
                       (long long)version, IDENTITY_VERSION);
    parsed.created_ms = sealed_json_int(&reader, "createdMs");
    if (!parse_seed(sealed_json_text(&reader, "hashSeed"), parsed.hash_seed) && reader.bad == NULL)
        reader.bad = "hashSeed";
    if (reader.bad != NULL)
        return err_set(info, ERR_CORRUPT, "identity: member \"%s\" is missing or wrong",
                       reader.bad);
    *identity = parsed;
    return ERR_OK;
}

enum err identity_parse(struct slice text, struct identity *identity, struct err_info *info)
{
    struct json_value *root;
    struct arena arena;

    arena_init(&arena, NULL, 16 * SEALED_JSON_SIZE_MAX);
    enum err err = sealed_json_parse(&arena, text, "identity", &root, info);
    if (err == ERR_OK)
        err = parse_object(root, identity, info);
    arena_fini(&arena);
    return err;
}

enum err identity_load(struct env *env, const char *dir, struct identity *identity,
                       struct err_info *info)
{
    char path[IDENTITY_PATH_SIZE];
    struct arena arena;
    struct slice text;

    if ((size_t)snprintf(path, sizeof(path), "%s/identity", dir) >= sizeof(path))
        return err_set(info, ERR_BAD_INPUT, "%s: path is too long", dir);
    arena_init(&arena, NULL, 0);
    enum err err = sealed_json_read_file(env, path, &arena, &text, info);
    if (err == ERR_OK) {
        err = identity_parse(text, identity, info);
        if (err != ERR_OK)
            err_prefix(info, "%s", dir);
    }
    arena_fini(&arena);
    return err;
}

static void print_identity(const struct identity *identity, struct buf *out)
{
    char seed[2 * HASH_KEY_SEED_SIZE + 1];
    struct json_writer w;

    for (size_t i = 0; i < HASH_KEY_SEED_SIZE; i++)
        (void)snprintf(seed + 2 * i, 3, "%02x", identity->hash_seed[i]);
    json_writer_init(&w, out);
    json_open_object(&w);
    json_member_int(&w, "version", IDENTITY_VERSION);
    json_member_int(&w, "createdMs", identity->created_ms);
    json_member_cstr(&w, "hashSeed", seed);
    json_close_object(&w);
    sealed_json_close(out, 0);
}

static enum err write_file(struct env *env, const char *tmp, struct slice text)
{
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;
    struct env_file *file;

    (void)env->fs->unlink(env, tmp);
    enum err err = FAULT("identity.create") ? ERR_IO : env->fs->open(env, tmp, flags, &file);
    if (err != ERR_OK)
        return err;
    err = FAULT("identity.write") ? ERR_IO : file->ops->write_at(file, 0, text.data, text.len);
    if (err == ERR_OK)
        err = FAULT("identity.sync") ? ERR_IO : file->ops->sync(file);
    const enum err close_err = file->ops->close(file);
    return err != ERR_OK ? err : close_err;
}

enum err identity_create(struct env *env, const char *dir, struct identity *identity,
                         struct err_info *info)
{
    struct identity made = {.created_ms = env_now_ms(env)};
    char path[IDENTITY_PATH_SIZE];
    char tmp[IDENTITY_PATH_SIZE];
    struct buf text;

    if ((size_t)snprintf(path, sizeof(path), "%s/identity", dir) >= sizeof(path) ||
        (size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
        return err_set(info, ERR_BAD_INPUT, "%s: path is too long", dir);
    env->clock->random(env, made.hash_seed, sizeof(made.hash_seed));
    buf_init(&text, SEALED_JSON_SIZE_MAX);
    print_identity(&made, &text);
    enum err err = write_file(env, tmp, buf_slice(&text));
    buf_fini(&text);
    if (err == ERR_OK)
        err = FAULT("identity.rename") ? ERR_IO : env->fs->rename(env, tmp, path);
    if (err == ERR_OK)
        err = FAULT("identity.sync_dir") ? ERR_IO : env->fs->sync_dir(env, dir);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    *identity = made;
    return ERR_OK;
}
