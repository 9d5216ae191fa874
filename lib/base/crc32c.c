/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/endian.h"

enum { CRC32C_TABLES = 8 }; /* slicing by eight */

#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

static uint32_t crc32c_table[CRC32C_TABLES][256];
static pthread_once_t crc32c_table_once = PTHREAD_ONCE_INIT;

static void crc32c_table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        crc32c_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < CRC32C_TABLES; k++) {
            const uint32_t crc = crc32c_table[k - 1][i];

            crc32c_table[k][i] = (crc >> 8) ^ crc32c_table[0][crc & 0xff];
        }
    }
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;

    pthread_once(&crc32c_table_once, crc32c_table_fill);
    crc = ~crc;
    for (; len >= 8; at += 8, len -= 8) {
        const uint64_t word = endian_get_u64le(at) ^ crc;

        crc = 0;
        for (int k = 0; k < CRC32C_TABLES; k++)
            crc ^= crc32c_table[CRC32C_TABLES - 1 - k][(word >> (8 * k)) & 0xff];
    }
    for (; len > 0; at++, len--)
        crc = (crc >> 8) ^ crc32c_table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t len)
{
    const uint8_t *at = data;
    uint64_t wide = ~crc;

    for (; len >= 8; at += 8, len -= 8)
        wide = __builtin_ia32_crc32di(wide, endian_get_u64le(at));
    for (; len > 0; at++, len--)
        wide = __builtin_ia32_crc32qi((uint32_t)wide, *at);
    return ~(uint32_t)wide;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(crc, data, len);
    return crc32c_portable(crc, data, len);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}

#endif
