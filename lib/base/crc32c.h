/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* CRC-32C (Castagnoli): with SSE4.2 where the processor has it, else by tables. */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Extends the checksum `crc` (0 at first) by more bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

static inline uint32_t crc32c_slice(struct slice s)
{
    return crc32c(0, s.data, s.len);
}

/* The same by tables alone; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
