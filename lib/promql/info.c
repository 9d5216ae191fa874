/* SPDX-License-Identifier: Apache-2.0 */

/* info(v, {selector}): adds to v's series the data labels of info metrics that have the same
 * instance and job.
 *
 *   family    the info series of one metric, instance and job; at a step its newest sample wins
 *   identity  an instance and job of v's series, with its families
 *   variant   what the families of an identity give at some step: one winner or none of each
 *
 * Which variants there are shows only in the times of the info samples, so these are read first, as
 * of the time at which v looks; then each of v's series becomes one output series a variant. */

#include <math.h>
#include <stdlib.h>

#include "promql/plan_internal.h"

#define NONE           UINT32_MAX
#define INFO_DEFAULT   "target_info"
#define INFO_PATTERN   ".+_info"
#define LABEL_INSTANCE "instance"
#define LABEL_JOB      "job"

struct info_family {
    struct slice metric;
    uint32_t *winners; /* [steps] info series, or NONE */
    uint32_t next;     /* of the same identity, or NONE */
};

struct info_variant {
    uint32_t *winners;     /* [families of the identity] */
    struct slice conflict; /* a label that two info metrics disagree on */
    uint32_t next;
};

struct info_identity {
    uint32_t first_family, family_count, first_variant, last_variant;
};

struct info_output {
    uint32_t base, variant; /* NONE: passed on as it is */
};

struct info_stage {
    struct promql_stage stage;
    struct promql_stage *base, *info;
    const struct promql_selector *selector; /* NULL: no second argument */
    struct promql_index identities, family_keys;
    struct info_identity *identity; /* [identities] */
    struct info_family *family;     /* [family_keys] */
    uint32_t *info_family;          /* [info series] */
    struct info_variant *variant;
    uint32_t variant_count, variant_cap;
    struct info_output *output;
    uint32_t output_count, output_cap;
    uint32_t *base_outputs; /* [base's series] */
    uint64_t *doubled;      /* steps at which two info series are as new as each other */
    uint32_t doubled_pair[2];
    int64_t doubled_ms;
    bool drops_unmatched;
    struct promql_held **held; /* [base's series] those of several outputs, once pulled */
    struct promql_column column;
};

static enum err no_room(struct info_stage *self)
{
    return promql_eval_no_room(self->stage.eval);
}

static bool is_name_matcher(const struct matcher *matcher)
{
    return slice_eq_cstr(matcher->name, LABEL_METRIC_NAME);
}

/* ---- which info series ---- */

/* The time at which v looks, as far as its first selector tells. */
static bool find_lens(struct promql_eval *eval, const struct promql_expr *expr,
                      struct promql_lens *lens, enum err *err)
{
    const struct promql_lens outer = *lens;
    struct promql_lens own;

    switch (expr->kind) {
    case PROMQL_SELECTOR:
    case PROMQL_SUBQUERY:
        *err = promql_plan_lens(eval, expr, &own);
        if (*err != ERR_OK)
            return true;
        *lens = own;
        if (!own.is_pinned) {
            *lens = outer;
            lens->offset_ms = promql_time_sub(outer.offset_ms, -own.offset_ms);
        }
        return expr->kind == PROMQL_SELECTOR || find_lens(eval, expr->subquery.expr, lens, err);
    case PROMQL_RANGE:
        return find_lens(eval, expr->range.selector, lens, err);
    case PROMQL_PAREN:
        return find_lens(eval, expr->paren, lens, err);
    case PROMQL_UNARY:
        return find_lens(eval, expr->unary.expr, lens, err);
    case PROMQL_AGGREGATE:
        return find_lens(eval, expr->aggregate.expr, lens, err);
    case PROMQL_BINARY:
        return find_lens(eval, expr->binary.lhs, lens, err) ||
               find_lens(eval, expr->binary.rhs, lens, err);
    case PROMQL_CALL:
        for (uint32_t i = 0; i < expr->call.arg_count; i++) {
            if (find_lens(eval, expr->call.args[i], lens, err))
                return true;
        }
        return false;
    case PROMQL_NUMBER_LITERAL:
    case PROMQL_STRING_LITERAL:
    case PROMQL_DURATION:
        return false;
    }
    return false;
}

