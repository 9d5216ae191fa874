/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From the body of an answer to samples in a transaction: labels of the target joined in, relabel
 * rules, limits, time stamps; then stale markers and report series. Pure but for the appender.
 *
 * A scrape is good as a whole or not at all: append_body that fails leaves a transaction which the
 * caller aborts; a new one then gets the stale markers of all series and the reports.
 * Threads: one scrape, one thread at a time. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "config/prometheus_config.h"
#include "model/appender.h"
#include "scraper/scrape_cache.h"
#include "scraper/target.h"

/* What the target is scraped with; borrowed for the scrape. */
struct scrape_append {
    const struct scrape_config *scrape;
    const struct target *target;
    struct slice tenant;
    const struct hash_key *hash_key;
    struct scrape_cache *cache;
    struct arena *scratch; /* reset here and there */
    struct append_txn *txn;
    int64_t t_ms; /* of the scrape */
    /* Results. */
    uint32_t scraped_count;      /* samples in the body */
    uint32_t relabelled_count;   /* of them, those that relabelling left */
    uint32_t added_series_count; /* not known from the scrape before */
    uint32_t duplicate_count;    /* the same series again in one body */
    /* Samples of series that the appender would not make; what became of the others is in the
     * transaction's result. */
    uint32_t refused[APPEND_VERDICT_COUNT];
    bool has_label_limit_fault, has_sample_limit_fault;
};

/* ERR_BAD_INPUT, ERR_UNSUPPORTED, ERR_LIMIT: nothing of the body may be stored. */
enum err scrape_append_body(struct scrape_append *append, struct slice content_type,
                            struct slice body, struct err_info *info) MUST_USE;

/* Markers at t_ms for what the body lacks; with is_complete false, for every series. */
void scrape_append_stale(struct scrape_append *append, bool is_complete);

enum scrape_report_series {
    SCRAPE_REPORT_UP,
    SCRAPE_REPORT_DURATION,
    SCRAPE_REPORT_SCRAPED,
    SCRAPE_REPORT_RELABELLED,
    SCRAPE_REPORT_ADDED,
    SCRAPE_REPORT_BASIC_COUNT,
    SCRAPE_REPORT_TIMEOUT = SCRAPE_REPORT_BASIC_COUNT, /* from here with extra_scrape_metrics */
    SCRAPE_REPORT_SAMPLE_LIMIT,
    SCRAPE_REPORT_BODY_SIZE,
    SCRAPE_REPORT_COUNT
};

struct scrape_report {
    uint64_t refs[SCRAPE_REPORT_COUNT]; /* kept from scrape to scrape; 0: none yet */
    double values[SCRAPE_REPORT_COUNT];
};

/* The report series at t_ms; with is_stale their markers. */
void scrape_append_report(struct scrape_append *append, struct scrape_report *report,
                          bool is_stale);
