/* SPDX-License-Identifier: Apache-2.0 */

/* topk, bottomk, limitk and limit_ratio: some elements of each group, as they are.
 *
 * The input is read once, in order. topk and bottomk keep one heap of at most k values for each
 * group and step, so what is held depends on k, not on how many series there are; series that are
 * picked somewhere are then held whole. limitk counts, limit_ratio decides by a hash of the labels
 * (xxh3 with a fixed key: the same series on every machine, but others than upstream's). */

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "promql/stage.h"

struct pick_entry {
    double v;
    uint32_t series;
};

struct pick_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    enum promql_aggregator op;
    struct promql_stage *child;
    struct promql_scalar_arg param;
    uint32_t *groups; /* [child's series] */
    uint32_t group_count;
    double *params; /* [steps] */
    bool is_read;
    /* Cells: [group][step]. */
    uint32_t *counts;
    struct pick_entry *entries; /* [cell_first(cell)...] heaps */
    size_t *entry_first;        /* [groups] */
    uint32_t *entry_cap;        /* [groups] entries of a step */
    struct promql_held **held;  /* [child's series] what was picked; NULL: nothing */
    uint32_t *order;            /* [series_count] of an instant: the child's series; NULL: all */
    struct promql_column column;
};

/* ---- parameters ---- */

static enum err fail_param(struct pick_stage *self, const char *what, double v)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t len = number_format_double(text, v, NUMBER_G);

    return err_set(self->stage.eval->info, ERR_EXEC, "Scalar value %.*s %s int64", (int)len, text,
                   what);
}

static void warn_ratio(struct pick_stage *self, double ratio)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t len = number_format_double(text, ratio, NUMBER_G);

    promql_eval_warn(self->stage.eval, self->expr->aggregate.param,
                     "ratio value should be between -1 and 1, got %.*s, capping to %d", (int)len,
                     text, ratio > 0 ? 1 : -1);
}

static enum err check_params(struct pick_stage *self)
{
    const bool is_ratio = self->op == PROMQL_LIMIT_RATIO;
    double least = INFINITY, greatest = -INFINITY;

    for (uint32_t i = 0; i < self->stage.grid->count; i++) {
        if (isnan(self->params[i]))
            return err_set(self->stage.eval->info, ERR_EXEC, "%s value is NaN",
                           is_ratio ? "Ratio" : "Parameter");
        least = fmin(least, self->params[i]);
        greatest = fmax(greatest, self->params[i]);
    }
    if (is_ratio && greatest > 1)
        warn_ratio(self, greatest);
    if (is_ratio && least < -1)
        warn_ratio(self, least);
    if (is_ratio || greatest < 1)
        return ERR_OK;
    if (least <= -9223372036854775808.0)
        return fail_param(self, "underflows", least);
    if (greatest >= 9223372036854775808.0)
        return fail_param(self, "overflows", greatest);
    return ERR_OK;
}

static enum err read_params(struct pick_stage *self)
{
    struct promql_eval *eval = self->stage.eval;

    self->params = ARENA_ARRAY(eval->arena, double, self->stage.grid->count);
    if (self->params == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
        const enum err err = promql_scalar_arg_load(&self->param, w);

        if (err != ERR_OK)
            return err;
        memcpy(self->params + (size_t)w * PROMQL_WINDOW, self->param.column.v,
               self->param.column.count * sizeof(double));
    }
    return check_params(self);
}

/* How many of a group of `size` a step keeps. */
static uint32_t limit_at(const struct pick_stage *self, uint32_t step, uint32_t size)
{
    const double k = self->params[step];

    return k < 1 ? 0 : k < size ? (uint32_t)k : size;
}

/* ---- heaps: the worst is on top, and NaN is worse than anything ---- */

static bool is_worse(const struct pick_stage *self, struct pick_entry a, struct pick_entry b)
{
    return isnan(a.v) || (self->op == PROMQL_TOPK ? a.v < b.v : a.v > b.v);
}

static void swap(struct pick_entry *a, struct pick_entry *b)
{
    const struct pick_entry held = *a;

    *a = *b;
    *b = held;
}

