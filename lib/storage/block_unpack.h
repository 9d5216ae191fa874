/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unpacks runs of numbers of one width, least significant bit first: number i takes bits
 * [i x width, (i + 1) x width) of the words. One kernel a width, 64 numbers at a time. */

#include <stdint.h>

/* Sets values[0 .. count) (count up to 128, width up to 64); those behind, up to the next multiple
 * of 64, become anything. Reads words up to that multiple, so `words` has room for width words per
 * 64 numbers begun, and a word behind; what lies behind the run's last bit need not be set. */
void block_unpack(const uint64_t *words, uint64_t *values, uint32_t count, unsigned width);
