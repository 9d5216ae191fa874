/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys of a block's tables, in an order of bytes that is the order of what they say.
 *
 *   index: text(tenant) | kind | SERIES:   id:u32be
 *                              | POSTINGS: text(label name) text(label value)
 *                              | STATS
 *          FF | text(tenant) text(metric)        metadata
 *   data:  text(tenant) | id:u32be | CHUNK: t:u64be, sign flipped
 *                                  | EXEMPLARS
 *
 * text(s) is s with 00 written as 00 FF, then 00 01: so a prefix sorts first and no text's key is
 * the prefix of another's. Series come before postings so that a writer can stream series while it
 * gathers postings; metadata comes last of all, since it may come in while any tenant is written
 * (no tenant's name begins with FF). Numbers of the kinds are part of the format
 * (docs/formats/block.md). */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum {
    BLOCK_KEY_SIZE_MAX = 4 << 20,
    BLOCK_KEY_METADATA = 0xff, /* the first byte of metadata's keys */
};

enum block_index_kind {
    BLOCK_INDEX_METADATA = 1, /* not in the key: FF says it */
    BLOCK_INDEX_SERIES = 2,
    BLOCK_INDEX_POSTINGS = 3,
    BLOCK_INDEX_STATS = 4,
};

enum block_data_kind { BLOCK_DATA_CHUNK = 1, BLOCK_DATA_EXEMPLARS = 2 };

/* Each makes *key exactly this key; the caller looks at key->err once. */
void block_key_index(struct buf *key, struct slice tenant, enum block_index_kind kind);
void block_key_series(struct buf *key, struct slice tenant, uint32_t id);
void block_key_postings(struct buf *key, struct slice tenant, struct slice name,
                        struct slice value);
/* The start of all postings keys of one label name. */
void block_key_postings_name(struct buf *key, struct slice tenant, struct slice name);
void block_key_chunk(struct buf *key, struct slice tenant, uint32_t id, int64_t t_ms);
void block_key_exemplars(struct buf *key, struct slice tenant, uint32_t id);
/* The start of all keys of a tenant's metadata; and one of them. */
void block_key_metadata_tenant(struct buf *key, struct slice tenant);
void block_key_metadata(struct buf *key, struct slice tenant, struct slice metric);

/* Appends text(s). */
void block_key_put_text(struct buf *key, struct slice s);
/* Takes a text off the front of *rest and appends what it says to *text. False if there is none;
 * then both are as before. */
bool block_key_take_text(struct slice *rest, struct buf *text);

struct block_index_key {
    enum block_index_kind kind;
    struct slice tenant, name, value; /* in the buf given; METADATA's metric is in name */
    uint32_t id;
};

struct block_data_key {
    enum block_data_kind kind;
    struct slice tenant; /* in the buf given */
    uint32_t id;
    int64_t t_ms;
};

/* Read untrusted keys; texts go into *text, which is reset first. False: not a key. */
bool block_key_parse_index(struct slice key, struct buf *text, struct block_index_key *out);
bool block_key_parse_data(struct slice key, struct buf *text, struct block_data_key *out);
