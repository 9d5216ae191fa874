/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where an import's samples go: one block of Narthex for each day that a source touches.
 *
 *   source (a block, a head, a text file) --fill, once a day--> import_out --> block writer
 *
 * A block's name is made from the source's key, the tenant and the day, so what was imported once
 * is known by its name and is not written again.
 *
 * Threads: one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "main/tool_store.h"
#include "model/source.h"
#include "promtsdb/prom_chunk.h"

struct block_writer;

enum { IMPORT_DAY_MS = 86400000 };

struct import_counts {
    uint64_t blocks, known_blocks; /* written; there already */
    uint64_t series, samples, histograms, exemplars;
    uint64_t size_bytes;
    uint64_t faults; /* things that could not be imported; each was named on standard error */
};

struct import {
    struct tool_store *store; /* NULL: a dry run */
    struct slice tenant;
    uint64_t memory_max;
    bool skips_bad_chunks; /* else what is wrong with one is wrong with its block's day */
    struct import_counts counts;
};

/* Of one block. */
struct import_out {
    struct block_writer *writer; /* NULL: only counts */
    struct slice tenant;
    struct import_counts counts;
    bool has_samples; /* of the series begun last */
    bool series_is_counted;
    struct sample_columns columns; /* not handed on yet */
    struct arena scratch;          /* their histograms */
};

struct import_source {
    const char *name;    /* for people */
    struct slice key;    /* the same content, the same key */
    const int64_t *days; /* day numbers that have samples, increasing */
    uint32_t day_count;
    int64_t t_min_ms, t_end_ms; /* all samples are in [min, end) */
    /* Writes the series that have samples in [t_min, t_end), in order. */
    enum err (*fill)(void *owner, int64_t t_min_ms, int64_t t_end_ms, struct import_out *out,
                     struct err_info *info);
    void *owner;
};

/* Imports all days; goes on with the next one after what is wrong with one. */
void import_put(struct import *import, const struct import_source *source);
/* Names a fault on standard error and counts it. */
void import_fault(struct import *import, const char *name, enum err err,
                  const struct err_info *info);

/* ---- for fill ---- */

/* Begins a series; labels are borrowed until the next call. One without samples leaves no trace. */
enum err import_out_series(struct import_out *out, struct label_set labels,
                           struct err_info *info) MUST_USE;
/* The next sample of that series; times strictly increase. Copies. ERR_CORRUPT: a histogram that
 * no server would take. */
enum err import_out_sample(struct import_out *out, const struct prom_sample *sample,
                           struct err_info *info) MUST_USE;
enum err import_out_exemplar(struct import_out *out, const struct exemplar *exemplar,
                             struct err_info *info) MUST_USE;
enum err import_out_metadata(struct import_out *out, const struct metadata *metadata,
                             struct err_info *info) MUST_USE;
/* Hands on what is left; import_put calls it after fill. */
enum err import_out_flush(struct import_out *out, struct err_info *info) MUST_USE;

/* The day of a time, and a sorted set of days. */
int64_t import_day(int64_t t_ms);

struct import_days {
    int64_t *items; /* owned */
    uint32_t count, cap;
};

void import_days_add(struct import_days *days, int64_t day);
void import_days_fini(struct import_days *days);
