/* SPDX-License-Identifier: Apache-2.0 */

/* Arithmetic and comparisons of two vectors.
 *
 * Series match when the labels that count are equal: they are in one group. Within a group, at one
 * step, the "one" side may have one value only, and so may the "many" side unless group_left or
 * group_right say otherwise. Since that holds step by step, two series of a side may share a group
 * as long as they never meet. So an output series is made of pairs (many, one); nearly always of
 * one pair, which is then computed window by window. What is not so simple is held whole:
 *
 *   - a series that several pairs use;
 *   - the one side of a group if it has several series: checked before anything else, because two
 *     values at one step are an error even if nothing matches them;
 *   - an output series of several pairs. */

#include "promql/stage.h"

#define NONE UINT32_MAX

/* Series of one side that share a group: a chain through `next`. */
struct match_side {
    struct promql_stage *stage;
    uint32_t *group; /* [series] its group, or NONE */
    uint32_t *next;  /* [series] the next one of its group, or NONE */
    uint32_t *first; /* [groups] */
};

struct match_pair {
    uint32_t many, one; /* series */
    uint32_t next;      /* pair of the same output series, or NONE */
};

struct vector_binary_stage {
    struct promql_stage stage;
    const struct promql_expr *expr;
    struct promql_binop binop;
    bool many_is_rhs; /* group_right */
    struct match_side many, one;
    uint32_t group_count;
    struct match_pair *pairs;
    uint32_t pair_count, pair_cap;
    uint32_t *output_first; /* [series_count] */
    /* [series of the side]; NULL: pulled when needed. */
    struct promql_held **one_held, **many_held;
    uint64_t **matched; /* [groups] one-to-one with several on the many side: steps that matched */
    uint64_t *doubled;  /* steps where the one side has two values in a group; NULL: nowhere */
    bool is_prepared;
    struct promql_held output_held;
    struct promql_column many_column, one_column;
};

static const struct promql_matching *matching_of(const struct vector_binary_stage *self)
{
    return &self->expr->binary.matching;
}

static enum err no_room(struct vector_binary_stage *self)
{
    return promql_eval_no_room(self->stage.eval);
}

/* ---- making the groups ---- */

static enum err group_labels(struct vector_binary_stage *self, struct label_set set,
                             struct label_set *out)
{
    return promql_labels_match(self->stage.eval, matching_of(self), set, out);
}

static enum err side_init(struct vector_binary_stage *self, struct match_side *side,
                          struct promql_index *index, bool adds_groups)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = side->stage->series_count;

    side->group = arena_alloc(eval->arena, count * sizeof(uint32_t));
    side->next = arena_alloc(eval->arena, count * sizeof(uint32_t));
    if (side->group == NULL || side->next == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < count; i++) {
        struct label_set labels;
        enum err err = group_labels(self, side->stage->labels[i], &labels);

        side->group[i] = NONE;
        if (err == ERR_OK && adds_groups)
            err = promql_index_add(index, labels, &side->group[i]);
        else if (err == ERR_OK)
            promql_index_find(index, labels, &side->group[i]);
        if (err != ERR_OK)
            return err;
    }
    side->first = arena_alloc(eval->arena, index->count * sizeof(uint32_t));
    if (side->first == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < index->count; i++)
        side->first[i] = NONE;
    for (uint32_t i = count; i-- > 0;) {
        side->next[i] = NONE;
        if (side->group[i] == NONE)
            continue;
        side->next[i] = side->first[side->group[i]];
        side->first[side->group[i]] = i;
    }
    return ERR_OK;
}

static bool group_has_many(const struct match_side *side, uint32_t group)
{
    return side->first[group] != NONE && side->next[side->first[group]] != NONE;
}

/* The labels of a pair's result. */
static enum err pair_labels(struct vector_binary_stage *self, const struct match_pair *pair,
                            struct label_set *out)
{
    const struct promql_matching *matching = matching_of(self);
    const struct promql_binary *binary = &self->expr->binary;
    const bool is_one_to_one = matching->card == PROMQL_ONE_TO_ONE;
    const struct label_set one = self->one.stage->labels[pair->one];
    const struct promql_projection projection = {
        .names = is_one_to_one ? matching->labels : (struct promql_labels){0},
        .is_keep = is_one_to_one && matching->is_on,
        .drops_metadata = binary->returns_bool || promql_op_is_arithmetic(binary->op),
    };
    struct label_builder builder;
    enum err err = promql_labels_project(self->stage.eval, &projection,
                                         self->many.stage->labels[pair->many], out);

