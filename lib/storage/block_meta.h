/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What meta.json of a block says: what the block holds, and what its two tables must be. The file
 * is sealed (sealed_json.h). Ownership: a plain value. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "storage/sst.h"
#include "storage/ulid.h"

enum { BLOCK_META_VERSION = 1, BLOCK_TENANT_SIZE = 256 };

struct block_meta {
    struct ulid ulid;
    int64_t window_t_min_ms, window_t_end_ms; /* what was asked of the head: [min, end) */
    int64_t t_min_ms, t_max_ms;               /* of the samples, both included */
    uint64_t watermark;       /* sequence number of the newest transaction that can be in it */
    uint64_t cleaned_version; /* of the catalog: deletions up to it are done in the block */
    uint64_t series_count, chunk_count, sample_count;
    uint64_t histogram_count; /* of the samples */
    uint64_t exemplar_count;
    int64_t exemplar_t_min_ms, exemplar_t_max_ms; /* if there are any */
    char tenant[BLOCK_TENANT_SIZE];               /* terminated; empty: several */
    struct sst_sum index, data;
};

/* Appends the text of meta.json. */
void block_meta_print(const struct block_meta *meta, struct buf *out);
/* Reads an untrusted meta.json. ERR_CORRUPT, ERR_VERSION. */
enum err block_meta_parse(struct slice text, struct block_meta *meta,
                          struct err_info *info) MUST_USE;
