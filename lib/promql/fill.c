/* SPDX-License-Identifier: Apache-2.0 */

/* fill modifiers: the operands of a binary operator, each with one more series per match group that
 * stands in, with the value asked for, at the steps where the group has a value on the other side
 * and none on this one. The operator then matches as always: a stand-in never meets another value
 * of its group, nor another stand-in.
 *
 * Whether a group has a value takes all series of both sides: they are read once and held. */

#include "promql/stage.h"

struct fill_side {
    struct promql_stage *child;
    uint32_t *groups;          /* [child's series] */
    struct promql_held *held;  /* [child's series] */
    uint64_t **present;        /* [groups] steps at which the group has a value; NULL: never */
    uint32_t *stand_in_groups; /* [series of the stage - child's series] */
};

struct fill {
    struct promql_eval *eval;
    struct promql_index groups;
    struct fill_side sides[2];
    bool is_read;
    struct promql_column column;
};

struct fill_stage {
    struct promql_stage stage;
    struct fill *fill;
    uint32_t side;
    double v;
};

static enum err side_group(struct fill *fill, struct fill_side *side,
                           const struct promql_matching *matching)
{
    side->groups = arena_alloc(fill->eval->arena, side->child->series_count * sizeof(uint32_t));
    if (side->groups == NULL)
        return promql_eval_no_room(fill->eval);
    for (uint32_t i = 0; i < side->child->series_count; i++) {
        struct label_set labels;
        enum err err = promql_labels_match(fill->eval, matching, side->child->labels[i], &labels);

        if (err == ERR_OK)
            err = promql_index_add(&fill->groups, labels, &side->groups[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err read_series(struct fill *fill, struct fill_side *side, uint32_t series)
{
    struct promql_eval *eval = fill->eval;
    struct promql_held *held = &side->held[series];
    uint64_t **present = &side->present[side->groups[series]];
    const size_t words = ((size_t)side->child->grid->count + 63) / 64;
    enum err err = promql_held_init(held, eval, side->child->grid);

    for (uint32_t w = 0; err == ERR_OK && w < promql_grid_windows(side->child->grid); w++) {
        uint32_t clash;

        err = promql_stage_column(side->child, (struct promql_cell){series, w}, &fill->column);
        if (err == ERR_OK)
            err = promql_held_add(held, eval, w, &fill->column, &clash);
    }
    if (err == ERR_OK && *present == NULL) {
        *present = ARENA_ARRAY(eval->arena, uint64_t, words);
        if (*present == NULL)
            err = promql_eval_no_room(eval);
    }
    for (size_t i = 0; err == ERR_OK && i < words; i++)
        (*present)[i] |= held->present[i];
    return err;
}

static enum err read_sides(struct fill *fill)
{
    struct promql_eval *eval = fill->eval;

    fill->is_read = true;
    for (int s = 0; s < 2; s++) {
        struct fill_side *side = &fill->sides[s];

        side->held = ARENA_ARRAY(eval->arena, struct promql_held, side->child->series_count);
        side->present = ARENA_ARRAY(eval->arena, uint64_t *, fill->groups.count);
        if (side->held == NULL || side->present == NULL)
            return promql_eval_no_room(eval);
        for (uint32_t i = 0; i < side->child->series_count; i++) {
            const enum err err = read_series(fill, side, i);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

/* The steps of a window at which a group has a value on the other side only. */
static void stand_in(const struct fill_stage *self, uint32_t group, uint32_t window,
                     struct promql_column *out)
{
    const uint64_t *here = self->fill->sides[self->side].present[group];
    const uint64_t *there = self->fill->sides[1 - self->side].present[group];
    const size_t first = (size_t)window * PROMQL_WINDOW_WORDS;

    for (uint32_t i = 0; there != NULL && i < promql_column_words(out); i++)
        out->present[i] = there[first + i] & ~(here == NULL ? 0 : here[first + i]);
    for (uint32_t i = 0; i < out->count; i++)
        out->v[i] = self->v;
}

static enum err fill_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct fill_stage *self = (struct fill_stage *)stage;
    struct fill_side *side = &self->fill->sides[self->side];
    const uint32_t own = side->child->series_count;

    if (!self->fill->is_read) {
        const enum err err = read_sides(self->fill);

        if (err != ERR_OK)
            return err;
    }
    if (cell.series < own)
        return promql_held_get(&side->held[cell.series], stage->eval, cell.window, out);
    promql_column_clear(out, promql_grid_window_count(stage->grid, cell.window));
    stand_in(self, side->stand_in_groups[cell.series - own], cell.window, out);
    return ERR_OK;
}

static const struct promql_stage_ops fill_ops = {.column = fill_column};

/* Stand-ins for the groups that the other side has. */
static enum err add_stand_ins(struct fill_stage *self)
{
    struct fill *fill = self->fill;
    struct promql_eval *eval = fill->eval;
    struct fill_side *side = &fill->sides[self->side];
    const struct fill_side *other = &fill->sides[1 - self->side];
    const uint32_t own = side->child->series_count;
    const size_t most = (size_t)own + fill->groups.count;
    struct label_set *labels = arena_alloc(eval->arena, most * sizeof(*labels));
    bool *has = ARENA_ARRAY(eval->arena, bool, fill->groups.count);

    side->stand_in_groups = arena_alloc(eval->arena, fill->groups.count * sizeof(uint32_t));
    if (labels == NULL || has == NULL || side->stand_in_groups == NULL)
        return promql_eval_no_room(eval);
    if (own != 0)
        memcpy(labels, side->child->labels, own * sizeof(*labels));
    for (uint32_t i = 0; i < other->child->series_count; i++) {
        const uint32_t group = other->groups[i];

        if (has[group])
            continue;
        has[group] = true;
        side->stand_in_groups[self->stage.series_count - own] = group;
        labels[self->stage.series_count++] = fill->groups.sets[group];
    }
    self->stage.labels = labels;
    return ERR_OK;
}

static enum err side_new(struct fill *fill, uint32_t side, const double *v,
                         struct promql_stage **out)
{
    struct promql_stage *child = fill->sides[side].child;
    struct fill_stage *self = ARENA_NEW(fill->eval->arena, struct fill_stage);

    if (self == NULL)
        return promql_eval_no_room(fill->eval);
    self->stage = *child;
    self->stage.ops = &fill_ops;
    self->fill = fill;
    self->side = side;
    *out = &self->stage;
    if (v == NULL)
        return ERR_OK;
    self->v = *v;
    return add_stand_ins(self);
}

enum err promql_fill_new(struct promql_eval *eval, const struct promql_matching *matching,
                         struct promql_operands *operands)
{
    struct fill *fill = ARENA_NEW(eval->arena, struct fill);
    /* Upstream turns the operands round for group_right, but not the values: fill_left stands in
     * for the many side then. */
    const bool is_turned = matching->card == PROMQL_ONE_TO_MANY;
    struct promql_stage **many = is_turned ? &operands->rhs : &operands->lhs;
    struct promql_stage **one = is_turned ? &operands->lhs : &operands->rhs;
    enum err err = ERR_OK;

    if (fill == NULL)
        return promql_eval_no_room(eval);
    fill->eval = eval;
    fill->sides[0].child = *many;
    fill->sides[1].child = *one;
    promql_index_init(&fill->groups, eval);
    for (int s = 0; s < 2 && err == ERR_OK; s++)
        err = side_group(fill, &fill->sides[s], matching);
    if (err == ERR_OK)
        err = side_new(fill, 0, matching->has_fill_left ? &matching->fill_left : NULL, many);
    if (err == ERR_OK)
        err = side_new(fill, 1, matching->has_fill_right ? &matching->fill_right : NULL, one);
    return err;
}