    if (err != ERR_OK || matching->include.count == 0)
        return err;
    label_builder_init(&builder, self->stage.eval->arena, *out);
    for (uint32_t i = 0; i < matching->include.count; i++) {
        const struct slice name = matching->include.names[i];

        label_builder_set(&builder, name, label_set_get(one, name));
    }
    *out = label_builder_set_view(&builder);
    return builder.err == ERR_OK ? ERR_OK : no_room(self);
}

static enum err add_pair(struct vector_binary_stage *self, const struct match_pair *pair)
{
    if (self->pair_count == self->pair_cap) {
        const uint32_t cap = self->pair_cap == 0 ? 64 : self->pair_cap * 2;

        self->pairs = arena_grow(self->stage.eval->arena, self->pairs,
                                 self->pair_cap * sizeof(*self->pairs), cap * sizeof(*self->pairs));
        if (self->pairs == NULL)
            return no_room(self);
        self->pair_cap = cap;
    }
    self->pairs[self->pair_count++] = *pair;
    return ERR_OK;
}

/* A query that pairs everything with everything must end. */
enum { PAIRS_MAX = 50000000 };

static enum err make_pairs(struct vector_binary_stage *self, struct promql_index *outputs,
                           uint32_t **numbers)
{
    const struct match_side *many = &self->many, *one = &self->one;
    uint32_t cap = 0;

    *numbers = NULL;
    for (uint32_t i = 0; i < many->stage->series_count; i++) {
        const uint32_t group = many->group[i];

        for (uint32_t k = group == NONE ? NONE : one->first[group]; k != NONE; k = one->next[k]) {
            const struct match_pair pair = {.many = i, .one = k, .next = NONE};
            struct label_set labels;
            enum err err = add_pair(self, &pair);

            if (err == ERR_OK && self->pair_count > PAIRS_MAX)
                err = err_set(self->stage.eval->info, ERR_LIMIT, "too many series match");
            if (err == ERR_OK)
                err = pair_labels(self, &pair, &labels);
            if (err != ERR_OK)
                return err;
            if (cap < self->pair_cap) {
                *numbers = arena_grow(self->stage.eval->arena, *numbers, cap * sizeof(uint32_t),
                                      self->pair_cap * sizeof(uint32_t));
                if (*numbers == NULL)
                    return no_room(self);
                cap = self->pair_cap;
            }
            err = promql_index_add(outputs, labels, &(*numbers)[self->pair_count - 1]);
            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK;
}

static enum err make_outputs(struct vector_binary_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    struct promql_index outputs;
    uint32_t *numbers;
    enum err err;

    promql_index_init(&outputs, eval);
    err = make_pairs(self, &outputs, &numbers);
    if (err != ERR_OK)
        return err;
    self->output_first = arena_alloc(eval->arena, outputs.count * sizeof(uint32_t));
    self->one_held = ARENA_ARRAY(eval->arena, struct promql_held *, self->one.stage->series_count);
    self->many_held =
        ARENA_ARRAY(eval->arena, struct promql_held *, self->many.stage->series_count);
    self->matched = ARENA_ARRAY(eval->arena, uint64_t *, self->group_count);
    if (self->output_first == NULL || self->one_held == NULL || self->many_held == NULL ||
        self->matched == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < outputs.count; i++)
        self->output_first[i] = NONE;
    for (uint32_t i = self->pair_count; i-- > 0;) {
        self->pairs[i].next = self->output_first[numbers[i]];
        self->output_first[numbers[i]] = i;
    }
    self->stage.labels = outputs.sets;
    self->stage.series_count = outputs.count;
    return ERR_OK;
}

/* ---- faults ---- */

static bool held_has(const struct promql_held *held, uint32_t step)
{
    return held != NULL && (held->present[step / 64] >> (step % 64) & 1) != 0;
}

/* The first two series of the one side that share a group at a step. */
static void find_doubled(const struct vector_binary_stage *self, uint32_t step, uint32_t pair[2])
{
    for (uint32_t i = 0; i < self->one.stage->series_count; i++) {
        if (!held_has(self->one_held[i], step))
            continue;
        for (uint32_t k = self->one.first[self->one.group[i]]; k != i; k = self->one.next[k]) {
            if (held_has(self->one_held[k], step)) {
                pair[0] = k;
                pair[1] = i;
                return;
            }
        }
    }
}

static enum err fail_doubled(struct vector_binary_stage *self, uint32_t step)
{
    const char *side = self->many_is_rhs ? "left" : "right";
    struct buf group, texts[2];
    struct label_set labels = {0};
    uint32_t pair[2] = {0};
    enum err err;

    find_doubled(self, step, pair);
    buf_init(&group, ERR_MESSAGE_SIZE * 4);
    err = group_labels(self, self->one.stage->labels[pair[0]], &labels);
    label_set_print_plain(&group, labels);
    for (int i = 0; i < 2; i++) {
        buf_init(&texts[i], ERR_MESSAGE_SIZE * 4);
        label_set_print_plain(&texts[i], self->one.stage->labels[pair[i]]);
    }
    if (err == ERR_OK) {
        const bool is_sorted = slice_cmp(buf_slice(&texts[0]), buf_slice(&texts[1])) <= 0;

        err = err_set(self->stage.eval->info, ERR_EXEC,
                      "found duplicate series for the match group %.*s on the %s hand-side of the "
                      "operation: [%.*s, %.*s];many-to-many matching not allowed: matching labels "
                      "must be unique on one side",
                      SLICE_ARG(buf_slice(&group)), side,
                      SLICE_ARG(buf_slice(&texts[is_sorted ? 0 : 1])),
                      SLICE_ARG(buf_slice(&texts[is_sorted ? 1 : 0])));
    }
    buf_fini(&group);
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    return err;
}

static enum err fail_multiple(struct vector_binary_stage *self)
{
    const bool is_one_to_one = matching_of(self)->card == PROMQL_ONE_TO_ONE;

    return err_set(self->stage.eval->info, ERR_EXEC, "multiple matches for labels: %s",
                   is_one_to_one ? "many-to-one matching must be explicit (group_left/group_right)"
                                 : "grouping labels must ensure unique matches");
}

/* ---- the one side ---- */

/* All steps of a series of a side; read through `column`. */
static enum err hold_series(struct vector_binary_stage *self, const struct match_side *side,
                            uint32_t series, struct promql_column *column, struct promql_held **out)
{
    struct promql_eval *eval = self->stage.eval;
    struct promql_held *held = ARENA_NEW(eval->arena, struct promql_held);
    enum err err;

    if (held == NULL)
        return no_room(self);
    err = promql_held_init(held, eval, self->stage.grid);
    for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid) && err == ERR_OK; w++) {
        uint32_t clash;

        err = promql_stage_column(side->stage, (struct promql_cell){series, w}, column);
        if (err == ERR_OK)
            err = promql_held_add(held, eval, w, column, &clash);
    }
    *out = held;
    return err;
}

