/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"

STATIC_ASSERT(HASH_KEY_SECRET_SIZE >= XXH3_SECRET_SIZE_MIN, "xxh3 takes secrets of this size");

void hash_key_init(struct hash_key *key, const uint8_t seed[HASH_KEY_SEED_SIZE])
{
    const XXH_errorcode result =
        XXH3_generateSecret(key->secret, sizeof(key->secret), seed, HASH_KEY_SEED_SIZE);

    ASSERT(result == XXH_OK);
}

uint64_t hash64(const struct hash_key *key, struct slice bytes)
{
    return XXH3_64bits_withSecret(bytes.data, bytes.len, key->secret, sizeof(key->secret));
}

struct hash128 hash128(const struct hash_key *key, struct slice bytes)
{
    const XXH128_hash_t hash =
        XXH3_128bits_withSecret(bytes.data, bytes.len, key->secret, sizeof(key->secret));

    return (struct hash128){.lo = hash.low64, .hi = hash.high64};
}
