/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records of Prometheus's write-ahead logs, entry by entry. A record has a type and entries of that
 * one type; most refer to a series by the number that a series record gave it.
 *
 * Ownership: texts are borrowed from the record's bytes, arrays live in the arena of the call.
 * Threads: plain values. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

enum prom_record_type {
    PROM_RECORD_SERIES = 1,
    PROM_RECORD_SAMPLES = 2,
    PROM_RECORD_TOMBSTONES = 3,
    PROM_RECORD_EXEMPLARS = 4,
    PROM_RECORD_MARKERS = 5, /* WBL: late samples so far are in a head chunk */
    PROM_RECORD_METADATA = 6,
    PROM_RECORD_HISTOGRAMS = 7,
    PROM_RECORD_FLOAT_HISTOGRAMS = 8,
    PROM_RECORD_CUSTOM_HISTOGRAMS = 9, /* of custom buckets; else as 7 and 8 */
    PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
};

struct prom_record {
    uint8_t type; /* others than the above are of later versions: no entry is read */
    enum err err; /* sticky: ERR_CORRUPT, ERR_LIMIT; look at it once next has said false */
    struct slice rest;
    uint64_t base_ref;
    int64_t base_t_ms;
};

struct prom_entry {
    uint64_t series_ref;
    int64_t t_ms; /* samples, histograms, exemplars */
    double v;     /* samples, exemplars */
    union {
        struct label_set labels;           /* series, exemplars */
        const struct histogram *histogram; /* histograms */
        struct {
            int64_t t_min_ms, t_max_ms; /* both included */
        } stone;
        uint64_t chunk_ref;       /* markers: file << 32 | offset */
        struct metadata metadata; /* its metric is empty: that of the series */
    };
};

void prom_record_init(struct prom_record *record, struct slice bytes);
bool prom_record_is_known(const struct prom_record *record);
/* False at the end or on error. */
bool prom_record_next(struct prom_record *record, struct arena *arena, struct prom_entry *entry);
