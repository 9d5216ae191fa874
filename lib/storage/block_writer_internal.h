/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of a block's writer share. */

#include "base/arena.h"
#include "base/map.h"
#include "storage/block_chunk.h"
#include "storage/block_format.h"
#include "storage/block_key.h"
#include "storage/block_writer.h"

enum {
    WRITER_PATH_SIZE = 1024,
    WRITER_LABELS_CACHED = 64, /* label positions whose last pair is remembered */
};

/* A label name and value of the present tenant, and the series that have it. */
struct writer_pair {
    struct slice name, value; /* in the tenant's arena */
    uint8_t *deltas;          /* owned: ids as varint steps */
    uint32_t len, cap;
    uint32_t count, last_id;
    uint64_t sample_count; /* of these series */
};

/* Samples that become a chunk together. */
struct writer_chunk {
    uint32_t count;
    enum sample_kind kind;
    bool has_starts;
    int64_t t_ms[BLOCK_CHUNK_COUNT_MAX];
    int64_t start_t_ms[BLOCK_CHUNK_COUNT_MAX]; /* while has_starts */
    union {
        double v[BLOCK_CHUNK_COUNT_MAX];
        const struct histogram *histograms[BLOCK_CHUNK_COUNT_MAX];
    };
    struct arena arena; /* of the histograms */
};

struct writer_exemplar {
    int64_t t_ms;
    uint32_t rank;        /* as they came */
    struct slice encoded; /* without its time; in exemplar_arena */
};

struct writer_metadata {
    struct slice tenant, metric, encoded; /* in metadata_arena */
};

struct block_writer {
    struct block_writer_options options;
    char dir[WRITER_PATH_SIZE]; /* the final one */
    char tmp[WRITER_PATH_SIZE];
    struct sst_writer *index, *data; /* owned */
    struct block_meta meta;

    /* The present tenant. */
    struct buf tenant;
    bool in_tenant;
    uint32_t tenant_count;
    struct arena arena;         /* names and values of its pairs */
    struct writer_pair **pairs; /* owned, each too */
    size_t pair_count, pair_cap;
    struct map pair_map;                                  /* hash of name and value to pair */
    struct writer_pair *last_pairs[WRITER_LABELS_CACHED]; /* by position in the series before */
    uint64_t tenant_chunks, tenant_samples, tenant_chunk_bytes;
    uint32_t next_id;

    /* The present series. */
    struct buf labels; /* encoded; and the same as a set: */
    struct label *label_items;
    uint32_t label_count, label_cap;
    struct buf label_text;
    struct buf chunks; /* encoded chunk list */
    uint32_t chunk_count;
    int64_t chunk_t_before_ms;
    uint64_t samples_before;           /* of the tenant, when the series began */
    struct writer_chunk chunk;         /* the one under way */
    struct writer_exemplar *exemplars; /* owned */
    uint32_t exemplar_count, exemplar_cap;
    struct arena exemplar_arena; /* their bytes */
    bool in_series;

    /* Of all tenants, until the end. */
    struct writer_metadata *metadata; /* owned */
    uint32_t metadata_count, metadata_cap;
    struct arena metadata_arena;

    struct buf key, value; /* scratch */
};

/* ---- files: block_writer_files.c ---- */

enum err block_writer_open_tables(struct block_writer *w, struct err_info *info) MUST_USE;
/* Ends the tables, writes meta.json and gives the directory its name. */
enum err block_writer_publish(struct block_writer *w, struct err_info *info) MUST_USE;

/* ---- label pairs: block_writer_pairs.c ---- */

void block_writer_init_pairs(struct block_writer *w);
/* The present series has this id and so many samples. */
void block_writer_add_pairs(struct block_writer *w, uint32_t id, uint64_t sample_count);
/* Writes postings and statistics of the present tenant. */
enum err block_writer_put_pairs(struct block_writer *w, struct err_info *info) MUST_USE;
void block_writer_reset_pairs(struct block_writer *w);

/* ---- exemplars and metadata: block_writer_extras.c ---- */

/* Writes the present series' exemplars, if any. */
enum err block_writer_put_exemplars(struct block_writer *w, struct err_info *info) MUST_USE;
/* Writes all metadata; nothing but it comes after. */
enum err block_writer_put_metadata(struct block_writer *w, struct err_info *info) MUST_USE;
