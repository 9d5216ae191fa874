/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Remote write, read in place: 1.0 (prometheus.WriteRequest) and 2.0
 * (io.prometheus.write.v2.Request).
 *
 *   reader over the decompressed request -> series | metadata (1.0)
 *   series -> raw label bytes, items -> sample | exemplar | histogram; metadata (2.0)
 *
 * No label is decoded until remote_write_labels() asks for it: a receiver finds a known series by
 * remote_write_series_hash(), made of its labels as they lie on the wire. The texts of 2.0 stand
 * once in a table of symbols, which is read and hashed first; that alone takes memory.
 *
 * Ownership: all slices are borrowed from the request's bytes. Threads: plain values.
 * Errors are sticky: loop while next says true, then look at err once; a message that cannot be
 * read is ERR_BAD_INPUT, and what came before it must not be committed. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

struct remote_write_limits {
    uint32_t series_count_max; /* 0: any */
    uint32_t symbol_count_max; /* 2.0; 0: any */
    uint32_t label_count_max;  /* per series; 0: any */
    uint32_t bucket_count_max; /* per histogram; 0: any */
};

/* The texts of a request of 2.0. */
struct remote_write_symbols {
    const struct hash_key *key; /* borrowed; to be set before the table is read */
    const struct slice *texts;
    const struct hash128 *hashes; /* of the texts, keyed */
    uint32_t count;
};

struct remote_write_series {
    const struct remote_write_symbols *symbols; /* 2.0; NULL: 1.0 */
    struct slice labels_raw; /* the label fields as they lie; 2.0: the numbers of their texts */
    struct slice items;      /* what follows them */
    int64_t created_ms;      /* 2.0, of older senders: the start of all samples; 0: not known */
    uint32_t label_count;    /* 1.0 */
    /* Label fields stand behind others (legal, no known sender does it): labels_raw then is the
     * whole message, which is no key. */
    bool is_scattered;
    bool has_items, has_metadata; /* 2.0 */
    /* 2.0: the one Metadata message; data is NULL when there are several (legal, nobody does it).
     */
    struct slice metadata;
};

enum remote_write_kind { REMOTE_WRITE_SERIES, REMOTE_WRITE_METADATA };

struct remote_write_reader {
    enum err err;           /* sticky; ERR_LIMIT too */
    const char *error_text; /* static; NULL while err is OK */
    const uint8_t *at, *end;
    struct remote_write_limits limits;
    uint32_t series_count;                      /* read so far */
    const struct remote_write_symbols *symbols; /* borrowed; 2.0 */
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
/* Of 2.0: reads the table of symbols into the arena. ERR_BAD_INPUT: malformed. ERR_TOO_LARGE: more
 * symbols than the limit. ERR_LIMIT: the arena has no room. */
enum err remote_write2_symbols(struct slice request, const struct remote_write_limits *limits,
                               struct arena *arena, struct remote_write_symbols *symbols,
                               struct err_info *info) MUST_USE;
/* Borrows symbols until the last series was looked at. */
void remote_write2_reader_init(struct remote_write_reader *reader, struct slice request,
                               const struct remote_write_limits *limits,
                               const struct remote_write_symbols *symbols);
bool remote_write_next(struct remote_write_reader *reader, struct remote_write_entry *entry);

/* A keyed hash of the labels as they lie on the wire: the same for all series of the same wire
 * labels, in all requests of one version. false: the series has none that is a key (labels
 * scattered, numbers without a text, thousands of labels). */
bool remote_write_series_hash(const struct remote_write_series *series, const struct hash_key *key,
                              struct hash128 *hash);

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
    int64_t created_ms;
    bool is_version2;
};

struct remote_write_item {
    enum remote_write_item_kind kind;
    int64_t start_t_ms; /* of a sample; 0: not known */
    union {
        struct sample sample;
        struct slice message; /* for remote_write[2]_exemplar() or remote_write_histogram() */
    };
};

void remote_write_items_init(struct remote_write_items *items,
                             const struct remote_write_series *series);
bool remote_write_item_next(struct remote_write_items *items, struct remote_write_item *item);

/* In the arena, labels checked as above. */
enum err remote_write_exemplar(struct slice message, struct arena *arena, struct exemplar *exemplar,
                               struct err_info *info) MUST_USE;

enum err remote_write2_exemplar(struct slice message, const struct remote_write_symbols *symbols,
                                struct arena *arena, struct exemplar *exemplar,
                                struct err_info *info) MUST_USE;

struct remote_write_histogram {
    struct histogram h;
    int64_t t_ms;
    int64_t start_t_ms; /* 2.0; 0: not known */
};

/* Of both versions. Arrays in the arena. Only the shape is checked here; histogram_check() judges
 * the content. */
enum err remote_write_histogram(struct slice message, uint32_t bucket_count_max,
                                struct arena *arena, struct remote_write_histogram *histogram,
                                struct err_info *info) MUST_USE;

/* Texts borrowed from the request and checked to be UTF-8. */
enum err remote_write_metadata(struct slice message, struct metadata *metadata,
                               struct err_info *info) MUST_USE;

/* What a series of 2.0 says of its metric, as numbers of texts; all zero: nothing. */
struct remote_write2_about {
    uint32_t type, help, unit;
    uint32_t name; /* the metric's; 0: it has none */
};
/* ERR_BAD_INPUT names what has no text. */
enum err remote_write2_about(const struct remote_write_series *series,
                             struct remote_write2_about *about, struct err_info *info) MUST_USE;
/* In words, checked as above. */
enum err remote_write2_metadata(const struct remote_write_symbols *symbols,
                                const struct remote_write2_about *about, struct metadata *metadata,
                                struct err_info *info) MUST_USE;

/* Everything in a request of 1.0 counted, and every byte of it walked: what passes cannot fail
 * later but by content (names, values, limits of the arena). */
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
    /* More of them, encoded already. */
    const struct slice *histogram_messages, *exemplar_messages;
    uint32_t histogram_message_count, exemplar_message_count;
};

/* Appends one time series, or one metadata entry, to a request. */
void remote_write_put_series(struct buf *out, const struct remote_write_series_out *series);
void remote_write_put_metadata(struct buf *out, const struct metadata *metadata);
void remote_write_put_metadata_message(struct buf *out, struct slice message);

/* Single messages, as the readers above take them. */
void remote_write_histogram_message(struct buf *out,
                                    const struct remote_write_histogram *histogram);
void remote_write_exemplar_message(struct buf *out, const struct exemplar *exemplar);
void remote_write_metadata_message(struct buf *out, const struct metadata *metadata);
