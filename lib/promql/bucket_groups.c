/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/bucket_groups.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/utf8.h"

#define BUCKET_LABEL "le"
#define NONE         UINT32_MAX

/* ---- making the groups ---- */

static bool parse_bound(struct label_set labels, double *bound)
{
    return number_parse_double(label_set_get(labels, SLICE(BUCKET_LABEL)), bound) == ERR_OK &&
           !isnan(*bound);
}

static int by_group_and_bound(const void *x, const void *y)
{
    const struct promql_bucket_member *a = x, *b = y;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->bound != b->bound)
        return a->bound < b->bound ? -1 : 1;
    return a->series < b->series ? -1 : 1;
}

static enum err group_members(struct promql_bucket_groups *groups, struct promql_index *index)
{
    const struct slice name = SLICE(BUCKET_LABEL);
    const struct promql_projection projection = {.names = {&name, 1}};
    struct promql_stage *child = groups->child;

    for (uint32_t i = 0; i < child->series_count; i++) {
        struct promql_bucket_member member = {.series = i};
        struct label_set labels;
        enum err err;

        if (!parse_bound(child->labels[i], &member.bound))
            continue;
        err = promql_labels_project(groups->eval, &projection, child->labels[i], &labels);
        if (err == ERR_OK)
            err = promql_index_add(index, labels, &member.group);
        if (err != ERR_OK)
            return err;
        groups->members[groups->member_count++] = member;
    }
    qsort(groups->members, groups->member_count, sizeof(*groups->members), by_group_and_bound);
    return ERR_OK;
}

/* Any series may turn out to be native. Those with a bound come last: whoever reads the groups in
 * order has then seen what is in them. */
static enum err group_natives(struct promql_bucket_groups *groups, struct promql_index *index)
{
    struct promql_stage *child = groups->child;
    const size_t room = (size_t)index->count + child->series_count;

    groups->natives = arena_alloc(groups->eval->arena, room * sizeof(*groups->natives));
    if (groups->natives == NULL)
        return promql_eval_no_room(groups->eval);
    for (size_t i = 0; i < room; i++)
        groups->natives[i] = NONE;
    for (int with_bound = 0; with_bound < 2; with_bound++) {
        for (uint32_t i = 0; i < child->series_count; i++) {
            double bound;
            uint32_t group;
            enum err err;

            if (parse_bound(child->labels[i], &bound) != (with_bound == 1))
                continue;
            err = promql_index_add(index, child->labels[i], &group);
            if (err != ERR_OK)
                return err;
            groups->natives[group] = i;
        }
    }
    return ERR_OK;
}

static enum err find_firsts(struct promql_bucket_groups *groups)
{
    groups->first = ARENA_ARRAY(groups->eval->arena, uint32_t, (size_t)groups->count + 1);
    if (groups->first == NULL)
        return promql_eval_no_room(groups->eval);
    for (uint32_t i = 0; i < groups->member_count; i++)
        groups->first[groups->members[i].group + 1]++;
    for (uint32_t g = 0; g < groups->count; g++) {
        if (groups->first[g + 1] > groups->room)
            groups->room = groups->first[g + 1];
        groups->first[g + 1] += groups->first[g];
    }
    return ERR_OK;
}

enum err promql_bucket_groups_init(struct promql_bucket_groups *groups, struct promql_stage *child,
                                   const struct promql_expr *vector)
{
    struct promql_eval *eval = child->eval;
    struct promql_index index;
    enum err err;

    groups->eval = eval;
    groups->child = child;
    groups->vector = vector;
    groups->current = NONE;
    groups->members = arena_alloc(eval->arena, child->series_count * sizeof(*groups->members));
    groups->met = ARENA_ARRAY(eval->arena, const struct histogram **, child->series_count);
    groups->is_read = ARENA_ARRAY(eval->arena, bool, child->series_count);
    if (groups->members == NULL || groups->met == NULL || groups->is_read == NULL)
        return promql_eval_no_room(eval);
    promql_index_init(&index, eval);
    err = group_members(groups, &index);
    if (err == ERR_OK)
        err = group_natives(groups, &index);
    if (err != ERR_OK)
        return err;
    groups->count = index.count;
    groups->labels = index.sets;
    return find_firsts(groups);
}

/* ---- reading ---- */

static enum err make_room(struct promql_bucket_groups *groups)
{
    struct promql_eval *eval = groups->eval;
    const uint32_t steps = groups->child->grid->count;
    const size_t cells = (size_t)steps * groups->room;
    const enum err err = promql_eval_hold(eval, cells + steps);

    if (err != ERR_OK)
        return err;
    groups->values = arena_alloc(eval->arena, cells * sizeof(*groups->values));
    groups->is_there = arena_alloc(eval->arena, cells * sizeof(*groups->is_there));
    groups->here = arena_alloc(eval->arena, steps * sizeof(*groups->here));
    groups->scratch = arena_alloc(eval->arena, groups->room * sizeof(*groups->scratch));
    if (groups->values == NULL || groups->is_there == NULL || groups->here == NULL ||
        groups->scratch == NULL)
        return promql_eval_no_room(eval);
    return ERR_OK;
}

