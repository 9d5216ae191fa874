/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote write 1.0 (prometheus.WriteRequest), read in place.
 *
 *   reader over the decompressed request -> series | metadata
 *   series -> raw label bytes, items -> sample | exemplar | histogram
 *
 * Nothing is allocated and no label is decoded until remote_write_labels() asks for it: a receiver
 * finds a known series by a hash of its label bytes as they lie on the wire.
 *
 * Ownership: all slices are borrowed from the request's bytes. Threads: plain values.
 * Errors are sticky: loop while next says true, then look at err once; a message that cannot be
 * read is ERR_BAD_INPUT, and what came before it must not be committed. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

struct remote_write_limits {
    uint32_t series_count_max; /* 0: any */
    uint32_t label_count_max;  /* per series; 0: any */
    uint32_t bucket_count_max; /* per histogram; 0: any */
};

struct remote_write_series {
    struct slice labels_raw; /* the label fields as they lie: the alias key */
    struct slice items;      /* what follows them */
    uint32_t label_count;
    /* Label fields stand behind others (legal, no known sender does it): labels_raw then is the
     * whole message, which is no key. */
    bool is_scattered;
};

enum remote_write_kind { REMOTE_WRITE_SERIES, REMOTE_WRITE_METADATA };

struct remote_write_reader {
    enum err err;           /* sticky; ERR_LIMIT too */
    const char *error_text; /* static; NULL while err is OK */
    const uint8_t *at, *end;
    struct remote_write_limits limits;
    uint32_t series_count; /* read so far */
};

struct remote_write_entry {
    enum remote_write_kind kind;
    union {
        struct remote_write_series series;
        struct slice metadata; /* for remote_write_metadata() */
    };
};

void remote_write_reader_init(struct remote_write_reader *reader, struct slice request,
                              const struct remote_write_limits *limits);
bool remote_write_next(struct remote_write_reader *reader, struct remote_write_entry *entry);

/* The labels, decoded: sorted, those with an empty value left out, names and values checked against
 * the scheme. ERR_BAD_INPUT names the label (a duplicate, invalid UTF-8 ...); ERR_LIMIT: arena. A
 * missing metric name is the caller's question. */
enum err remote_write_labels(const struct remote_write_series *series, struct arena *arena,
                             enum label_scheme scheme, struct label_set *labels,
                             struct err_info *info) MUST_USE;

enum remote_write_item_kind {
    REMOTE_WRITE_SAMPLE,
    REMOTE_WRITE_EXEMPLAR,
    REMOTE_WRITE_HISTOGRAM,
};

struct remote_write_items {
    enum err err; /* sticky */
    const uint8_t *at, *end;
};

struct remote_write_item {
    enum remote_write_item_kind kind;
    union {
        struct sample sample;
        struct slice message; /* for remote_write_exemplar() or remote_write_histogram() */
    };
};

void remote_write_items_init(struct remote_write_items *items,
                             const struct remote_write_series *series);
bool remote_write_item_next(struct remote_write_items *items, struct remote_write_item *item);

/* In the arena, labels checked as above. */
enum err remote_write_exemplar(struct slice message, struct arena *arena, struct exemplar *exemplar,
                               struct err_info *info) MUST_USE;

struct remote_write_histogram {
    struct histogram h;
    int64_t t_ms;
};

/* Arrays in the arena. Only the shape is checked here; histogram_check() judges the content. */
enum err remote_write_histogram(struct slice message, uint32_t bucket_count_max,
                                struct arena *arena, struct remote_write_histogram *histogram,
                                struct err_info *info) MUST_USE;

/* Texts borrowed from the request and checked to be UTF-8. */
enum err remote_write_metadata(struct slice message, struct metadata *metadata,
                               struct err_info *info) MUST_USE;

/* Everything in a request counted, and every byte of it walked: what passes cannot fail later but
 * by content (names, values, limits of the arena). */
struct remote_write_counts {
    uint64_t series, labels, samples, exemplars, histograms, metadata;
};
enum err remote_write_scan(struct slice request, const struct remote_write_limits *limits,
                           struct remote_write_counts *counts, struct err_info *info) MUST_USE;

/* ---- writing, for senders and tests ---- */

struct remote_write_series_out {
    struct label_set labels;
    const struct sample *samples;
    const struct remote_write_histogram *histograms;
    const struct exemplar *exemplars;
    uint32_t sample_count, histogram_count, exemplar_count;
};

/* Appends one time series, or one metadata entry, to a request. */
void remote_write_put_series(struct buf *out, const struct remote_write_series_out *series);
void remote_write_put_metadata(struct buf *out, const struct metadata *metadata);
