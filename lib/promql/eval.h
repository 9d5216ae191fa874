/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The shape of evaluation, for the files of this folder.
 *
 *   plan: syntax tree -> tree of operators
 *   pull: stage->column(series, window) -> up to 1,024 steps of one series
 *
 * An operator knows its series (labels) once it is made, before any sample is read. It is then
 * asked series by series, and within one window by window from the first: that order lets a
 * selector decode each series once and hold nothing but its last batch. Who needs several series at
 * once (aggregations, matching) holds their columns and accounts for them.
 *
 * Ownership: everything lives in the query's arena. Threads: one at a time. */

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/histogram_sum.h"
#include "model/query.h"
#include "model/source.h"
#include "promql/ast.h"
#include "promql/engine.h"

enum {
    PROMQL_WINDOW = 1024,
    PROMQL_WINDOW_WORDS = PROMQL_WINDOW / 64,
    PROMQL_STEPS_MAX = 1000000,
    PROMQL_TICKS = 32, /* batches and windows between two looks at the deadline */
};

/* The steps of a (sub)query. */
struct promql_grid {
    int64_t start_ms, step_ms; /* step > 0 */
    uint32_t count;            /* >= 1 */
};

/* An annotation on its way to the result. */
struct promql_note {
    struct promql_note *next;
    struct slice text; /* without place */
    uint32_t offset;   /* of the part of the query that it is about */
    bool is_warning;
};

struct promql_eval {
    const struct promql_engine_options *options;
    const struct query_options *query;
    struct arena *arena;
    struct source_ctx ctx;
    struct err_info *info;
    struct hash_key key;
    struct promql_grid grid;
    int64_t lookback_ms;
    int64_t subquery_step_ms; /* of [range:] */
    uint64_t samples_held, samples_max;
    uint32_t ticks; /* batches and windows since the deadline was looked at */
    struct promql_note *notes;
    struct histogram_scratch histogram_scratch; /* for all sums of histograms */
    struct histogram_sum histogram_sum;         /* for one that is used up at once */
    struct histogram_mean histogram_mean;       /* the same */
};

/* Steps of one window of one series. Values of steps that are not present are undefined but
 * initialised. */
struct promql_column {
    uint32_t count;
    bool has_histograms;
    const struct histogram **histograms; /* PROMQL_WINDOW of them, or NULL; a step that is present
                                            and has one here is a histogram. Read it only with
                                            has_histograms */
    uint64_t present[PROMQL_WINDOW_WORDS];
    double v[PROMQL_WINDOW];
};

/* Which part of an operator's output. */
struct promql_cell {
    uint32_t series, window;
};

struct promql_stage;
struct promql_stage_ops {
    enum err (*column)(struct promql_stage *stage, struct promql_cell cell,
                       struct promql_column *out);
};

struct promql_stage {
    const struct promql_stage_ops *ops;
    struct promql_eval *eval;
    const struct promql_grid *grid;
    const struct label_set *labels; /* [series_count], each set once */
    uint32_t series_count;
    /* Computing a series may end in an error or an annotation that a person should see: who does
     * not need a series pulls it all the same. */
    bool may_fault;
};

/* ---- the evaluation as a whole (eval.c) ---- */

/* Accounts for samples held at once. ERR_LIMIT: too many. */
enum err promql_eval_hold(struct promql_eval *eval, uint64_t count) MUST_USE;
void promql_eval_release(struct promql_eval *eval, uint64_t count);
/* ERR_LIMIT with a text, because the arena has no room. */
enum err promql_eval_no_room(struct promql_eval *eval);
/* ERR_EXEC: "WHAT is not supported yet (line:col)". */
enum err promql_eval_unsupported(struct promql_eval *eval, const struct promql_expr *expr,
                                 const char *what);
/* ERR_DEADLINE or ERR_CANCELLED with a text, when the query should stop. */
enum err promql_eval_check(struct promql_eval *eval) MUST_USE;
/* The same for what is done often: looks every PROMQL_TICKS calls. */
static inline enum err promql_eval_tick(struct promql_eval *eval)
{
    return ++eval->ticks >= PROMQL_TICKS ? promql_eval_check(eval) : ERR_OK;
}
/* Notes "PromQL info: TEXT (line:col)". Of equal texts the last place counts, as upstream has it.
 */
void promql_eval_info(struct promql_eval *eval, const struct promql_expr *expr, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/* The same with "PromQL warning: TEXT (line:col)". */
void promql_eval_warn(struct promql_eval *eval, const struct promql_expr *expr, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));
/* Either, with a metric's name at its end: TEXT "NAME". */
struct promql_named_note {
    bool is_warning;
    const char *text;
    struct slice name; /* empty: "" */
};
void promql_eval_note_name(struct promql_eval *eval, const struct promql_expr *expr,
                           const struct promql_named_note *note);
/* Hands what was noted to the result. */
void promql_eval_annotate(struct promql_eval *eval);

/* The one way to pull an operator. It counts as a tick, since a grid may have billions of steps
 * without a single sample. */
static inline enum err promql_stage_column(struct promql_stage *stage, struct promql_cell cell,
                                           struct promql_column *out)
{
    const enum err err = promql_eval_tick(stage->eval);

    return err != ERR_OK ? err : stage->ops->column(stage, cell, out);
}

