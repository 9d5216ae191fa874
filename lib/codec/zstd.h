/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* zstd frames, the door to libzstd. A body is decoded in one piece into the arena, which therefore
 * is its window, however large a window the frame asks for: no memory but the output and the
 * decoder's own fixed part. Nothing is allocated before the declared length has passed the limit.
 *
 * Ownership: x_new / x_free. Threads: a decoder belongs to one thread at a time. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct zstd_decoder;

/* What decodes to more than size_max is refused. */
struct zstd_decoder *zstd_decoder_new(size_t size_max);
void zstd_decoder_free(struct zstd_decoder *decoder);

/* The content, in the arena. ERR_TOO_LARGE: more than size_max. ERR_BAD_INPUT: no zstd frame, or a
 * corrupt one. ERR_LIMIT: the arena has no room. */
enum err zstd_decode(struct zstd_decoder *decoder, struct slice in, struct arena *arena,
                     struct slice *out, struct err_info *info) MUST_USE;

/* Appends one frame; out's maximum shows in out->err. */
void zstd_encode(struct buf *out, struct slice in);
