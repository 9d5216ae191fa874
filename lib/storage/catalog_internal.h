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

/* A loss is a change whose detached blocks are not remembered. */
enum catalog_kind { CATALOG_SNAPSHOT = 1, CATALOG_CHANGE = 2, CATALOG_LOSS = 3 };

/* ---- bytes: catalog_record.c ---- */

void catalog_put_header(struct buf *out);
void catalog_put_snapshot(struct buf *out, const struct catalog_state *state);
/* The change after state->version. */
void catalog_put_change(struct buf *out, const struct catalog_state *state,
                        const struct catalog_change *change);

/* ---- the state: catalog_state.c ---- */

struct catalog_entry *catalog_state_find(const struct catalog_state *state, struct ulid ulid);
/* An entry of the same ULID is replaced. False: there are too many; the same for the others. */
bool catalog_state_attach(struct catalog_state *state, const struct catalog_entry *entry);
/* With `remember`, it is gone from now on, not unknown. */
bool catalog_state_detach(struct catalog_state *state, struct ulid ulid, bool remember);
bool catalog_state_add_gone(struct catalog_state *state, const struct catalog_gone *gone);
/* Copies the deletion. */
bool catalog_state_delete(struct catalog_state *state, const struct catalog_deletion *deletion);
/* Drops deletions that apply to no block. */
void catalog_state_prune(struct catalog_state *state);
