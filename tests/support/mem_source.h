/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A source (model/source.h) over samples in memory, select only.
 * Ownership: copies what is added; mem_source_free frees. Threads: one, or readers only. */

#include <stdint.h>

#include "model/labels.h"
#include "model/source.h"

struct mem_source;

struct mem_source *mem_source_new(void);
void mem_source_free(struct mem_source *source);
/* Forgets all series. */
void mem_source_clear(struct mem_source *source);
/* Adds samples in any order; of two at one time the later added counts. Labels are sorted. */
void mem_source_add(struct mem_source *source, struct label_set labels, int64_t t_ms, double v);
/* Copies h. Reset hints come back as a storage gives them: "gauge", "not reset" of a sample that
 * surely continues the one before, else "unknown". */
void mem_source_add_histogram(struct mem_source *source, struct label_set labels, int64_t t_ms,
                              const struct histogram *h);
/* Borrowed from source. */
struct source *mem_source_source(struct mem_source *source);
uint64_t mem_source_sample_count(const struct mem_source *source);
