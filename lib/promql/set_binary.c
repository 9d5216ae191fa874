/* SPDX-License-Identifier: Apache-2.0 */

/* and, or, unless. One side decides, at which steps a group of equal labels has a value: the right
 * one for `and` and `unless`, the left one for `or`; it is read first, into one bit per group and
 * step. The other side is filtered by those bits as it streams by.
 *
 * `or` gives its left side too, so what it reads there is held, if the right side has anything of
 * the same group; the rest of it streams. */

#include "promql/stage.h"

#define NONE UINT32_MAX

struct set_side {
    struct promql_stage *stage;
    uint32_t *group; /* [series] its group, or NONE: no series of the deciding side is like it */
};

struct set_binary_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    enum promql_op op;
    struct set_side deciding, filtered;
    uint32_t group_count;
    bool *is_wanted;  /* [groups] some filtered series asks for it */
    uint64_t **found; /* [groups] steps at which the deciding side has a value; NULL: nowhere */
    struct promql_held **held; /* or: [deciding series]; NULL: pulled when asked */
    bool is_prepared;
    struct promql_column column;
};

static enum err side_init(struct set_binary_stage *self, struct set_side *side,
                          struct promql_index *index, bool adds_groups)
{
    const struct promql_matching *matching = &self->expr->binary.matching;
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = side->stage->series_count;

