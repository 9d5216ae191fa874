/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The read interface between roles: querier to ingester, store gateway, remote shard; and within
 * storage to head and block. Implementations: head, block, remote, merged.
 *
 *   select(matchers, range, hints) -> stream of (labels, hash, cursor), sorted by labels
 *   cursor_next -> up to 128 decoded samples in columns
 *
 * Ownership: streams and cursors live in ctx->arena and end with its reset (hooks release pins). A
 * series' labels are borrowed until the arena's reset, its cursor's columns until the cursor's next
 * call. Threads: one stream, one thread at a time; several selects may run at once, each with a ctx
 * of its own. Errors are sticky: loop while next says true, then look at err once. */

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

struct source_stats {
    uint64_t series, samples, chunks, bytes; /* read so far; bytes: encoded */
};

/* A set of texts, each once, in order of their first occurrence. */
struct annotations {
    struct arena *arena; /* borrowed */
    struct annotation *first, *last;
    uint32_t warning_count, info_count;
};

struct annotation {
    struct annotation *next;
    bool is_warning;
    struct slice text;
};

/* Copies the text; a repeated one is dropped. */
void annotations_add(struct annotations *annotations, bool is_warning, struct slice text);

struct source_ctx {
    struct slice tenant;
    uint64_t deadline_ns;          /* monotonic; 0: none */
    const _Atomic bool *cancelled; /* borrowed; may be NULL */
    struct budget *budget; /* borrowed; what the arena draws from, for arenas of further workers */
    struct arena *arena;   /* borrowed; this worker's */
    struct source_stats *stats;      /* borrowed; may be NULL */
    struct annotations *annotations; /* borrowed; may be NULL */
    uint64_t (*mono_ns)(
        void *owner); /* the clock that deadline_ns is on; NULL: no deadline is checked */
    void *mono_owner;
};

/* ERR_CANCELLED or ERR_DEADLINE when the query should stop. Call it every few thousand samples. */
enum err source_ctx_check(const struct source_ctx *ctx) MUST_USE;

enum source_projection {
    SOURCE_ALL,             /* whole histograms */
    SOURCE_HISTOGRAM_STATS, /* count and sum suffice */
    SOURCE_SERIES_ONLY,     /* labels; cursors are NULL */
};

/* Advice; an implementation may ignore any of it but the shard. */
struct source_hints {
    int64_t step_ms, range_ms;
    struct slice function;        /* "rate" ... of the innermost call, else empty */
    const struct slice *grouping; /* labels of the aggregation around, if any */
    uint32_t grouping_count;
    bool grouping_by;                  /* by, else without */
    uint32_t limit;                    /* series; 0: all */
    uint32_t shard_index, shard_count; /* only series with hash.lo % count == index; count 0: all */
    enum source_projection projection;
    /* A series, its cursor too, is used until the next one is asked for and not longer: what it
     * took may be used again, so that memory does not grow with the number of series. */
    bool one_at_a_time;
};

enum { SOURCE_BATCH = 128 };

/* One kind per batch. Times strictly increase within and over batches. */
struct sample_columns {
    uint32_t count;
    enum sample_kind kind;
    int64_t t_ms[SOURCE_BATCH];
    const int64_t *start_t_ms; /* [count], or NULL when none is known */
    union {
        double v[SOURCE_BATCH];
        const struct histogram *histograms[SOURCE_BATCH]; /* with their reset hints */
    };
};

struct sample_cursor {
    const struct sample_cursor_ops *ops;
    enum err err; /* sticky; look at it once next has said false */
};

struct sample_cursor_ops {
    /* Samples of [t_min, t_max] of the select, stale markers included. false at the end or on
     * error. */
    bool (*next)(struct sample_cursor *cursor, struct sample_columns *columns);
    /* Skips to the first sample at or after t_ms; only forward. */
    void (*seek)(struct sample_cursor *cursor, int64_t t_ms);
};

struct source_series {
    struct label_set labels;
    struct hash128 hash;
    struct sample_cursor
        *cursor; /* only one of a stream is used at a time unless the stream says otherwise */
};

/* How much of what was asked did answer. */
struct source_coverage {
    uint32_t shards_asked, shards_answered;
};

struct series_stream {
    const struct series_stream_ops *ops;
    enum err err; /* sticky */
    struct err_info info;
    struct source_coverage coverage;
};

struct series_stream_ops {
    /* Sorted by labels, each label set once. Cursors given before stay usable until the arena's
     * reset. */
    bool (*next)(struct series_stream *stream, struct source_series *series);
};

struct source_estimate {
    uint64_t series, samples, bytes;
};

struct source {
    const struct source_ops *ops;
};

/* A list of matcher lists: series that meet all matchers of any of them. count 0: all series. */
struct matcher_list {
    const struct matcher *items;
    uint32_t count;
};

typedef enum err source_text_fn(void *owner, struct slice text);
typedef enum err source_exemplar_fn(void *owner, struct label_set series,
                                    const struct exemplar *exemplar);
typedef enum err source_metadata_fn(void *owner, const struct metadata *metadata);

struct source_ops {
    /* Times are inclusive. Everything is read at one committed watermark. hints may be NULL. */
    enum err (*select)(struct source *source, struct source_ctx *ctx, struct matcher_list matchers,
                       int64_t t_min, int64_t t_max, const struct source_hints *hints,
                       struct series_stream **stream, struct err_info *info);
    /* Sorted, each once; fn borrows; an error from fn ends the walk and is returned. */
    enum err (*label_names)(struct source *source, struct source_ctx *ctx,
                            struct matcher_list matchers, int64_t t_min, int64_t t_max,
                            source_text_fn *fn, void *owner);
    enum err (*label_values)(struct source *source, struct source_ctx *ctx, struct slice name,
                             struct matcher_list matchers, int64_t t_min, int64_t t_max,
                             source_text_fn *fn, void *owner);
    enum err (*exemplars)(struct source *source, struct source_ctx *ctx,
                          struct matcher_list matchers, int64_t t_min, int64_t t_max,
                          source_exemplar_fn *fn, void *owner);
    enum err (*metadata)(struct source *source, struct source_ctx *ctx, struct slice metric,
                         source_metadata_fn *fn, void *owner);
    /* From statistics alone: cheap, rough, never an error of its own. */
    enum err (*estimate)(struct source *source, struct source_ctx *ctx,
                         struct matcher_list matchers, int64_t t_min, int64_t t_max,
                         struct source_estimate *estimate);
};

static inline bool series_stream_next(struct series_stream *stream, struct source_series *series)
{
    return stream->ops->next(stream, series);
}

static inline bool sample_cursor_next(struct sample_cursor *cursor, struct sample_columns *columns)
{
    return cursor->ops->next(cursor, columns);
}

static inline void sample_cursor_seek(struct sample_cursor *cursor, int64_t t_ms)
{
    cursor->ops->seek(cursor, t_ms);
}
