/* SPDX-License-Identifier: Apache-2.0 */

/* The small operators: constants, evaluation times, repeated single steps, signs, merging. */

#include "promql/stage.h"
#include "model/histogram_math.h"

static const struct label_set no_labels = {0};

/* ---- constants and times ---- */

struct constant_stage {
    struct promql_stage stage;
    double v;
};

static enum err constant_column(struct promql_stage *stage, struct promql_cell cell,
                                struct promql_column *out)
{
    const struct constant_stage *self = (struct constant_stage *)stage;

    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    promql_column_set_all(out);
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = self->v;
    return ERR_OK;
}

static enum err time_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    const uint32_t first = cell.window * PROMQL_WINDOW;

    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    promql_column_set_all(out);
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = (double)promql_grid_time(stage->grid, first + i) / 1000;
    return ERR_OK;
}

static const struct promql_stage_ops constant_ops = {.column = constant_column};
static const struct promql_stage_ops time_ops = {.column = time_column};

enum err promql_constant_new(struct promql_eval *eval, const struct promql_grid *grid, double v,
                             struct promql_stage **out)
{
    struct constant_stage *self = ARENA_NEW(eval->arena, struct constant_stage);

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){&constant_ops, eval, grid, &no_labels, 1, false};
    self->v = v;
    *out = &self->stage;
    return ERR_OK;
}

enum err promql_time_new(struct promql_eval *eval, const struct promql_grid *grid,
                         struct promql_stage **out)
{
    struct promql_stage *self = ARENA_NEW(eval->arena, struct promql_stage);

    if (self == NULL)
        return promql_eval_no_room(eval);
    *self = (struct promql_stage){&time_ops, eval, grid, &no_labels, 1, false};
    *out = self;
    return ERR_OK;
}

/* ---- step-invariant parts ---- */

struct invariant_stage {
    struct promql_stage stage;
    struct promql_stage *child;
    struct promql_column once; /* the child's only step of the series under way */
};

static enum err invariant_column(struct promql_stage *stage, struct promql_cell cell,
                                 struct promql_column *out)
{
    struct invariant_stage *self = (struct invariant_stage *)stage;

    if (cell.window == 0) {
        const enum err err = promql_stage_column(self->child, cell, &self->once);

        if (err != ERR_OK)
            return err;
    }
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = self->once.v[0];
    if (!promql_column_has(&self->once, 0))
        return ERR_OK;
    promql_column_set_all(out);
    if (promql_column_histogram(&self->once, 0) != NULL) {
        const struct histogram **histograms = promql_column_histograms(stage->eval, out);

        if (histograms == NULL)
            return promql_eval_no_room(stage->eval);
        for (uint32_t i = 0; i < out->count; i++)
            histograms[i] = self->once.histograms[0];
    }
    return ERR_OK;
}

static const struct promql_stage_ops invariant_ops = {.column = invariant_column};

enum err promql_invariant_new(struct promql_eval *eval, const struct promql_grid *grid,
                              struct promql_stage *child, struct promql_stage **out)
{
    struct invariant_stage *self = ARENA_NEW(eval->arena, struct invariant_stage);

    ASSERT(child->grid->count == 1);
    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){
        &invariant_ops, eval, grid, child->labels, child->series_count, child->may_fault};
    self->child = child;
    *out = &self->stage;
    return ERR_OK;
}

/* ---- unary minus ---- */

struct negate_stage {
    struct promql_stage stage;
    struct promql_stage *child;
};

static enum err negate_column(struct promql_stage *stage, struct promql_cell cell,
                              struct promql_column *out)
{
    struct negate_stage *self = (struct negate_stage *)stage;
    enum err err = promql_stage_column(self->child, cell, out);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = -out->v[i];
    for (uint32_t i = 0; i < out->count && out->has_histograms && err == ERR_OK; i++) {
        if (promql_column_has(out, i) && out->histograms[i] != NULL)
            err = promql_column_add_histogram(
                stage->eval, out, i,
                histogram_multiplied(stage->eval->arena, out->histograms[i], -1));
    }
    return err;
}

static const struct promql_stage_ops negate_ops = {.column = negate_column};

