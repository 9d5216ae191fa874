/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One write request on its way from a compressed body to a transaction that is ready to commit.
 *
 *   body -> snappy | zstd -> symbols (2.0) -> series in place -> alias table -> add ...
 *
 * Private to this folder. Threads: one at a time. */

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/remote_write.h"
#include "distributor/distributor_internal.h"
#include "distributor/write_media.h"

enum {
    RECEIVE_BATCH = 256, /* series looked up at a time: their state fits a core's first cache */
    RECEIVE_SYMBOLS_MAX = 1 << 20, /* texts of a request of 2.0 */
    RECEIVE_ABOUT_SLOTS = 16384,   /* of the table of metadata handed on lately */
    RECEIVE_ABOUT_S = 600, /* how long that counts: what a failed transaction lost comes again */
};

struct zstd_decoder;

/* Working memory of one request, reused by the next. */
struct receive_scratch {
    struct receive_scratch *next;
    struct zstd_decoder *zstd; /* owned; made when first needed */
    struct arena body;         /* the decompressed request, its symbols */
    struct arena labels;       /* of series that the alias table does not know */
    struct hash128 hashes[RECEIVE_BATCH];
    uint64_t refs[RECEIVE_BATCH], new_refs[RECEIVE_BATCH];
    struct remote_write_series series[RECEIVE_BATCH];
};

struct receive {
    struct distributor *distributor;
    struct alias_table *aliases;
    /* Metadata of 2.0 comes with every sample: only what was not handed on lately is. A slot holds
     * the hash of the last one that fell on it. */
    _Atomic uint64_t *abouts;
    struct slice body; /* compressed */
    struct write_media media;
    struct receive_scratch *scratch;
    struct append_txn *txn; /* the result */
    struct slice tenant;
    uint64_t alias_version;
    uint64_t tenant_hash; /* folded into hashes of what says nothing of the tenant */
    uint32_t now_s;
    bool is_filling; /* out: the alias table wants to grow */
    struct remote_write_symbols symbols;
    struct remote_write2_about last_about; /* of the series before */
    struct err_info info;
};

/* On failure there is no transaction. */
enum err receive_decode(struct receive *receive) MUST_USE;
