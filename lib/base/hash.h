/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keyed hashes (xxh3). The key is made once for a data directory or a cluster, so that nobody
 * outside can choose labels that collide. */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { HASH_KEY_SEED_SIZE = 32, HASH_KEY_SECRET_SIZE = 192 };

struct hash128 {
    uint64_t lo, hi;
};

struct hash_key {
    uint8_t secret[HASH_KEY_SECRET_SIZE];
};

/* Derives a key from stored random bytes. */
void hash_key_init(struct hash_key *key, const uint8_t seed[HASH_KEY_SEED_SIZE]);

uint64_t hash64(const struct hash_key *key, struct slice bytes);
struct hash128 hash128(const struct hash_key *key, struct slice bytes);

static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}