enum err promql_negate_new(struct promql_eval *eval, struct promql_stage *child,
                           struct promql_stage **out)
{
    struct negate_stage *self = ARENA_NEW(eval->arena, struct negate_stage);
    struct label_set *labels;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    err = promql_labels_drop_metadata(eval, child->labels, child->series_count, &labels);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        &negate_ops, eval, child->grid, labels, child->series_count, child->may_fault};
    self->child = child;
    return promql_merge_new(eval, &self->stage, false, out);
}

/* ---- merging of series with equal labels ---- */

struct merge_stage {
    struct promql_stage stage;
    struct promql_stage *child;
    bool is_strict;
    uint32_t *first; /* [series_count] the first of the child's series */
    uint32_t *next;  /* [child's count] the next one with equal labels, or NONE */
    struct promql_held held;
    struct promql_column column;
};

#define NONE UINT32_MAX

static enum err merge_clash(struct promql_eval *eval)
{
    return err_set(eval->info, ERR_EXEC, "vector cannot contain metrics with the same labelset");
}

/* Holds all steps of the series that make one. */
static enum err merge_hold(struct merge_stage *self, uint32_t series)
{
    struct promql_eval *eval = self->stage.eval;
    uint32_t with_values = 0;
    enum err err = promql_held_init(&self->held, eval, self->stage.grid);

    for (uint32_t i = self->first[series]; i != NONE && err == ERR_OK; i = self->next[i]) {
        bool has_values = false;

        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid) && err == ERR_OK; w++) {
            uint32_t clash = PROMQL_NO_CLASH;

            err = promql_stage_column(self->child, (struct promql_cell){i, w}, &self->column);
            if (err != ERR_OK)
                return err;
            has_values |= !promql_column_is_empty(&self->column);
            err = promql_held_add(&self->held, eval, w, &self->column, &clash);
            if (err == ERR_OK && clash != PROMQL_NO_CLASH)
                return merge_clash(eval);
        }
        with_values += has_values;
        if (self->is_strict && with_values > 1)
            return merge_clash(eval);
    }
    return err;
}

static enum err merge_column(struct promql_stage *stage, struct promql_cell cell,
                             struct promql_column *out)
{
    struct merge_stage *self = (struct merge_stage *)stage;
    const uint32_t first = self->first[cell.series];

    if (self->next[first] == NONE)
        return promql_stage_column(self->child, (struct promql_cell){first, cell.window}, out);
    if (cell.window == 0) {
        const enum err err = merge_hold(self, cell.series);

        if (err != ERR_OK)
            return err;
    }
    if (cell.window + 1 == promql_grid_windows(stage->grid))
        promql_eval_release(stage->eval, stage->grid->count);
    return promql_held_get(&self->held, stage->eval, cell.window, out);
}

static const struct promql_stage_ops merge_ops = {.column = merge_column};

/* Chains of equal series, in order. */
static enum err merge_link(struct merge_stage *self, const struct promql_index *index,
                           const uint32_t *numbers)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->child->series_count;

    self->first = arena_alloc(eval->arena, index->count * sizeof(uint32_t));
    self->next = arena_alloc(eval->arena, count * sizeof(uint32_t));
    if (self->first == NULL || self->next == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < index->count; i++)
        self->first[i] = NONE;
    for (uint32_t i = count; i-- > 0;) {
        self->next[i] = self->first[numbers[i]];
        self->first[numbers[i]] = i;
    }
    return ERR_OK;
}

enum err promql_merge_new(struct promql_eval *eval, struct promql_stage *child, bool is_strict,
                          struct promql_stage **out)
{
    struct promql_index index;
    struct merge_stage *self;
    uint32_t *numbers = arena_alloc(eval->arena, child->series_count * sizeof(uint32_t));
    enum err err;

    if (numbers == NULL)
        return promql_eval_no_room(eval);
    promql_index_init(&index, eval);
    for (uint32_t i = 0; i < child->series_count; i++) {
        err = promql_index_add(&index, child->labels[i], &numbers[i]);
        if (err != ERR_OK)
            return err;
    }
    *out = child;
    if (index.count == child->series_count)
        return ERR_OK;
    self = ARENA_NEW(eval->arena, struct merge_stage);
    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage =
        (struct promql_stage){&merge_ops, eval, child->grid, index.sets, index.count, true};
    self->child = child;
    self->is_strict = is_strict;
    err = merge_link(self, &index, numbers);
    if (err != ERR_OK)
        return err;
    *out = &self->stage;
    return ERR_OK;
}
