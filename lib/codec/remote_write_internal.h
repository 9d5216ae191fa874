/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the readers of remote write 1.0 and 2.0 share. Private to this folder. */

#include "codec/remote_write.h"

#define REMOTE_WRITE_TEXT_CUT "remote write: malformed protobuf"

/* Set the sticky error; false. */
bool remote_write_fail(struct remote_write_reader *reader, enum err err, const char *text);
bool remote_write_item_fail(struct remote_write_items *items);

/* As label sets are. Duplicates stay. */
struct label_set remote_write_labels_sorted(struct label *items, uint32_t count);

/* The halves of 2.0 of the functions without the 2. */
bool remote_write2_next(struct remote_write_reader *reader, struct remote_write_entry *entry);
bool remote_write2_series_hash(const struct remote_write_series *series, const struct hash_key *key,
                               struct hash128 *hash);
enum err remote_write2_labels_decode(const struct remote_write_series *series, struct arena *arena,
                                     struct label_set *set, struct err_info *info) MUST_USE;
/* A Sample message. Leaves item->start_t_ms as it is where the message says nothing of it. */
bool remote_write2_sample(const uint8_t *at, size_t length, struct remote_write_item *item);
bool remote_write2_item_slow(struct remote_write_items *items, struct remote_write_item *item);
