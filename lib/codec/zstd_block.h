/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One zstd frame as a block of bytes, the door to libzstd for reading. Nothing larger than the
 * limit is ever asked for, whatever the frame declares. */

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

/* The content, in the arena. ERR_BAD_INPUT: no whole zstd frame; ERR_TOO_LARGE: more than size_max;
 * ERR_LIMIT: the arena has no room. */
enum err zstd_block_decode(struct slice in, size_t size_max, struct arena *arena, struct slice *out,
                           struct err_info *info) MUST_USE;