static int compare_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* A matcher of all values that a label has in v. *has: there is any. */
static enum err value_matcher(struct info_stage *self, struct slice name, struct matcher *out,
                              bool *has)
{
    const struct promql_stage *base = self->base;
    struct slice *values =
        arena_alloc(self->stage.eval->arena, base->series_count * sizeof(*values));
    uint32_t count = 0, unique = 0;

    if (values == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < base->series_count; i++) {
        const struct slice value = label_set_get(base->labels[i], name);

        if (self->base_outputs[i] != NONE && value.len != 0)
            values[count++] = value;
    }
    qsort(values, count, sizeof(*values), compare_slices);
    for (uint32_t i = 0; i < count; i++) {
        if (unique == 0 || !slice_eq(values[unique - 1], values[i]))
            values[unique++] = values[i];
    }
    *out =
        (struct matcher){.type = MATCHER_REGEX, .name = name, .set = values, .set_count = unique};
    *has = unique != 0;
    return ERR_OK;
}

/* Matchers of the metric's name: those that were given, and what stands for those that were not. */
static enum err name_matchers(struct info_stage *self, struct matcher *out, uint32_t *count)
{
    const uint32_t given = self->selector == NULL ? 0 : self->selector->matcher_count;
    struct matcher_spec spec = {MATCHER_EQUAL, SLICE(LABEL_METRIC_NAME), SLICE(INFO_DEFAULT)};
    bool has_positive = false;

    *count = 0;
    for (uint32_t i = 0; i < given; i++) {
        const struct matcher *matcher = &self->selector->matchers[i];

        if (!is_name_matcher(matcher))
            continue;
        has_positive |= matcher->type == MATCHER_EQUAL || matcher->type == MATCHER_REGEX;
        out[(*count)++] = *matcher;
    }
    if (has_positive)
        return ERR_OK;
    if (*count != 0) {
        spec.type = MATCHER_REGEX;
        spec.value = SLICE(INFO_PATTERN);
    }
    return matcher_init(&out[(*count)++], self->stage.eval->arena, &spec, self->stage.eval->info);
}

/* Series of v that are info metrics themselves are passed on: base_outputs becomes NONE. */
static enum err set_info_aside(struct info_stage *self, const struct matcher *names,
                               uint32_t name_count)
{
    const struct promql_stage *base = self->base;

    self->base_outputs = ARENA_ARRAY(self->stage.eval->arena, uint32_t, base->series_count);
    if (self->base_outputs == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < base->series_count; i++) {
        const struct slice name = label_set_get(base->labels[i], SLICE(LABEL_METRIC_NAME));
        bool is_info = true;

        for (uint32_t k = 0; k < name_count && is_info; k++)
            is_info = matcher_matches(&names[k], name);
        if (is_info)
            self->base_outputs[i] = NONE;
    }
    return ERR_OK;
}

static enum err select_info(struct info_stage *self, const struct promql_lens *lens)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t given = self->selector == NULL ? 0 : self->selector->matcher_count;
    struct promql_expr *expr = ARENA_NEW(eval->arena, struct promql_expr);
    struct matcher *matchers = ARENA_ARRAY(eval->arena, struct matcher, given + 3);
    const struct promql_select select = {
        .selector = expr, .lens = *lens, .gives_times = true, .floats_only = "info sample"};
    uint32_t count;
    bool has_instance = false, has_job = false;
    enum err err;

    if (expr == NULL || matchers == NULL)
        return no_room(self);
    err = name_matchers(self, matchers, &count);
    if (err == ERR_OK)
        err = set_info_aside(self, matchers, count);
    for (uint32_t i = 0; i < given; i++) {
        const struct matcher *matcher = &self->selector->matchers[i];

        if (is_name_matcher(matcher))
            continue;
        self->drops_unmatched |= !matcher_matches_empty(matcher);
        matchers[count++] = *matcher;
    }
    if (err == ERR_OK)
        err = value_matcher(self, SLICE(LABEL_INSTANCE), &matchers[count], &has_instance);
    count += has_instance;
    if (err == ERR_OK)
        err = value_matcher(self, SLICE(LABEL_JOB), &matchers[count], &has_job);
    count += has_job;
    if (err != ERR_OK || (!has_instance && !has_job))
        return err;
    expr->kind = PROMQL_SELECTOR;
    expr->selector = (struct promql_selector){.matchers = matchers, .matcher_count = count};
    return promql_selector_new(eval, &select, self->stage.grid, &self->info);
}

