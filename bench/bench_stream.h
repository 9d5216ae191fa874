/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The load of tools/bench (its README says what it is) as samples in memory: a host is all series
 * of a recording of a real node_exporter and a real Prometheus; each host walks through the
 * recording in a way of its own, and no step repeats itself. The same host and seed give the same
 * samples as rwgen sends. Ownership: a stream owns its labels. Threads: a stream is read by any
 * number. */

#include <stdint.h>

#include "base/arena.h"
#include "model/labels.h"
#include "model/sample.h"

struct bench_stream;

struct bench_stream_options {
    const char *path; /* of streams.tsv.gz */
    uint32_t series;
    uint32_t ticks; /* samples a series */
    int64_t start_ms, step_ms;
    uint64_t jitter_ms; /* each scrape up to so much later; 0: all at their time */
};

struct bench_series {
    struct label_set labels;
    uint32_t host, recorded;
};

/* NULL when the recording cannot be read. */
struct bench_stream *bench_stream_new(const struct bench_stream_options *options);
void bench_stream_free(struct bench_stream *stream);
/* In label order. */
const struct bench_series *bench_stream_series(const struct bench_stream *stream, uint32_t *count);
/* All samples of a series; `samples` has room for `ticks`. */
void bench_stream_read(const struct bench_stream *stream, const struct bench_series *series,
                       struct sample *samples);
