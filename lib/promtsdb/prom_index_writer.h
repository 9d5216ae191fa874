/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes the file `index` of a Prometheus block, version 2 (prom_index.h reads it).
 *
 *   open (all texts, sorted) -> series ... (in order of labels) -> finish
 *
 * Bytes go out as they come. Held in memory: where each text is, and the series' numbers of each
 * label pair, four bytes for each label of a series.
 *
 * Ownership: borrows the texts until finish. Threads: one at a time. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"
#include "promtsdb/prom_index.h"

struct prom_index_writer;

/* Takes bytes of the file, in order. */
typedef enum err prom_index_emit_fn(void *owner, struct slice bytes, struct err_info *info);

struct prom_index_writer_options {
    const struct slice *texts; /* sorted, each once: names and values; the array is borrowed too */
    uint32_t text_count;
    prom_index_emit_fn *emit;
    void *owner;
};

/* ERR_LIMIT: 4 GiB of texts or more. */
enum err prom_index_writer_open(const struct prom_index_writer_options *options,
                                struct prom_index_writer **writer, struct err_info *info) MUST_USE;
/* The caller keeps labels strictly increasing and gives only texts of the list; chunks by time,
 * their references increasing. ERR_LIMIT: the file would pass 64 GiB, which version 2 cannot name.
 */
enum err prom_index_writer_series(struct prom_index_writer *writer, struct label_set labels,
                                  const struct prom_chunk_meta *chunks, uint32_t chunk_count,
                                  struct err_info *info) MUST_USE;
/* Takes writer, and writes what is left. */
enum err prom_index_writer_finish(struct prom_index_writer *writer, struct err_info *info) MUST_USE;
/* Takes writer; NULL is fine. */
void prom_index_writer_abort(struct prom_index_writer *writer);
