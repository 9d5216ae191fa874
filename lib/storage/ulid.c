/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/ulid.h"

#include <string.h>

#include "base/endian.h"

static const char ulid_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct ulid ulid_make(struct env *env)
{
    struct ulid ulid;
    uint8_t time[8];

    endian_put_u64be(time, (uint64_t)env_now_ms(env));
    memcpy(ulid.bytes, time + 2, 6);
    env->clock->random(env, ulid.bytes + 6, ULID_SIZE - 6);
    return ulid;
}

/* 26 digits of 5 bits are 130: the first digit has the top 3 bits. */
void ulid_print(struct ulid ulid, char text[ULID_TEXT_LEN + 1])
{
    uint64_t hi = endian_get_u64be(ulid.bytes);
    uint64_t lo = endian_get_u64be(ulid.bytes + 8);

    for (int i = ULID_TEXT_LEN - 1; i >= 0; i--) {
        text[i] = ulid_digits[lo & 31];
        lo = lo >> 5 | hi << 59;
        hi >>= 5;
    }
    text[ULID_TEXT_LEN] = '\0';
}

bool ulid_parse(struct slice text, struct ulid *out)
{
    uint64_t hi = 0;
    uint64_t lo = 0;

    if (text.len != ULID_TEXT_LEN || text.data[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] == '\0' ? NULL : strchr(ulid_digits, text.data[i]);

        if (at == NULL)
            return false;
        hi = hi << 5 | lo >> 59;
        lo = lo << 5 | (uint64_t)(at - ulid_digits);
    }
    endian_put_u64be(out->bytes, hi);
    endian_put_u64be(out->bytes + 8, lo);
    return true;
}

int ulid_cmp(struct ulid a, struct ulid b)
{
    return memcmp(a.bytes, b.bytes, ULID_SIZE);
}

int64_t ulid_time_ms(struct ulid ulid)
{
    return (int64_t)(endian_get_u64be(ulid.bytes) >> 16);
}
