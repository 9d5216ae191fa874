/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "model/labels.h"

enum { SERIES_HASH_STACK_SIZE = 4096 };

static char *series_hash_put(char *to, struct slice s)
{
    const uint32_t len = (uint32_t)s.len;

    /* Little-endian whatever the machine: the hash names series on disk. */
    for (unsigned i = 0; i < 4; i++)
        *to++ = (char)(uint8_t)(len >> (8 * i));
    if (s.len != 0)
        memcpy(to, s.data, s.len);
    return to + s.len;
}

struct hash128 series_hash(const struct hash_key *key, struct slice tenant, struct label_set set)
{
    char stack[SERIES_HASH_STACK_SIZE];
    size_t size = 4 + tenant.len;
    char *bytes = stack, *end;
    struct hash128 hash;

    for (uint32_t i = 0; i < set.count; i++)
        size += 8 + set.items[i].name.len + set.items[i].value.len;
    if (size > sizeof(stack))
        bytes = mem_alloc(size);
    end = series_hash_put(bytes, tenant);
    for (uint32_t i = 0; i < set.count; i++) {
        end = series_hash_put(end, set.items[i].name);
        end = series_hash_put(end, set.items[i].value);
    }
    ASSERT((size_t)(end - bytes) == size);
    hash = hash128(key, slice_of(bytes, size));
    if (bytes != stack)
        mem_free(bytes);
    return hash;
}
