/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Digests of libcrypto. */

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { DIGEST_SHA256_SIZE = 32 };

/* The last eight bytes of the MD5 sum as a big-endian number: what the relabel action hashmod takes
 * the remainder of. */
uint64_t digest_md5_tail(struct slice bytes);
void digest_sha256(uint8_t out[DIGEST_SHA256_SIZE], struct slice bytes);
/* Lower-case hexadecimal, terminated: out has room for 2 * len + 1. */
void digest_hex(char *out, const uint8_t *bytes, size_t len);