    side->group = arena_alloc(eval->arena, count * sizeof(uint32_t));
    if (side->group == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < count; i++) {
        struct label_set labels;
        enum err err = promql_labels_match(eval, matching, side->stage->labels[i], &labels);

        side->group[i] = NONE;
        if (err == ERR_OK && adds_groups)
            err = promql_index_add(index, labels, &side->group[i]);
        else if (err == ERR_OK)
            promql_index_find(index, labels, &side->group[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err make_groups(struct set_binary_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    struct promql_index index;
    enum err err;

    promql_index_init(&index, eval);
    err = side_init(self, &self->deciding, &index, true);
    if (err == ERR_OK)
        err = side_init(self, &self->filtered, &index, false);
    if (err != ERR_OK)
        return err;
    self->group_count = index.count;
    self->is_wanted = ARENA_ARRAY(eval->arena, bool, index.count);
    self->found = ARENA_ARRAY(eval->arena, uint64_t *, index.count);
    self->held = ARENA_ARRAY(eval->arena, struct promql_held *, self->deciding.stage->series_count);
    if (self->is_wanted == NULL || self->found == NULL || self->held == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < self->filtered.stage->series_count; i++) {
        if (self->filtered.group[i] != NONE)
            self->is_wanted[self->filtered.group[i]] = true;
    }
    return ERR_OK;
}

static enum err find_steps(struct set_binary_stage *self, uint32_t group, uint32_t window)
{
    uint64_t **found = &self->found[group];
    uint64_t *words;

    if (*found == NULL) {
        *found = ARENA_ARRAY(self->stage.eval->arena, uint64_t,
                             (size_t)promql_grid_windows(self->stage.grid) * PROMQL_WINDOW_WORDS);
        if (*found == NULL)
            return promql_eval_no_room(self->stage.eval);
    }
    words = *found + (size_t)window * PROMQL_WINDOW_WORDS;
    for (uint32_t i = 0; i < promql_column_words(&self->column); i++)
        words[i] |= self->column.present[i];
    return ERR_OK;
}

/* Reads a series of the deciding side whole. */
static enum err decide(struct set_binary_stage *self, uint32_t series)
{
    const uint32_t group = self->deciding.group[series];
    struct promql_eval *eval = self->stage.eval;
    struct promql_held *held = NULL;
    enum err err = ERR_OK;

    if (self->op == PROMQL_OP_OR) {
        held = ARENA_NEW(eval->arena, struct promql_held);
        if (held == NULL)
            return promql_eval_no_room(eval);
        err = promql_held_init(held, eval, self->stage.grid);
        self->held[series] = held;
    }
    for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid) && err == ERR_OK; w++) {
        uint32_t clash;

        err = promql_stage_column(self->deciding.stage, (struct promql_cell){series, w},
                                  &self->column);
        if (err == ERR_OK && self->is_wanted[group])
            err = find_steps(self, group, w);
        if (err == ERR_OK && held != NULL)
            err = promql_held_add(held, eval, w, &self->column, &clash);
    }
    return err;
}

static enum err prepare(struct set_binary_stage *self)
{
    const struct set_side *side = &self->deciding;
    const bool sees_faults = side->stage->may_fault && self->op != PROMQL_OP_OR;

    self->is_prepared = true;
    for (uint32_t i = 0; i < side->stage->series_count; i++) {
        if (self->is_wanted[side->group[i]] || sees_faults) {
            const enum err err = decide(self, i);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* `and` keeps the steps that were found, the others keep the rest. */
static void filter(const struct set_binary_stage *self, uint32_t group, uint32_t window,
                   struct promql_column *out)
{
    const uint64_t *words = group == NONE ? NULL : self->found[group];
    const uint64_t turn = self->op == PROMQL_OP_AND ? 0 : UINT64_MAX;

    for (uint32_t i = 0; i < promql_column_words(out); i++)
        out->present[i] &=
            (words == NULL ? 0 : words[(size_t)window * PROMQL_WINDOW_WORDS + i]) ^ turn;
}

/* Nothing of a series without a partner passes `and`. */
static bool is_needed(const struct set_binary_stage *self, uint32_t series)
{
    const uint32_t group = self->filtered.group[series];

    return self->op != PROMQL_OP_AND || self->filtered.stage->may_fault ||
           (group != NONE && self->found[group] != NULL);
}

static enum err set_binary_column(struct promql_stage *stage, struct promql_cell cell,
                                  struct promql_column *out)
{
    struct set_binary_stage *self = (struct set_binary_stage *)stage;
    const uint32_t kept = self->op == PROMQL_OP_OR ? self->deciding.stage->series_count : 0;
    const uint32_t series = cell.series - kept;
    enum err err = ERR_OK;

    if (!self->is_prepared)
        err = prepare(self);
    if (err != ERR_OK)
        return err;
    if (cell.series < kept) {
        if (self->held[cell.series] != NULL)
            return promql_held_get(self->held[cell.series], stage->eval, cell.window, out);
        return promql_stage_column(self->deciding.stage, cell, out);
    }
    if (!is_needed(self, series)) {
        promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
        return ERR_OK;
    }
    err = promql_stage_column(self->filtered.stage, (struct promql_cell){series, cell.window}, out);
    if (err == ERR_OK)
        filter(self, self->filtered.group[series], cell.window, out);
    return err;
}

static const struct promql_stage_ops set_binary_ops = {.column = set_binary_column};

/* All series of the left side, then those of the right one. */
static enum err join_labels(struct set_binary_stage *self)
{
    const struct promql_stage *sides[] = {self->deciding.stage, self->filtered.stage};
    const uint32_t count = sides[0]->series_count + sides[1]->series_count;
    struct label_set *labels =
        arena_alloc(self->stage.eval->arena, (size_t)count * sizeof(*labels));

    if (labels == NULL)
        return promql_eval_no_room(self->stage.eval);
    if (sides[0]->series_count != 0)
        memcpy(labels, sides[0]->labels, sides[0]->series_count * sizeof(*labels));
    if (sides[1]->series_count != 0)
        memcpy(labels + sides[0]->series_count, sides[1]->labels,
               sides[1]->series_count * sizeof(*labels));
    self->stage.labels = labels;
    self->stage.series_count = count;
    return ERR_OK;
}

enum err promql_set_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                               struct promql_operands operands, struct promql_stage **out)
{
    struct set_binary_stage *self = ARENA_NEW(eval->arena, struct set_binary_stage);
    const bool is_or = expr->binary.op == PROMQL_OP_OR;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->expr = expr;
    self->op = expr->binary.op;
    self->deciding.stage = is_or ? operands.lhs : operands.rhs;
    self->filtered.stage = is_or ? operands.rhs : operands.lhs;
    self->stage = (struct promql_stage){
        .ops = &set_binary_ops,
        .eval = eval,
        .grid = operands.lhs->grid,
        .labels = operands.lhs->labels,
        .series_count = operands.lhs->series_count,
        .may_fault = operands.lhs->may_fault || operands.rhs->may_fault,
    };
    err = make_groups(self);
    if (err == ERR_OK && is_or)
        err = join_labels(self);
    /* Faults must be seen even if there is nothing to filter. */
    if (err == ERR_OK && self->stage.series_count == 0 && self->stage.may_fault)
        err = prepare(self);
    if (err != ERR_OK)
        return err;
    *out = &self->stage;
    return is_or ? promql_merge_new(eval, &self->stage, false, out) : ERR_OK;
}
