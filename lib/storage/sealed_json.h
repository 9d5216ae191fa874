/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small JSON files that know their own checksum: the last member of the object is the CRC32C of
 * all bytes before that member, so that a flipped digit is noticed.
 *
 *   {"version":1, ... ,"crc32c":"0123abcd"}\n */

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/json.h"

enum { SEALED_JSON_SIZE_MAX = 64 << 10 };

/* Adds the last member to the object that starts at `start` in out and was just closed. */
void sealed_json_close(struct buf *out, size_t start);
/* Checks the seal and reads the object. ERR_CORRUPT; `name` is for messages. */
enum err sealed_json_parse(struct arena *arena, struct slice text, const char *name,
                           struct json_value **root, struct err_info *info) MUST_USE;

/* Members, with the first that is missing or wrong remembered. object may be NULL. */
struct sealed_json_reader {
    const struct json_value *object;
    const char *bad;
};

int64_t sealed_json_int(struct sealed_json_reader *reader, const char *name);
uint64_t sealed_json_uint(struct sealed_json_reader *reader, const char *name);
struct slice sealed_json_text(struct sealed_json_reader *reader, const char *name);

/* Reads a whole small file into the arena. ERR_CORRUPT: it is larger than any sealed file. */
enum err sealed_json_read_file(struct env *env, const char *path, struct arena *arena,
                               struct slice *text, struct err_info *info) MUST_USE;
