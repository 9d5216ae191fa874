/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples that come in any order of series, put in order of labels within a bound of memory.
 *
 *   series, each once -> seal -> fill: [ feed all samples -> write the first series, as many as had
 *                                        room ] again, from the next series on, until all are
 * written
 *
 * What is held is compressed as a head holds it; when it passes the bound, the later half of the
 * series is let go, and a further round of feeding brings them again.
 *
 * Memory: the series' labels, and the bound. Threads: one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "main/import_out.h"
#include "promtsdb/prom_chunk.h"

struct import_collect;

struct import_collect *import_collect_new(uint64_t memory_max);
void import_collect_free(struct import_collect *collect);

/* The number of a series, new or known. Copies the labels. Before seal. ERR_LIMIT: 2^32. */
enum err import_collect_series(struct import_collect *collect, struct label_set labels,
                               uint32_t *id) MUST_USE;
/* Notes that there is a sample at a time. Before seal. */
void import_collect_note(struct import_collect *collect, int64_t t_ms);
/* Samples in [min, max] of a series are left out, in order ones and late ones. Before fill. */
void import_collect_delete(struct import_collect *collect, uint32_t id, int64_t t_min_ms,
                           int64_t t_max_ms);
/* Of a metric; the last word on it counts. Copies. */
void import_collect_metadata(struct import_collect *collect, const struct metadata *metadata);
/* The name of a series' metric; empty if it has none. */
struct slice import_collect_metric(const struct import_collect *collect, uint32_t id);
void import_collect_seal(struct import_collect *collect);
/* ---- while feeding ---- */

/* A sample that is not newer than the one before of its series is left out, as a head does. */
void import_collect_add(struct import_collect *collect, uint32_t id,
                        const struct prom_sample *sample);
/* One of any time. Where it meets one of the same time, the one in order or the first one stays. */
void import_collect_add_late(struct import_collect *collect, uint32_t id,
                             const struct prom_sample *sample);
/* In order if it is newer than the one before of its series, else late. */
void import_collect_add_any(struct import_collect *collect, uint32_t id,
                            const struct prom_sample *sample);
void import_collect_add_exemplar(struct import_collect *collect, uint32_t id,
                                 const struct exemplar *exemplar);

/* ---- writing ---- */

typedef enum err import_feed_fn(void *owner, struct err_info *info);

struct import_collect_source {
    const char *name;
    struct slice key;
    import_feed_fn *feed; /* hands in all samples, the same ones at each call */
    void *owner;
};

/* Feeds, and writes all of it as blocks. */
void import_collect_put(struct import *import, struct import_collect *collect,
                        const struct import_collect_source *source);