/* A series that is no bucket is left out; a person hears of it if it has a value at all. */
static void warn_stray(struct promql_bucket_groups *groups, uint32_t series)
{
    const struct label_set labels = groups->child->labels[series];
    const struct slice name = label_set_get(labels, SLICE(LABEL_METRIC_NAME));
    struct buf text;

    buf_init(&text, 2000);
    utf8_quote(&text, label_set_get(labels, SLICE(BUCKET_LABEL)));
    if (name.len != 0) {
        buf_printf(&text, " for metric name ");
        utf8_quote(&text, name);
    }
    promql_eval_warn(groups->eval, groups->vector,
                     "bucket label \"" BUCKET_LABEL "\" is missing or has a malformed value of "
                     "%.*s",
                     SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
}

/* Keeps the native histograms of a column of a series with a bound for a group of their own. */
static enum err keep_met(struct promql_bucket_groups *groups, struct promql_cell at)
{
    struct promql_column *column = &groups->column;
    const struct histogram ***met = &groups->met[at.series];

    for (uint32_t i = 0; i < column->count && column->has_histograms; i++) {
        if (!promql_column_has(column, i) || column->histograms[i] == NULL)
            continue;
        if (*met == NULL)
            *met = ARENA_ARRAY(groups->eval->arena, const struct histogram *,
                               groups->child->grid->count);
        if (*met == NULL)
            return promql_eval_no_room(groups->eval);
        (*met)[(size_t)at.window * PROMQL_WINDOW + i] = column->histograms[i];
        promql_column_remove(column, i);
    }
    return ERR_OK;
}

static enum err read_member(struct promql_bucket_groups *groups, uint32_t member, uint32_t slot)
{
    const uint32_t series = groups->members[member].series;
    const struct promql_column *column = &groups->column;
    enum err err = ERR_OK;

    groups->is_read[series] = true;
    for (uint32_t w = 0; w < promql_grid_windows(groups->child->grid) && err == ERR_OK; w++) {
        const struct promql_cell at = {series, w};
        const size_t step = (size_t)w * PROMQL_WINDOW;

        err = promql_stage_column(groups->child, at, &groups->column);
        if (err == ERR_OK)
            err = keep_met(groups, at);
        for (uint32_t i = 0; err == ERR_OK && i < column->count; i++) {
            const size_t cell = (step + i) * groups->room + slot;

            groups->values[cell] = column->v[i];
            groups->is_there[cell] = promql_column_has(column, i);
        }
    }
    return err;
}

/* The histograms of a series; its floats are no buckets. */
static enum err read_native(struct promql_bucket_groups *groups, uint32_t series, bool has_bound)
{
    const struct promql_column *column = &groups->column;
    bool has_floats = false;

    for (uint32_t w = 0; w < promql_grid_windows(groups->child->grid); w++) {
        const enum err err =
            promql_stage_column(groups->child, (struct promql_cell){series, w}, &groups->column);

        if (err != ERR_OK)
            return err;
        for (uint32_t i = 0; i < column->count; i++) {
            const struct histogram *h = promql_column_histogram(column, i);

            if (!promql_column_has(column, i))
                continue;
            has_floats |= h == NULL;
            groups->here[(size_t)w * PROMQL_WINDOW + i] = h;
        }
    }
    if (has_floats && !has_bound)
        warn_stray(groups, series);
    return ERR_OK;
}

enum err promql_bucket_groups_read(struct promql_bucket_groups *groups, uint32_t group)
{
    const uint32_t first = groups->first[group], series = groups->natives[group];
    const uint32_t steps = groups->child->grid->count;
    enum err err = ERR_OK;
    double bound;

    if (groups->current == group)
        return ERR_OK;
    groups->current = group;
    if (groups->values == NULL)
        err = make_room(groups);
    if (err != ERR_OK)
        return err;
    memset(groups->here, 0, steps * sizeof(*groups->here));
    for (uint32_t m = first; m < groups->first[group + 1] && err == ERR_OK; m++)
        err = read_member(groups, m, m - first);
    if (err != ERR_OK || series == NONE)
        return err;
    if (!parse_bound(groups->child->labels[series], &bound))
        return read_native(groups, series, false);
    if (!groups->is_read[series])
        return read_native(groups, series, true);
    if (groups->met[series] != NULL)
        memcpy(groups->here, groups->met[series], steps * sizeof(*groups->here));
    return ERR_OK;
}

static void warn_mixed(struct promql_bucket_groups *groups)
{
    static const char *const text = "vector contains a mix of classic and native histograms";
    const struct slice name =
        label_set_get(groups->labels[groups->current], SLICE(LABEL_METRIC_NAME));

    if (name.len == 0)
        promql_eval_warn(groups->eval, groups->vector, "%s", text);
    else
        promql_eval_note_name(
            groups->eval, groups->vector,
            &(struct promql_named_note){
                true, "vector contains a mix of classic and native histograms for metric name",
                name});
}

void promql_bucket_groups_step(struct promql_bucket_groups *groups, uint32_t step,
                               struct promql_bucket_step *out)
{
    const uint32_t first = groups->first[groups->current];
    const uint32_t end = groups->first[groups->current + 1];
    const size_t at = (size_t)step * groups->room;

    *out = (struct promql_bucket_step){groups->here[step], {.items = groups->scratch}};
    for (uint32_t m = first; m < end; m++) {
        if (groups->is_there[at + m - first])
            groups->scratch[out->classic.count++] =
                (struct promql_bucket){groups->members[m].bound, groups->values[at + m - first]};
    }
    if (out->native != NULL && out->classic.count != 0) {
        warn_mixed(groups);
        out->native = NULL;
        out->classic.count = 0;
    }
}
