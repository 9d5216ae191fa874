/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the catalog's file handling and its bytes. */

#include "base/buf.h"
#include "storage/catalog.h"

#define CATALOG_MAGIC "NXCATLOG"

enum {
    CATALOG_HEADER_SIZE = 16,
    CATALOG_RECORD_HEAD_SIZE = 17, /* size, checksum, number, kind */
    CATALOG_AHEAD_MAX = 1 << 20,   /* changes that a search for later records looks ahead */
};

enum catalog_kind { CATALOG_SNAPSHOT = 1, CATALOG_CHANGE = 2 };

struct catalog_record {
    enum catalog_kind kind;
    uint64_t version;
    struct catalog_change change;
};

void catalog_put_header(struct buf *out);
void catalog_put_record(struct buf *out, const struct catalog_record *record);

struct catalog_entry *catalog_state_find(const struct catalog_state *state, struct ulid ulid);
/* An entry of the same ULID is replaced. False: there are too many. */
bool catalog_state_attach(struct catalog_state *state, const struct catalog_entry *entry);
void catalog_state_detach(struct catalog_state *state, struct ulid ulid);
