/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/histogram_groups.h"

struct promql_histogram_group {
    bool is_summed;       /* false: floats came first, so the group has no value anyway */
    bool is_incompatible; /* exponential and custom buckets were mixed */
    bool had_floats;      /* when that was found */
    bool saw_reset, saw_no_reset;
    struct histogram_mean mean; /* of a sum, only its sum is used */
    const struct histogram *result;
};

static const struct promql_expr *place_of(const struct promql_histogram_groups *groups)
{
    return groups->expr->aggregate.expr;
}

static void note_merge(struct promql_histogram_groups *groups, struct promql_histogram_group *group,
                       const struct histogram_merge *merge,
                       const struct promql_histogram_input *input)
{
    if (merge->is_incompatible) {
        group->is_incompatible = true;
        promql_eval_note_name(groups->eval, place_of(groups),
                              &(struct promql_named_note){
                                  true,
                                  "vector contains a mix of histograms with exponential and custom "
                                  "buckets schemas for metric name",
                                  input->name});
    }
    if (merge->is_rebound)
        promql_eval_info(groups->eval, place_of(groups),
                         "mismatched custom buckets were reconciled during aggregation");
}

static enum err add_one(struct promql_histogram_groups *groups,
                        struct promql_histogram_group *group, const struct histogram *h,
                        const struct promql_histogram_input *input)
{
    struct histogram_merge merge = {0};
    enum err err;

    if (!group->is_summed || group->is_incompatible)
        return ERR_OK;
    group->saw_reset |= h->reset == HISTOGRAM_RESET_YES;
    group->saw_no_reset |= h->reset == HISTOGRAM_RESET_NO;
    if (groups->expr->aggregate.op == PROMQL_AVG)
        err = histogram_mean_add(&group->mean, h, &merge);
    else
        err = histogram_sum_add(&group->mean.sum, h, 1, &merge);
    if (err != ERR_OK)
        return promql_eval_no_room(groups->eval);
    note_merge(groups, group, &merge, input);
    return ERR_OK;
}

static struct promql_histogram_group *group_at(struct promql_histogram_groups *groups, size_t cell,
                                               bool has_floats)
{
    struct promql_histogram_group **group = &groups->cells[cell];

    if (*group != NULL)
        return *group;
    *group = ARENA_NEW(groups->eval->arena, struct promql_histogram_group);
    if (*group == NULL)
        return NULL;
    (*group)->is_summed = !has_floats;
    histogram_mean_reset(&(*group)->mean, &groups->eval->histogram_scratch);
    return *group;
}

enum err promql_histogram_groups_add(struct promql_histogram_groups *groups,
                                     const struct promql_histogram_input *input)
{
    struct promql_column *column = input->column;

    if (groups->cells == NULL)
        groups->cells =
            ARENA_ARRAY(groups->eval->arena, struct promql_histogram_group *, groups->cell_count);
    if (groups->cells == NULL)
        return promql_eval_no_room(groups->eval);
    for (uint32_t i = 0; i < column->count; i++) {
        const size_t cell = input->cell + i;
        struct promql_histogram_group *group;
        bool has_floats, was_incompatible;
        enum err err;

        if (!promql_column_has(column, i) || column->histograms[i] == NULL)
            continue;
        has_floats = input->float_counts[cell] != 0;
        group = group_at(groups, cell, has_floats);
        if (group == NULL)
            return promql_eval_no_room(groups->eval);
        was_incompatible = group->is_incompatible;
        err = add_one(groups, group, column->histograms[i], input);
        if (err != ERR_OK)
            return err;
        if (group->is_incompatible && !was_incompatible)
            group->had_floats = has_floats;
        promql_column_remove(column, i);
    }
    return ERR_OK;
}

enum err promql_histogram_groups_get(struct promql_histogram_groups *groups, size_t cell,
                                     bool has_floats, struct promql_column *out, uint32_t step)
{
    struct promql_histogram_group *group = groups->cells[cell];

    if (group->is_incompatible ? group->had_floats : has_floats) {
        promql_eval_warn(groups->eval, place_of(groups),
                         "encountered a mix of histograms and floats for aggregation");
        return ERR_OK;
    }
    if (group->is_incompatible)
        return ERR_OK;
    if (group->saw_reset && group->saw_no_reset)
        promql_eval_warn(groups->eval, place_of(groups),
                         "conflicting counter resets during histogram aggregation");
    if (group->result == NULL)
        group->result = groups->expr->aggregate.op == PROMQL_AVG
                            ? histogram_mean_result(&group->mean)
                            : histogram_sum_result(&group->mean.sum);
    return promql_column_add_histogram(groups->eval, out, step, group->result);
}
