/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of a block's reader share. */

#include <stdatomic.h>

#include "base/buf.h"
#include "storage/block.h"
#include "storage/block_format.h"
#include "storage/block_key.h"
#include "storage/block_stats.h"
#include "storage/postings.h"
#include "storage/source_query.h"

enum { BLOCK_PATH_SIZE = 1024 };

struct block {
    struct source source;
    struct block_options options;
    struct block_meta meta;
    char name[ULID_TEXT_LEN + 1];
    char path[BLOCK_PATH_SIZE];
    struct sst_reader *index, *data; /* owned */
    _Atomic uint32_t ref_count;
    _Atomic bool is_doomed;
};

/* One tenant's part of the index, for one call on one thread. */
struct block_tenant {
    struct block *block;    /* borrowed */
    struct source_ctx *ctx; /* borrowed */
    struct slice tenant;
    struct sst_iter *index; /* owned */
    struct sst_iter *data;  /* owned; NULL until a cursor reads */
    struct buf key, text;   /* scratch */
    struct slice stats;     /* copy in ctx's arena: label names and their value counts */
    uint32_t series_count;  /* 0: the block has nothing of this tenant */
    uint32_t name_count;
    uint64_t chunk_count, sample_count, chunk_bytes;
};

/* Ends with the arena of ctx. info names the block on errors. */
enum err block_tenant_open(struct block *block, struct source_ctx *ctx,
                           struct block_tenant **tenant, struct err_info *info) MUST_USE;

/* All numbers of the tenant, zeros without any; in ctx's arena. */
enum err block_tenant_stats(struct block_tenant *tenant, struct block_stats *stats,
                            struct err_info *info) MUST_USE;

/* An error of the index iterator, or ERR_OK if it is simply at its end. */
enum err block_tenant_iter_err(struct block_tenant *tenant, struct err_info *info) MUST_USE;
/* ERR_CORRUPT with the block's name before the text. */
enum err block_corrupt(const struct block *block, struct err_info *info, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next label name of tenant->stats. False at the end (is_bad: because it is cut). */
struct block_name_iter {
    struct slice rest;
    uint32_t left;
    bool is_bad;
};
struct block_name_iter block_name_iter_start(const struct block_tenant *tenant);
bool block_name_iter_next(struct block_name_iter *iter, struct slice *name, uint64_t *value_count);

/* Calls fn for each value of a label that begins with `prefix`, in order; the postings are in their
 * stored form. An error of fn ends the walk; ERR_END ends it well. */
typedef enum err block_value_fn(void *owner, struct slice value, struct slice postings);
enum err block_walk_values(struct block_tenant *tenant, struct slice name, struct slice prefix,
                           block_value_fn *fn, void *owner, struct err_info *info) MUST_USE;

/* The ids of the series that meet all matchers of any of the lists; *ids ends with ctx's arena. */
enum err block_match(struct block_tenant *tenant, struct matcher_list matchers,
                     struct postings **ids, struct err_info *info) MUST_USE;
/* All lists of a call are `matchers`: one list of all conditions. count 0: all series. */
enum err block_decode_postings(struct block_tenant *tenant, struct slice bytes,
                               struct postings **out, struct err_info *info) MUST_USE;

/* A series record. labels and chunks live in the arena given. */
struct block_series {
    struct label_set labels;
    const struct block_chunk_ref *chunks;
    uint32_t chunk_count;
    uint64_t exemplar_count;
};
/* Takes labels off the front of *rest, whatever they are. */
enum err block_parse_labels(struct slice *rest, struct arena *arena, struct label_set *labels);
enum err block_parse_series(struct slice value, struct arena *arena, struct block_series *series);
/* Reads one; the iterator moves. is_next: it is the one after the iterator's present one. */
enum err block_read_series(struct block_tenant *tenant, uint32_t id, struct slice *value,
                           struct err_info *info) MUST_USE;

enum err block_select(struct block *block, const struct source_query *query,
                      struct series_stream **stream, struct err_info *info);
enum err block_label_names(struct block *block, const struct source_query *query,
                           source_text_fn *fn, void *owner);
enum err block_label_values(struct block *block, const struct source_query *query,
                            source_text_fn *fn, void *owner);
enum err block_exemplars(struct block *block, const struct source_query *query,
                         source_exemplar_fn *fn, void *owner);
/* Of the metric query->name; of all if that is empty. */
enum err block_metadata(struct block *block, const struct source_query *query,
                        source_metadata_fn *fn, void *owner);

/* Calls fn for each exemplar in [t_min_ms, t_max_ms]; the arena is reset each time. */
struct block_exemplar_walk {
    struct label_set series;
    int64_t t_min_ms, t_max_ms;
    source_exemplar_fn *fn;
    void *owner;
};
enum err block_walk_exemplars(struct slice value, const struct block_exemplar_walk *walk,
                              struct arena *arena);
/* Calls fn for each of what is said of a metric. */
enum err block_walk_metadata(struct slice value, struct slice metric, source_metadata_fn *fn,
                             void *owner);

enum err block_estimate(struct block *block, const struct source_query *query,
                        struct source_estimate *estimate);

static inline struct block *block_of(struct source *source)
{
    return CONTAINER_OF(source, struct block, source);
}

/* Puts the iterator on this very key. ERR_NOT_FOUND. */
enum err block_seek(struct sst_iter *iter, struct slice key, struct err_info *info) MUST_USE;

static inline bool block_overlaps(const struct block *block, int64_t t_min, int64_t t_max)
{
    return block->meta.t_min_ms <= t_max && block->meta.t_max_ms >= t_min;
}