/* ---- families and identities ---- */

static enum err identity_of(struct info_stage *self, struct label_set set, struct slice metric,
                            struct label_set *out)
{
    struct label_builder builder;

    label_builder_init(&builder, self->stage.eval->arena, (struct label_set){0});
    label_builder_set(&builder, SLICE(LABEL_METRIC_NAME), metric);
    label_builder_set(&builder, SLICE(LABEL_INSTANCE), label_set_get(set, SLICE(LABEL_INSTANCE)));
    label_builder_set(&builder, SLICE(LABEL_JOB), label_set_get(set, SLICE(LABEL_JOB)));
    *out = label_builder_set_view(&builder);
    return builder.err == ERR_OK ? ERR_OK : no_room(self);
}

/* The families of the info series, linked to their identities. */
static enum err make_families(struct info_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->info->series_count;
    uint32_t family_count = 0;

    self->info_family = arena_alloc(eval->arena, count * sizeof(uint32_t));
    self->family = ARENA_ARRAY(eval->arena, struct info_family, count);
    self->identity = ARENA_ARRAY(eval->arena, struct info_identity, count);
    if (self->info_family == NULL || self->family == NULL || self->identity == NULL)
        return no_room(self);
    for (uint32_t i = 0; i < count; i++) {
        const struct label_set set = self->info->labels[i];
        const struct slice metric = label_set_get(set, SLICE(LABEL_METRIC_NAME));
        const uint32_t known = self->identities.count;
        struct label_set key;
        uint32_t identity;
        enum err err = identity_of(self, set, (struct slice){0}, &key);

        if (err == ERR_OK)
            err = promql_index_add(&self->identities, key, &identity);
        if (err == ERR_OK && identity == known)
            self->identity[identity] = (struct info_identity){NONE, 0, NONE, NONE};
        if (err == ERR_OK)
            err = identity_of(self, set, metric, &key);
        if (err == ERR_OK)
            err = promql_index_add(&self->family_keys, key, &self->info_family[i]);
        if (err != ERR_OK)
            return err;
        if (self->info_family[i] < family_count)
            continue;
        self->family[family_count] =
            (struct info_family){.metric = metric, .next = self->identity[identity].first_family};
        self->identity[identity].first_family = family_count++;
        self->identity[identity].family_count++;
    }
    return ERR_OK;
}

static enum err note_doubled(struct info_stage *self, uint32_t step, uint32_t a, uint32_t b)
{
    const size_t words = ((size_t)self->stage.grid->count + 63) / 64;

    if (self->doubled == NULL) {
        self->doubled = ARENA_ARRAY(self->stage.eval->arena, uint64_t, words);
        if (self->doubled == NULL)
            return no_room(self);
        self->doubled_pair[0] = a;
        self->doubled_pair[1] = b;
    }
    self->doubled[step / 64] |= UINT64_C(1) << (step % 64);
    return ERR_OK;
}

/* Reads the times of an info series and takes the steps at which it is the newest. */
static enum err read_info(struct info_stage *self, uint32_t series, double *newest)
{
    const struct promql_grid *grid = self->stage.grid;
    struct info_family *family = &self->family[self->info_family[series]];
    enum err err = ERR_OK;

    for (uint32_t w = 0; w < promql_grid_windows(grid) && err == ERR_OK; w++) {
        err = promql_stage_column(self->info, (struct promql_cell){series, w}, &self->column);
        for (uint32_t i = 0; i < self->column.count && err == ERR_OK; i++) {
            const uint32_t step = w * PROMQL_WINDOW + i;
            const double t = self->column.v[i];

            if (!promql_column_has(&self->column, i))
                continue;
            if (family->winners[step] == NONE || t > newest[step]) {
                family->winners[step] = series;
                newest[step] = t;
            } else if (t == newest[step]) {
                if (self->doubled == NULL)
                    self->doubled_ms = llround(t * 1000);
                err = note_doubled(self, step, family->winners[step], series);
            }
        }
    }
    return err;
}

/* The winners of all families. Info series are in order of their labels, so those of a family need
 * not be neighbours: each family has its own row of times while it is read. */
