/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Several sources as one: head and blocks, or replicas.
 *
 *   streams, each sorted by labels  ->  one stream, each label set once
 *   cursors of one label set        ->  one cursor: the union by time
 *
 * Two samples of one time are settled by model/order.h, so the order of the sources does not
 * matter. An error of one source is the error of all: a part is never passed off as the whole.
 *
 * Ownership: all lives in ctx->arena; the sources are borrowed until its reset. Threads: as
 * source.h says. */

#include <stdint.h>

#include "model/source.h"
#include "storage/source_query.h"

struct merge_list {
    struct source *const *items; /* the array is borrowed for the call, the sources for longer */
    uint32_t count;
};

/* As source_ops has them. */
enum err merge_select(struct merge_list sources, const struct source_query *query,
                      struct series_stream **stream, struct err_info *info) MUST_USE;
enum err merge_label_names(struct merge_list sources, const struct source_query *query,
                           source_text_fn *fn, void *owner) MUST_USE;
enum err merge_label_values(struct merge_list sources, const struct source_query *query,
                            source_text_fn *fn, void *owner) MUST_USE;
enum err merge_exemplars(struct merge_list sources, const struct source_query *query,
                         source_exemplar_fn *fn, void *owner) MUST_USE;
/* The metric asked for is query->name; empty: all. */
enum err merge_metadata(struct merge_list sources, const struct source_query *query,
                        source_metadata_fn *fn, void *owner) MUST_USE;
enum err merge_estimate(struct merge_list sources, const struct source_query *query,
                        struct source_estimate *estimate) MUST_USE;
