/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Checksums set right inside bytes under fuzz. */

#include <stddef.h>
#include <stdint.h>

#include "base/crc32c.h"
#include "base/endian.h"

/* Of a section that begins with its length. */
static inline void fuzz_crc_section(uint8_t *bytes, size_t size, uint64_t at)
{
    if (at > size || size - at < 8)
        return;
    const uint32_t len = endian_get_u32be(bytes + at);

    if (len <= size - at - 8)
        endian_put_u32be(bytes + at + 4 + len, crc32c(0, bytes + at + 4, len));
}