static enum err hold_one(struct vector_binary_stage *self, uint32_t series)
{
    return hold_series(self, &self->one, series, &self->one_column, &self->one_held[series]);
}

static size_t grid_words(const struct vector_binary_stage *self)
{
    return ((size_t)self->stage.grid->count + 63) / 64;
}

/* Holds all series of a group and notes the steps at which two of them have values. */
static enum err hold_group(struct vector_binary_stage *self, uint32_t group)
{
    uint64_t *seen = ARENA_ARRAY(self->stage.eval->arena, uint64_t, grid_words(self));

    if (seen == NULL)
        return no_room(self);
    for (uint32_t i = self->one.first[group]; i != NONE; i = self->one.next[i]) {
        const enum err err = hold_one(self, i);

        if (err != ERR_OK)
            return err;
        for (size_t w = 0; w < grid_words(self); w++) {
            const uint64_t present = self->one_held[i]->present[w];

            if ((seen[w] & present) != 0 && self->doubled == NULL) {
                self->doubled = ARENA_ARRAY(self->stage.eval->arena, uint64_t, grid_words(self));
                if (self->doubled == NULL)
                    return no_room(self);
            }
            if (self->doubled != NULL)
                self->doubled[w] |= seen[w] & present;
            seen[w] |= present;
        }
    }
    return ERR_OK;
}