static void sift_up(const struct pick_stage *self, struct pick_entry *heap, uint32_t at)
{
    while (at > 0 && is_worse(self, heap[at], heap[(at - 1) / 2])) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(const struct pick_stage *self, struct pick_entry *heap, uint32_t count)
{
    uint32_t at = 0;

    while (at * 2 + 1 < count) {
        uint32_t below = at * 2 + 1;

        if (below + 1 < count && is_worse(self, heap[below + 1], heap[below]))
            below++;
        if (!is_worse(self, heap[below], heap[at]))
            return;
        swap(&heap[below], &heap[at]);
        at = below;
    }
}

static void offer(struct pick_stage *self, uint32_t group, uint32_t step, struct pick_entry entry)
{
    const uint32_t cap = self->entry_cap[group];
    const uint32_t limit = limit_at(self, step, cap);
    uint32_t *count = &self->counts[(size_t)group * self->stage.grid->count + step];
    struct pick_entry *heap = self->entries + self->entry_first[group] + (size_t)step * cap;

    if (*count < limit) {
        heap[(*count)++] = entry;
        sift_up(self, heap, *count - 1);
    } else if (limit != 0 && (isnan(heap[0].v)          ? !isnan(entry.v)
                              : self->op == PROMQL_TOPK ? heap[0].v < entry.v
                                                        : heap[0].v > entry.v)) {
        heap[0] = entry;
        sift_down(self, heap, limit);
    }
}

enum { INSERTION_MAX = 12 };

/* Best first. Few are sorted by insertion, as upstream has it: that keeps equal ones in its order.
 */
static void sort_heap(const struct pick_stage *self, struct pick_entry *heap, uint32_t count)
{
    for (uint32_t i = 1; i < count && count <= INSERTION_MAX; i++) {
        for (uint32_t k = i; k > 0 && is_worse(self, heap[k - 1], heap[k]); k--)
            swap(&heap[k - 1], &heap[k]);
    }
    for (uint32_t left = count; left > 1 && count > INSERTION_MAX; left--) {
        swap(&heap[0], &heap[left - 1]);
        sift_down(self, heap, left - 1);
    }
}

/* ---- reading ---- */

static enum err hold_of(struct pick_stage *self, uint32_t series, struct promql_held **held)
{
    struct promql_eval *eval = self->stage.eval;

    if (self->held[series] == NULL) {
        enum err err;

        self->held[series] = ARENA_NEW(eval->arena, struct promql_held);
        if (self->held[series] == NULL)
            return promql_eval_no_room(eval);
        err = promql_held_init(self->held[series], eval, self->stage.grid);
        if (err != ERR_OK)
            return err;
    }
    *held = self->held[series];
    return ERR_OK;
}

static void offer_column(struct pick_stage *self, struct promql_cell at)
{
    struct promql_column *column = &self->column;

    if (column->has_histograms) {
        const uint32_t count = promql_column_present_count(column);

        promql_column_drop_histograms(column);
        if (count != promql_column_present_count(column))
            promql_eval_info(self->stage.eval, self->expr, "ignored histogram in %s aggregation",
                             promql_aggregator_text(self->op));
    }
    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i))
            offer(self, self->groups[at.series], at.window * PROMQL_WINDOW + i,
                  (struct pick_entry){column->v[i], at.series});
    }
}

/* Keeps the steps at which the group's first k are not yet complete. */
static enum err limit_column(struct pick_stage *self, struct promql_cell at)
{
    struct promql_column *column = &self->column;
    uint32_t *counts = self->counts + (size_t)self->groups[at.series] * self->stage.grid->count;
    struct promql_held *held;
    uint32_t clash;
    enum err err;

