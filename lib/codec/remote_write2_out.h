/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote write 2.0 (io.prometheus.write.v2.Request), the writing half: all texts of a request stand
 * once in a table of symbols, and series name them by number.
 *
 *   init -> series ... -> finish -> series of the next request ... -> fini
 *
 * Ownership: texts of series are borrowed until finish. Threads: one at a time. */

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/slice.h"
#include "model/labels.h"
#include "model/sample.h"

struct remote_write2_out {
    const struct hash_key *key; /* borrowed: of the table's hashes */
    struct buf symbols, series; /* encoded fields of the request */
    struct map refs;            /* from text to number */
    struct slice *texts;        /* owned; by number */
    uint32_t text_count, text_cap;
};

struct remote_write2_sample {
    int64_t t_ms;
    int64_t start_t_ms; /* 0: not known */
    uint64_t v_bits;
};

struct remote_write2_histogram {
    struct slice message; /* of remote write 1.0: the numbers of its fields are the same */
    int64_t start_t_ms;
};

struct remote_write2_series {
    struct label_set labels;
    const struct remote_write2_sample *samples;
    const struct remote_write2_histogram *histograms;
    const struct exemplar *exemplars;
    uint32_t sample_count, histogram_count, exemplar_count;
    const struct metadata *metadata; /* NULL: none */
};

enum { REMOTE_WRITE2_SIZE_MAX = 256 << 20 };

void remote_write2_out_init(struct remote_write2_out *out, const struct hash_key *key);
void remote_write2_out_fini(struct remote_write2_out *out);
void remote_write2_out_series(struct remote_write2_out *out,
                              const struct remote_write2_series *series);
/* Appends the request and starts anew. request->err: it did not fit. */
void remote_write2_out_finish(struct remote_write2_out *out, struct buf *request);