static enum err check_doubled(struct vector_binary_stage *self, uint32_t window,
                              const struct promql_column *many)
{
    const uint64_t *doubled = self->doubled + (size_t)window * PROMQL_WINDOW_WORDS;

    for (uint32_t i = 0; i < promql_column_words(many); i++) {
        const uint64_t both = doubled[i] & many->present[i];

        if (both != 0)
            return fail_doubled(self,
                                window * PROMQL_WINDOW + i * 64 + (uint32_t)__builtin_ctzll(both));
    }
    return ERR_OK;
}

/* Pulls a series that matches nothing, for the faults that it may bring to light. */
static enum err drain(struct vector_binary_stage *self, const struct match_side *side,
                      uint32_t series)
{
    const bool is_many = side == &self->many;

    for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid); w++) {
        enum err err =
            promql_stage_column(side->stage, (struct promql_cell){series, w}, &self->many_column);

        if (err == ERR_OK && is_many && self->doubled != NULL)
            err = check_doubled(self, w, &self->many_column);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* Two values on the one side are an error wherever the many side has any value, matched or not. */
static enum err drain_unmatched(struct vector_binary_stage *self)
{
    const struct match_side *many = &self->many, *one = &self->one;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < many->stage->series_count && err == ERR_OK; i++) {
        if (many->group[i] == NONE && (self->doubled != NULL || many->stage->may_fault))
            err = drain(self, many, i);
    }
    for (uint32_t i = 0; i < one->stage->series_count && err == ERR_OK; i++) {
        if (many->first[one->group[i]] == NONE && self->one_held[i] == NULL &&
            one->stage->may_fault)
            err = drain(self, one, i);
    }
    return err;
}

static enum err prepare(struct vector_binary_stage *self)
{
    self->is_prepared = true;
    for (uint32_t g = 0; g < self->group_count; g++) {
        enum err err = ERR_OK;

        if (group_has_many(&self->one, g))
            err = hold_group(self, g);
        if (err != ERR_OK)
            return err;
        if (group_has_many(&self->many, g) && matching_of(self)->card == PROMQL_ONE_TO_ONE) {
            self->matched[g] = ARENA_ARRAY(self->stage.eval->arena, uint64_t, grid_words(self));
            if (self->matched[g] == NULL)
                return no_room(self);
        }
    }
    return drain_unmatched(self);
}

/* ---- computing ---- */

static enum err one_window(struct vector_binary_stage *self, const struct match_pair *pair,
                           uint32_t window)
{
    const uint32_t group = self->many.group[pair->many];
    enum err err = ERR_OK;

    if (self->one_held[pair->one] == NULL && !group_has_many(&self->many, group))
        return promql_stage_column(self->one.stage, (struct promql_cell){pair->one, window},
                                   &self->one_column);
    if (self->one_held[pair->one] == NULL)
        err = hold_one(self, pair->one);
    if (err != ERR_OK)
        return err;
    return promql_held_get(self->one_held[pair->one], self->stage.eval, window, &self->one_column);
}

static enum err many_window(struct vector_binary_stage *self, const struct match_pair *pair,
                            uint32_t window)
{
    struct promql_held **held = &self->many_held[pair->many];
    enum err err = ERR_OK;

    if (!group_has_many(&self->one, self->many.group[pair->many]))
        return promql_stage_column(self->many.stage, (struct promql_cell){pair->many, window},
                                   &self->many_column);
    if (*held == NULL)
        err = hold_series(self, &self->many, pair->many, &self->many_column, held);
    if (err != ERR_OK)
        return err;
    return promql_held_get(*held, self->stage.eval, window, &self->many_column);
}

/* Several series of the many side in a one-to-one group may not match at the same step. */
static enum err note_matched(struct vector_binary_stage *self, const struct match_pair *pair,
                             uint32_t window)
{
    uint64_t *matched = self->matched[self->many.group[pair->many]];

    if (matched == NULL)
        return ERR_OK;
    matched += (size_t)window * PROMQL_WINDOW_WORDS;
    for (uint32_t i = 0; i < promql_column_words(&self->many_column); i++) {
        const uint64_t both = self->many_column.present[i] & self->one_column.present[i];

        if ((matched[i] & both) != 0)
            return fail_multiple(self);
        matched[i] |= both;
    }
    return ERR_OK;
}

