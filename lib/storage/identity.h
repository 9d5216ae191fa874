/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The file `identity` of a data directory, made once: the seed of the key that series hashes are
 * made with, and when the directory was made. docs/formats/identity.md. Threads: a plain value; one
 * makes the file, under the lock of the data directory. */

#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

enum { IDENTITY_VERSION = 1 };

struct identity {
    uint8_t hash_seed[HASH_KEY_SEED_SIZE];
    int64_t created_ms;
};

/* Reads <dir>/identity. ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION. Blocks. */
enum err identity_load(struct env *env, const char *dir, struct identity *identity,
                       struct err_info *info) MUST_USE;
/* Makes one, durably. Blocks. */
enum err identity_create(struct env *env, const char *dir, struct identity *identity,
                         struct err_info *info) MUST_USE;
/* Reads an untrusted file's text. */
enum err identity_parse(struct slice text, struct identity *identity,
                        struct err_info *info) MUST_USE;
