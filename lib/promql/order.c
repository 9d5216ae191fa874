/* SPDX-License-Identifier: Apache-2.0 */

/* sort(), sort_desc(), sort_by_label(), sort_by_label_desc(): the order of an instant's elements. A
 * range query's result is sorted by labels anyway, so there they only drop what they drop. */

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "promql/stage.h"

struct order_stage {
    struct promql_stage stage;
    struct promql_stage *child;
    bool keeps_histograms;
    struct order_entry *entries; /* [series_count]; NULL: the child's order */
};

struct order_entry {
    const struct label_set *labels;
    const struct histogram *histogram;
    double v;
    uint32_t place; /* before sorting */
    bool is_present;
};

/* How labels are compared; handed to the comparison. */
struct order_names {
    const struct promql_expr *const *args;
    uint32_t count;
    bool is_descending;
};

static enum err order_column(struct promql_stage *stage, struct promql_cell cell,
                             struct promql_column *out)
{
    const struct order_stage *self = (struct order_stage *)stage;
    const struct order_entry *entry = &self->entries[cell.series];

    if (self->entries == NULL) {
        const enum err err = promql_stage_column(self->child, cell, out);

        if (err == ERR_OK && !self->keeps_histograms)
            promql_column_drop_histograms(out);
        return err;
    }
    promql_column_clear(out, 1);
    out->v[0] = entry->v;
    if (!entry->is_present)
        return ERR_OK;
    promql_column_add(out, 0, entry->v);
    if (entry->histogram != NULL) {
        const struct histogram **histograms = promql_column_histograms(stage->eval, out);

        if (histograms == NULL)
            return promql_eval_no_room(stage->eval);
        histograms[0] = entry->histogram;
    }
    return ERR_OK;
}

static const struct promql_stage_ops order_ops = {.column = order_column};

static int by_place(const struct order_entry *a, const struct order_entry *b)
{
    return a->place < b->place ? -1 : 1;
}

/* NaN comes last in both directions. */
static int by_value(const struct order_entry *a, const struct order_entry *b, bool is_descending)
{
    if (isnan(a->v) != isnan(b->v))
        return isnan(a->v) ? 1 : -1;
    if (isnan(a->v) || a->v == b->v)
        return by_place(a, b);
    return (a->v < b->v) != is_descending ? -1 : 1;
}

static int ascending(const void *a, const void *b)
{
    return by_value(a, b, false);
}

static int descending(const void *a, const void *b)
{
    return by_value(a, b, true);
}

/* ---- natural order of texts: runs of digits count as numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct slice next_run(struct slice *text)
{
    struct slice run = *text;
    size_t len = 0;

    while (len < text->len && is_digit(text->data[len]) == is_digit(text->data[0]))
        len++;
    run.len = len;
    *text = slice_skip(*text, len);
    return run;
}

static int natural_cmp(struct slice a, struct slice b)
{
    const int plain = slice_cmp(a, b);

    while (a.len > 0 && b.len > 0) {
        const struct slice run_a = next_run(&a), run_b = next_run(&b);
        int64_t number_a, number_b;

        if (is_digit(run_a.data[0]) && is_digit(run_b.data[0]) &&
            number_parse_int64(run_a, &number_a) == ERR_OK &&
            number_parse_int64(run_b, &number_b) == ERR_OK) {
            if (number_a != number_b)
                return number_a < number_b ? -1 : 1;
        } else if (!slice_eq(run_a, run_b)) {
            return slice_cmp(run_a, run_b);
        }
    }
    if (a.len != 0 || b.len != 0)
        return a.len == 0 ? -1 : 1;
    return plain;
}

static int by_labels(const void *a, const void *b, void *owner)
{
    const struct order_names *names = owner;
    const struct label_set x = *((const struct order_entry *)a)->labels;
    const struct label_set y = *((const struct order_entry *)b)->labels;
    int order = 0;

    for (uint32_t i = 0; i < names->count && order == 0; i++) {
        const struct promql_expr *arg = names->args[i];

        while (arg->kind == PROMQL_PAREN)
            arg = arg->paren;
        order = natural_cmp(label_set_get(x, arg->string), label_set_get(y, arg->string));
    }
    if (order == 0)
        order = label_set_cmp(x, y);
    return names->is_descending ? -order : order;
}

/* Reads all elements of the only step. */
static enum err read_entries(struct order_stage *self)
{
    struct promql_eval *eval = self->stage.eval;
    const uint32_t count = self->child->series_count;
    struct promql_column *column = ARENA_NEW(eval->arena, struct promql_column);
    enum err err = promql_eval_hold(eval, count);

    self->entries = ARENA_ARRAY(eval->arena, struct order_entry, count);
    if (column == NULL || self->entries == NULL)
        return promql_eval_no_room(eval);
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        struct order_entry *entry = &self->entries[i];

        err = promql_stage_column(self->child, (struct promql_cell){i, 0}, column);
        if (err != ERR_OK)
            break;
        if (!self->keeps_histograms)
            promql_column_drop_histograms(column);
        *entry = (struct order_entry){
            .labels = &self->child->labels[i],
            .histogram = column->has_histograms ? column->histograms[0] : NULL,
            .v = column->v[0],
            .place = i,
            .is_present = promql_column_has(column, 0),
        };
    }
    return err;
}

static enum err take_labels(struct order_stage *self)
{
    const uint32_t count = self->child->series_count;
    struct label_set *labels = arena_alloc(self->stage.eval->arena, count * sizeof(*labels));

    if (labels == NULL)
        return promql_eval_no_room(self->stage.eval);
    for (uint32_t i = 0; i < count; i++)
        labels[i] = *self->entries[i].labels;
    self->stage.labels = labels;
    return ERR_OK;
}

enum err promql_order_new(struct promql_eval *eval, const struct promql_expr *call,
                          struct promql_stage *child, struct promql_stage **out)
{
    const enum promql_function_id id = call->call.function->id;
    const bool by_label =
        id == PROMQL_FUNCTION_SORT_BY_LABEL || id == PROMQL_FUNCTION_SORT_BY_LABEL_DESC;
    struct order_names names = {call->call.args + 1, call->call.arg_count - 1,
                                id == PROMQL_FUNCTION_SORT_BY_LABEL_DESC};
    struct order_stage *self = ARENA_NEW(eval->arena, struct order_stage);
    enum err err;

    if (self == NULL)
        return promql_eval_no_room(eval);
    self->stage = *child;
    self->stage.ops = &order_ops;
    self->child = child;
    self->keeps_histograms = by_label;
    *out = &self->stage;
    if (child->grid->count != 1)
        return ERR_OK;
    err = read_entries(self);
    if (err != ERR_OK)
        return err;
    if (by_label)
        qsort_r(self->entries, child->series_count, sizeof(*self->entries), by_labels, &names);
    else
        qsort(self->entries, child->series_count, sizeof(*self->entries),
              id == PROMQL_FUNCTION_SORT ? ascending : descending);
    return take_labels(self);
}