static enum err read_families(struct info_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t steps = self->stage.grid->count;
    double **newest = ARENA_ARRAY(eval->arena, double *, self->family_keys.count);
    enum err err = newest == NULL ? no_room(self) : ERR_OK;

    for (uint32_t f = 0; f < self->family_keys.count && err == ERR_OK; f++) {
        err = promql_eval_hold(eval, steps);
        newest[f] = arena_alloc(eval->arena, steps * sizeof(double));
        self->family[f].winners = arena_alloc(eval->arena, steps * sizeof(uint32_t));
        if (err == ERR_OK && (newest[f] == NULL || self->family[f].winners == NULL))
            err = no_room(self);
        for (uint32_t i = 0; i < steps && err == ERR_OK; i++)
            self->family[f].winners[i] = NONE;
    }
    for (uint32_t i = 0; i < self->info->series_count && err == ERR_OK; i++)
        err = read_info(self, i, newest[self->info_family[i]]);
    return err;
}

/* ---- variants ---- */

static bool variant_is_at(const struct info_stage *self, const struct info_identity *identity,
                          const struct info_variant *variant, uint32_t step)
{
    uint32_t n = 0;

    for (uint32_t f = identity->first_family; f != NONE; f = self->family[f].next) {
        if (self->family[f].winners[step] != variant->winners[n++])
            return false;
    }
    return true;
}

static enum err add_variant(struct info_stage *self, struct info_identity *identity, uint32_t step)
{
    struct promql_eval *eval = self->stage.eval;
    struct info_variant variant = {.next = NONE};
    uint32_t n = 0;

    if (self->variant_count == self->variant_cap) {
        const uint32_t cap = self->variant_cap == 0 ? 64 : self->variant_cap * 2;

        self->variant =
            arena_grow(eval->arena, self->variant, self->variant_cap * sizeof(*self->variant),
                       cap * sizeof(*self->variant));
        if (self->variant == NULL)
            return no_room(self);
        self->variant_cap = cap;
    }
    variant.winners = arena_alloc(eval->arena, identity->family_count * sizeof(uint32_t));
    if (variant.winners == NULL)
        return no_room(self);
    for (uint32_t f = identity->first_family; f != NONE; f = self->family[f].next)
        variant.winners[n++] = self->family[f].winners[step];
    if (identity->last_variant == NONE)
        identity->first_variant = self->variant_count;
    else
        self->variant[identity->last_variant].next = self->variant_count;
    identity->last_variant = self->variant_count;
    self->variant[self->variant_count++] = variant;
    return ERR_OK;
}

/* All variants of an identity, in order of their first step. */
static enum err make_variants(struct info_stage *self, struct info_identity *identity)
{
    uint32_t last = NONE;

    for (uint32_t step = 0; step < self->stage.grid->count; step++) {
        enum err err;

        if (last != NONE && variant_is_at(self, identity, &self->variant[last], step))
            continue;
        last = identity->first_variant;
        while (last != NONE && !variant_is_at(self, identity, &self->variant[last], step))
            last = self->variant[last].next;
        if (last != NONE)
            continue;
        err = add_variant(self, identity, step);
        if (err != ERR_OK)
            return err;
        last = identity->last_variant;
    }
    return ERR_OK;
}

static bool variant_is_bare(const struct info_identity *identity,
                            const struct info_variant *variant)
{
    for (uint32_t n = 0; n < identity->family_count; n++) {
        if (variant->winners[n] != NONE)
            return false;
    }
    return true;
}

/* Whether the second argument asks for a label of info series; without one it asks for all. */
static bool wants_label(const struct info_stage *self, struct slice name)
{
    const uint32_t given = self->selector == NULL ? 0 : self->selector->matcher_count;
    bool asks = false;

    for (uint32_t i = 0; i < given; i++) {
        if (is_name_matcher(&self->selector->matchers[i]))
            continue;
        if (slice_eq(self->selector->matchers[i].name, name))
            return true;
        asks = true;
    }
    return !asks;
}

static enum err variant_labels(struct info_stage *self, struct label_set base,
                               const struct info_identity *identity, struct info_variant *variant,
                               struct label_set *out)
{
    struct label_builder added, builder;
    struct label_set all;

