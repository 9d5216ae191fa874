/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which blocks are live and what is deleted of them: a synced log of changes beside the blocks,
 * each change whole or not there.
 *
 *   file:   "NXCATLOG" | version:u32le | crc32c of these:u32le | record ...
 *   record: size:u32le | crc32c of what follows:u32le | change number:u64le | kind:u8 | payload
 *
 * A change attaches some blocks, detaches others and adds deletions, all at once. A snapshot (the
 * whole state) starts each file; when changes have outgrown it, a new file replaces the old one.
 * docs/formats/catalog.md has the payloads.
 *
 * A deletion applies to the blocks of its tenant and range whose cleaned_version is below its
 * version: those that were live when it was made, and what is merged from them before they are
 * cleaned of it. It ends by itself with the last such block.
 *
 * A block that was detached stays known as gone until its files have surely ended and no log needs
 * its window any more: it is never taken for one that lost its line, and replay still skips what it
 * had.
 *
 * A torn tail (nothing valid behind it) is cut; a bad record with a valid one behind it is
 * corruption, and the file is refused. After a failed write or sync nobody knows what the file
 * says, so it is replaced by a new one; while even that fails, the catalog is unsure, changes are
 * refused, and no block that a failed change named may be removed or used.
 *
 * Threads: one at a time. All calls but the getters block on files. */

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "model/matcher.h"
#include "storage/block_meta.h"
#include "storage/ulid.h"

enum {
    CATALOG_VERSION = 1,
    CATALOG_SIZE_MAX = 64 << 20,
    CATALOG_ENTRIES_MAX = 100000,
    CATALOG_DELETIONS_MAX = 10000, /* at one time */
    CATALOG_DELETION_MATCHERS_MAX = 64,
    CATALOG_DELETION_SIZE_MAX = 64 << 10, /* of its texts */
    CATALOG_GONE_MAX = 400000,
};

struct catalog;

struct catalog_entry {
    struct ulid ulid;
    int64_t window_t_min_ms, window_t_end_ms; /* [min, end) */
    int64_t t_min_ms, t_max_ms;               /* of the samples, both included */
    uint64_t watermark;                       /* 0: not from the head */
    uint64_t cleaned_version; /* deletions of changes up to this one are done in it */
    uint64_t series_count, chunk_count, sample_count;
    uint64_t size_bytes;            /* of its files */
    char tenant[BLOCK_TENANT_SIZE]; /* terminated; empty: several */
};

/* Samples of [t_min, t_max] of the tenant's series that meet all matchers are no more. */
struct catalog_deletion {
    uint64_t version; /* of the change that made it; set by catalog_apply */
    struct slice tenant;
    int64_t t_min_ms, t_max_ms; /* both included */
    const struct matcher_spec *matchers;
    uint32_t matcher_count; /* at least 1 */
};

/* A block that was live. */
struct catalog_gone {
    struct ulid ulid;
    int64_t window_t_min_ms, window_t_end_ms;
    uint64_t watermark;
};

struct catalog_change {
    const struct catalog_entry *attach;
    uint32_t attach_count;
    const struct ulid *detach; /* unknown ones are ignored */
    uint32_t detach_count;
    bool is_loss; /* what is detached was bad: replay brings back of it what the log still has */
    const struct catalog_deletion *deletions;
    uint32_t deletion_count;
};

/* Reads <dir>/catalog, or makes an empty one. ERR_CORRUPT, ERR_VERSION: the message says where.
 * log may be NULL. */
enum err catalog_open(struct env *env, const struct log *log, const char *dir,
                      struct catalog **catalog, struct err_info *info) MUST_USE;
/* Takes catalog; NULL is fine. */
void catalog_close(struct catalog *catalog);

/* Live entries by ULID; borrowed until the next change. */
uint32_t catalog_count(const struct catalog *catalog);
const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t index);
const struct catalog_entry *catalog_find(const struct catalog *catalog, struct ulid ulid);
/* Number of the last change. */
uint64_t catalog_version(const struct catalog *catalog);

/* Deletions in force, oldest first; borrowed until the next change. */
uint32_t catalog_deletion_count(const struct catalog *catalog);
const struct catalog_deletion *catalog_deletion_get(const struct catalog *catalog, uint32_t index);
bool catalog_deletion_applies(const struct catalog_deletion *deletion,
                              const struct catalog_entry *entry);

/* Blocks that were live; borrowed until the next change or burial. */
uint32_t catalog_gone_count(const struct catalog *catalog);
const struct catalog_gone *catalog_gone_get(const struct catalog *catalog, uint32_t index);
bool catalog_is_gone(const struct catalog *catalog, struct ulid ulid);
/* Forgets those that `is_over` says of, which must be true for good: no file of theirs is left, for
 * sure also after a crash, and no log has samples of their windows. */
void catalog_bury(struct catalog *catalog,
                  bool (*is_over)(void *owner, const struct catalog_gone *gone), void *owner);

/* Whether opening it cut a torn tail. The last change may be what was cut: a whole block that is
 * not listed then holds what the head holds, or what only it holds, and is to be attached again. */
bool catalog_had_torn_tail(const struct catalog *catalog);

/* Durable when it returns ERR_OK. After an error the change is surely not made, unless the catalog
 * is unsure: then it may or may not be there after a crash. */
enum err catalog_apply(struct catalog *catalog, const struct catalog_change *change,
                       struct err_info *info) MUST_USE;
bool catalog_is_unsure(const struct catalog *catalog);
/* Writes a new file without the failed change. ERR_OK: sure again. */
enum err catalog_mend(struct catalog *catalog, struct err_info *info) MUST_USE;

struct catalog_copy {
    const struct ulid *ulids; /* of the live blocks that it lists */
    uint32_t ulid_count;
    const struct catalog_entry *more; /* others that it lists */
    uint32_t more_count;
};
/* Writes <dir>/catalog, for a directory without a log: watermarks say nothing there. The directory
 * is the caller's to sync. */
enum err catalog_write_copy(const struct catalog *catalog, const char *dir,
                            const struct catalog_copy *copy, struct err_info *info) MUST_USE;

/* The entry of a block that was just written. */
struct catalog_entry catalog_entry_of(const struct block_meta *meta);

/* ---- the reader of untrusted bytes, apart from files ---- */

struct catalog_state {
    struct catalog_entry *entries; /* owned, by ULID */
    uint32_t count, cap;
    struct catalog_deletion **deletions; /* owned, each too; by version */
    uint32_t deletion_count, deletion_cap;
    struct catalog_gone *gone; /* owned, in the order of their detaching */
    uint32_t gone_count, gone_cap;
    uint64_t version;
    uint64_t snapshot_size; /* bytes of the file's first record */
    uint64_t end;           /* bytes that are good */
    bool has_torn_tail;
};

void catalog_state_fini(struct catalog_state *state);
/* Makes a state of a file's bytes. After an error there is nothing to fini. */
enum err catalog_state_read(struct catalog_state *state, struct slice bytes,
                            struct err_info *info) MUST_USE;
