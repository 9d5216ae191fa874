/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The snappy block format (not framed), the door to libsnappy. Nothing is allocated before the
 * declared length has passed the limit and what that many compressed bytes can hold at most. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* The length that `in` declares for its content. ERR_TOO_LARGE: more than size_max. ERR_BAD_INPUT:
 * no snappy block. */
enum err snappy_block_size(struct slice in, size_t size_max, size_t *size,
                           struct err_info *info) MUST_USE;

/* The content, in the arena. Errors as above; ERR_LIMIT: the arena has no room. */
enum err snappy_block_decode(struct slice in, size_t size_max, struct arena *arena,
                             struct slice *out, struct err_info *info) MUST_USE;

/* Appends the compressed form; out's maximum shows in out->err. */
void snappy_block_encode(struct buf *out, struct slice in);