    label_builder_init(&added, self->stage.eval->arena, (struct label_set){0});
    for (uint32_t n = 0; n < identity->family_count; n++) {
        const struct label_set info = variant->winners[n] == NONE
                                          ? (struct label_set){0}
                                          : self->info->labels[variant->winners[n]];

        for (uint32_t i = 0; i < info.count; i++) {
            const struct label label = info.items[i];
            const struct slice there = label_builder_get(&added, label.name);

            if (slice_eq_cstr(label.name, LABEL_METRIC_NAME) || !wants_label(self, label.name))
                continue;
            if (there.len != 0 && !slice_eq(there, label.value))
                variant->conflict = label.name;
            if (label_set_get(base, label.name).len == 0)
                label_builder_set(&added, label.name, label.value);
        }
    }
    all = label_builder_set_view(&added);
    label_builder_init(&builder, self->stage.eval->arena, base);
    for (uint32_t i = 0; i < all.count; i++)
        label_builder_set(&builder, all.items[i].name, all.items[i].value);
    *out = label_builder_set_view(&builder);
    return added.err == ERR_OK && builder.err == ERR_OK ? ERR_OK : no_room(self);
}

/* ---- outputs ---- */

static enum err add_output(struct info_stage *self, uint32_t base, uint32_t variant,
                           struct label_set labels)
{
    struct promql_eval *eval = self->stage.eval;
    struct label_set *sets = (struct label_set *)self->stage.labels;

    if (self->output_count == self->output_cap) {
        const uint32_t old = self->output_cap, cap = old == 0 ? 64 : old * 2;

        self->output = arena_grow(eval->arena, self->output, old * sizeof(*self->output),
                                  cap * sizeof(*self->output));
        sets = arena_grow(eval->arena, sets, old * sizeof(*sets), cap * sizeof(*sets));
        if (self->output == NULL || sets == NULL)
            return no_room(self);
        self->stage.labels = sets;
        self->output_cap = cap;
    }
    self->output[self->output_count] = (struct info_output){base, variant};
    sets[self->output_count++] = labels;
    self->stage.series_count = self->output_count;
    return ERR_OK;
}

static enum err add_outputs(struct info_stage *self, uint32_t base)
{
    const struct label_set labels = self->base->labels[base];
    struct info_identity *identity;
    struct label_set key;
    uint32_t number = NONE;
    enum err err = identity_of(self, labels, (struct slice){0}, &key);

    if (err != ERR_OK)
        return err;
    if (self->base_outputs[base] == NONE) {
        self->base_outputs[base] = 1;
        return add_output(self, base, NONE, labels);
    }
    promql_index_find(&self->identities, key, &number);
    if (number == NONE || key.count == 0)
        return self->drops_unmatched ? ERR_OK : add_output(self, base, NONE, labels);
    identity = &self->identity[number];
    if (identity->first_variant == NONE)
        err = make_variants(self, identity);
    for (uint32_t v = identity->first_variant; v != NONE && err == ERR_OK;
         v = self->variant[v].next) {
        struct label_set set;

        if (self->drops_unmatched && variant_is_bare(identity, &self->variant[v]))
            continue;
        err = variant_labels(self, labels, identity, &self->variant[v], &set);
        if (err == ERR_OK)
            err = add_output(self, base, v, set);
        self->base_outputs[base]++;
    }
    return err;
}

/* ---- pulling ---- */

static enum err fail_doubled(struct info_stage *self)
{
    struct buf a, b;
    enum err err;

    buf_init(&a, ERR_MESSAGE_SIZE * 4);
    buf_init(&b, ERR_MESSAGE_SIZE * 4);
    label_set_print_plain(&a, self->info->labels[self->doubled_pair[0]]);
    label_set_print_plain(&b, self->info->labels[self->doubled_pair[1]]);
    err = err_set(self->stage.eval->info, ERR_EXEC,
                  "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
                  SLICE_ARG(buf_slice(&a)), (long long)self->doubled_ms, SLICE_ARG(buf_slice(&b)),
                  (long long)self->doubled_ms);
    buf_fini(&a);
    buf_fini(&b);
    return err;
}

static enum err hold_base(struct info_stage *self, uint32_t base, struct promql_column *scratch)
{
    struct promql_eval *eval = self->stage.eval;
    struct promql_held *held = ARENA_NEW(eval->arena, struct promql_held);
    enum err err = held == NULL ? no_room(self) : promql_held_init(held, eval, self->stage.grid);