    for (uint32_t i = 0; i < column->count; i++) {
        const uint32_t step = at.window * PROMQL_WINDOW + i;

        if (!promql_column_has(column, i))
            continue;
        if (counts[step] < limit_at(self, step, UINT32_MAX))
            counts[step]++;
        else
            column->present[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    if (promql_column_is_empty(column))
        return ERR_OK;
    err = hold_of(self, at.series, &held);
    if (err != ERR_OK)
        return err;
    return promql_held_add(held, self->stage.eval, at.window, column, &clash);
}

static enum err read_series(struct pick_stage *self)
{
    for (uint32_t i = 0; i < self->child->series_count; i++) {
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
            const struct promql_cell at = {i, w};
            enum err err = promql_stage_column(self->child, at, &self->column);

            if (err == ERR_OK && self->op == PROMQL_LIMITK)
                err = limit_column(self, at);
            else if (err == ERR_OK)
                offer_column(self, at);
            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* Moves what the heaps hold to the series it is of. */
static enum err spread_heaps(struct pick_stage *self)
{
    const uint32_t steps = self->stage.grid->count;

    for (uint32_t g = 0; g < self->group_count; g++) {
        for (uint32_t s = 0; s < steps; s++) {
            struct pick_entry *heap =
                self->entries + self->entry_first[g] + (size_t)s * self->entry_cap[g];

            for (uint32_t i = 0; i < self->counts[(size_t)g * steps + s]; i++) {
                struct promql_held *held;
                const enum err err = hold_of(self, heap[i].series, &held);

                if (err != ERR_OK)
                    return err;
                held->present[s / 64] |= UINT64_C(1) << (s % 64);
                held->v[s] = heap[i].v;
            }
        }
    }
    return ERR_OK;
}

static enum err make_heaps(struct pick_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t steps = self->stage.grid->count;
    uint32_t greatest = 0;
    size_t total = 0;
    enum err err;

    self->entry_first = ARENA_ARRAY(eval->arena, size_t, self->group_count);
    self->entry_cap = ARENA_ARRAY(eval->arena, uint32_t, self->group_count);
    if (self->entry_first == NULL || self->entry_cap == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < self->child->series_count; i++)
        self->entry_cap[self->groups[i]]++;
    for (uint32_t s = 0; s < steps; s++) {
        const uint32_t limit = limit_at(self, s, UINT32_MAX);

        greatest = limit > greatest ? limit : greatest;
    }
    for (uint32_t g = 0; g < self->group_count; g++) {
        if (self->entry_cap[g] > greatest)
            self->entry_cap[g] = greatest;
        self->entry_first[g] = total;
        total += (size_t)self->entry_cap[g] * steps;
    }
    err = promql_eval_hold(eval, total);
    if (err != ERR_OK)
        return err;
    self->entries = arena_alloc(eval->arena, total * sizeof(*self->entries));
    return self->entries == NULL ? promql_eval_no_room(eval) : ERR_OK;
}

static enum err pick_read(struct pick_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const bool has_heaps = self->op == PROMQL_TOPK || self->op == PROMQL_BOTTOMK;
    enum err err;

    self->is_read = true;
    err = read_params(self);
    if (err != ERR_OK || self->op == PROMQL_LIMIT_RATIO)
        return err;
    self->counts =
        ARENA_ARRAY(eval->arena, uint32_t, (size_t)self->group_count * self->stage.grid->count);
    self->held = ARENA_ARRAY(eval->arena, struct promql_held *, self->child->series_count);
    if (self->counts == NULL || self->held == NULL)
        return promql_eval_no_room(eval);
    if (has_heaps)
        err = make_heaps(self);
    if (err == ERR_OK)
        err = read_series(self);
    if (err == ERR_OK && has_heaps)
        err = spread_heaps(self);
    return err;
}

/* ---- the operator ---- */

static bool is_in_ratio(double place, double ratio)
{
    return ratio >= 0 ? place < fmin(ratio, 1) : place >= 1 + fmax(ratio, -1);
}

/* Where a series lies in [0, 1). */
static double place_of(struct label_set labels)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {0};
    struct hash_key key;

    hash_key_init(&key, seed);
    return (double)(series_hash(&key, (struct slice){0}, labels).lo >> 11) * 0x1p-53;
}

static enum err ratio_column(struct pick_stage *self, struct promql_cell cell,
                             struct promql_column *out)
{
    const double place = place_of(self->child->labels[cell.series]);
    const enum err err = promql_stage_column(self->child, cell, out);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < out->count; i++) {
        if (!is_in_ratio(place, self->params[(size_t)cell.window * PROMQL_WINDOW + i]))
            out->present[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    return ERR_OK;
}

static enum err pick_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct pick_stage *self = (struct pick_stage *)stage;
    uint32_t series = cell.series;

    if (!self->is_read) {
        const enum err err = pick_read(self);

        if (err != ERR_OK)
            return err;
    }
    if (self->op == PROMQL_LIMIT_RATIO)
        return ratio_column(self, cell, out);
    if (self->order != NULL)
        series = self->order[series];
    if (self->held[series] != NULL)
        return promql_held_get(self->held[series], stage->eval, cell.window, out);
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    memset(out->v, 0, out->count * sizeof(*out->v));
    return ERR_OK;
}

static const struct promql_stage_ops pick_ops = {.column = pick_column};

/* An instant's elements come group by group, the best first. */
static enum err order_instant(struct pick_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->child->series_count;
    struct label_set *labels = arena_alloc(eval->arena, count * sizeof(*labels));
    uint32_t picked = 0;
    enum err err;

    self->order = arena_alloc(eval->arena, count * sizeof(*self->order));
    if (labels == NULL || self->order == NULL)
        return promql_eval_no_room(eval);
    err = pick_read(self);
    if (err != ERR_OK)
        return err;
    for (uint32_t g = 0; g < self->group_count; g++) {
        struct pick_entry *heap = self->entries + self->entry_first[g];

        sort_heap(self, heap, self->counts[g]);
        for (uint32_t i = 0; i < self->counts[g]; i++) {
            self->order[picked] = heap[i].series;
            labels[picked++] = self->child->labels[heap[i].series];
        }
    }
    self->stage.labels = labels;
    self->stage.series_count = picked;
    return ERR_OK;
}

enum err promql_pick_new(struct promql_eval *eval, const struct promql_expr *expr,
                         struct promql_operands operands, struct promql_stage **out)
{
    struct pick_stage *self = ARENA_NEW(eval->arena, struct pick_stage);
    struct promql_stage *child = operands.lhs;
    struct promql_index index;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){&pick_ops,           eval, child->grid, child->labels,
                                        child->series_count, true};
    self->expr = expr;
    self->op = expr->aggregate.op;
    self->child = child;
    promql_scalar_arg_init(&self->param, operands.rhs);
    err = promql_aggregate_group(child, expr, &index, &self->groups);
    if (err != ERR_OK)
        return err;
    self->group_count = index.count;
    *out = &self->stage;
    if (child->grid->count == 1 && (self->op == PROMQL_TOPK || self->op == PROMQL_BOTTOMK))
        return order_instant(self);
    /* A wrong parameter is a fault even if there is nothing to pick from. */
    return child->series_count == 0 ? pick_read(self) : ERR_OK;
}
