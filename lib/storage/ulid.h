/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of blocks: 48 bits of Unix milliseconds, then 80 random bits; as text 26 characters of
 * Crockford's base 32, whose order is the order of the bytes. A plain value. */

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/slice.h"

enum { ULID_SIZE = 16, ULID_TEXT_LEN = 26 };

struct ulid {
    uint8_t bytes[ULID_SIZE];
};

/* A new one, of now. */
struct ulid ulid_make(struct env *env);
/* Writes the text and a NUL. */
void ulid_print(struct ulid ulid, char text[ULID_TEXT_LEN + 1]);
/* Upper case only, as printed. False: not a ULID. */
bool ulid_parse(struct slice text, struct ulid *out);
int ulid_cmp(struct ulid a, struct ulid b);
int64_t ulid_time_ms(struct ulid ulid);
