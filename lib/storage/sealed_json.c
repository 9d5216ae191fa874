/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/sealed_json.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"

static const char seal_start[] = ",\"crc32c\":\"";
static const char seal_end[] = "\"}\n";

enum { SEAL_DIGITS = 8 };

void sealed_json_close(struct buf *out, size_t start)
{
    if (out->err != ERR_OK)
        return;
    ASSERT(out->len > start + 1);
    ASSERT(out->data[out->len - 1] == '}');
    out->len--;
    const uint32_t crc = crc32c(0, out->data + start, out->len - start);
    buf_printf(out, "%s%08x%s", seal_start, crc, seal_end);
}

static enum err check_seal(struct slice text, const char *name, struct err_info *info)
{
    const size_t start_len = sizeof(seal_start) - 1;
    const size_t end_len = sizeof(seal_end) - 1;
    const size_t seal_len = start_len + SEAL_DIGITS + end_len;
    char want[SEAL_DIGITS + 1];

    if (text.len < seal_len ||
        memcmp(text.data + text.len - seal_len, seal_start, start_len) != 0 ||
        memcmp(text.data + text.len - end_len, seal_end, end_len) != 0)
        return err_set(info, ERR_CORRUPT, "%s: ends without a checksum", name);
    (void)snprintf(want, sizeof(want), "%08x", crc32c(0, text.data, text.len - seal_len));
    if (memcmp(want, text.data + text.len - end_len - SEAL_DIGITS, SEAL_DIGITS) != 0)
        return err_set(info, ERR_CORRUPT, "%s: checksum does not match", name);
    return ERR_OK;
}

enum err sealed_json_parse(struct arena *arena, struct slice text, const char *name,
                           struct json_value **root, struct err_info *info)
{
    const struct json_options options = {.size_max = SEALED_JSON_SIZE_MAX};
    struct err_info json_info = {0};
    enum err err = check_seal(text, name, info);

    if (err != ERR_OK)
        return err;
    err = json_parse(arena, text, &options, root, &json_info);
    if (err != ERR_OK)
        return err_set(info, ERR_CORRUPT, "%s: %s", name, err_message(err, &json_info));
    if ((*root)->kind != JSON_OBJECT)
        return err_set(info, ERR_CORRUPT, "%s: is no object", name);
    return ERR_OK;
}

static const struct json_value *find(struct sealed_json_reader *reader, const char *name,
                                     enum json_kind kind)
{
    const struct json_value *value =
        reader->object == NULL ? NULL : json_find(reader->object, name);

    if (value != NULL && value->kind == kind)
        return value;
    if (reader->bad == NULL)
        reader->bad = name;
    return NULL;
}

int64_t sealed_json_int(struct sealed_json_reader *reader, const char *name)
{
    const struct json_value *value = find(reader, name, JSON_INT);

    return value == NULL ? 0 : value->i;
}

uint64_t sealed_json_uint(struct sealed_json_reader *reader, const char *name)
{
    const int64_t v = sealed_json_int(reader, name);

    if (v >= 0)
        return (uint64_t)v;
    if (reader->bad == NULL)
        reader->bad = name;
    return 0;
}

struct slice sealed_json_text(struct sealed_json_reader *reader, const char *name)
{
    const struct json_value *value = find(reader, name, JSON_STRING);

    return value == NULL ? SLICE("") : value->text;
}

enum err sealed_json_read_file(struct env *env, const char *path, struct arena *arena,
                               struct slice *text, struct err_info *info)
{
    struct env_file *file;
    size_t got = 0;
    enum err err = env->fs->open(env, path, ENV_OPEN_READ, &file);

    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    char *data = arena_alloc(arena, SEALED_JSON_SIZE_MAX + 1);
    if (data == NULL)
        err = ERR_LIMIT;
    else
        err = file->ops->read_at(file, 0, data, SEALED_JSON_SIZE_MAX + 1, &got);
    (void)file->ops->close(file);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    if (got > SEALED_JSON_SIZE_MAX)
        return err_set(info, ERR_CORRUPT, "%s: is too large", path);
    *text = slice_of(data, got);
    return ERR_OK;
}