/* a - b, kept within int64. */
int64_t promql_time_sub(int64_t a, int64_t b);
static inline uint32_t promql_grid_windows(const struct promql_grid *grid)
{
    return (grid->count + PROMQL_WINDOW - 1) / PROMQL_WINDOW;
}
static inline uint32_t promql_grid_window_count(const struct promql_grid *grid, uint32_t window)
{
    const uint32_t first = window * PROMQL_WINDOW;

    return grid->count - first < PROMQL_WINDOW ? grid->count - first : PROMQL_WINDOW;
}
static inline int64_t promql_grid_time(const struct promql_grid *grid, uint32_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

/* ---- columns (column.c) ---- */

/* Makes out a column of count steps with nothing present; its histogram array is kept. */
void promql_column_clear(struct promql_column *out, uint32_t count);
/* All steps present. */
void promql_column_set_all(struct promql_column *out);
/* The array for histograms, all NULL; taken from the arena the first time. NULL: no room. */
const struct histogram **promql_column_histograms(struct promql_eval *eval,
                                                  struct promql_column *out);
static inline uint32_t promql_column_words(const struct promql_column *column)
{
    return (column->count + 63) / 64;
}
static inline bool promql_column_has(const struct promql_column *column, uint32_t step)
{
    return (column->present[step / 64] >> (step % 64) & 1) != 0;
}
/* The histogram of a step that is present; NULL: it is a float. */
static inline const struct histogram *promql_column_histogram(const struct promql_column *column,
                                                              uint32_t step)
{
    return column->has_histograms ? column->histograms[step] : NULL;
}
static inline void promql_column_remove(struct promql_column *column, uint32_t step)
{
    column->present[step / 64] &= ~(UINT64_C(1) << (step % 64));
}
static inline void promql_column_add(struct promql_column *column, uint32_t step, double v)
{
    column->present[step / 64] |= UINT64_C(1) << (step % 64);
    column->v[step] = v;
}
/* ERR_LIMIT: no room, or histogram is NULL because there was none. */
enum err promql_column_add_histogram(struct promql_eval *eval, struct promql_column *out,
                                     uint32_t step, const struct histogram *histogram) MUST_USE;
/* Steps with histograms become empty. */
void promql_column_drop_histograms(struct promql_column *column);
bool promql_column_is_empty(const struct promql_column *column);
uint32_t promql_column_present_count(const struct promql_column *column);

/* All steps of one series, held. */
struct promql_held {
    const struct promql_grid *grid;
    uint64_t *present; /* whole windows of words */
    double *v;
    const struct histogram **histograms; /* NULL if none */
};

enum err promql_held_init(struct promql_held *held, struct promql_eval *eval,
                          const struct promql_grid *grid) MUST_USE;
/* Adds a column's steps. *clash is set to the first step that was there already, if any. */
enum err promql_held_add(struct promql_held *held, struct promql_eval *eval, uint32_t window,
                         const struct promql_column *column, uint32_t *clash) MUST_USE;
enum err promql_held_get(const struct promql_held *held, struct promql_eval *eval, uint32_t window,
                         struct promql_column *out) MUST_USE;
enum { PROMQL_NO_CLASH = UINT32_MAX };

/* ---- samples of a series (feed.c) ---- */

/* Reads a cursor batch by batch. */
struct promql_feed {
    struct promql_eval *eval;
    struct sample_cursor *cursor; /* NULL: no samples */
    uint32_t at;                  /* the next sample of the batch */
    bool is_done;
    enum err err;
    int64_t last_t_ms; /* of the newest batch; INT64_MIN before the first */
    struct sample_columns batch;
};

void promql_feed_init(struct promql_feed *feed, struct promql_eval *eval,
                      struct sample_cursor *cursor);
/* Loads the next batch when the last one is used up; false at the end or on error. Samples before
 * wanted_ms may be skipped. */
bool promql_feed_load(struct promql_feed *feed, int64_t wanted_ms);

/* ---- selecting (select.c) ---- */

/* Where a selector looks: its times after @ and offset. */
struct promql_lens {
    int64_t offset_ms;
    bool is_pinned;
    int64_t pinned_ms; /* of @ */
};

/* What a selector needs to know of where it stands. */
struct promql_select {
    const struct promql_expr *selector;
    struct promql_lens lens;
    int64_t range_ms; /* 0: an instant selector */
    struct slice function;
    const struct promql_aggregate *around; /* may be NULL */
    bool gives_times; /* an instant selector: seconds of the samples instead of their values */
    const char *floats_only; /* not NULL: a histogram is an error of this name */
};

struct promql_series_list {
    const struct label_set *labels;
    struct sample_cursor **cursors;
    uint32_t count;
};

/* The series under a function of ranges, and what of them it looks at. */
struct promql_range_input {
    struct promql_series_list list;
    struct promql_lens lens;
    int64_t range_ms;
    bool may_fault;
};

static inline int64_t promql_lens_time(const struct promql_lens *lens,
                                       const struct promql_grid *grid, uint32_t step)
{
    return promql_time_sub(lens->is_pinned ? lens->pinned_ms : promql_grid_time(grid, step),
                           lens->offset_ms);
}

/* Asks the source; all series of the selector with their cursors. */
enum err promql_select_series(struct promql_eval *eval, const struct promql_select *select,
                              const struct promql_grid *grid,
                              struct promql_series_list *out) MUST_USE;
