/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One block of Prometheus, written as it is streamed:
 *
 *   <dir>/<ULID>.tmp-for-creation/{index, chunks/000001 ..., meta.json} -> <dir>/<ULID>/
 *
 * Its texts come first, each once, in any order; then series by labels, each with its samples.
 * Memory: the texts, and what the index writer holds. Threads: one. */

#include <stdint.h>

#include "base/err.h"
#include "model/labels.h"
#include "promtsdb/prom_chunk.h"
#include "promtsdb/prom_meta.h"

struct export_block;

/* ulid: terminated; borrowed for the call. */
struct export_block *export_block_new(const char *dir, const char *ulid);
/* A name or a value that a series will have. Copies. */
void export_block_text(struct export_block *block, struct slice text);
/* Makes the directory and its files. */
enum err export_block_open(struct export_block *block, struct err_info *info) MUST_USE;
/* Labels strictly increase and are borrowed until the next series; one without samples leaves no
 * trace. */
enum err export_block_series(struct export_block *block, struct label_set labels,
                             struct err_info *info) MUST_USE;
enum err export_block_sample(struct export_block *block, const struct prom_sample *sample,
                             struct err_info *info) MUST_USE;
/* Takes block: makes it durable and gives it its name. ERR_END: there was no sample; nothing is
 * left. After any error nothing is left. */
enum err export_block_finish(struct export_block *block, struct prom_meta *meta,
                             struct err_info *info) MUST_USE;
/* Takes block (NULL is fine) and removes what it wrote. */
void export_block_abort(struct export_block *block);
