/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a target exposes, read in place: Prometheus text 0.0.4 and OpenMetrics 1.0 and 0.0.1.
 *
 *   body -> entry ... : series (raw text, value, time, exemplar) | type | help | unit
 *
 * exposition_next() finds where a series' text ends without taking it apart, so a scraper looks a
 * known series up by its raw bytes and never decodes it. A text that it doesn't know goes through
 * exposition_labels(), which checks every byte of it.
 *
 * The raw text alone does not name a series: `le` and `quantile` values are normalised in a
 * histogram's or summary's family, so entry.type belongs to the key.
 *
 * Ownership: slices borrow the body. Threads: plain values. Errors are sticky: loop while next says
 * true, then look at err once. Any error means that nothing of the body may be stored. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"
#include "model/sample.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/* The format of an answer by its Content-Type. `fallback` is the media type of
 * fallback_scrape_protocol, or empty; it is taken when the header is blank, cannot be parsed or is
 * unknown. ERR_UNSUPPORTED: none of both will do; the message says why, as upstream's. */
enum err exposition_format_from_content_type(struct slice content_type, struct slice fallback,
                                             enum exposition_format *format,
                                             struct err_info *info) MUST_USE;

enum exposition_kind {
    EXPOSITION_SERIES,
    EXPOSITION_TYPE,
    EXPOSITION_HELP,
    EXPOSITION_UNIT,
};

struct exposition_entry {
    enum exposition_kind kind;
    enum metric_type type; /* the TYPE in force: of the family, if the body is in order */
    /* EXPOSITION_SERIES */
    struct slice series;   /* raw: name and labels as they lie */
    double v;              /* any NaN is the normal one */
    int64_t t_ms;          /* valid if has_t */
    struct slice exemplar; /* raw, empty if there is none; for exposition_exemplar() */
    bool has_t;
    bool is_created; /* a _created line of OpenMetrics, whose value is a start time */
    /* the others */
    struct slice name, text; /* text is still escaped; for exposition_text() */
};

struct exposition_options {
    enum exposition_format format;
    enum label_scheme scheme; /* what names may look like */
    bool keeps_empty;         /* labels with empty values are given, too */
};

struct exposition {
    enum err err;         /* ERR_BAD_INPUT */
    struct err_info info; /* names the line and the fault */
    struct exposition_options options;
    const char *start, *at, *end;
    enum metric_type type;
    struct slice family; /* name of the last TYPE */
    bool is_done;
};

void exposition_init(struct exposition *p, struct slice body,
                     const struct exposition_options *options);
bool exposition_next(struct exposition *p, struct exposition_entry *entry);

/* The labels of a series entry: sorted, checked against the scheme, empty values left out (but see
 * keeps_empty). Escaped and normalised texts are in the arena, all others borrow the body.
 * ERR_BAD_INPUT names the fault; ERR_LIMIT: the arena has no room. */
enum err exposition_labels(const struct exposition *p, const struct exposition_entry *entry,
                           struct arena *arena, struct label_set *labels,
                           struct err_info *info) MUST_USE;

/* The exemplar of a series entry that has one. Its text is checked here only. */
enum err exposition_exemplar(const struct exposition_entry *entry, struct arena *arena,
                             struct exemplar *exemplar, struct err_info *info) MUST_USE;

/* The start time of a series entry, from the _created line of the same labels that follows it in
 * its family (OpenMetrics counters, histograms and summaries). Looks ahead without moving p.
 * *start_t_ms is 0 when there is none. ERR_LIMIT: the arena has no room. */
enum err exposition_start_time(const struct exposition *p, const struct exposition_entry *entry,
                               struct arena *arena, int64_t *start_t_ms) MUST_USE;

/* The text of a HELP or UNIT entry, its escapes resolved. data is NULL if the arena had no room. */
struct slice exposition_text(const struct exposition *p, const struct exposition_entry *entry,
                             struct arena *arena);