    for (uint32_t w = 0; err == ERR_OK && w < promql_grid_windows(self->stage.grid); w++) {
        uint32_t clash;

        err = promql_stage_column(self->base, (struct promql_cell){base, w}, scratch);
        if (err == ERR_OK)
            err = promql_held_add(held, eval, w, scratch, &clash);
    }
    self->held[base] = held;
    return err;
}

static enum err base_window(struct info_stage *self, uint32_t base, uint32_t window,
                            struct promql_column *out)
{
    enum err err = ERR_OK;

    if (self->base_outputs[base] <= 1)
        return promql_stage_column(self->base, (struct promql_cell){base, window}, out);
    if (self->held[base] == NULL)
        err = hold_base(self, base, out);
    if (err != ERR_OK)
        return err;
    return promql_held_get(self->held[base], self->stage.eval, window, out);
}

/* Leaves the steps at which the variant holds. */
static enum err keep_variant(struct info_stage *self, const struct info_output *output,
                             uint32_t window, struct promql_column *out)
{
    const struct info_variant *variant = &self->variant[output->variant];
    const struct info_identity *identity;
    struct label_set key;
    uint32_t number;
    enum err err = identity_of(self, self->base->labels[output->base], (struct slice){0}, &key);

    if (err != ERR_OK)
        return err;
    promql_index_find(&self->identities, key, &number);
    identity = &self->identity[number];
    for (uint32_t i = 0; i < out->count; i++) {
        if (!promql_column_has(out, i))
            continue;
        if (!variant_is_at(self, identity, variant, window * PROMQL_WINDOW + i))
            out->present[i / 64] &= ~(UINT64_C(1) << (i % 64));
        else if (variant->conflict.len != 0)
            return err_set(self->stage.eval->info, ERR_EXEC, "conflicting label: %.*s",
                           SLICE_ARG(variant->conflict));
    }
    return ERR_OK;
}

static enum err info_column(struct promql_stage *stage, struct promql_cell cell,
                            struct promql_column *out)
{
    struct info_stage *self = (struct info_stage *)stage;
    const struct info_output *output = &self->output[cell.series];
    const enum err err = base_window(self, output->base, cell.window, out);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; self->doubled != NULL && i < promql_column_words(out); i++) {
        if ((self->doubled[(size_t)cell.window * PROMQL_WINDOW_WORDS + i] & out->present[i]) != 0)
            return fail_doubled(self);
    }
    return output->variant == NONE ? ERR_OK : keep_variant(self, output, cell.window, out);
}

static const struct promql_stage_ops info_ops = {.column = info_column};

static enum err info_init(struct info_stage *self, const struct promql_expr *v)
{
    struct promql_lens lens = {0};
    enum err err = ERR_OK;

    promql_index_init(&self->identities, self->stage.eval);
    promql_index_init(&self->family_keys, self->stage.eval);
    find_lens(self->stage.eval, v, &lens, &err);
    if (err == ERR_OK)
        err = select_info(self, &lens);
    if (err == ERR_OK && self->info != NULL) {
        err = make_families(self);
        if (err == ERR_OK)
            err = read_families(self);
    }
    for (uint32_t i = 0; i < self->base->series_count && err == ERR_OK; i++)
        err = add_outputs(self, i);
    return err;
}

enum err promql_info_new(const struct promql_planner *planner, const struct promql_expr *call,
                         struct promql_stage *child, struct promql_stage **out)
{
    struct promql_eval *eval = planner->eval;
    struct info_stage *self = ARENA_NEW(eval->arena, struct info_stage);
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = (struct promql_stage){
        .ops = &info_ops, .eval = eval, .grid = planner->grid, .may_fault = true};
    self->base = child;
    self->held = ARENA_ARRAY(eval->arena, struct promql_held *, child->series_count);
    if (self->held == NULL)
        return promql_eval_no_room(eval);
    if (call->call.arg_count > 1)
        self->selector = &promql_plan_unwrap(call->call.args[1])->selector;
    err = info_init(self, call->call.args[0]);
    if (err != ERR_OK)
        return err;
    return promql_merge_new(eval, &self->stage, false, out);
}