static enum err pair_window(struct vector_binary_stage *self, const struct match_pair *pair,
                            uint32_t window, struct promql_column *out)
{
    const struct promql_column *lhs = &self->many_column, *rhs = &self->one_column;
    enum err err = many_window(self, pair, window);

    if (err == ERR_OK)
        err = one_window(self, pair, window);
    if (err == ERR_OK && self->doubled != NULL)
        err = check_doubled(self, window, &self->many_column);
    if (err == ERR_OK)
        err = note_matched(self, pair, window);
    if (err != ERR_OK)
        return err;
    if (self->many_is_rhs) {
        lhs = &self->one_column;
        rhs = &self->many_column;
    }
    if (promql_binop_needs_histograms(&self->binop, lhs, rhs))
        return promql_histogram_binop(self->stage.eval, &self->binop, lhs, rhs, out);
    promql_binop_columns(&self->binop, lhs, rhs, out);
    return ERR_OK;
}

/* All pairs of an output series, one after the other. */
static enum err hold_output(struct vector_binary_stage *self, uint32_t series,
                            struct promql_column *scratch)
{
    struct promql_eval *eval = self->stage.eval;
    enum err err = promql_held_init(&self->output_held, eval, self->stage.grid);

    for (uint32_t p = self->output_first[series]; p != NONE && err == ERR_OK;
         p = self->pairs[p].next) {
        for (uint32_t w = 0; w < promql_grid_windows(self->stage.grid) && err == ERR_OK; w++) {
            uint32_t clash = PROMQL_NO_CLASH;

            err = pair_window(self, &self->pairs[p], w, scratch);
            if (err == ERR_OK)
                err = promql_held_add(&self->output_held, eval, w, scratch, &clash);
            if (err == ERR_OK && clash != PROMQL_NO_CLASH)
                err = fail_multiple(self);
        }
    }
    return err;
}

static enum err vector_binary_column(struct promql_stage *stage, struct promql_cell cell,
                                     struct promql_column *out)
{
    struct vector_binary_stage *self = (struct vector_binary_stage *)stage;
    const struct match_pair *pair = &self->pairs[self->output_first[cell.series]];
    enum err err = ERR_OK;

    if (!self->is_prepared)
        err = prepare(self);
    if (err != ERR_OK)
        return err;
    if (pair->next == NONE)
        return pair_window(self, pair, cell.window, out);
    if (cell.window == 0)
        err = hold_output(self, cell.series, out);
    if (err != ERR_OK)
        return err;
    if (cell.window + 1 == promql_grid_windows(stage->grid))
        promql_eval_release(stage->eval, stage->grid->count);
    return promql_held_get(&self->output_held, stage->eval, cell.window, out);
}

static const struct promql_stage_ops vector_binary_ops = {.column = vector_binary_column};

enum err promql_vector_binary_new(struct promql_eval *eval, const struct promql_expr *expr,
                                  struct promql_operands operands, struct promql_stage **out)
{
    const struct promql_binary *binary = &expr->binary;
    struct vector_binary_stage *self = ARENA_NEW(eval->arena, struct vector_binary_stage);
    struct promql_index index;
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){&vector_binary_ops,
                                        eval,
                                        operands.lhs->grid,
                                        NULL,
                                        0,
                                        operands.lhs->may_fault || operands.rhs->may_fault};
    self->expr = expr;
    self->binop =
        (struct promql_binop){.op = binary->op, .returns_bool = binary->returns_bool, .expr = expr};
    self->many_is_rhs = binary->matching.card == PROMQL_ONE_TO_MANY;
    self->many.stage = self->many_is_rhs ? operands.rhs : operands.lhs;
    self->one.stage = self->many_is_rhs ? operands.lhs : operands.rhs;
    promql_index_init(&index, eval);
    err = side_init(self, &self->one, &index, true);
    if (err == ERR_OK)
        err = side_init(self, &self->many, &index, false);
    if (err != ERR_OK)
        return err;
    self->group_count = index.count;
    err = make_outputs(self);
    if (err != ERR_OK)
        return err;
    for (uint32_t g = 0; g < self->group_count && !self->stage.may_fault; g++)
        self->stage.may_fault = group_has_many(&self->one, g) || group_has_many(&self->many, g);
    /* Faults must be seen even if no series match. */
    if (self->stage.series_count == 0) {
        err = prepare(self);
        if (err != ERR_OK)
            return err;
    }
    *out = &self->stage;
    return ERR_OK;
}
