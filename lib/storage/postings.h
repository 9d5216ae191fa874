/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sets of series ids: the door to CRoaring, and their stored form.
 *
 *   1 | count:uvarint | first:uvarint | (id - id before):uvarint ...     fewer than 64 ids
 *   2 | count:uvarint | roaring bitmap, portable format                  else
 *
 * CRoaring trusts its input, so a stored bitmap is checked container by container before CRoaring
 * sees it. Ownership: heap objects; sets of one select end with its arena (arena_on_reset).
 * Threads: one at a time. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { POSTINGS_PLAIN_MAX = 63 };

struct postings;

/* Appends the stored form; ids strictly increase, count > 0. */
void postings_encode(struct buf *out, const uint32_t *ids, uint32_t count);
/* Reads untrusted bytes; ERR_CORRUPT unless they are a set of ids below id_end. */
enum err postings_decode(struct slice bytes, uint32_t id_end, struct postings **out) MUST_USE;
/* How many ids stored bytes claim to have; 0 if they are no set. Cheap, unchecked. */
uint32_t postings_peek_count(struct slice bytes);

struct postings *postings_new(void);
/* All ids below id_end. */
struct postings *postings_new_all(uint32_t id_end);
void postings_free(struct postings *postings);
void postings_and(struct postings *into, const struct postings *other);
void postings_or(struct postings *into, const struct postings *other);
void postings_and_not(struct postings *into, const struct postings *other);
uint64_t postings_count(const struct postings *postings);
/* The ids in order, in the arena. ERR_LIMIT: no room. */
enum err postings_ids(const struct postings *postings, struct arena *arena, const uint32_t **ids,
                      uint32_t *count) MUST_USE;
